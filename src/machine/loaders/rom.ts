/**
 * ROM images for `--bios`: the file ends at 4 GiB, where the reset vector fetches, and its last 128 KiB also end at
 * 1 MiB, where real mode reaches them (as the ISA bridge of a PC decodes it).
 */
import type { BootFile } from './boot-request';
import type { EntryState } from './entry-state';
import { resetVectorEntry } from './entry-state';
import { LoadError } from './load-error';

const LARGEST_ROM = 1 << 20;
const ISA_ROM = 128 << 10;
const PAGE = 4096;

export interface RomImage {
  /** Whole pages, ending at 4 GiB. */
  bytes: Uint8Array;
  /** How many bytes of its end also end at 1 MiB. */
  isaBytes: number;
  entry: EntryState;
}

export function loadRom(file: BootFile): RomImage {
  const size = file.bytes.length;
  if (size < 16) throw new LoadError(file.name, `a ROM image of ${size} bytes has no room for the reset vector`);
  if (size > LARGEST_ROM) throw new LoadError(file.name, `a ROM image of ${size} bytes; at most ${LARGEST_ROM} can be mapped`);
  // The end is what counts; what is missing to a whole page reads as an erased flash chip does.
  const bytes = new Uint8Array(Math.ceil(size / PAGE) * PAGE).fill(0xff);
  bytes.set(file.bytes, bytes.length - size);
  return { bytes, isaBytes: Math.min(bytes.length, ISA_ROM), entry: resetVectorEntry() };
}
