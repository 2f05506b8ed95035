/** From xl.cfg settings to a machine: the keys of xl.cfg(5) that mean something here, and our own, which start with `nestbox_`. */
import { MAX_RAM_BYTES } from '../../cpu/mmu/limits';
import { ConfigError } from './config-error';
import { CpuidSyntaxError, parseCpuid } from './cpuid-key';
import { checkDeviceKeys } from './device-keys';
import { readDisplay } from './display-keys';
import { KeyReader } from './key-values';
import type { BootSpec, MachineConfig, ModuleSpec } from './machine-config';
import { checkNeeds, withProfile } from './profiles';
import type { XlSettings } from './xl-parser';
import { parseXlConfig } from './xl-parser';

/** Every key that is understood, in the sense that its value is looked at. docs/config.md describes them. */
export const KNOWN_KEYS: ReadonlySet<string> = new Set([
  'name', 'uuid', 'type', 'builder', 'memory', 'maxmem', 'vcpus', 'maxvcpus', 'hap', 'nestedhvm', 'cpuid', 'pae', 'nx', 'kernel', 'ramdisk',
  'cmdline', 'root', 'extra', 'bios_path_override', 'serial', 'acpi', 'apic', 'hpet', 'tsc_mode', 'rtc_timeoffset', 'localtime', 'on_poweroff',
  'on_reboot', 'on_crash', 'disk', 'vif', 'hdtype', 'vga', 'stdvga', 'videoram', 'vnc', 'sdl', 'nographic', 'spice', 'opengl', 'boot', 'bios',
  'firmware', 'usb', 'usbdevice', 'soundhw', 'viridian',
  'nestbox_title', 'nestbox_description', 'nestbox_levels', 'nestbox_try', 'nestbox_seconds', 'nestbox_l2_serial', 'nestbox_l2_console', 'nestbox_l3_serial', 'nestbox_l2_monitor', 'nestbox_tsc_mhz',
  'nestbox_vgabios', 'nestbox_profile', 'nestbox_msr_relaxed', 'nestbox_perf_global_ctrl',
]);

const DEFAULT_MEMORY_MIB = 512;
/** RAM is one typed array with 32-bit offsets (src/cpu/mmu/memory.ts). */
export const MAX_MEMORY_MIB = MAX_RAM_BYTES / (1 << 20);
export const MAX_VCPUS = 8;
const EVENT_ACTIONS = [
  'destroy', 'restart', 'rename-restart', 'preserve', 'coredump-destroy', 'coredump-restart', 'soft-reset',
];
const SERIAL_BACKEND = /^(pty|stdio|null|none|vc|file:.+|pipe:.+|tcp:.+|udp:.+|unix:.+|\/dev\/.+)$/;
const PAE_BIT = 1 << 6, NX_BIT = 1 << 20;

/** Reads a configuration file's text. */
export function readMachineConfig(source: string, file: string): MachineConfig {
  return interpretSettings(parseXlConfig(source, file), file);
}

