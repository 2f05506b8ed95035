/** A realm whose JIT machine is damaged at a certain instruction: what `--engine both` has to find. DAMAGE: a Damage as JSON. */
import '../support/bare-cpu';
import { parentPort, workerData } from 'node:worker_threads';
import { Realm, serveRealm } from '../../src/cli/lockstep/realm';
import type { RealmData } from '../../src/cli/lockstep/protocol';
import { mem32 } from '../../src/cpu/mmu/memory';
import { R } from '../../src/cpu/state';

export interface Damage {
  /** Instructions executed when it happens. */
  at: number;
  /** A state word or a word of RAM whose lowest bit changes, or an engine that gives up. */
  what: { state: number } | { ram: number } | 'throw';
}

const damage = JSON.parse(process.env.DAMAGE ?? '') as Damage;

function apply(): void {
  if (damage.what === 'throw') throw new Error('a made-up failure');
  if ('state' in damage.what) R[damage.what.state] ^= 1;
  else mem32[damage.what.ram] ^= 1;
}

const data = workerData as RealmData;
if (parentPort !== null) {
  serveRealm(parentPort, new Realm(data, (session, cycles) => {
    const before = damage.at - session.instructions;
    if (data.engine === 'jit' && before > 0 && before <= cycles) {
      session.run(before);
      apply();
      if (cycles > before) session.run(cycles - before);
    } else session.run(cycles);
  }));
}
