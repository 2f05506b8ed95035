/** All registers of a context, decoded. What changed since the stop before is lit. */
import { useEffect, useRef, useState } from 'react';
import type { CpuView, RegisterView } from '../../observe/cpu-view';
import { Chips, ContextPicker, Hex, Nothing, count } from './shared';
import type { TabProps } from './shared';
import { useInspection } from './use-inspection';

/** All registers by name. */
function valuesOf(cpu: CpuView): Map<string, string> {
  const values = new Map<string, string>([['RIP', cpu.rip]]);
  for (const list of [cpu.general, [cpu.rflags], cpu.control, cpu.debug, cpu.msrs, cpu.fpu ?? [], cpu.sse ?? []]) {
    for (const { name, value } of list) values.set(name, value);
  }
  for (const segment of cpu.segments) values.set(segment.name, `${segment.selector}${segment.base}${segment.limit}${segment.rights}`);
  return values;
}

/** Values shown before the present ones, of the same context. */
function usePrevious(cpu: CpuView | null): Map<string, string> | null {
  const kept = useRef<{ key: string; now: Map<string, string> } | null>(null);
  const [previous, setPrevious] = useState<Map<string, string> | null>(null);
  useEffect(() => {
    if (cpu === null) return;
    const key = `${cpu.vcpu} ${cpu.level}`, now = valuesOf(cpu), before = kept.current;
    kept.current = { key, now };
    if (before === null || before.key !== key) setPrevious(null);
    else if ([...now].some(([name, value]) => before.now.get(name) !== value)) setPrevious(before.now);
  }, [cpu]);
  return previous;
}

export function CpuTab(props: TabProps) {
  const { client, machine, visible, subject } = props;
  const answer = useInspection(client, machine, visible ? { ask: 'cpu', context: subject.context } : null);
  const cpu = answer?.cpu ?? null;
  const previous = usePrevious(cpu);
  const changed = (name: string, value: string): boolean => previous !== null && previous.get(name) !== undefined && previous.get(name) !== value;
  return (
    <div className="sheet">
      <div className="fields">
        <ContextPicker {...props} />
        {cpu !== null && <span className="legend">L{cpu.level} · {cpu.mode} · {cpu.activity} · {cpu.vmx} · {count(cpu.instructions)} instructions</span>}
      </div>
      {cpu === null ? <Nothing>There is no such context at this moment.</Nothing> : (
        <div className="scroll cpu" tabIndex={0} role="group" aria-label="Registers">
          <Registers
            title="General registers" list={[...cpu.general, { name: 'RIP', value: cpu.rip, decoded: [] }, cpu.rflags]} changed={changed}
            note={cpu.general.length === 1 ? 'The hypervisor keeps the general registers of this context in its own memory; the VMCS has RIP, RSP and RFLAGS only. Choose an exit to see the guest’s.' : ''}
          />
          <Segments cpu={cpu} changed={changed} />
          <Registers title="Control registers" list={cpu.control} changed={changed} />
          <Registers title="Debug registers" list={cpu.debug} changed={changed} />
          {cpu.fpu !== null && <Registers title="x87 and MMX" list={cpu.fpu} changed={changed} />}
          {cpu.sse !== null && <Registers title="SSE" list={cpu.sse} changed={changed} />}
          <Registers title="Model-specific registers" list={cpu.msrs} changed={changed} />
        </div>
      )}
    </div>
  );
}

type Changed = (name: string, value: string) => boolean;

function Registers({ title, list, changed, note = '' }: { title: string; list: readonly RegisterView[]; changed: Changed; note?: string }) {
  return (
    <section className="group">
      <h3>{title}</h3>
      {note !== '' && <p className="hint">{note}</p>}
      <div className="registers">
        {list.map(({ name, value, decoded }) => (
          <div key={name} className={`register${changed(name, value) ? ' changed' : ''}`}><span className="name">{name}</span><Hex value={value} /><Chips list={decoded} /></div>
        ))}
      </div>
    </section>
  );
}

function Segments({ cpu, changed }: { cpu: CpuView; changed: Changed }) {
  return (
    <section className="group">
      <h3>Segments and tables</h3>
      <div className="registers">
        {cpu.segments.map((segment) => (
          <div key={segment.name} className={`register${changed(segment.name, `${segment.selector}${segment.base}${segment.limit}${segment.rights}`) ? ' changed' : ''}`}>
            <span className="name">{segment.name}</span><code>{segment.selector}</code> <small>base</small> <Hex value={segment.base} /> <small>limit</small> <code>{segment.limit}</code>{' '}
            <Chips list={[segment.text]} />
          </div>
        ))}
        {cpu.tables.map(({ name, base, limit }) => (
          <div key={name} className="register"><span className="name">{name}</span><small>base</small> <Hex value={base} /> <small>limit</small> <code>{limit}</code></div>
        ))}
      </div>
    </section>
  );
}
