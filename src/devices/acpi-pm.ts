/**
 * ACPI power management of PIIX4 (Intel 82371AB datasheet 290562, chapter 7; ACPI 6.4 chapter 4.8): PM1a event and control
 * blocks, 24-bit power-management timer, general-purpose event block, SCI, soft power-off, and SMI_CMD (B2h), where the
 * firmware's switch between legacy and ACPI mode is played by the device itself. Left out: sleep states other than S5.
 */
import { Oscillator, Timer, type Clock } from '../machine/clock';
import { ACPI_DISABLE_VALUE, ACPI_ENABLE_VALUE, PM_BASE, PM_BLOCK_SIZE, PM_TIMER_HZ, S5_SLEEP_TYPE, SMI_COMMAND_PORT } from '../machine/layout';
import { WORD, DWORD, BYTE, type Device, type IrqLine, type PortBus, type PortHandler } from './device';

// Offsets in the block
const PM1_STATUS = 0, PM1_ENABLE = 2, PM1_CONTROL = 4, PM_TIMER = 8, GPE_STATUS = 0xc, GPE_ENABLE = 0xe;
// PM1 status and enable
const TIMER_STATUS = 1, GLOBAL_STATUS = 0x20, POWER_BUTTON = 0x100, RTC_ALARM = 0x400;
const PM1_STATUS_BITS = 0x8d31, PM1_ENABLE_BITS = TIMER_STATUS | GLOBAL_STATUS | POWER_BUTTON | RTC_ALARM;
// PM1 control
const SCI_ENABLE = 1, SLEEP_ENABLE = 0x2000;
const PM1_CONTROL_BITS = 0x1c07;
/** The timer sets its status bit each time bit 23 changes. */
const HALF_TURN = 0x800000;

export interface AcpiPmState {
  status: number;
  enable: number;
  control: number;
  gpeStatus: number;
  gpeEnable: number;
  halfTurnsSeen: number;
  apmControl: number;
  apmStatus: number;
}

export class AcpiPm implements Device<AcpiPmState>, PortHandler {
  private readonly clock: Clock;
  private readonly oscillator: Oscillator;
  private readonly sci: IrqLine;
  private readonly softOff: () => void;
  private readonly timer: Timer;
  private base = PM_BASE;
  private status = 0;
  private enable = 0;
  private control = 0;
  private gpeStatus = 0;
  private gpeEnable = 0;
  /** Changes of timer bit 23 already accounted for in the status. */
  private halfTurnsSeen = 0;
  private apmControl = 0;
  private apmStatus = 0;

  /** `softOff` is called when the guest turns the machine off. */
  constructor(clock: Clock, sci: IrqLine, softOff: () => void) {
    this.clock = clock;
    this.oscillator = new Oscillator(clock, PM_TIMER_HZ);
    this.sci = sci;
    this.softOff = softOff;
    this.timer = new Timer(() => this.update());
  }

  attach(bus: PortBus): void {
    bus.map(this.base, PM_BLOCK_SIZE, this, BYTE | WORD | DWORD);
    bus.map(SMI_COMMAND_PORT, 2, this, BYTE);
  }

  /** The block's first port is `base` from now on; -1: it has none. */
  place(bus: PortBus, base: number): void {
    if (base === this.base) return;
    if (this.base >= 0) bus.unmap(this.base, PM_BLOCK_SIZE);
    if (base >= 0) bus.map(base, PM_BLOCK_SIZE, this, BYTE | WORD | DWORD);
    this.base = base;
  }

  /** Presses the power button. */
  pressPowerButton(): void {
    this.status |= POWER_BUTTON;
    this.update();
  }

  read(port: number, size: number): number {
    if (port === SMI_COMMAND_PORT) return this.apmControl;
    if (port === SMI_COMMAND_PORT + 1) return this.apmStatus;
    const offset = port - this.base;
    const low = this.readHalf(offset & ~1);
    if (offset & 1) return low >> 8;
    return size === 4 ? low | (this.readHalf(offset + 2) << 16) : low;
  }

