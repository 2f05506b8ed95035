import { describe, expect, it } from 'vitest';
import { isLz4Legacy, unpackLz4Legacy } from '../../scripts/images/lz4.mjs';
import { lz4Literals } from './kernels';

const MAGIC = [0x02, 0x21, 0x4c, 0x18];

/** A frame of one block. */
function frame(...block: number[]): Buffer {
  return Buffer.from([...MAGIC, block.length, 0, 0, 0, ...block]);
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
const ascii = (characters: string) => [...Buffer.from(characters)];

describe('unpackLz4Legacy', () => {
  it('knows the frame by its magic number', () => {
    expect(isLz4Legacy(Buffer.from(MAGIC))).toBe(true);
    expect(isLz4Legacy(Buffer.from([0x04, 0x22, 0x4d, 0x18]))).toBe(false);
    expect(isLz4Legacy(Buffer.from([0x02]))).toBe(false);
  });

  it('copies literals of every length form', () => {
    for (const length of [1, 14, 15, 16, 269, 270, 271, 5000]) {
      const data = Buffer.from(Array.from({ length }, (_, i) => (i * 7) & 0xff));
      expect(Buffer.from(unpackLz4Legacy(lz4Literals(data), length)).equals(data), `length ${length}`).toBe(true);
    }
  });

  it('goes on over several blocks', () => {
    const data = Buffer.from('several blocks, one after the other');
    expect(text(unpackLz4Legacy(lz4Literals(data, 7), data.length))).toBe(data.toString());
  });

  it('copies a match from before', () => {
    // "abcdef", then 4 bytes from 6 back, then the literal "!".
    expect(text(unpackLz4Legacy(frame(0x60, ...ascii('abcdef'), 6, 0, 0x10, ...ascii('!')), 11))).toBe('abcdefabcd!');
  });

  it('repeats what a match itself produces', () => {
    expect(text(unpackLz4Legacy(frame(0x26, ...ascii('ab'), 2, 0, 0x10, ...ascii('.')), 13))).toBe('abababababab.');
  });

  it('adds the bytes that continue a match length', () => {
    // 15 + 255 + 3 and the 4 that every match has.
    const length = 15 + 255 + 3 + 4;
    expect(text(unpackLz4Legacy(frame(0x1f, ...ascii('z'), 1, 0, 255, 3, 0x10, ...ascii('!')), length + 2))).toBe(`${'z'.repeat(length + 1)}!`);
  });

  it('refuses damaged data', () => {
    expect(() => unpackLz4Legacy(Buffer.from('no frame'), 1)).toThrow('no legacy frame');
    expect(() => unpackLz4Legacy(frame(0x10, ...ascii('a')), 2)).toThrow('data ends after 1 of 2');
    expect(() => unpackLz4Legacy(Buffer.from([...MAGIC, 9, 0, 0, 0, 0x10]), 2)).toThrow('cut short');
    expect(() => unpackLz4Legacy(frame(0x50, ...ascii('ab')), 5)).toThrow('literals run out');
    expect(() => unpackLz4Legacy(frame(0xf0, 255), 300)).toThrow('length runs out');
    expect(() => unpackLz4Legacy(frame(0x10, ...ascii('a'), 2, 0, 0x10, ...ascii('b')), 9)).toThrow('starts before');
    expect(() => unpackLz4Legacy(frame(0x10, ...ascii('a'), 1, 0, 0x10, ...ascii('b')), 3)).toThrow('more data');
  });
});
