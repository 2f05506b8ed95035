/** Code fetched from outside RAM: executed instruction by instruction, and never confused with the code of a page. */
import { beforeAll, describe, expect, it } from 'vitest';
import { mapMmio, physWriteBytes } from '../../../src/cpu/mmu/physical';
import { R, RIP } from '../../../src/cpu/state';
import { createBareCpu, enterMode, run } from '../../support/bare-cpu';

const DEVICE = 0xe0000000;
/** inc eax; inc eax; hlt */
const CODE = [0x40, 0x40, 0xf4];

beforeAll(() => {
  createBareCpu();
  mapMmio(DEVICE, 4096, { name: 'code', read: (offset) => CODE[offset] ?? 0x90, write: () => undefined });
});

describe('code outside RAM', () => {
  it('executes, and leaves writes to page 0 alone', () => {
    enterMode(32);
    R[RIP] = DEVICE | 0;
    run(10);
    expect(R[0]).toBe(2);
    physWriteBytes(0, Uint8Array.of(1, 2, 3));
    expect(R[RIP]).toBe((DEVICE | 0) + 3);
  });
});
