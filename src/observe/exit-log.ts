/**
 * Counts of VM exits, and hooks for those who watch them (L2 consoles, the inspector). Nothing here changes what a guest sees; a hook
 * that is null costs one comparison.
 */

/** VM exits since power-on, by basic exit reason. */
export const exitCounts = new Float64Array(70);

/**
 * Sees each port access of a guest that exits: `vmcsKey` is the guest's number (guests.ts), `value` is RAX's part for OUT, or the low word of the
 * linear address of the memory operand for string instructions (REP: the elements follow in memory, the count is in rCX).
 */
export type IoObserver = (
  vmcsKey: number, port: number, size: number, isIn: boolean, value: number, isString: boolean, isRep: boolean,
) => void;

/** Sees each VM exit before the hypervisor does: basic reason with the entry-failure bit, low word of the qualification, guest RIP. */
export type ExitObserver = (reason: number, qualificationLo: number, guestRipLo: number, guestRipHi: number) => void;

/** Sees each VM entry that succeeded: the guest of V runs from now on. */
export type EntryObserver = () => void;

/** Sees RDMSR and WRMSR that are about to execute without a VM exit. */
export type MsrObserver = (index: number, isWrite: boolean) => void;

export let ioObserver: IoObserver | null = null;
export let exitObserver: ExitObserver | null = null;
export let entryObserver: EntryObserver | null = null;
export let msrObserver: MsrObserver | null = null;
/** Sees each VMLAUNCH and VMRESUME that fails without an exit: the VM-instruction error, 0 without a current VMCS. */
export let refusalObserver: ((error: number) => void) | null = null;

export function setRefusalObserver(observer: ((error: number) => void) | null): void {
  refusalObserver = observer;
}

/** Called when another vCPU runs, with its state in R. */
export let switchObserver: EntryObserver | null = null;

const ioObservers: IoObserver[] = [];

function ioToAll(vmcsKey: number, port: number, size: number, isIn: boolean, value: number, isString: boolean, isRep: boolean): void {
  for (const observer of ioObservers) observer(vmcsKey, port, size, isIn, value, isString, isRep);
}

/** Adds a port observer; returns how to remove it. */
export function addIoObserver(observer: IoObserver): () => void {
  ioObservers.push(observer);
  ioObserver = ioToAll;
  return () => {
    const at = ioObservers.indexOf(observer);
    if (at >= 0) ioObservers.splice(at, 1);
    ioObserver = ioObservers.length === 0 ? null : ioToAll;
  };
}

const exitObservers: ExitObserver[] = [];

function exitToAll(reason: number, qualificationLo: number, guestRipLo: number, guestRipHi: number): void {
  for (const observer of exitObservers) observer(reason, qualificationLo, guestRipLo, guestRipHi);
}

/** Adds an exit observer; returns how to remove it. The guest's state is in R and has been saved to V when observers are called. */
export function addExitObserver(observer: ExitObserver): () => void {
  exitObservers.push(observer);
  exitObserver = exitObservers.length === 1 ? observer : exitToAll;
  return () => {
    const at = exitObservers.indexOf(observer);
    if (at >= 0) exitObservers.splice(at, 1);
    exitObserver = exitObservers.length === 0 ? null : exitObservers.length === 1 ? exitObservers[0] : exitToAll;
  };
}

const entryObservers: EntryObserver[] = [];

function entryToAll(): void {
  for (const observer of entryObservers) observer();
}

/** Adds an entry observer; returns how to remove it. */
export function addEntryObserver(observer: EntryObserver): () => void {
  entryObservers.push(observer);
  entryObserver = entryToAll;
  return () => {
    const at = entryObservers.indexOf(observer);
    if (at >= 0) entryObservers.splice(at, 1);
    entryObserver = entryObservers.length === 0 ? null : entryToAll;
  };
}

/** Installs or removes (null) the MSR observer. */
export function setMsrObserver(observer: MsrObserver | null): void {
  msrObserver = observer;
}

/** Installs or removes (null) what is called when another vCPU runs. */
export function setSwitchObserver(observer: EntryObserver | null): void {
  switchObserver = observer;
}
