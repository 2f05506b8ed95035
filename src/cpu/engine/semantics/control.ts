/**
 * Near control transfers of 32- and 64-bit code with their block links (SDM 2). Records that end a block:
 *   [0] W  [1] link to the taken block  [2] link to the next block  [3] taken offset  [4] offset of the next instruction
 * Offsets are relative to IPB. A link of 0 is not made yet.
 *
 * A compare and the conditional jump after it make one record: the jump's words follow the compare's operands.
 */
import { FK_LOGIC, FK_SUB } from '../../flags';
import { AMASK, CURP, IPB, RCX, RSP } from '../../state';
import { compareCondition, conditionText, CONDITION_SUFFIXES, logicCondition } from './conditions';
import { address, below, flagsFromOperand, flagsFromResult, load, rarely, readReg, store } from './vocabulary';
import type { Operands, RecordKind, Size } from './vocabulary';

/** Words of a jump after its first word. */
export const JUMP_WORDS = 4;

function branch(o: Operands, test: string, at: number): string {
  return `if(${test}){${o.follow(at, 1)}}else{${o.follow(at, 2)}}`;
}

function conditionalJumps(code: number): RecordKind {
  return { name: `j${CONDITION_SUFFIXES[code]}`, words: 1 + JUMP_WORDS, ends: true, body: (o) => branch(o, conditionText(code), 0) };
}

/** CMP or TEST fused with the jump after it. */
function fusedJumps(code: number, size: Size): RecordKind[] {
  const wide = size === 64;
  const textSize = wide ? 64 : 32;
  const suffix = CONDITION_SUFFIXES[code];
  const difference = 'zl=xl-yl|0;' + (wide ? `zh=xh-yh-${below('xl', 'yl')}|0;` : size === 16 ? 'zl=zl<<16>>16;' : size === 8 ? 'zl=zl<<24>>24;' : '');
  const conjunction = 'zl=xl&yl;' + (wide ? 'zh=xh&yh;' : '');
  const immediate = (text: string): string => `yl=${text};` + (wide ? 'yh=yl>>31;' : '');
  const kinds: RecordKind[] = [];
  const compare = compareCondition(code, textSize);
  if (compare !== null) {
    const tail = difference + flagsFromOperand(FK_SUB, size, 'z', 'x');
    kinds.push(
      { name: `cmp${size}rr_j${suffix}`, words: 1 + JUMP_WORDS, ends: true, body: (o) => readReg(size, o.d, 'x') + readReg(size, o.s, 'y') + tail + branch(o, compare, 0) },
      { name: `cmp${size}ri_j${suffix}`, words: 2 + JUMP_WORDS, ends: true, body: (o) => readReg(size, o.d, 'x') + immediate(o.k(1)) + tail + branch(o, compare, 1) },
      { name: `cmp${size}rm_j${suffix}`, words: 2 + JUMP_WORDS, ends: true, body: (o) => address(o) + load(size, 'y') + readReg(size, o.d, 'x') + tail + branch(o, compare, 1) },
      { name: `cmp${size}mr_j${suffix}`, words: 2 + JUMP_WORDS, ends: true, body: (o) => address(o) + load(size, 'x') + readReg(size, o.s, 'y') + tail + branch(o, compare, 1) },
      { name: `cmp${size}mi_j${suffix}`, words: 3 + JUMP_WORDS, ends: true, body: (o) => address(o) + load(size, 'x') + immediate(o.k(2)) + tail + branch(o, compare, 2) },
    );
  }
  const logic = logicCondition(code, textSize);
  if (logic !== null) {
    const tail = conjunction + flagsFromResult(FK_LOGIC, size, 'z');
    kinds.push(
      { name: `test${size}rr_j${suffix}`, words: 1 + JUMP_WORDS, ends: true, body: (o) => readReg(size, o.d, 'x') + readReg(size, o.s, 'y') + tail + branch(o, logic, 0) },
      { name: `test${size}ri_j${suffix}`, words: 2 + JUMP_WORDS, ends: true, body: (o) => readReg(size, o.d, 'x') + immediate(o.k(1)) + tail + branch(o, logic, 1) },
      { name: `test${size}mi_j${suffix}`, words: 3 + JUMP_WORDS, ends: true, body: (o) => address(o) + load(size, 'x') + immediate(o.k(2)) + tail + branch(o, logic, 2) },
    );
  }
  return kinds;
}

