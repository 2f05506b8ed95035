/**
 * What the CPU asks of the machine around it. The machine fills the object in before the first instruction;
 * the CPU knows no device.
 */
export interface Platform {
  /** Port read of 1, 2 or 4 bytes; unclaimed ports float (all ones). */
  readPort(port: number, size: number): number;
  writePort(port: number, size: number, value: number): void;
  /** INTA cycle: vector of the interrupt being acknowledged (LAPIC first, then 8259 through LINT0); lowers SIG_INTR if nothing is left. */
  acknowledgeInterrupt(): number;
  /** A write of the local APIC's EOI register. */
  endOfInterrupt(): void;
  /** CR8 = local APIC TPR bits 7:4. */
  readCr8(): number;
  writeCr8(value: number): void;
  /** IA32_APIC_BASE was written (validity already checked): move, enable, disable, or enter x2APIC mode. */
  apicBaseWritten(lo: number, hi: number): void;
  /** x2APIC MSRs 800h-8FFh; false means #GP. Read leaves the value in `msrValue`. */
  readX2apic(index: number): boolean;
  writeX2apic(index: number, lo: number, hi: number): boolean;
  /** IA32_TSC_DEADLINE: leaves the value in `msrValue`. */
  readTscDeadline(): void;
  /** IA32_TSC_DEADLINE; 0 disarms. */
  writeTscDeadline(lo: number, hi: number): void;
  /** IA32_TIME_STAMP_COUNTER was written: deadlines move. */
  tscWritten(): void;
  /** Value of the last readX2apic or readTscDeadline: low word, high word. */
  msrValue: Int32Array;
  /** INIT reached this vCPU: reset its local APIC. */
  resetApic(): void;
  /** A machine with msrRelaxed let software have an MSR that is not there: told once for each index. */
  unknownMsr(index: number): void;
  /** The vCPU shut down (triple fault outside VMX non-root operation, or VMX abort); `detail` says why, for people. */
  shutdown(detail: string): void;
}

function unattached(): never {
  throw new Error('the CPU ran without a machine around it');
}

/** The machine around the CPU. */
export const platform: Platform = {
  readPort: unattached,
  writePort: unattached,
  acknowledgeInterrupt: unattached,
  endOfInterrupt: () => undefined,
  readCr8: () => 0,
  writeCr8: () => undefined,
  apicBaseWritten: () => undefined,
  readX2apic: () => false,
  writeX2apic: () => false,
  readTscDeadline: () => undefined,
  writeTscDeadline: () => undefined,
  tscWritten: () => undefined,
  msrValue: new Int32Array(2),
  resetApic: () => undefined,
  unknownMsr: () => undefined,
  shutdown: unattached,
};

/** Connects the CPU to a machine. */
export function attachPlatform(machine: Platform): void {
  Object.assign(platform, machine);
}
