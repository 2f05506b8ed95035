/** The common keys of a configuration as a form. It reads the text and writes into it, so both are always in step. */
import { useId } from 'react';
import { parseXlConfig, plainValue, writeSetting } from '../../machine/config';
import type { PlainValue } from '../../machine/config';

interface Props {
  text: string;
  /** Names that fields for files suggest. */
  files: readonly string[];
  change(text: string): void;
}

type Field =
  | { key: string; label: string; kind: 'number'; initial: number; least: number; most: number; unit: string }
  | { key: string; label: string; kind: 'flag'; initial: boolean }
  | { key: string; label: string; kind: 'text' | 'file' | 'files' | 'place'; hint: string };

const FIELDS: readonly Field[] = [
  { key: 'kernel', label: 'Kernel', kind: 'file', hint: 'gallery name, URL or builtin' },
  { key: 'ramdisk', label: 'Initrd, modules', kind: 'files', hint: 'one per line' },
  { key: 'cmdline', label: 'Command line', kind: 'text', hint: 'replaces root and extra' },
  { key: 'extra', label: 'Command line, extra', kind: 'text', hint: 'if there is no command line' },
  { key: 'bios_path_override', label: 'Firmware ROM', kind: 'file', hint: 'instead of a kernel' },
  { key: 'memory', label: 'Memory', kind: 'number', initial: 512, least: 2, most: 3584, unit: 'MiB' },
  { key: 'vcpus', label: 'Processors', kind: 'number', initial: 1, least: 1, most: 8, unit: '' },
  { key: 'nestedhvm', label: 'VT-x', kind: 'flag', initial: false },
  { key: 'hap', label: 'EPT', kind: 'flag', initial: true },
  { key: 'nestbox_l2_serial', label: 'Keys for L2 go to', kind: 'place', hint: '' },
];
const PLACES = ['', 'COM1', 'COM2', 'COM3', 'COM4'];

/** Values by key; null if the text has a syntax error. */
function readValues(text: string): Map<string, PlainValue> | null {
  try {
    return new Map([...parseXlConfig(text, 'configuration')].map(([key, { value }]) => [key, plainValue(value)]));
  } catch {
    return null;
  }
}

function asText(value: PlainValue | undefined): string {
  if (value === undefined) return '';
  if (typeof value === 'string') return value;
  return 'number' in value ? value.number : value.map(asText).join('\n');
}

export function ConfigForm({ text, files, change }: Props) {
  const id = useId();
  const values = readValues(text);
  const write = (key: string, value: PlainValue | null): void => change(writeSetting(text, key, value));
  return (
    <form className="config-form" aria-label="Common settings" onSubmit={(event) => event.preventDefault()}>
      <fieldset disabled={values === null}>
        {values === null && <p className="side-note">The form follows once the text has no syntax error.</p>}
        {FIELDS.map((field) => {
          const name = `${id}-${field.key}`, shown = asText(values?.get(field.key));
          return (
            <div key={field.key} className={`field ${field.kind}`}>
              <label htmlFor={name}>{field.label}</label>
              {field.kind === 'number' && (
                <>
                  <input
                    id={name} type="number" min={field.least} max={field.most} placeholder={String(field.initial)} value={shown}
                    onChange={(event) => write(field.key, event.currentTarget.value === '' ? null : { number: event.currentTarget.value })}
                  />
                  <span>{field.unit}</span>
                </>
              )}
              {field.kind === 'flag' && (
                <input
                  id={name} type="checkbox" checked={values?.has(field.key) === true ? Number(shown) !== 0 : field.initial}
                  onChange={(event) => write(field.key, { number: event.currentTarget.checked ? '1' : '0' })}
                />
              )}
              {(field.kind === 'text' || field.kind === 'file') && (
                <input
                  id={name} type="text" spellCheck={false} autoComplete="off" placeholder={field.hint} value={shown} list={field.kind === 'file' ? `${id}-files` : undefined}
                  onChange={(event) => write(field.key, event.currentTarget.value === '' ? null : event.currentTarget.value)}
                />
              )}
              {field.kind === 'files' && (
                <textarea
                  id={name} rows={2} spellCheck={false} placeholder={field.hint} value={shown}
                  onChange={(event) => {
                    const lines = event.currentTarget.value.split('\n');
                    write(field.key, event.currentTarget.value === '' ? null : lines.length === 1 ? lines[0] : lines);
                  }}
                />
              )}
              {field.kind === 'place' && (
                <select id={name} value={shown} onChange={(event) => write(field.key, event.currentTarget.value === '' ? null : { number: event.currentTarget.value })}>
                  {PLACES.map((place, index) => <option key={place} value={index === 0 ? '' : String(index - 1)}>{place === '' ? 'nowhere' : place}</option>)}
                </select>
              )}
            </div>
          );
        })}
        <datalist id={`${id}-files`}>{files.map((file) => <option key={file} value={file} />)}</datalist>
      </fieldset>
    </form>
  );
}
