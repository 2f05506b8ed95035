/**
 * IN, OUT, INS, OUTS (SDM vol 1 chapter 19; vol 2). String forms move up to 1024 elements per execution and then resume at the same
 * instruction, so that interrupts come in between.
 */
import {
  R, R16, R8, BUD, RAX, RCX, RDX, RSI, RDI, LA, CPL, CR0, CR0_PE, EFLAGS, F_DF, F_VM, ES, CODE64, FS, SEG_BASE,
} from '../state';
import type { Handler } from '../record';
import { recAddressSize, recImmediate, recOperandSize, recRepeat, recSegment } from '../record';
import { noteIoBreakpoints } from '../breakpoints';
import { raiseGp } from '../fault';
import { tracesIterations } from '../integer/string-operands';
import { checkCanonical, segmentAddress, setReg32 } from '../operands';
import { load16, load32, load8, probeWrite, store16, store32, store8 } from '../mmu/access';
import { platform } from '../platform';
import { setResumeFlagBetweenIterations } from '../resume-flag';
import { rewindToInstruction } from '../rip';
import { iopl } from '../rflags';
import { ioBitmapAllows } from '../tss';
import { interceptIo } from '../../vmx/intercepts';
import { isGuest } from './privilege';

const MAX_ELEMENTS = 1024;

/** #GP(0) unless IOPL or the I/O permission bitmap allows the access. */
function checkIoPermission(port: number, size: number): void {
  if ((R[CR0] & CR0_PE) === 0) return;
  if ((R[EFLAGS] & F_VM) !== 0 || R[CPL] > iopl()) {
    if (!ioBitmapAllows(port, size)) raiseGp(0);
  }
}

/** Bytes of the accumulator forms: 2 or 4. */
function accumulatorSize(p: number): number {
  return recOperandSize(p) === 0 ? 2 : 4;
}

function input(p: number, port: number, size: number, isImmediate: boolean): void {
  checkIoPermission(port, size);
  if (isGuest() && interceptIo(port, size, true, false, false, isImmediate, p)) return;
  const value = platform.readPort(port, size);
  noteIoBreakpoints(port, size);
  if (size === 1) R8[8 * RAX] = value;
  else if (size === 2) R16[4 * RAX] = value;
  else setReg32(0, value);
}

function output(p: number, port: number, size: number, isImmediate: boolean): void {
  checkIoPermission(port, size);
  if (isGuest() && interceptIo(port, size, false, false, false, isImmediate, p)) return;
  const eax = R[RAX];
  platform.writePort(port, size, size === 1 ? eax & 0xff : size === 2 ? eax & 0xffff : eax);
  noteIoBreakpoints(port, size);
}

function dxPort(): number {
  return R[RDX] & 0xffff;
}

function immediatePort(p: number): number {
  return recImmediate(p) & 0xff;
}

// --- String forms ---

/** Number of elements left by rCX at the address size, at most `most`. */
function elementsLeft(addressSize: number, most: number): number {
  if (addressSize === 0) return Math.min(R[RCX] & 0xffff, most);
  if (addressSize === 2 && R[RCX + 1] !== 0) return most;
  return Math.min(R[RCX] >>> 0, most);
}

/** Adds a small signed number to rCX, rSI or rDI at the address size. */
function advance(word: number, addressSize: number, by: number): void {
  if (addressSize === 0) {
    R16[2 * word] = R[word] + by;
    return;
  }
  const old = R[word] >>> 0;
  const sum = old + by;
  R[word] = sum;
  if (addressSize === 1) R[word + 1] = 0;
  else R[word + 1] = R[word + 1] + Math.floor(sum / 0x100000000);
}

/** Checked linear address of the string element at rSI or rDI, in LA. */
function elementAddress(segment: number, word: number, addressSize: number, size: number, write: boolean): void {
  const lo = addressSize === 0 ? R[word] & 0xffff : R[word];
  segmentAddress(segment, lo, addressSize === 2 ? R[word + 1] : 0, size, write);
  if (R[CODE64]) checkCanonical(segment, R[LA], R[LA + 1], size);
}

/** Linear address for the VM exit of a string form, which comes before the checks of the memory operand. */
function elementAddressUnchecked(segment: number, word: number, addressSize: number): void {
  const lo = addressSize === 0 ? R[word] & 0xffff : R[word], hi = addressSize === 2 ? R[word + 1] : 0;
  if (R[CODE64] && segment < FS) {
    R[LA] = lo;
    R[LA + 1] = hi;
    return;
  }
  const base = R[SEG_BASE + 2 * segment];
  R[LA] = base + lo;
  R[LA + 1] = R[CODE64] ? R[SEG_BASE + 2 * segment + 1] + hi + (R[LA] >>> 0 < lo >>> 0 ? 1 : 0) : 0;
}

function insElement(port: number, size: number, addressSize: number): void {
  elementAddress(ES, RDI, addressSize, size, true);
  const lo = R[LA], hi = R[LA + 1];
  // The port is read only when the store cannot fault any more.
  probeWrite(lo, hi, size);
  const value = platform.readPort(port, size);
  if (size === 1) store8(lo, hi, value);
  else if (size === 2) store16(lo, hi, value);
  else store32(lo, hi, value);
}

function outsElement(port: number, size: number, addressSize: number, segment: number): void {
  elementAddress(segment, RSI, addressSize, size, false);
  const lo = R[LA], hi = R[LA + 1];
  platform.writePort(port, size, size === 1 ? load8(lo, hi) : size === 2 ? load16(lo, hi) : load32(lo, hi));
}

function stringIo(p: number, size: number, isIn: boolean): void {
  const port = dxPort(), addressSize = recAddressSize(p), repeated = recRepeat(p) !== 0;
  checkIoPermission(port, size);
  const most = tracesIterations() ? 1 : MAX_ELEMENTS;
  const count = repeated ? elementsLeft(addressSize, most) : 1;
  if (count === 0) return;
  const segment = isIn ? ES : recSegment(p), index = isIn ? RDI : RSI;
  if (isGuest()) {
    elementAddressUnchecked(segment, index, addressSize);
    if (interceptIo(port, size, isIn, true, repeated, false, p)) return;
  }
  const step = R[EFLAGS] & F_DF ? -size : size;
  for (let done = 0; done < count; done++) {
    if (isIn) insElement(port, size, addressSize);
    else outsElement(port, size, addressSize, segment);
    noteIoBreakpoints(port, size);
    advance(index, addressSize, step);
    if (repeated) {
      advance(RCX, addressSize, -1);
      // The slice is over, or something happened that the run loop must look at.
      if (R[BUD] <= 0) break;
    }
  }
  if (repeated && elementsLeft(addressSize, 1) !== 0) {
    rewindToInstruction();
    setResumeFlagBetweenIterations();
  }
}

export const ioHandlers: Record<string, Handler> = {
  inb: (p) => input(p, dxPort(), 1, false),
  in: (p) => input(p, dxPort(), accumulatorSize(p), false),
  inbi: (p) => input(p, immediatePort(p), 1, true),
  ini: (p) => input(p, immediatePort(p), accumulatorSize(p), true),
  outb: (p) => output(p, dxPort(), 1, false),
  out: (p) => output(p, dxPort(), accumulatorSize(p), false),
  outbi: (p) => output(p, immediatePort(p), 1, true),
  outi: (p) => output(p, immediatePort(p), accumulatorSize(p), true),
  insb: (p) => stringIo(p, 1, true),
  ins: (p) => stringIo(p, accumulatorSize(p), true),
  outsb: (p) => stringIo(p, 1, false),
  outs: (p) => stringIo(p, accumulatorSize(p), false),
};
