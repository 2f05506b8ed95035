/**
 * The serial consoles of L1's guests as L0 sees them: a passive 16550 per guest machine, fed by the port accesses that exit to L1
 * (TI TL16C550 datasheet; SDM 3C 28.2.1, exit qualification for I/O instructions). Nothing of this is visible to any guest.
 *
 * Left out: guests whose COM1 L1 passes through (their accesses do not exit), and memory-mapped UARTs.
 */
import { R, RCX, LA, CURP, EFLAGS, F_DF, RIP } from '../cpu/state';
import { recAddressSize, OPSIZE_16, OPSIZE_32 } from '../cpu/record';
import { cyclesAtLevel } from './guests';
import { GuestMachines } from './guest-machines';
import { addIoObserver } from './exit-log';
import { peekLinearValue } from './guest-memory';

const COM1 = 0x3f8, COM1_END = 0x400;
const DATA = 0, LCR = 3, MCR = 4;
const LCR_DLAB = 0x80, MCR_LOOP = 0x10;
/** Elements of a REP OUTS that are looked at; hypervisors handle a page at a time. */
const MAX_ELEMENTS = 4096;

/** Whose console a byte comes from. */
export interface GuestConsole {
  /** From 1, in the order of appearance. */
  readonly machine: number;
  /** 2 for guests of L1, 3 for guests of those. */
  readonly level: number;
}

/** One guest machine's console, and the state of its UART that matters. */
export interface ObservedConsole extends GuestConsole {
  lcr: number;
  mcr: number;
}

/** The string instruction that a guest was last seen in, to know its continuation after a partial emulation. */
interface StringProgress {
  ripLo: number;
  ripHi: number;
  /** Linear address behind the last element (low word). */
  end: number;
  cycles: number;
}

/** Receives one byte of a console. */
export type ConsoleByte = (console: GuestConsole, byte: number) => void;

export class L2Consoles {
  private readonly output: ConsoleByte;
  private readonly machines: GuestMachines;
  /** By number of the machine. */
  private readonly consoles = new Map<number, ObservedConsole>();
  private stopListening: () => void = () => undefined;
  private readonly strings = new Map<number, StringProgress>();

  constructor(output: ConsoleByte, machines = new GuestMachines()) {
    this.output = output;
    this.machines = machines;
  }

  /** Starts listening. */
  attach(): void {
    this.stopListening = addIoObserver((guestId, port, size, isIn, value, isString, isRep) => {
      if (isIn || port >= COM1_END || port + size <= COM1) return;
      if (isString) this.stringOut(guestId, port, size, isRep);
      else this.out(this.consoleOf(guestId), port, size, value);
    });
  }

  detach(): void {
    this.stopListening();
  }

  /** The console that belongs to the machine of this guest processor. */
  private consoleOf(guestId: number): ObservedConsole {
    const machine = this.machines.ofGuest(guestId);
    const number = machine?.number ?? 0;
    let console = this.consoles.get(number);
    if (console === undefined) {
      console = { machine: number, level: machine?.level ?? 2, lcr: 0, mcr: 0 };
      this.consoles.set(number, console);
    }
    return console;
  }

  /** An OUT of `size` bytes touches as many registers. */
  private out(console: ObservedConsole, port: number, size: number, value: number): void {
    for (let n = 0; n < size; n++) {
      const register = port + n - COM1, byte = (value >>> (8 * n)) & 0xff;
      if (register === LCR) console.lcr = byte;
      else if (register === MCR) console.mcr = byte;
      else if (register === DATA && (console.lcr & LCR_DLAB) === 0 && (console.mcr & MCR_LOOP) === 0) this.output(console, byte);
    }
  }

  /** OUTS: the elements lie in the guest's memory, which is still mapped at this moment. */
  private stringOut(guestId: number, port: number, size: number, isRep: boolean): void {
    const console = this.consoleOf(guestId);
    const addressSize = recAddressSize(R[CURP]);
    let count = 1;
    if (isRep) {
      count = addressSize === OPSIZE_16 ? R[RCX] & 0xffff : R[RCX] >>> 0;
      if (addressSize !== OPSIZE_16 && addressSize !== OPSIZE_32 && R[RCX + 1] !== 0) count = MAX_ELEMENTS;
      count = Math.min(count, MAX_ELEMENTS);
    }
    const step = (R[EFLAGS] & F_DF) !== 0 ? -size : size;
    const end = (R[LA] + count * step) | 0;
    if (this.continues(guestId, console.level, end)) return;
    for (let n = 0; n < count; n++) {
      this.out(console, port, size, peekLinearValue(R[LA], R[LA + 1], n * step, size));
    }
  }

  /** True if this exit is the rest of an instruction whose elements were all taken at an earlier exit. */
  private continues(guestId: number, level: number, end: number): boolean {
    const cycles = cyclesAtLevel(level);
    const before = this.strings.get(guestId);
    this.strings.set(guestId, { ripLo: R[RIP], ripHi: R[RIP + 1], end, cycles });
    return before !== undefined && before.ripLo === R[RIP] && before.ripHi === R[RIP + 1] && before.end === end && cycles - before.cycles <= 1;
  }
}
