/**
 * Ports for programs that know they run in a virtual machine: a write to F4h ends the run with the written value (1, 2 or 4 bytes),
 * bytes written to E9h and 402h are debug text; and 80h, where firmware shows its progress.
 */
import { DEBUG_EXIT_PORT, DEBUG_TEXT_PORTS, POST_PORT } from '../machine/layout';
import { ANY_WIDTH, BYTE, type Device, type PortBus, type PortHandler } from './device';

/** What the debug text ports read as, so that programs can tell that they exist. */
const PRESENT = 0xe9;

export interface DebugPortsState {
  postCode: number;
}

export class DebugPorts implements Device<DebugPortsState>, PortHandler {
  /** Last byte written to port 80h. */
  postCode = 0;
  private readonly text: (byte: number) => void;
  private readonly exit: (value: number) => void;

  constructor(text: (byte: number) => void, exit: (value: number) => void) {
    this.text = text;
    this.exit = exit;
  }

  attach(bus: PortBus): void {
    bus.map(DEBUG_EXIT_PORT, 1, this, ANY_WIDTH);
    for (const port of DEBUG_TEXT_PORTS) bus.map(port, 1, this, BYTE);
    bus.map(POST_PORT, 1, this, BYTE);
  }

  read(port: number): number {
    if (port === POST_PORT) return this.postCode;
    return port === DEBUG_EXIT_PORT ? 0 : PRESENT;
  }

  write(port: number, _size: number, value: number): void {
    if (port === POST_PORT) this.postCode = value;
    else if (port === DEBUG_EXIT_PORT) this.exit(value >>> 0);
    else this.text(value);
  }

  reset(): void {
    this.postCode = 0;
  }

  save(): DebugPortsState {
    return { postCode: this.postCode };
  }

  restore(state: DebugPortsState): void {
    this.postCode = state.postCode;
  }
}
