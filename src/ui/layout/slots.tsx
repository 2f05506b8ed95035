/**
 * The places where parts of the page are mounted. To add one: a row here; the panes, the dock and the header show what is listed.
 */
import type { ReactNode } from 'react';
import type { MachineClient, MachineSnapshot } from '../machine-client';
import { Inspector } from '../inspector/inspector';
import { Log } from '../log';
import { ScreenView } from '../screen-view';
import { SerialView } from '../serial-view';
import { guestConsole, portConsole } from '../../worker/protocol';
import type { GuestMachineReport } from '../../worker/protocol';

export interface PartProps {
  client: MachineClient;
  machine: MachineSnapshot;
  /** False while another tab, panel or pane hides it: it stays mounted, but need not draw. */
  visible: boolean;
}

/** A tab of L1's pane. */
export interface MachineView {
  id: string;
  label: string;
  title: string;
  render(props: PartProps): ReactNode;
}

export interface GuestViewProps extends PartProps {
  /** The guest machine; before there is any, null in the first and only tab strip. */
  guest: GuestMachineReport | null;
}

/** A tab of each guest machine's strip in L2's pane. */
export interface GuestView {
  id: string;
  label: string;
  title: string;
  render(props: GuestViewProps): ReactNode;
}

/** A panel of the dock below the consoles. */
export interface DockPanel {
  id: string;
  label(machine: MachineSnapshot): string;
  render(props: PartProps): ReactNode;
}

export const MACHINE_VIEWS: readonly MachineView[] = [
  {
    id: 'serial-0', label: 'Serial 0', title: 'COM1 of the machine: the hypervisor’s console',
    render: (props) => (
      <SerialView
        {...props} name={portConsole(0)} title="L1 serial" empty="The hypervisor’s first words appear here as soon as it boots."
      />
    ),
  },
  {
    id: 'serial-1', label: 'Serial 1', title: 'COM2 of the machine: wired by L1 to its guest’s console in most demos',
    render: (props) => (
      <SerialView
        {...props} name={portConsole(1)} title="L1 serial 1" empty="COM2 of the machine: in most demos L1 wires it to its guest’s console."
      />
    ),
  },
  {
    id: 'vga', label: 'VGA', title: 'The machine’s screen',
    render: (props) => <ScreenView {...props} screen={0} title="L1 VGA screen" empty="This machine has no display adapter. A configuration asks for one with vga = &quot;stdvga&quot;." />,
  },
];

export const GUEST_VIEWS: readonly GuestView[] = [
  {
    id: 'serial', label: 'Serial', title: 'The console of this guest',
    render: ({ guest, ...props }) => (
      <SerialView
        {...props} name={guestConsole(guest?.number ?? 1)} title={guest === null || guest.number === 1 ? 'L2 serial' : `L${guest.level} serial of machine ${guest.number}`}
        empty="Empty until L1 starts a guest. What that guest writes to its serial port is caught here, without help from L1."
      />
    ),
  },
  {
    id: 'vga', label: 'VGA', title: 'The screen of this guest, as L0 sees it',
    render: ({ guest, ...props }) => (
      <ScreenView
        {...props} screen={guest?.number ?? 1} title={guest === null || guest.number === 1 ? 'L2 VGA screen' : `L${guest.level} VGA screen of machine ${guest.number}`}
        empty="Empty until this guest uses a VGA. What it writes to the screen is caught here, without help from L1."
      />
    ),
  },
];

export const DOCK_PANELS: readonly DockPanel[] = [
  { id: 'inspector', label: () => 'Inspector', render: (props) => <Inspector {...props} /> },
  { id: 'log', label: (machine) => `Machine log (${machine.log.length})`, render: ({ machine }) => <Log lines={machine.log} /> },
];
