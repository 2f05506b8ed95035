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

export let ioObserver: IoObserver | null = null;
export let exitObserver: ExitObserver | null = null;

/** Installs or removes (null) the port observer. */
export function setIoObserver(observer: IoObserver | null): void {
  ioObserver = observer;
}

/** Installs or removes (null) the exit observer. */
export function setExitObserver(observer: ExitObserver | null): void {
  exitObserver = observer;
}
