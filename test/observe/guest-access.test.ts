import '../support/bare-cpu';
import { beforeEach, describe, expect, it } from 'vitest';
import { mem8, memView } from '../../src/cpu/mmu/memory';
import { setUpRam } from '../../src/cpu/mmu/physical';
import { AR_DB, CODE64, CS, EFLAGS, R, RAX, RBX, RCX, RDI, RIP, RSI, SEG_AR, F_DF } from '../../src/cpu/state';
import { GuestAccess } from '../../src/observe/guest-access';

const DEVICE = 0xb8000, DEVICE_END = 0xc0000;
const CODE = 0x1000;

/** What the device holds. */
let device: Uint8Array;
let log: string[];
let access: GuestAccess;

/** The instruction at CODE leaves because of `guestPhysical`. */
function exit(guestPhysical: number, ...code: number[]): void {
  mem8.set(code, CODE);
  R[RIP] = CODE;
  access.replay(guestPhysical);
}

describe('accesses of a guest to device memory', () => {
  beforeEach(() => {
    setUpRam(1 << 20, 0xc0000000);
    R.fill(0);
    R[SEG_AR + CS] = AR_DB;
    device = new Uint8Array(0x8000);
    log = [];
    access = new GuestAccess({
      has: (at) => at >= DEVICE && at < DEVICE_END,
      read(at, size) {
        log.push(`r${size} ${(at - DEVICE).toString(16)}`);
        let value = 0;
        for (let n = size - 1; n >= 0; n--) value = (value << 8) | device[at - DEVICE + n];
        return value;
      },
      write(at, size, value) {
        log.push(`w${size} ${(at - DEVICE).toString(16)}`);
        for (let n = 0; n < size; n++) device[at - DEVICE + n] = value >>> (8 * n);
      },
    });
  });

  it('MOV of registers and immediates in every size', () => {
    R[RAX] = 0x11223344;
    R[RBX] = 0x5566;
    exit(DEVICE + 1, 0x88, 0x07); // mov [edi], al
    exit(DEVICE + 2, 0x88, 0x27); // mov [edi], ah
    exit(DEVICE + 4, 0x66, 0x89, 0x1f); // mov [edi], bx
    exit(DEVICE + 8, 0x89, 0x07); // mov [edi], eax
    exit(DEVICE + 12, 0x66, 0xc7, 0x07, 0x41, 0x07); // mov word [edi], 0741h
    exit(DEVICE + 14, 0xa2, 0x0e, 0x80, 0x0b, 0x00); // mov [0b800eh], al
    expect(Array.from(device.subarray(0, 15))).toEqual([0, 0x44, 0x33, 0, 0x66, 0x55, 0, 0, 0x44, 0x33, 0x22, 0x11, 0x41, 0x07, 0x44]);
    R[CODE64] = 1;
    R[RAX + 1] = 0x99;
    exit(DEVICE + 16, 0x48, 0x89, 0x07); // mov [rdi], rax
    expect(Array.from(device.subarray(16, 24))).toEqual([0x44, 0x33, 0x22, 0x11, 0x99, 0, 0, 0]);
  });

  it('loads, for their effect on the device, and read-modify-write', () => {
    exit(DEVICE + 2, 0x8a, 0x07); // mov al, [edi]
    exit(DEVICE + 2, 0x38, 0x07); // cmp [edi], al
    expect(log).toEqual(['r1 2', 'r1 2']);
    device[3] = 0x0f;
    exit(DEVICE + 3, 0x80, 0x0f, 0xf0); // or byte [edi], f0h
    expect(device[3]).toBe(0xff);
    exit(DEVICE + 3, 0xf6, 0x17); // not byte [edi]
    exit(DEVICE + 3, 0xfe, 0x07); // inc byte [edi]
    R[RAX] = 0x77;
    expect(device[3]).toBe(1);
    exit(DEVICE + 3, 0x86, 0x07); // xchg [edi], al
    expect(device[3]).toBe(0x77);
  });

  it('REP STOS with all elements, both ways', () => {
    R[RAX] = 0x0720;
    R[RCX] = 2000;
    R[RDI] = DEVICE;
    exit(DEVICE, 0xf3, 0x66, 0xab);
    expect(device.subarray(0, 4000).every((byte, n) => byte === (n & 1 ? 7 : 0x20))).toBe(true);
    expect(device[4000]).toBe(0);
    R[EFLAGS] = F_DF;
    R[RAX] = 1;
    R[RCX] = 3;
    exit(DEVICE + 0x5003, 0xf3, 0xaa);
    expect(Array.from(device.subarray(0x5000, 0x5005))).toEqual([0, 1, 1, 1, 0]);
  });

  it('MOVS to the device, from it, and within it once, also when it is emulated in parts', () => {
    for (let n = 0; n < 8; n++) mem8[0x2000 + n] = n + 1;
    R[RSI] = 0x2000;
    R[RDI] = DEVICE;
    R[RCX] = 2;
    exit(DEVICE, 0xf3, 0xa5);
    expect(Array.from(device.subarray(0, 8))).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    // Out of the device: only read.
    log = [];
    R[RSI] = DEVICE;
    R[RDI] = 0x3000;
    R[RCX] = 2;
    exit(DEVICE, 0xf3, 0xa4);
    expect(log).toEqual(['r1 0', 'r1 1']);
    expect(memView.getUint16(0x3000, true)).toBe(0);
    // Scrolling up by four bytes: the second exit finds one element less, and must not move again what was moved.
    R[RSI] = DEVICE + 4;
    R[RDI] = DEVICE;
    R[RCX] = 4;
    exit(DEVICE + 4, 0xf3, 0xa4);
    expect(Array.from(device.subarray(0, 8))).toEqual([5, 6, 7, 8, 5, 6, 7, 8]);
    R[RSI]++;
    R[RDI]++;
    R[RCX]--;
    device[4] = 99;
    exit(DEVICE + 5, 0xf3, 0xa4);
    expect(Array.from(device.subarray(0, 5))).toEqual([5, 6, 7, 8, 99]);
  });
});
