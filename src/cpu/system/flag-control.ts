/** CLI, STI, PUSHF, POPF with IOPL, virtual-8086 mode and the virtual interrupt flag (SDM vol 2; 3A 20.3-20.4); CLAC, STAC (3A 4.6). */
import {
  R, RF64, CPL, CR0, CR0_PE, CR4, CR4_PVI, CR4_SMAP, CR4_VME, EFLAGS, F_IF, F_IOPL, F_RF, F_STATUS, F_TF, F_DF, F_NT, F_AC, F_ID, F_VIF, F_VIP, F_VM,
  INHIBIT, INHIBIT_AT,
} from '../state';
import type { Handler } from '../record';
import { recOperandSize } from '../record';
import { raiseGp, raiseUd } from '../fault';
import { cr4AllowedBits } from '../features';
import { getFlags } from '../flags';
import { clockNow } from '../clock';
import { updateMode } from '../modes';
import { afterInterruptsEnabled, changeableFlags, iopl, writeFlags } from '../rflags';
import { peekV, popV, pushV } from '../stack';

/** Interrupt shadows (state word INHIBIT). */
export const SHADOW_STI = 1, SHADOW_MOV_SS = 2;

/** Holds interrupts off until after the next instruction. */
export function startInterruptShadow(kind: number): void {
  R[INHIBIT] = kind;
  RF64[INHIBIT_AT >> 1] = clockNow() + 1;
}

const REAL_IF = 0, VIRTUAL_IF = 1;

/** Whether CLI and STI work on IF or on VIF; #GP(0) if on neither. */
function interruptFlagInCharge(): number {
  if ((R[CR0] & CR0_PE) === 0) return REAL_IF;
  if (R[EFLAGS] & F_VM) {
    if (iopl() === 3) return REAL_IF;
    if (R[CR4] & CR4_VME) return VIRTUAL_IF;
  } else {
    if (R[CPL] <= iopl()) return REAL_IF;
    if (R[CPL] === 3 && R[CR4] & CR4_PVI) return VIRTUAL_IF;
  }
  raiseGp(0);
}

function cli(): void {
  R[EFLAGS] &= interruptFlagInCharge() === REAL_IF ? ~F_IF : ~F_VIF;
}

function sti(): void {
  if (interruptFlagInCharge() === VIRTUAL_IF) {
    if (R[EFLAGS] & F_VIP) raiseGp(0);
    R[EFLAGS] |= F_VIF;
    return;
  }
  if (R[EFLAGS] & F_IF) return;
  R[EFLAGS] |= F_IF;
  startInterruptShadow(SHADOW_STI);
  afterInterruptsEnabled();
}

function pushf(p: number): void {
  const size = recOperandSize(p);
  let image = getFlags();
  if (R[EFLAGS] & F_VM && iopl() !== 3) {
    if (size !== 0 || (R[CR4] & CR4_VME) === 0) raiseGp(0);
    image = (image & ~F_IF) | F_IOPL | (image & F_VIF ? F_IF : 0);
  }
  pushV(size, image & ~(F_VM | F_RF), 0);
}

function popf(p: number): void {
  const size = recOperandSize(p);
  const narrow = size === 0 ? 0xffff : -1;
  if (R[EFLAGS] & F_VM) {
    const always = F_STATUS | F_TF | F_DF | F_NT | F_AC | F_ID;
    if (iopl() === 3) {
      const image = popV(size);
      writeFlags(image, (always | F_IF) & narrow);
    } else {
      if (size !== 0 || (R[CR4] & CR4_VME) === 0) raiseGp(0);
      const image = peekV(0, 0);
      if (image & F_TF || (image & F_IF && R[EFLAGS] & F_VIP)) raiseGp(0);
      popV(0);
      writeFlags(image, always & narrow);
      if (image & F_IF) R[EFLAGS] |= F_VIF;
      else R[EFLAGS] &= ~F_VIF;
    }
  } else {
    const image = popV(size);
    writeFlags(image, changeableFlags() & narrow);
  }
  R[EFLAGS] &= ~F_RF;
}

/** CLAC and STAC: #UD outside ring 0, and where there is no SMAP. The flag selects another TLB bank. */
function setAlignmentFlag(flag: number): void {
  if (R[CPL] !== 0 || (cr4AllowedBits() & CR4_SMAP) === 0) raiseUd();
  R[EFLAGS] = (R[EFLAGS] & ~F_AC) | flag;
  updateMode();
}

export const flagControlHandlers: Record<string, Handler> = {
  cli, sti, pushf, popf,
  clac: () => setAlignmentFlag(0),
  stac: () => setAlignmentFlag(F_AC),
};
