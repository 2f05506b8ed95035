/**
 * Two cascaded 8259A interrupt controllers (Intel 8259A datasheet 231468) with the edge/level registers of PIIX3 (4D0h, 4D1h).
 * Left out: MCS-80 mode, buffered mode (no effect on a PC), and ICW1.LTIM, which PIIX replaces by the edge/level registers.
 */
import type { Device, IrqLine, PortBus, PortHandler } from './device';

export interface PicChipState {
  lines: number;
  requests: number;
  inService: number;
  mask: number;
  levelTriggered: number;
  vectorBase: number;
  lowestPriority: number;
  initStep: number;
  needsIcw4: boolean;
  single: boolean;
  autoEoi: boolean;
  rotateOnAutoEoi: boolean;
  fullyNested: boolean;
  specialMask: boolean;
  poll: boolean;
  readInService: boolean;
}

export interface PicState {
  master: PicChipState;
  slave: PicChipState;
}

/** One 8259A. */
class PicChip {
  state: PicChipState = initialState();
  /** Edge/level bits that can be set. */
  private readonly levelMask: number;
  /** Inputs that come from another 8259A. */
  private readonly cascadeMask: number;
  private readonly outputChanged: () => void;

  constructor(levelMask: number, cascadeMask: number, outputChanged: () => void) {
    this.levelMask = levelMask;
    this.cascadeMask = cascadeMask;
    this.outputChanged = outputChanged;
  }

  /** Input number to be served next, -1 if INT is low. */
  pending(): number {
    const s = this.state;
    const requests = s.requests & ~s.mask;
    if (requests === 0) return -1;
    // In special mask mode a masked level in service blocks nothing; in special fully nested mode the slave may interrupt itself.
    let blocking = s.inService;
    if (s.specialMask) blocking &= ~s.mask;
    if (s.fullyNested) blocking &= ~this.cascadeMask;
    for (let i = 1; i <= 8; i++) {
      const input = (s.lowestPriority + i) & 7;
      const bit = 1 << input;
      if (blocking & bit) return -1;
      if (requests & bit) return input;
    }
    return -1;
  }

  /** Reports the INT pin to whatever is connected. */
  drive(): void {
    this.outputChanged();
  }

  setLine(input: number, level: boolean): void {
    const s = this.state;
    const bit = 1 << input;
    if (level) {
      if (s.levelTriggered & bit || !(s.lines & bit)) s.requests |= bit;
      s.lines |= bit;
    } else {
      // The request line must stay high until INTA in both modes: a request that goes away leads to a spurious interrupt.
      s.lines &= ~bit;
      s.requests &= ~bit;
    }
    this.outputChanged();
  }

  /** INTA: freezes priorities, moves the request into service and returns the input (7 without service bit if there is none). */
  acknowledge(): number {
    const s = this.state;
    const input = this.pending();
    if (input < 0) return 7;
    const bit = 1 << input;
    if (!(s.levelTriggered & bit)) s.requests &= ~bit;
    if (s.autoEoi) {
      if (s.rotateOnAutoEoi) s.lowestPriority = input;
    } else {
      s.inService |= bit;
    }
    return input;
  }

  readCommand(): number {
    const s = this.state;
    if (s.poll) return this.pollRead();
    return s.readInService ? s.inService : s.requests;
  }

  readData(): number {
    return this.state.poll ? this.pollRead() : this.state.mask;
  }

  writeCommand(value: number): void {
    if (value & 0x10) this.startInit(value);
    else if (value & 8) this.writeOcw3(value);
    else this.writeOcw2(value);
    this.outputChanged();
  }

  writeData(value: number): void {
    const s = this.state;
    switch (s.initStep) {
      case 2:
        s.vectorBase = value & 0xf8;
        s.initStep = s.single ? (s.needsIcw4 ? 4 : 0) : 3;
        break;
      case 3:
        s.initStep = s.needsIcw4 ? 4 : 0;
        break;
      case 4:
        s.autoEoi = (value & 2) !== 0;
        s.fullyNested = (value & 0x10) !== 0;
        s.initStep = 0;
        break;
      default:
        s.mask = value;
    }
    this.outputChanged();
  }

  setLevelTriggered(value: number): void {
    const s = this.state;
    s.levelTriggered = value & this.levelMask;
    this.refreshLevelRequests();
  }

  reset(): void {
    const { lines } = this.state;
    this.state = initialState();
    this.state.lines = lines;
  }

  private refreshLevelRequests(): void {
    const s = this.state;
    s.requests = (s.requests & ~s.levelTriggered) | (s.lines & s.levelTriggered);
    this.outputChanged();
  }

  /** ICW1: the edge detectors are cleared, so an input must fall and rise again to request. */
  private startInit(value: number): void {
    const s = this.state;
    s.mask = 0;
    s.requests = s.lines & s.levelTriggered;
    s.inService = 0;
    s.lowestPriority = 7;
    s.specialMask = s.poll = s.readInService = false;
    s.needsIcw4 = (value & 1) !== 0;
    s.single = (value & 2) !== 0;
    if (!s.needsIcw4) s.autoEoi = s.fullyNested = false;
    s.rotateOnAutoEoi = false;
    s.initStep = 2;
  }

