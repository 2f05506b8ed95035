/** L2 and deeper: a tab strip for each guest machine, which appears when the machine does and says when it stopped. */
import { useState } from 'react';
import type { MachineClient, MachineSnapshot } from '../machine-client';
import type { GuestMachineReport } from '../../worker/protocol';
import { GUEST_VIEWS } from './slots';
import { TabPanel, TabStrip, useTabPrefix } from './tabs';
import type { Tab } from './tabs';

interface Props {
  client: MachineClient;
  machine: MachineSnapshot;
  visible: boolean;
}

function stateOf(guest: GuestMachineReport): string {
  return guest.stoppedAt === null ? `since ${guest.since.toFixed(1)} s` : `stopped at ${guest.stoppedAt.toFixed(1)} s`;
}

function tabOf(guest: GuestMachineReport): Tab {
  return {
    id: String(guest.number), title: `Guest machine ${guest.number}, level ${guest.level}, ${stateOf(guest)} of guest time`,
    className: guest.stoppedAt === null ? 'guest' : 'guest over',
    label: <><span className={`dot l${Math.min(guest.level, 3)}`} aria-hidden="true" />L{guest.level} #{guest.number} <small>{guest.stoppedAt === null ? '' : stateOf(guest)}</small></>,
  };
}

export function GuestPane({ client, machine, visible }: Props) {
  const { guests } = machine;
  // The pane of the first machine is there before it is, so that its terminal has a place.
  const shown: readonly (GuestMachineReport | null)[] = guests.length === 0 ? [null] : guests;
  const [picked, pick] = useState<number | null>(null);
  const newest = guests.findLast((guest) => guest.stoppedAt === null) ?? guests.at(-1);
  const chosen = guests.some((guest) => guest.number === picked) ? picked : newest?.number ?? 1;
  const current = guests.find((guest) => guest.number === chosen) ?? null;
  const prefix = useTabPrefix();
  return (
    <section className="pane l2" aria-label="L2: the guests">
      <div className="pane-head">
        <h2>
          <span className={`dot l${Math.min(current?.level ?? 2, 3)}`} aria-hidden="true" />L{current?.level ?? 2} <small>
            {current !== null && current.stoppedAt !== null ? stateOf(current) : machine.demo?.levels[(current?.level ?? 2) - 1] ?? 'its guest, observed by L0'}
          </small>
        </h2>
        {guests.length > 1 && <TabStrip label="Guest machines" tabs={guests.map(tabOf)} chosen={String(chosen)} choose={(id) => pick(Number(id))} prefix={prefix} />}
      </div>
      {shown.map((guest) => (
        <div
          key={guest?.number ?? 1} className="guest-machine" hidden={(guest?.number ?? 1) !== chosen}
          {...(guests.length > 1 ? { role: 'tabpanel', id: `${prefix}-panel-${guest?.number}`, 'aria-labelledby': `${prefix}-tab-${guest?.number}` } : {})}
        >
          <GuestMachineViews client={client} machine={machine} guest={guest} visible={visible && (guest?.number ?? 1) === chosen} />
        </div>
      ))}
    </section>
  );
}

function GuestMachineViews({ client, machine, guest, visible }: Props & { guest: GuestMachineReport | null }) {
  const [chosen, choose] = useState(GUEST_VIEWS[0].id);
  const prefix = useTabPrefix();
  return (
    <>
      <div className="view-head"><TabStrip label={`Consoles of guest machine ${guest?.number ?? 1}`} tabs={GUEST_VIEWS} chosen={chosen} choose={choose} prefix={prefix} /></div>
      {GUEST_VIEWS.map((view) => (
        <TabPanel key={view.id} prefix={prefix} id={view.id} visible={chosen === view.id}>
          {view.render({ client, machine, guest, visible: visible && chosen === view.id })}
        </TabPanel>
      ))}
    </>
  );
}
