/** ENTER, LEAVE, PUSHA, POPA, BOUND and XLAT, run on a bare CPU. */
import { beforeAll, describe, expect, it } from 'vitest';
import { assemble } from '../../../src/guests/assembler/assembler';
import { R, RAX, RBP, RBX, RCX, RDI, RDX, RIP, RSI, RSP } from '../../../src/cpu/state';
import { memView } from '../../../src/cpu/mmu/memory';
import { physWriteBytes } from '../../../src/cpu/mmu/physical';
import { createBareCpu, enterMode, run, shutdownReason } from '../../support/bare-cpu';

const CODE = 0x7000;

function execute(source: string, bits: 16 | 32 | 64, setUp: () => void = () => undefined): void {
  const program = assemble(`${source}\nhlt`, { bits, origin: BigInt(CODE) });
  if (!program.ok) throw new Error(JSON.stringify(program.errors));
  enterMode(bits);
  physWriteBytes(CODE, program.bytes);
  R[RIP] = CODE;
  setUp();
  run();
}

beforeAll(() => createBareCpu(16));

describe('ENTER and LEAVE', () => {
  it('make and undo a plain frame', () => {
    execute('mov rbp, 0x1234567890\nenter 0x20, 0\nmov rax, rsp\nmov rbx, rbp\nleave', 64);
    expect([R[RAX], R[RBX]]).toEqual([0x8000 - 8 - 0x20, 0x8000 - 8]);
    expect([R[RSP], R[RBP], R[RBP + 1]]).toEqual([0x8000, 0x34567890, 0x12]);
    expect(memView.getBigUint64(0x7ff8, true)).toBe(0x1234567890n);
  });

  it('copies the frame pointers of outer levels', () => {
    // Two outer frame pointers below EBP.
    execute('mov ebp, 0x6100\nmov dword [0x60fc], 0xaaaa\nmov dword [0x60f8], 0xbbbb\nenter 8, 3', 32);
    expect(R[RBP]).toBe(0x7ffc);
    expect(R[RSP]).toBe(0x8000 - 16 - 8);
    expect([0x7ffc, 0x7ff8, 0x7ff4, 0x7ff0].map((at) => memView.getUint32(at, true))).toEqual([0x6100, 0xaaaa, 0xbbbb, 0x7ffc]);
  });

  it('keep to 16 bits in 16-bit code', () => {
    execute('enter 4, 1\nmov ax, sp\nmov bx, bp\nleave', 16, () => {
      R[RBP] = 0x55554444;
      R[RSP] = 0x66668000;
    });
    expect([R[RAX] & 0xffff, R[RBX] & 0xffff]).toEqual([0x8000 - 4 - 4, 0x7ffe]);
    expect([R[RSP], R[RBP]]).toEqual([0x66668000, 0x55554444]);
  });

  it('leave everything as it was when the frame cannot be written', () => {
    execute('mov rsp, 0x200000000\nmov rbp, 5\nenter 16, 2', 64);
    expect(shutdownReason()).not.toBe('');
    expect([R[RSP], R[RSP + 1], R[RBP]]).toEqual([0, 2, 5]);
  });
});

describe('PUSHA and POPA', () => {
  it.each([16, 32] as const)('keep all registers but the stack pointer, %i-bit', (bits) => {
    const values = new Map([[RAX, 1], [RCX, 2], [RDX, 3], [RBX, 4], [RBP, 5], [RSI, 6], [RDI, 7]]);
    const clear = ['ax', 'cx', 'dx', 'bx', 'bp', 'si', 'di'].map((name) => `xor ${bits === 32 ? 'e' : ''}${name}, ${bits === 32 ? 'e' : ''}${name}`).join('\n');
    execute(`pusha\n${clear}\npopa`, bits, () => {
      for (const [register, value] of values) R[register] = value;
    });
    for (const [register, value] of values) expect(R[register]).toBe(value);
    expect(R[RSP]).toBe(0x8000);
    const width = bits / 8;
    const pushed = Array.from({ length: 8 }, (_, n) => (bits === 16 ? memView.getUint16(0x8000 - width * (n + 1), true) : memView.getUint32(0x8000 - width * (n + 1), true)));
    expect(pushed).toEqual([1, 2, 3, 4, 0x8000, 5, 6, 7]);
  });
});

describe('BOUND', () => {
  it.each([[-3, true], [-4, false], [10, true], [11, false]])('%i within -3 to 10: %s', (index, fits) => {
    execute(`mov dword [0x6000], -3\nmov dword [0x6004], 10\nmov eax, ${index}\nbound eax, [0x6000]`, 32);
    expect(shutdownReason() === '').toBe(fits);
  });
});

describe('XLAT', () => {
  it('looks AL up in the table at RBX', () => {
    execute('mov byte [0x6042], 0x99\nmov rbx, 0x6000\nmov eax, 0x1142\nxlatb', 64);
    expect(R[RAX]).toBe(0x1199);
  });
});
