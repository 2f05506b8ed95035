/**
 * Compares what the host's processor and our CPU made of a case. What may differ, and why:
 * - flags that the row table calls undefined at that point (SDM 2), tracked instruction by instruction (random-instructions.ts);
 * - last x87 opcode, instruction and data pointers: AMD saves them only while an exception is pending;
 * - C1 after FCOMI and its kin: AMD leaves it, Intel clears it;
 * - x87 transcendental functions: one unit of the last place, C1 and PE; RCPPS, RSQRTPS: relative error 1.5 * 2^-12 each;
 * - which fault is raised when CMPS, IRET, RETF or CALL has several reasons; flags after a fault inside REP CMPS and REP SCAS: Intel restores them, AMD does not;
 * - the RPL of null selectors: the kernel's IRET on the way to the signal handler clears it;
 * - the P bit of page-fault error codes outside the test's memory: Linux sets it for all kernel addresses, and hypervisors map pages of their own;
 * - accesses that wrap at 4 GiB in flat 32-bit segments: #GP or #SS on AMD, allowed but not demanded by Intel (SDM 3A, Limit Checking);
 * - stack words written by PUSHA, ENTER and CALL, registers loaded by POPA when the instruction faults halfway: AMD keeps them;
 * - #AC in far transfers; the stack that far calls between 64-bit and other code push on;
 * - the address of page faults within an FXSAVE image;
 * - x87 state after a fault of MASKMOVQ: AMD has changed it to MMX state by then.
 */
import { ALL_ROWS } from '../../src/cpu/opcodes/table';
import type { CasePlan } from './random-code';
import { STATUS } from './random-rows';
import type { UserOutcome } from './user-cpu';
import {
  KIND_ASTRAY, KIND_EXIT, KIND_TIMEOUT, PAGE, USER_CS32, USER_CS64, REPLY_BYTES, REPLY_CR2, REPLY_DIFFERENCES, REPLY_ERROR, REPLY_FLAGS, REPLY_FX, REPLY_GPR, REPLY_KIND, REPLY_RIP, REPLY_SELECTORS,
} from './user-layout';
import type { Layout } from './user-layout';

const GPR_NAMES = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'];
const SELECTOR_NAMES = ['cs', 'ss', 'ds', 'es', 'fs', 'gs'];
const VECTOR_NAMES: Record<number, string> = {
  0: '#DE', 1: '#DB', 3: '#BP', 4: '#OF', 5: '#BR', 6: '#UD', 7: '#NM', 10: '#TS', 11: '#NP', 12: '#SS', 13: '#GP', 14: '#PF', 16: '#MF', 17: '#AC', 19: '#XM',
  [KIND_EXIT]: 'no exception', [KIND_TIMEOUT]: 'no end',
};
/** Status flags, TF, IF, DF, IOPL, NT, AC, VIF, VIP. Not RF, which is Linux's business, nor ID, which some hypervisors drop at interrupts. */
const COMPARED_FLAGS = 0x1e7fd5;
const X_SS = 12, X_GP = 13, X_PF = 14, X_AC = 17;
const FAR_TRANSFERS = new Set(['retf', 'iret', 'call', 'jmp']);
/** The order of their accesses and checks, and with it of faults, differs between processors. */
const SEVERAL_REASONS = new Set(['cmps', 'iret', 'retf', 'call']);
/** What these have pushed before they fault stays on the stack of an AMD processor. */
const KEEPS_STORES = new Set(['pusha', 'enter', 'call']);
/** Linux has per-CPU descriptors here that a random selector may hit. */
const KERNEL_SELECTORS = 0x60, KERNEL_SELECTORS_END = 0x7f;
const FSW_C1 = 0x200, FSW_PE = 0x20;

/** True if our exception may be that of an access that wraps at 4 GiB. */
function mayWrap(core: DataView): boolean {
  const kind = core.getUint32(REPLY_KIND, true), address = core.getUint32(REPLY_CR2, true);
  return kind === X_AC || (kind === X_PF && (address === 0 || address > 0xfffffff0));
}

