/** L1: the consoles of the machine itself. */
import { useState } from 'react';
import type { MachineClient, MachineSnapshot } from '../machine-client';
import { MACHINE_VIEWS } from './slots';
import { TabPanel, TabStrip, useTabPrefix } from './tabs';

export function MachinePane({ client, machine, visible }: { client: MachineClient; machine: MachineSnapshot; visible: boolean }) {
  const [chosen, choose] = useState(MACHINE_VIEWS[0].id);
  const prefix = useTabPrefix();
  return (
    <section className="pane l1" aria-label="L1: the machine">
      <div className="pane-head">
        <h2><span className="dot l1" aria-hidden="true" />L1 <small>{machine.demo?.levels[0] ?? 'the machine'}</small></h2>
      </div>
      <div className="view-head"><TabStrip label="Consoles of L1" tabs={MACHINE_VIEWS} chosen={chosen} choose={choose} prefix={prefix} /></div>
      {MACHINE_VIEWS.map((view) => (
        <TabPanel key={view.id} prefix={prefix} id={view.id} visible={chosen === view.id}>
          {view.render({ client, machine, visible: visible && chosen === view.id })}
        </TabPanel>
      ))}
    </section>
  );
}
