/**
 * Local APIC of one vCPU (SDM 3A chapter 10): xAPIC registers in memory, and the same registers as x2APIC MSRs when
 * IA32_APIC_BASE says so. Version 14h with six LVT entries. Left out: SMI delivery, remote read, thermal and performance
 * events (their LVT entries are storage), directed EOI.
 */
import { SIG_NMI } from '../cpu/state';
import type { Clock } from '../machine/clock';
import { LAPIC_BASE } from '../machine/layout';
import { type ApicBus, BROADCAST, DELIVER_EXTINT, DELIVER_FIXED, DELIVER_INIT, DELIVER_LOWEST, DELIVER_NMI, DELIVER_SIPI } from './apic-bus';
import { LapicTimer, type LapicTimerState } from './lapic-timer';

// Register numbers: offset >> 4 in the page, MSR - 800h in x2APIC mode
const ID = 0x02, VERSION = 0x03, TPR = 0x08, APR = 0x09, PPR = 0x0a, EOI = 0x0b, LDR = 0x0d, DFR = 0x0e, SVR = 0x0f;
const ISR = 0x10, TMR = 0x18, IRR = 0x20, ESR = 0x28, ICR_LOW = 0x30, ICR_HIGH = 0x31, LVT_TIMER = 0x32;
const LVT_LINT0 = 0x35, LVT_LINT1 = 0x36, LVT_ERROR = 0x37, TIMER_INITIAL = 0x38, TIMER_CURRENT = 0x39, TIMER_DIVIDE = 0x3e, SELF_IPI = 0x3f;

const LVT_COUNT = 6;
const LVT_MASKED = 0x10000;
const LVT_LEVEL = 0x8000, LVT_REMOTE_IRR = 0x4000;
/** Bits that software cannot change: remote IRR and delivery status. */
const LVT_STATUS = 0x5000;
/** Bits that can be written in each LVT entry: timer, thermal, performance, LINT0, LINT1, error. */
const LVT_WRITABLE = [0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff];
const SVR_ENABLE = 0x100;
const ESR_SEND_ILLEGAL = 0x20, ESR_RECEIVED_ILLEGAL = 0x40, ESR_ILLEGAL_REGISTER = 0x80;
const VERSION_VALUE = 0x14 | ((LVT_COUNT - 1) << 16);

// IA32_APIC_BASE
const BASE_X2APIC = 0x400, BASE_ENABLE = 0x800;

export interface LapicState {
  baseMsrLow: number;
  baseMsrHigh: number;
  id: number;
  tpr: number;
  ldr: number;
  dfr: number;
  svr: number;
  esr: number;
  errors: number;
  icrLow: number;
  icrHigh: number;
  lvt: number[];
  irr: number[];
  isr: number[];
  tmr: number[];
  lint0: boolean;
  lint1: boolean;
  extIntMessage: boolean;
  timer: LapicTimerState;
}

export class Lapic {
  readonly vcpu: number;
  private readonly bus: ApicBus;
  private readonly timer: LapicTimer;
  private baseMsrLow = LAPIC_BASE | BASE_ENABLE;
  private baseMsrHigh = 0;
  private id: number;
  private tpr = 0;
  private ldr = 0;
  private dfr = -1;
  private svr = 0xff;
  /** ESR as last latched, and the errors since. */
  private esr = 0;
  private errors = 0;
  private icrLow = 0;
  private icrHigh = 0;
  private readonly lvt = new Int32Array(LVT_COUNT).fill(LVT_MASKED);
  private readonly irr = new Int32Array(8);
  private readonly isr = new Int32Array(8);
  private readonly tmr = new Int32Array(8);
  private lint0 = false;
  private lint1 = false;
  /** An IOAPIC entry in ExtINT mode asks for an INTA cycle to the 8259. */
  private extIntMessage = false;

  constructor(vcpu: number, clock: Clock, bus: ApicBus) {
    this.vcpu = vcpu;
    this.id = vcpu;
    this.bus = bus;
    this.timer = new LapicTimer(clock, () => this.fireLvt(LVT_TIMER));
    bus.lapics.push(this);
  }

