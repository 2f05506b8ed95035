/** Data movement and address arithmetic: MOV MOVZX MOVSX LEA XCHG CMOVcc SETcc BSWAP IMUL PUSH POP, single MOVS STOS LODS, and address micro-records (SDM 2). */
import { FK_RESULT } from '../../flags';
import { AMASK, EAT, EFLAGS, F_DF, RBP, RDI, RSI, RSP } from '../../state';
import { conditionText, CONDITION_SUFFIXES } from './conditions';
import {
  address, below, flagsExplicit, load, modifyMemory, readReg, SIZES, store, writeReg,
} from './vocabulary';
import type { Operands, RecordKind, Size } from './vocabulary';

const WIDE: readonly Size[] = [16, 32, 64];

function moves(size: Size): RecordKind[] {
  const high = (o: Operands, n: number): string => (size === 64 ? `(${o.k(n)}>>31)` : '0');
  return [
    { name: `mov${size}rr`, words: 1, body: (o) => readReg(size, o.s, 'y') + writeReg(size, o.d, 'yl', 'yh') },
    { name: `mov${size}rm`, words: 2, body: (o) => address(o) + load(size, 'y') + writeReg(size, o.d, 'yl', 'yh') },
    { name: `mov${size}mr`, words: 2, body: (o) => address(o) + readReg(size, o.s, 'y') + store(size, 'yl', 'yh') },
    { name: `mov${size}mi`, words: 3, body: (o) => address(o) + store(size, o.k(2), high(o, 2)) },
    { name: `mov${size}ri`, words: 2, body: (o) => writeReg(size, o.d, o.k(1), high(o, 1)) },
    // XCHG with memory is locked, which a single vCPU at a time makes true by itself.
    { name: `xchg${size}rr`, words: 1, body: (o) => readReg(size, o.s, 'y') + readReg(size, o.d, 'x') + writeReg(size, o.d, 'yl', 'yh') + writeReg(size, o.s, 'xl', 'xh') },
    {
      name: `xchg${size}mr`,
      words: 2,
      body: (o) => address(o) + readReg(size, o.s, 'y') + modifyMemory(size, 'x', '', 'yl', 'yh') + writeReg(size, o.s, 'xl', 'xh'),
    },
    // A shift by a zero count: the memory operand is read and written all the same, so that it faults as a write does.
    { name: `touch${size}`, words: 2, body: (o) => address(o) + modifyMemory(size, 'y', '', 'yl', 'yh') },
  ];
}

/** Extensions from 8 or 16 bits (and 32 to 64: MOVSXD) to a wider register. */
function extensions(from: Size, to: Size): RecordKind[] {
  const mask = from === 8 ? '255' : '65535';
  const zero = `yl=yl&${mask};`;
  const kinds: RecordKind[] = [
    { name: `movsx${from}to${to}rr`, words: 1, body: (o) => readReg(from, o.s, 'y') + writeReg(to, o.d, 'yl', 'yl>>31') },
    { name: `movsx${from}to${to}rm`, words: 2, body: (o) => address(o) + load(from, 'y') + writeReg(to, o.d, 'yl', 'yl>>31') },
  ];
  if (from === 32) return kinds;
  return [
    ...kinds,
    { name: `movzx${from}to${to}rr`, words: 1, body: (o) => readReg(from, o.s, 'y') + zero + writeReg(to, o.d, 'yl', '0') },
    { name: `movzx${from}to${to}rm`, words: 2, body: (o) => address(o) + load(from, 'y') + zero + writeReg(to, o.d, 'yl', '0') },
  ];
}

/** Signed product of x and y, truncated; CF = OF = the product did not fit. */
function multiply(size: Size): string {
  if (size === 64) return 'multiplySigned64(xl,xh,yl,yh);zl=PRODUCT[0];zh=PRODUCT[1];v=zh>>31;' + flagsExplicit(FK_RESULT, 64, 'z', 'PRODUCT[2]!==v||PRODUCT[3]!==v?2049:0');
  if (size === 32) return 'zl=Math.imul(xl,yl);v=xl*yl;' + flagsExplicit(FK_RESULT, 32, 'z', 'v!==zl?2049:0');
  return 'v=Math.imul(xl,yl);zl=v<<16>>16;' + flagsExplicit(FK_RESULT, 16, 'z', 'v!==zl?2049:0');
}

/** The product alone. */
function product(size: Size): string {
  // 32 x 32 -> 64 of the low words by 16-bit pieces; the cross products only reach the high word.
  if (size === 64) {
    return 't=xl&65535;u=xl>>>16;v=yl&65535;w=yl>>>16;p=Math.imul(u,v)+(Math.imul(t,v)>>>16)|0;h=(p&65535)+Math.imul(t,w)|0;'
      + 'zl=Math.imul(xl,yl);zh=(Math.imul(u,w)+(p>>>16)+(h>>>16)|0)+Math.imul(xl,yh)+Math.imul(xh,yl)|0;';
  }
  return 'zl=Math.imul(xl,yl);';
}

