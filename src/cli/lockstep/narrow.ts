/**
 * From "they differ at this boundary" to the instruction. Both machines do the same again, from power-on, up to the last boundary at which they
 * were equal; the step after it is then cut shorter and shorter by halves, from a snapshot or, where that does not show the difference again, from
 * power-on each time. A step ends at its exact cycle in either engine, and compiled code up to there
 * is the same as in the whole step, so that the first cycle after which the machines differ is the end of the first wrong block of compiled code,
 * or the wrong instruction itself.
 */
import { Pair, NO_PAGES, compareBoundaries } from './pair';
import type { Disagreement, RealmSource } from './pair';
import { ENGINES, ramWordName } from './protocol';
import type { Boundary, Details, RamWord, Step, TracedInstruction } from './protocol';
import { RealmThread } from './realm-thread';

/** Instructions of the trace before the difference. */
const TRACED = 30;
/** Pages of RAM that are compared word by word, and words that are told. */
const PAGES_TOLD = 4, WORDS_TOLD = 16;
const PAGE_WORDS = 1024;

export interface Narrowed {
  /** Where the difference shows, in the interpreter's machine. */
  instructions: number;
  clock: number;
  /** Cycles from power-on after which they were still equal. */
  equalClock: number;
  disagreements: Disagreement[];
  /** What the interpreter executed last; with what of the differing things each instruction changed. */
  trace: TracedInstruction[];
}

