/** From samples to the numbers that are reported, with the bars they are held against. */
import { geometricMean, median, spread } from './statistics.mjs';
import { coldRound, KERNELS, warmRounds } from './workloads.mjs';

/** @typedef {import('./workloads.mjs').RoundSample} RoundSample */
/**
 * `met` is null where there is no bar.
 * @typedef {{ median: number, spread: number, unit: string, bar: number | null, atMost: boolean, met: boolean | null, values: number[] }} Metric
 */
/**
 * Everything measured. rounds: by subject ("node.kern64", "bochs.kern64", ...), one list for each repetition.
 * @typedef {{ rounds: Record<string, RoundSample[][]>, values: Record<string, number[]> }} Measurements
 */

/** @type {Record<string, { bar: number, atMost?: boolean }>} */
export const BARS = {
  'kernels64.node.mips': { bar: 600 },
  'kernels64.chromium.mips': { bar: 600 },
  'kernels64.vsBochs': { bar: 3 },
  'kernels64.vsTcg': { bar: 0.6 },
  'kernels32.vsV86': { bar: 1.3 },
  'flat.node.mips': { bar: 80 },
  'cold.node.mips': { bar: 5 },
  'bootL1.vsBochs': { bar: 1, atMost: true },
  'bootL2.vsBochs': { bar: 1, atMost: true },
  'l2vsL1.cpu': { bar: 0.98 },
  'l2vsL1.memory': { bar: 0.95 },
  'exits.cpuid.perSecond': { bar: 500_000 },
  'memory.overheadMB': { bar: 350, atMost: true },
  'page.firstOutputMs': { bar: 1000, atMost: true },
};

/** @param {string} key @param {string} unit @param {readonly number[]} values @returns {Metric} */
export function metric(key, unit, values) {
  const bar = BARS[key];
  const middle = median(values);
  return {
    median: middle, spread: spread(values), unit, bar: bar?.bar ?? null, atMost: bar?.atMost ?? false,
    met: bar === undefined ? null : bar.atMost === true ? middle <= bar.bar : middle >= bar.bar, values: [...values],
  };
}

/**
 * Guest instructions in a round of n portions, from our own runs of the same code: what peers did in a round. Longer rounds are so
 * many times as long (set-up included: an error far below one percent).
 * @param {RoundSample[]} ours @param {string} name @param {number} n
 */
function instructionsOf(ours, name, n) {
  const same = ours.filter((sample) => sample.name === name);
  const exact = same.find((sample) => sample.n === n);
  if (exact !== undefined) return exact.instructions;
  const longest = same.reduce((best, sample) => (sample.n > best.n ? sample : best));
  return (longest.instructions / longest.n) * n;
}

/** @param {RoundSample[]} rounds @param {RoundSample[]} counted @param {(rounds: RoundSample[]) => RoundSample[]} choose */
function mips(rounds, counted, choose) {
  return median(choose(rounds).map(({ name, n, seconds }) => instructionsOf(counted, name, n) / seconds / 1e6));
}

/**
 * Warm MIPS by kernel of one repetition.
 * @param {RoundSample[]} rounds @param {RoundSample[]} counted our own run of the same image
 */
export function warmMips(rounds, counted) {
  /** @type {Record<string, number>} */
  const result = {};
  for (const name of [...KERNELS, 'arith']) result[name] = mips(rounds, counted, (all) => warmRounds(all, name));
  return result;
}

/** @param {Record<string, number>} byKernel */
export const kernelMean = (byKernel) => geometricMean(KERNELS.map((name) => byKernel[name]));

/** Seconds per portion of a workload, warm, of one repetition. @param {RoundSample[]} rounds @param {string} name */
export const secondsPerPortion = (rounds, name) => median(warmRounds(rounds, name).map(({ seconds, n }) => seconds / n));

/**
 * All metrics that the measurements allow.
 * @param {Measurements} measurements
 */
