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

/** Powers on the machine of a profile, with little memory: no system is started. `log` gets what the machine tells people. */
export function powerOnProfile(name: string, settings = '', log: (text: string) => void = () => undefined): Machine {
  const config = profileConfig(name, settings);
  return createMachine({
    memoryMb: 2, vcpus: config.vcpus, acpi: config.acpi, apic: config.apic, hpet: config.hpet, hap: config.ept, nestedhvm: config.nestedVmx, cpuid: config.cpuid,
    msrRelaxed: config.msrRelaxed, perfGlobalControl: config.perfGlobalControl,
  }, { serialOutput: () => undefined, debugText: () => undefined, debugExit: () => undefined, poweredOff: () => undefined, log });
}

/** What a 32-bit IN reads. */
export function portIn(port: number): number {
  return platform.readPort(port, 4);
}
