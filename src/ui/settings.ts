/** What the page remembers in this browser: theme, sizes, the demo seen last. Where nothing may be stored it forgets, and works all the same. */
import { useSyncExternalStore } from 'react';

export type Theme = 'system' | 'light' | 'dark';

export interface Settings {
  theme: Theme;
  /** Of the consoles and editors, CSS pixels. */
  fontSize: number;
  /** Share of the first of two neighbours, by splitter. */
  splits: Readonly<Record<string, number>>;
  lastDemo: string | null;
  /** Seconds from the start of a demo to L2's first words, as measured here. */
  times: Readonly<Record<string, number>>;
  /** Consoles keep a copy of their text for screen readers; costs speed. */
  screenReader: boolean;
  /** Remarks that were dismissed for good. */
  dismissed: readonly string[];
}

export const FONT_SIZES = { least: 9, most: 24 } as const;
const KEY = 'nestbox.settings';
const DEFAULTS: Settings = { theme: 'system', fontSize: 13, splits: {}, lastDemo: null, times: {}, screenReader: false, dismissed: [] };
const THEMES: readonly unknown[] = ['system', 'light', 'dark'] satisfies Theme[];

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readNumbers(value: unknown): Record<string, number> {
  return isRecord(value) ? Object.fromEntries(Object.entries(value).filter((entry): entry is [string, number] => typeof entry[1] === 'number')) : {};
}

/** Settings from stored text; whatever does not fit is as at first. */
export function readSettings(text: string | null): Settings {
  let stored: unknown;
  try {
    stored = JSON.parse(text ?? '{}');
  } catch {
    return DEFAULTS;
  }
  if (!isRecord(stored)) return DEFAULTS;
  const { theme, fontSize, splits, lastDemo, times, screenReader, dismissed } = stored;
  return {
    theme: THEMES.includes(theme) ? theme as Theme : DEFAULTS.theme,
    fontSize: typeof fontSize === 'number' ? clamp(Math.round(fontSize), FONT_SIZES.least, FONT_SIZES.most) : DEFAULTS.fontSize,
    splits: readNumbers(splits),
    times: readNumbers(times),
    lastDemo: typeof lastDemo === 'string' ? lastDemo : null,
    screenReader: screenReader === true,
    dismissed: Array.isArray(dismissed) ? dismissed.filter((one) => typeof one === 'string') : [],
  };
}

export function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, value));
}

function load(): Settings {
  try {
    return readSettings(localStorage.getItem(KEY));
  } catch {
    return DEFAULTS;
  }
}

let current: Settings | null = null;
const listeners = new Set<() => void>();

export function getSettings(): Settings {
  current ??= load();
  return current;
}

export function changeSettings(change: Partial<Settings>): void {
  current = { ...getSettings(), ...change };
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // Kept for this visit only.
  }
  for (const listener of listeners) listener();
}

export function subscribeSettings(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useSettings(): Settings {
  return useSyncExternalStore(subscribeSettings, getSettings);
}
