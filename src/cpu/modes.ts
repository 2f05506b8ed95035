/**
 * What follows from CR0, EFER, RFLAGS.VM and AC, CS and SS: privilege, code size, address masks, the decoding mode and the TLB bank. Only this
 * module writes those words; whoever changes an input calls updateMode() afterwards.
 */
import {
  R, RU, CR0, CR0_PE, EFER, EFER_LMA, EFLAGS, F_VM, CPL, LMA, CODE64, AMASK, ACCESS_USER, MODE, TLBB, CODE_BANK,
  SEG_AR, SEG_BASE, SEG_LIMIT, ES, CS, SS, DS, AR_L, AR_DB, AR_UNUSABLE,
} from './state';
import { MODE_FLAT, MODE_STACK32 } from './record';
import { bankFor, codeBankFor } from './mmu/tlb';

/** True when segment s spans 0 to FFFFFFFFh; for data segments also: no type check can fail. */
function isFlat(s: number): boolean {
  if ((R[SEG_BASE + 2 * s] | R[SEG_BASE + 2 * s + 1]) !== 0 || RU[SEG_LIMIT + s] !== 0xffffffff) return false;
  const ar = R[SEG_AR + s];
  if (ar & AR_UNUSABLE) return false;
  // Code: readable. Writes through a CS override are looked at all the same (operands.ts).
  if (ar & 8) return s === CS && (ar & 2) !== 0;
  return (ar & 6) === 2;
}

/** Recomputes everything that depends on mode and privilege. */
export function updateMode(): void {
  let cpl = 0, mode = 0, code64 = 0;
  const csAr = R[SEG_AR + CS], ssAr = R[SEG_AR + SS];
  const isProtected = (R[CR0] & CR0_PE) !== 0;
  if (isProtected) cpl = R[EFLAGS] & F_VM ? 3 : (ssAr >> 5) & 3;
  const lma = R[EFER] & EFER_LMA ? 1 : 0;
  if (lma !== 0 && (csAr & AR_L) !== 0) {
    code64 = 1;
    mode = 2 | MODE_FLAT;
  } else {
    // RFLAGS.VM leaves descriptors with D = B = 0.
    if (csAr & AR_DB) mode = 1;
    if (ssAr & AR_DB) mode |= MODE_STACK32;
    if (isFlat(CS) && isFlat(SS) && isFlat(DS) && isFlat(ES)) mode |= MODE_FLAT;
  }
  const user = cpl === 3 ? 1 : 0;
  R[CPL] = cpl;
  R[LMA] = lma;
  R[CODE64] = code64;
  R[AMASK] = code64 !== 0 ? -1 : 0;
  R[ACCESS_USER] = user;
  R[MODE] = mode;
  R[TLBB] = bankFor(user);
  R[CODE_BANK] = codeBankFor(user);
}
