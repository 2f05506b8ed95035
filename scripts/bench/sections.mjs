/**
 * The parts of the bench. Each measures everything once, in every emulator that there is, one after the other; the repetitions
 * of all parts follow each other, so that a change of the machine's mood touches all alike.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readGuest } from './guests/build.mjs';
import { firstOutputTimes, runInChromium, serve } from './chromium/browser.mjs';
import { multibootImage, pvhImage } from './peers/bochs-disk.mjs';
import { runBochs } from './peers/bochs.mjs';
import { runTcg } from './peers/tcg.mjs';
import { runV86 } from './peers/v86.mjs';
import { bootSpec, BOOT_WAITS, readDemo, runOurs, workloadSpec } from './run/ours.mjs';
import { commandLine, exitTokens, kernelTokens, memoryTokens, roundSamples, shadowedSystemTokens, systemTokens } from './workloads.mjs';

/** @typedef {import('./workloads.mjs').Token} Token */
/**
 * `peers`: those that can be used. `say` reports progress.
 * @typedef {{
 *   root: string, bundle: string, guests: import('./guests/build.mjs').GuestFiles, benchUrl: string | null, quick: boolean,
 *   engine: 'interpreter' | 'jit' | null, peers: Set<string>, measurements: import('./metrics.mjs').Measurements, say: (text: string) => void,
 * }} Bench
 */

const WORKLOAD_TIMEOUT = 300, BOOT_TIMEOUT = 600;
const WORKLOAD_MEMORY_MB = 256, V86_MEMORY_MB = 64, BOOT_MEMORY_MB = 1024;
const OUR_ROUNDS = 16, PEER_ROUNDS = 4;

/** @typedef {'kern64' | 'kern32' | 'mon64' | 'mon32'} Image */

/** @param {Bench} bench @param {string} subject @param {import('./workloads.mjs').RoundSample[]} samples */
function keep(bench, subject, samples) {
  (bench.measurements.rounds[subject] ??= []).push(samples);
}

/** @param {Bench} bench @param {string} key @param {number} value */
function keepValue(bench, key, value) {
  (bench.measurements.values[key] ??= []).push(value);
}

/** @param {Bench} bench @param {string} subject @param {Image} image @param {Token[]} tokens */
async function ours(bench, subject, image, tokens, hap = true) {
  bench.say(`${subject}`);
  const { marks } = await runOurs(bench.bundle, bench.root, workloadSpec(bench.guests[image], commandLine(tokens), { hap, engine: bench.engine }), WORKLOAD_TIMEOUT);
  keep(bench, subject, roundSamples(tokens, marks));
}

/** @param {Bench} bench @param {string} subject @param {Image} image @param {Token[]} tokens */
async function inBochs(bench, subject, image, tokens) {
  if (!bench.peers.has('bochs')) return;
  bench.say(subject);
  const path = bench.guests[image];
  const marks = await runBochs({
    loader: readGuest(bench.guests.loader), image: multibootImage(readGuest(path), path, commandLine(tokens)), memoryMb: WORKLOAD_MEMORY_MB,
    waits: [], timeoutSeconds: WORKLOAD_TIMEOUT,
  });
  keep(bench, subject, roundSamples(tokens, marks));
}

/** @param {Bench} bench @param {string} subject @param {Image} image @param {Token[]} tokens */
async function inTcg(bench, subject, image, tokens) {
  if (!bench.peers.has('tcg')) return;
  bench.say(subject);
  const marks = await runTcg({ kernel: bench.guests[image], cmdline: commandLine(tokens), memoryMb: WORKLOAD_MEMORY_MB, waits: [], timeoutSeconds: WORKLOAD_TIMEOUT });
  keep(bench, subject, roundSamples(tokens, marks));
}

/** @param {Bench} bench @param {string} subject @param {Image} image @param {Token[]} tokens */
async function inChromium(bench, subject, image, tokens) {
  if (bench.benchUrl === null) return;
  bench.say(subject);
  const spec = workloadSpec(`guests/${image}.elf`, commandLine(tokens), { hap: true, engine: bench.engine });
  const { marks } = await runInChromium(bench.benchUrl, spec, WORKLOAD_TIMEOUT);
  keep(bench, subject, roundSamples(tokens, marks));
}

/** (a) @param {Bench} bench */
async function kernels(bench) {
  const tokens = kernelTokens(bench.quick, false, OUR_ROUNDS), peerTokens = kernelTokens(bench.quick, false, PEER_ROUNDS);
  await ours(bench, 'node.kern64', 'kern64', tokens);
  await ours(bench, 'node.mon64', 'mon64', tokens);
  await inBochs(bench, 'bochs.kern64', 'kern64', peerTokens);
  await inTcg(bench, 'tcg.kern64', 'kern64', kernelTokens(bench.quick, true, PEER_ROUNDS));
  await ours(bench, 'node.kern32', 'kern32', tokens);
  if (bench.peers.has('v86')) {
    bench.say('v86.kern32');
    const marks = await runV86({ kernel: bench.guests.kern32, cmdline: commandLine(tokens), memoryMb: V86_MEMORY_MB, timeoutSeconds: WORKLOAD_TIMEOUT });
    keep(bench, 'v86.kern32', roundSamples(tokens, marks));
  }
  await ours(bench, 'node.mon32', 'mon32', tokens);
  await inBochs(bench, 'bochs.kern32', 'kern32', peerTokens);
  await inTcg(bench, 'tcg.kern32', 'kern32', kernelTokens(bench.quick, true, PEER_ROUNDS));
}

