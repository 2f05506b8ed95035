/**
 * One PC: memory, devices and their wiring, connected to the CPU. There is one machine per JavaScript realm, because the CPU's
 * state is global (see state.ts); creating a machine powers it on afresh.
 */
import { endSliceNow, resetClock, restoreClock, saveClock } from '../cpu/clock';
import { requireBlockEnd } from '../cpu/engine/blocks';
import { configureCpu, type CpuidOverride } from '../cpu/features';
import { fpuErrorPin } from '../cpu/fpu';
import { VIDEO_DIRTY, mem8, placeRom, ramPages, videoPage } from '../cpu/mmu/memory';
import { a20Enabled, mapBufferPages, mapMmio, mapRom, physWriteBytes, setA20, unmap, unmapMemory } from '../cpu/mmu/physical';
import { clearVideoDirty } from '../cpu/mmu/tlb';
import { unknownMsrAccesses } from '../cpu/msr';
import { attachPlatform } from '../cpu/platform';
import { APIC_BASE, BUD, CURP, R } from '../cpu/state';
import { resetVcpus, setVcpuIntr, signalVcpu, switchVcpu } from '../cpu/vcpus';
import { resetVmx } from '../vmx/vcpu';
import { AcpiPm, type AcpiPmState } from '../devices/acpi-pm';
import { ApicBus } from '../devices/apic-bus';
import { DebugPorts, type DebugPortsState } from '../devices/debug-ports';
import { Dma8237, type DmaState } from '../devices/dma8237';
import { FpuError, type FpuErrorState } from '../devices/fpu-error';
import { FwCfg, type FwCfgState } from '../devices/fw-cfg';
import { Hpet, type HpetState } from '../devices/hpet';
import { addChipset } from '../devices/i440fx';
import { I8042, type I8042State } from '../devices/i8042';
import { IoApic, type IoApicState } from '../devices/ioapic';
import { Lapic, type LapicState } from '../devices/lapic';
import { PciBus, type PciState } from '../devices/pci';
import { Pic, type PicState } from '../devices/pic';
import { Pit, type PitState } from '../devices/pit';
import { Rtc, type RtcState } from '../devices/rtc';
import { Uart16550, type UartState } from '../devices/uart16550';
import { StdVga, type AddressSpace } from '../devices/vga/std-vga';
import { Vga, type VgaState } from '../devices/vga/vga';
import { VideoMemory } from '../devices/vga/video-memory';
import { Clock, Timer } from './clock';
import { fillCmos } from './cmos';
import { IrqRouter, type IrqRouterState } from './irq';
import {
  DEFAULT_RTC_START, DEFAULT_TSC_HZ, FOUR_GIB, HPET_BASE, HPET_SIZE, IOAPIC_BASE, IOAPIC_SIZE, IRQ_FPU, IRQ_KEYBOARD, IRQ_MOUSE, IRQ_RTC, IRQ_SCI, IRQ_TIMER,
  PCI_HOLE_START, PCI_VGA_SLOT, SERIAL_PORTS, VGA_FRAME_BUFFER, VGA_REGISTERS,
} from './layout';
import type { LoadMemory, MemoryRange } from './loaders/boot-request';
import { buildMemoryMap, e820Map } from './memory-map';
import { createPlatform, LapicWindows } from './platform';
import { PortSpace } from './ports';
import { ResetPorts, type ResetPortsState } from './reset';
import type { RomImage } from './loaders/rom';
import { FIRST_ATTRIBUTE, ShadowRam } from './shadow-ram';

const MIB = 1024 * 1024;