  /** Enabled in IA32_APIC_BASE and by software. */
  get enabled(): boolean {
    return this.globallyEnabled && (this.svr & SVR_ENABLE) !== 0;
  }

  get globallyEnabled(): boolean {
    return (this.baseMsrLow & BASE_ENABLE) !== 0;
  }

  get x2apic(): boolean {
    return (this.baseMsrLow & (BASE_ENABLE | BASE_X2APIC)) === (BASE_ENABLE | BASE_X2APIC);
  }

  // --- Messages ---

  /** Is a message with this destination for us? (SDM 3A 10.6.2, 10.12.10) */
  matches(destination: number, logical: boolean): boolean {
    if (!this.globallyEnabled) return false;
    if (destination === -1) return true;
    if (this.x2apic) {
      if (!logical) return destination === this.id || destination === BROADCAST;
      const ldr = x2apicLdr(this.id);
      return (destination >>> 16) === (ldr >>> 16) && (destination & ldr & 0xffff) !== 0;
    }
    if (!logical) return destination === this.id || destination === BROADCAST;
    const mine = this.ldr >>> 24;
    if (this.dfr >>> 28 === 0xf) return (mine & destination) !== 0;
    return (mine >> 4 === destination >> 4 || destination >> 4 === 15) && (mine & destination & 15) !== 0;
  }

  /** Takes a fixed interrupt into IRR. */
  accept(vector: number, level: boolean): void {
    if (!this.enabled) return;
    if (vector < 16) {
      this.error(ESR_RECEIVED_ILLEGAL);
      return;
    }
    setBit(this.irr, vector);
    if (level) setBit(this.tmr, vector);
    else clearBit(this.tmr, vector);
    this.drive();
  }

  /** An IOAPIC pin in ExtINT mode is asserted or not. */
  setExtIntMessage(level: boolean): void {
    this.extIntMessage = level;
    this.drive();
  }

  /** LINT0 pin: the 8259's INT output at the first processor. */
  setLint0(level: boolean): void {
    if (level === this.lint0) return;
    this.lint0 = level;
    if (level && this.globallyEnabled) this.fireLint(LVT_LINT0);
    this.drive();
  }

  /** LINT1 pin: NMI sources of the board. With the local APIC disabled it is the NMI pin. */
  setLint1(level: boolean): void {
    if (level === this.lint1) return;
    this.lint1 = level;
    if (!level) return;
    if (this.globallyEnabled) this.fireLint(LVT_LINT1);
    else this.bus.lines.signal(this.vcpu, SIG_NMI, 0);
  }

  /** INTA cycle: the vector to deliver. Our own interrupts come before the 8259's. */
  acknowledge(): number {
    const vector = this.deliverable();
    if (vector >= 0) {
      clearBit(this.irr, vector);
      setBit(this.isr, vector);
      this.drive();
      return vector;
    }
    if (this.extIntAsserted()) {
      const external = this.bus.lines.acknowledge8259();
      this.drive();
      return external;
    }
    this.drive();
    return this.svr & 0xff;
  }

  /** PPR: the higher of TPR and the class in service. */
  processorPriority(): number {
    const inService = Math.max(0, highestBit(this.isr));
    return (this.tpr & 0xf0) >= (inService & 0xf0) ? this.tpr : inService & 0xf0;
  }

  // --- CR8 ---

  get cr8(): number {
    return this.tpr >> 4;
  }

  set cr8(value: number) {
    this.tpr = (value & 15) << 4;
    this.drive();
  }

  // --- TSC deadline MSR ---

  /** Leaves IA32_TSC_DEADLINE in `value`: low word, high word. */
  readTscDeadline(value: Int32Array): void {
    this.timer.readTscDeadline(value);
  }

  /** `tscLow`, `tscHigh`: the TSC of this vCPU now. */
  writeTscDeadline(low: number, high: number, tscLow: number, tscHigh: number): void {
    this.timer.writeTscDeadline(low, high, tscLow, tscHigh);
  }