function multiplications(size: Size): RecordKind[] {
  const imm = (o: Operands, n: number): string => `yl=${o.k(n)};` + (size === 64 ? 'yh=yl>>31;' : '');
  const quiet: RecordKind[] = size === 16 ? [] : [
    { name: `imul${size}rrq`, words: 1, body: (o) => readReg(size, o.s, 'y') + readReg(size, o.d, 'x') + product(size) + writeReg(size, o.d, 'zl', 'zh') },
    { name: `imul${size}rriq`, words: 2, body: (o) => readReg(size, o.s, 'x') + imm(o, 1) + product(size) + writeReg(size, o.d, 'zl', 'zh') },
  ];
  return [
    ...quiet,
    { name: `imul${size}rr`, words: 1, body: (o) => readReg(size, o.s, 'y') + readReg(size, o.d, 'x') + multiply(size) + writeReg(size, o.d, 'zl', 'zh') },
    { name: `imul${size}rm`, words: 2, body: (o) => address(o) + load(size, 'y') + readReg(size, o.d, 'x') + multiply(size) + writeReg(size, o.d, 'zl', 'zh') },
    { name: `imul${size}rri`, words: 2, body: (o) => readReg(size, o.s, 'x') + imm(o, 1) + multiply(size) + writeReg(size, o.d, 'zl', 'zh') },
    { name: `imul${size}rmi`, words: 3, body: (o) => address(o) + load(size, 'x') + imm(o, 2) + multiply(size) + writeReg(size, o.d, 'zl', 'zh') },
  ];
}

function conditionalMoves(code: number): RecordKind[] {
  const suffix = CONDITION_SUFFIXES[code];
  const test = conditionText(code);
  const kinds: RecordKind[] = WIDE.flatMap((size) => {
    const keep = size === 32 ? (o: Operands): string => `else R[${o.d}+1|0]=0;` : (): string => '';
    return [
      { name: `cmov${suffix}${size}rr`, words: 1, body: (o) => `if(${test}){${readReg(size, o.s, 'y')}${writeReg(size, o.d, 'yl', 'yh')}}${keep(o)}` },
      {
        name: `cmov${suffix}${size}rm`,
        words: 2,
        body: (o) => address(o) + load(size, 'y') + `if(${test}){${writeReg(size, o.d, 'yl', 'yh')}}${keep(o)}`,
      },
    ];
  });
  return [
    ...kinds,
    { name: `set${suffix}r`, words: 1, body: (o) => `R8[${o.d}]=${test}?1:0;` },
    { name: `set${suffix}m`, words: 2, body: (o) => `${address(o)}yl=${test}?1:0;${store(8, 'yl', '0')}` },
  ];
}

const SWAP = (v: string): string => `(${v}<<24|(${v}&65280)<<8|${v}>>>8&65280|${v}>>>24)`;

/** Stack pointer arithmetic: 64-bit code, or 32-bit code with a flat 32-bit stack (the high word is then masked away). */
function pushText(size: 32 | 64, l: string, hi: string): string {
  const bytes = size / 8;
  return `a=R[${RSP}]-${bytes}|0;h=(R[${RSP + 1}]-((R[${RSP}]>>>0<${bytes})|0))&R[${AMASK}];${store(size, l, hi)}R[${RSP}]=a;R[${RSP + 1}]=h;`;
}
function popText(size: 32 | 64): string {
  return `a=R[${RSP}];h=R[${RSP + 1}]&R[${AMASK}];${load(size, 'y')}t=a+${size / 8}|0;h=h+((t>>>0<${size / 8})|0)&R[${AMASK}];`;
}
const POP_COMMIT = `R[${RSP}]=t;R[${RSP + 1}]=h;`;

function stackKinds(size: 32 | 64): RecordKind[] {
  return [
    { name: `push${size}r`, words: 1, body: (o) => readReg(size, o.s, 'y') + pushText(size, 'yl', 'yh') },
    { name: `push${size}i`, words: 2, body: (o) => `yl=${o.k(1)};${pushText(size, 'yl', 'yl>>31')}` },
    { name: `push${size}m`, words: 2, body: (o) => address(o) + load(size, 'y') + pushText(size, 'yl', 'yh') },
    { name: `pop${size}r`, words: 1, body: (o) => popText(size) + POP_COMMIT + writeReg(size, o.d, 'yl', 'yh') },
    {
      name: `leave${size}`,
      words: 1,
      body: () => `a=R[${RBP}];h=R[${RBP + 1}]&R[${AMASK}];${load(size, 'y')}t=a+${size / 8}|0;h=h+((t>>>0<${size / 8})|0)&R[${AMASK}];`
        + POP_COMMIT + `R[${RBP}]=yl;R[${RBP + 1}]=${size === 64 ? 'yh' : '0'};`,
    },
  ];
}

