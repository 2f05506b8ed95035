/** The inspector's answers about the built-in demo: the recorder, contexts, code, memory, VMCSs. */
import { beforeAll, describe, expect, it } from 'vitest';
import '../support/bare-cpu';
import { R, STATE } from '../../src/cpu/state';
import { mem8 } from '../../src/cpu/mmu/memory';
import type { Session } from '../../src/machine/session';
import { Inspector } from '../../src/observe/inspector';
import type { InspectorQuery, VmcsAnswer } from '../../src/observe/inspector';
import { EVERY_EXIT, ExitRecorder } from '../../src/observe/exit-recorder';
import { addExitObserver, entryObserver, exitObserver, switchObserver } from '../../src/observe/exit-log';
import { resumeTowards, takeStop } from '../../src/observe/stops';
import type { StepGoal } from '../../src/observe/stops';
import { V } from '../../src/vmx/vmcs';
import { bootBuiltin } from './builtin';

const PORTION = 100_000;
const IO = 30, HLT = 12;

function runOut(session: Session): void {
  while (!session.waiting) session.run(PORTION);
}

function step(session: Session, goal: StepGoal, times = 1): void {
  for (let n = 0; n < times; n++) {
    resumeTowards(goal);
    do session.run(PORTION); while (takeStop() === null);
  }
}

function changedFields(vmcs: VmcsAnswer | null): Map<string, string[]> {
  const list = vmcs?.groups.flatMap((group) => group.fields) ?? [];
  return new Map(list.filter((field) => field.previous !== null).map((field) => [field.name, [field.previous ?? '', field.value]]));
}

describe('ExitRecorder', () => {
  it('keeps the last exits, images of fewer, and what each cost its hypervisor', async () => {
    const whole = new ExitRecorder(), small = new ExitRecorder(16, 4);
    const session = await bootBuiltin();
    const observers = [exitObserver, entryObserver, switchObserver];
    whole.start();
    runOut(session);
    whole.stop();
    const stats = session.stats(), total = Object.values(stats.exits).reduce((sum, count) => sum + count, 0);
    expect(whole.total).toBe(total);
    expect([exitObserver, entryObserver, switchObserver]).toEqual(observers);

    // L1's instructions after exits, and L2's between entries and exits, are all there is after the first exit.
    let inGuest = 0;
    for (let sequence = 1; sequence < total; sequence++) {
      const before = whole.get(sequence - 1), exit = whole.get(sequence);
      if (before === null || exit === null) throw new Error('lost');
      inGuest += exit.instructions - before.instructions - before.hypervisorInstructions;
      expect(exit).toMatchObject({ sequence, vcpu: 0, level: 2, guest: 1, codeBits: 64 });
    }
    const first = whole.get(0);
    expect(inGuest).toBeGreaterThan(500);
    // Before the first exit the guest executed a few instructions.
    expect((stats.instructions.l2 ?? 0) - inGuest).toBeLessThan(20);
    expect(stats.instructions.l2).toBeGreaterThan(inGuest);
    expect(first?.hypervisorInstructions).toBeGreaterThan(10);
    // The last exit was a HLT; its hypervisor waits too.
    expect(whole.get(total - 1)?.reason).toBe(HLT);
    expect(whole.get(total - 1)?.hypervisorInstructions).toBeNaN();

    const again = await bootBuiltin();
    small.start();
    runOut(again);
    small.stop();
    expect([small.total, small.first]).toEqual([total, total - 16]);
    expect(small.get(total - 17)).toBeNull();
    expect(small.get(total)).toBeNull();
    for (let sequence = small.first; sequence < total; sequence++) {
      expect({ ...small.get(sequence), hasImage: true }).toEqual(whole.get(sequence));
      expect(small.imageOf(sequence) !== null).toBe(sequence >= total - 4);
    }
    expect(small.imageOf(total - 2)).toEqual(whole.imageOf(total - 2));
    expect(small.previousOfGuest(total - 1)).toBe(total - 2);
    expect(small.previousOfGuest(small.first)).toBe(-1);
  });

  it('filters by reason, level and vCPU, newest first', async () => {
    const recorder = new ExitRecorder();
    const session = await bootBuiltin();
    recorder.start();
    runOut(session);
    recorder.stop();
    const all = (filter = EVERY_EXIT, before = Infinity): number[] => {
      const found: number[] = [];
      recorder.forEach(filter, (sequence) => found.push(sequence) > 0, before);
      return found;
    };
    expect(all().length).toBe(recorder.total);
    expect(all()[0]).toBe(recorder.total - 1);
    expect(all({ ...EVERY_EXIT, reasons: [HLT] })).toEqual([recorder.total - 1]);
    expect(all({ ...EVERY_EXIT, reasons: [IO] }).length).toBe(session.stats().exits['io']);
    expect(all({ ...EVERY_EXIT, reasons: [IO, HLT], level: 2, vcpu: 0 }).length).toBe(recorder.total);
    expect(all({ ...EVERY_EXIT, level: 3 })).toEqual([]);
    expect(all({ ...EVERY_EXIT, vcpu: 1 })).toEqual([]);
    expect(all(EVERY_EXIT, 2)).toEqual([1, 0]);
  });

  it('leaves other observers alone', () => {
    const seen: number[] = [];
    const before = exitObserver;
    const remove = addExitObserver((reason) => seen.push(reason));
    const recorder = new ExitRecorder(16, 4);
    recorder.start();
    recorder.start();
    recorder.stop();
    exitObserver?.(HLT, 0, 0, 0);
    expect(seen).toEqual([HLT]);
    remove();
    expect(exitObserver).toBe(before);
  });
});

