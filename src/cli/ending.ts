/** How a run ended, for people and as an exit code. */
import type { Outcome } from '../machine/session';
import type { RunArguments } from './arguments';
import { EXIT_BREAKPOINT, EXIT_CRASHED, EXIT_DEBUG_VALUE, EXIT_LIMIT, EXIT_MATCHED, EXIT_STOPPED } from './usage';

export type Ending = 'matched' | 'instruction limit' | 'time limit' | 'quit' | 'breakpoint' | 'guest';

/** What the session says at the end. */
export interface SessionEnd {
  outcome: Outcome;
  debugExit: number | null;
  instructions: number;
}

/** Exit code and explanation ('' if there is nothing to explain). `missing`: what the console did not show. */
export function exitOf(ending: Ending, args: RunArguments, missing: string, end: SessionEnd): { code: number; text: string } {
  const because = (code: number, text: string): { code: number; text: string } => ({ code, text: missing === '' ? text : `${text}; ${missing}` });
  switch (ending) {
    case 'matched': return { code: EXIT_MATCHED, text: '' };
    case 'instruction limit': return because(EXIT_LIMIT, `stopped after ${args.maxInstructions} instructions`);
    case 'time limit': return because(EXIT_LIMIT, `stopped after ${args.timeoutSeconds} seconds`);
    case 'quit': return { code: EXIT_STOPPED, text: '' };
    // The run has told where it stands.
    case 'breakpoint': return { code: EXIT_BREAKPOINT, text: '' };
    case 'guest':
  }
  switch (end.outcome) {
    case 'running': return because(EXIT_STOPPED, 'the guest is halted and waits for input');
    case 'debug-exit':
      if (end.debugExit === 0) return { code: EXIT_MATCHED, text: '' };
      return because(EXIT_DEBUG_VALUE, `the guest wrote ${end.debugExit} to the debug-exit port`);
    case 'crash': return because(EXIT_CRASHED, `the guest crashed after ${end.instructions} instructions`);
    case 'halted': return because(EXIT_STOPPED, 'every processor is halted for good');
    case 'reset': return because(EXIT_STOPPED, 'the guest reset the machine');
    default: return because(EXIT_STOPPED, 'the guest powered the machine off');
  }
}