/** Return address IPB + next offset in yl, yh. */
const RETURN_ADDRESS = (o: Operands): string => `u=${o.k(4)};yl=R[${IPB}]+u|0;yh=(R[${IPB + 1}]+${below('yl', 'u')})&R[${AMASK}];`;

function transfers(size: 32 | 64): RecordKind[] {
  const bytes = size / 8;
  const push = `a=R[${RSP}]-${bytes}|0;h=(R[${RSP + 1}]-((R[${RSP}]>>>0<${bytes})|0))&R[${AMASK}];${store(size, 'yl', 'yh')}R[${RSP}]=a;R[${RSP + 1}]=h;`;
  const high = size === 64 ? 'yh' : '0';
  const indirect = (o: Operands): string => o.arrive('zl', size === 64 ? 'zh' : '0');
  // A non-canonical target is refused by the instruction itself, before it changes anything.
  const refuse = (v: string): string => (size === 64 ? `if((${v}h>>15)+1>>>0>1)${rarely(`R[${CURP}]=P;raiseGp(0);`)}` : '');
  const pop = `a=R[${RSP}];h=R[${RSP + 1}]&R[${AMASK}];${load(size, 'y')}`;
  const ret = (o: Operands, extra: string): string => `${pop}${refuse('y')}t=a+${extra}|0;R[${RSP + 1}]=(h+((t>>>0<a>>>0)|0))&R[${AMASK}];R[${RSP}]=t;`
    + o.arrive('yl', high);
  return [
    { name: `call${size}`, words: 1 + JUMP_WORDS, ends: true, body: (o) => RETURN_ADDRESS(o) + push + o.follow(0, 1) },
    {
      name: `call${size}r`,
      words: 1 + JUMP_WORDS,
      ends: true,
      body: (o) => readReg(size, o.s, 'z') + refuse('z') + RETURN_ADDRESS(o) + push + indirect(o),
    },
    { name: `call${size}m`, words: 1 + JUMP_WORDS, ends: true, body: (o) => address(o) + load(size, 'z') + refuse('z') + RETURN_ADDRESS(o) + push + indirect(o) },
    { name: `jmp${size}r`, words: 1, ends: true, body: (o) => readReg(size, o.s, 'z') + refuse('z') + indirect(o) },
    { name: `jmp${size}m`, words: 2, ends: true, body: (o) => address(o) + load(size, 'z') + refuse('z') + indirect(o) },
    { name: `ret${size}`, words: 1, ends: true, body: (o) => ret(o, String(bytes)) },
    { name: `ret${size}i`, words: 2, ends: true, body: (o) => ret(o, `${bytes}+${o.k(1)}`) },
  ];
}

const FUSED_SIZES: readonly Size[] = [8, 32, 64];

export const CONTROL_KINDS: readonly RecordKind[] = [
  { name: 'jmp', words: 1 + JUMP_WORDS, ends: true, body: (o) => o.follow(0, 1) },
  // The block stops here although the code goes on.
  { name: 'next', words: 1 + JUMP_WORDS, ends: true, body: (o) => o.follow(0, 2) },
  ...CONDITION_SUFFIXES.map((_, code) => conditionalJumps(code)),
  ...FUSED_SIZES.flatMap((size) => CONDITION_SUFFIXES.flatMap((_, code) => fusedJumps(code, size))),
  { name: 'jrcxz', words: 1 + JUMP_WORDS, ends: true, body: (o) => branch(o, `(R[${RCX}]|R[${RCX + 1}])===0`, 0) },
  { name: 'jecxz', words: 1 + JUMP_WORDS, ends: true, body: (o) => branch(o, `R[${RCX}]===0`, 0) },
  ...transfers(32), ...transfers(64),
];