/** Index of the instruction at which the case ended: the one that raised the exception, or the end. -1: outside the code. */
export function endIndex(plan: CasePlan, offset: number): number {
  return plan.starts.indexOf(offset);
}

export function kindName(kind: number): string {
  return VECTOR_NAMES[kind] ?? `vector ${kind}`;
}

/** Distance of two 80-bit values in units of the last place. */
function distance80(a: DataView, b: DataView, at: number): number {
  const key = (view: DataView): bigint => {
    const exponent = view.getUint16(at + 8, true);
    const magnitude = (BigInt(exponent & 0x7fff) << 63n) + (view.getBigUint64(at, true) & ((1n << 63n) - 1n));
    return exponent & 0x8000 ? -magnitude : magnitude;
  };
  const d = key(a) - key(b);
  return Number(d < 0n ? -d : d);
}

const ESTIMATE = 3.1 * 2 ** -12;

function closeEstimate(a: DataView, b: DataView, at: number): boolean {
  if (a.getUint32(at, true) === b.getUint32(at, true)) return true;
  const x = a.getFloat32(at, true), y = b.getFloat32(at, true);
  return Math.abs(x - y) <= ESTIMATE * Math.max(Math.abs(x), Math.abs(y)) || (Math.abs(x) < 2 ** -125 && Math.abs(y) < 2 ** -125);
}

const hex = (value: number, digits = 8): string => (value >>> 0).toString(16).padStart(digits, '0');
const hex64 = (view: DataView, at: number): string => hex(view.getUint32(at + 4, true)) + hex(view.getUint32(at, true));

