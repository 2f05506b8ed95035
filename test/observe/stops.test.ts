/** Breakpoints and steps on the built-in demo: exact, and invisible to the guests. */
import { describe, expect, it } from 'vitest';
import '../support/bare-cpu';
import { R, RIP, VMX_MODE, VMX_NON_ROOT, VMX_ROOT } from '../../src/cpu/state';
import { instructionCount } from '../../src/cpu/clock';
import type { Session } from '../../src/machine/session';
import { Inspector } from '../../src/observe/inspector';
import { EVERY_EXIT } from '../../src/observe/exit-recorder';
import { levelNow } from '../../src/observe/guests';
import { resumeTowards, setBreakpoints, takeStop } from '../../src/observe/stops';
import type { Breakpoint, StepGoal, Stop } from '../../src/observe/stops';
import { V } from '../../src/vmx/vmcs';
import { EXIT_REASON, HOST_RIP } from '../../src/vmx/fields';
import { bootBuiltin, fingerprint } from './builtin';
import type { Fingerprint } from './builtin';

const PORTION = 100_000;
const IO = 30;

/** Runs until the machine waits for input, stopping wherever it is asked to; tells the stops. */
function runOut(session: Session, most = 100_000): Stop[] {
  const stops: Stop[] = [];
  while (!session.waiting && stops.length < most) {
    expect(session.run(PORTION)).toBe('running');
    const stop = takeStop();
    if (stop !== null) stops.push(stop);
  }
  return stops;
}

/** Steps once; null if the machine waits for input before it gets there. */
function tryStep(session: Session, goal: StepGoal): Stop | null {
  resumeTowards(goal);
  for (;;) {
    session.run(PORTION);
    const stop = takeStop();
    if (stop !== null || session.waiting) return stop;
  }
}

function step(session: Session, goal: StepGoal): Stop {
  const stop = tryStep(session, goal);
  if (stop === null) throw new Error(`no stop for ${goal}`);
  return stop;
}

async function undisturbed(): Promise<Fingerprint> {
  const session = await bootBuiltin();
  runOut(session);
  return fingerprint(session);
}

async function withBreakpoints(list: Breakpoint[]): Promise<{ stops: Stop[]; seen: Fingerprint; session: Session }> {
  const session = await bootBuiltin();
  setBreakpoints(list);
  const stops = runOut(session);
  return { stops, seen: fingerprint(session), session };
}

