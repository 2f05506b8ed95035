/** Whatever a file holds, loading it either works inside RAM or says what is wrong with it. */
import { describe, expect, it } from 'vitest';
import { gzipSync } from 'fflate';
import { loadImage } from '../../../src/machine/loaders';
import { LoadError } from '../../../src/machine/loaders/load-error';
import { Bytes, elf, multiboot1Header, request, TestMemory, words } from './images';

function multiboot2(): Uint8Array {
  const tags = [...words(1, 12, 6, 0), ...words(2, 24, 0x100000, 0x100000, 0, 0), ...words(3, 12, 0x100040, 0), ...words(10, 24, 0x100000, 0x1000000, 4096, 1), ...words(0, 8)];
  const length = 16 + tags.length;
  return new Bytes(0x200).raw(0, [...words(0xe85250d6, 0, length, -(0xe85250d6 + length)), ...tags]).bytes;
}

function bzImage(): Uint8Array {
  const file = new Bytes(512 * 5 + 0x800);
  file.raw(0x1f1, [4]).u32(0x1f4, 0x80).u16(0x1fe, 0xaa55).raw(0x200, [0xeb, 0x66]).u32(0x202, 0x53726448).u16(0x206, 0x20f);
  return file.raw(0x211, [1]).u32(0x22c, 0x1ffffff).raw(0x234, [1]).u16(0x236, 1).u32(0x238, 100).u32(0x258, 0x1000000).u32(0x260, 0x800000).bytes;
}

const note = [...words(4, 4, 18), 0x58, 0x65, 0x6e, 0, ...words(0x1000080)];
const images: Record<string, Uint8Array> = {
  multiboot1: elf(false, 0x100010, [{ physical: 0x100000, data: multiboot1Header(3), memory: 0x2000 }]).bytes,
  flat: new Bytes(0x300).raw(0, multiboot1Header(0x10003, 0x100000, 0x100000, 0x100200, 0x102000, 0x100020)).bytes,
  multiboot2: multiboot2(),
  bzImage: bzImage(),
  pvh: elf(true, 0x1000000, [{ physical: 0x1000000, data: new Array<number>(0x100).fill(1), memory: 0x2000 }, { physical: 0, data: note, note: true }]).bytes,
  elf32: elf(false, 0x1000000, [{ physical: 0x1000000, virtual: 0xc1000000, data: [1, 2, 3, 4] }]).bytes,
  gzip: gzipSync(elf(false, 0x100000, [{ physical: 0x100000, data: multiboot1Header(0) }]).bytes),
};

/** Loads into a memory that accepts no write outside RAM; anything but a LoadError is passed on. */
function attempt(bytes: Uint8Array, memory: TestMemory): 'loaded' | 'refused' {
  try {
    loadImage(request(bytes, { modules: [{ name: 'm', args: '', bytes: new Uint8Array(100) }] }), memory);
    return 'loaded';
  } catch (error) {
    if (error instanceof LoadError) return 'refused';
    throw error;
  }
}

describe.each(Object.keys(images))('%s', (name) => {
  const image = images[name];
  const memory = new TestMemory();

  it('loads whole', () => {
    expect(attempt(image, memory)).toBe('loaded');
  });

  it('cut off anywhere is loaded or refused', () => {
    const step = Math.max(1, Math.floor(image.length / 150));
    for (let length = 0; length < image.length; length += step) attempt(image.subarray(0, length), memory);
    expect(attempt(image.subarray(0, 20), memory)).toBe('refused');
  });

  it('with damaged bytes is loaded or refused', () => {
    let seed = 12345;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 0x100000000) * below);
    };
    const outcomes = new Set<string>();
    for (let round = 0; round < 300; round++) {
      const damaged = image.slice();
      // Headers are in the first bytes, where damage does something.
      for (let n = 0; n <= round % 4; n++) damaged[random(round & 1 ? Math.min(0x270, damaged.length) : 160) % damaged.length] = random(256);
      outcomes.add(attempt(damaged, memory));
    }
    expect(outcomes.has('refused')).toBe(true);
  });
});
