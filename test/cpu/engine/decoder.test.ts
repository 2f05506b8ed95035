/** Corners of the decoder that the opcode rows cannot say. */
import { describe, expect, it } from 'vitest';
import { decode, DECODE_TOO_LONG, DECODE_TRUNCATED } from '../../../src/cpu/engine/decoder';

function lengthOf(bytes: number[], mode = 2): number {
  return decode(Uint8Array.from(bytes), 0, bytes.length, mode);
}

describe('decode', () => {
  it('ignores ModRM.mod of MOV to and from control and debug registers', () => {
    // mov dr2, rcx with mod = 01: no displacement follows.
    expect(lengthOf([0x0f, 0x23, 0x51])).toBe(3);
    expect(lengthOf([0x0f, 0x20, 0x05])).toBe(3);
  });

  it('tells a missing byte from an instruction of more than 15', () => {
    expect(lengthOf([0x48, 0x8b])).toBe(DECODE_TRUNCATED);
    expect(lengthOf([...Array<number>(15).fill(0x66), 0x90])).toBe(DECODE_TOO_LONG);
    expect(lengthOf([...Array<number>(14).fill(0x66), 0x90])).toBe(15);
  });
});