  /** The TSC of this vCPU was set to another value. */
  tscWritten(tscLow: number, tscHigh: number): void {
    this.timer.tscWritten(tscLow, tscHigh);
  }

  // --- IA32_APIC_BASE ---

  /** Host-physical address of the register page; -1 while there is none (disabled, or x2APIC mode). */
  get registerPage(): number {
    if (!this.globallyEnabled || this.x2apic) return -1;
    return this.baseMsrHigh * 0x100000000 + ((this.baseMsrLow & ~0xfff) >>> 0);
  }

  /** Follows a (valid) write of IA32_APIC_BASE: disabling resets the APIC, entering x2APIC mode fixes id and LDR. */
  setBase(low: number, high: number): void {
    const was = this.baseMsrLow;
    this.baseMsrLow = low;
    this.baseMsrHigh = high;
    if (was & BASE_ENABLE && !(low & BASE_ENABLE)) this.clear();
    if (this.x2apic && !(was & BASE_X2APIC)) {
      this.id = this.vcpu;
      this.icrHigh = 0;
    }
    this.drive();
  }

  // --- Registers in memory ---

  /** `offset` in the 4 KiB page. Registers are 32 bits wide every 16 bytes; other bytes read as zero. */
  readMemory(offset: number, size: number): number {
    const lane = offset & 15;
    if (lane > 3) return 0;
    const value = this.read(offset >> 4) >> (lane * 8);
    return size === 4 ? value : size === 2 ? value & 0xffff : value & 0xff;
  }

  /** Only aligned 32-bit writes reach a register. */
  writeMemory(offset: number, size: number, value: number): void {
    if (size === 4 && (offset & 15) === 0) this.write(offset >> 4, value);
  }

  // --- Registers as MSRs 800h-8FFh ---

  /** Reads x2APIC register MSR 800h + `register` into `value`; false = #GP. */
  readMsr(register: number, value: Int32Array): boolean {
    if (!this.x2apic || !isX2apicReadable(register)) return false;
    value[0] = this.read(register);
    value[1] = register === ICR_LOW ? this.icrHigh : 0;
    return true;
  }

  writeMsr(register: number, low: number, high: number): boolean {
    if (!this.x2apic || !isX2apicWritable(register)) return false;
    if (high !== 0 && register !== ICR_LOW) return false;
    if (low & x2apicReserved(register)) return false;
    if (register === SELF_IPI) {
      this.sendFixedToSelf(low & 0xff);
    } else {
      if (register === ICR_LOW) this.icrHigh = high;
      this.write(register, low);
    }
    return true;
  }

  // --- Reset and state ---

  /** INIT: everything but the APIC id and IA32_APIC_BASE. */
  init(): void {
    this.clear();
    this.drive();
  }

  /** Power-on. */
  reset(): void {
    this.baseMsrLow = LAPIC_BASE | BASE_ENABLE;
    this.baseMsrHigh = 0;
    this.id = this.vcpu;
    this.clear();
    this.drive();
  }

  /** What firmware leaves behind on the first processor: enabled, the 8259 through LINT0, NMI on LINT1 (SDM 3A 10.1, MP spec virtual-wire mode). */
  enterVirtualWireMode(): void {
    this.write(SVR, SVR_ENABLE | 0xff);
    this.write(LVT_LINT0, DELIVER_EXTINT << 8);
    this.write(LVT_LINT1, DELIVER_NMI << 8);
  }

  save(): LapicState {
    const { baseMsrLow, baseMsrHigh, id, tpr, ldr, dfr, svr, esr, errors, icrLow, icrHigh, lint0, lint1, extIntMessage } = this;
    return {
      baseMsrLow, baseMsrHigh, id, tpr, ldr, dfr, svr, esr, errors, icrLow, icrHigh, lint0, lint1, extIntMessage,
      lvt: Array.from(this.lvt), irr: Array.from(this.irr), isr: Array.from(this.isr), tmr: Array.from(this.tmr), timer: this.timer.save(),
    };
  }