/** (b), (f), and the memory that is left afterwards @param {Bench} bench */
async function boots(bench) {
  for (const hap of [true, false]) {
    bench.say(hap ? 'node.boot' : 'node.boot with hap=0');
    const { marks, result } = await runOurs(bench.bundle, bench.root, bootSpec(bench.root, { hap, engine: bench.engine }), BOOT_TIMEOUT);
    const [l1, l2] = marks;
    const subject = hap ? 'node' : 'shadow';
    keepValue(bench, `bootL1.${subject}.seconds`, l1.times.process);
    keepValue(bench, `bootL2.${subject}.seconds`, l2.times.process - l1.times.process);
    keepValue(bench, `bootL1.${subject}.mips`, l1.instructions / l1.times.process / 1e6);
    keepValue(bench, `bootL2.${subject}.mips`, (l2.instructions - l1.instructions) / (l2.times.process - l1.times.process) / 1e6);
    if (hap && result.overheadBytes !== null) keepValue(bench, 'memory.overheadMB', result.overheadBytes / (1024 * 1024));
    if (bench.quick) return;
  }
  const images = join(bench.root, 'public', 'images'), kernel = join(images, 'vmlinux-cloud-amd64'), initrd = join(images, 'l1-mini.cpio');
  const cmdline = /^extra = "(.*)"$/m.exec(readDemo(bench.root))?.[1] ?? '';
  const peers = {
    bochs: () => runBochs({
      loader: readGuest(bench.guests.loader), image: pvhImage(readFileSync(kernel), readFileSync(initrd), cmdline, BOOT_MEMORY_MB), memoryMb: BOOT_MEMORY_MB,
      waits: [...BOOT_WAITS], timeoutSeconds: BOOT_TIMEOUT,
    }),
    // It has no VT-x: L1 alone, without KVM's modules, SeaBIOS included.
    tcg: () => runTcg({ kernel, initrd, cmdline, memoryMb: BOOT_MEMORY_MB, waits: [BOOT_WAITS[0]], timeoutSeconds: BOOT_TIMEOUT }),
  };
  for (const [peer, boot] of Object.entries(peers)) {
    if (!bench.peers.has(peer)) continue;
    bench.say(`${peer}.boot`);
    const [l1, l2] = await boot();
    keepValue(bench, `bootL1.${peer}.seconds`, l1.times.process);
    if (l2 !== undefined) keepValue(bench, `bootL2.${peer}.seconds`, l2.times.process - l1.times.process);
  }
}

/** (c) @param {Bench} bench */
async function exits(bench) {
  await ours(bench, 'node.exits', 'mon64', exitTokens(bench.quick));
  await inBochs(bench, 'bochs.exits', 'mon64', exitTokens(bench.quick).map((token) => ({ ...token, n: Math.ceil(token.n / 4) })));
}

/** (d) and (f) @param {Bench} bench */
async function system(bench) {
  await ours(bench, 'node.system', 'kern64', systemTokens(bench.quick));
  await ours(bench, 'node.l2.system', 'mon64', systemTokens(bench.quick));
  await ours(bench, 'node.shadow.system', 'mon64', shadowedSystemTokens(bench.quick), false);
  await inBochs(bench, 'bochs.system', 'kern64', systemTokens(bench.quick));
  await inBochs(bench, 'bochs.l2.system', 'mon64', systemTokens(bench.quick));
  await inTcg(bench, 'tcg.system', 'kern64', systemTokens(bench.quick));
}

/** (e) @param {Bench} bench */
async function memory(bench) {
  await ours(bench, 'node.memory', 'kern64', memoryTokens(bench.quick));
  await ours(bench, 'node.l2.memory', 'mon64', memoryTokens(bench.quick));
  await inBochs(bench, 'bochs.memory', 'kern64', memoryTokens(bench.quick));
  await inTcg(bench, 'tcg.memory', 'kern64', memoryTokens(bench.quick));
}

/** From the page's load to the second console's first words. @param {Bench} bench */
async function page(bench) {
  bench.say('page');
  const server = await serve(join(bench.root, 'dist', 'page'));
  try {
    for (const time of await firstOutputTimes(server.url, bench.quick ? 1 : 5)) keepValue(bench, 'page.firstOutputMs', time);
  } finally {
    server.close();
  }
}

/** (a) to (c) in Chromium's worker @param {Bench} bench */
async function chromium(bench) {
  if (bench.benchUrl === null) return;
  await inChromium(bench, 'chromium.kern64', 'kern64', kernelTokens(bench.quick, false, OUR_ROUNDS));
  await inChromium(bench, 'chromium.kern32', 'kern32', kernelTokens(bench.quick, false, OUR_ROUNDS));
  await inChromium(bench, 'chromium.exits', 'mon64', exitTokens(bench.quick));
  if (bench.quick) return;
  bench.say('chromium.boot');
  const { marks: [l1, l2] } = await runInChromium(bench.benchUrl, bootSpec(bench.root, { hap: true, engine: bench.engine }), BOOT_TIMEOUT);
  keepValue(bench, 'bootL1.chromium.wallSeconds', l1.times.wall);
  keepValue(bench, 'bootL2.chromium.wallSeconds', l2.times.wall - l1.times.wall);
}

/** What a section needs besides gcc: images (npm run images), the page (npm run build), a browser. */
export const SECTION_RUNS = {
  kernels: { run: kernels, images: false, page: false, chromium: false },
  boots: { run: boots, images: true, page: false, chromium: false },
  exits: { run: exits, images: false, page: false, chromium: false },
  system: { run: system, images: false, page: false, chromium: false },
  memory: { run: memory, images: false, page: false, chromium: false },
  page: { run: page, images: false, page: true, chromium: true },
  chromium: { run: chromium, images: true, page: false, chromium: true },
};