export interface MachineOptions {
  memoryMb: number;
  vcpus: number;
  /** TSC and virtual clock, in Hz: a multiple of 1000. */
  tscHz: number;
  acpi: boolean;
  hpet: boolean;
  /** Local APICs and IOAPIC. */
  apic: boolean;
  /** RTC at power-on, seconds since 1970, UTC. */
  rtcStart: number;
  /** Offer EPT to the guest's hypervisor. */
  hap: boolean;
  /** Offer VMX. */
  nestedhvm: boolean;
  cpuid: CpuidOverride[];
  /** Unknown MSRs read zero and ignore writes instead of raising #GP. */
  msrRelaxed: boolean;
  /** IA32_PERF_GLOBAL_CTRL is storage that VM entries and exits can load. */
  perfGlobalControl: boolean;
  /** Video memory of the display adapter in MiB (a power of two up to 256); 0: there is none. */
  videoMb: number;
  /** ROM image of the adapter's VGA BIOS, which firmware runs; null: none. */
  vgaBios: Uint8Array | null;
  /** Firmware; null: a loader leaves what firmware would. */
  rom: RomImage | null;
  /** What a reset asked for by the guest does. */
  onReboot: 'restart' | 'stop';
  /** What a processor shutdown (triple fault) does. */
  onCrash: 'restart' | 'stop';
}

export const DEFAULT_MACHINE_OPTIONS: MachineOptions = {
  memoryMb: 256, vcpus: 1, tscHz: DEFAULT_TSC_HZ, acpi: true, hpet: true, apic: true, rtcStart: DEFAULT_RTC_START, hap: true, nestedhvm: true,
  cpuid: [], msrRelaxed: false, perfGlobalControl: false, videoMb: 0, vgaBios: null, rom: null, onReboot: 'restart', onCrash: 'stop',
};

/** Why a machine is not running any more. */
export type StopReason = 'power-off' | 'reset' | 'crash' | 'debug-exit';

/** The machine's ways to the outside world. */
export interface MachinePorts {
  serialOutput(index: number, byte: number): void;
  debugText(byte: number): void;
  /** The guest wrote `value` to the debug exit port; the machine stops. */
  debugExit(value: number): void;
  /** The machine stopped for another reason. */
  poweredOff(reason: StopReason): void;
  /** Something people may want to know. */
  log(text: string): void;
}

export interface MachineState {
  clock: number[];
  irq: IrqRouterState;
  pic: PicState;
  pit: PitState;
  rtc: RtcState;
  lapics: LapicState[];
  ioApic: IoApicState | null;
  hpet: HpetState | null;
  uarts: UartState[];
  i8042: I8042State;
  dma: DmaState;
  pci: PciState;
  acpiPm: AcpiPmState | null;
  resetPorts: ResetPortsState;
  debugPorts: DebugPortsState;
  fwCfg: FwCfgState;
  fpuError: FpuErrorState;
  vga: VgaState | null;
}

export class Machine {
  readonly options: MachineOptions;
  readonly clock: Clock;
  readonly ports = new PortSpace();
  readonly e820: readonly MemoryRange[];
  readonly lapics: Lapic[] = [];
  readonly pic: Pic;
  readonly pit: Pit;
  readonly rtc: Rtc;
  readonly uarts: Uart16550[];
  readonly i8042: I8042;
  readonly pci = new PciBus();
  readonly ioApic: IoApic | null;
  readonly hpet: Hpet | null;
  readonly acpiPm: AcpiPm | null;
  readonly fwCfg: FwCfg;
  readonly irq: IrqRouter;
  readonly vga: Vga | null;
  /** Puts software into memory and vCPU 0 into the state to enter it; called by reset(). Without it, vCPU 0 starts at the reset vector. */
  loader: (() => void) | null = null;
  private readonly dma = new Dma8237();
  private readonly debugPorts: DebugPorts;
  private readonly fpuError: FpuError;
  private readonly resetPorts: ResetPorts;
  private readonly windows: LapicWindows;
  private readonly shadow = new ShadowRam();
  private readonly outside: MachinePorts;
  /** A reset happens at the next instruction boundary, as an event of the clock. */
  private readonly resetTimer: Timer;
  private stopReason: StopReason | null = null;

