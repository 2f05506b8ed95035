import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { applySetting, ConfigError, interpretSettings, KNOWN_KEYS, parseXlConfig, readMachineConfig } from '../../src/machine/config';
import { MAX_MEMORY_MIB, MAX_VCPUS } from '../../src/machine/config/interpret';
import { diskProblem, nicProblem } from '../../src/machine/config/device-keys';

const read = (text: string) => readMachineConfig(text, 'vm.cfg');

function error(text: string): ConfigError {
  try {
    read(text);
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown;
    throw thrown;
  }
  throw new Error(`accepted: ${text}`);
}

const KERNEL = 'kernel = "k"\n';

describe('xl.cfg syntax', () => {
  it('reads numbers, strings, nested lists, comments, semicolons and +=', () => {
    const settings = parseXlConfig(
      "# a machine\nmemory = 0x200; vcpus=1\nname = 'it\\'s \\x41\\101' # trailing\nlist = [\n  'a', # one\n  [ 1, 'b' ],\n]\nextra = \"a\"\nextra += ' b'\nlist += ['c']\nmemory = 64", 'f');
    expect(settings.get('memory')?.value).toMatchObject({ text: '64' });
    expect(settings.get('memory')?.line).toBe(11);
    expect(settings.get('name')?.value).toMatchObject({ text: "it's AA", quoted: true });
    expect(settings.get('extra')?.value).toMatchObject({ text: 'a b' });
    expect(settings.get('list')?.value).toMatchObject({ items: [{ text: 'a', line: 5 }, { items: [{ text: '1' }, { text: 'b' }] }, { text: 'c' }] });
  });

  it('names the line of every error', () => {
    const cases: [string, number, RegExp][] = [
      ['memory = 1\nvcpus = ', 2, /expected a number, a quoted string or a list/],
      ['a = "x\nb = 1', 1, /not closed/],
      ['a = [1, 2\nb = 3', 2, /`,` or `]`/],
      ['a = [1,\n2,', 2, /number/],
      ['\n\nhap = True', 3, /Python.*write 1/],
      ['Memory = 1', 1, /lower case/],
      ['memory 512', 1, /`=` or `\+=`/],
      ['memory = 512 vcpus = 1', 1, /end of the setting/],
      ['a = "\\q"', 1, /escape `\\q`/],
      ['a = 1\n}', 2, /unexpected `}`/],
      ['memory = -4', 1, /unexpected `-4`/],
      ['memory = 512M', 1, /unexpected `512M`/],
      [`a = ${'['.repeat(100)}`, 1, /too deeply/],
      ['a = 1\na += [2]', 2, /append a list to a string/],
    ];
    for (const [text, line, reason] of cases) {
      const thrown = error(text);
      expect([text, thrown.file, thrown.line]).toEqual([text, 'vm.cfg', line]);
      expect(thrown.message).toMatch(reason);
    }
  });
});

