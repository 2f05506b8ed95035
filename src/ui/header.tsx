/** The bar on top: name, demo, controls, what opens the other parts of the page, and how fast the machine is. */
import type { ReactNode } from 'react';
import type { MachineClient, MachineSnapshot } from './machine-client';
import { Meters } from './meters';
import { RunControls } from './run-controls';

interface Props {
  client: MachineClient;
  machine: MachineSnapshot;
  openGallery(): void;
  /** More buttons. */
  children?: ReactNode;
}

export function Header({ client, machine, openGallery, children }: Props) {
  const title = machine.demo?.title ?? 'choose one';
  return (
    <header className="bar">
      <div className="brand">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <rect x="1.5" y="1.5" width="29" height="29" rx="6" className="mark-l0" />
          <rect x="7" y="7" width="18" height="18" rx="3.5" className="mark-l1" />
          <rect x="12" y="12" width="8" height="8" rx="2" className="mark-l2" />
        </svg>
        <div>
          <h1>Nestbox</h1>
          <p className="tagline">Nested virtualization in a browser tab</p>
        </div>
      </div>
      <button type="button" className="picker-button" aria-haspopup="dialog" title="Choose another demo" onClick={openGallery}>
        <span className="picker-label">Demo</span>{' '}
        <span className="picker-title">{title}</span>
        <span aria-hidden="true">▾</span>
      </button>
      <RunControls client={client} machine={machine} />
      {children}
      <Meters machine={machine} />
    </header>
  );
}
