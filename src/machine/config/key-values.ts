/** Reading typed values out of xl.cfg settings; what does not fit becomes a ConfigError with file, line and key. */
import { ConfigError } from './config-error';
import type { ConfigWarning } from './config-error';
import type { XlAtom, XlSetting, XlSettings, XlValue } from './xl-parser';

export class KeyReader {
  readonly settings: XlSettings;
  readonly file: string;
  readonly warnings: ConfigWarning[] = [];

  constructor(settings: XlSettings, file: string) {
    this.settings = settings;
    this.file = file;
  }

  has(key: string): boolean {
    return this.settings.has(key);
  }

  fail(key: string, reason: string, line?: number): never {
    const setting = this.settings.get(key);
    throw new ConfigError(setting?.file ?? this.file, line ?? setting?.line ?? 0, key, reason);
  }

  warn(key: string, message: string): void {
    this.warnings.push({ line: this.settings.get(key)?.line ?? 0, key, message });
  }

  value(key: string): XlValue | undefined {
    return this.settings.get(key)?.value;
  }

  private atom(key: string): XlAtom | undefined {
    const value = this.value(key);
    if (value?.kind === 'list') this.fail(key, 'a list is given where a single value is expected');
    return value;
  }

  string(key: string): string | undefined {
    const atom = this.atom(key);
    if (atom !== undefined && !atom.quoted) this.fail(key, `${atom.text} is a number; a quoted string is expected`);
    return atom?.text;
  }

  /** Base 0 as in C, quoted or not. */
  integer(key: string, low: number, high: number): number | undefined {
    const atom = this.atom(key);
    if (atom === undefined) return undefined;
    const text = atom.text.trim();
    const value = /^-?0[xX][0-9a-fA-F]+$/.test(text) || /^-?(0|[1-9][0-9]*)$/.test(text) ? signedNumber(text)
      : /^-?0[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
    if (Number.isNaN(value)) this.fail(key, `\`${atom.text}\` is not a number`);
    if (value < low || value > high) this.fail(key, `${value} is outside ${low} to ${high}`);
    return value;
  }

  /** Non-zero is true. */
  boolean(key: string): boolean | undefined {
    const value = this.integer(key, -0x80000000, 0xffffffff);
    return value === undefined ? undefined : value !== 0;
  }

  /** One string or a list of strings. */
  strings(key: string): { text: string; line: number }[] {
    const value = this.value(key);
    if (value === undefined) return [];
    return (value.kind === 'list' ? value.items : [value]).map((item) => {
      if (item.kind === 'list') return this.fail(key, 'a list inside the list', item.line);
      if (!item.quoted) return this.fail(key, `${item.text} is a number; a quoted string is expected`, item.line);
      return { text: item.text, line: item.line };
    });
  }

  oneOf(key: string, words: readonly string[]): string | undefined {
    const text = this.string(key);
    if (text !== undefined && !words.includes(text)) this.fail(key, `\`${text}\` is not one of ${words.join(', ')}`);
    return text;
  }

  all(): IterableIterator<XlSetting> {
    return this.settings.values();
  }
}

function signedNumber(text: string): number {
  return text.startsWith('-') ? -Number(text.slice(1)) : Number(text);
}
