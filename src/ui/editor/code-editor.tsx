/** A text editor with marks for problems. Until its program is loaded, or where it cannot be, it is a plain text field. */
import { useEffect, useRef, useState } from 'react';
import type { Editor, EditorProblem } from './editor';
import type { Language } from './languages';
import { isLeaveChord } from '../leave-chord';

interface Props {
  /** Which text it is: another one begins a new history. */
  document: string;
  text: string;
  language: Language;
  label: string;
  readOnly?: boolean;
  problems: readonly EditorProblem[];
  /** Where the cursor should go; a new object each time. */
  goTo?: { line: number } | null;
  change(text: string): void;
  submit(): void;
}

export function CodeEditor({ document: name, text, language, label, readOnly = false, problems, goTo = null, change, submit }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const after = useRef<HTMLParagraphElement>(null);
  const [editor, setEditor] = useState<Editor | null>(null);
  /** What the editor's callbacks see. */
  const latest = useRef({ text, change, submit, readOnly, label });
  /** Texts of the editor that have not come back as `text` yet: who types fast is ahead of them. */
  const ahead = useRef<string[]>([]);
  latest.current = { text, change, submit, readOnly, label };

  useEffect(() => {
    let live = true;
    let created: Editor | null = null;
    void import('./editor').then(({ createEditor }) => {
      if (!live || frame.current === null) return;
      const { current } = latest;
      created = createEditor(frame.current, {
        text: current.text, language, label: current.label, readOnly: current.readOnly,
        changed: (changed) => {
          ahead.current.push(changed);
          latest.current.change(changed);
        }, submit: () => latest.current.submit(),
      });
      setEditor(created);
    }, () => undefined);
    return () => {
      live = false;
      created?.destroy();
      setEditor(null);
    };
  }, [language]);

  const shown = useRef(name);
  useEffect(() => {
    if (editor === null) return;
    const known = shown.current === name ? ahead.current.indexOf(text) : -1;
    if (known >= 0) {
      ahead.current.splice(0, known + 1);
      return;
    }
    ahead.current = [];
    if (shown.current === name) editor.setText(text);
    else editor.reset(text, readOnly, label);
    shown.current = name;
  }, [editor, name, text, readOnly, label]);
  useEffect(() => editor?.setProblems(problems), [editor, problems, name]);
  useEffect(() => {
    if (goTo !== null) editor?.goToLine(goTo.line);
  }, [editor, goTo]);

  return (
    <div
      className="code-editor"
      onKeyDown={(event) => {
        if (!isLeaveChord(event.nativeEvent)) return;
        event.preventDefault();
        after.current?.focus();
      }}
    >
      <div className="code" ref={frame} />
      {editor === null && (
        <textarea
          className="plain-code" aria-label={label} spellCheck={false} readOnly={readOnly} value={text} onChange={(event) => change(event.currentTarget.value)}
          onKeyDown={(event) => {
            if ((event.ctrlKey || event.metaKey) && (event.key === 'Enter' || event.key === 's')) {
              event.preventDefault();
              submit();
            }
          }}
        />
      )}
      <p className="after" ref={after} tabIndex={-1}>Left {label}. Tab goes on, Shift+Tab returns.</p>
    </div>
  );
}
