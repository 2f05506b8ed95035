/**
 * What the guests compute: tokens of their command line (guests/main.c) and how the samples of a run belong to them.
 */

/** @typedef {{ name: string, n: number, rounds: number }} Token */
/**
 * One round of one token. Seconds: CPU time of the executing thread where it is known, else of the process; instructions: 0 where
 * they are not counted (peers).
 * @typedef {{ token: number, name: string, n: number, round: number, seconds: number, processSeconds: number, instructions: number, checksum: string }} RoundSample
 */

/** The C kernels of which the geometric mean is taken; arith is reported on its own. */
export const KERNELS = ['sha', 'lz', 'qsort', 'hash', 'tree', 'sm', 'flat'];

/** Portions per round: about 25 million instructions each. */
const PORTIONS = { sha: 6000, lz: 16, qsort: 12, hash: 90000, tree: 16, sm: 500, arith: 60000, flat: 100 };
/** The first pass over code never seen. */
const COLD = { name: 'flat', n: 1, rounds: 1 };

/** So many times as many for QEMU, whose CPU time the system tells in steps of milliseconds. @type {Record<string, number>} */
const TCG_SCALE = { sha: 40, lz: 6, qsort: 4, hash: 16, tree: 8, sm: 24, arith: 24, flat: 4 };

/** @param {boolean} quick @param {boolean} longer for QEMU @param {number} rounds @returns {Token[]} */
export function kernelTokens(quick, longer, rounds) {
  return [COLD, ...Object.entries(PORTIONS).map(([name, n]) => ({ name, n: quick ? Math.ceil(n / 50) : n * (longer ? TCG_SCALE[name] : 1), rounds: quick ? 2 : rounds }))];
}

export const MEMORY_SIZES = [64, 4096, 262144];
export const MEMORY_WORKLOADS = ['movsb', 'movsw', 'stosb', 'stosw', 'copyloop', 'fillloop'];

/** @param {boolean} quick @returns {Token[]} */
export function memoryTokens(quick) {
  return MEMORY_WORKLOADS.flatMap((workload) => MEMORY_SIZES.map((size) => {
    const perByte = workload.endsWith('loop') ? 1 : 4;
    const bytes = (quick ? 1 << 20 : 1 << 23) * perByte;
    return { name: `${workload}/${size}`, n: Math.min(quick ? 2000 : 100_000, Math.max(2, Math.ceil(bytes / size))), rounds: quick ? 2 : 5 };
  }));
}

/** @param {boolean} quick @returns {Token[]} */
export function systemTokens(quick) {
  return Object.entries({ switch: 20_000, syscall: 200_000, fault: 60_000, walk: 500_000 })
    .map(([name, n]) => ({ name, n: quick ? n / 100 : n, rounds: quick ? 2 : 4 }));
}

/** The same without EPT, where some cost a hundred times as much. @param {boolean} quick @returns {Token[]} */
export function shadowedSystemTokens(quick) {
  return Object.entries({ switch: 2000, syscall: 200_000, fault: 20_000, walk: 500_000 })
    .map(([name, n]) => ({ name, n: quick ? n / 100 : n, rounds: quick ? 2 : 4 }));
}

export const EXITS = ['cpuid', 'port', 'msr', 'ept', 'hlt'];

/** @param {boolean} quick @returns {Token[]} */
export function exitTokens(quick) {
  return EXITS.map((name) => ({ name, n: quick ? 1000 : 100_000, rounds: quick ? 2 : 5 }));
}

/** @param {readonly Token[]} tokens */
export function commandLine(tokens) {
  return tokens.map(({ name, n, rounds }) => `${name}:${n}:${rounds}`).join(' ');
}

/** Rounds that end before a clock has moved take this long, in seconds. */
const CLOCK_STEP = 1e-6;

/**
 * Pairs the begin and end marks of a run with its tokens.
 * @param {readonly Token[]} tokens
 * @param {readonly { kind: string, name: string, round: number, checksum: string, times: Record<string, number>, instructions?: number }[]} marks
 * @returns {RoundSample[]}
 */
export function roundSamples(tokens, marks) {
  const expected = tokens.flatMap((token, index) => Array.from({ length: token.rounds }, (_, round) => ({ ...token, token: index, round })));
  const rounds = marks.filter(({ kind }) => kind === 'begin' || kind === 'end');
  if (rounds.length !== 2 * expected.length) throw new Error(`${rounds.length / 2} rounds instead of ${expected.length}`);
  return expected.map(({ token, name, n, round }, index) => {
    const begin = rounds[2 * index], end = rounds[2 * index + 1];
    if (begin.kind !== 'begin' || end.kind !== 'end' || end.name !== name || end.round !== round) throw new Error(`round ${round} of ${name} is missing`);
    /** @param {string} clock */
    const elapsed = (clock) => end.times[clock] - begin.times[clock];
    const processSeconds = elapsed('process');
    return {
      token, name, n, round, seconds: Math.max(end.times.thread === undefined ? processSeconds : elapsed('thread'), CLOCK_STEP), processSeconds,
      instructions: (end.instructions ?? 0) - (begin.instructions ?? 0), checksum: end.checksum,
    };
  });
}

/**
 * The warm rounds of a token: the second half.
 * @param {readonly RoundSample[]} samples @param {string} name
 */
export function warmRounds(samples, name) {
  const own = samples.filter((sample) => sample.name === name && sample.n > COLD.n);
  const last = Math.max(...own.map(({ round }) => round));
  return own.filter(({ round }) => round >= (last + 1) / 2);
}

/** @param {readonly RoundSample[]} samples */
export function coldRound(samples) {
  return samples.filter(({ token }) => token === 0);
}
