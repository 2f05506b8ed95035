/**
 * Who is a guest of whom, as seen from the bare machine. Every guest processor is a VMCS that was entered; machines nest: the guest whose
 * VMLAUNCH or VMRESUME exit came just before another guest's entry is that guest's parent, so an L3 is known as one although its
 * VMCS belongs to L1 like any other.
 */
import { clockNow, idleCycles } from '../cpu/clock';
import { R } from '../cpu/state';
import { GUEST_ID } from '../vmx/state';
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
const byPointer = new Map<number, Guest>();
/** Cycles executed at each level; [1] is root operation or no VMX at all. */
const levelCycles = new Float64Array(LEVELS);
/** How many of them were idle: skipped because the processor was halted. */
const levelIdle = new Float64Array(LEVELS);
/** [0] clock value of the last change of level; [1] level since then; [2] idle cycles of the machine at that moment. */
const since = new Float64Array([0, 1, 0]);
/** Id of the guest that asked for an entry of its own with its last exit, 0 = none. */
const launcher = new Int32Array(1);

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

function changeLevel(level: number): void {
  const now = clockNow(), idle = idleCycles();
  levelCycles[since[1]] += now - since[0];
  levelIdle[since[1]] += idle - since[2];
  since[0] = now;
  since[2] = idle;
  since[1] = Math.min(level, LEVELS - 1);
}

function newGuest(vmcsPointer: number): Guest {
  const guest: Guest = {
    id: guests.length + 1, level: 2, vmcsPointer, eptp: 0, parent: 0, counters: new Float64Array(COUNTERS),
  };
  guests.push(guest);
  byPointer.set(vmcsPointer, guest);
  return guest;
}

/** VM entry succeeded: the guest of this VMCS runs from now on. */
export function noteEntry(vmcsPointer: number, eptp: number): void {
  let guest = guests[R[GUEST_ID] - 1];
  if (guest === undefined || guest.vmcsPointer !== vmcsPointer) {
    guest = byPointer.get(vmcsPointer) ?? newGuest(vmcsPointer);
    R[GUEST_ID] = guest.id;
  }
  if (launcher[0] !== 0) {
    if (launcher[0] !== guest.id) {
      guest.parent = launcher[0];
      guest.level = guests[launcher[0] - 1].level + 1;
    }
    launcher[0] = 0;
  }
  if (guest.eptp !== eptp) guest.eptp = eptp;
  guest.counters[COUNTER_ENTRIES]++;
  changeLevel(guest.level);
}

/** A VM exit with this basic reason ends the guest's run. */
export function noteExit(reason: number): void {
  const guest = guests[R[GUEST_ID] - 1];
  guest.counters[reason]++;
  guest.counters[COUNTER_CYCLES] += clockNow() - since[0];
  launcher[0] = reason === EXIT_REASON_VMLAUNCH || reason === EXIT_REASON_VMRESUME ? guest.id : 0;
  changeLevel(1);
}

/** Forgets all guests: power-on. */
export function resetGuests(): void {
  guests.length = 0;
  byPointer.clear();
  levelCycles.fill(0);
  levelIdle.fill(0);
  since[0] = 0;
  since[1] = 1;
  since[2] = 0;
  launcher[0] = 0;
}

export interface GuestsState {
  guests: { level: number; vmcsPointer: number; eptp: number; parent: number; counters: number[] }[];
  levelCycles: number[];
  levelIdle: number[];
  since: number[];
  launcher: number;
}

export function saveGuests(): GuestsState {
  return {
    guests: guests.map((g) => ({ level: g.level, vmcsPointer: g.vmcsPointer, eptp: g.eptp, parent: g.parent, counters: [...g.counters] })),
    levelCycles: [...levelCycles], levelIdle: [...levelIdle], since: [...since], launcher: launcher[0],
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
  launcher[0] = state.launcher;
}
