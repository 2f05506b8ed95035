/** What kind of file somebody dropped on the page, by its content. Nothing leaves the browser. */

export type FileRole = 'kernel' | 'ramdisk' | 'rom';

export interface Sniffed {
  /** For people. */
  kind: string;
  /** What it can be here; empty: nothing. The likeliest first. */
  roles: readonly FileRole[];
}

/** Enough of a file's start to know it. */
export const SNIFF_BYTES = 0x8806;
const MULTIBOOT1_WITHIN = 8192, MULTIBOOT2_WITHIN = 32768;
const MIB = 1 << 20;

function hasText(bytes: Uint8Array, at: number, text: string): boolean {
  return [...text].every((character, n) => bytes[at + n] === character.charCodeAt(0));
}

function u32(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}

/** Multiboot version whose header stands in these bytes, 0: none. */
function multibootVersion(bytes: Uint8Array): 0 | 1 | 2 {
  const end = Math.min(bytes.length - 12, MULTIBOOT2_WITHIN);
  for (let at = 0; at < end; at += 4) {
    const magic = u32(bytes, at);
    if (magic === 0x1badb002 && at < MULTIBOOT1_WITHIN && (magic + u32(bytes, at + 4) + u32(bytes, at + 8)) >>> 0 === 0) return 1;
    if (magic === 0xe85250d6 && at % 8 === 0) return 2;
  }
  return 0;
}

/** `head`: the first SNIFF_BYTES, or all there is; `tail`: the last 16 bytes; `size`: of the whole file. */
export function sniff(head: Uint8Array, tail: Uint8Array, size: number): Sniffed {
  const multiboot = multibootVersion(head);
  const isElf = hasText(head, 0, '\x7fELF');
  if (multiboot !== 0) return { kind: `a multiboot ${multiboot} ${isElf ? 'ELF kernel' : 'image'}`, roles: ['kernel', 'ramdisk'] };
  if (hasText(head, 0x202, 'HdrS')) return { kind: 'a Linux kernel (bzImage)', roles: ['kernel', 'ramdisk'] };
  if (isElf) return { kind: `${head[4] === 2 ? 'a 64-bit' : 'a 32-bit'} ELF file`, roles: ['kernel', 'ramdisk'] };
  if (/^07070[12]/.test(String.fromCharCode(...head.subarray(0, 6)))) return { kind: 'a cpio archive (initrd)', roles: ['ramdisk'] };
  if (head[0] === 0x1f && head[1] === 0x8b) return { kind: 'a file compressed with gzip', roles: ['ramdisk', 'kernel'] };
  if (u32(head, 0) === 0xfd2fb528 || hasText(head, 0, '\xfd7zXZ') || u32(head, 0) === 0x184c2102) return { kind: 'a compressed archive', roles: ['ramdisk'] };
  if (hasText(head, 0x8001, 'CD001')) return { kind: 'a CD image (ISO 9660), which cannot be started yet', roles: [] };
  // The reset vector of a ROM jumps.
  const jumps = tail.length === 16 && (tail[0] === 0xea || tail[0] === 0xe9 || tail[0] === 0xeb || (tail[0] === 0x90 && tail[1] === 0x90));
  if (size <= MIB && size >= 4096 && size % 4096 === 0 && jumps) return { kind: 'a firmware ROM', roles: ['rom'] };
  if (head[510] === 0x55 && head[511] === 0xaa) return { kind: 'a disk image, which cannot be started yet', roles: [] };
  return { kind: 'a file of an unknown kind', roles: ['ramdisk', 'kernel', ...(size <= MIB && size % 4096 === 0 ? ['rom' as const] : [])] };
}

export async function sniffFile(file: Blob): Promise<Sniffed> {
  const bytes = async (part: Blob): Promise<Uint8Array> => new Uint8Array(await part.arrayBuffer());
  return sniff(await bytes(file.slice(0, SNIFF_BYTES)), await bytes(file.slice(Math.max(0, file.size - 16))), file.size);
}
