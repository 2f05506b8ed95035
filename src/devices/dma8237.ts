/**
 * The two 8237A DMA controllers and their page registers (Intel 8237A datasheet 231466), as registers only: no device of this
 * machine requests a transfer.
 */
import type { Device, PortBus, PortHandler } from './device';

/** Register numbers after the eight address and count registers. */
const COMMAND_STATUS = 8, REQUEST = 9, SINGLE_MASK = 10, MODE = 11, CLEAR_FLIP_FLOP = 12, MASTER_CLEAR = 13, CLEAR_MASK = 14, ALL_MASK = 15;

export interface DmaControllerState {
  /** Base and current address (even) and count (odd) of channels 0-3. */
  registers: number[];
  command: number;
  modes: number[];
  mask: number;
  highByte: boolean;
}

export interface DmaState {
  controllers: DmaControllerState[];
  pages: number[];
}

class DmaController {
  s: DmaControllerState = initialState();

  read(register: number): number {
    const s = this.s;
    if (register < 8) {
      const high = s.highByte;
      s.highByte = !high;
      return high ? s.registers[register] >> 8 : s.registers[register] & 0xff;
    }
    return register === ALL_MASK ? s.mask : 0; // status: no request, no terminal count
  }

  write(register: number, value: number): void {
    const s = this.s;
    if (register < 8) {
      const old = s.registers[register];
      s.registers[register] = s.highByte ? (old & 0xff) | (value << 8) : (old & 0xff00) | value;
      s.highByte = !s.highByte;
      return;
    }
    switch (register) {
      case COMMAND_STATUS: s.command = value; break;
      case REQUEST: break;
      case SINGLE_MASK:
        s.mask = value & 4 ? s.mask | (1 << (value & 3)) : s.mask & ~(1 << (value & 3));
        break;
      case MODE: s.modes[value & 3] = value; break;
      case CLEAR_FLIP_FLOP: s.highByte = false; break;
      case MASTER_CLEAR:
        s.command = 0;
        s.mask = 15;
        s.highByte = false;
        break;
      case CLEAR_MASK: s.mask = 0; break;
      case ALL_MASK: s.mask = value & 15; break;
    }
  }
}

function initialState(): DmaControllerState {
  return { registers: new Array<number>(8).fill(0), command: 0, modes: [0, 0, 0, 0], mask: 15, highByte: false };
}

export class Dma8237 implements Device<DmaState>, PortHandler {
  private readonly controllers = [new DmaController(), new DmaController()];
  /** Ports 81h-8Fh. */
  private readonly pages = new Uint8Array(16);

  attach(bus: PortBus): void {
    bus.map(0x00, 16, this);
    bus.map(0x81, 15, this);
    bus.map(0xc0, 32, this);
  }

  read(port: number): number {
    if (port < 0x10) return this.controllers[0].read(port);
    if (port >= 0xc0) return this.controllers[1].read((port - 0xc0) >> 1);
    return this.pages[port & 15];
  }

  write(port: number, _size: number, value: number): void {
    if (port < 0x10) this.controllers[0].write(port, value);
    else if (port >= 0xc0) this.controllers[1].write((port - 0xc0) >> 1, value);
    else this.pages[port & 15] = value;
  }

  reset(): void {
    for (const controller of this.controllers) controller.s = initialState();
    this.pages.fill(0);
  }

  save(): DmaState {
    const controllers = this.controllers.map(({ s }) => ({ ...s, registers: [...s.registers], modes: [...s.modes] }));
    return { controllers, pages: Array.from(this.pages) };
  }

  restore(state: DmaState): void {
    state.controllers.forEach((saved, i) => {
      this.controllers[i].s = { ...saved, registers: [...saved.registers], modes: [...saved.modes] };
    });
    this.pages.set(state.pages);
  }
}
