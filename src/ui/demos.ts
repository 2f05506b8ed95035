/** Demos as the page sees them: what a configuration says for the gallery, which can be started, and which one a link means. */
import { readMachineConfig } from '../machine/config';
import type { MachineConfig } from '../machine/config';

export interface Demo {
  name: string;
  /** The configuration's text. */
  config: string;
  title: string;
  description: string;
  /** What runs at each level, L1 first; empty if the configuration does not say. */
  levels: readonly string[];
  /** What to try; empty if the configuration does not say. */
  hint: string;
  /** Real time to L2's prompt on an ordinary machine; null if the configuration does not say. */
  seconds: number | null;
  /** Files it needs, as the configuration names them. */
  files: string[];
}

/** Shown first where its images exist. */
const PREFERRED = 'kvm-amd64';
/** Needs nothing, shown where no images exist. */
const FALLBACK = 'builtin';

function filesOf(config: MachineConfig): string[] {
  const boot = config.boot;
  if (boot.kind === 'builtin') return [];
  if (boot.kind === 'rom') return config.display === null ? [boot.image] : [boot.image, config.display.bios];
  return [boot.kernel, ...boot.modules.map((module) => module.file)];
}

/** A demo from its configuration. One that cannot be read still is a demo: starting it shows what is wrong. */
export function makeDemo(name: string, text: string): Demo {
  try {
    const config = readMachineConfig(text, `${name}.cfg`);
    return { name, config: text, title: config.title === '' ? name : config.title, description: config.description, levels: config.levels, hint: config.hint, seconds: config.seconds, files: filesOf(config) };
  } catch (error) {
    return { name, config: text, title: name, description: error instanceof Error ? error.message : String(error), levels: [], hint: '', seconds: null, files: [] };
  }
}

/** Which files the server has. */
export interface Available {
  has(file: string): boolean;
}

/** True if the server has all files of the demo. */
export function isAvailable(demo: Demo, images: Available): boolean {
  return demo.files.every((file) => images.has(file));
}

/** The demo for a visitor who asked for none: the one seen `last`, or the best. */
export function defaultDemo(demos: readonly Demo[], images: Available, last: string | null = null): Demo {
  const named = (name: string | null): Demo | undefined => demos.find((demo) => demo.name === name);
  const before = named(last);
  if (before !== undefined && isAvailable(before, images)) return before;
  const preferred = named(PREFERRED);
  return preferred !== undefined && isAvailable(preferred, images) ? preferred : named(FALLBACK) ?? demos[0];
}