describe('Inspector', () => {
  let session: Session;
  const inspector = new Inspector();

  beforeAll(async () => {
    session = await bootBuiltin();
    inspector.recorder.start();
    step(session, 'exit', 5);
    inspector.noteStop();
    step(session, 'exit');
    inspector.noteStop();
  });

  const guest = { vcpu: 0, kind: 'guest' } as const, now = { vcpu: 0, kind: 'now' } as const;

  it('tells what there is', () => {
    const { overview } = inspector.answer({ ask: 'overview' });
    expect(overview.vcpus).toEqual([{ vcpu: 0, running: true, contexts: [{ kind: 'now', level: 1 }, { kind: 'guest', level: 2 }] }]);
    expect(overview.guests).toMatchObject([{ id: 1, level: 2, parent: 0, exits: 6, entries: 6 }]);
    expect(overview.recorded).toEqual({ total: 6, first: 0, recording: true });
  });

  it('describes exits, counts them, and draws them', () => {
    const { rows, matching } = inspector.answer({ ask: 'exits', filter: EVERY_EXIT, before: null, skip: 1, count: 2 });
    expect(matching).toBe(6);
    expect(rows.map((row) => row.sequence)).toEqual([4, 3]);
    expect(rows[1]).toMatchObject({ name: 'io', detail: 'OUT port 0x3f8, 8 bits = 0x0a', code: 'out dx, al', hasImage: true, failedEntry: false });
    const { rows: histogram } = inspector.answer({ ask: 'histogram', filter: EVERY_EXIT });
    expect(histogram).toMatchObject([{ reason: IO, name: 'io', total: 6, recorded: 6 }]);
    expect(histogram[0].hypervisorInstructions).toBeGreaterThan(30);
    expect(inspector.answer({ ask: 'histogram', filter: { ...EVERY_EXIT, level: 3 } }).rows).toEqual([]);
    const { timeline } = inspector.answer({ ask: 'timeline', filter: EVERY_EXIT, count: 4 });
    expect([...timeline.sequences]).toEqual([2, 3, 4, 5]);
    expect(timeline.instructions[1]).toBe(rows[1].instructions);
  });

  it('shows what changed in a VMCS: since the last stop, and between exits', () => {
    const current = inspector.answer({ ask: 'vmcs', of: { vcpu: 0 } }).vmcs;
    expect(current).toMatchObject({ level: 2, guest: 1, launched: true, baseline: 'the last stop' });
    const changed = changedFields(current);
    expect([...changed.keys()]).toContain('guest RIP');
    expect([...changed.keys()]).not.toContain('guest CR3');
    // Alternating IN and OUT: two exits apart they are at the same place.
    const apart = changedFields(inspector.answer({ ask: 'vmcs', of: { exit: 5, against: 3 } }).vmcs);
    expect(apart.has('guest RIP')).toBe(false);
    const next = inspector.answer({ ask: 'vmcs', of: { exit: 5, against: null } }).vmcs;
    expect(next?.baseline).toBe('exit 4');
    expect(changedFields(next).get('guest RIP')).toEqual(changed.get('guest RIP'));
    expect(inspector.answer({ ask: 'vmcs', of: { exit: 99, against: null } }).vmcs).toBeNull();
    expect(inspector.answer({ ask: 'vmcs', of: { vcpu: 1 } }).vmcs).toBeNull();
  });

  it('shows registers of hypervisor and guest', () => {
    const l1 = inspector.answer({ ask: 'cpu', context: now }).cpu;
    expect(l1).toMatchObject({ level: 1, mode: '64-bit mode, CPL 0', vmx: 'VMX root operation', codeBits: 64 });
    expect(l1?.general.length).toBe(16);
    expect(l1?.msrs.find((msr) => msr.name.startsWith('EFER'))?.value).toMatch(/d00$|500$/);
    const l2 = inspector.answer({ ask: 'cpu', context: guest }).cpu;
    expect(l2).toMatchObject({ level: 2, general: [{ name: 'RSP', value: '000000000000fff0' }], fpu: null, vmx: 'VMX non-root operation' });
    const at = inspector.answer({ ask: 'cpu', context: { vcpu: 0, kind: 'exit', exit: 5 } }).cpu;
    expect(at?.rip).toBe(l2?.rip);
    expect(at?.control).toEqual(l2?.control);
    // The port that it wrote to is in DX.
    expect(at?.general.find((register) => register.name === 'RDX')?.value).toBe('00000000000003f8');
    expect(inspector.answer({ ask: 'cpu', context: { vcpu: 0, kind: 'host' } }).cpu).toBeNull();
  });

  it('shows the same code and memory through the guest’s tables as lies in the host’s memory', () => {
    const code = inspector.answer({ ask: 'code', context: guest, linear: null, before: 3, after: 3, bits: null }).code;
    expect(code?.bits).toBe(64);
    expect(code?.lines.map((line) => line.current)).toEqual([false, false, false, true, false, false]);
    expect(code?.lines[3].text).toBe('out dx, al');
    const [line] = code?.lines.slice(3) ?? [];
    const walk = inspector.answer({ ask: 'walk', context: guest, linear: line.linear, access: 'fetch', user: false }).walk;
    expect(walk).toMatchObject({ paging: '4-level', memory: 'RAM', fault: null });
    expect(walk?.ept.length).toBeGreaterThan(2);
    expect(walk?.hostPhysical).not.toBe(walk?.guestPhysical);
    const linear = inspector.answer({ ask: 'memory', context: guest, space: 'linear', address: line.linear, length: 64 }).bytes;
    const host = inspector.answer({ ask: 'memory', context: now, space: 'hostPhysical', address: walk?.hostPhysical ?? '', length: 64 }).bytes;
    expect(linear).toEqual(host);
    expect(linear?.[0]).toBe(0xee);
    const physical = inspector.answer({ ask: 'memory', context: guest, space: 'guestPhysical', address: walk?.guestPhysical ?? '', length: 64 }).bytes;
    expect(physical).toEqual(host);
    // Beyond the guest's 4 MiB there is nothing.
    expect([...inspector.answer({ ask: 'memory', context: guest, space: 'guestPhysical', address: '3ffffe', length: 4 }).bytes ?? []].map((byte) => byte < 0)).toEqual([false, false, true, true]);
    expect(inspector.answer({ ask: 'memory', context: guest, space: 'linear', address: 'xyz', length: 4 }).bytes).toBeNull();
  });

  it('changes nothing by answering', () => {
    const state = new Uint8Array(STATE.slice(0)), vmcs = V.slice(), memory = mem8.slice();
    const queries: InspectorQuery[] = [
      { ask: 'overview' }, { ask: 'vmcs', of: { vcpu: 0 } }, { ask: 'cpu', context: now }, { ask: 'cpu', context: guest },
      { ask: 'walk', context: guest, linear: '10000', access: 'write', user: true }, { ask: 'walk', context: now, linear: 'ffffffffffffffff', access: 'read', user: false },
      { ask: 'code', context: guest, linear: '10000', before: 10, after: 100, bits: 16 }, { ask: 'memory', context: now, space: 'linear', address: 'fee00000', length: 4096 },
      { ask: 'exits', filter: EVERY_EXIT, before: null, skip: 0, count: 100 }, { ask: 'timeline', filter: EVERY_EXIT, count: 100 },
    ];
    for (const query of queries) expect(inspector.answer(query).ask).toBe(query.ask);
    expect(new Uint8Array(STATE.slice(0))).toEqual(state);
    expect(V).toEqual(vmcs);
    expect(Buffer.compare(mem8, memory)).toBe(0);
    expect(R[0]).toBe(new Int32Array(state.buffer)[0]);
  });

  it('shows the hypervisor that waits while its guest runs', () => {
    step(session, 'guest', 2);
    const { overview } = inspector.answer({ ask: 'overview' });
    expect(overview.level).toBe(2);
    expect(overview.vcpus[0].contexts).toEqual([{ kind: 'now', level: 2 }, { kind: 'host', level: 1 }]);
    const host = inspector.answer({ ask: 'cpu', context: { vcpu: 0, kind: 'host' } }).cpu;
    expect(host).toMatchObject({ level: 1, mode: '64-bit mode, CPL 0' });
    const efer = (kind: 'now' | 'guest'): string | undefined => inspector.answer({ ask: 'cpu', context: { vcpu: 0, kind } }).cpu?.control.find((register) => register.name === 'EFER')?.value;
    const guestEfer = efer('now');
    step(session, 'exit');
    // It is not in this VMCS.
    expect(efer('guest')).toBe(guestEfer);
    const after = inspector.answer({ ask: 'cpu', context: now }).cpu;
    expect(after?.rip).toBe(host?.rip);
    expect(after?.control.filter((register) => register.name !== 'CR2').map((register) => [register.name, register.value])).toEqual(
      host?.control.map((register) => [register.name, register.value]),
    );
    expect(after?.segments).toEqual(host?.segments);
  });
});