  write(port: number, size: number, value: number): void {
    if (port === SMI_COMMAND_PORT) {
      this.smiCommand(value);
      return;
    }
    if (port === SMI_COMMAND_PORT + 1) {
      this.apmStatus = value;
      return;
    }
    const offset = port - this.base;
    if (size === 4) {
      this.writeHalf(offset, value & 0xffff, 0xffff);
      this.writeHalf(offset + 2, value >>> 16, 0xffff);
    } else if (size === 2) {
      this.writeHalf(offset, value, 0xffff);
    } else {
      const shift = (offset & 1) * 8;
      this.writeHalf(offset & ~1, value << shift, 0xff << shift);
    }
    this.update();
  }

  reset(): void {
    this.status = this.enable = this.control = this.gpeStatus = this.gpeEnable = this.apmControl = this.apmStatus = 0;
    this.halfTurnsSeen = this.halfTurns();
    this.update();
  }

  save(): AcpiPmState {
    const { status, enable, control, gpeStatus, gpeEnable, halfTurnsSeen, apmControl, apmStatus } = this;
    return { status, enable, control, gpeStatus, gpeEnable, halfTurnsSeen, apmControl, apmStatus };
  }

  restore(state: AcpiPmState): void {
    this.status = state.status;
    this.enable = state.enable;
    this.control = state.control;
    this.gpeStatus = state.gpeStatus;
    this.gpeEnable = state.gpeEnable;
    this.halfTurnsSeen = state.halfTurnsSeen;
    this.apmControl = state.apmControl;
    this.apmStatus = state.apmStatus;
    this.schedule();
  }

  private halfTurns(): number {
    return Math.floor(this.oscillator.now() / HALF_TURN);
  }

  private readHalf(offset: number): number {
    switch (offset) {
      case PM1_STATUS:
        this.collectTimer();
        return this.status;
      case PM1_ENABLE: return this.enable;
      case PM1_CONTROL: return this.control;
      case PM_TIMER: return this.oscillator.now() % 0x10000;
      case PM_TIMER + 2: return Math.floor(this.oscillator.now() / 0x10000) % 0x100;
      case GPE_STATUS: return this.gpeStatus;
      case GPE_ENABLE: return this.gpeEnable;
      default: return 0;
    }
  }

  /** `mask`: bits of the half-word that are written. Status bits are cleared by writing ones. */
  private writeHalf(offset: number, value: number, mask: number): void {
    switch (offset) {
      case PM1_STATUS:
        this.collectTimer();
        this.status &= ~(value & mask & PM1_STATUS_BITS);
        break;
      case PM1_ENABLE:
        this.enable = ((this.enable & ~mask) | (value & mask)) & PM1_ENABLE_BITS;
        break;
      case PM1_CONTROL:
        this.control = ((this.control & ~mask) | (value & mask)) & PM1_CONTROL_BITS;
        if (value & mask & SLEEP_ENABLE && ((this.control >> 10) & 7) === S5_SLEEP_TYPE) this.softOff();
        break;
      case GPE_STATUS:
        this.gpeStatus &= ~(value & mask);
        break;
      case GPE_ENABLE:
        this.gpeEnable = (this.gpeEnable & ~mask) | (value & mask);
        break;
    }
  }

  private smiCommand(value: number): void {
    this.apmControl = value;
    if (value === ACPI_ENABLE_VALUE) this.control |= SCI_ENABLE;
    if (value === ACPI_DISABLE_VALUE) this.control &= ~SCI_ENABLE;
    this.update();
  }

  private collectTimer(): void {
    const turns = this.halfTurns();
    if (turns !== this.halfTurnsSeen) this.status |= TIMER_STATUS;
    this.halfTurnsSeen = turns;
  }

  private update(): void {
    this.collectTimer();
    const events = (this.status & this.enable & PM1_ENABLE_BITS) | (this.gpeStatus & this.gpeEnable);
    this.sci(events !== 0 && (this.control & SCI_ENABLE) !== 0);
    this.schedule();
  }

  private schedule(): void {
    if (this.enable & TIMER_STATUS) this.clock.schedule(this.timer, this.oscillator.cycleOf((this.halfTurns() + 1) * HALF_TURN));
    else this.clock.cancel(this.timer);
  }
}