  restore(state: LapicState): void {
    this.baseMsrLow = state.baseMsrLow;
    this.baseMsrHigh = state.baseMsrHigh;
    this.id = state.id;
    this.tpr = state.tpr;
    this.ldr = state.ldr;
    this.dfr = state.dfr;
    this.svr = state.svr;
    this.esr = state.esr;
    this.errors = state.errors;
    this.icrLow = state.icrLow;
    this.icrHigh = state.icrHigh;
    this.lint0 = state.lint0;
    this.lint1 = state.lint1;
    this.extIntMessage = state.extIntMessage;
    this.lvt.set(state.lvt);
    this.irr.set(state.irr);
    this.isr.set(state.isr);
    this.tmr.set(state.tmr);
    this.timer.restore(state.timer);
  }

  // --- Inside ---

  private clear(): void {
    this.tpr = this.ldr = this.esr = this.errors = this.icrLow = this.icrHigh = 0;
    this.dfr = -1;
    this.svr = 0xff;
    this.lvt.fill(LVT_MASKED);
    this.irr.fill(0);
    this.isr.fill(0);
    this.tmr.fill(0);
    this.extIntMessage = false;
    this.timer.reset();
  }

  /** Highest requested vector that the processor priority lets through, -1 if none. */
  private deliverable(): number {
    if (!this.enabled) return -1;
    const vector = highestBit(this.irr);
    return vector >= 0 && vector >> 4 > this.processorPriority() >> 4 ? vector : -1;
  }

  private extIntAsserted(): boolean {
    // Without local APIC, LINT0 is the INTR pin of the first processor.
    if (!this.globallyEnabled) return this.lint0;
    const lint0 = this.lvt[LVT_LINT0 - LVT_TIMER];
    return this.extIntMessage || (this.lint0 && (lint0 & LVT_MASKED) === 0 && ((lint0 >> 8) & 7) === DELIVER_EXTINT);
  }

  /** Drives INTR. */
  private drive(): void {
    this.bus.lines.setIntr(this.vcpu, this.deliverable() >= 0 || this.extIntAsserted());
  }

  private read(register: number): number {
    if (register >= ISR && register < ISR + 8) return this.isr[register - ISR];
    if (register >= TMR && register < TMR + 8) return this.tmr[register - TMR];
    if (register >= IRR && register < IRR + 8) return this.irr[register - IRR];
    if (register >= LVT_TIMER && register < LVT_TIMER + LVT_COUNT) return this.lvt[register - LVT_TIMER];
    switch (register) {
      case ID: return this.x2apic ? this.id : this.id << 24;
      case VERSION: return VERSION_VALUE;
      case TPR: return this.tpr;
      case APR: return this.arbitrationPriority();
      case PPR: return this.processorPriority();
      case LDR: return this.x2apic ? x2apicLdr(this.id) : this.ldr;
      case DFR: return this.dfr;
      case SVR: return this.svr;
      case ESR: return this.esr;
      case ICR_LOW: return this.icrLow;
      case ICR_HIGH: return this.icrHigh;
      case TIMER_INITIAL: return this.timer.initial | 0;
      case TIMER_CURRENT: return this.timer.currentCount() | 0;
      case TIMER_DIVIDE: return this.timer.divide;
      case EOI:
      case 0x0c: return 0;
      default:
        this.error(ESR_ILLEGAL_REGISTER);
        return 0;
    }
  }

  private write(register: number, value: number): void {
    if (register >= LVT_TIMER && register < LVT_TIMER + LVT_COUNT) {
      this.writeLvt(register, value);
      return;
    }
    switch (register) {
      case ID: this.id = value >>> 24; break;
      case TPR:
        this.tpr = value & 0xff;
        this.drive();
        break;
      case EOI: this.endOfInterrupt(); break;
      case LDR: this.ldr = value & 0xff000000; break;
      case DFR: this.dfr = value | 0x0fffffff; break;
      case SVR: this.writeSvr(value); break;
      case ESR:
        this.esr = this.errors;
        this.errors = 0;
        break;
      case ICR_LOW: this.writeIcr(value); break;
      case ICR_HIGH: this.icrHigh = value & 0xff000000; break;
      case TIMER_INITIAL: this.timer.setInitial(value >>> 0); break;
      case TIMER_DIVIDE: this.timer.setDivide(value); break;
      case VERSION:
      case APR:
      case PPR:
      case TIMER_CURRENT:
      case 0x0c: break; // read-only
      default:
        if (register < ISR || register >= ESR) this.error(ESR_ILLEGAL_REGISTER);
    }
  }