describe('stops on the built-in demo', () => {
  it('leave no trace: recorded, with breakpoints, stepped and undisturbed runs are equal', async () => {
    const plain = await undisturbed();
    expect(plain.consoles).toMatchObject({ l2: { bytes: expect.any(Number) } });
    expect(plain.exits['io']).toBeGreaterThan(50);

    const inspector = new Inspector();
    inspector.recorder.start();
    const recorded = await bootBuiltin();
    runOut(recorded);
    inspector.recorder.stop();
    expect(fingerprint(recorded)).toEqual(plain);
    expect(inspector.recorder.total).toBe(Object.values(plain.exits).reduce((sum, count) => sum + count, 0));

    const { stops, seen } = await withBreakpoints([{ id: 1, kind: 'exit', reason: null }, { id: 2, kind: 'port', port: 0x3fd }]);
    expect(seen).toEqual(plain);
    expect(stops.length).toBeGreaterThan(inspector.recorder.total);

    // Every instruction, or every step of the guest, through the part with the hypervisor and its guest.
    const stepped = await bootBuiltin();
    step(stepped, 'exit');
    let steps = 0;
    while (tryStep(stepped, steps % 5 === 0 ? 'guest' : 'instruction') !== null) steps++;
    expect(steps).toBeGreaterThan(500);
    resumeTowards(null);
    runOut(stepped);
    expect(fingerprint(stepped)).toEqual(plain);
  });

  it('leave no trace on a machine with two processors either', async () => {
    const first = await bootBuiltin('vcpus = 2');
    runOut(first);
    const plain = fingerprint(first);
    const stepped = await bootBuiltin('vcpus = 2');
    step(stepped, 'exit');
    for (let n = 0; n < 200; n++) expect(tryStep(stepped, n % 3 === 0 ? 'guest' : 'instruction')?.vcpu).toBe(0);
    setBreakpoints([{ id: 1, kind: 'exit', reason: null }]);
    expect(runOut(stepped).length).toBeGreaterThan(50);
    expect(fingerprint(stepped)).toEqual(plain);
  });

  it('at a VM exit, before the hypervisor’s first instruction', async () => {
    const { stops } = await withBreakpoints([{ id: 7, kind: 'exit', reason: IO }]);
    const plain = await undisturbed();
    expect(stops.length).toBe(plain.exits['io']);
    expect(stops[0]).toMatchObject({ cause: 'breakpoint', breakpoint: 7, text: 'VM exit: io', level: 1 });

    const session = await bootBuiltin();
    for (let n = 0; n < 20; n++) {
      const stop = step(session, 'exit');
      expect(R[VMX_MODE]).toBe(VMX_ROOT);
      expect([R[RIP], R[RIP + 1]]).toEqual([V[HOST_RIP], V[HOST_RIP + 1]]);
      expect(stop.text).toContain('VM exit: ');
      expect(V[EXIT_REASON]).toBeGreaterThan(0);
    }
  });

  it('before the instruction at a linear address, each time it comes round, and not again at once', async () => {
    // Where the guest's first IN or OUT is, and how often it exits there.
    const inspector = new Inspector();
    const session = await bootBuiltin();
    inspector.recorder.start();
    runOut(session);
    inspector.recorder.stop();
    const first = inspector.answer({ ask: 'exits', filter: { ...EVERY_EXIT, reasons: [IO] }, before: null, skip: 0, count: 500 }).rows.at(-1);
    if (first === undefined) throw new Error('no exit');
    const rounds = inspector.answer({ ask: 'exits', filter: { ...EVERY_EXIT, reasons: [IO] }, before: null, skip: 0, count: 500 }).rows.filter((row) => row.rip === first.rip);

    const inGuest = await withBreakpoints([{ id: 1, kind: 'address', linear: first.rip, level: 2 }]);
    expect(inGuest.stops.length).toBe(rounds.length);
    expect(inGuest.stops[0]).toMatchObject({ level: 2, linear: first.rip, instructions: first.instructions - 1 });
    const elsewhere = await withBreakpoints([{ id: 1, kind: 'address', linear: first.rip, level: 1 }]);
    expect(elsewhere.stops).toEqual([]);
    expect(elsewhere.seen).toEqual(inGuest.seen);
  });

  it('after port accesses and MSR accesses of any level', async () => {
    const { stops } = await withBreakpoints([{ id: 1, kind: 'port', port: 0x3f8 }]);
    const guests = stops.filter((stop) => stop.text.startsWith('guest access'));
    const own = stops.filter((stop) => stop.text === 'OUT to port 0x3f8');
    expect(guests.length).toBeGreaterThan(10);
    expect(own.length).toBeGreaterThan(10);
    expect(guests.every((stop) => stop.level === 1)).toBe(true);
    const msr = await withBreakpoints([{ id: 2, kind: 'msr', index: 0xc0000080 }]);
    expect(msr.stops.map((stop) => stop.text)).toEqual(['RDMSR of 0xc0000080 IA32_EFER', 'WRMSR of 0xc0000080 IA32_EFER'].slice(0, msr.stops.length));
    expect(msr.stops.length).toBeGreaterThan(0);
  });

  it('step through single instructions, and inside the guest with its hypervisor running through', async () => {
    const session = await bootBuiltin();
    for (let n = 0; n < 50; n++) {
      const before = instructionCount();
      step(session, 'instruction');
      expect(instructionCount()).toBe(before + 1);
    }
    step(session, 'exit');
    let exits = 0;
    for (let n = 0; n < 300; n++) {
      const before = instructionCount();
      const stop = step(session, 'guest');
      expect(R[VMX_MODE]).toBe(VMX_NON_ROOT);
      expect(levelNow()).toBe(2);
      expect(stop.level).toBe(2);
      if (instructionCount() > before + 1) exits++;
    }
    expect(exits).toBeGreaterThan(5);
    expect(exits).toBeLessThan(300);
  });
});