describe('machine configuration', () => {
  it('has the defaults of xl and maps hap and nestedhvm', () => {
    const config = read(`${KERNEL}type="pvh"`);
    expect(config).toMatchObject({ memoryMiB: 512, vcpus: 1, nestedVmx: false, ept: true, acpi: true, apic: true, hpet: true, tscHz: 1e9, l2Serial: null });
    expect(config.warnings).toEqual([]);
    expect(read(`${KERNEL}nestedhvm=1\nhap=0\nnestbox_tsc_mhz=500\nnestbox_l2_serial=1`)).toMatchObject({ nestedVmx: true, ept: false, tscHz: 5e8, l2Serial: 1, l2Wired: false });
    expect(read(`${KERNEL}nestbox_l2_serial=2\nnestbox_l2_console="wired"`)).toMatchObject({ l2Serial: 2, l2Wired: true });
    expect(read(`${KERNEL}memory="256"`).memoryMiB).toBe(256);
  });

  it('boots kernels with modules and command lines as xl composes them', () => {
    expect(read(`${KERNEL}ramdisk=["vmlinuz console=hvc0 x", "initrd"]\nroot="/dev/sda"\nextra="ro"`).boot).toEqual({
      kind: 'kernel', kernel: 'k', cmdline: 'root=/dev/sda ro', modules: [{ file: 'vmlinuz', args: 'console=hvc0 x' }, { file: 'initrd', args: '' }],
    });
    const both = read(`${KERNEL}cmdline="c"\nextra="e"`);
    expect([both.boot, both.warnings]).toEqual([
      { kind: 'kernel', kernel: 'k', cmdline: 'c', modules: [] }, [{ line: 3, key: 'extra', message: 'ignored in favour of cmdline' }]]);
    expect(read('kernel="builtin"').boot).toEqual({ kind: 'builtin' });
    expect(read('type="hvm"\nbios_path_override="rom.bin"').boot).toEqual({ kind: 'rom', image: 'rom.bin' });
  });

  it('refuses wrong values with line, key and reason', () => {
    const cases: [string, number, string, RegExp][] = [
      ['memory = "lots"', 2, 'memory', /not a number/],
      ['memory = 0', 2, 'memory', /outside/],
      ['memory = 99999999', 2, 'memory', /outside/],
      ['memory = 64\nmaxmem = 32', 3, 'maxmem', /less than memory/],
      ['memory = [1]', 2, 'memory', /list/],
      ['vcpus = 0', 2, 'vcpus', /outside/],
      ['name = 5', 2, 'name', /quoted string/],
      ['type = "xen"', 2, 'type', /not a type/],
      ['type = "pv"\nbuilder = "hvm"', 3, 'builder', /contradicts/],
      ['serial = ["pty",\n"nonsense"]', 3, 'serial', /nonsense/],
      ['serial = ["pty","pty","pty","pty","pty"]', 2, 'serial', /has 4/],
      ['ramdisk = ["a", ["b"]]', 2, 'ramdisk', /list inside/],
      ['on_crash = "explode"', 2, 'on_crash', /not one of/],
      ['tsc_mode = "fast"', 2, 'tsc_mode', /not one of/],
      ['disk = ["/a.img,zip,hda,rw"]', 2, 'disk', /`zip` is not a disk format/],
      ['vif = ["mac=zz"]', 2, 'vif', /MAC/],
      ['vga = "voodoo"', 2, 'vga', /not one of/],
      ['boot = "xyz"', 2, 'boot', /boot order/],
      ['nestbox_l2_console = "wired"', 2, 'nestbox_l2_console', /which port/],
      ['nestbox_l2_serial = 4', 2, 'nestbox_l2_serial', /outside/],
      ['bios_path_override = "x"', 2, 'bios_path_override', /cannot both/],
    ];
    for (const [text, line, key, reason] of cases) {
      const thrown = error(KERNEL + text);
      expect([thrown.line, thrown.key]).toEqual([line, key]);
      expect(thrown.reason).toMatch(reason);
      expect(thrown.message.startsWith(`vm.cfg:${line}: ${key}: `)).toBe(true);
    }
    expect(error('type = "pv"')).toMatchObject({ line: 1, key: 'type' });
    expect(error('memory = 1024')).toMatchObject({ line: 0, key: 'kernel' });
    expect(error('type = "hvm"').message).toMatch(/^vm\.cfg: kernel: missing/);
  });

  it('warns by line about unknown and unsupported keys', () => {
    const { warnings } = read(`${KERNEL}foo = 1\ndisk = ["/a.img,raw,hda,rw"]\nvif = [""]\nvnc = 0\nvga = "none"\nviridian = 1`);
    expect(warnings.map((warning) => [warning.line, warning.key]).sort((a, b) => Number(a[0]) - Number(b[0]))).toEqual([[2, 'foo'], [3, 'disk'], [4, 'vif'], [7, 'viridian']]);
    expect(warnings.find((warning) => warning.key === 'foo')?.message).toMatch(/unknown/);
  });

  it('checks disk and network specifications as xl does', () => {
    for (const good of ['/dev/vg/guest,raw,hda,rw', 'format=qcow2, vdev=xvda, access=rw, target=/a,b=c', '/x.iso,,hdc,cdrom', 'phy:/dev/a,xvda,w', ',raw,hdc,cdrom']) {
      expect([good, diskProblem(good)]).toEqual([good, null]);
    }
    for (const bad of ['/a,raw,qqq,rw', '/a,raw,hda,maybe', 'color=red,target=/a', 'file:/a,hdz', 'a,raw,hda,rw,b']) {
      expect([bad, diskProblem(bad)]).not.toEqual([bad, null]);
    }
    expect(nicProblem('model=e1000,mac=00:16:3e:00:00:01,bridge=br0')).toBeNull();
    expect(nicProblem('speed=9')).toMatch(/speed/);
  });
});

