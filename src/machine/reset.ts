/**
 * The ports that reset the machine or gate address line 20: 92h (system control port A of a PS/2) and CF9h (reset control register
 * of PIIX3, Intel 290550).
 */
import { a20Enabled, setA20 } from '../cpu/mmu/physical';
import type { Device, PortBus, PortHandler } from '../devices/device';
import { RESET_PORT } from './layout';

const CONTROL_PORT_A = 0x92;
const FAST_RESET = 1, FAST_A20 = 2;
const RESET_CPU = 4, FULL_RESET = 2;

export interface ResetPortsState {
  portA: number;
  resetControl: number;
}

export class ResetPorts implements Device<ResetPortsState>, PortHandler {
  private readonly requestReset: (cause: string) => void;
  private portA = 0;
  private resetControl = 0;

  constructor(requestReset: (cause: string) => void) {
    this.requestReset = requestReset;
  }

  attach(bus: PortBus): void {
    bus.map(CONTROL_PORT_A, 1, this);
    bus.map(RESET_PORT, 1, this);
  }

  read(port: number): number {
    return port === RESET_PORT ? this.resetControl : (this.portA & ~FAST_A20) | (a20Enabled() ? FAST_A20 : 0);
  }

  write(port: number, _size: number, value: number): void {
    if (port === RESET_PORT) {
      const rises = (value & ~this.resetControl & RESET_CPU) !== 0;
      this.resetControl = value & (RESET_CPU | FULL_RESET);
      if (rises) this.requestReset('port CF9h');
      return;
    }
    setA20((value & FAST_A20) !== 0);
    const rises = (value & ~this.portA & FAST_RESET) !== 0;
    this.portA = value;
    if (rises) this.requestReset('port 92h');
  }

  reset(): void {
    this.portA = this.resetControl = 0;
  }

  save(): ResetPortsState {
    return { portA: this.portA, resetControl: this.resetControl };
  }

  restore(state: ResetPortsState): void {
    this.portA = state.portA;
    this.resetControl = state.resetControl;
  }
}
