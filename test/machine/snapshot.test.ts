/** Going back in a machine: the same happens again, in the hypervisor and in its guest. */
import '../support/bare-cpu';
import { describe, expect, it } from 'vitest';
import { ramPages } from '../../src/cpu/mmu/memory';
import { interpretSettings, parseXlConfig } from '../../src/machine/config';
import { Session } from '../../src/machine/session';
import { hashMemory, hashProcessors } from '../../src/observe/state-digest';

async function demo(): Promise<Session> {
  const config = interpretSettings(parseXlConfig('kernel = "builtin"\nmemory = 64\nnestedhvm = 1\nhap = 1\n', 'test'), 'test');
  const session = new Session(config, () => Promise.reject(new Error('no files')), {
    serial: () => undefined, observed: () => undefined, debugText: () => undefined, log: () => undefined,
  });
  await session.boot();
  return session;
}

function state(session: Session): unknown[] {
  const { clock, ...devices } = session.deviceState();
  return [session.instructions, clock.length, session.outcome, session.waiting, hashProcessors(), hashMemory(0, ramPages), JSON.stringify(devices)];
}

describe('a snapshot', () => {
  it('leads to the same future from anywhere in the demo', async () => {
    const session = await demo();
    for (let n = 0; n < 30; n++) {
      const snapshot = session.snapshot();
      session.run(2237);
      const after = state(session);
      session.rewind(snapshot);
      session.run(400);
      session.run(1837);
      expect(state(session), `part ${n}`).toEqual(after);
    }
    expect(session.stats().instructions.l2).toBeGreaterThan(500);
  }, 120_000);
});