describe('cpuid', () => {
  const overrides = (value: string) => read(`${KERNEL}cpuid = ${value}`);

  it('takes bit strings, the first character being bit 31', () => {
    const bits = `0${'x'.repeat(25)}1${'x'.repeat(4)}k`;
    expect(bits.length).toBe(32);
    expect(overrides(`['0x1:ecx=${bits}']`).cpuid).toEqual([{ leaf: 1, subleaf: null, reg: 2, set: 0x20, clear: 0x80000000 }]);
    const two = overrides(`['7,0:ebx=${'0'.repeat(32)},edx=${'x'.repeat(32)}', '0x80000001:edx=${'x'.repeat(11)}0${'x'.repeat(20)}']`).cpuid;
    expect(two).toEqual([
      { leaf: 7, subleaf: 0, reg: 1, set: 0, clear: 0xffffffff }, { leaf: 0x80000001, subleaf: null, reg: 3, set: 0, clear: 1 << 20 }]);
    // A later string for the same register replaces the earlier one.
    expect(overrides(`['1:edx=${'0'.repeat(32)}', '1:edx=${'x'.repeat(32)}']`).cpuid).toEqual([]);
  });

  it('takes the named form', () => {
    expect(overrides('"host,nx=0,sse4_1=0,sse4.2=0,family=21,model=0x3c,stepping=2"').cpuid).toEqual([
      { leaf: 0x80000001, subleaf: null, reg: 3, set: 0, clear: 1 << 20 },
      { leaf: 1, subleaf: null, reg: 2, set: 0, clear: (1 << 19) | (1 << 20) },
      { leaf: 1, subleaf: null, reg: 0, set: (6 << 20) | (15 << 8) | (3 << 16) | (12 << 4) | 2, clear: 0x0ff00f00 + 0x000f00f0 + 15 - ((6 << 20) | (15 << 8) | (3 << 16) | (12 << 4) | 2) },
    ]);
    expect(overrides('"host,nx=0,nx=x"').cpuid).toEqual([]);
  });

  it('warns about bits that the CPU cannot show, and refuses bad syntax with its line', () => {
    expect(overrides('"host,avx512f=1"').warnings).toMatchObject([{ line: 2, key: 'cpuid', message: expect.stringMatching(/not implemented/) }]);
    expect(overrides('"host,hypervisor=1"').warnings).toEqual([]);
    const cases: [string, RegExp][] = [
      ['"nx=0"', /must start with `host`/], ['"host,nx"', /NAME=VALUE/], ['"host,warp=1"', /`warp`/], ['"host,nx=2"', /fit/], ['"host,nx=yes"', /yes/],
      ["['1:ecx=01x']", /32 characters, has 3/], ["['1:efx=0']", /efx/], ["['one:eax=0']", /`one`/], ["['1 eax']", /`:`/], [`['1:eax=${'2'.repeat(32)}']`, /`2`/],
    ];
    for (const [value, reason] of cases) {
      const thrown = error(`${KERNEL}cpuid = ${value}`);
      expect([thrown.line, thrown.key]).toEqual([2, 'cpuid']);
      expect(thrown.reason).toMatch(reason);
    }
    expect(error(`${KERNEL}cpuid = ["host,nx=0",\n"host,warp=0"]`).line).toBe(3);
  });

  it('maps pae and nx to their bits', () => {
    expect(read(`${KERNEL}pae=0\nnx=0`).cpuid.map((change) => change.clear)).toEqual([0x40, 0x100000]);
  });
});

