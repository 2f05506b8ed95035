/**
 * How a PC/AT reports x87 errors while CR0.NE = 0 (SDM 1 appendix D.1.1): FERR# is latched as IRQ 13; a write to port F0h drops the
 * interrupt and asserts IGNNE#, which lets x87 instructions go on until the error is cleared.
 */
import { BYTE, type Device, type IrqLine, type PortBus, type PortHandler } from './device';

/** Clears the latch; the second port resets the 80287 too and does the same on later machines. */
const CLEAR_PORTS = 0xf0, PORT_COUNT = 2;

export interface FpuErrorState {
  latched: boolean;
  ignored: boolean;
}

export class FpuError implements Device<FpuErrorState>, PortHandler {
  private readonly irq: IrqLine;
  private latched = false;
  /** IGNNE#. */
  private ignored = false;

  constructor(irq: IrqLine) {
    this.irq = irq;
  }

  attach(bus: PortBus): void {
    bus.map(CLEAR_PORTS, PORT_COUNT, this, BYTE);
  }

  /** FERR#: a waiting x87 instruction met an unmasked error (true), or the error was cleared (false). */
  setErrorPin(asserted: boolean): void {
    if (!asserted) this.ignored = false;
    else if (!this.ignored) this.latch(true);
  }

  read(): number {
    return 0xff;
  }

  write(): void {
    if (!this.latched) return;
    this.latch(false);
    this.ignored = true;
  }

  reset(): void {
    this.latch(false);
    this.ignored = false;
  }

  save(): FpuErrorState {
    return { latched: this.latched, ignored: this.ignored };
  }

  restore(state: FpuErrorState): void {
    this.latched = state.latched;
    this.ignored = state.ignored;
  }

  private latch(latched: boolean): void {
    this.latched = latched;
    this.irq(latched);
  }
}
