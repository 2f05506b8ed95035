/**
 * Who is a guest of whom, as seen from the bare machine. Every guest processor is a VMCS that was entered; machines nest: the guest whose
 * VMLAUNCH or VMRESUME exit came just before another guest's entry on the same processor is that guest's parent, so an L3 is known as one
 * although its VMCS belongs to L1 like any other.
 */
import { clockNow, idleCycles } from '../cpu/clock';
import { R, VMX_MODE, VMX_NON_ROOT } from '../cpu/state';
import { GUEST_ID, LAUNCHER_ID } from '../vmx/state';
import { entryObserver, switchObserver } from './exit-log';
import { EXIT_REASON_VMLAUNCH, EXIT_REASON_VMRESUME } from '../vmx/exit-reasons';

/** Levels that are counted apart; deeper ones are added to the last. */
const LEVELS = 8;
/** Counters of a guest: exits by basic reason 0-69, then these. */
export const COUNTER_ENTRIES = 70, COUNTER_CYCLES = 71;
const COUNTERS = 72;

export interface Guest {
  /** Number of the guest, from 1 in the order of first entry. */
  readonly id: number;
  /** 2 for a guest of L1, 3 for a guest of that guest, ... */
  level: number;
  /** Physical address of its VMCS region. */
  readonly vmcsPointer: number;
  /** EPT pointer of the last entry, 0 without EPT: guests that share it are processors of one machine. */
  eptp: number;
  /** Id of the guest whose hypervisor runs this one; 0 = L1. */
  parent: number;
  /** VM exits by reason, then COUNTER_ENTRIES and COUNTER_CYCLES (virtual cycles spent in the guest). */
  readonly counters: Float64Array;
}

const guests: Guest[] = [];
/** Cycles executed at each level; [1] is root operation or no VMX at all. */
const levelCycles = new Float64Array(LEVELS);
/** How many of them were idle: skipped because the processor was halted. */
const levelIdle = new Float64Array(LEVELS);
/** [0] clock value of the last change of who executes; [1] level since then; [2] idle cycles of the machine at that moment; [3] id of the guest, 0 = none. */
const since = new Float64Array([0, 1, 0, 0]);

/** All guests seen, in the order of first entry. */
export function allGuests(): readonly Guest[] {
  return guests;
}

/** The guest that runs, or ran last; null before the first entry. */
export function currentGuest(): Guest | null {
  return guests[R[GUEST_ID] - 1] ?? null;
}

/** Level of what executes now: 1 in root operation, 2 in L1's guests, and so on. */
export function levelNow(): number {
  return since[1];
}

/** Virtual cycles (instructions and idle time) spent at a level so far. */
export function cyclesAtLevel(level: number): number {
  return levelCycles[level] + (since[1] === level ? clockNow() - since[0] : 0);
}

/** Instructions executed at a level so far. */
export function instructionsAtLevel(level: number): number {
  const idle = levelIdle[level] + (since[1] === level ? idleCycles() - since[2] : 0);
  return cyclesAtLevel(level) - idle;
}

/** From now on this guest executes; null for the machine's own software. */
function change(guest: Guest | null): void {
  const now = clockNow(), idle = idleCycles();
  levelCycles[since[1]] += now - since[0];
  levelIdle[since[1]] += idle - since[2];
  if (since[3] !== 0) guests[since[3] - 1].counters[COUNTER_CYCLES] += now - since[0];
  since[0] = now;
  since[1] = guest === null ? 1 : Math.min(guest.level, LEVELS - 1);
  since[2] = idle;
  since[3] = guest === null ? 0 : guest.id;
}

/** Another vCPU runs. */
export function noteVcpuSwitch(): void {
  change(R[VMX_MODE] === VMX_NON_ROOT ? currentGuest() : null);
  if (switchObserver !== null) switchObserver();
}

function newGuest(vmcsPointer: number): Guest {
  const guest: Guest = {
    id: guests.length + 1, level: 2, vmcsPointer, eptp: 0, parent: 0, counters: new Float64Array(COUNTERS),
  };
  guests.push(guest);
  return guest;
}

/**
 * VM entry succeeded: the guest of this VMCS runs from now on. `mark` is what the last call for this VMCS returned, 0 for a VMCS that was
 * never entered or whose region was used anew; the caller keeps it in the VMCS, so that a page that becomes another guest's VMCS makes another guest.
 */
export function noteEntry(vmcsPointer: number, eptp: number, mark: number): number {
  let guest: Guest | undefined = guests[mark - 1];
  // A copy of the region is another processor's.
  if (guest === undefined || guest.vmcsPointer !== vmcsPointer) guest = newGuest(vmcsPointer);
  R[GUEST_ID] = guest.id;
  const launcher = R[LAUNCHER_ID];
  if (launcher !== 0 && launcher !== guest.id) {
    guest.parent = launcher;
    guest.level = guests[launcher - 1].level + 1;
  }
  R[LAUNCHER_ID] = 0;
  if (guest.eptp !== eptp) guest.eptp = eptp;
  guest.counters[COUNTER_ENTRIES]++;
  change(guest);
  if (entryObserver !== null) entryObserver();
  return guest.id;
}

/** A VM exit with this basic reason ends the guest's run. */
export function noteExit(reason: number): void {
  const guest = guests[R[GUEST_ID] - 1];
  guest.counters[reason]++;
  R[LAUNCHER_ID] = reason === EXIT_REASON_VMLAUNCH || reason === EXIT_REASON_VMRESUME ? guest.id : 0;
  change(null);
}

/** Forgets all guests: power-on. */
export function resetGuests(): void {
  guests.length = 0;
  levelCycles.fill(0);
  levelIdle.fill(0);
  since.set([0, 1, 0, 0]);
}

export interface GuestsState {
  guests: { level: number; vmcsPointer: number; eptp: number; parent: number; counters: number[] }[];
  levelCycles: number[];
  levelIdle: number[];
  since: number[];
}

export function saveGuests(): GuestsState {
  return {
    guests: guests.map((g) => ({ level: g.level, vmcsPointer: g.vmcsPointer, eptp: g.eptp, parent: g.parent, counters: [...g.counters] })),
    levelCycles: [...levelCycles], levelIdle: [...levelIdle], since: [...since],
  };
}

export function restoreGuests(state: GuestsState): void {
  resetGuests();
  for (const saved of state.guests) {
    const guest = newGuest(saved.vmcsPointer);
    guest.level = saved.level;
    guest.eptp = saved.eptp;
    guest.parent = saved.parent;
    guest.counters.set(saved.counters);
  }
  levelCycles.set(state.levelCycles);
  levelIdle.set(state.levelIdle);
  since.set(state.since);
}
