/**
 * The text editor: CodeMirror's state and view, with our own small history, highlighting and marks for errors. Loaded when the first
 * editor opens (code-editor.tsx).
 */
import { Compartment, EditorState, StateEffect, StateField } from '@codemirror/state';
import type { Extension, Range } from '@codemirror/state';
import { Decoration, drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers, ViewPlugin, WidgetType } from '@codemirror/view';
import type { Command, DecorationSet, ViewUpdate } from '@codemirror/view';
import { history, redo, undo } from './history';
import { highlightLine } from './languages';
import type { Language } from './languages';

export interface EditorProblem {
  /** From 1. */
  line: number;
  message: string;
  severity: 'error' | 'warning';
}

export interface EditorOptions {
  text: string;
  language: Language;
  label: string;
  readOnly: boolean;
  changed(text: string): void;
  /** Ctrl+Enter or Ctrl+S. */
  submit(): void;
}

export interface Editor {
  /** Replaces the text, as one step of the history; nothing if it is the same. */
  setText(text: string): void;
  /** Another text: the history begins anew. */
  reset(text: string, readOnly: boolean, label: string): void;
  setProblems(problems: readonly EditorProblem[]): void;
  goToLine(line: number): void;
  destroy(): void;
}

const TAB = 8;

class Message extends WidgetType {
  readonly problem: EditorProblem;

  constructor(problem: EditorProblem) {
    super();
    this.problem = problem;
  }

  override eq(other: Message): boolean {
    return other.problem.message === this.problem.message;
  }

  toDOM(): HTMLElement {
    const element = document.createElement('span');
    element.className = `cm-message ${this.problem.severity}`;
    element.textContent = this.problem.message;
    return element;
  }
}

const setProblemsEffect = StateEffect.define<readonly EditorProblem[]>();

/** Marks of problems; they move with the text until the next check. */
const problemMarks = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(marks, transaction) {
    let next = marks.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (!effect.is(setProblemsEffect)) continue;
      const { doc } = transaction.state;
      const ranges: Range<Decoration>[] = [];
      const seen = new Set<number>();
      for (const problem of effect.value) {
        // What belongs to no line stands at the first.
        const line = doc.line(Math.max(1, Math.min(doc.lines, problem.line)));
        if (seen.has(line.number)) continue;
        seen.add(line.number);
        ranges.push(Decoration.line({ class: `cm-problem ${problem.severity}` }).range(line.from));
        ranges.push(Decoration.widget({ widget: new Message(problem), side: 1 }).range(line.to));
      }
      next = Decoration.set(ranges, true);
    }
    return next;
  },
  provide: (field) => EditorView.decorations.from(field),
});

function highlighting(language: Language): Extension {
  const marks = new Map<string, Decoration>();
  const mark = (name: string): Decoration => {
    let found = marks.get(name);
    if (found === undefined) {
      found = Decoration.mark({ class: `cm-${name}` });
      marks.set(name, found);
    }
    return found;
  };
  const build = (view: EditorView): DecorationSet => {
    const ranges: Range<Decoration>[] = [];
    for (const { from, to } of view.visibleRanges) {
      for (let at = from; at <= to;) {
        const line = view.state.doc.lineAt(at);
        for (const piece of highlightLine(line.text, language)) ranges.push(mark(piece.kind).range(line.from + piece.from, line.from + piece.to));
        at = line.to + 1;
      }
    }
    return Decoration.set(ranges);
  };
  return ViewPlugin.fromClass(class {
    decorations: DecorationSet;
    constructor(view: EditorView) {
      this.decorations = build(view);
    }
    update(update: ViewUpdate): void {
      if (update.docChanged || update.viewportChanged) this.decorations = build(update.view);
    }
  }, { decorations: (plugin) => plugin.decorations });
}

/** A new line with the indentation of this one. */
const newLine: Command = ({ state, dispatch }) => {
  if (state.readOnly) return false;
  const { from, to } = state.selection.main;
  const line = state.doc.lineAt(from);
  const indent = /^[ \t]*/.exec(line.text)?.[0].slice(0, from - line.from) ?? '';
  dispatch(state.update({ changes: { from, to, insert: `\n${indent}` }, selection: { anchor: from + 1 + indent.length }, scrollIntoView: true, userEvent: 'input' }));
  return true;
};

