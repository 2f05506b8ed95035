/**
 * 16550A UART (TI TL16C550 / National PC16550D datasheet). The line is infinitely fast: a byte written leaves at once, so the
 * transmitter is always empty, and received bytes wait outside until the guest makes room. All registers and interrupts are
 * there, with loopback and modem status; left out: break and line errors on reception, and the time a character would take.
 */
import type { Device, IrqLine, PortBus, PortHandler } from './device';

// Register offsets
const DATA = 0, IER = 1, IIR_FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7;
// Interrupt enables
const IER_RX = 1, IER_TX_EMPTY = 2, IER_LINE = 4, IER_MODEM = 8;
// Interrupt identification
const IIR_NONE = 1, IIR_MODEM = 0, IIR_TX_EMPTY = 2, IIR_RX = 4, IIR_LINE = 6, IIR_TIMEOUT = 0xc;
const FCR_ENABLE = 1, FCR_CLEAR_RX = 2;
const LCR_DLAB = 0x80;
const MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 0x10;
const LSR_DATA = 1, LSR_OVERRUN = 2, LSR_TX_EMPTY = 0x60;
const MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80;
/** A terminal is always connected and ready. */
const CONNECTED = MSR_CTS | MSR_DSR | MSR_DCD;
const FIFO_SIZE = 16;
const TRIGGER_LEVELS = [1, 4, 8, 14];

export interface UartState {
  ier: number;
  lcr: number;
  mcr: number;
  scr: number;
  divisor: number;
  fifoEnabled: boolean;
  trigger: number;
  txEmptyPending: boolean;
  overrun: boolean;
  modem: number;
  modemDelta: number;
  fifo: number[];
  waiting: number[];
}

export class Uart16550 implements Device<UartState>, PortHandler {
  private readonly irq: IrqLine;
  private readonly output: (byte: number) => void;
  private ier = 0;
  private lcr = 0;
  private mcr = 0;
  private scr = 0;
  private divisor = 12;
  private fifoEnabled = false;
  private trigger = 1;
  private txEmptyPending = true;
  private overrun = false;
  private modem = CONNECTED;
  private modemDelta = 0;
  /** Receiver FIFO (one byte deep while FIFOs are off). */
  private fifo: number[] = [];
  /** Bytes that have not entered the receiver yet, consumed from `waitingFrom`. */
  private waiting: number[] = [];
  private waitingFrom = 0;

  /** `output` receives every byte transmitted. */
  constructor(irq: IrqLine, output: (byte: number) => void) {
    this.irq = irq;
    this.output = output;
  }

  attach(bus: PortBus, base: number): void {
    bus.map(base, 8, this);
  }

  /** Bytes arriving on the line. They are taken as fast as the guest reads. */
  input(bytes: ArrayLike<number>): void {
    for (let i = 0; i < bytes.length; i++) this.waiting.push(bytes[i] & 0xff);
    this.fillFifo();
    this.updateIrq();
  }

  /** Bytes that the guest has not read yet. */
  get pendingInput(): number {
    return this.fifo.length + this.waiting.length - this.waitingFrom;
  }

  read(port: number): number {
    switch (port & 7) {
      case DATA:
        return this.lcr & LCR_DLAB ? this.divisor & 0xff : this.readData();
      case IER:
        return this.lcr & LCR_DLAB ? this.divisor >> 8 : this.ier;
      case IIR_FCR: {
        const id = this.interruptId();
        if (id === IIR_TX_EMPTY) {
          this.txEmptyPending = false;
          this.updateIrq();
        }
        return id | (this.fifoEnabled ? 0xc0 : 0);
      }
      case LCR:
        return this.lcr;
      case MCR:
        return this.mcr;
      case LSR: {
        const status = LSR_TX_EMPTY | (this.fifo.length > 0 ? LSR_DATA : 0) | (this.overrun ? LSR_OVERRUN : 0);
        this.overrun = false;
        this.updateIrq();
        return status;
      }
      case MSR: {
        const status = this.modem | this.modemDelta;
        this.modemDelta = 0;
        this.updateIrq();
        return status;
      }
      default:
        return this.scr;
    }
  }

  write(port: number, _size: number, value: number): void {
    switch (port & 7) {
      case DATA:
        if (this.lcr & LCR_DLAB) this.divisor = (this.divisor & 0xff00) | value;
        else this.transmit(value);
        break;
      case IER:
        if (this.lcr & LCR_DLAB) {
          this.divisor = (this.divisor & 0xff) | (value << 8);
        } else {
          // Enabling the interrupt while the transmitter is empty raises it.
          if (value & ~this.ier & IER_TX_EMPTY) this.txEmptyPending = true;
          this.ier = value & 15;
        }
        break;
      case IIR_FCR:
        this.writeFcr(value);
        break;
      case LCR:
        this.lcr = value;
        break;
      case MCR:
        this.writeMcr(value & 0x1f);
        break;
      case SCR:
        this.scr = value;
        break;
    }
    this.updateIrq();
  }

