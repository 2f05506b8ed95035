/** The bar on top: name, demo, controls, and how fast the machine is. */
import type { ReactNode } from 'react';
import { DemoPicker } from './demo-picker';
import type { Demo } from './demos';
import type { ImagesStatus } from './images-status';
import type { MachineClient, MachineSnapshot } from './machine-client';
import { Meters } from './meters';
import { RunControls } from './run-controls';

interface Props {
  client: MachineClient;
  machine: MachineSnapshot;
  status: ImagesStatus;
  choose(demo: Demo): void;
  /** More buttons. */
  children?: ReactNode;
}

export function Header({ client, machine, status, choose, children }: Props) {
  return (
    <header className="bar">
      <h1>
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <rect x="1.5" y="1.5" width="29" height="29" rx="6" className="mark-l0" />
          <rect x="7" y="7" width="18" height="18" rx="3.5" className="mark-l1" />
          <rect x="12" y="12" width="8" height="8" rx="2" className="mark-l2" />
        </svg>
        Nestbox
      </h1>
      <DemoPicker current={machine.demo} status={status} choose={choose} />
      <RunControls client={client} machine={machine} />
      {children}
      <p className="tagline">Nested virtualization in a browser tab</p>
      <Meters machine={machine} />
    </header>
  );
}