/** Smallest n in (equal, different] for which `differs` holds, given that it does at `different` and not at `equal`. */
export async function bisect(equal: number, different: number, differs: (n: number) => Promise<boolean> | boolean): Promise<number> {
  let low = equal, high = different;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (await differs(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/** Runs a fresh pair through `steps` and hands it to `use`. */
async function afterSteps<T>(source: RealmSource, steps: Step[], use: (pair: Pair) => Promise<T>): Promise<T> {
  const pair = await Pair.boot(source);
  try {
    await pair.replay(steps);
    return await use(pair);
  } finally {
    await pair.end();
  }
}

interface FirstBoundary {
  /** Step after which they differ first. */
  index: number;
  /** Cycles of that step, and the clock before it. */
  cycles: number;
  clock: number;
}

/** The first step after which the machines differ, all of memory compared, among the last `suspects` of `steps`; null if there is none. */
async function firstDifferentStep(source: RealmSource, steps: Step[], suspects: number): Promise<FirstBoundary | null> {
  const from = Math.max(0, steps.length - suspects);
  return afterSteps(source, steps.slice(0, from), async (pair) => {
    let [{ clock }] = await pair.run({ inputs: [], cycles: 0 }, NO_PAGES);
    for (let index = from; index < steps.length; index++) {
      const [a, b] = await pair.run(steps[index], pair.allPages);
      if (isDifferent([a, b])) return { index, cycles: Math.min(steps[index].cycles, Math.max(1, a.clock - clock, b.clock - clock)), clock };
      clock = a.clock;
    }
    return null;
  });
}

/** The step that makes the difference, and what was done before it. */
interface Suspicion {
  before: Step[];
  inputs: Step['inputs'];
  cycles: number;
  clock: number;
}

/**
 * Narrows down a difference that was seen after the last of `steps`. `suspects`: steps that may have made it, counted from the end. Null if it does
 * not come back. `say` is told of progress.
 */
export async function narrow(source: RealmSource, steps: Step[], suspects: number, say: (text: string) => void): Promise<Narrowed | null> {
  say('running again to where they were equal');
  const first = await firstDifferentStep(source, steps, suspects);
  if (first === null) return null;
  const suspicion: Suspicion = { before: steps.slice(0, first.index), inputs: steps[first.index].inputs, cycles: first.cycles, clock: first.clock };
  say(`they differ first in the ${first.cycles} cycles from ${first.clock}; running to there once more`);
  return await bySnapshots(source, suspicion, say) ?? await byReplays(source, suspicion, say);
}

/** Tries shorter steps from a snapshot. Null if the difference does not show again that way, since the engine's own state is not in a snapshot. */
async function bySnapshots(source: RealmSource, { before, inputs, cycles, clock }: Suspicion, say: (text: string) => void): Promise<Narrowed | null> {
  return afterSteps(source, before, async (pair) => {
    await pair.both((realm) => realm.call('snapshot', {}));
    const differs = async (tried: number): Promise<boolean> => {
      await pair.both((realm) => realm.call('rewind', {}));
      return isDifferent(await pair.run({ inputs, cycles: tried }, pair.allPages));
    };
    // Once as it was, then as it has to be again after going back.
    if (!isDifferent(await pair.run({ inputs, cycles }, pair.allPages)) || !await differs(cycles)) return null;
    const found = await bisect(0, cycles, differs);
    say(`they differ after ${clock + found} cycles`);
    await pair.both((realm) => realm.call('rewind', {}));
    return describe(source, pair, { before, inputs, cycles: found, clock });
  });
}

/** Tries shorter steps, each from power-on. */
async function byReplays(source: RealmSource, { before, inputs, cycles, clock }: Suspicion, say: (text: string) => void): Promise<Narrowed> {
  const found = await bisect(0, cycles, (tried) => {
    say(`comparing after ${clock + tried} cycles`);
    return afterSteps(source, before, async (pair) => isDifferent(await pair.run({ inputs, cycles: tried }, pair.allPages)));
  });
  return afterSteps(source, before, (pair) => describe(source, pair, { before, inputs, cycles: found, clock }));
}

function isDifferent([a, b]: [Boundary, Boundary]): boolean {
  return compareBoundaries(a, b).length > 0;
}

/** Runs the last cycles, after which the machines differ, and says how. */
async function describe(source: RealmSource, pair: Pair, { before, inputs, cycles, clock }: Suspicion): Promise<Narrowed> {
  const [a, b] = await pair.run({ inputs, cycles }, pair.allPages);
  const coarse = compareBoundaries(a, b).filter(({ name }) => !['processors', 'devices', 'memory'].includes(name));
  const [left, right] = await pair.details();
  const { disagreements: ram, words } = await differentRam(pair, left, right);
  const named = [...differentValues('', left.values, right.values), ...differentValues('device ', left.devices, right.devices)];
  await pair.end();
  const trace = await interpreterTrace(source, before, inputs, cycles, named.map(({ name }) => name), words);
  return { instructions: a.instructions, clock: a.clock, equalClock: clock + cycles - 1, disagreements: [...coarse, ...named, ...ram], trace };
}

/** Values that differ, of two lists of the same things. */
export function differentValues(prefix: string, left: Details['values'], right: Details['values']): Disagreement[] {
  const others = new Map(right);
  return left.filter(([name, value]) => others.get(name) !== value).map(([name, value]) => ({ name: prefix + name, values: [value, others.get(name) ?? 'none'] }));
}

async function differentRam(pair: Pair, left: Details, right: Details): Promise<{ disagreements: Disagreement[]; words: RamWord[] }> {
  const pages = [...left.pageHashes.keys()].filter((page) => left.pageHashes[page] !== right.pageHashes[page]);
  const disagreements: Disagreement[] = [], words: RamWord[] = [];
  for (const page of pages.slice(0, PAGES_TOLD)) {
    const [a, b] = await pair.both((realm) => realm.call('page', { page }));
    for (let w = 0; w < PAGE_WORDS && words.length < WORDS_TOLD; w++) {
      if (a[w] === b[w]) continue;
      const word = page * PAGE_WORDS + w;
      words.push(word);
      disagreements.push({ name: ramWordName(word), values: [hex32(a[w]), hex32(b[w])] });
    }
  }
  if (pages.length > PAGES_TOLD) disagreements.push({ name: 'ram', values: [`${pages.length} pages differ`, ''] });
  return { disagreements, words };
}

function hex32(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0');
}

/** The last instructions of the interpreter's machine, single-stepped; from the step before too if this one is short. */
async function interpreterTrace(source: RealmSource, before: Step[], inputs: Step['inputs'], cycles: number, values: string[], words: RamWord[]): Promise<TracedInstruction[]> {
  const { program, config, configPath } = source;
  const realm = new RealmThread(program, { engine: ENGINES[0], config, configPath });
  const traced = Math.min(TRACED, cycles), previous = before.at(-1);
  try {
    await realm.call('boot', {});
    if (cycles >= TRACED || previous === undefined) {
      await realm.call('replay', { steps: [...before, { inputs, cycles: cycles - traced }] });
      return await realm.call('trace', { cycles: traced, values, words });
    }
    const more = Math.min(TRACED - cycles, previous.cycles);
    await realm.call('replay', { steps: [...before.slice(0, -1), { ...previous, cycles: previous.cycles - more }] });
    const earlier = await realm.call('trace', { cycles: more, values, words });
    await realm.call('replay', { steps: [{ inputs, cycles: 0 }] });
    return [...earlier, ...await realm.call('trace', { cycles: traced, values, words })];
  } finally {
    await realm.end();
  }
}