  reset(): void {
    this.ier = this.lcr = this.mcr = 0;
    this.fifoEnabled = false;
    this.trigger = 1;
    this.txEmptyPending = true;
    this.overrun = false;
    this.modem = CONNECTED;
    this.modemDelta = 0;
    this.fifo = [];
    this.fillFifo();
    this.updateIrq();
  }

  save(): UartState {
    const { ier, lcr, mcr, scr, divisor, fifoEnabled, trigger, txEmptyPending, overrun, modem, modemDelta } = this;
    return {
      ier, lcr, mcr, scr, divisor, fifoEnabled, trigger, txEmptyPending, overrun, modem, modemDelta,
      fifo: [...this.fifo], waiting: this.waiting.slice(this.waitingFrom),
    };
  }

  restore(state: UartState): void {
    this.ier = state.ier;
    this.lcr = state.lcr;
    this.mcr = state.mcr;
    this.scr = state.scr;
    this.divisor = state.divisor;
    this.fifoEnabled = state.fifoEnabled;
    this.trigger = state.trigger;
    this.txEmptyPending = state.txEmptyPending;
    this.overrun = state.overrun;
    this.modem = state.modem;
    this.modemDelta = state.modemDelta;
    this.fifo = [...state.fifo];
    this.waiting = [...state.waiting];
    this.waitingFrom = 0;
  }

  private get loopback(): boolean {
    return (this.mcr & MCR_LOOP) !== 0;
  }

  private transmit(byte: number): void {
    // For an instant the transmitter is full: its interrupt goes away and comes back, which is a new edge.
    if (this.ier & IER_TX_EMPTY) {
      this.txEmptyPending = false;
      this.updateIrq();
    }
    this.txEmptyPending = true;
    if (this.loopback) this.receive(byte);
    else this.output(byte);
  }

  /** A byte looped back: unlike outside input it cannot wait. */
  private receive(byte: number): void {
    if (this.fifo.length < (this.fifoEnabled ? FIFO_SIZE : 1)) {
      this.fifo.push(byte);
    } else {
      this.overrun = true;
      if (!this.fifoEnabled) this.fifo[0] = byte;
    }
  }

  private readData(): number {
    const byte = this.fifo.length > 0 ? this.fifo.shift()! : 0;
    this.fillFifo();
    this.updateIrq();
    return byte;
  }

  private fillFifo(): void {
    if (this.loopback) return;
    const size = this.fifoEnabled ? FIFO_SIZE : 1;
    while (this.fifo.length < size && this.waitingFrom < this.waiting.length) this.fifo.push(this.waiting[this.waitingFrom++]);
    if (this.waitingFrom === this.waiting.length && this.waitingFrom > 0) {
      this.waiting = [];
      this.waitingFrom = 0;
    }
  }

  private writeFcr(value: number): void {
    const enable = (value & FCR_ENABLE) !== 0;
    if (enable !== this.fifoEnabled || value & FCR_CLEAR_RX) this.fifo = [];
    this.fifoEnabled = enable;
    this.trigger = enable ? TRIGGER_LEVELS[value >> 6] : 1;
    this.fillFifo();
  }

  /** In loopback the modem outputs drive the modem inputs. */
  private writeMcr(value: number): void {
    const wasLoopback = this.loopback;
    this.mcr = value;
    const modem = this.loopback
      ? (value & MCR_RTS ? MSR_CTS : 0) | (value & MCR_DTR ? MSR_DSR : 0) | (value & MCR_OUT1 ? MSR_RI : 0) | (value & MCR_OUT2 ? MSR_DCD : 0)
      : CONNECTED;
    const changed = modem ^ this.modem;
    // Delta bits 3:0 mirror bits 7:4, except that RI counts its trailing edge only.
    this.modemDelta |= (changed & (MSR_CTS | MSR_DSR | MSR_DCD)) >> 4 | (changed & this.modem & MSR_RI ? 4 : 0);
    this.modem = modem;
    if (wasLoopback && !this.loopback) this.fillFifo();
  }

  /** Highest-priority pending interrupt. Below the trigger level nothing else arrives in time, so it is a timeout. */
  private interruptId(): number {
    if (this.ier & IER_LINE && this.overrun) return IIR_LINE;
    if (this.ier & IER_RX && this.fifo.length > 0) {
      return this.fifoEnabled && this.fifo.length < this.trigger ? IIR_TIMEOUT : IIR_RX;
    }
    if (this.ier & IER_TX_EMPTY && this.txEmptyPending) return IIR_TX_EMPTY;
    if (this.ier & IER_MODEM && this.modemDelta !== 0) return IIR_MODEM;
    return IIR_NONE;
  }

  /** OUT2 gates the interrupt onto the bus; in loopback it is disconnected. */
  private updateIrq(): void {
    this.irq(this.interruptId() !== IIR_NONE && (this.mcr & (MCR_OUT2 | MCR_LOOP)) === MCR_OUT2);
  }
}
