/**
 * Decoded instructions as packed Int32 records in one code array, and what handlers written as plain functions
 * need to read them. Hot integer instructions use denser records of their own (see engine/); every other
 * instruction uses the generic record described here.
 *
 * Generic record, GENERIC_WORDS words:
 *   [0] record kind 9:0 | instruction length 13:10 | operand size 15:14 (0=16, 1=32, 2=64 bits)
 *       | address size 17:16 (same coding) | repeat prefix 19:18 (0 none, 1 F3, 2 F2) | LOCK 20
 *       | memory operand 21 | effective segment 24:22 | REX present 25 | 66h prefix 26
 *   [1] reg 3:0 (with REX.R) | rm 7:4 (with REX.B, register operand or opcode+r register) | base 12:8 (0-15, 16 none, 17 RIP)
 *       | index 17:13 (0-15, 16 none) | scale 19:18 (log2) | ModRM byte 31:24
 *   [2] displacement, sign-extended to 32 bits (moffs: low word)
 *   [3] immediate, low word, sign-extended (moffs: high word)   [4] immediate, high word or second immediate   [5] handler number (engine)
 */

export const GENERIC_WORDS = 6;

/** The code array: all decoded records of the machine. Index 0 is never a record. */
export const CODE_WORDS = 1 << 23;
export const C = new Int32Array(CODE_WORDS);
/**
 * Beside each record's first word: page offset of the instruction 11:0 (as unsigned; for page-crossing blocks still of
 * the first page) | instructions of the block not yet completed, this one included, 23:12. Zero elsewhere.
 */
export const INFO = new Int32Array(CODE_WORDS);

/** A handler of a generic record: `p` is the record's index in C. Throws FAULT (fault.ts) when the instruction cannot complete. */
export type Handler = (p: number) => void;

// Decoding modes (state word MODE).
/** Code segment size: 0 = 16-bit, 1 = 32-bit, 2 = 64-bit. */
export const MODE_SIZE_MASK = 3;
/** CS, DS, ES, SS have base 0 and limit 4 GiB (always set in 64-bit code): data accesses need no segment work. */
export const MODE_FLAT = 4;
/** The stack pointer is ESP (SS.B = 1); clear: SP. Not used in 64-bit code. */
export const MODE_STACK32 = 8;
/** Single-step code: one instruction per block, nothing fused or elided. */
export const MODE_STEP = 16;

export const OPSIZE_16 = 0, OPSIZE_32 = 1, OPSIZE_64 = 2;

export function recLength(p: number): number { return (C[p] >> 10) & 15; }
/** 0, 1, 2 for 16, 32, 64 bits. */
export function recOperandSize(p: number): number { return (C[p] >> 14) & 3; }
export function recAddressSize(p: number): number { return (C[p] >> 16) & 3; }
/** 0 none, 1 F3 (REP/REPE), 2 F2 (REPNE). */
export function recRepeat(p: number): number { return (C[p] >> 18) & 3; }
export function recLock(p: number): boolean { return (C[p] & (1 << 20)) !== 0; }
export function recIsMemory(p: number): boolean { return (C[p] & (1 << 21)) !== 0; }
export function recSegment(p: number): number { return (C[p] >> 22) & 7; }
export function recHasRex(p: number): boolean { return (C[p] & (1 << 25)) !== 0; }
/** True with a 66h prefix. */
export function recHas66(p: number): boolean { return (C[p] & (1 << 26)) !== 0; }
/** ModRM.reg with REX.R. */
export function recReg(p: number): number { return C[p + 1] & 15; }
/** ModRM.rm with REX.B when it names a register, or the register of an opcode+r form. */
export function recRm(p: number): number { return (C[p + 1] >> 4) & 15; }
/** 0-15, 16 = none, 17 = RIP. */
export function recBase(p: number): number { return (C[p + 1] >> 8) & 31; }
/** 0-15, 16 = none. */
export function recIndex(p: number): number { return (C[p + 1] >> 13) & 31; }
export function recScale(p: number): number { return (C[p + 1] >> 18) & 3; }
export function recModRm(p: number): number { return C[p + 1] >>> 24; }
export function recDisplacement(p: number): number { return C[p + 2]; }
export function recImmediate(p: number): number { return C[p + 3]; }
export function recImmediateHigh(p: number): number { return C[p + 4]; }
