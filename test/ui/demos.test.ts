import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { defaultDemo, isAvailable, makeDemo } from '../../src/ui/demos';

const FOLDER = 'public/demos/';
const demos = readdirSync(FOLDER).map((file) => makeDemo(file.replace('.cfg', ''), readFileSync(FOLDER + file, 'utf8')));

describe('demos', () => {
  it('have titles and descriptions for the gallery', () => {
    for (const demo of demos) {
      expect(demo.title).not.toBe(demo.name);
      expect(demo.description.length).toBeGreaterThan(20);
    }
  });

  it('start by default with Linux where its images exist, else with the built-in one', () => {
    expect(defaultDemo(demos, new Set()).name).toBe('builtin');
    const kvm = demos.find((demo) => demo.name === 'kvm-amd64');
    expect(kvm?.files.length).toBeGreaterThan(1);
    expect(defaultDemo(demos, new Set(kvm?.files.slice(1))).name).toBe('builtin');
    expect(defaultDemo(demos, new Set(kvm?.files)).name).toBe('kvm-amd64');
    expect(defaultDemo(demos, new Set(kvm?.files), 'builtin').name).toBe('builtin');
    expect(defaultDemo(demos, new Set(), 'kvm-amd64').name).toBe('builtin');
    expect(isAvailable(makeDemo('x', 'kernel = "builtin"'), new Set())).toBe(true);
  });

  it('keep a place in the gallery with what is wrong with their configuration', () => {
    expect(makeDemo('bad', 'memory = 5 5')).toMatchObject({ name: 'bad', title: 'bad', description: expect.stringContaining('bad.cfg:1') });
  });
});
