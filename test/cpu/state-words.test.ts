/** Every state word is either the guest's or the engine's: what the comparison of engines looks at is decided for each. */
import '../support/bare-cpu';
import { describe, expect, it } from 'vitest';
import { Session } from '../../src/machine/session';
import { interpretSettings, parseXlConfig } from '../../src/machine/config';
import { ARCHITECTURAL_WORDS, BOOKKEEPING_WORDS, R, STATE_BYTES } from '../../src/cpu/state';
import type { WordRun } from '../../src/cpu/state';
import { hashMemory, hashProcessors, processorValues } from '../../src/observe/state-digest';
import { ARCHITECTURAL_VMX_WORDS, BOOKKEEPING_VMX_WORDS } from '../../src/vmx/state';
import { getFlags } from '../../src/cpu/flags';
import { mem32 } from '../../src/cpu/mmu/memory';

/** Names of the runs that claim each word. */
function owners(): string[][] {
  const lists: (readonly WordRun[])[] = [ARCHITECTURAL_WORDS, BOOKKEEPING_WORDS, ARCHITECTURAL_VMX_WORDS, BOOKKEEPING_VMX_WORDS];
  const found: string[][] = Array.from({ length: STATE_BYTES / 4 }, () => []);
  for (const { name, at, words, count } of lists.flat()) for (let w = at; w < at + words * count; w++) found[w].push(name);
  return found;
}

async function demo(): Promise<Session> {
  const config = interpretSettings(parseXlConfig('kernel = "builtin"\nmemory = 64\nnestedhvm = 1\nhap = 1\n', 'test'), 'test');
  const session = new Session(config, () => Promise.reject(new Error('no files')), {
    serial: () => undefined, observed: () => undefined, debugText: () => undefined, log: () => undefined,
  });
  await session.boot();
  return session;
}

describe('state words', () => {
  it('belong to one list each', () => {
    expect(owners().filter((names) => names.length > 1)).toEqual([]);
  });

  it('are all in a list, as far as a hypervisor and its guest use any', async () => {
    const session = await demo();
    session.run(3_000_000);
    const forgotten = owners().flatMap((names, word) => (names.length === 0 && R[word] !== 0 ? [word] : []));
    expect(forgotten).toEqual([]);
  });
});

describe('the digest', () => {
  it('sees registers, flags however they are kept, the VMCS and memory, and changes nothing', async () => {
    const session = await demo();
    session.run(1_000_000);
    const state = R.slice(), hash = hashProcessors();
    expect(hashProcessors()).toBe(hash);
    const values = new Map(processorValues());
    expect(values.get('rflags')).toBe((getFlags() >>> 0).toString(16).padStart(8, '0'));
    expect([...values.keys()].some((name) => name.startsWith('vmcs guest'))).toBe(true);
    expect(R).toEqual(state);
    for (const { at, words, count } of ARCHITECTURAL_WORDS) {
      for (const word of [at, at + words * count - 1]) {
        R[word] ^= 0x80000000;
        expect(hashProcessors(), `word ${word}`).not.toBe(hash);
        R[word] = state[word];
      }
    }
    expect(hashProcessors()).toBe(hash);
  });

  it('of memory sees changes of high bits, even two of them', async () => {
    await demo();
    const before = hashMemory(0, 64);
    mem32[100] ^= 0x80000000;
    expect(hashMemory(0, 64)).not.toBe(before);
    mem32[104] ^= 0x80000000;
    expect(hashMemory(0, 64)).not.toBe(before);
    mem32[100] ^= 0x80000000;
    mem32[104] ^= 0x80000000;
    expect(hashMemory(0, 64)).toBe(before);
  });
});
