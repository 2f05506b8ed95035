/**
 * PS/2 mouse with the wheel extension (IBM PS/2 Technical Reference, mouse section; Microsoft IntelliMouse: the sample rates
 * 200, 100, 80 in a row turn the wheel on). Left out: the five-button extension.
 */
import { PS2_ACK, PS2_QUEUE_LIMIT, PS2_RESEND, PS2_SELF_TEST_PASSED, type Ps2Device } from './ps2-device';

const SCALE_1 = 0xe6, SCALE_2 = 0xe7, SET_RESOLUTION = 0xe8, GET_STATUS = 0xe9, SET_STREAM = 0xea, READ_DATA = 0xeb, END_WRAP = 0xec;
const SET_WRAP = 0xee, SET_REMOTE = 0xf0, IDENTIFY = 0xf2, SET_RATE = 0xf3, ENABLE = 0xf4, DISABLE = 0xf5, SET_DEFAULTS = 0xf6, RESET = 0xff;

const WHEEL_KNOCK = [200, 100, 80];

export interface Ps2MouseState {
  reporting: boolean;
  remote: boolean;
  wrap: boolean;
  wheel: boolean;
  scale2: boolean;
  resolution: number;
  rate: number;
  /** Progress of the sample-rate knock. */
  knock: number;
  expecting: number;
  buttons: number;
  dx: number;
  dy: number;
  dz: number;
  outgoing: number[];
}

export class Ps2Mouse implements Ps2Device {
  private s: Ps2MouseState = initialState();

  get outgoing(): number[] {
    return this.s.outgoing;
  }

  /** Movement (right, up, wheel towards the user positive) and buttons (left 1, right 2, middle 4) held now. */
  move(dx: number, dy: number, dz: number, buttons: number): void {
    const s = this.s;
    s.dx += dx;
    s.dy += dy;
    s.dz += dz;
    s.buttons = buttons & 7;
    if (s.reporting && !s.remote && s.outgoing.length < PS2_QUEUE_LIMIT) this.report();
  }

  receive(byte: number): void {
    const s = this.s;
    if (s.wrap && byte !== RESET && byte !== END_WRAP) {
      s.outgoing.push(byte);
      return;
    }
    if (s.expecting !== 0) {
      this.parameter(byte);
      return;
    }
    if (byte !== RESET) s.outgoing.push(byte < SCALE_1 ? PS2_RESEND : PS2_ACK);
    switch (byte) {
      case SCALE_1:
      case SCALE_2: s.scale2 = byte === SCALE_2; break;
      case SET_RESOLUTION:
      case SET_RATE: s.expecting = byte; break;
      case GET_STATUS:
        s.outgoing.push((s.remote ? 0x40 : 0) | (s.reporting ? 0x20 : 0) | (s.scale2 ? 0x10 : 0) | statusButtons(s.buttons), s.resolution, s.rate);
        break;
      case SET_STREAM: s.remote = false; break;
      case SET_REMOTE: s.remote = true; break;
      case READ_DATA: this.report(); break;
      case SET_WRAP: s.wrap = true; break;
      case END_WRAP: s.wrap = false; break;
      case IDENTIFY: s.outgoing.push(s.wheel ? 3 : 0); break;
      case ENABLE: s.reporting = true; break;
      case DISABLE: s.reporting = false; break;
      case SET_DEFAULTS: this.s = { ...initialState(), wheel: s.wheel, buttons: s.buttons, outgoing: s.outgoing }; break;
      case RESET:
        this.s = initialState();
        this.s.outgoing.push(PS2_ACK, PS2_SELF_TEST_PASSED, 0);
        break;
    }
  }

  reset(): void {
    this.s = initialState();
  }

  save(): Ps2MouseState {
    return { ...this.s, outgoing: [...this.s.outgoing] };
  }

  restore(state: Ps2MouseState): void {
    this.s = { ...state, outgoing: [...state.outgoing] };
  }

  private parameter(byte: number): void {
    const s = this.s;
    if (s.expecting === SET_RESOLUTION) {
      s.resolution = byte & 3;
    } else {
      s.rate = byte;
      s.knock = byte === WHEEL_KNOCK[s.knock] ? s.knock + 1 : byte === WHEEL_KNOCK[0] ? 1 : 0;
      if (s.knock === WHEEL_KNOCK.length) {
        s.wheel = true;
        s.knock = 0;
      }
    }
    s.expecting = 0;
    s.outgoing.push(PS2_ACK);
  }

  /** Sends the movement so far, in as many 9-bit packets as it takes one at a time: the rest waits for the next report. */
  private report(): void {
    const s = this.s;
    const dx = clamp(s.dx, -255, 255), dy = clamp(s.dy, -255, 255), dz = clamp(s.dz, -8, 7);
    s.outgoing.push(8 | s.buttons | (dx < 0 ? 0x10 : 0) | (dy < 0 ? 0x20 : 0), dx & 0xff, dy & 0xff);
    if (s.wheel) s.outgoing.push(dz & 0xff);
    s.dx -= dx;
    s.dy -= dy;
    s.dz = s.wheel ? s.dz - dz : 0;
  }
}

/** The status byte has left in bit 2, middle in bit 1 and right in bit 0. */
function statusButtons(buttons: number): number {
  return ((buttons & 1) << 2) | ((buttons & 4) >> 1) | ((buttons & 2) >> 1);
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}

function initialState(): Ps2MouseState {
  return {
    reporting: false, remote: false, wrap: false, wheel: false, scale2: false, resolution: 2, rate: 100, knock: 0, expecting: 0,
    buttons: 0, dx: 0, dy: 0, dz: 0, outgoing: [],
  };
}
