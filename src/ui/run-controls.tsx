/** What makes the machine go and stand: the header's slot for them. */
import type { MachineClient, MachineSnapshot } from './machine-client';

export function RunControls({ client, machine }: { client: MachineClient; machine: MachineSnapshot }) {
  const paused = machine.status === 'paused';
  const canRun = paused || machine.status === 'running';
  return (
    <div className="controls" role="group" aria-label="Machine">
      <button type="button" disabled={!canRun} onClick={() => (paused ? client.run() : client.pause())}>{paused ? 'Run' : 'Pause'}</button>
      <button type="button" disabled={machine.demo === null} onClick={() => client.reset()} title="Switch the machine off and on again">Reset</button>
    </div>
  );
}