/** Spaces up to the next tab stop; with a selection of several lines, before each of them. */
const indent: Command = ({ state, dispatch }) => {
  if (state.readOnly) return false;
  const { from, to } = state.selection.main;
  const first = state.doc.lineAt(from), last = state.doc.lineAt(to);
  if (first.number === last.number) {
    const spaces = ' '.repeat(TAB - ((from - first.from) % TAB));
    dispatch(state.update({ changes: { from, to, insert: spaces }, selection: { anchor: from + spaces.length }, userEvent: 'input' }));
    return true;
  }
  const changes = [];
  for (let n = first.number; n <= last.number; n++) changes.push({ from: state.doc.line(n).from, insert: ' '.repeat(TAB) });
  dispatch(state.update({ changes, userEvent: 'input' }));
  return true;
};

const outdent: Command = ({ state, dispatch }) => {
  const { from, to } = state.selection.main;
  const changes = [];
  for (let n = state.doc.lineAt(from).number; n <= state.doc.lineAt(to).number; n++) {
    const line = state.doc.line(n), spaces = Math.min(TAB, /^ */.exec(line.text)?.[0].length ?? 0);
    if (spaces > 0) changes.push({ from: line.from, to: line.from + spaces });
  }
  if (!state.readOnly && changes.length > 0) dispatch(state.update({ changes, userEvent: 'delete' }));
  return true;
};

/** To one end of the text; the browser's own keys know only what is on the screen. */
function toEnd(end: 'first' | 'last', extend: boolean): Command {
  return ({ state, dispatch }) => {
    const head = end === 'first' ? 0 : state.doc.length;
    dispatch(state.update({ selection: { anchor: extend ? state.selection.main.anchor : head, head }, scrollIntoView: true }));
    return true;
  };
}

const selectAll: Command = ({ state, dispatch }) => {
  dispatch(state.update({ selection: { anchor: 0, head: state.doc.length } }));
  return true;
};

export function createEditor(parent: HTMLElement, options: EditorOptions): Editor {
  const setup = new Compartment();
  /** Our own replacements of the text are no news. */
  let quiet = false;
  const submit = (): boolean => {
    options.submit();
    return true;
  };
  const extensions = (readOnly: boolean, label: string): Extension => [
    EditorState.readOnly.of(readOnly), EditorView.contentAttributes.of({ 'aria-label': label, tabindex: '0', ...(readOnly ? { 'aria-readonly': 'true' } : {}) }),
  ];
  const fresh = (text: string, readOnly: boolean, label: string): EditorState => EditorState.create({
    doc: text,
    extensions: [
      lineNumbers(), highlightActiveLine(), drawSelection(), history(), problemMarks, highlighting(options.language), EditorState.tabSize.of(TAB),
      keymap.of([
        { key: 'Mod-Enter', run: submit }, { key: 'Mod-s', run: submit, preventDefault: true },
        { key: 'Mod-z', run: undo, preventDefault: true }, { key: 'Mod-y', run: redo, preventDefault: true }, { key: 'Mod-Shift-z', run: redo, preventDefault: true },
        { key: 'Mod-Home', run: toEnd('first', false), shift: toEnd('first', true) }, { key: 'Mod-End', run: toEnd('last', false), shift: toEnd('last', true) },
        { key: 'Mod-a', run: selectAll, preventDefault: true }, { key: 'Enter', run: newLine }, { key: 'Tab', run: indent }, { key: 'Shift-Tab', run: outdent },
      ]),
      EditorView.updateListener.of((update) => {
        if (update.docChanged && !quiet) options.changed(update.state.doc.toString());
      }),
      setup.of(extensions(readOnly, label)),
    ],
  });
  const view = new EditorView({ parent, state: fresh(options.text, options.readOnly, options.label) });
  const quietly = (action: () => void): void => {
    quiet = true;
    action();
    quiet = false;
  };
  return {
    setText(text) {
      const old = view.state.doc.toString();
      if (old === text) return;
      // Only what differs, so that the cursor stays where it is.
      let from = 0, end = 0;
      while (from < Math.min(old.length, text.length) && old[from] === text[from]) from++;
      while (end < Math.min(old.length, text.length) - from && old[old.length - 1 - end] === text[text.length - 1 - end]) end++;
      quietly(() => view.dispatch({ changes: { from, to: old.length - end, insert: text.slice(from, text.length - end) } }));
    },
    reset(text, readOnly, label) {
      quietly(() => view.setState(fresh(text, readOnly, label)));
    },
    setProblems(problems) {
      view.dispatch({ effects: setProblemsEffect.of(problems) });
    },
    goToLine(line) {
      const { doc } = view.state;
      const { from } = doc.line(Math.max(1, Math.min(doc.lines, line)));
      view.dispatch({ selection: { anchor: from }, effects: EditorView.scrollIntoView(from, { y: 'center' }) });
      view.focus();
    },
    destroy() {
      view.destroy();
    },
  };
}
