/**
 * PS/2 keyboard (IBM PS/2 Technical Reference, keyboard section): scan code set 2, the commands drivers use. Left out: sets 1
 * and 3 (a request for them is acknowledged and remembered, the keys stay in set 2), typematic repeat.
 */
import { PS2_ACK, PS2_QUEUE_LIMIT, PS2_RESEND, PS2_SELF_TEST_PASSED, type Ps2Device } from './ps2-device';

const SET_LEDS = 0xed, ECHO = 0xee, SCAN_SET = 0xf0, IDENTIFY = 0xf2, SET_RATE = 0xf3, ENABLE = 0xf4, DISABLE = 0xf5, SET_DEFAULTS = 0xf6;
const RESEND = 0xfe, RESET = 0xff;

export interface Ps2KeyboardState {
  scanning: boolean;
  leds: number;
  scanSet: number;
  rate: number;
  /** Command whose parameter is expected, 0 = none. */
  expecting: number;
  lastSent: number;
  outgoing: number[];
}

export class Ps2Keyboard implements Ps2Device {
  private s: Ps2KeyboardState = initialState();

  get outgoing(): number[] {
    return this.s.outgoing;
  }

  /** Bits: scroll lock 0, num lock 1, caps lock 2. */
  get leds(): number {
    return this.s.leds;
  }

  /** Key bytes of scan code set 2, for one key or several; all or nothing is queued. */
  keys(scanCodes: readonly number[]): void {
    if (!this.s.scanning || this.s.outgoing.length + scanCodes.length > PS2_QUEUE_LIMIT) return;
    this.s.outgoing.push(...scanCodes);
  }

  receive(byte: number): void {
    const s = this.s;
    if (s.expecting !== 0 && byte < 0x80) {
      this.parameter(byte);
      return;
    }
    s.expecting = 0;
    switch (byte) {
      case SET_LEDS:
      case SCAN_SET:
      case SET_RATE:
        s.expecting = byte;
        s.outgoing.push(PS2_ACK);
        break;
      case ECHO: s.outgoing.push(ECHO); break;
      case IDENTIFY: s.outgoing.push(PS2_ACK, 0xab, 0x83); break;
      case ENABLE:
        s.scanning = true;
        s.outgoing.push(PS2_ACK);
        break;
      case DISABLE:
      case SET_DEFAULTS: {
        const defaults = initialState();
        s.scanSet = defaults.scanSet;
        s.rate = defaults.rate;
        s.scanning = byte === SET_DEFAULTS;
        s.outgoing.push(PS2_ACK);
        break;
      }
      case RESET:
        this.s = initialState();
        this.s.outgoing.push(PS2_ACK, PS2_SELF_TEST_PASSED);
        break;
      case RESEND: s.outgoing.push(s.lastSent); break;
      default: s.outgoing.push(byte >= 0xf7 && byte <= 0xfd ? PS2_ACK : PS2_RESEND);
    }
    this.s.lastSent = this.s.outgoing[this.s.outgoing.length - 1];
  }

  reset(): void {
    this.s = initialState();
  }

  save(): Ps2KeyboardState {
    return { ...this.s, outgoing: [...this.s.outgoing] };
  }

  restore(state: Ps2KeyboardState): void {
    this.s = { ...state, outgoing: [...state.outgoing] };
  }

  private parameter(byte: number): void {
    const s = this.s;
    const command = s.expecting;
    s.expecting = 0;
    s.outgoing.push(PS2_ACK);
    if (command === SET_LEDS) s.leds = byte & 7;
    else if (command === SET_RATE) s.rate = byte & 0x7f;
    else if (byte === 0) s.outgoing.push(s.scanSet);
    else s.scanSet = byte;
  }
}

function initialState(): Ps2KeyboardState {
  return { scanning: true, leds: 0, scanSet: 2, rate: 0x2b, expecting: 0, lastSent: 0, outgoing: [] };
}
