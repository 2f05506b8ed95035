/** Disassembly around RIP or an address, with breakpoints in the margin. */
import { useState } from 'react';
import type { CodeBits } from '../../cpu/disassembler';
import type { CodeLine } from '../../observe/memory-view';
import { addBreakpoint, removeBreakpoint } from './breakpoints-tab';
import { AddressField, ContextPicker, Nothing, isAddress } from './shared';
import type { TabProps } from './shared';
import { useInspection } from './use-inspection';

const BEFORE = 8, AFTER = 40;

export function CodeTab(props: TabProps) {
  const { client, machine, visible, subject, change } = props;
  const [bits, setBits] = useState<CodeBits | null>(null);
  const address = subject.codeAddress;
  const valid = isAddress(address, true);
  const answer = useInspection(client, machine, visible && valid ? {
    ask: 'code', context: subject.context, linear: address === '' ? null : address, before: BEFORE, after: AFTER, bits,
  } : null);
  const code = answer?.code ?? null;
  return (
    <div className="sheet">
      <div className="fields">
        <ContextPicker {...props} />
        <AddressField label="Linear address" value={address} allowEmpty take={(text) => change({ codeAddress: text })} />
        <label className="field">Code{' '}
          <select value={bits ?? ''} onChange={(event) => setBits(event.target.value === '' ? null : Number(event.target.value) as CodeBits)}>
            <option value="">as the processor has it{bits === null && code !== null ? ` (${code.bits} bits)` : ''}</option><option value="16">16 bits</option><option value="32">32 bits</option><option value="64">64 bits</option>
          </select>
        </label>
      </div>
      {!valid || code === null ? <Nothing>{valid ? 'There is no such context at this moment.' : 'Hexadecimal digits, please: 1 to 16 of them, or nothing for RIP.'}</Nothing> : (
        <div className="scroll code" tabIndex={0} role="group" aria-label="Disassembly">
          {code.lines.map((line) => <Line key={line.linear} line={line} {...props} />)}
        </div>
      )}
    </div>
  );
}

function Line({ line, client, machine, change }: TabProps & { line: CodeLine }) {
  const breakpoint = machine.breakpoints.find((one) => one.kind === 'address' && one.linear === line.linear);
  return (
    <div className={`code-line${line.current ? ' current' : ''}`} aria-current={line.current ? 'true' : undefined}>
      <button
        type="button" className="margin" aria-pressed={breakpoint !== undefined} aria-label={`Breakpoint at ${line.linear}`}
        onClick={() => (breakpoint === undefined ? addBreakpoint(client, machine, { kind: 'address', linear: line.linear, level: null }) : removeBreakpoint(client, machine, breakpoint.id))}
      ><span aria-hidden="true">{breakpoint === undefined ? '○' : '●'}</span></button>
      <code className="place">{line.linear}</code>
      <code className="bytes">{line.bytes}</code>
      <code className="text">{line.current ? '▸ ' : '  '}{line.text === '' ? 'cannot be read' : line.text}</code>
      {line.target !== null && <button type="button" className="link" onClick={() => change({ codeAddress: line.target ?? '' })}>→ {line.target.replace(/^0+(?=.)/, '')}</button>}
    </div>
  );
}
