/** The page's side of the machine, with a worker that the test plays. */
import { describe, expect, it } from 'vitest';
import { makeDemo } from '../../src/ui/demos';
import type { Stop } from '../../src/observe/stops';
import { plainDescription } from '../../src/ui/links/description';
import { MachineClient } from '../../src/ui/machine-client';
import type { ConsoleSink } from '../../src/ui/machine-client';
import { makeProblem } from '../../src/worker/problems';
import type { Report, Request } from '../../src/worker/protocol';

class FakeWorker extends EventTarget {
  readonly requests: Request[] = [];
  terminated = false;
  postMessage(request: Request): void {
    this.requests.push(request);
  }
  terminate(): void {
    this.terminated = true;
  }
  say(report: Report): void {
    this.dispatchEvent(new MessageEvent('message', { data: report }));
  }
}

function connect(): { client: MachineClient; workers: FakeWorker[] } {
  const workers: FakeWorker[] = [];
  const client = new MachineClient(() => {
    const worker = new FakeWorker();
    workers.push(worker);
    return worker as unknown as Worker;
  }, 'http://host/sub/');
  return { client, workers };
}

class FakeTerminal implements ConsoleSink {
  text = '';
  acknowledge: (() => void)[] = [];
  write(bytes: Uint8Array, displayed: () => void): void {
    this.text += String.fromCharCode(...bytes);
    this.acknowledge.push(displayed);
  }
  clear(): void {
    this.text = '';
  }
}

const DEMO = makeDemo('builtin', 'kernel = "builtin"');
const MACHINE = plainDescription(DEMO);
const bytes = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

