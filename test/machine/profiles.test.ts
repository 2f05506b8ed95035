/** Machine profiles: what they set, how explicit keys win, and that the machine that comes of one is what its system reads. */
import '../support/bare-cpu';
import { readdirSync, readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { CPUID_RESULT, cpuid } from '../../src/cpu/cpuid';
import { msrValue, readMsr, unknownMsrAccesses, writeMsr } from '../../src/cpu/msr';
import { platform } from '../../src/cpu/platform';
import { switchVcpu, vcpuCount } from '../../src/cpu/vcpus';
import { CR4_SMAP, CR4_UMIP } from '../../src/cpu/state';
import { cr4AllowedBits, eferAllowedBits } from '../../src/cpu/features';
import { physRead32 } from '../../src/cpu/mmu/physical';
import { leaveFirmwareState } from '../../src/machine/firmware';
import { applySetting, ConfigError, interpretSettings, parseXlConfig, readMachineConfig } from '../../src/machine/config';
import { PROFILES } from '../../src/machine/config/profiles';
import { portIn, powerOnProfile } from '../support/profiles';

const NAMES = Object.keys(PROFILES);
const read = (text: string) => readMachineConfig(text, 'vm.cfg');
const messages = (text: string): string[] => read(text).warnings.map(({ line, key, message }) => `${line} ${key}: ${message}`);

function refusal(text: string): string {
  try {
    read(text);
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown.message;
    throw thrown;
  }
  return 'accepted';
}

describe('a profile', () => {
  it.each([
    ['esxi', 3072, 2, true, true], ['workstation', 3072, 2, false, true], ['hyperv', 3584, 2, false, true], ['virtualbox', 2048, 1, false, false],
    ['windows', 3072, 1, false, false],
  ])('%s makes a whole machine, without warnings', (name, memoryMiB, vcpus, msrRelaxed, perfGlobalControl) => {
    const config = read(`nestbox_profile = "${name}"`);
    expect(config.warnings).toEqual([]);
    expect(config).toMatchObject({
      memoryMiB, vcpus, msrRelaxed, perfGlobalControl, nestedVmx: true, ept: true, acpi: true, apic: true, hpet: true, serial: ['pty'],
      boot: { kind: 'rom', image: 'images/seabios.bin' }, display: { videoMiB: 16 },
    });
  });

  it('is what the documentation says', () => {
    const text = readFileSync('docs/profiles.md', 'utf8');
    const row = (key: string): string[] => text.split('\n').find((line) => line.startsWith(`| ${key}`))?.split('|').map((cell) => cell.trim()).slice(2, -1) ?? [];
    NAMES.forEach((name, n) => {
      const config = read(`nestbox_profile = "${name}"`);
      const need = (key: string): number | undefined => PROFILES[name].needs.find((one) => one.key === key)?.least;
      expect(row('`memory`')[n]).toBe(`${config.memoryMiB} (${need('memory')})`);
      expect(row('`vcpus`')[n]).toBe(need('vcpus') === undefined ? String(config.vcpus) : `${config.vcpus} (${need('vcpus')})`);
      expect(row('`nestbox_msr_relaxed`')[n]).toBe(config.msrRelaxed ? '1' : '0');
      expect(row('`nestbox_perf_global_ctrl`')[n]).toBe(config.perfGlobalControl ? '1' : '0');
      powerOnProfile(name);
      cpuid(7, 0);
      const hidden = [['INVPCID', CPUID_RESULT[1] >>> 10], ['SMAP', CPUID_RESULT[1] >>> 20], ['UMIP', CPUID_RESULT[2] >>> 2]] as const;
      expect(row('hidden CPU features')[n]).toBe(hidden.filter(([, bit]) => (bit & 1) === 0).map(([feature]) => feature).join(', '));
    });
  });

  it('gives way to every explicit key', () => {
    expect(read(`nestbox_profile = "esxi"
memory = 3000; vcpus = 4; hap = 0; nestedhvm = 1; nestbox_msr_relaxed = 0; nestbox_perf_global_ctrl = 0; vga = "none"; cpuid = "host,x2apic=0"; serial = ["null"]`)).toMatchObject({
      memoryMiB: 3000, vcpus: 4, ept: false, msrRelaxed: false, perfGlobalControl: false, display: null, serial: ['null'], cpuid: [{ leaf: 1, reg: 2, clear: 1 << 21 }],
    });
  });

  it('gives way to another way of saying the same', () => {
    for (const name of NAMES) {
      const config = read(`nestbox_profile = "${name}"; kernel = "k"; builder = "hvm"; stdvga = 0`);
      expect(config.boot).toEqual({ kind: 'kernel', kernel: 'k', cmdline: '', modules: [] });
      expect(config.display).toBeNull();
      expect(config.warnings.map(({ key }) => key)).toEqual(['builder']);
    }
  });

  it('can come from the command line, and is refused with its place if there is none of the name', () => {
    const settings = parseXlConfig('memory = 2500\n', 'vm.cfg');
    applySetting(settings, 'nestbox_profile=hyperv', '--set');
    expect(interpretSettings(settings, 'vm.cfg')).toMatchObject({ memoryMiB: 2500, vcpus: 2, perfGlobalControl: true });
  });

  it.each([
    ['\nnestbox_profile = "esx"', 'vm.cfg:2: nestbox_profile: `esx` is not one of esxi, workstation, hyperv, virtualbox, windows'],
    ['nestbox_profile = 1', 'vm.cfg:1: nestbox_profile: 1 is a number; a quoted string is expected'],
    ['nestbox_profile = ["esxi"]', 'vm.cfg:1: nestbox_profile: a list is given where a single value is expected'],
    ['nestbox_profile = ""', 'vm.cfg:1: nestbox_profile: `` is not one of esxi, workstation, hyperv, virtualbox, windows'],
    ['nestbox_profile = "toString"', 'vm.cfg:1: nestbox_profile: `toString` is not one of esxi, workstation, hyperv, virtualbox, windows'],
    ['nestbox_profile = "esxi"\nmemory = "lots"', 'vm.cfg:2: memory: `lots` is not a number'],
    ['nestbox_profile = "esxi"\nmemory = 4096', 'vm.cfg:2: memory: 4096 is outside 2 to 3584'],
    ['nestbox_profile = "esxi"\nkernel = "k"\nbios_path_override = "b"', 'vm.cfg:3: bios_path_override: a firmware image and a kernel cannot both start'],
    ['kernel = "k"\nnestbox_msr_relaxed = "yes"', 'vm.cfg:2: nestbox_msr_relaxed: `yes` is not a number'],
    ['kernel = "k"\nnestbox_msr_relaxed = [1]', 'vm.cfg:2: nestbox_msr_relaxed: a list is given where a single value is expected'],
    ['kernel = "k"\n\nnestbox_perf_global_ctrl = "on"', 'vm.cfg:3: nestbox_perf_global_ctrl: `on` is not a number'],
  ])('%s is refused', (text, message) => expect(refusal(text)).toBe(message));

  it.each([
    ['esxi', 'memory = 1024', '2 memory: less than the 2048 of the esxi profile: ESXi 5.1 wants 2 GiB'],
    ['esxi', 'vcpus = 1', '2 vcpus: less than the 2 of the esxi profile: its installer wants two cores'],
    ['esxi', 'nx = 0', '2 nx: less than the 1 of the esxi profile: it does not start without NX'],
    ['workstation', 'nestedhvm = 0', '2 nestedhvm: less than the 1 of the workstation profile: its guests need VT-x'],
    ['hyperv', 'hap = 0', '2 hap: less than the 1 of the hyperv profile: Hyper-V requires second-level address translation'],
    ['hyperv', 'acpi = 0', '2 acpi: less than the 1 of the hyperv profile: it finds processors and interrupts by ACPI'],
    ['virtualbox', 'memory = 128', '2 memory: less than the 512 of the virtualbox profile: the host system and a guest share it'],
    ['windows', 'acpi = 0', '2 acpi: less than the 1 of the windows profile: it finds processors and interrupts by ACPI'],
  ])('%s with %s warns', (name, setting, warning) => expect(messages(`nestbox_profile = "${name}"\n${setting}`)).toEqual([warning]));
});

describe('public/profiles', () => {
  it('has a valid example of each, named after it', () => {
    expect(readdirSync('public/profiles').toSorted()).toEqual(NAMES.map((name) => `${name}.cfg`).toSorted());
    for (const name of NAMES) {
      const text = readFileSync(`public/profiles/${name}.cfg`, 'utf8');
      const config = readMachineConfig(text, `${name}.cfg`);
      expect([config.name, config.warnings, config.nestedVmx]).toEqual([name, [], true]);
      expect(text).toContain(`nestbox_profile = "${name}"`);
      expect(readFileSync('docs/profiles.md', 'utf8')).toContain(`(\`${name}\`)`);
    }
  });
});

function leaf(eax: number, ecx = 0): number[] {
  cpuid(eax, ecx);
  return [...CPUID_RESULT];
}

function msr(index: number): [number, number] | 'fault' {
  return readMsr(index) ? [msrValue[0] >>> 0, msrValue[1] >>> 0] : 'fault';
}

describe.each(NAMES)('the %s machine', (name) => {
  beforeEach(() => {
    unknownMsrAccesses.clear();
    powerOnProfile(name);
  });

  it('is bare hardware: no hypervisor bit, leaves, MSRs or port', () => {
    expect(leaf(1)[2] >>> 31).toBe(0);
    const highest = leaf(leaf(0)[0]);
    for (const hypervisor of [0x40000000, 0x40000001, 0x40000010, 0x400000ff]) expect(leaf(hypervisor)).toEqual(highest);
    for (const index of [0x40000000, 0x40000001, 0x40000073, 0x40000118, 0x400001ff]) {
      expect(msr(index)).toBe('fault');
      expect(writeMsr(index, 0, 0)).toBe(false);
    }
    expect(portIn(0x5658)).toBe(-1);
    expect(portIn(0x5659)).toBe(-1);
  });

  it('honours a forced hypervisor bit, as an xl.cfg may ask for', () => {
    powerOnProfile(name, "cpuid = ['0x1:ecx=1xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx']");
    expect(leaf(1)[2] >>> 31).toBe(1);
    powerOnProfile(name, "cpuid = ['0x1:ecx=0xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx']");
    expect(leaf(1)[2] >>> 31).toBe(0);
  });

  it.each<[string, number, number, number]>([
    ['NX', 0x80000001, 3, 20], ['LM', 0x80000001, 3, 29], ['LAHF in 64-bit mode', 0x80000001, 2, 0], ['PREFETCHW', 0x80000001, 2, 8], ['SSE2', 1, 3, 26], ['PAE', 1, 3, 6],
    ['CMPXCHG8B', 1, 3, 8], ['CMPXCHG16B', 1, 2, 13], ['MCE', 1, 3, 7], ['MCA', 1, 3, 14], ['MTRR', 1, 3, 12], ['PAT', 1, 3, 16], ['APIC', 1, 3, 9], ['VMX', 1, 2, 5], ['TSC', 1, 3, 4],
    ['FXSR', 1, 3, 24], ['SYSENTER', 1, 3, 11], ['SYSCALL', 0x80000001, 3, 11], ['VME', 1, 3, 1], ['PSE36', 1, 3, 17], ['invariant TSC', 0x80000007, 3, 8], ['ARAT', 6, 0, 2],
  ])('has %s', (_feature, at, reg, bit) => expect((leaf(at)[reg] >>> bit) & 1).toBe(1));

  it.each<[string, number, number, number]>([
    ['MONITOR', 1, 2, 3], ['XSAVE', 1, 2, 26], ['OSXSAVE', 1, 2, 27], ['AVX', 1, 2, 28], ['PDCM', 1, 2, 15], ['DS', 1, 3, 21], ['RDRAND', 1, 2, 30], ['SMX', 1, 2, 6],
  ])('has no %s, which it does not have', (_feature, at, reg, bit) => expect((leaf(at)[reg] >>> bit) & 1).toBe(0));

  it('shows no PMU and no MONITOR leaf, and plausible caches and cores', () => {
    expect([leaf(5), leaf(0xa)]).toEqual([[0, 0, 0, 0], [0, 0, 0, 0]]);
    for (let n = 0; n < 4; n++) expect(leaf(4, n)[0] & 31).not.toBe(0);
    expect(leaf(4, 4)[0]).toBe(0);
    const cores = vcpuCount();
    expect((leaf(4, 0)[0] >>> 26) + 1).toBeGreaterThanOrEqual(cores);
    if (cores > 1) expect([(leaf(1)[3] >>> 28) & 1, (leaf(1)[1] >>> 16) & 255]).toEqual([1, cores]);
  });

  it('identifies itself as the family-6 model that needs no errata workarounds', () => expect(leaf(1)[0]).toBe(0x206a7));

  // What is read early, in part before there is a handler for #GP: never a fault.
  it.each<[string, number, number | null, number | null]>([
    ['PLATFORM_ID', 0x17, 0, 0], ['FEATURE_CONTROL: locked, VMX outside SMX', 0x3a, 5, 0], ['BIOS_SIGN_ID: microcode newer than any update', 0x8b, 0, 0x2f], ['FSB_FREQ', 0xcd, 3, 0],
    ['PLATFORM_INFO', 0xce, null, null], ['MTRRCAP', 0xfe, 0x508, 0], ['BBL_CR_CTL3', 0x11e, 0xbe702111, 0], ['MISC_FEATURES_ENABLES', 0x140, 0, 0], ['MCG_CAP: six banks', 0x179, 6, 0],
    ['MCG_STATUS', 0x17a, 0, 0], ['MCG_CTL', 0x17b, 0, 0], ['PERF_STATUS', 0x198, 1000, 0x400], ['PERF_CTL', 0x199, 0, 0], ['CLOCK_MODULATION', 0x19a, 0, 0], ['THERM_INTERRUPT', 0x19b, 0, 0],
    ['THERM_STATUS', 0x19c, 0, 0], ['MISC_ENABLE', 0x1a0, 0x1801, 0], ['TEMPERATURE_TARGET', 0x1a2, 0, 0], ['ENERGY_PERF_BIAS', 0x1b0, 0, 0], ['LBR_SELECT', 0x1c8, 0, 0],
    ['LASTBRANCH_TOS', 0x1c9, 0, 0], ['LASTBRANCHFROMIP', 0x1db, 0, 0], ['POWER_CTL', 0x1fc, 0, 0], ['EBL_CR_POWERON', 0x2a, 0, 0], ['EBC_FREQUENCY_ID', 0x2c, 1 << 24, 0],
    ['MC0_CTL2', 0x280, 0, 0], ['PERF_CAPABILITIES', 0x345, 0, 0], ['FIXED_CTR_CTRL', 0x38d, 0, 0], ['PERF_GLOBAL_STATUS', 0x38e, 0, 0], ['PERF_GLOBAL_CTRL', 0x38f, 0, 0],
    ['PEBS_ENABLE', 0x3f1, 0, 0], ['MC0_CTL', 0x400, 0, 0], ['MC5_STATUS', 0x415, 0, 0], ['DS_AREA', 0x600, 0, 0], ['RAPL_POWER_UNIT', 0x606, 0, 0], ['PKG_ENERGY_STATUS', 0x611, 0, 0],
    ['PMC0', 0xc1, 0, 0], ['PERFEVTSEL0', 0x186, 0, 0], ['P5_MC_ADDR', 0, 0, 0], ['P5_MC_TYPE', 1, 0, 0],
  ])('reads %s', (_what, index, lo, hi) => {
    const value = msr(index);
    if (lo === null) expect(value).not.toBe('fault');
    else expect(value).toEqual([lo, hi]);
  });

  it('takes the microcode dance: 0 to 8Bh, CPUID, 8Bh again, and an update that changes nothing', () => {
    expect(writeMsr(0x8b, 0, 0)).toBe(true);
    leaf(1);
    expect(msr(0x8b)).toEqual([0, 0x2f]);
    expect(writeMsr(0x79, 0x1000, 0)).toBe(true);
    expect(msr(0x8b)).toEqual([0, 0x2f]);
    expect(msr(0x79)).toBe('fault');
  });

  it('takes machine-check set-up, and clears what is never reported', () => {
    for (let bank = 0; bank < 6; bank++) {
      const ctl = 0x400 + 4 * bank;
      expect([writeMsr(ctl, -1, -1), writeMsr(ctl, 0, 0), writeMsr(ctl + 1, 0, 0), writeMsr(ctl + 1, 1, 0)]).toEqual([true, true, true, false]);
    }
    expect(writeMsr(0x17a, 0, 0)).toBe(true);
  });

  it('locks FEATURE_CONTROL and the capability MSRs against writing', () => {
    for (const index of [0x3a, ...Array.from({ length: 0x12 }, (_, n) => 0x480 + n)]) expect(writeMsr(index, 0, 0), index.toString(16)).toBe(false);
    expect([writeMsr(0x17, 0, 0), writeMsr(0xce, 0, 0), writeMsr(0xfe, 0, 0), writeMsr(0x179, 0, 0)]).toEqual([false, false, false, false]);
  });

  it('starts alike on all processors: what VMX offers, and FEATURE_CONTROL', () => {
    const capabilities = (): unknown[] => [0x3a, ...Array.from({ length: 0x12 }, (_, n) => 0x480 + n)].map(msr);
    const first = capabilities();
    expect(first).not.toContain('fault');
    for (let vcpu = 1; vcpu < vcpuCount(); vcpu++) {
      switchVcpu(vcpu);
      expect(capabilities()).toEqual(first);
    }
    switchVcpu(0);
  });

  it('lets all processors program MTRRs and PAT as they must, and keeps them', () => {
    const { acpi, apic, hpet } = read(`nestbox_profile = "${name}"`);
    leaveFirmwareState({ vcpus: vcpuCount(), acpi, apic, hpet });
    // Uncached from the PCI hole to 4 GiB, all else write-back; VGA uncached.
    expect([msr(0x2ff), msr(0x200), msr(0x201), msr(0x259)]).toEqual([[0xc06, 0], [0xc0000000, 0], [0xc0000800, 0xff], [0, 0]]);
    for (let vcpu = vcpuCount() - 1; vcpu >= 0; vcpu--) {
      switchVcpu(vcpu);
      for (const [index, lo, hi] of [[0x2ff, 0, 0], [0x202, 6, 0], [0x203, 0x80000800, 0xff], [0x268, 0x06060606, 0x06060606], [0x2ff, 0xc06, 0], [0x277, 0x00010406, 0x00070406]]) {
        expect(writeMsr(index, lo | 0, hi | 0)).toBe(true);
        expect(msr(index)).toEqual([lo, hi]);
      }
    }
  });

  it('has what firmware has: RSDP, HPET, PM timer, real-time clock, CMOS, PIT', () => {
    const { acpi, apic, hpet } = read(`nestbox_profile = "${name}"`);
    const { rsdp } = leaveFirmwareState({ vcpus: vcpuCount(), acpi, apic, hpet });
    expect(physRead32(rsdp)).toBe(0x20445352);
    expect(physRead32(0xfed00000) >>> 16).toBe(0x8086);
    expect(physRead32(0xfed00004)).toBeGreaterThan(0);
    platform.writePort(0x70, 1, 0x0d);
    expect(platform.readPort(0x71, 1) & 0x80).toBe(0x80);
    platform.writePort(0xcf8, 4, 0x80000000 | 0);
    expect(platform.readPort(0xcfc, 4)).toBe(0x12378086);
  });
});

describe('unknown MSRs', () => {
  it.each(NAMES)('of the %s machine raise #GP unless it is relaxed, and are counted', (name) => {
    powerOnProfile(name);
    unknownMsrAccesses.clear();
    const relaxed = name === 'esxi';
    for (const index of [0x39, 0x1ad, 0x610, 0xc0010015, 0xc0000104]) {
      expect(msr(index)).toEqual(relaxed ? [0, 0] : 'fault');
      expect(writeMsr(index, 1, 0)).toBe(relaxed);
      expect(unknownMsrAccesses.get(index)).toBe(2);
    }
  });

  it('are told once each on a relaxed machine', () => {
    const log: string[] = [];
    powerOnProfile('esxi', '', (text) => log.push(text));
    for (const index of [0x1ad, 0x1ad, 0xc0010015, 0x10]) readMsr(index);
    writeMsr(0x1ad, 0, 0);
    expect(log).toEqual(['there is no MSR 1adh; it reads zero (nestbox_msr_relaxed)', 'there is no MSR c0010015h; it reads zero (nestbox_msr_relaxed)']);
    powerOnProfile('windows', '', (text) => log.push(text));
    readMsr(0x1ad);
    expect(log.length).toBe(2);
    expect(unknownMsrAccesses.get(0x1ad)).toBe(1);
  });

  it('are #GP on an ESXi machine that asks for it', () => {
    powerOnProfile('esxi', 'nestbox_msr_relaxed = 0');
    expect(msr(0x1ad)).toBe('fault');
    powerOnProfile('windows', 'nestbox_msr_relaxed = 1');
    expect(msr(0x1ad)).toEqual([0, 0]);
    expect(msr(0x40000000)).toBe('fault');
  });
});

describe('hidden features', () => {
  it('are hidden everywhere', () => {
    powerOnProfile('esxi');
    expect(cr4AllowedBits() & (CR4_SMAP | CR4_UMIP)).toBe(0);
    expect(msr(0x489)).toEqual([cr4AllowedBits(), 0]);
    expect((msr(0x48b) as [number, number])[1] & (1 << 12)).toBe(0);
    expect(eferAllowedBits()).toBe(0xd01);
    powerOnProfile('windows');
    expect(cr4AllowedBits() & (CR4_SMAP | CR4_UMIP)).toBe(CR4_SMAP | CR4_UMIP);
  });
});
