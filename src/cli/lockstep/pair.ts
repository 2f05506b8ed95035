/** Two machines with the same configuration in two realms, one with each engine. */
import type { MachineConfig } from '../../machine/config';
import { ENGINES } from './protocol';
import type { Boundary, Details, PageRange, Step } from './protocol';
import { RealmThread } from './realm-thread';

/** Where realms come from. */
export interface RealmSource {
  /** Module that serves a realm when it is started as a thread. */
  program: string;
  config: MachineConfig;
  configPath: string | null;
}

export const NO_PAGES: PageRange = { first: 0, pages: 0 };

export class Pair {
  readonly realms: readonly [RealmThread, RealmThread];
  ramPages = 0;

  private constructor(source: RealmSource) {
    const { program, config, configPath } = source;
    const start = (engine: (typeof ENGINES)[number]): RealmThread => new RealmThread(program, { engine, config, configPath });
    this.realms = [start(ENGINES[0]), start(ENGINES[1])];
  }

  /** Starts both and lets them load what they boot. */
  static async boot(source: RealmSource): Promise<Pair> {
    const pair = new Pair(source);
    try {
      const [{ ramPages }] = await pair.both((realm) => realm.call('boot', {}));
      pair.ramPages = ramPages;
    } catch (error) {
      await pair.end();
      throw error;
    }
    return pair;
  }

  get allPages(): PageRange {
    return { first: 0, pages: this.ramPages };
  }

  run(step: Step, memory: PageRange): Promise<[Boundary, Boundary]> {
    return this.both((realm) => realm.call('run', { step, memory }));
  }

  async replay(steps: Step[]): Promise<void> {
    await this.both((realm) => realm.call('replay', { steps }));
  }

  details(): Promise<[Details, Details]> {
    return this.both((realm) => realm.call('details', {}));
  }

  async end(): Promise<void> {
    await this.both((realm) => realm.end());
  }

  both<T>(action: (realm: RealmThread) => Promise<T>): Promise<[T, T]> {
    return Promise.all([action(this.realms[0]), action(this.realms[1])]);
  }
}

/** What two boundaries that should be equal disagree about: names with both values. Hashes are only named. */
export function compareBoundaries(a: Boundary, b: Boundary): Disagreement[] {
  const found: Disagreement[] = [];
  const compare = (name: string, left: string, right: string): void => {
    if (left !== right) found.push({ name, values: [left, right] });
  };
  compare('engine', a.error === '' ? 'went on' : a.error, b.error === '' ? 'went on' : b.error);
  compare('clock', String(a.clock), String(b.clock));
  compare('instructions', String(a.instructions), String(b.instructions));
  compare('outcome', a.outcome, b.outcome);
  compare('waiting', String(a.waiting), String(b.waiting));
  compare('output', outputText(a.output), outputText(b.output));
  compare('messages', a.log.join('\n'), b.log.join('\n'));
  for (const name of ['processors', 'devices', 'memory'] as const) compare(name, String(a[name]), String(b[name]));
  return found;
}

export interface Disagreement {
  name: string;
  values: [interpreter: string, jit: string];
}

/** Output as channel:bytes, readable as far as it is text. */
function outputText(output: readonly number[]): string {
  return output.map((item, n) => `${n === 0 || item >> 8 !== output[n - 1] >> 8 ? `[${item >> 8}]` : ''}${JSON.stringify(String.fromCharCode(item & 255)).slice(1, -1)}`).join('');
}
