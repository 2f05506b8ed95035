import { describe, expect, it } from 'vitest';
import { CpioWriter } from '../../scripts/images/cpio.mjs';

interface Entry {
  name: string;
  mode: number;
  inode: number;
  device: string;
  content: string;
}

/** Reads an archive by the letter of the format: 13 hexadecimal fields, name and content padded to 4 bytes. */
function read(archive: Buffer): Entry[] {
  const entries: Entry[] = [];
  let at = 0;
  for (;;) {
    expect(archive.toString('latin1', at, at + 6)).toBe('070701');
    const field = (index: number) => parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16);
    const nameSize = field(11);
    const name = archive.toString('latin1', at + 110, at + 110 + nameSize - 1);
    expect(archive[at + 110 + nameSize - 1]).toBe(0);
    const start = (at + 110 + nameSize + 3) & ~3;
    const size = field(6);
    if (name === 'TRAILER!!!') return entries;
    expect(field(5), 'time').toBe(0);
    expect([field(2), field(3)], 'owner').toEqual([0, 0]);
    entries.push({ name, mode: field(1), inode: field(0), device: `${field(9)},${field(10)}`, content: archive.toString('latin1', start, start + size) });
    at = (start + size + 3) & ~3;
  }
}

describe('CpioWriter', () => {
  it('writes files, links, devices and the directories above them', () => {
    const archive = new CpioWriter();
    archive.file('bin/busybox', 'program', 0o755);
    archive.symlink('bin/sh', 'busybox');
    archive.characterDevice('dev/console', 5, 1);
    archive.directory('a/b/c');
    const entries = read(archive.finish());
    expect(entries.map(({ name, mode }) => [name, mode.toString(8)])).toEqual([
      ['bin', '40755'],
      ['bin/busybox', '100755'],
      ['bin/sh', '120777'],
      ['dev', '40755'],
      ['dev/console', '20600'],
      ['a', '40755'],
      ['a/b', '40755'],
      ['a/b/c', '40755'],
    ]);
    expect(entries[1]?.content).toBe('program');
    expect(entries[2]?.content).toBe('busybox');
    expect(entries[4]?.device).toBe('5,1');
    expect(new Set(entries.map(({ inode }) => inode)).size).toBe(entries.length);
  });

  it('keeps contents of every length apart', () => {
    const contents = Array.from({ length: 9 }, (_, length) => 'x'.repeat(length));
    const archive = new CpioWriter();
    contents.forEach((content, i) => archive.file(`${'f'.repeat(i + 1)}`, content));
    const bytes = archive.finish();
    expect(bytes.length % 512).toBe(0);
    expect(read(bytes).map(({ content }) => content)).toEqual(contents);
  });

  it('gives the same bytes for the same entries', () => {
    const build = () => {
      const archive = new CpioWriter();
      archive.directory('proc');
      archive.file('init', '#!/bin/sh\n', 0o755);
      return archive.finish();
    };
    expect(build().equals(build())).toBe(true);
  });

  it('refuses a path twice and absolute paths', () => {
    const archive = new CpioWriter();
    archive.file('init', '');
    expect(() => archive.file('init', '')).toThrow('twice');
    expect(() => archive.file('/init', '')).toThrow('relative');
  });
});