  private writeLvt(register: number, value: number): void {
    const index = register - LVT_TIMER;
    let entry = (value & LVT_WRITABLE[index]) | (this.lvt[index] & LVT_REMOTE_IRR);
    if (!(this.svr & SVR_ENABLE)) entry |= LVT_MASKED;
    this.lvt[index] = entry;
    if (register === LVT_TIMER) this.timer.setMode((entry >> 17) & 3);
    // Unmasking a LINT input that is high: level-triggered entries request now.
    if ((register === LVT_LINT0 && this.lint0) || (register === LVT_LINT1 && this.lint1)) {
      if (entry & LVT_LEVEL && !(entry & LVT_REMOTE_IRR)) this.fireLint(register);
    }
    this.drive();
  }

  /** Clearing the enable bit masks all LVT entries. */
  private writeSvr(value: number): void {
    this.svr = value & 0x3ff;
    if (!(value & SVR_ENABLE)) {
      for (let i = 0; i < LVT_COUNT; i++) this.lvt[i] |= LVT_MASKED;
    }
    this.drive();
  }

  /** Sends what the interrupt command register says (SDM 3A 10.6.1). Delivery is immediate, the status bit never shows pending. */
  private writeIcr(value: number): void {
    this.icrLow = value & 0xccfff;
    const mode = (value >> 8) & 7;
    const vector = value & 0xff;
    const level = (value & 0x8000) !== 0;
    const assert = (value & 0x4000) !== 0;
    // INIT level de-assert only synchronises arbitration ids of old processors.
    if (mode === DELIVER_INIT && level && !assert) return;
    if ((mode === DELIVER_FIXED || mode === DELIVER_LOWEST) && vector < 16) {
      this.error(ESR_SEND_ILLEGAL);
      return;
    }
    const shorthand = (value >> 18) & 3;
    if (shorthand === 0) {
      const destination = this.x2apic ? this.icrHigh : this.icrHigh >>> 24;
      const logical = (value & 0x800) !== 0;
      // FFh is one processor among others for an ICR of 32-bit destinations; no machine has so many.
      if (this.x2apic && !logical && destination === BROADCAST) return;
      this.bus.send(destination, logical, mode, vector, false);
      return;
    }
    if (shorthand === 1) {
      if (mode === DELIVER_FIXED) this.sendFixedToSelf(vector);
      return;
    }
    for (const lapic of this.bus.lapics) {
      if (lapic === this && (shorthand === 3 || mode === DELIVER_INIT || mode === DELIVER_SIPI)) continue;
      if (lapic.globallyEnabled) this.bus.deliver(lapic, mode, vector, false);
    }
  }

  private sendFixedToSelf(vector: number): void {
    if (vector < 16) this.error(ESR_SEND_ILLEGAL);
    else this.accept(vector, false);
  }

  /** A write of the EOI register. */
  endOfInterrupt(): void {
    const vector = highestBit(this.isr);
    if (vector >= 0) {
      clearBit(this.isr, vector);
      if (testBit(this.tmr, vector)) {
        this.releaseLint(LVT_LINT0, this.lint0, vector);
        this.releaseLint(LVT_LINT1, this.lint1, vector);
        this.bus.broadcastEoi(vector);
      }
    }
    this.drive();
  }

  /** A level-triggered LINT entry requests again after EOI while its input is high. */
  private releaseLint(register: number, input: boolean, vector: number): void {
    const index = register - LVT_TIMER;
    const entry = this.lvt[index];
    if (!(entry & LVT_REMOTE_IRR) || (entry & 0xff) !== vector) return;
    this.lvt[index] = entry & ~LVT_REMOTE_IRR;
    if (input) this.fireLint(register);
  }