  private writeOcw2(value: number): void {
    const s = this.state;
    const level = value & 7;
    switch (value >> 5) {
      case 0: s.rotateOnAutoEoi = false; break;
      case 4: s.rotateOnAutoEoi = true; break;
      case 1: this.endOfInterrupt(this.highestInService(), false); break;
      case 5: this.endOfInterrupt(this.highestInService(), true); break;
      case 3: this.endOfInterrupt(level, false); break;
      case 7: this.endOfInterrupt(level, true); break;
      case 6: s.lowestPriority = level; break;
    }
  }

  private writeOcw3(value: number): void {
    const s = this.state;
    if (value & 0x40) s.specialMask = (value & 0x20) !== 0;
    if (value & 4) s.poll = true;
    else if (value & 2) s.readInService = (value & 1) !== 0;
  }

  private endOfInterrupt(input: number, rotate: boolean): void {
    if (input < 0) return;
    this.state.inService &= ~(1 << input);
    if (rotate) this.state.lowestPriority = input;
  }

  /** What a non-specific EOI ends. Levels masked in special mask mode are skipped. */
  private highestInService(): number {
    const s = this.state;
    const inService = s.specialMask ? s.inService & ~s.mask : s.inService;
    for (let i = 1; i <= 8; i++) {
      const input = (s.lowestPriority + i) & 7;
      if (inService & (1 << input)) return input;
    }
    return -1;
  }

  /** A read after the poll command acts as INTA. */
  private pollRead(): number {
    this.state.poll = false;
    if (this.pending() < 0) return 0;
    const input = this.acknowledge();
    this.outputChanged();
    return 0x80 | input;
  }
}

function initialState(): PicChipState {
  return {
    lines: 0, requests: 0, inService: 0, mask: 0xff, levelTriggered: 0, vectorBase: 0, lowestPriority: 7, initStep: 0,
    needsIcw4: false, single: false, autoEoi: false, rotateOnAutoEoi: false, fullyNested: false, specialMask: false,
    poll: false, readInService: false,
  };
}

/** The pair, with interrupt inputs 0-15 (2 is the cascade). */
export class Pic implements Device<PicState>, PortHandler {
  private readonly master: PicChip;
  private readonly slave: PicChip;

  /** `output` is the INT pin of the master. */
  constructor(output: IrqLine) {
    this.master = new PicChip(0xf8, 4, () => output(this.master.pending() >= 0));
    this.slave = new PicChip(0xde, 0, () => this.master.setLine(2, this.slave.pending() >= 0));
  }

  attach(bus: PortBus): void {
    bus.map(0x20, 2, this);
    bus.map(0xa0, 2, this);
    bus.map(0x4d0, 2, this);
  }

  setLine(irq: number, level: boolean): void {
    if (irq < 8) this.master.setLine(irq, level);
    else this.slave.setLine(irq - 8, level);
  }

  /** True while INT is high. */
  get interruptPending(): boolean {
    return this.master.pending() >= 0;
  }

  /** The INTA sequence: the vector. */
  acknowledge(): number {
    const input = this.master.acknowledge();
    let vector = this.master.state.vectorBase + input;
    if (input === 2) {
      // The slave's INT falls during the cycle and rises again if more waits there, which gives the master a new edge.
      vector = this.slave.state.vectorBase + this.slave.acknowledge();
      this.master.setLine(2, false);
      this.slave.drive();
    }
    this.master.drive();
    return vector;
  }

  /** True if the interrupt is programmed as level-triggered in the edge/level registers. */
  isLevelTriggered(irq: number): boolean {
    const chip = irq < 8 ? this.master : this.slave;
    return (chip.state.levelTriggered & (1 << (irq & 7))) !== 0;
  }

  read(port: number): number {
    switch (port) {
      case 0x20: return this.master.readCommand();
      case 0x21: return this.master.readData();
      case 0xa0: return this.slave.readCommand();
      case 0xa1: return this.slave.readData();
      case 0x4d0: return this.master.state.levelTriggered;
      default: return this.slave.state.levelTriggered;
    }
  }

  write(port: number, _size: number, value: number): void {
    switch (port) {
      case 0x20: this.master.writeCommand(value); break;
      case 0x21: this.master.writeData(value); break;
      case 0xa0: this.slave.writeCommand(value); break;
      case 0xa1: this.slave.writeData(value); break;
      case 0x4d0: this.master.setLevelTriggered(value); break;
      case 0x4d1: this.slave.setLevelTriggered(value); break;
    }
  }

  reset(): void {
    this.master.reset();
    this.slave.reset();
    this.slave.setLevelTriggered(0);
    this.master.setLevelTriggered(0);
  }

  save(): PicState {
    return { master: { ...this.master.state }, slave: { ...this.slave.state } };
  }

  restore(state: PicState): void {
    this.master.state = { ...state.master };
    this.slave.state = { ...state.slave };
  }
}
