/**
 * LDMXCSR and STMXCSR, the fences and CLFLUSH (SDM 2A-2B). Memory is coherent and strongly ordered here, so fences
 * do nothing; CLFLUSH raises what a byte load would.
 */
import { R, LA, MXCSR } from '../state';
import type { Handler } from '../record';
import { raiseGp } from '../fault';
import { memoryAddress } from '../operands';
import { probeRead } from '../mmu/access';
import { enterSse, loadMemory32, storeMemory32 } from './operands';
import { MXCSR_VALID } from './mxcsr';

function ldmxcsr(p: number): void {
  enterSse();
  const v = loadMemory32(p);
  if ((v & ~MXCSR_VALID) !== 0) raiseGp(0);
  R[MXCSR] = v;
}

function stmxcsr(p: number): void {
  enterSse();
  storeMemory32(p, R[MXCSR]);
}

function clflush(p: number): void {
  memoryAddress(p, 1, false);
  probeRead(R[LA], R[LA + 1], 1);
}

function fence(): void {}

export const sseSystemHandlers: Record<string, Handler> = {
  ldmxcsr, stmxcsr, clflush,
  sfence: fence, lfence: fence, mfence: fence,
};