/** Makes a machine of settings; `file` is named in errors about what is missing. */
export function interpretSettings(settings: XlSettings, file: string): MachineConfig {
  const keys = new KeyReader(withProfile(settings, file), file);
  for (const setting of keys.all()) {
    if (!KNOWN_KEYS.has(setting.key)) keys.warn(setting.key, 'unknown key, has no effect');
  }
  checkDeviceKeys(keys);
  checkNeeds(keys);
  const name = keys.string('name') ?? '';
  keys.string('uuid');
  const nestedVmx = keys.boolean('nestedhvm') ?? false;
  const config: MachineConfig = {
    name,
    title: keys.string('nestbox_title') ?? name,
    description: keys.string('nestbox_description') ?? '',
    levels: keys.strings('nestbox_levels').map(({ text }) => text),
    hint: keys.string('nestbox_try') ?? '',
    seconds: keys.integer('nestbox_seconds', 0, 86_400) ?? null,
    memoryMiB: readMemory(keys),
    vcpus: readVcpus(keys),
    nestedVmx,
    ept: keys.boolean('hap') ?? true,
    cpuid: readCpuid(keys),
    msrRelaxed: keys.boolean('nestbox_msr_relaxed') ?? false,
    perfGlobalControl: keys.boolean('nestbox_perf_global_ctrl') ?? false,
    acpi: keys.boolean('acpi') ?? true,
    apic: keys.boolean('apic') ?? true,
    hpet: keys.boolean('hpet') ?? true,
    boot: readBoot(keys),
    display: readDisplay(keys),
    serial: readSerial(keys),
    l2Serial: keys.integer('nestbox_l2_serial', 0, 3) ?? null,
    l2Wired: false,
    l3Serial: keys.integer('nestbox_l3_serial', 0, 3) ?? null,
    l2Monitor: keys.integer('nestbox_l2_monitor', 0, 3) ?? null,
    tscHz: (keys.integer('nestbox_tsc_mhz', 1, 10_000) ?? 1000) * 1_000_000,
    rtcOffset: keys.integer('rtc_timeoffset', -0x80000000, 0x7fffffff) ?? 0,
    restartOnReset: true,
    warnings: keys.warnings,
  };
  config.l2Wired = keys.oneOf('nestbox_l2_console', ['observed', 'wired']) === 'wired';
  if (config.l2Wired && config.l2Serial === null) keys.fail('nestbox_l2_console', 'wired to which port? nestbox_l2_serial names it');
  readTime(keys);
  for (const key of ['on_poweroff', 'on_crash']) {
    const action = keys.oneOf(key, EVENT_ACTIONS);
    if (action !== undefined && action !== 'destroy' && action !== 'preserve') keys.warn(key, `${action} is not supported: the machine stops`);
  }
  const onReboot = keys.oneOf('on_reboot', EVENT_ACTIONS);
  config.restartOnReset = onReboot === undefined || onReboot.endsWith('restart') || onReboot === 'soft-reset';
  return config;
}

function readMemory(keys: KeyReader): number {
  const memory = keys.integer('memory', 2, MAX_MEMORY_MIB) ?? DEFAULT_MEMORY_MIB;
  const most = keys.integer('maxmem', 2, 1 << 20);
  if (most !== undefined && most < memory) keys.fail('maxmem', `${most} is less than memory (${memory})`);
  if (most !== undefined && most > memory) keys.warn('maxmem', `memory cannot grow: the machine has ${memory} MiB`);
  return memory;
}

function readVcpus(keys: KeyReader): number {
  const vcpus = keys.integer('vcpus', 1, MAX_VCPUS) ?? 1;
  const most = keys.integer('maxvcpus', 1, 4096);
  if (most !== undefined && most < vcpus) keys.fail('maxvcpus', `${most} is less than vcpus (${vcpus})`);
  if (most !== undefined && most > vcpus) keys.warn('maxvcpus', `CPUs cannot be added: the machine has ${vcpus}`);
  return vcpus;
}

function readCpuid(keys: KeyReader): MachineConfig['cpuid'] {
  const value = keys.value('cpuid');
  let overrides: MachineConfig['cpuid'] = [];
  try {
    if (value !== undefined) overrides = parseCpuid(value, (message) => keys.warn('cpuid', message));
  } catch (error) {
    if (error instanceof CpuidSyntaxError) keys.fail('cpuid', error.message, error.line);
    throw error;
  }
  if (keys.boolean('pae') === false) overrides.push({ leaf: 1, subleaf: null, reg: 3, set: 0, clear: PAE_BIT });
  if (keys.boolean('nx') === false) overrides.push({ leaf: 0x80000001, subleaf: null, reg: 3, set: 0, clear: NX_BIT });
  return overrides;
}

/** xl takes any prefix of a type's name. */
function typeByPrefix(text: string): string | undefined {
  return ['hvm', 'pv', 'pvh'].find((type) => text !== '' && type.startsWith(text));
}

