/** The display adapter: `vga`, `stdvga` and `videoram` of xl.cfg(5), and our own key for the VGA BIOS. */
import type { KeyReader } from './key-values';

export interface DisplayConfig {
  /** Video memory: a power of two. */
  videoMiB: number;
  /** ROM image that firmware runs to set up the adapter. */
  bios: string;
}

const DEFAULT_VIDEO_MIB = 16, MOST_VIDEO_MIB = 256;
const DEFAULT_BIOS = 'images/vgabios-stdvga.bin';

/** The adapter, or null if there is none: other than in Xen, a machine has one only if it is asked for. */
export function readDisplay(keys: KeyReader): DisplayConfig | null {
  const kind = keys.oneOf('vga', ['none', 'stdvga', 'cirrus', 'qxl']);
  const standard = keys.boolean('stdvga');
  const asked = keys.integer('videoram', 0, MOST_VIDEO_MIB) ?? DEFAULT_VIDEO_MIB;
  const bios = keys.string('nestbox_vgabios') ?? DEFAULT_BIOS;
  if (bios === '') keys.fail('nestbox_vgabios', 'an empty name');
  // xl lets vga= win over the older key.
  const present = kind === undefined ? standard === true : kind !== 'none';
  if (!present) {
    for (const key of ['videoram', 'nestbox_vgabios']) if (keys.has(key)) keys.warn(key, 'the machine has no display adapter; use vga = "stdvga"');
    return null;
  }
  if (kind !== undefined && kind !== 'stdvga') keys.warn('vga', `there is no ${kind} adapter here; the machine gets stdvga`);
  let videoMiB = 1;
  while (videoMiB < asked) videoMiB *= 2;
  if (keys.has('videoram') && videoMiB !== asked) keys.warn('videoram', `rounded up to ${videoMiB} MiB`);
  return { videoMiB, bios };
}
