/** Two-operand and one-operand arithmetic and logic: ADD OR ADC SBB AND SUB XOR CMP TEST, INC DEC NEG NOT (SDM 2). */
import { FK_ADD, FK_DEC, FK_INC, FK_LOGIC, FK_RESULT, FK_SUB } from '../../flags';
import {
  address, below, flagsExplicit, flagsFromOperand, flagsFromResult, load, modifyMemory, narrow, readReg, SIZES, writeReg,
} from './vocabulary';
import { FX } from '../../state';
import type { Operands, RecordKind, Size } from './vocabulary';

export const BINARY = ['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp', 'test'] as const;
export const UNARY = ['inc', 'dec', 'neg', 'not'] as const;
type Binary = (typeof BINARY)[number];
type Unary = (typeof UNARY)[number];

/** Operations that write no destination. */
function comparesOnly(op: Binary): boolean {
  return op === 'cmp' || op === 'test';
}

/** z = x op y and its flags (without flags when `flags` is false). */
function compute(op: Binary, size: Size, flags: boolean): string {
  const wide = size === 64;
  switch (op) {
    case 'add':
      return 'zl=xl+yl|0;' + (wide ? `zh=xh+yh+${below('zl', 'yl')}|0;` : narrow(size, 'z')) + (flags ? flagsFromOperand(FK_ADD, size, 'z', 'y') : '');
    case 'sub':
    case 'cmp':
      return 'zl=xl-yl|0;' + (wide ? `zh=xh-yh-${below('xl', 'yl')}|0;` : narrow(size, 'z')) + (flags ? flagsFromOperand(FK_SUB, size, 'z', 'x') : '');
    case 'and':
    case 'test':
      return 'zl=xl&yl;' + (wide ? 'zh=xh&yh;' : '') + (flags ? flagsFromResult(FK_LOGIC, size, 'z') : '');
    case 'or': return 'zl=xl|yl;' + (wide ? 'zh=xh|yh;' : '') + (flags ? flagsFromResult(FK_LOGIC, size, 'z') : '');
    case 'xor': return 'zl=xl^yl;' + (wide ? 'zh=xh^yh;' : '') + (flags ? flagsFromResult(FK_LOGIC, size, 'z') : '');
    case 'adc':
    case 'sbb': {
      const add = op === 'adc';
      const x = wide ? 'xh' : 'xl', y = wide ? 'yh' : 'yl', z = wide ? 'zh' : 'zl';
      let text = 'w=getCf()|0;' + (add ? 'zl=xl+yl+w|0;' : 'zl=xl-yl-w|0;');
      if (wide) {
        text += add ? 'u=((xl&yl)|((xl|yl)&~zl))>>>31;zh=xh+yh+u|0;' : 'u=((~xl&yl)|((~xl|yl)&zl))>>>31;zh=xh-yh-u|0;';
      } else text += narrow(size, 'z');
      // Carry and overflow from the sign words: exact for sign-extended narrow values too.
      const carry = add ? `((${x}&${y})|((${x}|${y})&~${z}))>>>31` : `((~${x}&${y})|((~${x}|${y})&${z}))>>>31`;
      const overflow = add ? `((${x}^${z})&(${y}^${z}))>>>31` : `((${x}^${y})&(${x}^${z}))>>>31`;
      return text + flagsExplicit(FK_RESULT, size, 'z', `${carry}|((xl^yl^zl)&16)|(${overflow})<<11`);
    }
  }
}

function writeBack(op: Binary, size: Size, d: string): string {
  return comparesOnly(op) ? '' : writeReg(size, d, 'zl', 'zh');
}

