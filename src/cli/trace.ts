/**
 * Traces on request: one line per VM exit, port access or instruction. Numbers in front are the instructions retired before.
 * Tracing changes nothing that the guest can see.
 */
import { instructionCount } from '../cpu/clock';
import { disassemble } from '../cpu/disassembler';
import { translateLinear } from '../cpu/mmu/inspect';
import { pageCode, physRead8 } from '../cpu/mmu/physical';
import { platform } from '../cpu/platform';
import { CODE64, CS, R, RIP, SEG_BASE, SEG_SEL } from '../cpu/state';
import { exitReasonName } from '../observe/exit-names';
import { addExitObserver } from '../observe/exit-log';
import { levelNow } from '../observe/guests';
import { codeBits } from './cpu-state';

export type TraceLine = (line: string) => void;

function hex(value: number, digits = 1): string {
  return (value >>> 0).toString(16).padStart(digits, '0');
}

function rip64(lo: number, hi: number): string {
  return hi === 0 ? hex(lo, 8) : hex(hi) + hex(lo, 8);
}

/** Every VM exit: reason, qualification, guest RIP. */
export function traceExits(line: TraceLine): void {
  addExitObserver((reason, qualification, ripLo, ripHi) => {
    const failed = reason < 0 ? ' (entry failed)' : '';
    line(`${instructionCount()} exit L${levelNow()} ${exitReasonName(reason & 0xffff)}${failed} qualification=${hex(qualification)} rip=${rip64(ripLo, ripHi)}`);
  });
}

/** Every access to a port of the machine itself. */
export function traceIo(line: TraceLine): void {
  const { readPort, writePort } = platform;
  const where = (): string => `rip=${rip64(R[RIP], R[RIP + 1])}`;
  platform.readPort = (port, size) => {
    const value = readPort(port, size);
    line(`${instructionCount()} in${8 * size} ${hex(port, 4)} -> ${hex(value, 2 * size).slice(-2 * size)} ${where()}`);
    return value;
  };
  platform.writePort = (port, size, value) => {
    line(`${instructionCount()} out${8 * size} ${hex(port, 4)} <- ${hex(value, 2 * size).slice(-2 * size)} ${where()}`);
    writePort(port, size, value);
  };
}

const LONGEST = 15;

/** Bytes at CS:RIP as far as they can be read without side effects. */
function codeBytes(): Uint8Array {
  const bytes: number[] = [];
  const base = R[CODE64] !== 0 ? 0 : R[SEG_BASE + 2 * CS];
  for (let n = 0; n < LONGEST; n++) {
    const lo = (R[RIP] >>> 0) + n;
    const linear = R[CODE64] !== 0 ? lo | 0 : (lo + base) | 0;
    const high = R[CODE64] !== 0 ? (R[RIP + 1] + (lo > 0xffffffff ? 1 : 0)) | 0 : 0;
    const physical = translateLinear(linear, high);
    if (physical < 0 || pageCode(physical | 0, Math.floor(physical / 0x100000000)) < 0) break;
    bytes.push(physRead8(physical));
  }
  return Uint8Array.from(bytes);
}

/** The instruction that is about to execute. */
export interface NextInstruction {
  rip: bigint;
  /** In bytes. */
  length: number;
  /** Host-physical address of its first byte, -1 if it is not mapped. */
  hostPhysical: number;
  /** Instructions retired before, level, address, bytes and text. */
  line: string;
}

export function nextInstruction(): NextInstruction {
  const bytes = codeBytes();
  const rip = (BigInt(R[RIP + 1] >>> 0) << 32n) | BigInt(R[RIP] >>> 0);
  const decoded = disassemble(bytes, 0, rip, codeBits());
  const code = [...bytes.subarray(0, decoded.length)].map((byte) => hex(byte, 2)).join(' ');
  const line = `${instructionCount()} L${levelNow()} ${hex(R[SEG_SEL + CS], 4)}:${rip64(R[RIP], R[RIP + 1])}  ${code.padEnd(30)} ${decoded.text}`;
  const base = R[CODE64] !== 0 ? 0 : R[SEG_BASE + 2 * CS];
  return { rip, length: decoded.length, hostPhysical: translateLinear((R[RIP] + base) | 0, R[CODE64] !== 0 ? R[RIP + 1] : 0), line };
}
