/** Loads a kernel of any supported format into memory and says in which state the CPU enters it. */
import type { BootRequest, LoadMemory } from './boot-request';
import { isElf, parseElf } from './elf';
import type { EntryState } from './entry-state';
import { inflateIfGzip } from './gzip';
import { ImageReader } from './image-reader';
import { isBzImage, isElfLinux, loadBzImage, loadElfLinux } from './linux';
import { findMultiboot1, loadMultiboot1 } from './multiboot1';
import { findMultiboot2, loadMultiboot2 } from './multiboot2';
import { Placement } from './placement';
import { loadPvh, pvhEntry } from './pvh';

/**
 * Multiboot comes before PVH because hypervisors that have both mean multiboot for bare machines, and before plain ELF
 * because it tells what the kernel expects. PVH says nothing about a screen, so Linux is entered in its own way where there is one.
 */
export function loadImage(request: BootRequest, memory: LoadMemory): EntryState {
  const kernel = inflateIfGzip(request.kernel);
  const image = new ImageReader(kernel);
  const placement = new Placement(memory, kernel.name);
  if (image.length === 0) image.fail('an empty file');
  if (isBzImage(image)) return loadBzImage(image, request, placement);
  const multiboot1 = findMultiboot1(image);
  if (multiboot1 >= 0) return loadMultiboot1(image, multiboot1, request, placement);
  const multiboot2 = findMultiboot2(image);
  if (multiboot2 >= 0) return loadMultiboot2(image, multiboot2, request, placement);
  if (isElf(image)) {
    const elf = parseElf(image);
    const entry = request.screen !== null && isElfLinux(image, elf) ? null : pvhEntry(image, elf);
    return entry === null ? loadElfLinux(image, elf, request, placement) : loadPvh(image, elf, entry, request, placement);
  }
  return image.fail('not a kernel: neither a Linux bzImage, nor ELF, nor multiboot');
}
