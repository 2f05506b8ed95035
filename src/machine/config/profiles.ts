/**
 * Machine profiles (`nestbox_profile`): settings for hypervisors and systems whose media the user has to bring. A profile is a piece of configuration that lies
 * beneath the user's: every setting of it gives way to an explicit one. What a system refuses to run without is in `needs`, and only warned about.
 *
 * The requirements are the makers' own (hardware requirements of ESXi 5.x, Hyper-V and Windows 8), docs/profiles.md has them with what is untested.
 */
import { KeyReader } from './key-values';
import type { XlSettings } from './xl-parser';
import { parseXlConfig } from './xl-parser';

/** A number that a key must not be below, and why. */
interface Need {
  readonly key: string;
  readonly least: number;
  readonly why: string;
}

interface Profile {
  /** In the syntax of a configuration file. */
  readonly settings: string;
  readonly needs: readonly Need[];
}

/** A PC that starts from firmware with a screen, and has VT-x. */
const PC_WITH_VMX = `
type = "hvm"
bios_path_override = "images/seabios.bin"
vga = "stdvga"
serial = "pty"
nestedhvm = 1
hap = 1
`;

const VMX: Need = { key: 'nestedhvm', least: 1, why: 'its guests need VT-x' };
const ACPI: Need = { key: 'acpi', least: 1, why: 'it finds processors and interrupts by ACPI' };
const APIC: Need = { key: 'apic', least: 1, why: 'it uses the local APIC' };
const NX: Need = { key: 'nx', least: 1, why: 'it does not start without NX' };

export const PROFILES: Readonly<Record<string, Profile>> = {
  // A general-protection fault for an MSR that the hypervisor expects of the model is its end. Features newer than it are hidden.
  esxi: {
    settings: `${PC_WITH_VMX}
memory = 3072
vcpus = 2
cpuid = "host,invpcid=0,smap=0,umip=0"
nestbox_msr_relaxed = 1
nestbox_perf_global_ctrl = 1
`,
    needs: [
      { key: 'memory', least: 2048, why: 'ESXi 5.1 wants 2 GiB' }, { key: 'vcpus', least: 2, why: 'its installer wants two cores' }, VMX, ACPI, APIC, NX,
    ],
  },
  workstation: {
    settings: `${PC_WITH_VMX}
memory = 3072
vcpus = 2
cpuid = "host,invpcid=0,smap=0,umip=0"
nestbox_perf_global_ctrl = 1
`,
    needs: [{ key: 'memory', least: 1024, why: 'the host system and a guest share it' }, VMX, NX],
  },
  hyperv: {
    settings: `${PC_WITH_VMX}
memory = 3584
vcpus = 2
cpuid = "host,smap=0,umip=0"
nestbox_perf_global_ctrl = 1
`,
    needs: [
      { key: 'memory', least: 2048, why: 'Windows and a guest share it' }, VMX,
      { key: 'hap', least: 1, why: 'Hyper-V requires second-level address translation' }, ACPI, APIC, NX,
    ],
  },
  // VirtualBox 4.3 runs code of its own in ring 0 beside the host's kernel, from before processors had SMAP.
  virtualbox: {
    settings: `${PC_WITH_VMX}
memory = 2048
cpuid = "host,smap=0"
`,
    needs: [{ key: 'memory', least: 512, why: 'the host system and a guest share it' }, VMX],
  },
  windows: {
    settings: `${PC_WITH_VMX}
memory = 3072
`,
    needs: [{ key: 'memory', least: 256, why: 'Windows XP with a hypervisor below it wants as much' }, ACPI],
  },
};

/** Keys that say the same thing in two ways: who sets one of them has not left the other to the profile. */
const ALTERNATIVES: readonly (readonly string[])[] = [['kernel', 'bios_path_override'], ['type', 'builder'], ['vga', 'stdvga']];

function isSetOtherwise(key: string, settings: XlSettings): boolean {
  return ALTERNATIVES.some((group) => group.includes(key) && group.some((other) => settings.has(other)));
}

/** The settings with those of their profile beneath; the same object if they name none. `file` is named in errors. */
export function withProfile(settings: XlSettings, file: string): XlSettings {
  const name = new KeyReader(settings, file).oneOf('nestbox_profile', Object.keys(PROFILES));
  if (name === undefined) return settings;
  const complete = new Map(settings);
  for (const [key, setting] of parseXlConfig(PROFILES[name].settings, `profile ${name}`)) {
    if (!settings.has(key) && !isSetOtherwise(key, settings)) complete.set(key, setting);
  }
  return complete;
}

/** Warns about explicit settings that are less than what the profile's system needs. */
export function checkNeeds(keys: KeyReader): void {
  const name = keys.string('nestbox_profile');
  if (name === undefined) return;
  for (const { key, least, why } of PROFILES[name].needs) {
    const value = keys.integer(key, -0x80000000, 0xffffffff);
    if (value !== undefined && value < least) keys.warn(key, `less than the ${least} of the ${name} profile: ${why}`);
  }
}
