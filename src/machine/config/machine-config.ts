/** A machine as its configuration describes it: plain data, checked. */
import type { CpuidOverride } from '../../cpu/features';
import type { ConfigWarning } from './config-error';
import type { DisplayConfig } from './display-keys';

/** A file and the arguments it gets. */
export interface ModuleSpec {
  /** Path or URL as written in the configuration. */
  file: string;
  args: string;
}

export type BootSpec =
  /** Our own hypervisor and guest, assembled when the machine starts. */
  | { kind: 'builtin' }
  /** A kernel entered directly. */
  | { kind: 'kernel'; kernel: string; cmdline: string; modules: ModuleSpec[] }
  /** A ROM image entered at the reset vector. */
  | { kind: 'rom'; image: string };

export interface MachineConfig {
  name: string;
  /** For people; empty if the configuration does not say. */
  title: string;
  description: string;
  /** What runs at each level, L1 first, for people. */
  levels: string[];
  /** What to do with it once it runs, for people; empty if the configuration does not say. */
  hint: string;
  /** Real time to the prompt of the innermost guest on an ordinary machine, seconds; null if the configuration does not say. */
  seconds: number | null;
  memoryMiB: number;
  vcpus: number;
  /** VMX is offered to the machine's guest. */
  nestedVmx: boolean;
  /** EPT, VPID and unrestricted guest are offered with it. */
  ept: boolean;
  cpuid: CpuidOverride[];
  /** Unknown MSRs read zero and ignore writes instead of raising #GP. */
  msrRelaxed: boolean;
  /** IA32_PERF_GLOBAL_CTRL is storage that VM entries and exits can load. */
  perfGlobalControl: boolean;
  acpi: boolean;
  apic: boolean;
  hpet: boolean;
  boot: BootSpec;
  /** The display adapter; null: none. */
  display: DisplayConfig | null;
  /** What COM1 to COM4 are connected to, as written; the page and the command line decide what they make of it. */
  serial: string[];
  /** The machine's serial port (0 = COM1) that its hypervisor connects to the guest's COM1, or null. */
  l2Serial: number | null;
  /** What that port sends is the guest's console: the guest has none that could be observed. */
  l2Wired: boolean;
  /** The machine's serial port that leads on to the console of its guest's guest, or null. */
  l3Serial: number | null;
  /** The machine's serial port (0 = COM1) that reaches the monitor of the QEMU that runs its guest, or null. */
  l2Monitor: number | null;
  tscHz: number;
  /** Seconds added to the clock's standard start. */
  rtcOffset: number;
  /** A reset starts the machine again; false: it ends there. */
  restartOnReset: boolean;
  warnings: ConfigWarning[];
}
