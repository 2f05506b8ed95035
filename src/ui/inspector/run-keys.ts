/** What single letters do while the focus is in the inspector. */
import type { MachineClient, MachineSnapshot } from '../machine-client';

type Action = (client: MachineClient, machine: MachineSnapshot) => void;

export const RUN_KEYS: Readonly<Record<string, Action | undefined>> = {
  p: (client, machine) => (machine.status === 'paused' ? client.run() : client.pause()),
  s: (client) => client.step('instruction'),
  e: (client) => client.step('exit'),
  g: (client) => client.step('guest'),
};
