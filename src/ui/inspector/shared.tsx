/** What the inspector's tabs share: which machine, which context of it, which exit, and small pieces of display. */
import type { ReactNode } from 'react';
import type { ContextChoice, ContextKind } from '../../observe/contexts';
import type { Overview } from '../../observe/inspector';
import type { MachineClient, MachineSnapshot } from '../machine-client';

export type InspectorTab = 'exits' | 'vmcs' | 'cpu' | 'walk' | 'code' | 'memory' | 'breakpoints' | 'log';

/** What is looked at, for all tabs. */
export interface Subject {
  context: ContextChoice;
  /** Exit that was chosen in the list. */
  exit: number | null;
  /** Exit that the chosen one is compared with; null: the guest's exit before it. */
  against: number | null;
  /** The VMCS tab shows the chosen exit's, not the current one. */
  vmcsOfExit: boolean;
  /** Addresses typed into the tabs; empty: RIP. */
  walkAddress: string;
  codeAddress: string;
  memoryAddress: string;
}

export interface TabProps {
  client: MachineClient;
  machine: MachineSnapshot;
  /** False while another tab is shown: nothing need be asked. */
  visible: boolean;
  overview: Overview | null;
  subject: Subject;
  change(change: Partial<Subject>): void;
  goTo(tab: InspectorTab, change?: Partial<Subject>): void;
}

const KIND_TEXT: Record<ContextKind, string> = { now: 'executing', guest: 'its guest, by its VMCS', host: 'the hypervisor, by the VMCS', exit: 'at exit' };

function keyOf(choice: ContextChoice): string {
  return choice.kind === 'exit' ? `exit ${choice.exit}` : `${choice.vcpu} ${choice.kind}`;
}

/** Chooses whose registers, tables and memory are shown. */
export function ContextPicker({ overview, subject, change }: Pick<TabProps, 'overview' | 'subject' | 'change'>) {
  const choices: { choice: ContextChoice; text: string }[] = [];
  for (const { vcpu, contexts } of overview?.vcpus ?? []) {
    for (const { kind, level } of contexts) choices.push({ choice: { vcpu, kind }, text: `vCPU ${vcpu} · L${level} · ${KIND_TEXT[kind]}` });
  }
  if (subject.exit !== null) choices.push({ choice: { vcpu: 0, kind: 'exit', exit: subject.exit }, text: `guest at exit ${subject.exit}` });
  const current = keyOf(subject.context);
  if (!choices.some(({ choice }) => keyOf(choice) === current)) {
    choices.push({ choice: subject.context, text: `vCPU ${subject.context.vcpu} · ${KIND_TEXT[subject.context.kind]} (not now)` });
  }
  return (
    <label className="field">Of{' '}
      <select
        value={current} onChange={(event) => {
          const picked = choices.find(({ choice }) => keyOf(choice) === event.target.value);
          if (picked !== undefined) change({ context: picked.choice });
        }}
      >{choices.map(({ choice, text }) => <option key={keyOf(choice)} value={keyOf(choice)}>{text}</option>)}</select>
    </label>
  );
}

/** Why a tab has nothing to show. */
export function Nothing({ children }: { children: ReactNode }) {
  return <p className="nothing">{children}</p>;
}

/** Names of set bits and the like. */
export function Chips({ list }: { list: readonly string[] }) {
  return <span className="chips">{list.map((text) => <span key={text} className="chip">{text}</span>)}</span>;
}

/** 16 digits in two halves, leading zeroes faint. */
export function Hex({ value }: { value: string }) {
  const zeroes = /^0*(?=.)/.exec(value)?.[0].length ?? 0;
  return <code className="hex"><span className="zeroes">{value.slice(0, zeroes)}</span>{value.slice(zeroes)}</code>;
}

export function count(value: number): string {
  return value.toLocaleString('en');
}

/** One colour per exit reason, in lists, bars and the timeline. */
export function reasonColour(reason: number): string {
  return `hsl(${(reason * 67 + 20) % 360} 58% 52%)`;
}

/** An address field: Enter or leaving it takes the text over. Empty means RIP where `allowEmpty`. */
export function AddressField({ label, value, allowEmpty, take }: { label: string; value: string; allowEmpty: boolean; take(text: string): void }) {
  return (
    <label className="field">{label}{' '}
      <input
        key={value} className="address" type="text" inputMode="text" spellCheck={false} autoComplete="off" autoCapitalize="off" defaultValue={value} placeholder={allowEmpty ? 'RIP' : ''}
        onKeyDown={(event) => {
          if (event.key === 'Enter') take(event.currentTarget.value.trim());
        }}
        onBlur={(event) => {
          if (event.target.value.trim() !== value) take(event.target.value.trim());
        }}
      />
    </label>
  );
}

/** Hexadecimal digits, or empty where that is allowed. */
export function isAddress(text: string, allowEmpty: boolean): boolean {
  return text === '' ? allowEmpty : /^(0x)?[0-9a-f]{1,16}$/i.test(text.replaceAll(/[_`\s]/g, ''));
}
