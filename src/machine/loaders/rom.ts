/**
 * ROM images for `--bios`: the file ends at 4 GiB, where the reset vector fetches, and its last 128 KiB also end at
 * 1 MiB, where real mode reaches them (as the ISA bridge of a PC decodes it).
 */
import type { BootFile } from './boot-request';
import type { EntryState } from './entry-state';
import { resetVectorEntry } from './entry-state';
import { LoadError } from './load-error';

const LARGEST_ROM = 16 << 20;
const ISA_ROM = 128 << 10;
const PAGE = 4096;

export interface RomRegion {
  /** First byte, host-physical, page-aligned. */
  start: number;
  bytes: Uint8Array;
}

export interface RomImage {
  regions: RomRegion[];
  entry: EntryState;
}

export function loadRom(file: BootFile): RomImage {
  const size = file.bytes.length;
  if (size < 16) throw new LoadError(file.name, `a ROM image of ${size} bytes has no room for the reset vector`);
  if (size > LARGEST_ROM) throw new LoadError(file.name, `a ROM image of ${size} bytes; at most ${LARGEST_ROM} can be mapped`);
  // The end is what counts; what is missing to a whole page reads as an erased flash chip does.
  const padded = new Uint8Array(Math.ceil(size / PAGE) * PAGE).fill(0xff);
  padded.set(file.bytes, padded.length - size);
  const isa = padded.subarray(Math.max(0, padded.length - ISA_ROM));
  return {
    regions: [
      { start: 0x100000 - isa.length, bytes: isa },
      { start: 0x100000000 - padded.length, bytes: padded },
    ],
    entry: resetVectorEntry(),
  };
}