/** base + index * 2^scale + displacement: d = index register, s = scale, b = base. */
const SCALED = (o: Operands): string => `t=${o.k(1)};i=${o.b};a=R[i]+t|0;h=R[i+1|0]+(t>>31)+${below('a', 't')}|0;`
  + `i=${o.d};w=${o.s};v=R[i];t=v<<w;u=R[i+1|0]<<w|(v>>>1)>>>(31-w);a=a+t|0;h=(h+u+${below('a', 't')})&R[${AMASK}];`;

const ADDRESS_KINDS: readonly RecordKind[] = [
  { name: 'ea', words: 2, body: (o) => `${SCALED(o)}R[${EAT}]=a;R[${EAT + 1}]=h;` },
  // The same plus a segment base (FS, GS in 64-bit code): word 2 = index of the base in R.
  { name: 'easeg', words: 3, body: (o) => `${SCALED(o)}i=${o.k(2)};t=R[i];a=a+t|0;R[${EAT}]=a;R[${EAT + 1}]=h+R[i+1|0]+${below('a', 't')}|0;` },
  // base + displacement + segment base.
  { name: 'easegd', words: 3, body: (o) => `${address(o)}i=${o.k(2)};t=R[i];a=a+t|0;R[${EAT}]=a;R[${EAT + 1}]=h+R[i+1|0]+${below('a', 't')}|0;` },
  // 32-bit addresses in 64-bit code: truncated.
  { name: 'ea32', words: 2, body: (o) => `i=${o.d};a=R[${o.b}]+(R[i]<<${o.s})+${o.k(1)}|0;R[${EAT}]=a;R[${EAT + 1}]=0;` },
  { name: 'lea64', words: 2, body: (o) => `${address(o)}i=${o.d};R[i]=a;R[i+1|0]=h;` },
  { name: 'lea32', words: 2, body: (o) => `${o.addressLow}i=${o.d};R[i]=a;R[i+1|0]=0;` },
  { name: 'lea16', words: 2, body: (o) => `${o.addressLow}R16[${o.d}<<1]=a;` },
];

/** An index register on by one element, in the direction that DF says. */
function step(size: Size, register: number): string {
  const bytes = size / 8;
  return `w=${bytes}-((R[${EFLAGS}]&${F_DF})>>>9)*${bytes}|0;t=R[${register}]+w|0;R[${register + 1}]=(R[${register + 1}]+(w>>31)+${below('t', 'w')})&R[${AMASK}];R[${register}]=t;`;
}

const AT = (register: number): string => `a=R[${register}];h=R[${register + 1}]&R[${AMASK}];`;

/** MOVS, STOS, LODS without a repeat prefix, through flat segments, with the mode's own address size. */
function stringKinds(size: Size): RecordKind[] {
  return [
    { name: `movs${size}`, words: 1, body: () => AT(RSI) + load(size, 'y') + AT(RDI) + store(size, 'yl', 'yh') + step(size, RSI) + step(size, RDI) },
    { name: `stos${size}`, words: 1, body: () => AT(RDI) + readReg(size, '0', 'y') + store(size, 'yl', 'yh') + step(size, RDI) },
    { name: `lods${size}`, words: 1, body: () => AT(RSI) + load(size, 'y') + writeReg(size, '0', 'yl', 'yh') + step(size, RSI) },
  ];
}

export const MOVE_KINDS: readonly RecordKind[] = [
  ...SIZES.flatMap(moves),
  ...extensions(8, 16), ...extensions(8, 32), ...extensions(8, 64),
  ...extensions(16, 32), ...extensions(16, 64), ...extensions(32, 64),
  ...WIDE.flatMap(multiplications),
  ...CONDITION_SUFFIXES.flatMap((_, code) => conditionalMoves(code)),
  { name: 'mov64ri64', words: 3, body: (o) => `i=${o.d};R[i]=${o.k(1)};R[i+1|0]=${o.k(2)};` },
  { name: 'bswap32', words: 1, body: (o) => `i=${o.d};xl=R[i];R[i]=${SWAP('xl')};R[i+1|0]=0;` },
  { name: 'bswap64', words: 1, body: (o) => `i=${o.d};xl=R[i];xh=R[i+1|0];R[i]=${SWAP('xh')};R[i+1|0]=${SWAP('xl')};` },
  ...stackKinds(32), ...stackKinds(64),
  ...SIZES.flatMap(stringKinds),
  ...ADDRESS_KINDS,
];
