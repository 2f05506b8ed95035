/**
 * Keyboard controller 8042 of a PS/2-type PC at ports 60h and 64h (IBM PS/2 Technical Reference, keyboard and auxiliary device
 * controller) with a keyboard and a mouse plugged in. Bytes travel without delay; a byte that waits behind another one gets
 * its own interrupt when the first is read. Left out: password commands and the diagnostic dump.
 */
import type { Device, IrqLine, PortBus, PortHandler } from './device';
import { Ps2Keyboard, type Ps2KeyboardState } from './ps2-keyboard';
import { Ps2Mouse, type Ps2MouseState } from './ps2-mouse';

const DATA_PORT = 0x60, COMMAND_PORT = 0x64;

// Status register
const STATUS_OUTPUT_FULL = 1, STATUS_SYSTEM = 4, STATUS_COMMAND = 8, STATUS_UNLOCKED = 0x10, STATUS_MOUSE = 0x20;
// Command byte (controller RAM 0)
const KEYBOARD_INTERRUPT = 1, MOUSE_INTERRUPT = 2, SYSTEM_FLAG = 4, KEYBOARD_DISABLED = 0x10, MOUSE_DISABLED = 0x20, TRANSLATE = 0x40;
// Output port
const OUTPUT_NOT_RESET = 1, OUTPUT_A20 = 2, OUTPUT_RESERVED = 0xcc, OUTPUT_MOUSE_FULL = 0x20, OUTPUT_KEYBOARD_FULL = 0x10;

/** Where the byte in the output buffer came from. */
const FROM_CONTROLLER = 0, FROM_KEYBOARD = 1, FROM_MOUSE = 2;

/** Scan code set 2 to set 1, as the controller translates it; codes from 80h up translate to themselves except 83h and 84h. */
const TRANSLATION = [
  0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
  0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
  0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
  0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
  0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
  0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
  0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
  0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
];
const BREAK_PREFIX = 0xf0;

export interface I8042State {
  commandByte: number;
  ram: number[];
  outputFull: boolean;
  outputSource: number;
  output: number;
  /** Bytes of the controller itself (replies, looped-back bytes), as [byte, source] pairs. */
  replies: [number, number][];
  /** Command that waits for its data byte, 0 = none. */
  pendingCommand: number;
  lastWriteWasCommand: boolean;
  breakSeen: boolean;
  a20: boolean;
  keyboard: Ps2KeyboardState;
  mouse: Ps2MouseState;
}

export interface I8042Wiring {
  keyboardIrq: IrqLine;
  mouseIrq: IrqLine;
  setA20(enabled: boolean): void;
  getA20(): boolean;
  reset(): void;
}

export class I8042 implements Device<I8042State>, PortHandler {
  private readonly keyboard = new Ps2Keyboard();
  private readonly mouse = new Ps2Mouse();
  private readonly wiring: I8042Wiring;
  private commandByte = 0;
  private readonly ram = new Uint8Array(32);
  private outputFull = false;
  private outputSource = FROM_CONTROLLER;
  private output = 0;
  private replies: [number, number][] = [];
  private pendingCommand = 0;
  private lastWriteWasCommand = false;
  private breakSeen = false;

  constructor(wiring: I8042Wiring) {
    this.wiring = wiring;
    this.reset();
  }

  attach(bus: PortBus): void {
    bus.map(DATA_PORT, 1, this);
    bus.map(COMMAND_PORT, 1, this);
  }

  /** Key bytes in scan code set 2. */
  keys(scanCodes: readonly number[]): void {
    this.keyboard.keys(scanCodes);
    this.fillOutput();
  }

  /** Keyboard lights: scroll lock 1, num lock 2, caps lock 4. */
  get leds(): number {
    return this.keyboard.leds;
  }

  /** See Ps2Mouse.move. */
  moveMouse(dx: number, dy: number, dz: number, buttons: number): void {
    this.mouse.move(dx, dy, dz, buttons);
    this.fillOutput();
  }

  read(port: number): number {
    if (port === COMMAND_PORT) return this.status();
    const value = this.output;
    if (this.outputFull) {
      this.outputFull = false;
      this.updateIrqs();
      this.fillOutput();
    }
    return value;
  }

  write(port: number, _size: number, value: number): void {
    this.lastWriteWasCommand = port === COMMAND_PORT;
    if (port === COMMAND_PORT) {
      this.pendingCommand = 0;
      this.command(value);
    } else if (this.pendingCommand !== 0) {
      const command = this.pendingCommand;
      this.pendingCommand = 0;
      this.commandData(command, value);
    } else {
      this.commandByte &= ~KEYBOARD_DISABLED;
      this.keyboard.receive(value);
    }
    this.fillOutput();
  }

  /** As firmware leaves it: tested, keyboard enabled and translated, mouse disabled. */
  reset(): void {
    this.keyboard.reset();
    this.mouse.reset();
    this.commandByte = KEYBOARD_INTERRUPT | SYSTEM_FLAG | MOUSE_DISABLED | TRANSLATE;
    this.ram.fill(0);
    this.outputFull = this.lastWriteWasCommand = this.breakSeen = false;
    this.replies = [];
    this.pendingCommand = 0;
    this.wiring.setA20(true);
    this.updateIrqs();
  }

  save(): I8042State {
    const { commandByte, outputFull, outputSource, output, pendingCommand, lastWriteWasCommand, breakSeen } = this;
    return {
      commandByte, ram: Array.from(this.ram), outputFull, outputSource, output, pendingCommand, lastWriteWasCommand, breakSeen,
      replies: this.replies.map(([byte, source]) => [byte, source]), a20: this.wiring.getA20(),
      keyboard: this.keyboard.save(), mouse: this.mouse.save(),
    };
  }

