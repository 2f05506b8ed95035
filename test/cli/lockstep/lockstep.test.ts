/** `--engine both` finds what one of its machines does wrong: the built-in demo with damage done to the JIT's machine on purpose. */
import '../../support/bare-cpu';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bisect } from '../../../src/cli/lockstep/narrow';
import { blockStart, suspect } from '../../../src/cli/lockstep/report';
import type { TracedInstruction } from '../../../src/cli/lockstep/protocol';
import { Lockstep } from '../../../src/cli/lockstep/run-both';
import { nextInstruction } from '../../../src/cli/trace';
import { R15Q } from '../../../src/cpu/state';
import { interpretSettings, parseXlConfig } from '../../../src/machine/config';
import { Session } from '../../../src/machine/session';
import { readConfigFile } from '../../../src/cli/files';
import type { Damage } from '../../lockstep/damaged-realm';

const folder = mkdtempSync(join(tmpdir(), 'nestbox-lockstep-'));
const program = join(folder, 'damaged.mjs');
const { path, text } = readConfigFile('builtin');
const config = interpretSettings(parseXlConfig(text, path), path);
const STEP = 16, END = 5000;

beforeAll(async () => {
  const bundle = await rolldown({ input: 'test/lockstep/damaged-realm.ts', platform: 'node', external: [/^node:/] });
  await bundle.write({ file: program, format: 'esm', codeSplitting: false });
  await bundle.close();
}, 60_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the demo with damage; the report, or null if no difference was found. */
async function reportOn(damage: Damage): Promise<string | null> {
  process.env.DAMAGE = JSON.stringify(damage);
  const lockstep = await Lockstep.boot({ program, config, configPath: path }, () => undefined);
  try {
    while (lockstep.steps.length * STEP < END) if (await lockstep.step({ inputs: [], cycles: STEP }) === null) return await lockstep.explain();
    return await lockstep.step({ inputs: [], cycles: 0 }, true) === null ? await lockstep.explain() : null;
  } finally {
    await lockstep.end();
  }
}

/** The line of a trace for instruction number `count`. */
async function instruction(count: number): Promise<string> {
  const session = new Session(config, () => Promise.reject(new Error('no files')), { serial: () => undefined, observed: () => undefined, debugText: () => undefined, log: () => undefined });
  await session.boot();
  session.run(count - 1);
  return nextInstruction().line;
}

describe('a run with both engines', () => {
  it('finds no difference where there is none', async () => {
    expect(await reportOn({ at: Infinity, what: 'throw' })).toBeNull();
  }, 60_000);

  it('names the instruction after which a register differs, and the values', async () => {
    const report = await reportOn({ at: 3001, what: { state: R15Q } }) ?? '';
    expect(report).toContain('the engines differ after 3001 instructions');
    const lines = report.split('\n');
    expect(lines.find((line) => line.startsWith('  r15 '))).toMatch(/interpreter [0-9a-f]{16} {2}jit [0-9a-f]{16}$/);
    const trace = lines.filter((line) => / L[12] /.test(line));
    expect(trace.at(-1)?.slice(2)).toBe(await instruction(3001));
    expect(trace.length).toBeGreaterThan(20);
  }, 120_000);

  it('goes back to where a word of memory was changed that is compared much later', async () => {
    const word = 0x1f00000 / 4;
    const report = await reportOn({ at: 1234, what: { ram: word } }) ?? '';
    expect(report).toContain('the engines differ after 1234 instructions');
    expect(report).toContain('ram 01f00000');
  }, 120_000);

  it('reports an engine that breaks down', async () => {
    const report = await reportOn({ at: 777, what: 'throw' }) ?? '';
    expect(report).toContain('the engines differ after 777 instructions');
    expect(report).toContain('a made-up failure');
  }, 120_000);
});

describe('narrowing', () => {
  it('finds the first difference by halves', async () => {
    for (const first of [1, 2, 63, 64, 99, 100]) {
      let probes = 0;
      expect(await bisect(0, 100, (n) => {
        probes++;
        return n >= first;
      })).toBe(first);
      expect(probes).toBeLessThanOrEqual(7);
    }
  });

  it('takes what was executed in sequence for the block, and the last that changed what differs for the suspect', () => {
    const at = (rip: number, changed: string[] = []): TracedInstruction => ({ rip: BigInt(rip), length: 2, hostPhysical: rip, line: '', changed });
    const trace = [at(0, ['rax']), at(2), at(10), at(12, ['rax', 'rip']), at(14, ['rip'])];
    expect(blockStart(trace)).toBe(2);
    expect(suspect(trace)).toBe(3);
    expect(suspect([at(0, ['rax']), at(20)])).toBe(-1);
  });
});
