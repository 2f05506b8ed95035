/** Control of the x87: memory images in all layouts, pointers, availability, pending errors, FXSAVE. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import {
  R, RAX, AMASK, CODE64, CR0, CR0_EM, CR0_ET, CR0_MP, CR0_NE, CR0_PE, CR0_TS, CR4, CR4_OSFXSR, CS, DS, EFLAGS, FAULT_VECTOR, FCS, FCW, FDP, FDS, FIP, FOP, FP_EXP,
  FP_MANT, FP_VALID, FSW, FTOP, IPB, MODE, MXCSR, SEG_AR, SEG_SEL, XMM, X_GP, X_MF, X_NM, X_UD,
} from '../../../src/cpu/state';
import { C, INFO, MODE_FLAT } from '../../../src/cpu/record';
import { FAULT } from '../../../src/cpu/fault';
import { fpuErrorPin, x87Handlers } from '../../../src/cpu/fpu';
import { mmxHandlers } from '../../../src/cpu/mmx';
import { statusWord, tagWord } from '../../../src/cpu/fpu/stack';
import { memory } from '../../host/flat-memory';

vi.mock('../../../src/cpu/mmu/access', () => import('../../host/flat-memory'));

const RECORD = 64, AT = 0x1000;
const view = new DataView(memory.buffer);

/** Runs a handler with the memory operand at AT (register operand `rm` when given). */
function run(key: string, options: { rm?: number; operandSize?: number; modrm?: number; at?: number } = {}): void {
  const isMemory = options.rm === undefined;
  C[RECORD] = (2 << 10) | ((options.operandSize ?? 1) << 14) | (2 << 16) | (isMemory ? 1 << 21 : 0) | (DS << 22);
  C[RECORD + 1] = ((options.rm ?? 0) << 4) | (16 << 8) | (16 << 13) | ((options.modrm ?? 0) << 24);
  C[RECORD + 2] = options.at ?? AT;
  INFO[RECORD] = 0x345;
  const handler = x87Handlers[key] ?? mmxHandlers[key];
  handler(RECORD);
}

/** Vector of the fault that a handler raises, -1 for none. */
function faultOf(key: string, options: { rm?: number; at?: number } = {}): number {
  try {
    run(key, options);
  } catch (thrown) {
    if (thrown !== FAULT) throw thrown;
    return R[FAULT_VECTOR];
  }
  return -1;
}

beforeEach(() => {
  R.fill(0);
  memory.fill(0);
  R[CR0] = CR0_PE | CR0_ET | CR0_NE;
  R[CR4] = CR4_OSFXSR;
  R[MODE] = 2 | MODE_FLAT;
  R[CODE64] = 1;
  R[AMASK] = -1;
  R[SEG_AR + DS] = 0xc093;
  R[SEG_SEL + CS] = 0x10;
  R[SEG_SEL + DS] = 0x18;
  R[IPB] = 0x40002000;
  R[IPB + 1] = 0x7fff;
  R[EFLAGS] = 2;
  run('fninit', { rm: 3 });
});

describe('x87 pointers', () => {
  it('name the last non-control instruction and its operand', () => {
    run('fld1', { rm: 0, modrm: 0xe8 });
    run('fst_m64', { modrm: 0x15 });
    expect([R[FIP], R[FIP + 1], R[FDP], R[FDP + 1], R[FCS], R[FDS], R[FOP]]).toEqual([0x40002345, 0x7fff, AT, 0, 0x10, 0x18, 0x515]);
    run('fnstcw');
    expect(R[FOP]).toBe(0x515);
  });
});