  restore(state: I8042State): void {
    this.commandByte = state.commandByte;
    this.ram.set(state.ram);
    this.outputFull = state.outputFull;
    this.outputSource = state.outputSource;
    this.output = state.output;
    this.pendingCommand = state.pendingCommand;
    this.lastWriteWasCommand = state.lastWriteWasCommand;
    this.breakSeen = state.breakSeen;
    this.replies = state.replies.map(([byte, source]) => [byte, source]);
    this.wiring.setA20(state.a20);
    this.keyboard.restore(state.keyboard);
    this.mouse.restore(state.mouse);
  }

  private status(): number {
    return (
      STATUS_UNLOCKED | (this.outputFull ? STATUS_OUTPUT_FULL : 0) | (this.commandByte & SYSTEM_FLAG ? STATUS_SYSTEM : 0) |
      (this.lastWriteWasCommand ? STATUS_COMMAND : 0) | (this.outputFull && this.outputSource === FROM_MOUSE ? STATUS_MOUSE : 0)
    );
  }

  private command(command: number): void {
    if (command >= 0x20 && command <= 0x3f) {
      this.reply(command === 0x20 ? this.commandByte : this.ram[command & 31]);
      return;
    }
    if (command >= 0x60 && command <= 0x7f) {
      this.pendingCommand = command;
      return;
    }
    if (command >= 0xf0) {
      // Pulses output port bits that are 0 in the command; bit 0 is the reset line.
      if (!(command & OUTPUT_NOT_RESET)) this.wiring.reset();
      return;
    }
    switch (command) {
      case 0xa7: this.commandByte |= MOUSE_DISABLED; break;
      case 0xa8: this.commandByte &= ~MOUSE_DISABLED; break;
      case 0xa9: this.reply(0); break;
      case 0xaa:
        this.commandByte |= SYSTEM_FLAG;
        this.reply(0x55);
        break;
      case 0xab: this.reply(0); break;
      case 0xad: this.commandByte |= KEYBOARD_DISABLED; break;
      case 0xae: this.commandByte &= ~KEYBOARD_DISABLED; break;
      case 0xc0: this.reply(0x80); break;
      case 0xd0: this.reply(this.outputPort()); break;
      case 0xe0: this.reply(0); break;
      case 0xd1:
      case 0xd2:
      case 0xd3:
      case 0xd4: this.pendingCommand = command; break;
    }
  }

  private commandData(command: number, value: number): void {
    switch (command) {
      case 0x60: this.commandByte = value; break;
      case 0xd1:
        this.wiring.setA20((value & OUTPUT_A20) !== 0);
        if (!(value & OUTPUT_NOT_RESET)) this.wiring.reset();
        break;
      case 0xd2: this.replies.push([value, FROM_KEYBOARD]); break;
      case 0xd3: this.replies.push([value, FROM_MOUSE]); break;
      case 0xd4:
        this.commandByte &= ~MOUSE_DISABLED;
        this.mouse.receive(value);
        break;
      default: this.ram[command & 31] = value;
    }
    this.updateIrqs();
  }

  private outputPort(): number {
    return (
      OUTPUT_RESERVED | OUTPUT_NOT_RESET | (this.wiring.getA20() ? OUTPUT_A20 : 0) |
      (this.outputFull ? (this.outputSource === FROM_MOUSE ? OUTPUT_MOUSE_FULL : OUTPUT_KEYBOARD_FULL) : 0)
    );
  }

  /** A byte of the controller itself interrupts like keyboard data. */
  private reply(value: number): void {
    this.replies.push([value, FROM_CONTROLLER]);
  }

  /** Moves the next byte into the output buffer if that is free. */
  private fillOutput(): void {
    while (!this.outputFull) {
      const reply = this.replies.shift();
      if (reply) {
        this.setOutput(reply[0], reply[1]);
      } else if (!(this.commandByte & KEYBOARD_DISABLED) && this.keyboard.outgoing.length > 0) {
        this.takeKeyboardByte(this.keyboard.outgoing.shift()!);
      } else if (!(this.commandByte & MOUSE_DISABLED) && this.mouse.outgoing.length > 0) {
        this.setOutput(this.mouse.outgoing.shift()!, FROM_MOUSE);
      } else {
        return;
      }
    }
  }

  /** Translates to set 1 if the command byte says so: F0h is swallowed and sets bit 7 of the next code. */
  private takeKeyboardByte(byte: number): void {
    if (!(this.commandByte & TRANSLATE)) {
      this.setOutput(byte, FROM_KEYBOARD);
    } else if (byte === BREAK_PREFIX) {
      this.breakSeen = true;
    } else {
      const code = byte < 0x80 ? TRANSLATION[byte] : byte === 0x83 ? 0x41 : byte === 0x84 ? 0x54 : byte;
      this.setOutput(this.breakSeen ? code | 0x80 : code, FROM_KEYBOARD);
      this.breakSeen = false;
    }
  }

  private setOutput(value: number, source: number): void {
    this.output = value;
    this.outputSource = source;
    this.outputFull = true;
    this.updateIrqs();
  }

  private updateIrqs(): void {
    const mouse = this.outputSource === FROM_MOUSE;
    this.wiring.keyboardIrq(this.outputFull && !mouse && (this.commandByte & KEYBOARD_INTERRUPT) !== 0);
    this.wiring.mouseIrq(this.outputFull && mouse && (this.commandByte & MOUSE_INTERRUPT) !== 0);
  }
}
