/** Every lesson of the playground: assembled as NASM does it, run on a whole machine, both consoles compared. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import '../support/bare-cpu';
import { buildBuiltin, INCLUDES } from '../../src/guests/builtin';
import { LESSONS } from '../../src/guests/lessons';
import { readMachineConfig } from '../../src/machine/config';
import { Session } from '../../src/machine/session';

const CONFIG = 'kernel = "builtin"\nmemory = 64\nnestedhvm = 1\ntype = "hvm"\n';

/** What each lesson writes to L1's console, and its guest as L0 observes it. */
const EXPECTED: Record<string, { l1: string; l2: string }> = {
  'enter-vmx': {
    l1: `CPUID shows VMX
IA32_FEATURE_CONTROL = 5h
VMX revision = REVISION
VMXON: this is VMX root operation
a second VMXON fails: CF = 1
VMXOFF: an ordinary computer again
`,
    l2: '',
  },
  'first-exit': {
    l1: `VM exit, reason Ah
  at guest RIP 10002h
  length of the instruction 2h
  the guest asked for leaf 0h
VM exit, reason Ch
the guest has halted
`,
    l2: 'L2: my processor says it is made by NestboxLab! \n',
  },
  'ept-violation': {
    l1: `EPT violation, qualification 582h
  guest-physical 600000h
  guest-linear 600000h
  mapped by EPT entry A000B7h
VM exit, reason Ch
`,
    l2: 'L2: I wrote Z to 600000h and read back Z\n',
  },
  'msr-bitmap': {
    l1: 'the guest reads MSR 1Bh\nVM exit, reason Ch\n',
    l2: 'L2: low half of IA32_PAT = 00070406\nL2: low half of IA32_APIC_BASE = 00C0FFEE\n',
  },
  'inject-interrupt': {
    l1: `${'the guest waits: inject vector 30h\n'.repeat(3)}the guest waits; no more ticks\n`,
    l2: 'L2: interrupt number 1\nL2: interrupt number 2\nL2: interrupt number 3\n',
  },
  'real-mode': {
    l1: 'the guest starts in real mode at 0000:7C00\nVM exit, reason Ch\n  at guest IP 7C0Fh\n  guest CR0 = 30h\n',
    l2: 'L2: real mode, and INT 21h works\n',
  },
};

function nasm(source: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'nasm-'));
  for (const [name, text] of Object.entries(INCLUDES)) writeFileSync(join(directory, name), text);
  const input = join(directory, 'in.asm'), output = join(directory, 'out');
  writeFileSync(input, source);
  const { status, stderr } = spawnSync('nasm', ['-f', 'bin', '-w-all', '-I', `${directory}/`, '-o', output, input], { encoding: 'utf8' });
  return status === 0 ? readFileSync(output).toString('hex') : `error: ${stderr}`;
}

describe.each(LESSONS.map((lesson) => [lesson.title, lesson] as const))('%s', (_title, lesson) => {
  it('is assembled as NASM does it', () => {
    const images = buildBuiltin(lesson);
    if (!images.ok) throw new Error(JSON.stringify(images.errors));
    expect(Buffer.from(images.kernel).toString('hex')).toBe(nasm(lesson.l1));
    expect(Buffer.from(images.module).toString('hex')).toBe(nasm(lesson.l2));
  });

  it('does what it says', async () => {
    const consoles = { l1: '', l2: '' };
    const log: string[] = [];
    const session = new Session(readMachineConfig(CONFIG, 'lesson.cfg'), () => Promise.reject(new Error('no files')), {
      serial: (port, byte) => {
        if (port === 0) consoles.l1 += String.fromCharCode(byte);
      },
      observed: (_console, byte) => {
        consoles.l2 += String.fromCharCode(byte);
      },
      debugText: () => undefined,
      log: (text) => log.push(text),
    }, lesson);
    await session.boot();
    for (let n = 0; n < 100 && session.outcome === 'running'; n++) session.run(100_000);
    const text = (raw: string): string => raw.replaceAll('\r', '');
    const wanted = EXPECTED[lesson.id];
    expect(text(consoles.l1).replace(/revision = [0-9A-F]+h/, 'revision = REVISION')).toBe(`${wanted.l1}-- end --\n`);
    expect(text(consoles.l2)).toBe(wanted.l2);
    expect(session.outcome).toBe('halted');
    expect(log).toEqual([]);
  });
});

it('are six, each with a text', () => {
  expect(LESSONS.map((lesson) => lesson.id)).toEqual(Object.keys(EXPECTED));
  for (const lesson of LESSONS) expect(lesson.text.join('').length).toBeGreaterThan(200);
});
