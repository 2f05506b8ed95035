/**
 * The one buffer that holds the machine's memory: RAM, then video memory, the pages of its ROMs, and a small scratch area.
 *
 * A "host offset" is a byte offset into this buffer, a "buffer page" its upper bits: pages below ramPages are RAM, the others are ROM. Video memory
 * is RAM in this sense, the last of it, from videoPage on; which of its pages were written is noted in VIDEO_DIRTY (see tlb.ts).
 * Generated code reads RAM and scratch alike, so a load that touches a device or crosses a page finds its bytes assembled in the scratch area.
 */
import { MAX_RAM_BYTES, MAX_VIDEO_BYTES } from './limits';

const PAGE_BYTES = 4096;
/** Room for ROM images after RAM. */
const ROM_AREA_BYTES = 2 << 20;
const SCRATCH_BYTES = 128;
/** A page, and a little more for accesses that start at its end, on which compiled code is trained. */
const TRAINING_BYTES = 4096 + 64;

/** RAM of the machine in bytes, without video memory. */
export let ramBytes = 0;
/** Pages that can be written, RAM and video memory: the first buffer page that is ROM. */
export let ramPages = 0;
/** First buffer page of video memory; ramPages if there is none. */
export let videoPage = 0;
/** Per page of video memory: 1 if it was written since the mark was cleared (clearVideoDirty in tlb.ts). */
export let VIDEO_DIRTY = new Uint8Array(0);
/** All pages of the buffer: RAM, video memory and ROM area. */
export let bufferPages = 0;
/** Host offset of the scratch area, which is beyond all RAM and ROM. */
export let SCRATCH = 0;
/** Host offset of the training page. */
export let TRAINING_PAGE = 0;
export let mem8 = new Uint8Array(0);
export let mem32 = new Int32Array(0);
export let memView = new DataView(new ArrayBuffer(0));
let nextRomPage = 0;

/**
 * Gives the machine `bytes` of zeroed RAM (a multiple of 4 KiB, at most MAX_RAM_BYTES) and `videoBytes` of video memory (a multiple of 4 KiB, at most
 * MAX_VIDEO_BYTES). Once per machine, before the engine is built.
 */
export function allocateRam(bytes: number, videoBytes = 0): void {
  if (bytes <= 0 || bytes % PAGE_BYTES !== 0 || bytes > MAX_RAM_BYTES) throw new RangeError(`RAM of ${bytes} bytes is not possible`);
  if (videoBytes % PAGE_BYTES !== 0 || videoBytes > MAX_VIDEO_BYTES) throw new RangeError(`video memory of ${videoBytes} bytes is not possible`);
  const writable = bytes + videoBytes;
  const buffer = new ArrayBuffer(writable + ROM_AREA_BYTES + SCRATCH_BYTES + TRAINING_BYTES);
  ramBytes = bytes;
  videoPage = bytes / PAGE_BYTES;
  ramPages = writable / PAGE_BYTES;
  VIDEO_DIRTY = new Uint8Array(videoBytes / PAGE_BYTES);
  bufferPages = (writable + ROM_AREA_BYTES) / PAGE_BYTES;
  SCRATCH = writable + ROM_AREA_BYTES;
  TRAINING_PAGE = SCRATCH + SCRATCH_BYTES;
  nextRomPage = ramPages;
  mem8 = new Uint8Array(buffer);
  mem32 = new Int32Array(buffer);
  memView = new DataView(buffer);
}

/** Puts a ROM image into the buffer and returns its first buffer page; the last page is padded with FFh. */
export function placeRom(image: Uint8Array): number {
  const first = nextRomPage;
  const pages = Math.ceil(image.length / PAGE_BYTES);
  if (first + pages > bufferPages) throw new RangeError('the ROM images exceed the ROM area');
  mem8.fill(0xff, first * PAGE_BYTES, (first + pages) * PAGE_BYTES);
  mem8.set(image, first * PAGE_BYTES);
  nextRomPage = first + pages;
  return first;
}
