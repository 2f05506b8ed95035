/**
 * What a device looks like to the machine: how it is reached, how it is reset, and how its state is saved as a plain
 * object with named fields.
 */

/** Claims I/O ports. `size` is 1, 2 or 4 bytes and one of the widths the handler was mapped with. */
export interface PortHandler {
  read(port: number, size: number): number;
  write(port: number, size: number, value: number): void;
}

/** Claims a range of physical addresses. `size` is 1, 2 or 4 bytes, `offset` relative to the range; 32-bit values are signed. */
export interface MmioHandler {
  readonly name: string;
  read(offset: number, size: number): number;
  write(offset: number, size: number, value: number): void;
}

/** Access widths a port handler understands; other accesses are split into smaller ones, low address first. */
export const BYTE = 1, WORD = 2, DWORD = 4, ANY_WIDTH = 7;

/** The I/O port space as devices see it. */
export interface PortBus {
  /** Gives `count` ports from `first` to `handler`; `widths` is an OR of BYTE, WORD, DWORD. */
  map(first: number, count: number, handler: PortHandler, widths?: number): void;
  unmap(first: number, count: number): void;
}

/** Drives an interrupt line to a level. Calling it with the level the line already has is allowed and means nothing. */
export type IrqLine = (level: boolean) => void;

/** A device with state of type `State`, a plain JSON-able object (numbers, booleans, strings, arrays of them, and such objects). */
export interface Device<State> {
  /** Power-on or bus reset. */
  reset(): void;
  save(): State;
  /** Takes over a saved state, timers included. Interrupt lines are not driven: their levels are part of the receivers' states. */
  restore(state: State): void;
}