describe('settings from a command line', () => {
  it('override and append', () => {
    const settings = parseXlConfig(`${KERNEL}extra = "a"\nhap = 1`, 'vm.cfg');
    for (const text of ['hap=0', 'extra+= b=1 c', 'name="quoted"', 'ramdisk=["m x"]', 'memory=0x80']) applySetting(settings, text, '--set');
    expect(interpretSettings(settings, 'vm.cfg')).toMatchObject({
      ept: false, name: 'quoted', memoryMiB: 128, boot: { cmdline: 'ab=1 c', modules: [{ file: 'm', args: 'x' }] } });
    expect(() => applySetting(settings, 'hap', '--set')).toThrow(/--set: `hap` is not KEY=VALUE/);
    expect(() => applySetting(settings, 'ramdisk=["m', '--set')).toThrow(/not closed/);
    applySetting(settings, 'memory=abc', '--set');
    expect(() => interpretSettings(settings, 'vm.cfg')).toThrow('--set: memory: `abc` is not a number');
  });
});

describe('docs/config.md', () => {
  it('describes every key', () => {
    const text = readFileSync('docs/config.md', 'utf8');
    expect([...KNOWN_KEYS].filter((key) => !text.includes(`\`${key}\``))).toEqual([]);
  });

  it('describes none that is not there, and each in one table row only', () => {
    const rows = readFileSync('docs/config.md', 'utf8').split('\n').filter((line) => line.startsWith('| `'));
    const keys = rows.flatMap((row) => [...row.split('|')[1].matchAll(/`([^`]+)`/g)].map(([, key]) => key));
    expect(keys.filter((key) => !KNOWN_KEYS.has(key))).toEqual([]);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('and the ranges it gives are those of the code', () => {
    for (const [key, low, high] of [
      ['memory', 2, MAX_MEMORY_MIB], ['vcpus', 1, MAX_VCPUS], ['nestbox_tsc_mhz', 1, 10_000], ['nestbox_seconds', 0, 86_400],
    ] as const) {
      expect(readFileSync('docs/config.md', 'utf8').split('\n').find((line) => line.startsWith(`| \`${key}\``))).toContain(`${low} to ${high}`);
      for (const good of [low, high]) expect(() => read(`${KERNEL}${key} = ${good}`)).not.toThrow();
      for (const bad of [low - 1, high + 1]) expect(error(`${KERNEL}${key} = "${bad}"`).message).toBe(`vm.cfg:2: ${key}: ${bad} is outside ${low} to ${high}`);
    }
    for (const key of ['nestbox_l2_serial', 'nestbox_l3_serial', 'nestbox_l2_monitor']) {
      expect(error(`${KERNEL}${key} = 4`).message).toBe(`vm.cfg:2: ${key}: 4 is outside 0 to 3`);
    }
  });

  it('and every demo is a valid configuration without warnings', () => {
    const demos = readdirSync('public/demos').filter((name) => name.endsWith('.cfg'));
    expect(demos.length).toBeGreaterThanOrEqual(9);
    for (const name of demos) {
      const config = readMachineConfig(readFileSync(`public/demos/${name}`, 'utf8'), name);
      expect([name, config.warnings, config.nestedVmx, config.ept, config.title !== '']).toEqual([name, [], true, true, true]);
      // A demo with a guest says how its console is reached.
      if (config.levels.length > 1) expect(config.l2Serial ?? config.l2Monitor).not.toBeNull();
    }
  });
});
