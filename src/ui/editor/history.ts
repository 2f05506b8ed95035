/** Undo and redo: the inverted changes of each step; typing without a pause is one step. */
import { StateEffect, StateField, Transaction } from '@codemirror/state';
import type { ChangeSet, EditorSelection, Extension } from '@codemirror/state';
import type { Command } from '@codemirror/view';

interface Step {
  changes: ChangeSet;
  /** Before the step that it takes back. */
  selection: EditorSelection;
}

interface Steps {
  done: readonly Step[];
  undone: readonly Step[];
  /** When the last step grew. */
  at: number;
}

const PAUSE_MS = 600;
const MOST_STEPS = 200;
/** Marks the transaction of an undo or redo, and says what the steps are after it. */
const travel = StateEffect.define<Steps>();

const steps = StateField.define<Steps>({
  create: () => ({ done: [], undone: [], at: 0 }),
  update(value, transaction) {
    for (const effect of transaction.effects) if (effect.is(travel)) return effect.value;
    if (!transaction.docChanged) return value;
    const changes = transaction.changes.invert(transaction.startState.doc);
    const at = transaction.annotation(Transaction.time) ?? 0;
    const last = value.done.at(-1);
    if (last !== undefined && at - value.at < PAUSE_MS && transaction.isUserEvent('input')) {
      return { done: [...value.done.slice(0, -1), { changes: changes.compose(last.changes), selection: last.selection }], undone: [], at };
    }
    return { done: [...value.done.slice(-MOST_STEPS), { changes, selection: transaction.startState.selection }], undone: [], at };
  },
});

export function history(): Extension {
  return steps;
}

function go(from: 'done' | 'undone', to: 'done' | 'undone'): Command {
  return ({ state, dispatch }) => {
    const value = state.field(steps);
    const step = value[from].at(-1);
    if (step === undefined || state.readOnly) return false;
    const back: Step = { changes: step.changes.invert(state.doc), selection: state.selection };
    dispatch(state.update({
      changes: step.changes, selection: step.selection, scrollIntoView: true,
      effects: travel.of({ ...value, [from]: value[from].slice(0, -1), [to]: [...value[to], back], at: 0 }),
    }));
    return true;
  };
}

export const undo = go('done', 'undone');
export const redo = go('undone', 'done');