describe('MachineClient', () => {
  it('starts a demo and follows its stages', () => {
    const { client, workers } = connect();
    let changes = 0;
    client.subscribe(() => changes++);
    client.start(MACHINE);
    expect(workers[0].requests[0]).toMatchObject({ type: 'start', name: 'builtin', base: 'http://host/sub/' });
    expect(client.getSnapshot()).toMatchObject({ status: 'starting', demo: DEMO });
    workers[0].say({ type: 'stage', stage: { name: 'load', download: null } });
    workers[0].say({ type: 'stage', stage: { name: 'l1', download: null } });
    expect(client.getSnapshot()).toMatchObject({ status: 'running', stage: { name: 'l1' } });
    expect(Object.keys(client.getSnapshot().reached)).toEqual(['load', 'l1']);
    client.pause();
    client.pause();
    expect(client.getSnapshot().status).toBe('paused');
    client.run();
    expect(workers[0].requests.map((request) => request.type)).toEqual(['start', 'pause', 'run']);
    expect(changes).toBeGreaterThan(4);
  });

  it('steps, and knows where the machine stands', () => {
    const { client, workers } = connect();
    client.step('exit');
    client.start(MACHINE);
    workers[0].say({ type: 'stage', stage: { name: 'l1', download: null } });
    client.step('exit');
    expect(client.getSnapshot()).toMatchObject({ status: 'running', stepping: 'exit', stop: null });
    const stop: Stop = { cause: 'step', breakpoint: null, text: 'VM exit: io', instructions: 9, level: 1, vcpu: 0, linear: '0000000000001000' };
    workers[0].say({ type: 'paused', stop });
    expect(client.getSnapshot()).toMatchObject({ status: 'paused', stepping: null, stop });
    // A long step: the machine runs meanwhile.
    client.step('guest');
    workers[0].say({ type: 'resumed' });
    expect(client.getSnapshot()).toMatchObject({ status: 'running', stepping: 'guest', stop: null });
    workers[0].say({ type: 'paused', stop: { ...stop, cause: 'breakpoint', breakpoint: 2 } });
    client.run();
    expect(client.getSnapshot()).toMatchObject({ status: 'running', stepping: null, stop: null });
    expect(workers[0].requests.map((request) => request.type)).toEqual(['start', 'step', 'step', 'run']);
  });

  it('forgets breakpoints when another demo starts, and keeps them when the same is changed', () => {
    const { client, workers } = connect();
    client.start(MACHINE);
    client.setBreakpoints([{ id: 1, kind: 'port', port: 0x3f8 }]);
    client.start({ ...MACHINE, demo: makeDemo('builtin', 'kernel = "builtin"\nmemory = 48') });
    expect(client.getSnapshot().breakpoints.length).toBe(1);
    client.start(plainDescription(makeDemo('other', 'kernel = "k"')));
    expect(client.getSnapshot().breakpoints).toEqual([]);
    expect(workers[2].requests.map((request) => request.type)).toEqual(['start']);
  });

  it('shows trouble of a guest until it is dismissed, while the machine runs on', () => {
    const { client, workers } = connect();
    client.start(MACHINE);
    workers[0].say({ type: 'stage', stage: { name: 'l1', download: null } });
    workers[0].say({ type: 'trouble', problem: makeProblem('L2 crashed', 'why', []) });
    expect(client.getSnapshot()).toMatchObject({ status: 'running', problem: { title: 'L2 crashed' } });
    client.dismissProblem();
    expect(client.getSnapshot()).toMatchObject({ status: 'running', problem: null });
  });

  it('keeps breakpoints and recording over a reset', () => {
    const { client, workers } = connect();
    client.start(MACHINE);
    client.setBreakpoints([{ id: 1, kind: 'exit', reason: null }]);
    client.record(true);
    client.record(true);
    client.reset();
    expect(workers.map((worker) => worker.requests.map((request) => request.type))).toEqual([['start', 'breakpoints', 'record'], ['start', 'breakpoints', 'record']]);
    expect(client.getSnapshot().breakpoints.length).toBe(1);
  });

  it('gives each question its answer, and none when the machine is gone', async () => {
    const { client, workers } = connect();
    expect(await client.inspect({ ask: 'overview' })).toBeNull();
    client.start(MACHINE);
    const first = client.inspect({ ask: 'exit', sequence: 1 }), second = client.inspect({ ask: 'vmcs', of: { vcpu: 0 } }), third = client.inspect({ ask: 'overview' });
    const ids = workers[0].requests.flatMap((request) => (request.type === 'inspect' ? [request.id] : []));
    expect(new Set(ids).size).toBe(3);
    workers[0].say({ type: 'inspection', id: ids[1], answer: { ask: 'vmcs', vmcs: null } });
    workers[0].say({ type: 'inspection', id: ids[0], answer: { ask: 'exit', row: null } });
    expect([await first, await second]).toEqual([{ ask: 'exit', row: null }, { ask: 'vmcs', vmcs: null }]);
    client.reset();
    expect(await third).toBeNull();
  });

  it('brings output to terminals, even early output, and tells what was displayed', () => {
    const { client, workers } = connect();
    client.start(MACHINE);
    workers[0].say({ type: 'serial', console: 'l2', bytes: bytes('early ') });
    const terminal = new FakeTerminal();
    client.attachConsole('l2', terminal);
    workers[0].say({ type: 'serial', console: 'l2', bytes: bytes('late') });
    expect(terminal.text).toBe('early late');
    terminal.acknowledge.forEach((acknowledge) => acknowledge());
    expect(workers[0].requests.slice(1)).toEqual([{ type: 'consumed', bytes: 6 }, { type: 'consumed', bytes: 4 }]);
    client.type('l2', bytes('x'));
    expect(workers[0].requests.at(-1)).toMatchObject({ type: 'input', console: 'l2' });
  });

  it('resets with the files it has, and hears the old worker no more', () => {
    const { client, workers } = connect();
    const terminal = new FakeTerminal();
    client.attachConsole('l1', terminal);
    client.start(MACHINE);
    const blob = new Blob(['kernel']);
    workers[0].say({ type: 'image', name: 'images/k', blob });
    workers[0].say({ type: 'serial', console: 'l1', bytes: bytes('old') });
    client.reset();
    expect(workers[0].terminated).toBe(true);
    expect(terminal.text).toBe('');
    workers[0].say({ type: 'log', text: 'from the grave' });
    terminal.acknowledge.forEach((acknowledge) => acknowledge());
    expect(client.getSnapshot().log).toEqual([]);
    expect(workers[1].requests).toHaveLength(1);
    expect(workers[1].requests[0]).toMatchObject({ images: new Map([['images/k', blob]]) });
  });

  it('shows problems, and a start clears them', () => {
    const { client, workers } = connect();
    client.refuse(makeProblem('No such demo', 'why', []));
    expect(client.getSnapshot()).toMatchObject({ status: 'failed', demo: null, problem: { title: 'No such demo' } });
    client.reset();
    expect(workers).toHaveLength(0);
    client.start(MACHINE);
    expect(client.getSnapshot().problem).toBeNull();
    workers[0].say({ type: 'stopped', crashed: true, problem: makeProblem('L1 crashed', 'why', []) });
    expect(client.getSnapshot()).toMatchObject({ status: 'stopped', problem: { title: 'L1 crashed' } });
    client.run();
    expect(workers[0].requests).toHaveLength(1);
  });

  it('explains workers that cannot be made or loaded', () => {
    const broken = new MachineClient(() => {
      throw new Error('workers are forbidden');
    }, '');
    broken.start(MACHINE);
    expect(broken.getSnapshot()).toMatchObject({ status: 'failed', problem: { why: 'Workers are forbidden.' } });
  });
});
