/**
 * Instruction and I/O breakpoints of the debug registers, and single-stepping on branches (SDM 3B 18.2, 18.3.1, 18.4.1). Data breakpoints are found where
 * memory accesses leave the fast path (mmu/slow.ts).
 */
import { R, CODE64, CR4, CR4_DE, CS, DR0, DR7, EFLAGS, F_RF, PENDING_DB, RIP, SEG_BASE, X_DB } from './state';
import { endSliceNow } from './clock';
import { deliverEvent, EVENT_EXCEPTION } from './interrupts';

/** Local and global enables of the four breakpoints. */
const ENABLES = 0xff;
/** R/W field of DR7: what a breakpoint watches. */
const ON_EXECUTE = 0, ON_IO = 2;

function isEnabled(n: number): boolean {
  return ((R[DR7] >> (2 * n)) & 3) !== 0;
}

function kindOf(n: number): number {
  return (R[DR7] >> (16 + 4 * n)) & 3;
}

/** True while some instruction breakpoint is enabled. */
export function hasInstructionBreakpoints(): boolean {
  if ((R[DR7] & ENABLES) === 0) return false;
  for (let n = 0; n < 4; n++) if (isEnabled(n) && kindOf(n) === ON_EXECUTE) return true;
  return false;
}

/** Instruction breakpoints at RIP: #DB as a fault before the instruction, unless RF is set. True if it was delivered. Their length must be one byte. */
export function instructionBreakpoint(): boolean {
  if (R[EFLAGS] & F_RF) return false;
  const lo = R[CODE64] !== 0 ? R[RIP] : (R[RIP] + R[SEG_BASE + 2 * CS]) | 0;
  const hi = R[RIP + 1];
  let met = 0;
  for (let n = 0; n < 4; n++) {
    const oneByte = ((R[DR7] >> (18 + 4 * n)) & 3) === 0;
    if (isEnabled(n) && kindOf(n) === ON_EXECUTE && oneByte && R[DR0 + 2 * n] === lo && R[DR0 + 2 * n + 1] === hi) met |= 1 << n;
  }
  if (met === 0) return false;
  R[PENDING_DB] |= met;
  deliverEvent(EVENT_EXCEPTION, X_DB, false, 0, 0);
  return true;
}

/** An access to `size` ports from `port` was made: notes the I/O breakpoints it meets, as traps after the instruction. They exist with CR4.DE only. */
export function noteIoBreakpoints(port: number, size: number): void {
  if ((R[DR7] & ENABLES) === 0 || (R[CR4] & CR4_DE) === 0) return;
  let met = 0;
  for (let n = 0; n < 4; n++) {
    if (!isEnabled(n) || kindOf(n) !== ON_IO) continue;
    const length = (R[DR7] >> (18 + 4 * n)) & 3, bytes = length === 2 ? 8 : length + 1;
    const first = R[DR0 + 2 * n] & -bytes;
    if (R[DR0 + 2 * n + 1] === 0 && port < first + bytes && first < port + size) met |= 1 << n;
  }
  if (met === 0) return;
  R[PENDING_DB] |= met;
  endSliceNow();
}
