/** The results for people: tables for the terminal and for docs/performance.md. */
import { BARS } from './metrics.mjs';
import { EXITS, KERNELS, MEMORY_SIZES, MEMORY_WORKLOADS } from './workloads.mjs';

/** @typedef {Record<string, import('./metrics.mjs').Metric>} Metrics */
/** @typedef {{ title: string, note: string, rows: string[][] }} Table the first row is the head */

/** @param {number} value */
export function formatNumber(value) {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 10_000) return Math.round(value).toLocaleString('en-US');
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** @param {Metrics} metrics @param {string} key */
const cell = (metrics, key) => (key in metrics ? formatNumber(metrics[key].median) : '-');

/**
 * A table with only those rows in which something was measured; null if there are none.
 * @param {string} title @param {string} note @param {string[]} head @param {string[][]} rows @returns {Table | null}
 */
function table(title, note, head, rows) {
  const kept = rows.filter((row) => row.slice(1).some((text) => text !== '-'));
  return kept.length === 0 ? null : { title, note, rows: [head, ...kept] };
}

/** @param {Metrics} metrics @returns {Table[]} */
export function tables(metrics) {
  const names = [...KERNELS, 'arith'];
  /** @param {string} bits */
  const kernels = (bits) => table(
    `C kernels, ${bits}-bit, warm`, 'MIPS: guest instructions per CPU second. Geometric mean without arith.',
    ['', ...names, 'mean', 'cold'],
    [['Nestbox, Node', 'node'], ['Nestbox, Node, as L2', 'node.l2'], ['Nestbox, Chromium worker', 'chromium'], ['Bochs', 'bochs'], ['QEMU TCG', 'tcg'], ['v86', 'v86']].map(([label, subject]) => [
      label, ...names.map((name) => cell(metrics, `kernels${bits}.${subject}.${name}`)), cell(metrics, `kernels${bits}.${subject}.mips`),
      (subject === 'v86') === (bits === '32') ? cell(metrics, `cold.${subject}.mips`) : '-',
    ]),
  );
  const bars = table('Bars', '', ['metric', 'median', '±', 'bar', ''], Object.entries(BARS).map(([key, { bar, atMost }]) => {
    const own = metrics[key];
    if (own === undefined) return [key, '-', '-', '-', '-'];
    return [`${key} (${own.unit})`, formatNumber(own.median), `${(own.spread * 100).toFixed(0)} %`, `${atMost === true ? '≤' : '≥'} ${formatNumber(bar)}`, own.met === true ? 'met' : 'MISSED'];
  }));
  const boots = table(
    'Debian, CPU seconds', 'L1: kernel entry to the greeting before its shell, KVM loaded. L2: from there to L2\'s prompt. TCG: L1 only, without KVM, firmware included; Chromium: real time.',
    ['', 'L1', 'L2', 'MIPS L1', 'MIPS L2'],
    [['Nestbox, Node', 'node', 'seconds'], ['Nestbox, Node, hap=0', 'shadow', 'seconds'], ['Nestbox, Chromium worker', 'chromium', 'wallSeconds'], ['Bochs', 'bochs', 'seconds'], ['QEMU TCG', 'tcg', 'seconds']].map(([label, subject, unit]) => [
      label, cell(metrics, `bootL1.${subject}.${unit}`), cell(metrics, `bootL2.${subject}.${unit}`), cell(metrics, `bootL1.${subject}.mips`), cell(metrics, `bootL2.${subject}.mips`),
    ]),
  );
  const exits = table('VM exits, round trips a second', 'A minimal L1; ept is a violation that maps a page.', ['', ...EXITS], [
    ['Nestbox, Node', ...EXITS.map((name) => cell(metrics, `exits.${name}.perSecond`))],
    ...[['Nestbox, Chromium worker', 'chromium'], ['Bochs', 'bochs']].map(([label, subject]) => [label, ...EXITS.map((name) => cell(metrics, `exits.${subject}.${name}.perSecond`))]),
  ]);
  const works = ['switch', 'syscall', 'fault', 'walk'];
  const system = table(
    'System work, a second', 'switch: CR3 and 32 pages touched; walk: a read that misses the TLB. Without EPT, L1 is a virtual TLB (SDM 3C), the simplest there is.', ['', ...works],
    [['Nestbox, Node, L1', 'node'], ['Nestbox, Node, L2', 'node.l2'], ['Nestbox, Node, L2, hap=0', 'node.shadow'], ['Bochs, L1', 'bochs'], ['Bochs, L2', 'bochs.l2'], ['QEMU TCG, L1', 'tcg']].map(([label, subject]) => [
      label, ...works.map((name) => cell(metrics, `system.${subject}.${name}.perSecond`)),
    ]),
  );
  const gain = table('EPT against hap=0', 'Times as fast: system work, and the boot of L2 under KVM.', ['', ...works, 'boot'], [['hap.gain', ...[...works, 'boot'].map((name) => cell(metrics, `hap.gain.${name}`))]]);
  const sizes = MEMORY_WORKLOADS.flatMap((workload) => MEMORY_SIZES.map((size) => `${workload}.${size}`));
  const subjects = ['node', 'node.l2', 'bochs', 'tcg'];
  const memory = table('Copying and filling, MB/s', 'movsb, movsw, stosb, stosw: REP instructions, by bytes and by 8 bytes; loops of 8-byte moves. The number is the size in bytes.', ['', 'Nestbox L1', 'Nestbox L2', 'Bochs', 'QEMU TCG'], sizes.map((name) => [name, ...subjects.map((subject) => cell(metrics, `memory.${subject}.${name}`))]));
  return [bars, kernels('64'), kernels('32'), boots, exits, system, gain, memory].filter((one) => one !== null);
}

/** @param {Table} one */
export function asText({ title, note, rows }) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const lines = rows.map((row) => row.map((text, column) => (column === 0 ? text.padEnd(widths[0]) : text.padStart(widths[column]))).join('  ').trimEnd());
  return [title, ...(note === '' ? [] : [note]), ...lines].join('\n');
}

/** @param {Table} one */
export function asMarkdown({ title, note, rows }) {
  const line = (/** @type {string[]} */ row) => `| ${row.join(' | ')} |`;
  return [`### ${title}`, ...(note === '' ? [] : [note, '']), line(rows[0]), line(rows[0].map((_, column) => (column === 0 ? '---' : '--:'))), ...rows.slice(1).map(line)].join('\n');
}

const BEGIN = '<!-- bench: generated by npm run bench -- --write-docs -->', END = '<!-- bench: end -->';

/**
 * The document with its generated part replaced.
 * @param {string} document @param {string} generated
 */
export function replaceGenerated(document, generated) {
  const begin = document.indexOf(BEGIN), end = document.indexOf(END);
  if (begin < 0 || end < begin) throw new Error('the document has no place for generated tables');
  return `${document.slice(0, begin + BEGIN.length)}\n${generated}\n${document.slice(end)}`;
}
