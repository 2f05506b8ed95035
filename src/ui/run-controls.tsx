/** What makes the machine go and stand: the header's slot for them. */
import type { MachineClient, MachineSnapshot } from './machine-client';

export function RunControls({ client, machine }: { client: MachineClient; machine: MachineSnapshot }) {
  const paused = machine.status === 'paused';
  const canRun = paused || machine.status === 'running';
  return (
    <div className="controls" role="group" aria-label="Machine">
      <button type="button" disabled={!canRun} onClick={() => (paused ? client.run() : client.pause())} title="In the inspector: p">{paused ? 'Run' : 'Pause'}</button>
      <button type="button" disabled={!canRun} onClick={() => client.step('instruction')} title="One instruction, or the delivery of one event, then pause (in the inspector: s)">Step</button>
      <button type="button" disabled={!canRun} onClick={() => client.step('exit')} title="To the next VM exit, before the hypervisor’s first instruction (in the inspector: e)">Next VM exit</button>
      <button type="button" disabled={machine.demo === null} onClick={() => client.reset()} title="Switch the machine off and on again">Reset</button>
    </div>
  );
}