function readType(keys: KeyReader): string | undefined {
  const text = keys.string('type');
  const type = text === undefined ? undefined : typeByPrefix(text);
  if (text !== undefined && type === undefined) keys.fail('type', `\`${text}\` is not a type of guest: hvm, pvh, pv`);
  const builder = keys.string('builder');
  if (builder === undefined) return type;
  const built = builder !== '' && 'hvm'.startsWith(builder) ? 'hvm' : builder !== '' && 'generic'.startsWith(builder) ? 'pv' : undefined;
  if (built === undefined) keys.fail('builder', `\`${builder}\` is not a builder: hvm, generic`);
  if (type !== undefined && type !== built) keys.fail('builder', `contradicts type = "${type}"`);
  keys.warn('builder', 'deprecated, use type');
  return built;
}

function readBoot(keys: KeyReader): BootSpec {
  const type = readType(keys) ?? 'pv';
  const kernel = keys.string('kernel');
  const rom = keys.string('bios_path_override');
  const modules = keys.strings('ramdisk').map(({ text }) => moduleSpec(text));
  const cmdline = readCmdline(keys);
  if (kernel !== undefined && rom !== undefined) keys.fail('bios_path_override', 'a firmware image and a kernel cannot both start');
  if (rom !== undefined) {
    if (rom === '') keys.fail('bios_path_override', 'an empty name');
    return { kind: 'rom', image: rom };
  }
  if (kernel === undefined) {
    if (type !== 'hvm') {
      const key = keys.has('type') ? 'type' : keys.has('builder') ? 'builder' : 'kernel';
      keys.fail(key, `a ${type} guest needs kernel=`);
    }
    throw new ConfigError(keys.file, 0, 'kernel', 'missing; starting from a disk is not supported yet');
  }
  if (kernel === '') keys.fail('kernel', 'an empty name');
  if (kernel === 'builtin') {
    for (const key of ['ramdisk', 'cmdline', 'extra', 'root']) if (keys.has(key)) keys.warn(key, 'the built-in guest takes none');
    return { kind: 'builtin' };
  }
  return { kind: 'kernel', kernel, cmdline, modules };
}

/** `FILE ARGUMENTS...`; a file name with spaces stands in double quotes. */
export function moduleSpec(text: string): ModuleSpec {
  const found = /^(?:"([^"]*)"|(\S*))\s*(.*)$/s.exec(text.trim());
  return { file: found?.[1] ?? found?.[2] ?? '', args: found?.[3] ?? '' };
}

/** As xl does: cmdline wins, else `root=ROOT EXTRA`. */
function readCmdline(keys: KeyReader): string {
  const cmdline = keys.string('cmdline'), root = keys.string('root'), extra = keys.string('extra');
  if (cmdline !== undefined) {
    for (const key of ['root', 'extra']) if (keys.has(key)) keys.warn(key, 'ignored in favour of cmdline');
    return cmdline;
  }
  return [root === undefined ? '' : `root=${root}`, extra ?? ''].filter((part) => part !== '').join(' ');
}

function readSerial(keys: KeyReader): string[] {
  const ports = keys.strings('serial');
  if (ports.length > 4) keys.fail('serial', `${ports.length} serial ports; the machine has 4`);
  for (const { text, line } of ports) {
    if (!SERIAL_BACKEND.test(text)) keys.fail('serial', `\`${text}\` is no place for a serial port: pty, stdio, null, none, file:PATH, ...`, line);
  }
  return ports.map(({ text }) => text);
}

function readTime(keys: KeyReader): void {
  const mode = keys.value('tsc_mode');
  if (mode?.kind === 'atom' && !mode.quoted) keys.integer('tsc_mode', 0, 3);
  else keys.oneOf('tsc_mode', ['default', 'always_emulate', 'native', 'native_paravirt']);
  if (keys.boolean('localtime') === true) keys.warn('localtime', 'the machine knows no time zone; use rtc_timeoffset');
}