  constructor(options: MachineOptions, outside: MachinePorts) {
    this.options = options;
    this.outside = outside;
    const ramBytes = options.memoryMb * MIB;
    resetClock();
    buildMemoryMap(ramBytes, options.videoMb * MIB);
    configureCpu({
      nestedVmx: options.nestedhvm, ept: options.hap, vcpus: options.vcpus, tscHz: options.tscHz,
      cpuidOverrides: options.apic ? options.cpuid : [...options.cpuid, NO_APIC], msrRelaxed: options.msrRelaxed,
      perfGlobalControl: options.perfGlobalControl,
    });
    this.e820 = e820Map(ramBytes);
    this.clock = new Clock(options.tscHz);
    this.resetTimer = new Timer(() => this.reset());
    resetVcpus(options.vcpus);

    const apicBus = new ApicBus({ setIntr: setVcpuIntr, signal: signalVcpu, acknowledge8259: () => this.pic.acknowledge() });
    for (let vcpu = 0; vcpu < options.vcpus; vcpu++) this.lapics.push(new Lapic(vcpu, this.clock, apicBus));
    this.ioApic = options.apic ? new IoApic(apicBus) : null;
    this.pic = new Pic((level) => {
      this.lapics[0].setLint0(level);
      this.ioApic?.setLine(0, level);
    });
    this.irq = new IrqRouter(this.pic, this.ioApic);
    this.windows = new LapicWindows(this.lapics);
    this.pit = new Pit(this.clock, this.irq.replaceableLine(IRQ_TIMER));
    this.rtc = new Rtc(this.clock, this.irq.replaceableLine(IRQ_RTC), options.rtcStart);
    this.uarts = SERIAL_PORTS.map(({ irq }, index) => new Uart16550(this.irq.isaLine(irq), (byte) => outside.serialOutput(index, byte)));
    this.i8042 = new I8042({
      keyboardIrq: this.irq.isaLine(IRQ_KEYBOARD), mouseIrq: this.irq.isaLine(IRQ_MOUSE), setA20, getA20: a20Enabled,
      reset: () => this.requestReset('keyboard controller'),
    });
    this.hpet = options.hpet ? this.createHpet() : null;
    this.acpiPm = options.acpi ? new AcpiPm(this.clock, this.irq.isaLine(IRQ_SCI), () => this.stop('power-off')) : null;
    this.resetPorts = new ResetPorts((cause) => this.requestReset(cause));
    this.debugPorts = new DebugPorts((byte) => outside.debugText(byte), (value) => this.debugExit(value));
    this.fpuError = new FpuError(this.irq.isaLine(IRQ_FPU));
    fpuErrorPin((asserted) => {
      // The interrupt comes right after the instruction that met the error.
      if (asserted) requireBlockEnd(R[CURP]);
      this.fpuError.setErrorPin(asserted);
      if (asserted) endSliceNow();
    });
    this.fwCfg = new FwCfg(ramBytes, options.vcpus, options.videoMb > 0);
    this.addChipset();
    this.vga = options.videoMb > 0 ? this.addVga() : null;
    this.attach();
    unknownMsrAccesses.clear();
    attachPlatform(createPlatform(this.ports, this.lapics, this.windows, {
      shutdown: (detail) => this.crashed(detail),
      unknownMsr: (index) => outside.log(`there is no MSR ${index.toString(16)}h; it reads zero (nestbox_msr_relaxed)`),
    }));
    this.reset();
  }

  // --- What the run loop needs ---

  nextDeadline(): number {
    return this.clock.nextDeadline();
  }

  runDue(now: number): void {
    this.clock.runDue(now);
  }

  get stopped(): boolean {
    return this.stopReason !== null;
  }

  get reason(): StopReason | null {
    return this.stopReason;
  }

  // --- Controls ---

  /** RAM and E820 map for loaders. */
  get loadMemory(): LoadMemory {
    return { e820: this.e820, write: (hostPhysical, bytes) => physWriteBytes(hostPhysical, bytes) };
  }

  /** Bytes for serial port `index`. */
  serialInput(index: number, bytes: ArrayLike<number>): void {
    this.uarts[index].input(bytes);
  }

