/** The panel below the consoles: one of DOCK_PANELS, or only its tabs. */
import type { MachineClient, MachineSnapshot } from '../machine-client';
import { DOCK_PANELS } from './slots';

interface Props {
  client: MachineClient;
  machine: MachineSnapshot;
  /** Panel that is open; null: none. */
  open: string | null;
}

export function Dock({ client, machine, open }: Props) {
  return (
    <section className="dock" aria-label="Panel">
      {DOCK_PANELS.map((panel) => (
        <div key={panel.id} className="dock-panel" id={`dock-${panel.id}`} hidden={open !== panel.id}>
          {panel.render({ client, machine, visible: open === panel.id })}
        </div>
      ))}
    </section>
  );
}

/** The buttons that open and close the dock's panels; at the foot of the page. */
export function DockTabs({ machine, open, choose }: { machine: MachineSnapshot; open: string | null; choose(panel: string | null): void }) {
  return (
    <div className="dock-tabs" role="group" aria-label="Panels">
      {DOCK_PANELS.map((panel) => (
        <button
          key={panel.id} type="button" aria-expanded={open === panel.id} aria-controls={`dock-${panel.id}`} onClick={() => choose(open === panel.id ? null : panel.id)}
        >{panel.label(machine)}</button>
      ))}
    </div>
  );
}
