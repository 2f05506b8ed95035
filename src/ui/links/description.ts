/** From a link to a machine and back: what is started, and where it comes from. */
import type { BuiltinSources } from '../../guests/builtin';
import { applyChanges, changesBetween } from '../../machine/config';
import { makeDemo } from '../demos';
import type { Demo } from '../demos';
import { EMPTY_LINK } from './link';
import type { Link, LinkedFile } from './link';

/** Everything that makes a machine. */
export interface Description {
  /** Name, configuration and what the page shows of it. */
  demo: Demo;
  /** Demo that it is, or was made of; null: none. */
  base: Demo | null;
  lesson: string | null;
  /** Programs that differ from the lesson's or the program's own. */
  sources: Partial<BuiltinSources>;
  /** Files that came with the link. */
  files: readonly LinkedFile[];
}

/** What the machine of a link is called that is no demo. */
const OWN_NAME = 'machine';

export type DescriptionResult = { ok: true; description: Description } | { ok: false; why: string };

export function plainDescription(demo: Demo): Description {
  return { demo, base: demo, lesson: null, sources: {}, files: [] };
}

/** A demo with changes in its configuration, as `changesBetween` makes them. */
export function changedDescription(demo: Demo, changes: string): Description {
  const plain = plainDescription(demo);
  return changes === '' ? plain : { ...plain, demo: makeDemo(demo.name, applyChanges(demo.config, changes)) };
}

/** The machine of a link; `fallback` if it names none. */
export function describeLink(link: Link, demos: readonly Demo[], fallback: Demo): DescriptionResult {
  const rest = { lesson: link.lesson, sources: link.sources, files: link.files };
  if (link.config !== null) return { ok: true, description: { demo: makeDemo(OWN_NAME, link.config), base: null, ...rest } };
  const base = link.demo === null ? fallback : demos.find((demo) => demo.name === link.demo);
  if (base === undefined) return { ok: false, why: `The link names a demo, “${link.demo}”, that this version of Nestbox does not have. It may be misspelt, or meant for a newer version.` };
  if (link.changes === '') return { ok: true, description: { demo: base, base, ...rest } };
  try {
    return { ok: true, description: { demo: makeDemo(base.name, applyChanges(base.config, link.changes)), base, ...rest } };
  } catch (error) {
    return { ok: false, why: `What it changes in the configuration of “${base.name}” cannot be read: ${error instanceof Error ? error.message : String(error)}.` };
  }
}

/** The link of a machine, as short as it can be. A configuration that cannot be read is carried whole. */
export function linkOf(description: Description): Link {
  const { demo, base, lesson, sources, files } = description;
  const link: Link = { ...EMPTY_LINK, lesson, sources, files };
  if (base === null) return { ...link, config: demo.config };
  try {
    return { ...link, demo: base.name, changes: changesBetween(base.config, demo.config) };
  } catch {
    return { ...link, config: demo.config };
  }
}