  /** Raises SIG_NMI, SIG_INIT or SIG_SIPI at a vCPU. */
  signal(vcpu: number, bits: number, vector: number): void {
    signalVcpu(vcpu, bits, vector);
  }

  pressPowerButton(): void {
    this.acpiPm?.pressPowerButton();
  }

  /** Resets the machine at the next instruction boundary. */
  requestReset(cause: string): void {
    this.outside.log(`reset by ${cause}`);
    if (this.options.onReboot === 'stop') this.stop('reset');
    else this.clock.schedule(this.resetTimer, this.clock.now());
  }

  /** Resets all devices and processors, leaves behind what firmware would, and calls the loader. Only at an instruction boundary. */
  reset(): void {
    switchVcpu(0);
    resetVcpus(this.options.vcpus);
    resetVmx();
    for (const device of this.devices()) device.reset();
    setA20(true);
    for (const lapic of this.lapics) lapic.reset();
    if (this.options.apic) {
      this.lapics[0].enterVirtualWireMode();
    } else {
      this.lapics[0].setBase(0, 0);
      R[APIC_BASE] = 0;
    }
    // PCI and ACPI interrupts are level-triggered.
    this.ports.write(0x4d1, 1, 0x0e);
    this.windows.update();
    fillCmos(this.rtc, this.options.memoryMb * MIB, this.options.vcpus);
    this.loader?.();
  }

  // --- Snapshots (devices and clock; memory and processors are saved by their owners) ---

  save(): MachineState {
    return {
      clock: saveClock(), irq: this.irq.save(), pic: this.pic.save(), pit: this.pit.save(), rtc: this.rtc.save(),
      lapics: this.lapics.map((lapic) => lapic.save()), ioApic: this.ioApic?.save() ?? null, hpet: this.hpet?.save() ?? null,
      uarts: this.uarts.map((uart) => uart.save()), i8042: this.i8042.save(), dma: this.dma.save(), pci: this.pci.save(),
      acpiPm: this.acpiPm?.save() ?? null, resetPorts: this.resetPorts.save(), debugPorts: this.debugPorts.save(),
      fwCfg: this.fwCfg.save(), fpuError: this.fpuError.save(), vga: this.vga?.save() ?? null,
    };
  }

  /** Takes over the state of a machine with the same options. The processors' states are restored after this. */
  restore(state: MachineState): void {
    R[BUD] = 0;
    restoreClock(state.clock);
    this.clock.cancel(this.resetTimer);
    this.pci.restore(state.pci);
    this.pit.restore(state.pit);
    this.rtc.restore(state.rtc);
    state.uarts.forEach((saved, i) => this.uarts[i].restore(saved));
    this.i8042.restore(state.i8042);
    this.dma.restore(state.dma);
    if (state.hpet) this.hpet?.restore(state.hpet);
    if (state.acpiPm) this.acpiPm?.restore(state.acpiPm);
    this.resetPorts.restore(state.resetPorts);
    this.debugPorts.restore(state.debugPorts);
    this.fwCfg.restore(state.fwCfg);
    this.fpuError.restore(state.fpuError);
    if (state.vga) this.vga?.restore(state.vga);
    // Last, so that lines moved by the others end up where they were.
    this.irq.restore(state.irq);
    this.pic.restore(state.pic);
    if (state.ioApic) this.ioApic?.restore(state.ioApic);
    state.lapics.forEach((saved, i) => this.lapics[i].restore(saved));
    this.windows.update();
    this.stopReason = null;
  }

  // --- Inside ---

  /** The chipset, with firmware in its ROM if there is any. */
  private addChipset(): void {
    const { rom } = this.options;
    if (rom !== null) {
      // All of it ends at 4 GiB, its end also at 1 MiB.
      const first = mapRom(FOUR_GIB - rom.bytes.length, rom.bytes);
      this.shadow.installRom(first + (rom.bytes.length - rom.isaBytes) / 4096, rom.isaBytes / 4096);
    }
    const hostBridge = addChipset(this.pci, {
      routed: (pirq, irq) => this.irq.routePirq(pirq, irq),
      memoryAttributes: (registers) => this.shadow.apply(registers),
      powerManagement: (base) => this.acpiPm?.place(this.ports, base),
    });
    this.shadow.initialAttributes.forEach((value, n) => hostBridge.preset(FIRST_ATTRIBUTE + n, value));
  }

