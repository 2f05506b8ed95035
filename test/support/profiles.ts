/** Machines of a profile, for tests. */
import { platform } from '../../src/cpu/platform';
import type { MachineConfig } from '../../src/machine/config';
import { readMachineConfig } from '../../src/machine/config';
import { createMachine } from '../../src/machine/machine';
import type { Machine } from '../../src/machine/machine';

/** The configuration of a profile with further settings. */
export function profileConfig(name: string, settings = ''): MachineConfig {
  return readMachineConfig(`nestbox_profile = "${name}"\n${settings}\n`, 'test');
}

/** Powers on the machine of a profile, with little memory: no system is started. */
export function powerOnProfile(name: string, settings = ''): Machine {
  const config = profileConfig(name, settings);
  return createMachine({
    memoryMb: 16, vcpus: config.vcpus, acpi: config.acpi, apic: config.apic, hpet: config.hpet, hap: config.ept, nestedhvm: config.nestedVmx, cpuid: config.cpuid,
    msrRelaxed: config.msrRelaxed, perfGlobalControl: config.perfGlobalControl,
  }, { serialOutput: () => undefined, debugText: () => undefined, debugExit: () => undefined, poweredOff: () => undefined, log: () => undefined });
}

/** What a 32-bit IN reads. */
export function portIn(port: number): number {
  return platform.readPort(port, 4);
}
