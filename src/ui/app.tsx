/** The whole page: the arrangement of header, progress, notices, panes, panels and dialogs. */
import { lazy, Suspense, useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import { BuildNotice } from './build-notice';
import { CapabilityNotice } from './capability-notice';
import { GalleryDialog } from './dialogs/gallery-dialog';
import { SettingsDialog } from './dialogs/settings-dialog';
import { ShareDialog } from './dialogs/share-dialog';
import { DEMOS } from './gallery';
import { Header } from './header';
import { NO_IMAGES } from './images-status';
import { Dock, DockTabs } from './layout/dock';
import { GuestPane } from './layout/guest-pane';
import { MachinePane } from './layout/machine-pane';
import { useNarrow } from './layout/narrow';
import { DOCK_PANELS } from './layout/slots';
import { Splitter } from './layout/splitter';
import { changedDescription, plainDescription } from './links/description';
import { isEmbedded } from './links/link';
import type { MachineClient } from './machine-client';
import { makeDemo } from './demos';
import type { Demo } from './demos';
import type { AssemblerClient } from './playground/assembler-client';
import { ProblemNotice } from './problem-notice';
import { changeSettings, getSettings } from './settings';
import { StageStrip } from './stage-strip';
import { useImagesStatus } from './use-images-status';
import { useLinkedMachine } from './use-linked-machine';

const Playground = lazy(() => import('./playground/playground'));
const MachineEditor = lazy(() => import('./machine-editor/machine-editor'));

/** What stands beside the consoles. */
const SIDES = [['machine', 'Machine'], ['playground', 'Playground']] as const;
type Side = (typeof SIDES)[number][0];
type DialogName = 'gallery' | 'share' | 'settings';

/** Panes of a narrow screen, which shows one at a time. */
const NARROW_PANES = [['l1', 'L1'], ['l2', 'L2'], ['side', 'Edit'], ['dock', 'Panel']] as const;
type NarrowPane = (typeof NARROW_PANES)[number][0];

function isSide(name: string): name is Side {
  return SIDES.some(([side]) => side === name);
}

export function App({ client, assembler }: { client: MachineClient; assembler: AssemblerClient }) {
  const machine = useSyncExternalStore(client.subscribe, client.getSnapshot);
  const status = useImagesStatus();
  const linked = useLinkedMachine(client, status);
  const narrow = useNarrow();
  const [chosen, setChosen] = useState<NarrowPane | null>(null);
  const [panel, setPanel] = useState<string | null>(null);
  const [side, setSide] = useState<Side | null>(null);
  /** Sides that were open once stay mounted, with what was typed. */
  const [mounted, setMounted] = useState<readonly Side[]>([]);
  const [dialog, setDialog] = useState<DialogName | null>(null);
  const [local, setLocal] = useState<ReadonlyMap<string, Blob>>(new Map());
  const embedded = useMemo(() => isEmbedded(location.search), []);
  const shown = chosen ?? (machine.stage?.name === 'l2' ? 'l2' : 'l1');
  const shows = (pane: NarrowPane): boolean => !narrow || shown === pane;
  const { description } = machine;

  const openSide = (name: Side | null): void => {
    setSide(name);
    if (name !== null) setMounted((before) => (before.includes(name) ? before : [...before, name]));
    setChosen(name === null ? null : 'side');
  };
  const openPanel = (id: string | null): void => {
    setPanel(id);
    if (id !== null) setChosen('dock');
    else if (shown === 'dock') setChosen(null);
  };
  useEffect(() => {
    for (const name of linked.open) {
      if (isSide(name)) openSide(name);
      else if (DOCK_PANELS.some(({ id }) => id === name)) openPanel(name);
    }
    // A narrow screen shows the machine first.
    setChosen(null);
  }, [linked.open]);
  useRememberedTime(client);

  const choose = (demo: Demo, changes = ''): void => {
    setDialog(null);
    setChosen(null);
    void linked.start(changedDescription(demo, changes));
  };
  const close = (): void => setDialog(null);
  const panels = [...(side === null ? [] : [side]), ...(panel === null ? [] : [panel])];

  const sideParts = (
    <section className="side" aria-label="Editor">
      {mounted.map((name) => (
        <div key={name} className="side-part" hidden={side !== name}>
          <Suspense fallback={<p className="side-note">Loading the editor…</p>}>
            {name === 'playground'
              ? (
                <Playground
                  assembler={assembler} description={description} visible={side === name}
                  run={(lesson, sources) => {
                    const builtin = DEMOS.find((demo) => demo.name === 'builtin') ?? DEMOS[0];
                    const base = description?.base?.name === builtin.name ? description : plainDescription(builtin);
                    void linked.start({ ...base, lesson, sources });
                    setChosen(null);
                  }}
                />
              )
              : (
                <MachineEditor
                  description={description} images={(status ?? NO_IMAGES).images} local={local}
                  addLocal={(file, blob) => {
                    client.addFile(file, blob);
                    setLocal((before) => new Map(before).set(file, blob));
                  }}
                  run={(config) => {
                    const base = description ?? plainDescription(DEMOS[0]);
                    void linked.start({ ...base, demo: makeDemo(base.base?.name ?? 'machine', config), files: [] });
                    setChosen(null);
                  }}
                />
              )}
          </Suspense>
        </div>
      ))}
      {side === null && <p className="side-note">Choose Machine or Playground above.</p>}
    </section>
  );
  const consoles = (
    <Splitter
      name="consoles" label="Width of L1 and L2" direction="row" initial={0.5} only={!narrow ? null : shown === 'l2' ? 'second' : 'first'}
      first={<MachinePane client={client} machine={machine} visible={shows('l1')} />}
      second={<GuestPane client={client} machine={machine} visible={shows('l2')} />}
    />
  );
  return (
    <div className={embedded ? 'page embedded' : 'page'}>
      <Header client={client} machine={machine} openGallery={() => setDialog('gallery')}>
        <div className="openers" role="group" aria-label="Parts of the page">
          {SIDES.map(([name, label]) => (
            <button key={name} type="button" aria-pressed={side === name} onClick={() => openSide(side === name ? null : name)}>{label}</button>
          ))}
          <button type="button" aria-haspopup="dialog" onClick={() => setDialog('share')}>Share</button>
          <button type="button" aria-haspopup="dialog" onClick={() => setDialog('settings')}>Settings</button>
        </div>
      </Header>
      <StageStrip machine={machine} />
      <BuildNotice status={status ?? NO_IMAGES} running={machine.demo} choose={choose} />
      <CapabilityNotice demo={machine.demo} />
      {machine.problem !== null && (
        <ProblemNotice problem={machine.problem} machine={machine}>
          {linked.asks.length > 0 && <button type="button" onClick={() => linked.agree()}>Download from {linked.asks.join(', ')} and start</button>}
          {(machine.status === 'running' || machine.status === 'paused') && <button type="button" onClick={() => client.dismissProblem()}>Dismiss</button>}
        </ProblemNotice>
      )}
      <nav className="narrow-panes" aria-label="Panes">
        {NARROW_PANES.map(([name, label]) => (
          <button
            key={name} type="button" aria-pressed={shown === name}
            onClick={() => {
              if (name === 'dock' && panel === null) openPanel(DOCK_PANELS[0].id);
              else if (name === 'side' && side === null) openSide('machine');
              else setChosen(name);
            }}
          >{label}</button>
        ))}
      </nav>
      <main className="workspace">
        <Splitter
          name="side" label="Width of the editor" direction="row" initial={0.4}
          only={narrow ? (shown === 'side' ? 'first' : 'second') : side === null ? 'second' : null}
          first={sideParts}
          second={(
            <Splitter
              name="dock" label="Height of the panel" direction="column" initial={0.6}
              only={narrow ? (shown === 'dock' ? 'second' : 'first') : panel === null ? 'first' : null}
              first={consoles} second={<Dock client={client} machine={machine} open={panel} />}
            />
          )}
        />
      </main>
      <footer className="foot">
        <DockTabs machine={machine} open={panel} choose={openPanel} />
        {embedded
          ? <a href={`${location.pathname}${location.hash}`} target="_blank" rel="noreferrer">Open in Nestbox</a>
          : <p className="chord">Keys go to the console with the focus. <kbd>Ctrl</kbd>+<kbd>Shift</kbd>+<kbd>.</kbd> leaves it.</p>}
      </footer>
      <GalleryDialog open={dialog === 'gallery'} close={close} current={machine.demo?.name ?? null} status={status ?? NO_IMAGES} choose={choose} />
      <ShareDialog open={dialog === 'share'} close={close} description={description} panels={panels} local={local} />
      <SettingsDialog open={dialog === 'settings'} close={close} />
    </div>
  );
}

/** Remembers how long an unchanged demo took to L2's first words, for its card. */
function useRememberedTime(client: MachineClient): void {
  useEffect(() => client.subscribe(() => {
    const { description, reached } = client.getSnapshot();
    if (description === null || reached.l2 === undefined || description.base !== description.demo || description.lesson !== null) return;
    const { name } = description.demo, { times } = getSettings();
    const seconds = Math.round(reached.l2 * 10) / 10;
    if (times[name] !== seconds) changeSettings({ times: { ...times, [name]: seconds } });
  }), [client]);
}
