/** A difference between the engines, as text for people. */
import type { Disagreement } from './pair';
import type { Narrowed } from './narrow';
import type { TracedInstruction } from './protocol';

const NAME_WIDTH = 24;

function valueLines(disagreements: readonly Disagreement[]): string[] {
  return disagreements.flatMap(({ name, values: [interpreter, jit] }) => {
    const line = `  ${name.padEnd(NAME_WIDTH)} interpreter ${interpreter}  jit ${jit}`;
    return line.length < 160 && !line.includes('\n') ? [line] : [`  ${name}`, `    interpreter ${interpreter}`, `    jit         ${jit}`];
  });
}

/** Index of the first instruction that was reached in sequence with the last one: the block, as far as the trace shows it. */
export function blockStart(trace: readonly TracedInstruction[]): number {
  let start = Math.max(0, trace.length - 1);
  while (start > 0 && trace[start].rip === trace[start - 1].rip + BigInt(trace[start - 1].length)) start--;
  return start;
}

/** The last instruction of the block that changed something of what differs, -1 if none did. */
export function suspect(trace: readonly TracedInstruction[]): number {
  const start = blockStart(trace);
  for (let n = trace.length - 1; n >= start; n--) if (trace[n].changed.some((name) => name !== 'rip')) return n;
  return -1;
}

export function differenceReport({ instructions, clock, equalClock, disagreements, trace }: Narrowed): string {
  const lines = [
    `the engines differ after ${instructions} instructions (cycle ${clock}); at cycle ${equalClock} they were equal`,
    'what differs:', ...valueLines(disagreements),
  ];
  if (trace.length > 0) {
    const start = blockStart(trace), last = trace[trace.length - 1], marked = suspect(trace);
    lines.push(`last instructions, as the interpreter executed them (${marked < 0 ? 'none of the block changes what differs' : '>: changed last what differs'}):`);
    trace.forEach(({ line, changed }, n) => {
      if (n === start && n > 0) lines.push('  --- block ---');
      lines.push(`${n === marked ? '> ' : '  '}${line}${changed.length > 0 ? `    changed ${changed.join(', ')}` : ''}`);
    });
    const where = last.hostPhysical < 0 ? '' : `, host-physical ${last.hostPhysical.toString(16)}`;
    lines.push(`the instruction is the last one or, if the block ran compiled, one of it: from ${trace[start].rip.toString(16)} to ${last.rip.toString(16)}${where}`);
  }
  return lines.join('\n');
}

/** What can be said at once, before the search. */
export function firstReport(disagreements: readonly Disagreement[], clock: number): string {
  return [`the engines differ at cycle ${clock}:`, ...valueLines(disagreements)].join('\n');
}
