/** Breakpoints on the command line, and the table of VM exits. */
import { EXIT_REASONS, exitReasonName } from '../observe/exit-names';
import { EVERY_EXIT } from '../observe/exit-recorder';
import type { Inspector } from '../observe/inspector';
import type { Breakpoint } from '../observe/stops';
import { UsageError } from './usage';

const EXPECTED = 'an address (0x1000, or 0x1000@L2 for one level), exit, exit:REASON, port:NUMBER or msr:NUMBER is expected';

/** Reads WHERE of --break. */
export function parseBreakpoint(text: string, id: number): Breakpoint {
  const refuse = (): never => {
    throw new UsageError(`--break ${text}: ${EXPECTED}`);
  };
  const address = /^0x([0-9a-f]{1,16})(?:@L([1-7]))?$/i.exec(text);
  if (address !== null) return { id, kind: 'address', linear: address[1].padStart(16, '0'), level: address[2] === undefined ? null : Number(address[2]) };
  const [kind, value] = text.split(':', 2);
  if (kind === 'exit') return { id, kind, reason: value === undefined ? null : reasonOf(value) ?? refuse() };
  const number = value !== undefined && /^(0x[0-9a-f]+|\d+)$/i.test(value) ? Number(value) : Number.NaN;
  if (kind === 'port' && number <= 0xffff) return { id, kind, port: number };
  if (kind === 'msr' && number <= 0xffffffff) return { id, kind, index: number };
  return refuse();
}

/** An exit reason by name or number; null if there is none such. */
function reasonOf(text: string): number | null {
  return EXIT_REASONS.find((reason) => exitReasonName(reason) === text || String(reason) === text) ?? null;
}

/** VM exits by reason: how many, and what they cost the hypervisor. Empty if there were none. */
export function exitTable(inspector: Inspector): string {
  const { rows } = inspector.answer({ ask: 'histogram', filter: EVERY_EXIT });
  if (rows.length === 0) return '';
  const lines = rows.map((row) => `${row.name.padEnd(24)} ${String(row.total).padStart(12)} ${row.hypervisorInstructions === null ? '' : String(Math.round(row.hypervisorInstructions)).padStart(12)}`.trimEnd());
  return ['exit reason                     count  hypervisor', ...lines, ''].join('\n');
}
