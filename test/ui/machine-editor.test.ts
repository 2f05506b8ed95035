/** The machine editor's parts without a browser: what a file is, what is wrong with a configuration, and where a file goes in it. */
import { describe, expect, it } from 'vitest';
import { buildBuiltin } from '../../src/guests/builtin';
import { highlightLine } from '../../src/ui/editor/languages';
import { checkConfig } from '../../src/ui/machine-editor/check';
import { sniff, sniffFile } from '../../src/ui/machine-editor/sniff';
import { withFile } from '../../src/ui/machine-editor/with-file';
import { readSettings } from '../../src/ui/settings';

/** Bytes with texts or values at places. */
function bytes(length: number, places: Record<number, string | number[]>): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(length);
  for (const [at, what] of Object.entries(places)) all.set(typeof what === 'string' ? [...what].map((c) => c.charCodeAt(0)) : what, Number(at));
  return all;
}

describe('sniff', () => {
  const kind = (file: Uint8Array<ArrayBuffer>): string => sniff(file, file.subarray(-16), file.length).kind;

  it('knows kernels', () => {
    const images = buildBuiltin();
    expect(images.ok && kind(Uint8Array.from(images.kernel))).toBe('a multiboot 1 image');
    expect(kind(bytes(4096, { 0: [0xd6, 0x50, 0x52, 0xe8] }))).toBe('a multiboot 2 image');
    expect(kind(bytes(4096, { 0x1fe: [0x55, 0xaa], 0x202: 'HdrS' }))).toContain('bzImage');
    expect(kind(bytes(4096, { 0: [0x7f, 0x45, 0x4c, 0x46, 2] }))).toContain('64-bit ELF');
    // A magic number alone is no header: the checksum counts.
    expect(kind(bytes(4096, { 0: [0x02, 0xb0, 0xad, 0x1b] }))).not.toContain('multiboot');
  });

  it('knows archives, firmware and disks', () => {
    expect(sniff(bytes(512, { 0: '070701' }), new Uint8Array(16), 512)).toMatchObject({ roles: ['ramdisk'] });
    expect(kind(bytes(512, { 0: [0x1f, 0x8b] }))).toContain('gzip');
    const rom = bytes(65536, { 65520: [0xea, 0x5b, 0xe0, 0, 0xf0] });
    expect(sniff(rom, rom.subarray(-16), rom.length)).toEqual({ kind: 'a firmware ROM', roles: ['rom'] });
    expect(kind(bytes(0x9000, { 0x8001: 'CD001' }))).toContain('ISO 9660');
    expect(kind(bytes(1024, { 510: [0x55, 0xaa] }))).toContain('disk');
    expect(kind(bytes(100, {}))).toContain('unknown');
  });

  it('looks at the start and the end of a file only', async () => {
    expect((await sniffFile(new Blob([bytes(1 << 20, { 0xffff0: [0xea] })]))).roles).toEqual(['rom']);
  });
});

describe('checkConfig', () => {
  const known = { images: new Map([['images/k', 1]]), local: new Map([['local:mine', 1]]) };
  const problems = (text: string): string[] => checkConfig(text, 'm.cfg', known).problems.map(({ line, severity, message }) => `${line} ${severity} ${message}`);

  it('finds what is wrong before the start, by line', () => {
    expect(problems('kernel = "images/k"\n')).toEqual([]);
    expect(problems('kernel = "images/k"\nmemory = 1\n')).toEqual([expect.stringMatching(/^2 error memory: 1 is outside/)]);
    expect(problems('kernel = "images/k"\nmemory = = 5\n')).toEqual([expect.stringMatching(/^2 error expected/)]);
    expect(problems('kernel = "images/k"\nramdisk = ["images/gone a=b",\n "local:mine x"]\n')).toEqual(['2 error images/gone is not in the gallery of this server']);
    expect(problems('kernel = "local:other"\n')).toEqual([expect.stringMatching(/^1 error other was a file on the computer/)]);
    expect(problems('kernel = "https://h/k"\nwings = 2\n')).toEqual(['2 warning wings: unknown key, has no effect']);
    expect(problems('type = "hvm"\n')[0]).toMatch(/^1 error kernel/);
  });
});

describe('withFile', () => {
  it('puts a file where it belongs', () => {
    expect(withFile('bios_path_override = "rom"\n', 'kernel', 'local:k')).toBe('kernel = "local:k"\n');
    expect(withFile('kernel = "k"\nextra = "x"\n', 'rom', 'local:r')).toBe('bios_path_override = "local:r"\n');
    expect(withFile('kernel = "k"\n', 'ramdisk', 'local:i')).toContain('ramdisk = "local:i"');
    expect(withFile('ramdisk = "a b"\n', 'ramdisk', 'local:my file')).toBe('ramdisk = ["a b", "\\"local:my file\\""]\n');
  });
});

describe('highlightLine', () => {
  const kinds = (text: string, language: 'nasm' | 'xl'): string[] => highlightLine(text, language).map(({ from, to, kind }) => `${text.slice(from, to)}:${kind}`);
  it('tells words apart', () => {
    expect(kinds("start:  mov eax, [rbx + 0x10] ; 'x", 'nasm')).toEqual(['start::label', 'mov:instruction', 'eax:register', 'rbx:register', '0x10:number', "; 'x:comment"]);
    expect(kinds("        rep movsb", 'nasm')).toEqual(['rep:instruction', 'movsb:instruction']);
    expect(kinds('%define A "b;c"', 'nasm')).toEqual(['%define:keyword', '"b;c":string']);
    expect(kinds('COM1    equ 0x3f8', 'nasm')).toEqual(['COM1:label', 'equ:keyword', '0x3f8:number']);
    expect(kinds('memory = 64 # "MiB"', 'xl')).toEqual(['memory:keyword', '64:number', '# "MiB":comment']);
  });
});

describe('readSettings', () => {
  it('takes what fits and forgets the rest', () => {
    expect(readSettings(null)).toMatchObject({ theme: 'system', fontSize: 13, splits: {} });
    expect(readSettings('{broken')).toEqual(readSettings(null));
    expect(readSettings('{"theme":"dark","fontSize":99,"splits":{"a":0.5,"b":"x"},"times":[1],"lastDemo":5,"dismissed":["a",1]}'))
      .toMatchObject({ theme: 'dark', fontSize: 24, splits: { a: 0.5 }, times: {}, lastDemo: null, dismissed: ['a'] });
  });
});