export function allMetrics({ rounds, values }) {
  /** @type {Record<string, Metric>} */
  const metrics = {};
  /** @param {string} key @param {string} unit @param {readonly number[]} samples */
  const add = (key, unit, samples) => {
    if (samples.length > 0) metrics[key] = metric(key, unit, samples);
  };
  /** Of each repetition that has both. @param {string} a @param {string} b @param {(x: RoundSample[], y: RoundSample[]) => number} combine */
  const pairs = (a, b, combine) => (rounds[a] ?? []).slice(0, (rounds[b] ?? []).length).map((x, n) => combine(x, rounds[b][n]));

  for (const bits of ['64', '32']) {
    for (const [subject, image] of [['node', 'kern'], ['chromium', 'kern'], ['bochs', 'kern'], ['tcg', 'kern'], ['v86', 'kern'], ['node.l2', 'mon'], ['bochs.l2', 'mon']]) {
      const key = `${subject.split('.')[0]}.${image}${bits}`;
      const counted = image === 'mon' ? `node.mon${bits}` : `node.kern${bits}`;
      const perKernel = pairs(key, counted, warmMips);
      add(`kernels${bits}.${subject}.mips`, 'MIPS', perKernel.map(kernelMean));
      for (const name of [...KERNELS, 'arith']) add(`kernels${bits}.${subject}.${name}`, 'MIPS', perKernel.map((byKernel) => byKernel[name]));
    }
  }
  /** @param {string} peer @param {string} bits */
  const versus = (peer, bits) => pairs(`node.kern${bits}`, `${peer}.kern${bits}`, (ours, theirs) => kernelMean(warmMips(ours, ours)) / kernelMean(warmMips(theirs, ours)));
  add('kernels64.vsBochs', 'x', versus('bochs', '64'));
  add('kernels64.vsTcg', 'x', versus('tcg', '64'));
  add('kernels32.vsBochs', 'x', versus('bochs', '32'));
  add('kernels32.vsTcg', 'x', versus('tcg', '32'));
  add('kernels32.vsV86', 'x', versus('v86', '32'));
  add('flat.node.mips', 'MIPS', (rounds['node.kern64'] ?? []).map((own) => warmMips(own, own).flat));
  for (const subject of ['node', 'chromium', 'bochs', 'tcg']) add(`cold.${subject}.mips`, 'MIPS', pairs(`${subject}.kern64`, 'node.kern64', (own, counted) => mips(own, counted, coldRound)));
  add('cold.v86.mips', 'MIPS', pairs('v86.kern32', 'node.kern32', (own, counted) => mips(own, counted, coldRound)));
  add('l2vsL1.cpu', 'x', pairs('node.mon64', 'node.kern64', (l2, l1) => kernelMean(warmMips(l2, l2)) / kernelMean(warmMips(l1, l1))));

  const memoryNames = [...new Set((rounds['node.memory'] ?? []).flat().map(({ name }) => name))];
  for (const name of memoryNames) {
    const size = Number(name.split('/')[1]);
    for (const subject of ['node', 'node.l2', 'bochs', 'tcg']) {
      add(`memory.${subject}.${name.replace('/', '.')}`, 'MB/s', (rounds[`${subject}.memory`] ?? []).map((own) => size / secondsPerPortion(own, name) / 1e6));
    }
  }
  add('l2vsL1.memory', 'x', pairs('node.l2.memory', 'node.memory', (l2, l1) => geometricMean(memoryNames.map((name) => secondsPerPortion(l1, name) / secondsPerPortion(l2, name)))));

  for (const part of ['system', 'exits']) {
    for (const subject of ['node', 'node.l2', 'node.shadow', 'chromium', 'bochs', 'bochs.l2', 'tcg']) {
      const all = rounds[`${subject}.${part}`] ?? [];
      for (const name of new Set(all.flat().map((sample) => sample.name))) {
        const key = part === 'exits' && subject === 'node' ? `exits.${name}.perSecond` : `${part}.${subject}.${name}.perSecond`;
        add(key, '/s', all.map((own) => 1 / secondsPerPortion(own, name)));
      }
    }
  }
  for (const name of new Set((rounds['node.shadow.system'] ?? []).flat().map((sample) => sample.name))) {
    add(`hap.gain.${name}`, 'x', pairs('node.shadow.system', 'node.l2.system', (shadow, ept) => secondsPerPortion(shadow, name) / secondsPerPortion(ept, name)));
  }

  for (const [key, samples] of Object.entries(values)) add(key, key.endsWith('MB') ? 'MB' : key.endsWith('Ms') ? 'ms' : key.endsWith('mips') ? 'MIPS' : 's', samples);
  /** @param {string} key @param {string} above @param {string} below */
  const ratio = (key, above, below) => {
    const a = values[above] ?? [], b = values[below] ?? [];
    add(key, 'x', a.slice(0, b.length).map((value, n) => value / b[n]));
  };
  ratio('bootL1.vsBochs', 'bootL1.node.seconds', 'bootL1.bochs.seconds');
  ratio('bootL2.vsBochs', 'bootL2.node.seconds', 'bootL2.bochs.seconds');
  ratio('hap.gain.boot', 'bootL2.shadow.seconds', 'bootL2.node.seconds');
  return metrics;
}
