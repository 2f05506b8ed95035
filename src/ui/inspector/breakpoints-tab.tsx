/** Breakpoints: the list, and how one is added. */
import { useState } from 'react';
import { EXIT_REASONS, exitReasonName } from '../../observe/exit-names';
import type { Breakpoint } from '../../observe/stops';
import type { MachineClient, MachineSnapshot } from '../machine-client';
import { Nothing, isAddress } from './shared';
import type { TabProps } from './shared';

/** A breakpoint without its id. */
export type NewBreakpoint = Breakpoint extends infer B ? (B extends Breakpoint ? Omit<B, 'id'> : never) : never;

export function addBreakpoint(client: MachineClient, machine: MachineSnapshot, added: NewBreakpoint): void {
  const id = Math.max(0, ...machine.breakpoints.map((one) => one.id)) + 1;
  client.setBreakpoints([...machine.breakpoints, { ...added, id }]);
}

export function removeBreakpoint(client: MachineClient, machine: MachineSnapshot, id: number): void {
  client.setBreakpoints(machine.breakpoints.filter((one) => one.id !== id));
}

function describe(breakpoint: Breakpoint): string {
  switch (breakpoint.kind) {
    case 'address': return `before linear address 0x${breakpoint.linear.replace(/^0+(?=.)/, '')}${breakpoint.level === null ? '' : ` in L${breakpoint.level}`}`;
    case 'exit': return breakpoint.reason === null ? 'after every VM exit' : `after VM exits with reason ${exitReasonName(breakpoint.reason)}`;
    case 'port': return `after accesses to port 0x${breakpoint.port.toString(16)}, by any level`;
    case 'msr': return `after RDMSR or WRMSR of MSR 0x${breakpoint.index.toString(16)}, or its VM exit`;
  }
}

const KINDS = [['address', 'linear address'], ['exit', 'VM exit'], ['port', 'port'], ['msr', 'MSR']] as const;
type Kind = (typeof KINDS)[number][0];

/** The breakpoint that the form describes; null if the value is no good. */
function fromForm(kind: Kind, value: string, level: string, reason: string): NewBreakpoint | null {
  if (kind === 'exit') return { kind, reason: reason === '' ? null : Number(reason) };
  if (!isAddress(value, false)) return null;
  const digits = value.replace(/^0x/i, '').toLowerCase(), number = Number.parseInt(digits, 16);
  if (kind === 'address') return { kind, linear: digits.padStart(16, '0'), level: level === '' ? null : Number(level) };
  if (kind === 'port') return number <= 0xffff ? { kind, port: number } : null;
  return number <= 0xffffffff ? { kind, index: number } : null;
}

export function BreakpointsTab({ client, machine }: TabProps) {
  const [kind, setKind] = useState<Kind>('address');
  const [value, setValue] = useState('');
  const [level, setLevel] = useState('');
  const [reason, setReason] = useState('');
  const added = fromForm(kind, value, level, reason);
  return (
    <div className="sheet">
      <form
        className="fields" onSubmit={(event) => {
          event.preventDefault();
          if (added === null) return;
          addBreakpoint(client, machine, added);
          setValue('');
        }}
      >
        <label className="field">Stop at{' '}
          <select value={kind} onChange={(event) => setKind(event.target.value as Kind)}>{KINDS.map(([one, text]) => <option key={one} value={one}>{text}</option>)}</select>
        </label>
        {kind === 'exit' ? (
          <label className="field">Reason{' '}
            <select value={reason} onChange={(event) => setReason(event.target.value)}>
              <option value="">any</option>{EXIT_REASONS.map((one) => <option key={one} value={one}>{exitReasonName(one)}</option>)}
            </select>
          </label>
        ) : (
          <label className="field">0x <input className="address" value={value} onChange={(event) => setValue(event.target.value)} spellCheck={false} autoComplete="off" autoCapitalize="off" aria-label="Hexadecimal number" /></label>
        )}
        {kind === 'address' && (
          <label className="field">Level{' '}
            <select value={level} onChange={(event) => setLevel(event.target.value)}><option value="">any</option><option value="1">L1</option><option value="2">L2</option><option value="3">L3</option></select>
          </label>
        )}
        <button type="submit" className="small" disabled={added === null}>Add</button>
        {kind === 'address' && <span className="legend">The machine is slower while there is one.</span>}
      </form>
      {machine.breakpoints.length === 0 ? <Nothing>No breakpoints. Guests cannot tell whether there are any, nor where they were stopped.</Nothing> : (
        <ul className="scroll breakpoints">
          {machine.breakpoints.map((one) => (
            <li key={one.id} className={machine.stop?.breakpoint === one.id ? 'met' : ''}>
              <span>{describe(one)}{machine.stop?.breakpoint === one.id && <strong> · the machine stopped here</strong>}</span>
              <button type="button" className="small" onClick={() => removeBreakpoint(client, machine, one.id)} aria-label={`Remove: ${describe(one)}`}>Remove</button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