/** Differences as text, one a line: empty if there are none. `host`: the native runner's replies from `at` on. */
export function compareOutcomes(layout: Layout, plan: CasePlan, entry: number, host: Buffer, at: number, core: UserOutcome, pattern: DataView): string[] {
  const h = new DataView(host.buffer, host.byteOffset + at), c = new DataView(core.reply.buffer, core.reply.byteOffset);
  const found: string[] = [];
  const is64 = layout.bits === 64;
  const kind = h.getUint32(REPLY_KIND, true);
  if (kind === KIND_TIMEOUT || c.getUint32(REPLY_KIND, true) === KIND_ASTRAY) return [];
  const rip = h.getUint32(REPLY_RIP, true) + (is64 ? h.getUint32(REPLY_RIP + 4, true) * 0x100000000 : 0);
  const exited = kind === KIND_EXIT;
  const end = exited ? plan.starts.length - 1 : endIndex(plan, rip - entry);
  const faulting = exited || end < 0 || plan.rows[end] < 0 ? undefined : ALL_ROWS[plan.rows[end]];
  const severalReasons = faulting !== undefined && SEVERAL_REASONS.has(faulting.mnemonic);
  for (let s = 2; s < 6; s++) {
    const selector = h.getUint16(REPLY_SELECTORS + 2 * s, true);
    if (selector >= KERNEL_SELECTORS && selector <= KERNEL_SELECTORS_END) return [];
  }
  if (faulting?.handler === 'callfarm' && c.getUint16(REPLY_SELECTORS, true) === (is64 ? USER_CS32 : USER_CS64)) return [];
  if (kind === X_AC && faulting !== undefined && FAR_TRANSFERS.has(faulting.mnemonic) && faulting.end) return [];
  if (!is64 && (kind === X_GP || kind === X_SS) && mayWrap(c)) return [];
  if (severalReasons && kind !== c.getUint32(REPLY_KIND, true)) {
    if (hex64(h, REPLY_RIP) !== hex64(c, REPLY_RIP)) found.push('only one of the processors faults');
  } else if (kind !== c.getUint32(REPLY_KIND, true)) {
    found.push(`host: ${kindName(kind)} at ${hex64(h, REPLY_RIP)}, core: ${kindName(c.getUint32(REPLY_KIND, true))} at ${hex64(c, REPLY_RIP)}`);
  }
  if (!exited) {
    if (hex64(h, REPLY_RIP) !== hex64(c, REPLY_RIP)) found.push(`rip: host ${hex64(h, REPLY_RIP)}, core ${hex64(c, REPLY_RIP)}`);
    let errorMask = -1;
    if (severalReasons) errorMask = 0;
    else if (kind === X_PF) {
      // AMD looks at the end of a state image first: the same page will do.
      const digits = faulting !== undefined && /^fx(save|rstor)/.test(faulting.mnemonic) ? 13 : 16;
      if (hex64(h, REPLY_CR2).slice(0, digits) !== hex64(c, REPLY_CR2).slice(0, digits)) found.push(`cr2: host ${hex64(h, REPLY_CR2)}, core ${hex64(c, REPLY_CR2)}`);
      const address = h.getUint32(REPLY_CR2, true) + h.getUint32(REPLY_CR2 + 4, true) * 0x100000000;
      if (!layout.areas.some((area) => address >= area.linear && address < area.linear + area.pages * PAGE)) errorMask = ~1;
    }
    const he = h.getInt32(REPLY_ERROR, true), ce = c.getInt32(REPLY_ERROR, true);
    if (((he ^ ce) & errorMask) !== 0) found.push(`error code: host ${hex(he)}, core ${hex(ce)}`);
  }
  // In compatibility mode the upper halves, and R8 to R15, are undefined.
  const partial = faulting === undefined ? '' : faulting.mnemonic;
  const narrow = !is64 || (!exited && h.getUint16(REPLY_SELECTORS, true) !== USER_CS64);
  for (let n = partial === 'popa' ? 8 : 0; n < (narrow ? 8 : 16); n++) {
    const lowEqual = h.getInt32(REPLY_GPR + 8 * n, true) === c.getInt32(REPLY_GPR + 8 * n, true);
    const highEqual = narrow || h.getInt32(REPLY_GPR + 8 * n + 4, true) === c.getInt32(REPLY_GPR + 8 * n + 4, true);
    if (!lowEqual || !highEqual) found.push(`${GPR_NAMES[n]}: host ${hex64(h, REPLY_GPR + 8 * n)}, core ${hex64(c, REPLY_GPR + 8 * n)}`);
  }
  // An exception outside the known boundaries (a fetch): every flag that is undefined somewhere.
  const undefinedFlags = faulting?.repeat === 2 ? STATUS : end >= 0 ? plan.undefinedBefore[end] : plan.undefinedBefore.reduce((all, one) => all | one, 0);
  const flags = (h.getUint32(REPLY_FLAGS, true) ^ c.getUint32(REPLY_FLAGS, true)) & COMPARED_FLAGS & ~(undefinedFlags & STATUS);
  if (flags !== 0) found.push(`flags: host ${hex(h.getUint32(REPLY_FLAGS, true))}, core ${hex(c.getUint32(REPLY_FLAGS, true))}, differ in ${flags.toString(16)}`);
  for (let s = exited ? 1 : 0; s < 6; s++) {
    const hs = h.getUint16(REPLY_SELECTORS + 2 * s, true), cs = c.getUint16(REPLY_SELECTORS + 2 * s, true);
    if (hs !== cs && (hs > 3 || cs > 3)) found.push(`${SELECTOR_NAMES[s]}: host ${hex(hs, 4)}, core ${hex(cs, 4)}`);
  }
  compareFx(layout, plan, h, c, faulting?.mnemonic === 'maskmovq', found);
  if (!KEEPS_STORES.has(partial)) compareMemory(plan, host, at, h.getUint32(REPLY_DIFFERENCES, true), core.differences, pattern, found);
  return found;
}

