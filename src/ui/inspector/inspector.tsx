/**
 * The inspector: a panel that looks into processors, VMCSs, page tables and memory of all levels, and at every VM exit. Exits are recorded while it is open. It
 * asks the worker a few times a second while the machine runs; guests cannot tell whether it is open.
 */
import { useEffect, useState } from 'react';
import type { KeyboardEvent, ReactNode } from 'react';
import type { StepGoal } from '../../observe/stops';
import { Log } from '../log';
import { TabPanel, TabStrip, useTabPrefix } from '../layout/tabs';
import type { PartProps } from '../layout/slots';
import { BreakpointsTab } from './breakpoints-tab';
import { CodeTab } from './code-tab';
import { CpuTab } from './cpu-tab';
import { ExitsTab } from './exits-tab';
import './inspector.css';
import { MemoryTab } from './memory-tab';
import { RUN_KEYS } from './run-keys';
import { count } from './shared';
import type { InspectorTab, Subject, TabProps } from './shared';
import { useInspection } from './use-inspection';
import { VmcsTab } from './vmcs-tab';
import { WalkTab } from './walk-tab';

const TABS: readonly { id: InspectorTab; label: string; title: string; Content: (props: TabProps) => ReactNode }[] = [
  { id: 'exits', label: 'Exits', title: 'VM exits as they happen', Content: ExitsTab },
  { id: 'vmcs', label: 'VMCS', title: 'The virtual-machine control structure, decoded', Content: VmcsTab },
  { id: 'cpu', label: 'CPU', title: 'Registers', Content: CpuTab },
  { id: 'walk', label: 'Page walk', title: 'From a linear address through page tables and EPT to memory', Content: WalkTab },
  { id: 'code', label: 'Disassembly', title: 'Code around RIP or an address', Content: CodeTab },
  { id: 'memory', label: 'Memory', title: 'Memory in hexadecimal', Content: MemoryTab },
  { id: 'breakpoints', label: 'Breakpoints', title: 'Where the machine stops', Content: BreakpointsTab },
  { id: 'log', label: 'Log', title: 'Remarks of the machine', Content: ({ machine }) => <div className="scroll"><Log lines={machine.log} /></div> },
];

const NOTHING_CHOSEN: Subject = {
  context: { vcpu: 0, kind: 'now' }, exit: null, against: null, vmcsOfExit: false, walkAddress: '', codeAddress: '', memoryAddress: '0',
};

export function Inspector({ client, machine, visible }: PartProps) {
  const [tab, setTab] = useState<InspectorTab>('exits');
  const [subject, setSubject] = useState(NOTHING_CHOSEN);
  const prefix = useTabPrefix();
  useEffect(() => client.record(visible), [client, visible]);
  const overview = useInspection(client, machine, visible ? { ask: 'overview' } : null)?.overview ?? null;
  const change = (changed: Partial<Subject>): void => setSubject((now) => ({ ...now, ...changed }));
  const goTo = (to: InspectorTab, changed: Partial<Subject> = {}): void => {
    change(changed);
    setTab(to);
  };
  /** Single letters step while the focus is in the inspector and not in a field. */
  const key = (event: KeyboardEvent): void => {
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.altKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName)) return;
    const action = RUN_KEYS[event.key];
    if (action === undefined) return;
    event.preventDefault();
    action(client, machine);
  };
  return (
    <section className="inspector" aria-label="Inspector" onKeyDown={key}>
      <div className="inspector-head">
        <TabStrip label="Inspector" tabs={TABS} chosen={tab} choose={(id) => setTab(id as InspectorTab)} prefix={prefix} />
        <p className="where" role="status">{whereText({ machine, overview })}</p>
        <button
          type="button" className="small" disabled={machine.status !== 'paused' && machine.status !== 'running'} onClick={() => client.step('guest')}
          title="One step inside the guest; its hypervisor runs through (g). Also here: s steps one instruction, e runs to the next VM exit, p pauses and runs"
        >Step in guest</button>
      </div>
      {TABS.map(({ id, Content }) => (
        <TabPanel key={id} prefix={prefix} id={id} visible={tab === id}>
          <Content client={client} machine={machine} visible={visible && tab === id} overview={overview} subject={subject} change={change} goTo={goTo} />
        </TabPanel>
      ))}
    </section>
  );
}

const GOALS: Record<StepGoal, string> = { instruction: 'the next instruction', exit: 'the next VM exit', guest: 'the next instruction of a guest' };

function whereText({ machine, overview }: Pick<TabProps, 'machine' | 'overview'>): string {
  const { stop, status } = machine;
  if (status === 'paused' && stop !== null) {
    const at = `L${stop.level}, vCPU ${stop.vcpu}, 0x${stop.linear.replace(/^0+(?=.)/, '')}, ${count(stop.instructions)} instructions`;
    return `${stop.cause === 'breakpoint' ? 'Breakpoint' : stop.cause === 'step' ? 'Stepped' : 'Paused'}${stop.cause === 'pause' ? '' : `: ${stop.text}`} · ${at}`;
  }
  if (overview === null) return status === 'starting' ? 'The machine is starting' : 'No machine';
  if (status !== 'running') return 'Stopped';
  if (machine.stepping === null) return 'Running';
  const idle = (machine.statistics?.shares.idle ?? 0) > 0.9 ? '. The machine is idle: it may wait for input' : '';
  return `Running to ${GOALS[machine.stepping]}${idle}`;
}
