/** The machine editor: the configuration as text, with what is wrong beside its line, and as a form; and files of the visitor's own. */
import { useEffect, useId, useMemo, useRef, useState } from 'react';
import type { ChangeEvent, DragEvent } from 'react';
import { parseXlConfig } from '../../machine/config';
import { CodeEditor } from '../editor/code-editor';
import type { Description } from '../links/description';
import { checkConfig, LOCAL } from './check';
import { ConfigForm } from './form';
import { sniffFile } from './sniff';
import { withFile } from './with-file';
import type { FileRole, Sniffed } from './sniff';

interface Props {
  description: Description | null;
  /** Images of the gallery. */
  images: ReadonlyMap<string, unknown>;
  /** Files that were dropped before, by the names a configuration has for them. */
  local: ReadonlyMap<string, unknown>;
  addLocal(name: string, file: Blob): void;
  run(config: string): void;
}

interface Dropped {
  name: string;
  size: number;
  sniffed: Sniffed;
}

const ROLE_NAMES: Record<FileRole, string> = { kernel: 'the kernel', ramdisk: 'an initrd or module', rom: 'the firmware' };

export default function MachineEditor({ description, images, local, addLocal, run }: Props) {
  const [text, setText] = useState('');
  const [dropped, setDropped] = useState<Dropped | null>(null);
  const [over, setOver] = useState(false);
  const [goTo, setGoTo] = useState<{ line: number } | null>(null);
  const fileId = useId();
  const shown = useRef<Description | null>(null);
  useEffect(() => {
    if (description === null || description === shown.current) return;
    shown.current = description;
    setText(description.demo.config);
  }, [description]);

  const checked = useMemo(() => checkConfig(text, 'machine.cfg', { images, local }), [text, images, local]);
  const wrong = checked.problems.filter((problem) => problem.severity === 'error');
  const ready = checked.config !== null && wrong.length === 0;
  const submit = (): void => {
    if (ready) run(text);
  };
  const take = async (file: File | undefined): Promise<void> => {
    if (file === undefined) return;
    const name = LOCAL + file.name;
    addLocal(name, file);
    setDropped({ name, size: file.size, sniffed: await sniffFile(file) });
  };
  const dropHandlers = {
    onDragOver(event: DragEvent) {
      event.preventDefault();
      setOver(true);
    },
    onDragLeave: () => setOver(false),
    onDrop(event: DragEvent) {
      event.preventDefault();
      setOver(false);
      void take(event.dataTransfer.files[0]);
    },
  };

  return (
    <div className={over ? 'machine-editor over' : 'machine-editor'} {...dropHandlers}>
      <div className="side-bar">
        <span className="side-title">{description === null ? 'A machine' : description.base === null ? 'Your machine' : description.demo.title}</span>
        <button type="button" className="primary" disabled={!ready} onClick={submit} title="Start this machine (Ctrl+Enter or Ctrl+S)">Start</button>
        <button type="button" disabled={description === null || text === description.demo.config} onClick={() => setText(description?.demo.config ?? '')}>Undo all</button>
      </div>
      <div className="files">
        <p>
          <label className="file-button" htmlFor={fileId}>Choose a file</label> or drop one here: a kernel, initrd, multiboot module or ROM. It stays in this browser.
        </p>
        <input
          id={fileId} className="visually-hidden" type="file"
          onChange={(event: ChangeEvent<HTMLInputElement>) => {
            void take(event.currentTarget.files?.[0]);
            event.currentTarget.value = '';
          }}
        />
        {dropped !== null && (
          <p role="status">
            {dropped.name.slice(LOCAL.length)} ({(dropped.size / 1e6).toFixed(2)} MB) is {dropped.sniffed.kind}. {dropped.sniffed.roles.length > 0 && 'Use it as '}
            {dropped.sniffed.roles.map((role) => (
              <button
                key={role} type="button" disabled={checked.config === null && text.trim() !== '' && !canParse(text)}
                onClick={() => {
                  setText(withFile(text, role, dropped.name));
                  setDropped(null);
                }}
              >{ROLE_NAMES[role]}</button>
            ))}
          </p>
        )}
      </div>
      <div className="machine-halves">
        <ConfigForm text={text} files={[...images.keys(), ...local.keys(), 'builtin']} change={setText} />
        <div className="machine-text">
          <CodeEditor
            document={description?.demo.name ?? ''} text={text} language="xl" label="Configuration of the machine" problems={checked.problems} goTo={goTo} change={setText} submit={submit}
          />
          <div className="problems" role="status">
            {checked.problems.length === 0 && <span>No errors.</span>}
            {checked.problems.map((problem) => (
              <button key={`${problem.line}${problem.message}`} type="button" className={problem.severity} onClick={() => setGoTo({ line: problem.line })}>
                Line {problem.line}: {problem.message}
              </button>
            ))}
          </div>
        </div>
      </div>
    </div>
  );
}

function canParse(text: string): boolean {
  try {
    parseXlConfig(text, 'configuration');
    return true;
  } catch {
    return false;
  }
}