function compareFx(layout: Layout, plan: CasePlan, h: DataView, c: DataView, ignoreX87: boolean, found: string[]): void {
  const approximate87 = plan.approximate === 'x87';
  const control = (view: DataView): number => view.getUint16(REPLY_FX, true);
  if (control(h) !== control(c)) found.push(`fcw: host ${hex(control(h), 4)}, core ${hex(control(c), 4)}`);
  const hs = h.getUint16(REPLY_FX + 2, true), cs = c.getUint16(REPLY_FX + 2, true);
  const ignored = (plan.ignoreC1 || approximate87 ? FSW_C1 : 0) | (approximate87 ? FSW_PE | 0x10 : 0);
  if (!ignoreX87 && ((hs ^ cs) & ~ignored) !== 0) found.push(`fsw: host ${hex(hs, 4)}, core ${hex(cs, 4)}`);
  if (!ignoreX87 && h.getUint8(REPLY_FX + 4) !== c.getUint8(REPLY_FX + 4)) found.push(`tags: host ${hex(h.getUint8(REPLY_FX + 4), 2)}, core ${hex(c.getUint8(REPLY_FX + 4), 2)}`);
  for (let i = 0; i < 8 && !ignoreX87; i++) {
    const at = REPLY_FX + 32 + 16 * i;
    if (h.getInt32(at, true) === c.getInt32(at, true) && h.getInt32(at + 4, true) === c.getInt32(at + 4, true) && h.getUint16(at + 8, true) === c.getUint16(at + 8, true)) continue;
    if (approximate87 && distance80(h, c, at) <= 1) continue;
    const show = (view: DataView): string => `${hex(view.getUint16(at + 8, true), 4)}:${hex64(view, at)}`;
    found.push(`st${i}: host ${show(h)}, core ${show(c)}`);
  }
  const hm = h.getInt32(REPLY_FX + 24, true), cm = c.getInt32(REPLY_FX + 24, true);
  if (hm !== cm) found.push(`mxcsr: host ${hex(hm)}, core ${hex(cm)}`);
  for (let i = 0; i < (layout.bits === 64 ? 16 : 8); i++) {
    for (let w = 0; w < 4; w++) {
      const at = REPLY_FX + 160 + 16 * i + 4 * w;
      if (h.getInt32(at, true) === c.getInt32(at, true)) continue;
      if (plan.approximate === 'xmm' && closeEstimate(h, c, at)) continue;
      const show = (view: DataView): string => `${hex64(view, at - 4 * w + 8)}${hex64(view, at - 4 * w)}`;
      found.push(`xmm${i}: host ${show(h)}, core ${show(c)}`);
      break;
    }
  }
}

function isMasked(plan: CasePlan, offset: number, changed: number): boolean {
  for (let byte = 0; byte < 4; byte++) {
    if (((changed >>> (8 * byte)) & 255) === 0) continue;
    const at = offset + byte;
    if (!plan.masks.some(([from, length]) => at >= from && at < from + length)) return false;
  }
  return true;
}

function compareMemory(plan: CasePlan, host: Buffer, at: number, count: number, core: readonly number[], pattern: DataView, found: string[]): void {
  let same = 2 * count === core.length;
  for (let i = 0; same && i < count; i++) {
    same = host.readUInt32LE(at + REPLY_BYTES + 8 * i) === core[2 * i] && host.readInt32LE(at + REPLY_BYTES + 8 * i + 4) === core[2 * i + 1];
  }
  if (same) return;
  const values = new Map<number, [number | undefined, number | undefined]>();
  for (let i = 0; i < count; i++) values.set(host.readUInt32LE(at + REPLY_BYTES + 8 * i), [host.readInt32LE(at + REPLY_BYTES + 8 * i + 4), undefined]);
  for (let i = 0; i < core.length; i += 2) values.set(core[i], [values.get(core[i])?.[0], core[i + 1]]);
  let told = 0;
  for (const [offset, [h, c]] of [...values].sort((a, b) => a[0] - b[0])) {
    if (h === c) continue;
    const before = pattern.getInt32(offset, true);
    if (isMasked(plan, offset, (h ?? before) ^ (c ?? before))) continue;
    if (told++ < 6) found.push(`memory ${hex(offset, 4)}: host ${h === undefined ? 'unchanged' : hex(h)}, core ${c === undefined ? 'unchanged' : hex(c)}`);
  }
}
