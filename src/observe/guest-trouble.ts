/**
 * What goes wrong between a hypervisor and its guest without stopping the machine, for people: a VM entry that fails after the guest's state was looked at (SDM 3C
 * 27.8: a VM exit with bit 31 of the reason), VMLAUNCH or VMRESUME refused again and again (VMfail, 31.4), a guest's triple fault. Each kind is told once per
 * level and machine; hypervisors may well go on afterwards. Nothing here is visible to any guest.
 */
import { R, RIP } from '../cpu/state';
import { EXIT_REASON_TRIPLE_FAULT } from '../vmx/exit-reasons';
import { addExitObserver, setRefusalObserver } from './exit-log';
import { exitReasonName } from './exit-names';
import { currentGuest, levelNow } from './guests';
import { hex64 } from './hex';

export interface GuestTrouble {
  kind: 'entry-failed' | 'entry-refused' | 'triple-fault';
  /** Of the guest for a failed entry or a triple fault, of the hypervisor for a refused entry. */
  level: number;
  /** RIP of that level, 16 hexadecimal digits. */
  rip: string;
  /** What the hypervisor was told. */
  cause: string;
}

/** VM-instruction errors that VMLAUNCH and VMRESUME give (SDM 3C table 31-1); 0: there is no current VMCS. */
const REFUSALS: Record<number, string> = {
  0: 'there is no current VMCS', 4: 'VMLAUNCH with a VMCS that is not clear', 5: 'VMRESUME with a VMCS that was not launched', 7: 'invalid control fields', 8: 'invalid host-state fields',
  26: 'events are blocked by MOV SS',
};
/** So many refusals in a row are no probing any more. */
const MANY = 2;

const told = new Set<string>();
let waiting: GuestTrouble | null = null;
let refusals = 0;
let detach: (() => void) | null = null;

function tell(trouble: GuestTrouble): void {
  const key = `${trouble.kind} ${trouble.level}`;
  if (told.has(key)) return;
  told.add(key);
  waiting ??= trouble;
}

function seeExit(reason: number, qualification: number, ripLo: number, ripHi: number): void {
  refusals = 0;
  if (reason >= 0 && reason !== EXIT_REASON_TRIPLE_FAULT) return;
  const level = currentGuest()?.level ?? levelNow() + 1, rip = hex64(ripLo, ripHi), basic = reason & 0xffff;
  if (reason >= 0) tell({ kind: 'triple-fault', level, rip, cause: `exit reason ${basic}, triple fault` });
  else tell({ kind: 'entry-failed', level, rip, cause: `exit reason 0x${(reason >>> 0).toString(16)} (${exitReasonName(basic)}), qualification 0x${(qualification >>> 0).toString(16)}` });
}

function seeRefusal(error: number): void {
  if (++refusals < MANY) return;
  tell({ kind: 'entry-refused', level: levelNow(), rip: hex64(R[RIP], R[RIP + 1]), cause: error === 0 ? REFUSALS[0] : `VM-instruction error ${error}, ${REFUSALS[error] ?? 'of the entry'}` });
}

/** Watches from now on, as if nothing had happened before. */
export function watchTrouble(): void {
  told.clear();
  waiting = null;
  refusals = 0;
  setRefusalObserver(seeRefusal);
  detach ??= addExitObserver(seeExit);
}

/** What has happened since the last call; null: nothing new. */
export function takeTrouble(): GuestTrouble | null {
  const trouble = waiting;
  waiting = null;
  return trouble;
}
