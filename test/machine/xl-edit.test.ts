/** Editing configurations: round trips of text, form and difference. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyChanges, changesBetween, parseXlConfig, plainValue, valueText, writeSetting } from '../../src/machine/config';
import type { PlainValue } from '../../src/machine/config';

const FOLDER = 'public/demos';
const DEMOS = readdirSync(FOLDER).filter((name) => name.endsWith('.cfg')).map((name) => readFileSync(join(FOLDER, name), 'utf8'));

/** What a text means, key by key. */
function meaning(text: string): Record<string, PlainValue> {
  return Object.fromEntries([...parseXlConfig(text, 't')].map(([key, { value }]) => [key, plainValue(value)]));
}

const anyKey = fc.constantFrom('memory', 'vcpus', 'kernel', 'ramdisk', 'extra', 'serial', 'name', 'cpuid', 'hap');
const anyValue: fc.Arbitrary<PlainValue> = fc.oneof(
  // Bytes: a configuration has no wider escapes than \xNN, and plain text otherwise.
  fc.string({ unit: fc.integer({ min: 1, max: 0x17f }).map((code) => String.fromCharCode(code)) }).filter((text) => !/[\u0080-\u009f]/.test(text)),
  fc.nat().map((n) => ({ number: String(n) })),
  fc.array(fc.string({ unit: 'grapheme-ascii' }), { maxLength: 4 }),
);

describe('writeSetting', () => {
  it('changes one value and leaves the rest of the text alone', () => {
    const text = '# A machine\nmemory = 64 # MiB\nname = "a"; vcpus = 1\nserial = [ "pty",\n  "pty" ]\n';
    expect(writeSetting(text, 'memory', { number: '128' })).toBe(text.replace('64', '128'));
    expect(writeSetting(text, 'vcpus', { number: '2' })).toBe(text.replace('vcpus = 1', 'vcpus = 2'));
    expect(writeSetting(text, 'serial', ['stdio'])).toBe(text.replace(/serial = [^]*\]/, 'serial = ["stdio"]'));
    expect(writeSetting(text, 'extra', 'a "b" \\')).toBe(`${text}extra = "a \\"b\\" \\\\"\n`);
    expect(writeSetting(text, 'memory', null)).toBe(text.replace('memory = 64 # MiB\n', ''));
    expect(writeSetting(text, 'name', null)).toBe(text.replace('name = "a";', ''));
    expect(writeSetting('memory = 64', 'hap', { number: '0' })).toBe('memory = 64\nhap = 0\n');
    expect(writeSetting('extra = "a"\nextra += " b"\nmemory=5\n', 'extra', 'c')).toBe('extra = "c"\nmemory=5\n');
    expect(writeSetting('extra += "a"\n', 'extra', 'c')).toBe('extra = "c"\n');
  });

  it('means what was written, for any value, in every demo', () => {
    fc.assert(fc.property(fc.constantFrom(...DEMOS), anyKey, anyValue, (text, key, value) => {
      const before = meaning(text);
      const after = writeSetting(text, key, value);
      expect(meaning(after)).toEqual({ ...before, [key]: value });
      delete before[key];
      expect(meaning(writeSetting(after, key, null))).toEqual(before);
    }));
  });
});

describe('differences', () => {
  it('are nothing for a text that means the same', () => {
    for (const text of DEMOS) expect(changesBetween(text, `# other words\n${text.replaceAll(' = ', '=')}`)).toBe('');
  });

  it('make one configuration of another, any of any', () => {
    for (const before of DEMOS) {
      for (const after of DEMOS) expect(meaning(applyChanges(before, changesBetween(before, after)))).toEqual(meaning(after));
    }
    fc.assert(fc.property(fc.constantFrom(...DEMOS), fc.array(fc.tuple(anyKey, fc.option(anyValue)), { maxLength: 5 }), (before, edits) => {
      const after = edits.reduce((text, [key, value]) => writeSetting(text, key, value), before);
      expect(meaning(applyChanges(before, changesBetween(before, after)))).toEqual(meaning(after));
    }));
  });

  it('are short, and refused if they are none', () => {
    const [text] = DEMOS;
    expect(changesBetween(text, text.replace('memory = 64', 'memory = 32').replace('hap = 1\n', ''))).toBe('-hap\nmemory = 32');
    expect(() => applyChanges(text, 'memory 5')).toThrow(/changes:1/);
    expect(() => applyChanges(text, 'a = 1; b = 2')).toThrow(/is not KEY = VALUE/);
  });
});

it('values are written as they are read', () => {
  expect(valueText(['a', { number: '0x10' }, ['b']])).toBe('["a", 0x10, ["b"]]');
});
