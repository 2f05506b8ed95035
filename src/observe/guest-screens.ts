/**
 * The screens of L1's guests as L0 sees them: a passive VGA per guest machine, fed by the port accesses and the accesses to device memory that exit, and by what
 * L1 has mapped as memory: A0000h-BFFFFh, and the linear frame buffer of a Bochs display adapter (1234:1111), which is found by the guest's own accesses to
 * PCI configuration space. Nothing of this is visible to any guest.
 *
 * Left out: guests without EPT (their accesses to device memory show up as page faults whose guest-physical addresses only the hypervisor knows), adapters
 * with other interfaces, configuration space in memory.
 */
import { R, CURP, EFLAGS, F_DF, LA, RAX, RCX } from '../cpu/state';
import { recAddressSize, OPSIZE_16, OPSIZE_32 } from '../cpu/record';
import { translateGuestPhysicalQuietly } from '../cpu/mmu/inspect';
import { mem32, mem8 } from '../cpu/mmu/memory';
import { pageCode } from '../cpu/mmu/physical';
import { DISPI_INDEX } from '../devices/vga/dispi';
import { enterTextMode } from '../devices/vga/text-mode';
import { Vga } from '../devices/vga/vga';
import { VideoMemory, WINDOW_BYTES } from '../devices/vga/video-memory';
import { EXIT_REASON_EPT_MISCONFIG, EXIT_REASON_EPT_VIOLATION } from '../vmx/exit-reasons';
import { GUEST_PHYSICAL_ADDRESS } from '../vmx/fields';
import { V } from '../vmx/vmcs';
import { addEntryObserver, addExitObserver, addIoObserver } from './exit-log';
import { GuestAccess } from './guest-access';
import { peekLinearValue } from './guest-memory';
import type { GuestMachine, GuestMachines } from './guest-machines';
import { currentGuest } from './guests';

const WINDOW = 0xa0000;
const FOUR_GIB = 0x100000000;
const VGA_PORTS = 0x3b0, VGA_PORTS_END = 0x3e0;
const CONFIG_ADDRESS = 0xcf8, CONFIG_DATA = 0xcfc, CONFIG_DATA_END = 0xd00;
/** Device and vendor of the Bochs adapter, as configuration register 0 reads. */
const BOCHS_ADAPTER = 0x11111234;
const BAR_FRAME_BUFFER = 0x10, BAR_REGISTERS = 0x18;
/** In BAR 2. */
const REGISTERS_BYTES = 0x1000, REGISTER_PORTS = 0x400, REGISTER_PORTS_END = 0x420, REGISTER_DISPI = 0x500, REGISTER_DISPI_END = 0x516;
/** Elements of a REP OUTS that are looked at. */
const MOST_ELEMENTS = 4096;
/** Memory of a passive VGA: room for the largest picture, 1920x1200 with 32 bits. */
const MEMORY_BYTES = 16 << 20;

/** What is known of one guest machine's display adapter. */
class GuestScreen {
  readonly vga: Vga;
  /** Something of it was used. */
  used = false;
  /** Last value written to CF8h. */
  configAddress = 0;
  /** Configuration address of the adapter’s function, register 0; 0 while unknown. */
  adapter = 0;
  /** Base address registers as last seen; -1: not yet. */
  frameBuffer = -1;
  registers = -1;
  readonly access: GuestAccess;
  /** What mapped pages of the window held when they were last looked at. */
  private readonly seen = new Uint8Array(WINDOW_BYTES);

  constructor() {
    this.vga = new Vga(new VideoMemory(new Uint8Array(MEMORY_BYTES), new Uint8Array(MEMORY_BYTES / 4096), () => undefined), () => 0);
    // What firmware leaves; a guest that has firmware of its own sets everything anew.
    enterTextMode(this.vga);
    this.access = new GuestAccess({
      has: (guestPhysical) => this.has(guestPhysical),
      read: (guestPhysical, size) => this.read(guestPhysical, size),
      write: (guestPhysical, size, value) => this.write(guestPhysical, size, value),
    });
  }

  has(guestPhysical: number): boolean {
    return (guestPhysical >= WINDOW && guestPhysical < WINDOW + WINDOW_BYTES)
      || (this.registers > 0 && guestPhysical >= this.registers && guestPhysical < this.registers + REGISTERS_BYTES);
  }

  private read(guestPhysical: number, size: number): number {
    if (guestPhysical < WINDOW + WINDOW_BYTES) return this.vga.memory.read(guestPhysical - WINDOW, size);
    const offset = guestPhysical - this.registers;
    if (offset >= REGISTER_PORTS && offset < REGISTER_PORTS_END) return this.vga.read(offset - REGISTER_PORTS + 0x3c0);
    return offset >= REGISTER_DISPI && offset < REGISTER_DISPI_END ? this.vga.dispi.read((offset - REGISTER_DISPI) >> 1) : -1;
  }