describe('x87 memory images', () => {
  function prepare(): void {
    run('fld1', { rm: 0 });
    run('fldz', { rm: 0 });
    R[FIP] = 0x12345678;
    R[FIP + 1] = 0;
    R[FDP] = 0x9abcdef0 | 0;
    R[FOP] = 0x5a5;
    R[FCS] = 0x23;
    R[FDS] = 0x2b;
  }

  it('protected 32-bit environment', () => {
    prepare();
    run('fnstenv');
    const words = Array.from({ length: 7 }, (_, i) => view.getUint32(AT + 4 * i, true).toString(16));
    expect(words).toEqual(['ffff037f', 'ffff3000', 'ffff1fff', '12345678', '5a50023', '9abcdef0', 'ffff002b']);
  });

  it('protected 16-bit environment', () => {
    prepare();
    run('fnstenv', { operandSize: 0 });
    const words = Array.from({ length: 7 }, (_, i) => view.getUint16(AT + 2 * i, true).toString(16));
    expect(words).toEqual(['37f', '3000', '1fff', '5678', '23', 'def0', '2b']);
  });

  it('real-mode environments hold linear addresses', () => {
    prepare();
    R[CR0] &= ~CR0_PE;
    R[FIP] = 0x5678;
    R[FCS] = 0x1000;
    R[FDP] = 0x0004;
    R[FDS] = 0xf000;
    run('fnstenv', { operandSize: 0 });
    expect(Array.from({ length: 7 }, (_, i) => view.getUint16(AT + 2 * i, true).toString(16))).toEqual(['37f', '3000', '1fff', '5678', '15a5', '4', 'f000']);
    run('fnstenv', { operandSize: 1 });
    expect(Array.from({ length: 4 }, (_, i) => view.getUint32(AT + 12 + 4 * i, true).toString(16))).toEqual(['ffff5678', '15a5', 'ffff0004', 'f000']);
    R[FOP] = 0;
    run('fldenv', { operandSize: 1 });
    expect([R[FIP], R[FDP], R[FOP]]).toEqual([0x15678, 0xf0004, 0x5a5]);
  });

  it('FNSTENV masks exceptions, FLDENV brings the environment back', () => {
    prepare();
    run('fldcw', { at: 0x2000 });
    view.setUint16(0x2000, 0x340, true);
    run('fldcw', { at: 0x2000 });
    run('fnstenv');
    expect(R[FCW]).toBe(0x37f);
    run('fninit', { rm: 3 });
    run('fldenv');
    expect([R[FCW], statusWord(), tagWord(), R[FIP], R[FDP], R[FOP], R[FCS], R[FDS]])
      .toEqual([0x340, 0x3000, 0x1fff, 0x12345678, 0x9abcdef0 | 0, 0x5a5, 0x23, 0x2b]);
  });

  it.each([0, 1])('FNSAVE and FRSTOR round trip (operand size %i)', (operandSize) => {
    prepare();
    run('fldpi', { rm: 0 });
    const before = [R[FTOP], R[FP_VALID], ...R.slice(FP_MANT, FP_MANT + 16), ...R.slice(FP_EXP, FP_EXP + 8)];
    run('fnsave', { operandSize });
    expect([R[FTOP], R[FP_VALID], R[FCW]]).toEqual([0, 0, 0x37f]);
    R.fill(-1, FP_MANT, FP_MANT + 16);
    run('frstor', { operandSize });
    expect([R[FTOP], R[FP_VALID], ...R.slice(FP_MANT, FP_MANT + 16), ...R.slice(FP_EXP, FP_EXP + 8)]).toEqual(before);
  });
});

