/** The built-in demo in a session of its own, for tests of the observers. One machine per realm: a new one ends the one before. */
import { readFileSync } from 'node:fs';
import { readMachineConfig } from '../../src/machine/config';
import { Session } from '../../src/machine/session';

export async function bootBuiltin(extra = ''): Promise<Session> {
  const config = readMachineConfig(`${readFileSync('public/demos/builtin.cfg', 'utf8')}\n${extra}`, 'builtin.cfg');
  const nothing = (): void => undefined;
  const session = new Session(config, () => Promise.reject(new Error('no images')), { serial: nothing, observed: nothing, debugText: nothing, log: nothing });
  await session.boot();
  return session;
}

/** Everything that two equal runs have in common. */
export interface Fingerprint {
  instructions: number;
  l1Instructions: number;
  exits: Record<string, number>;
  consoles: unknown;
  guestSeconds: number;
}

export function fingerprint(session: Session): Fingerprint {
  const { instructions, exits, consoles, guestSeconds } = session.stats();
  return { instructions: instructions.total, l1Instructions: instructions.l1, exits, consoles, guestSeconds };
}