function binaryKinds(op: Binary, size: Size): RecordKind[] {
  const imm = (o: Operands, n: number): string => `yl=${o.k(n)};` + (size === 64 ? 'yh=yl>>31;' : '');
  const calc = compute(op, size, true);
  const kinds: RecordKind[] = [
    { name: `${op}${size}rr`, words: 1, body: (o) => readReg(size, o.s, 'y') + readReg(size, o.d, 'x') + calc + writeBack(op, size, o.d) },
    { name: `${op}${size}ri`, words: 2, body: (o) => readReg(size, o.d, 'x') + imm(o, 1) + calc + writeBack(op, size, o.d) },
  ];
  if (op !== 'adc' && op !== 'sbb' && !comparesOnly(op) && size >= 32) {
    const quiet = compute(op, size, false);
    kinds.push({ name: `${op}${size}rrq`, words: 1, body: (o) => readReg(size, o.s, 'y') + readReg(size, o.d, 'x') + quiet + writeBack(op, size, o.d) });
    kinds.push({ name: `${op}${size}riq`, words: 2, body: (o) => readReg(size, o.d, 'x') + imm(o, 1) + quiet + writeBack(op, size, o.d) });
  }
  if (op !== 'test') {
    kinds.push({ name: `${op}${size}rm`, words: 2, body: (o) => address(o) + load(size, 'y') + readReg(size, o.d, 'x') + calc + writeBack(op, size, o.d) });
  }
  if (comparesOnly(op)) {
    kinds.push(
      { name: `${op}${size}mr`, words: 2, body: (o) => address(o) + load(size, 'x') + readReg(size, o.s, 'y') + calc },
      { name: `${op}${size}mi`, words: 3, body: (o) => address(o) + load(size, 'x') + imm(o, 2) + calc },
    );
  } else {
    kinds.push(
      { name: `${op}${size}mr`, words: 2, body: (o) => address(o) + readReg(size, o.s, 'y') + modifyMemory(size, 'x', calc, 'zl', 'zh') },
      { name: `${op}${size}mi`, words: 3, body: (o) => address(o) + imm(o, 2) + modifyMemory(size, 'x', calc, 'zl', 'zh') },
    );
  }
  return kinds;
}

function computeUnary(op: Unary, size: Size): string {
  const wide = size === 64;
  switch (op) {
    case 'inc':
      return `R[${FX}]=getCf()|0;zl=xl+1|0;` + (wide ? 'zh=xh+((zl===0)|0)|0;' : narrow(size, 'z')) + flagsFromResult(FK_INC, size, 'z');
    case 'dec':
      return `R[${FX}]=getCf()|0;zl=xl-1|0;` + (wide ? 'zh=xh-((xl===0)|0)|0;' : narrow(size, 'z')) + flagsFromResult(FK_DEC, size, 'z');
    case 'neg':
      return 'zl=-xl|0;' + (wide ? 'zh=-xh-((xl!==0)|0)|0;' : narrow(size, 'z')) + 'yl=0;yh=0;' + flagsFromOperand(FK_SUB, size, 'z', 'y');
    case 'not': return 'zl=~xl;' + (wide ? 'zh=~xh;' : '');
  }
}

function unaryKinds(op: Unary, size: Size): RecordKind[] {
  const calc = computeUnary(op, size);
  const quiet = op === 'inc' ? 'zl=xl+1|0;' + (size === 64 ? 'zh=xh+((zl===0)|0)|0;' : '') : 'zl=xl-1|0;' + (size === 64 ? 'zh=xh-((xl===0)|0)|0;' : '');
  return [
    ...((op === 'inc' || op === 'dec') && size >= 32
      ? [{ name: `${op}${size}rq`, words: 1, body: (o: Operands) => readReg(size, o.d, 'x') + quiet + writeReg(size, o.d, 'zl', 'zh') }] : []),
    { name: `${op}${size}r`, words: 1, body: (o) => readReg(size, o.d, 'x') + calc + writeReg(size, o.d, 'zl', 'zh') },
    { name: `${op}${size}m`, words: 2, body: (o) => address(o) + modifyMemory(size, 'x', calc, 'zl', 'zh') },
  ];
}

export const ALU_KINDS: readonly RecordKind[] = [
  ...BINARY.flatMap((op) => SIZES.flatMap((size) => binaryKinds(op, size))),
  ...UNARY.flatMap((op) => SIZES.flatMap((size) => unaryKinds(op, size))),
];
