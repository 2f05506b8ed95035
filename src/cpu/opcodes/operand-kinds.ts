/**
 * The operand notation of the opcode rows (SDM 2D appendix A.2) taken apart: which field of the instruction an operand stands
 * in, what registers it names and how wide it is. Shared by the disassembler, the assembler and the random tester.
 */

/** Where an operand is encoded. */
export type OperandRole =
  | 'rm' // ModRM.r/m: register or memory, as `register` and `memory` say
  | 'reg' // ModRM.reg
  | 'opcode' // opcode bits 2:0
  | 'immediate'
  | 'relative'
  | 'far' // ptr16:16, ptr16:32
  | 'moffs'
  | 'fixed' // a register that the opcode implies
  | 'one' // the constant 1
  | 'source' // string operand DS:rSI
  | 'destination'; // string operand ES:rDI

export type RegisterClass = 'general' | 'mmx' | 'xmm' | 'segment' | 'control' | 'debug' | 'x87' | 'none';

/**
 * Width: bits as a number; or by the operand size: 'v' 16/32/64, 'y' 32 or 64, 'z' 16 or 32 (an immediate sign-extended to
 * 64), 's8' an 8-bit immediate sign-extended to the operand size, 'far' a far pointer of the operand size, 'pair' two of it,
 * 'none' an address or structure without width.
 */
export type OperandWidth = number | 'v' | 'y' | 'z' | 's8' | 'far' | 'pair' | 'none';

export interface OperandKind {
  readonly token: string;
  readonly role: OperandRole;
  readonly registers: RegisterClass;
  readonly width: OperandWidth;
  /** An rm operand may be a register / memory. */
  readonly register: boolean;
  readonly memory: boolean;
  /** Register number of a fixed register. */
  readonly number: number;
}

const WIDTHS: Record<string, OperandWidth> = {
  b: 8, w: 16, d: 32, q: 64, dq: 128, t: 80, v: 'v', y: 'y', z: 'z', p: 'far', a: 'pair', s: 'none', '': 'none',
};

const FIXED_GENERAL: Record<string, [number, OperandWidth]> = {
  AL: [0, 8], CL: [1, 8], AX: [0, 16], DX: [2, 16], EAX: [0, 32], ECX: [1, 32], rAX: [0, 'v'], eAX: [0, 'z'],
};
const SEGMENTS = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS'];

function parseKind(token: string): OperandKind {
  const make = (role: OperandRole, registers: RegisterClass, width: OperandWidth, extra: Partial<OperandKind> = {}): OperandKind =>
    ({ token, role, registers, width, register: false, memory: false, number: 0, ...extra });
  const fixed = FIXED_GENERAL[token];
  if (fixed !== undefined) return make('fixed', 'general', fixed[1], { number: fixed[0] });
  if (SEGMENTS.includes(token)) return make('fixed', 'segment', 16, { number: SEGMENTS.indexOf(token) });
  if (token === 'ST0') return make('fixed', 'x87', 80);
  if (token === 'STi') return make('rm', 'x87', 80, { register: true });
  if (token === 'XMM0') return make('fixed', 'xmm', 128);
  if (token === '1') return make('one', 'none', 8);
  if (token === 'sIb') return make('immediate', 'none', 's8');
  const letter = token[0], suffix = token.slice(1);
  const width = WIDTHS[suffix];
  if (width === undefined) throw new Error(`operand ${token}: unknown width`);
  switch (letter) {
    case 'E': return make('rm', 'general', width, { register: true, memory: true });
    case 'R': return make('rm', 'general', width, { register: true });
    case 'M': return make('rm', 'none', width, { memory: true });
    case 'Q': return make('rm', 'mmx', width, { register: true, memory: true });
    case 'N': return make('rm', 'mmx', width, { register: true });
    case 'W': return make('rm', 'xmm', width, { register: true, memory: true });
    case 'U': return make('rm', 'xmm', width, { register: true });
    case 'G': return make('reg', 'general', width);
    case 'P': return make('reg', 'mmx', width);
    case 'V': return make('reg', 'xmm', width);
    case 'S': return make('reg', 'segment', 16);
    case 'C': return make('reg', 'control', width);
    case 'D': return make('reg', 'debug', width);
    case 'Z': return make('opcode', 'general', width);
    case 'I': return make('immediate', 'none', width);
    case 'J': return make('relative', 'none', width);
    case 'A': return make('far', 'none', 'far');
    case 'O': return make('moffs', 'none', width, { memory: true });
    case 'X': return make('source', 'none', width);
    case 'Y': return make('destination', 'none', width);
    default: throw new Error(`operand ${token}: unknown notation`);
  }
}

const kinds = new Map<string, OperandKind>();

/** The meaning of one operand token of a row; throws on notation it does not know. */
export function operandKind(token: string): OperandKind {
  let kind = kinds.get(token);
  if (kind === undefined) {
    kind = parseKind(token);
    kinds.set(token, kind);
  }
  return kind;
}

/** Bits of an operand at operand size 16, 32 or 64; 0 when it has none. */
export function widthBits(width: OperandWidth, operandBits: number): number {
  switch (width) {
    case 'v': case 's8': return operandBits;
    case 'y': return operandBits === 64 ? 64 : 32;
    case 'z': return operandBits === 16 ? 16 : 32;
    case 'far': case 'pair': case 'none': return 0;
    default: return width;
  }
}

const LEGACY = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'];
const LOW_BYTES = ['al', 'cl', 'dl', 'bl', 'spl', 'bpl', 'sil', 'dil'];
const HIGH_BYTES = ['ah', 'ch', 'dh', 'bh'];

/** Name of general register `n` of 8, 16, 32 or 64 bits; without REX, byte registers 4-7 are AH CH DH BH. */
export function generalRegisterName(n: number, bits: number, rex: boolean): string {
  if (bits === 8) {
    if (n >= 8) return `r${n}b`;
    return n >= 4 && !rex ? HIGH_BYTES[n - 4] : LOW_BYTES[n];
  }
  if (n >= 8) return `r${n}${bits === 64 ? '' : bits === 32 ? 'd' : 'w'}`;
  return `${bits === 64 ? 'r' : bits === 32 ? 'e' : ''}${LEGACY[n]}`;
}

export const SEGMENT_NAMES = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];

/** Name of register `n` of a class; `bits` and `rex` matter for general registers only. */
export function registerName(registers: RegisterClass, n: number, bits: number, rex: boolean): string {
  switch (registers) {
    case 'general': return generalRegisterName(n, bits, rex);
    case 'mmx': return `mm${n & 7}`;
    case 'xmm': return `xmm${n}`;
    case 'segment': return SEGMENT_NAMES[n] ?? `seg${n}`;
    case 'control': return `cr${n}`;
    case 'debug': return `dr${n}`;
    case 'x87': return `st${n}`;
    case 'none': return `r${n}`;
  }
}