  /** A LINT input is asserted. ExtINT entries follow the level instead, see extIntAsserted. */
  private fireLint(register: number): void {
    const index = register - LVT_TIMER;
    const entry = this.lvt[index];
    if (entry & LVT_MASKED || ((entry >> 8) & 7) === DELIVER_EXTINT) return;
    const level = register === LVT_LINT0 && (entry & LVT_LEVEL) !== 0 && ((entry >> 8) & 7) === DELIVER_FIXED;
    if (level) this.lvt[index] = entry | LVT_REMOTE_IRR;
    this.bus.deliver(this, (entry >> 8) & 7, entry & 0xff, level);
  }

  /** Timer and error events: always fixed, edge. */
  private fireLvt(register: number): void {
    const entry = this.lvt[register - LVT_TIMER];
    if (!(entry & LVT_MASKED)) this.accept(entry & 0xff, false);
  }

  private error(bit: number): void {
    const known = (this.errors & bit) !== 0;
    this.errors |= bit;
    const entry = this.lvt[LVT_ERROR - LVT_TIMER];
    // An error vector that is itself illegal must not report itself for ever.
    if (!known && !(entry & LVT_MASKED) && (entry & 0xff) >= 16) this.accept(entry & 0xff, false);
  }

  /** APR (SDM 3A 10.6.2.4). */
  private arbitrationPriority(): number {
    const requested = Math.max(0, highestBit(this.irr)) & 0xf0;
    const inService = Math.max(0, highestBit(this.isr)) & 0xf0;
    if ((this.tpr & 0xf0) >= requested && (this.tpr & 0xf0) > inService) return this.tpr;
    return Math.max(this.tpr & 0xf0, requested, inService);
  }
}

/** Logical id in x2APIC mode: cluster in 31:16, one bit of 15:0. */
function x2apicLdr(id: number): number {
  return ((id >> 4) << 16) | (1 << (id & 15));
}

function isX2apicReadable(register: number): boolean {
  return (
    register === ID || register === VERSION || register === TPR || register === PPR || register === LDR || register === SVR ||
    (register >= ISR && register < IRR + 8) || register === ESR || (register >= LVT_TIMER && register <= TIMER_CURRENT) ||
    register === ICR_LOW || register === TIMER_DIVIDE
  );
}

function isX2apicWritable(register: number): boolean {
  return (
    register === TPR || register === EOI || register === SVR || register === ESR || register === ICR_LOW ||
    (register >= LVT_TIMER && register <= TIMER_INITIAL) || register === TIMER_DIVIDE || register === SELF_IPI
  );
}

/** Bits of an x2APIC register that must be written as 0 (SDM 3A 10.12.1.2). Status bits that software cannot change may be 1. */
function x2apicReserved(register: number): number {
  switch (register) {
    case TPR: case SELF_IPI: return ~0xff;
    case EOI: case ESR: return -1;
    case SVR: return ~0x3ff;
    case ICR_LOW: return ~0xcdfff;
    case TIMER_DIVIDE: return ~0xb;
    case TIMER_INITIAL: return 0;
    default: return ~(LVT_WRITABLE[register - LVT_TIMER] | LVT_STATUS);
  }
}

function setBit(words: Int32Array, bit: number): void {
  words[bit >> 5] |= 1 << (bit & 31);
}

function clearBit(words: Int32Array, bit: number): void {
  words[bit >> 5] &= ~(1 << (bit & 31));
}

function testBit(words: Int32Array, bit: number): boolean {
  return (words[bit >> 5] & (1 << (bit & 31))) !== 0;
}

/** Number of the highest bit set, -1 if none. */
function highestBit(words: Int32Array): number {
  for (let i = 7; i >= 0; i--) {
    if (words[i] !== 0) return i * 32 + 31 - Math.clz32(words[i]);
  }
  return -1;
}
