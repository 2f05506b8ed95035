/** Checks a configuration before it is started: its text, and whether its files can be had. */
import { ConfigError, moduleSpec, parseXlConfig, readMachineConfig } from '../../machine/config';
import type { MachineConfig } from '../../machine/config';
import type { Available } from '../demos';
import type { EditorProblem } from '../editor/editor';

/** Names of files that were dropped on the page begin so. */
export const LOCAL = 'local:';

export interface Checked {
  /** Null if the text is wrong. */
  config: MachineConfig | null;
  problems: readonly EditorProblem[];
}

/** Files that are there: in the gallery, and dropped on the page. */
export interface KnownFiles {
  images: Available;
  local: Available;
}

export function isRemote(file: string): boolean {
  return /^https?:\/\//i.test(file);
}

export function checkConfig(text: string, name: string, known: KnownFiles): Checked {
  let config: MachineConfig;
  try {
    config = readMachineConfig(text, name);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { config: null, problems: [{ line: Math.max(1, error.line), message: `${error.key === '' ? '' : `${error.key}: `}${error.reason}`, severity: 'error' }] };
  }
  const problems: EditorProblem[] = config.warnings.map(({ line, key, message }) => ({ line: Math.max(1, line), message: `${key}: ${message}`, severity: 'warning' }));
  for (const { file, line } of filesWithLines(text, name)) {
    const why = missing(file, known);
    if (why !== null) problems.push({ line, message: why, severity: 'error' });
  }
  return { config, problems };
}

function missing(file: string, known: KnownFiles): string | null {
  if (file.startsWith(LOCAL)) return known.local.has(file) ? null : `${file.slice(LOCAL.length)} was a file on the computer of whoever wrote this: drop it on the page`;
  if (isRemote(file) || known.images.has(file)) return null;
  return file.startsWith('images/') ? `${file} is not in the gallery of this server` : null;
}

function filesWithLines(text: string, name: string): { file: string; line: number }[] {
  const settings = parseXlConfig(text, name);
  const files: { file: string; line: number }[] = [];
  for (const key of ['kernel', 'ramdisk', 'bios_path_override']) {
    const value = settings.get(key)?.value;
    for (const item of value?.kind === 'list' ? value.items : value === undefined ? [] : [value]) {
      if (item.kind === 'atom' && item.text !== 'builtin') files.push({ file: key === 'ramdisk' ? moduleSpec(item.text).file : item.text, line: item.line });
    }
  }
  return files;
}