  private write(guestPhysical: number, size: number, value: number): void {
    this.used = true;
    if (guestPhysical < WINDOW + WINDOW_BYTES) {
      this.vga.memory.write(guestPhysical - WINDOW, size, value);
      return;
    }
    const offset = guestPhysical - this.registers;
    if (offset >= REGISTER_PORTS && offset < REGISTER_PORTS_END) {
      for (let n = 0; n < size; n++) this.vga.write(offset + n - REGISTER_PORTS + 0x3c0, 1, (value >>> (8 * n)) & 0xff);
    } else if (offset >= REGISTER_DISPI && offset < REGISTER_DISPI_END) {
      this.vga.writeDispi((offset - REGISTER_DISPI) >> 1, value & 0xffff);
    }
  }

  /** An access to a configuration register of `value`: written, or read and now known. */
  configValue(register: number, value: number): void {
    if (this.adapter === 0 || (this.configAddress & 0xffffff00) !== (this.adapter & 0xffffff00)) return;
    // All ones ask for the size.
    const base = (value & ~15) >>> 0;
    if (base === 0 || base >= 0xfffffff0 || (value >>> 0) > 0xff000000) return;
    if (register === BAR_FRAME_BUFFER) this.frameBuffer = base;
    else if (register === BAR_REGISTERS) this.registers = base;
  }

  /** Takes over what L1 has mapped as memory, with the EPT pointer given. */
  refresh(eptp: number): void {
    if (eptp === 0) return;
    const eptpLo = eptp | 0, eptpHi = Math.floor(eptp / FOUR_GIB);
    for (let offset = 0; offset < WINDOW_BYTES; offset += 4096) {
      const from = mappedPage(eptpLo, eptpHi, WINDOW + offset);
      if (from >= 0) this.takeWindowPage(offset, from);
    }
    const { dispi } = this.vga;
    if (!dispi.enabled || this.frameBuffer < 0) return;
    const end = Math.min(MEMORY_BYTES, dispi.start + dispi.height * dispi.pitch);
    for (let offset = dispi.start & ~4095; offset < end; offset += 4096) {
      const from = mappedPage(eptpLo, eptpHi, this.frameBuffer + offset);
      if (from >= 0) this.takeFramePage(offset, from);
    }
  }

  private takeWindowPage(offset: number, from: number): void {
    const { seen, vga } = this;
    for (let n = 0; n < 4096; n++) {
      const value = mem8[from + n];
      if (seen[offset + n] === value) continue;
      seen[offset + n] = value;
      vga.memory.write(offset + n, 1, value);
      this.used = true;
    }
  }

  private takeFramePage(offset: number, from: number): void {
    const { words, dirty } = this.vga.memory;
    const to = offset >>> 2, source = from >>> 2;
    for (let n = 0; n < 1024; n++) {
      if (words[to + n] === mem32[source + n]) continue;
      words.set(mem32.subarray(source + n, source + 1024), to + n);
      dirty[offset >>> 12] = 1;
      this.used = true;
      return;
    }
  }
}

/** Host offset of the page at a guest-physical address if L1 has mapped memory of its own there, else -1. */
function mappedPage(eptpLo: number, eptpHi: number, guestPhysical: number): number {
  const host = translateGuestPhysicalQuietly(eptpLo, eptpHi, guestPhysical | 0, Math.floor(guestPhysical / FOUR_GIB));
  if (host < 0) return -1;
  const code = pageCode(host | 0, Math.floor(host / FOUR_GIB));
  return code < 0 ? -1 : code * 4096;
}

export class GuestScreens {
  private readonly machines: GuestMachines;
  /** By number of the machine. */
  private readonly screens = new Map<number, GuestScreen>();
  private readonly detachers: (() => void)[] = [];
  private detachEntry: (() => void) | null = null;

  constructor(machines: GuestMachines) {
    this.machines = machines;
  }

  /** Starts listening. */
  attach(): void {
    this.detachers.push(
      addIoObserver((guestId, port, size, isIn, value, isString, isRep) => {
        if (port >= VGA_PORTS && port < VGA_PORTS_END) this.portAccess(guestId, port, size, isIn, value, isString, isRep);
        else if (port >= DISPI_INDEX && port < DISPI_INDEX + 3) this.portAccess(guestId, port, size, isIn, value, isString, isRep);
        else if (port >= CONFIG_ADDRESS && port < CONFIG_DATA_END) this.configAccess(guestId, port, size, isIn, value);
      }),
      addExitObserver((reason) => {
        if (reason === EXIT_REASON_EPT_MISCONFIG || reason === EXIT_REASON_EPT_VIOLATION) this.memoryAccess();
      }),
    );
  }

  detach(): void {
    this.detachEntry?.();
    this.detachEntry = null;
    for (const detach of this.detachers.splice(0)) detach();
  }