  private addVga(): Vga {
    const memory = new VideoMemory(mem8.subarray(videoPage * 4096, ramPages * 4096), VIDEO_DIRTY, clearVideoDirty);
    const vga = new Vga(memory, () => this.clock.now() / this.clock.hz);
    const bios = this.options.vgaBios;
    const adapter = new StdVga(vga, {
      frameBuffer: { firstPage: videoPage, pages: ramPages - videoPage },
      rom: bios === null ? null : { firstPage: placeRom(bios), pages: Math.ceil(bios.length / 4096) },
      frameBufferAddress: VGA_FRAME_BUFFER, registersAddress: VGA_REGISTERS, windowStart: PCI_HOLE_START, windowEnd: IOAPIC_BASE,
    }, PHYSICAL_SPACE);
    this.pci.add(PCI_VGA_SLOT, 0, adapter.function);
    adapter.attach(this.ports);
    return vga;
  }

  private createHpet(): Hpet {
    return new Hpet(this.clock, {
      legacyReplacement: (active) => this.irq.setLegacyReplacement(active),
      legacyLines: [this.irq.isaLine(IRQ_TIMER), this.irq.isaLine(IRQ_RTC)],
      pin: (pin, level) => this.irq.setPin(pin, level),
    });
  }

  private attach(): void {
    const ports = this.ports;
    this.dma.attach(ports);
    this.pic.attach(ports);
    this.pit.attach(ports);
    this.rtc.attach(ports);
    this.uarts.forEach((uart, index) => uart.attach(ports, SERIAL_PORTS[index].base));
    this.i8042.attach(ports);
    this.pci.attach(ports);
    this.acpiPm?.attach(ports);
    this.resetPorts.attach(ports);
    this.debugPorts.attach(ports);
    this.fwCfg.attach(ports);
    this.fpuError.attach(ports);
    if (this.ioApic) mapMmio(IOAPIC_BASE, IOAPIC_SIZE, this.ioApic);
    if (this.hpet) mapMmio(HPET_BASE, HPET_SIZE, this.hpet);
  }

  private devices(): { reset(): void }[] {
    const optional = [this.ioApic, this.hpet, this.acpiPm, this.vga].filter((device) => device !== null);
    return [
      this.pic, this.pit, this.rtc, ...this.uarts, this.i8042, this.dma, this.pci, this.resetPorts, this.debugPorts, this.fwCfg,
      this.fpuError, ...optional,
    ];
  }

  private debugExit(value: number): void {
    this.stopReason = 'debug-exit';
    endSliceNow();
    this.outside.debugExit(value);
  }

  private stop(reason: StopReason): void {
    if (this.stopReason !== null) return;
    this.stopReason = reason;
    endSliceNow();
    this.outside.poweredOff(reason);
  }

  private crashed(detail: string): void {
    this.outside.log(`processor shutdown: ${detail}`);
    if (this.options.onCrash === 'stop') this.stop('crash');
    else this.clock.schedule(this.resetTimer, this.clock.now());
  }
}

const PHYSICAL_SPACE: AddressSpace = {
  mapPages: mapBufferPages, unmapPages: unmapMemory, mapMmio, unmapMmio: unmap,
};

/** CPUID without the local APIC bit (leaf 1, EDX bit 9). */
const NO_APIC: CpuidOverride = { leaf: 1, subleaf: null, reg: 3, set: 0, clear: 1 << 9 };

/** Builds a machine and powers it on; options not given have their defaults. */
export function createMachine(options: Partial<MachineOptions>, outside: MachinePorts): Machine {
  return new Machine({ ...DEFAULT_MACHINE_OPTIONS, ...options }, outside);
}
