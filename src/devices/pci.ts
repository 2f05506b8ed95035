/**
 * PCI bus 0: configuration mechanism 1 (ports CF8h, CFCh; PCI 2.3 section 3.2.2.3) and configuration space of its functions.
 */
import { ANY_WIDTH, DWORD, type Device, type PortBus, type PortHandler } from './device';

const ADDRESS_PORT = 0xcf8, DATA_PORT = 0xcfc;

// Standard configuration registers
const VENDOR = 0, DEVICE = 2, COMMAND = 4, BASE_ADDRESS = 0x10, ROM_ADDRESS = 0x30, REVISION = 8, CLASS = 9, HEADER_TYPE = 0xe, INTERRUPT_LINE = 0x3c, INTERRUPT_PIN = 0x3d;

/** Bits of the command register, a memory base address register and the ROM's. */
const MEMORY_ENABLED = 2, PREFETCHABLE = 8, ROM_ENABLED = 1;

export interface PciIdentity {
  vendor: number;
  device: number;
  revision: number;
  /** Base class, sub-class, interface: 24 bits. */
  classCode: number;
  multiFunction?: boolean;
  /** 1-4 = INTA#-INTD#; absent = uses no interrupt. */
  interruptPin?: number;
}

/** One function: 256 bytes of configuration space with a mask of the bits software may change. */
export class PciFunction {
  readonly config = new Uint8Array(256);
  readonly writable = new Uint8Array(256);
  /** Called after bytes [offset, offset + size) were written. */
  changed: (offset: number, size: number) => void = () => undefined;
  private readonly resetValues = new Map<number, number>();

  constructor(identity: PciIdentity) {
    this.set16(VENDOR, identity.vendor);
    this.set16(DEVICE, identity.device);
    this.config[REVISION] = identity.revision;
    this.config[CLASS] = identity.classCode;
    this.config[CLASS + 1] = identity.classCode >> 8;
    this.config[CLASS + 2] = identity.classCode >> 16;
    this.config[HEADER_TYPE] = identity.multiFunction ? 0x80 : 0;
    this.config[INTERRUPT_PIN] = identity.interruptPin ?? 0;
    this.allow(COMMAND, 2, 0x0107);
    this.allow(INTERRUPT_LINE, 1, 0xff);
  }

  /** Makes the bits of `mask` in `bytes` bytes from `offset` writable. */
  allow(offset: number, bytes: number, mask: number): void {
    for (let i = 0; i < bytes; i++) this.writable[offset + i] = mask >>> (8 * i);
  }

  /** Value of a byte from reset on. */
  preset(offset: number, value: number): void {
    this.resetValues.set(offset, value);
    this.config[offset] = value;
  }

  /** Gives base address register `n` a 32-bit memory range of `bytes` bytes (a power of two), which firmware has put at `address`. */
  memoryRange(n: number, bytes: number, address: number, prefetchable: boolean): void {
    const offset = BASE_ADDRESS + 4 * n;
    this.config[offset] = prefetchable ? PREFETCHABLE : 0;
    this.allow(offset, 4, -bytes);
    this.presetAddress(offset, address);
  }

  /** Gives the function an expansion ROM of `bytes` bytes (a power of two, at least 2 KiB), off at reset. */
  romRange(bytes: number): void {
    this.allow(ROM_ADDRESS, 4, -bytes | ROM_ENABLED);
  }

  /** Where memory range `n` is now; -1 while memory accesses are off. */
  memoryAddress(n: number): number {
    return (this.config[COMMAND] & MEMORY_ENABLED) === 0 ? -1 : (this.read(BASE_ADDRESS + 4 * n, 4) & ~15) >>> 0;
  }

  /** Where the expansion ROM is now; -1 while it is off. */
  get romAddress(): number {
    const register = this.read(ROM_ADDRESS, 4);
    return (this.config[COMMAND] & MEMORY_ENABLED) === 0 || (register & ROM_ENABLED) === 0 ? -1 : (register & ~0x7ff) >>> 0;
  }

  private presetAddress(offset: number, address: number): void {
    for (let n = 1; n < 4; n++) this.preset(offset + n, (address >>> (8 * n)) & 0xff);
  }

  set16(offset: number, value: number): void {
    this.config[offset] = value;
    this.config[offset + 1] = value >> 8;
  }

  write(offset: number, size: number, value: number): void {
    for (let i = 0; i < size; i++) {
      const mask = this.writable[offset + i];
      this.config[offset + i] = (this.config[offset + i] & ~mask) | ((value >>> (8 * i)) & mask);
    }
    this.changed(offset, size);
  }

  read(offset: number, size: number): number {
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.config[offset + i] << (8 * i);
    return value;
  }

  /** Writable bits go back to their reset values. */
  reset(): void {
    for (let i = 0; i < 256; i++) this.config[i] = (this.config[i] & ~this.writable[i]) | ((this.resetValues.get(i) ?? 0) & this.writable[i]);
    this.changed(0, 256);
  }
}

export interface PciState {
  address: number;
  /** Configuration space by "slot.function". */
  functions: { [where: string]: number[] };
}

export class PciBus implements Device<PciState>, PortHandler {
  private address = 0;
  /** Index slot * 8 + function. */
  private readonly functions: (PciFunction | undefined)[] = new Array<undefined>(256);

  attach(bus: PortBus): void {
    bus.map(ADDRESS_PORT, 1, this, DWORD);
    bus.map(DATA_PORT, 4, this, ANY_WIDTH);
  }

  add(slot: number, number: number, pciFunction: PciFunction): void {
    this.functions[slot * 8 + number] = pciFunction;
  }

  read(port: number, size: number): number {
    if (port === ADDRESS_PORT) return this.address;
    const offset = (this.address & 0xfc) | (port & 3);
    const target = this.target();
    return target && offset + size <= 256 ? target.read(offset, size) : -1;
  }

  write(port: number, size: number, value: number): void {
    if (port === ADDRESS_PORT) {
      this.address = value & 0x80fffffc;
      return;
    }
    const offset = (this.address & 0xfc) | (port & 3);
    if (offset + size <= 256) this.target()?.write(offset, size, value);
  }

  reset(): void {
    this.address = 0;
    for (const pciFunction of this.functions) pciFunction?.reset();
  }

  save(): PciState {
    const functions: { [where: string]: number[] } = {};
    this.functions.forEach((pciFunction, i) => {
      if (pciFunction) functions[`${i >> 3}.${i & 7}`] = Array.from(pciFunction.config);
    });
    return { address: this.address, functions };
  }

  restore(state: PciState): void {
    this.address = state.address;
    this.functions.forEach((pciFunction, i) => {
      const saved = state.functions[`${i >> 3}.${i & 7}`];
      if (!pciFunction || !saved) return;
      pciFunction.config.set(saved);
      pciFunction.changed(0, 256);
    });
  }

  /** The function that the address register selects: enabled, bus 0. */
  private target(): PciFunction | undefined {
    if (this.address >= 0 || this.address & 0xff0000) return undefined;
    return this.functions[(this.address >> 8) & 0xff];
  }
}