describe('FXSAVE', () => {
  it('lays out and restores the state', () => {
    run('fldpi', { rm: 0 });
    R[MXCSR] = 0x1fa0;
    for (let i = 0; i < 64; i++) R[XMM + i] = 0x1000 + i;
    const before = R.slice(XMM, 296);
    run('fxsave', { operandSize: 2 });
    expect([view.getUint16(AT, true), view.getUint16(AT + 2, true), memory[AT + 4], view.getUint32(AT + 24, true), view.getUint32(AT + 28, true)])
      .toEqual([0x37f, 0x3800, 0x80, 0x1fa0, 0xffff]);
    expect(view.getBigUint64(AT + 32, true)).toBe(0xc90fdaa22168c235n);
    expect(view.getUint16(AT + 40, true)).toBe(0x4000);
    expect(view.getBigUint64(AT + 8, true)).toBe(0x7fff40002345n);
    expect(view.getUint32(AT + 160 + 255 - 3, true)).toBe(0x103f);
    R.fill(0, XMM, 296);
    run('fxrstor', { operandSize: 2 });
    before[FCS - XMM] = before[FDS - XMM] = 0;
    expect(R.slice(XMM, 296)).toEqual(before);
  });

  it('leaves SSE state alone without CR4.OSFXSR, XMM8-15 outside 64-bit code', () => {
    R[XMM] = 5;
    R[XMM + 63] = 6;
    R[CR4] = 0;
    run('fxsave');
    expect(view.getUint32(AT + 160, true)).toBe(0);
    R[CR4] = CR4_OSFXSR;
    R[CODE64] = 0;
    run('fxsave');
    expect([view.getUint32(AT + 160, true), view.getUint32(AT + 160 + 252, true)]).toEqual([5, 0]);
  });

  it('checks alignment and MXCSR', () => {
    expect(faultOf('fxsave', { at: AT + 8 })).toBe(X_GP);
    run('fxsave');
    view.setUint32(AT + 24, 0x10000, true);
    R[FCW] = 0x40;
    expect(faultOf('fxrstor')).toBe(X_GP);
    expect(R[FCW]).toBe(0x40);
  });
});

describe('availability', () => {
  it('#NM by EM and TS, WAIT only by MP and TS', () => {
    for (const bit of [CR0_EM, CR0_TS]) {
      R[CR0] = CR0_PE | CR0_NE | bit;
      expect([faultOf('fld1', { rm: 0 }), faultOf('fnstsw'), faultOf('fxsave'), faultOf('fwait', { rm: 0 })]).toEqual([X_NM, X_NM, X_NM, -1]);
    }
    R[CR0] = CR0_PE | CR0_NE | CR0_TS | CR0_MP;
    expect(faultOf('fwait', { rm: 0 })).toBe(X_NM);
  });

  it('MMX: #UD by EM, #NM by TS', () => {
    R[CR0] |= CR0_TS;
    expect(faultOf('pxor', { rm: 1 })).toBe(X_NM);
    R[CR0] |= CR0_EM;
    expect(faultOf('pxor', { rm: 1 })).toBe(X_UD);
  });

  it('an unmasked exception is taken by the next waiting instruction', () => {
    view.setUint16(AT, 0x37b, true);
    run('fldcw');
    run('fld1', { rm: 0 });
    run('fldz', { rm: 0 });
    run('fdivp', { rm: 1 });
    expect([R[FSW] & 0x80ff, R[FTOP]]).toEqual([0x8084, 6]);
    expect([faultOf('fld1', { rm: 0 }), faultOf('fwait', { rm: 0 }), faultOf('paddb', { rm: 0 }), faultOf('fnstsw'), faultOf('fnstcw')])
      .toEqual([X_MF, X_MF, X_MF, -1, -1]);
    run('fnclex', { rm: 0 });
    expect(faultOf('fld1', { rm: 0 })).toBe(-1);
  });

  it('with CR0.NE = 0 drives FERR# instead', () => {
    const levels: boolean[] = [];
    fpuErrorPin((asserted) => levels.push(asserted));
    R[CR0] &= ~CR0_NE;
    view.setUint16(AT, 0x37e, true);
    run('fldcw');
    run('fchs', { rm: 0 });
    expect(levels).toEqual([]);
    expect(faultOf('fwait', { rm: 0 })).toBe(-1);
    run('fnclex', { rm: 0 });
    expect(levels).toEqual([true, false]);
  });
});

describe('MMX state', () => {
  it('aliases the significands by physical register and makes all tags valid', () => {
    run('fld1', { rm: 0 });
    R[RAX] = 0x1234;
    C[RECORD + 1] = 0;
    run('movdMmx', { rm: 0 });
    expect([R[FTOP], R[FP_VALID], R[FP_MANT], R[FP_MANT + 1], R[FP_EXP]]).toEqual([0, 0xff, 0x1234, 0, 0xffff]);
    run('emms', { rm: 0 });
    expect(R[FP_VALID]).toBe(0);
  });
});
