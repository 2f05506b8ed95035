/**
 * The playground: the programs of the built-in L1 and L2, or of a lesson, in editors. They are assembled as they are typed, errors by line; Run (Ctrl+Enter,
 * Ctrl+S) starts them and puts them into the address.
 */
import { useEffect, useId, useMemo, useRef, useState } from 'react';
import type { BuiltinSources } from '../../guests/builtin';
import type { SourceError } from '../../worker/protocol';
import { CodeEditor } from '../editor/code-editor';
import type { EditorProblem } from '../editor/editor';
import { TabStrip, useTabPrefix } from '../layout/tabs';
import type { Description } from '../links/description';
import type { AssemblerClient, ProgramSources } from './assembler-client';

interface Props {
  assembler: AssemblerClient;
  /** The machine that runs; null: none yet. */
  description: Description | null;
  visible: boolean;
  run(lesson: string | null, sources: Partial<BuiltinSources>): void;
}

type SourceName = keyof BuiltinSources;
const CHECK_AFTER_MS = 300;
const NO_PROBLEMS: readonly EditorProblem[] = [];

/** What a lesson, or the program itself (null), comes with. */
function originals(lesson: string | null, program: ProgramSources): BuiltinSources {
  return program.lessons.find((one) => one.id === lesson) ?? program.sources;
}

export default function Playground({ assembler, description, visible, run }: Props) {
  const [program, setProgram] = useState<ProgramSources | null>(null);
  const [failure, setFailure] = useState('');
  const [lesson, setLesson] = useState<string | null>(null);
  const [edited, setEdited] = useState<Partial<BuiltinSources>>({});
  const [tab, setTab] = useState<string>('l1');
  const [errors, setErrors] = useState<readonly SourceError[]>([]);
  const [checked, setChecked] = useState(false);
  const [goTo, setGoTo] = useState<{ line: number } | null>(null);
  const prefix = useTabPrefix(), selectId = useId();

  useEffect(() => {
    if (!visible || program !== null) return;
    assembler.program().then(setProgram, (error: unknown) => setFailure(error instanceof Error ? error.message : String(error)));
  }, [assembler, visible, program]);

  // A link's programs come into the editors; what was being edited for another machine goes.
  const shown = useRef<Description | null>(null);
  useEffect(() => {
    if (description === null || description === shown.current) return;
    shown.current = description;
    setLesson(description.lesson);
    setEdited(description.sources);
  }, [description]);

  const sources = useMemo((): BuiltinSources | null => {
    if (program === null) return null;
    const { l1, l2 } = originals(lesson, program);
    return { l1, l2, ...edited };
  }, [program, lesson, edited]);
  const l1 = sources?.l1, l2 = sources?.l2;
  useEffect(() => {
    if (l1 === undefined || l2 === undefined) return undefined;
    let live = true;
    setChecked(false);
    const timer = setTimeout(() => {
      assembler.check({ l1, l2 }).then((found) => {
        if (!live) return;
        setErrors(found);
        setChecked(true);
      }, () => undefined);
    }, CHECK_AFTER_MS);
    return () => {
      live = false;
      clearTimeout(timer);
    };
  }, [assembler, l1, l2]);

  const problems = useMemo(() => ({
    l1: errors.filter((error) => error.source === 'l1').map(({ line, message }): EditorProblem => ({ line, message, severity: 'error' })),
    l2: errors.filter((error) => error.source === 'l2').map(({ line, message }): EditorProblem => ({ line, message, severity: 'error' })),
  }), [errors]);

  if (sources === null || program === null) return <p className="side-note">{failure === '' ? 'Loading the assembler…' : `The playground cannot start: ${failure}.`}</p>;

  const chosen = program.lessons.find((one) => one.id === lesson) ?? null;
  const included = Object.keys(program.includes).filter((name) => `${sources.l1}\n${sources.l2}`.includes(`"${name}"`));
  const isSource = (name: string): name is SourceName => name === 'l1' || name === 'l2';
  const shownTab = isSource(tab) || included.includes(tab) ? tab : 'l1';
  const changed = (name: SourceName): boolean => edited[name] !== undefined && edited[name] !== originals(lesson, program)[name];
  const submit = (): void => {
    // Only what differs: a link to an unchanged program stays short, and follows the program.
    run(lesson, { ...(changed('l1') ? { l1: sources.l1 } : {}), ...(changed('l2') ? { l2: sources.l2 } : {}) });
  };
  const show = (error: SourceError): void => {
    setTab(error.source);
    setGoTo({ line: error.line });
  };

  return (
    <div className="playground">
      <div className="side-bar">
        <label htmlFor={selectId}>Program</label>
        <select
          id={selectId} value={lesson ?? ''}
          onChange={(event) => {
            setLesson(event.currentTarget.value === '' ? null : event.currentTarget.value);
            setEdited({});
            setTab('l1');
          }}
        >
          <option value="">Built-in hypervisor and guest</option>
          {program.lessons.map(({ id, title }) => <option key={id} value={id}>{`Lesson ${title}`}</option>)}
        </select>
        <button type="button" className="primary" disabled={errors.length > 0} onClick={submit} title="Assemble and start (Ctrl+Enter or Ctrl+S)">Run</button>
        <button type="button" disabled={!changed('l1') && !changed('l2')} onClick={() => setEdited({})} title="Back to the program as it came">Undo all</button>
      </div>
      {chosen !== null && <section className="lesson" tabIndex={0} aria-label="Lesson">{chosen.text.map((paragraph) => <p key={paragraph}>{paragraph}</p>)}</section>}
      <div className="view-head">
        <TabStrip
          label="Sources" prefix={prefix} chosen={shownTab} choose={setTab}
          tabs={[
            { id: 'l1', label: <><span className="dot l1" aria-hidden="true" />L1 hypervisor{changed('l1') ? ' *' : ''}</> },
            { id: 'l2', label: <><span className="dot l2" aria-hidden="true" />L2 guest{changed('l2') ? ' *' : ''}</> },
            ...included.map((name) => ({ id: name, label: name, title: 'What the lessons have in common; read only' })),
          ]}
        />
      </div>
      <div className="tab-panel" role="tabpanel" id={`${prefix}-panel-${shownTab}`} aria-labelledby={`${prefix}-tab-${shownTab}`}>
        <CodeEditor
          document={`${lesson ?? ''}/${shownTab}`} language="nasm" submit={submit} goTo={goTo} readOnly={!isSource(shownTab)}
          text={isSource(shownTab) ? sources[shownTab] : program.includes[shownTab]} problems={isSource(shownTab) ? problems[shownTab] : NO_PROBLEMS}
          label={shownTab === 'l1' ? 'Source of the L1 hypervisor' : shownTab === 'l2' ? 'Source of the L2 guest' : shownTab}
          change={(text) => {
            if (isSource(shownTab)) setEdited((before) => ({ ...before, [shownTab]: text }));
          }}
        />
      </div>
      <div className="problems" role="status">
        {errors.length === 0 && <span>{checked ? 'No errors.' : 'Assembling…'}</span>}
        {errors.slice(0, 5).map((error) => (
          <button key={`${error.source}${error.line}${error.message}`} type="button" onClick={() => show(error)}>
            {error.source.toUpperCase()} line {error.line}: {error.message}
          </button>
        ))}
        {errors.length > 5 && <span>and {errors.length - 5} more</span>}
      </div>
    </div>
  );
}
