/**
 * Changes to the text of a configuration: one key at a time for forms, which leaves the rest of the text as it was written; and the difference
 * between two configurations, for links: lines `key = value`, and `-key` for a key that is not there any more.
 */
import { ConfigError } from './config-error';
import { parseXlConfig, xlSpans } from './xl-parser';
import type { XlSpan, XlValue } from './xl-parser';

/** A value without its places in a text. A number is what stands in the text. */
export type PlainValue = { readonly number: string } | string | readonly PlainValue[];

export function plainValue(value: XlValue): PlainValue {
  if (value.kind === 'list') return value.items.map(plainValue);
  return value.quoted ? value.text : { number: value.text };
}

const ESCAPES: Record<string, string> = { '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** As it is written in a configuration. */
export function valueText(value: PlainValue): string {
  if (typeof value === 'string') {
    return `"${value.replaceAll(/["\\\p{Cc}]/gu, (c) => ESCAPES[c] ?? `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)}"`;
  }
  return 'number' in value ? value.number : `[${value.map(valueText).join(', ')}]`;
}

/**
 * The text with this value for this key: in place of the assignment that it has, or in a line at the end; null: without any. The
 * text must have no syntax errors (ConfigError).
 */
export function writeSetting(source: string, key: string, value: PlainValue | null): string {
  return writeText(source, key, value === null ? null : valueText(value));
}

function writeText(source: string, key: string, value: string | null): string {
  const spans = xlSpans(source, 'configuration').filter((span) => span.key === key);
  const kept = value === null ? undefined : spans.findLast((span) => !span.append) ?? spans.at(-1);
  let text = source;
  // From the end, so that places before stay valid.
  for (const span of spans.toReversed()) {
    text = span === kept && value !== null ? `${text.slice(0, span.start)}${key} = ${value}${text.slice(span.end)}` : withoutSpan(text, span);
  }
  if (kept === undefined && value !== null) text += `${text === '' || text.endsWith('\n') ? '' : '\n'}${key} = ${value}\n`;
  return text;
}

/** With its line, if nothing but a comment is left of that. */
function withoutSpan(text: string, span: XlSpan): string {
  const lineStart = text.lastIndexOf('\n', span.start - 1) + 1;
  const newline = text.indexOf('\n', span.end), lineEnd = newline < 0 ? text.length : newline + 1;
  const alone = text.slice(lineStart, span.start).trim() === '' && /^[ \t;]*(#.*)?\r?\n?$/.test(text.slice(span.end, lineEnd));
  return alone ? text.slice(0, lineStart) + text.slice(lineEnd) : text.slice(0, span.start) + text.slice(span.end).replace(/^[ \t]*;/, '');
}

/** What makes `after` of `before`; empty if they mean the same. */
export function changesBetween(before: string, after: string): string {
  const old = parseXlConfig(before, 'configuration'), now = parseXlConfig(after, 'configuration');
  const text = (value: XlValue): string => valueText(plainValue(value));
  const lines = [...old.keys()].filter((key) => !now.has(key)).map((key) => `-${key}`);
  for (const [key, { value }] of now) {
    const was = old.get(key);
    if (was === undefined || text(was.value) !== text(value)) lines.push(`${key} = ${text(value)}`);
  }
  return lines.join('\n');
}

/** Applies what `changesBetween` made. */
export function applyChanges(source: string, changes: string): string {
  let text = source;
  changes.split('\n').forEach((line, index) => {
    if (line.trim() === '') return;
    const removed = /^-([a-z][._0-9a-z]*)$/.exec(line);
    if (removed !== null) {
      text = writeSetting(text, removed[1], null);
      return;
    }
    const [setting, ...more] = parseXlConfig(line, 'changes').values();
    if (setting === undefined || more.length > 0) throw new ConfigError('changes', index + 1, '', `\`${line}\` is not KEY = VALUE or -KEY`);
    text = writeSetting(text, setting.key, plainValue(setting.value));
  });
  return text;
}
