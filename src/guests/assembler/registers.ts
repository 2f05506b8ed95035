/** Register names of the assembler. */
import { generalRegisterName, SEGMENT_NAMES } from '../../cpu/opcodes/operand-kinds';
import type { RegisterClass } from '../../cpu/opcodes/operand-kinds';

export interface Register {
  readonly name: string;
  readonly registers: RegisterClass;
  readonly number: number;
  readonly bits: number;
  /** SPL BPL SIL DIL: encoded only with REX. AH CH DH BH: only without. */
  readonly rex: 'needed' | 'forbidden' | '';
}

const REGISTERS = new Map<string, Register>();

function add(name: string, registers: RegisterClass, number: number, bits: number, rex: Register['rex'] = ''): void {
  REGISTERS.set(name, { name, registers, number, bits, rex });
}

for (let n = 0; n < 16; n++) {
  for (const bits of [16, 32, 64]) add(generalRegisterName(n, bits, true), 'general', n, bits);
  add(generalRegisterName(n, 8, true), 'general', n, 8, n >= 4 && n < 8 ? 'needed' : '');
  if (n >= 4 && n < 8) add(generalRegisterName(n, 8, false), 'general', n, 8, 'forbidden');
  add(`xmm${n}`, 'xmm', n, 128);
  add(`cr${n}`, 'control', n, 0);
  add(`dr${n}`, 'debug', n, 0);
  if (n < 8) {
    add(`mm${n}`, 'mmx', n, 64);
    add(`st${n}`, 'x87', n, 80);
  }
}
SEGMENT_NAMES.forEach((name, n) => add(name, 'segment', n, 16));

/** The register of this name, in any case; undefined if it is none. */
export function parseRegister(name: string): Register | undefined {
  return REGISTERS.get(name.toLowerCase());
}