  /** The display adapter of a guest machine as it is now; null if the machine has not used one. */
  of(machine: GuestMachine): Vga | null {
    const eptp = machine.guests.at(-1)?.eptp ?? 0;
    let screen = this.screens.get(machine.number);
    if (screen === undefined) {
      if (!hasWindowMemory(eptp)) return null;
      screen = this.screenOf(machine.number);
    }
    screen.refresh(eptp);
    return screen.used ? screen.vga : null;
  }

  private screenOf(number: number): GuestScreen {
    let screen = this.screens.get(number);
    if (screen === undefined) {
      screen = new GuestScreen();
      this.screens.set(number, screen);
    }
    return screen;
  }

  private screenOfGuest(guestId: number): GuestScreen {
    return this.screenOf(this.machines.ofGuest(guestId)?.number ?? 0);
  }

  private portAccess(guestId: number, port: number, size: number, isIn: boolean, value: number, isString: boolean, isRep: boolean): void {
    const screen = this.screenOfGuest(guestId);
    const count = isString && isRep ? repeatCount() : 1;
    const step = (R[EFLAGS] & F_DF) !== 0 ? -size : size;
    for (let n = 0; n < count; n++) {
      if (isIn) access(screen.vga, port, size, null);
      else access(screen.vga, port, size, isString ? peekLinearValue(R[LA], R[LA + 1], n * step, size) : value);
    }
    if (!isIn) screen.used = true;
  }

  private configAccess(guestId: number, port: number, size: number, isIn: boolean, value: number): void {
    if (port === CONFIG_ADDRESS) {
      if (size === 4 && !isIn) this.screenOfGuest(guestId).configAddress = value;
      return;
    }
    if (port !== CONFIG_DATA || size !== 4) return;
    const screen = this.screenOfGuest(guestId);
    const register = screen.configAddress & 0xfc;
    if (!isIn) screen.configValue(register, value);
    else if (register === 0 || register === BAR_FRAME_BUFFER || register === BAR_REGISTERS) this.awaitValue(guestId, screen, register);
  }

  /** What an IN yields is in RAX when the guest is entered again. */
  private awaitValue(guestId: number, screen: GuestScreen, register: number): void {
    this.detachEntry?.();
    this.detachEntry = addEntryObserver(() => {
      if (currentGuest()?.id !== guestId) return;
      this.detachEntry?.();
      this.detachEntry = null;
      if (register === 0 && R[RAX] === BOCHS_ADAPTER) screen.adapter = screen.configAddress;
      else screen.configValue(register, R[RAX]);
    });
  }

  private memoryAccess(): void {
    const hi = V[GUEST_PHYSICAL_ADDRESS + 1];
    if (hi !== 0) return;
    const guestPhysical = V[GUEST_PHYSICAL_ADDRESS] >>> 0;
    const inWindow = guestPhysical >= WINDOW && guestPhysical < WINDOW + WINDOW_BYTES;
    // Registers in memory belong to an adapter that was found before.
    if (!inWindow && (guestPhysical < FIRST_DEVICE || this.screens.size === 0)) return;
    const guest = currentGuest();
    if (guest === null) return;
    const number = this.machines.ofGuest(guest.id)?.number ?? 0;
    const screen = inWindow ? this.screenOf(number) : this.screens.get(number);
    if (screen?.has(guestPhysical) === true) screen.access.replay(guestPhysical);
  }
}

/** Devices' registers lie above. */
const FIRST_DEVICE = 0x80000000;

/** L1 gives the guest memory of its own at the text screen, and there is something in it. */
function hasWindowMemory(eptp: number): boolean {
  if (eptp === 0) return false;
  const from = mappedPage(eptp | 0, Math.floor(eptp / FOUR_GIB), WINDOW + 0x18000);
  return from >= 0 && mem8.subarray(from, from + 4096).some((byte) => byte !== 0);
}

/** Iterations that a REP OUTS has left. */
function repeatCount(): number {
  const addressSize = recAddressSize(R[CURP]);
  if (addressSize === OPSIZE_16) return Math.min(R[RCX] & 0xffff, MOST_ELEMENTS);
  return addressSize !== OPSIZE_32 && R[RCX + 1] !== 0 ? MOST_ELEMENTS : Math.min(R[RCX] >>> 0, MOST_ELEMENTS);
}

/** A port access of any size; `value` null reads, for its effect on the registers. */
function access(vga: Vga, port: number, size: number, value: number | null): void {
  const isDispi = port >= DISPI_INDEX && port < DISPI_INDEX + 3;
  const step = isDispi ? size : 1;
  for (let n = 0; n < size; n += step) {
    if (value === null) vga.read(port + n);
    else vga.write(port + n, step, isDispi ? value & 0xffff : (value >>> (8 * n)) & 0xff);
  }
}
