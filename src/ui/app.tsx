/** The whole page: which demo runs, and the arrangement of header, progress, notices and consoles. */
import { useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { BuildNotice } from './build-notice';
import { defaultDemo, demoOfLink, isAvailable, linkOfDemo } from './demos';
import type { Demo } from './demos';
import { DEMOS } from './gallery';
import { Header } from './header';
import { fetchImagesStatus, NO_IMAGES } from './images-status';
import type { ImagesStatus } from './images-status';
import { Dock, DockTabs } from './layout/dock';
import { GuestPane } from './layout/guest-pane';
import { MachinePane } from './layout/machine-pane';
import { useNarrow } from './layout/narrow';
import { DOCK_PANELS } from './layout/slots';
import { Splitter } from './layout/splitter';
import type { MachineClient } from './machine-client';
import { ProblemNotice } from './problem-notice';
import { StageStrip } from './stage-strip';
import type { Problem } from '../worker/protocol';

const POLL_MS = 2000;

/** What the server has; null until it is known. Asked again while a build is running. */
function useImagesStatus(): ImagesStatus | null {
  const [status, setStatus] = useState<ImagesStatus | null>(null);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let live = true;
    const ask = async (): Promise<void> => {
      const answer = await fetchImagesStatus();
      if (!live) return;
      setStatus(answer);
      if (answer.build?.state === 'running') timer = setTimeout(() => void ask(), POLL_MS);
    };
    void ask();
    return () => {
      live = false;
      clearTimeout(timer);
    };
  }, []);
  return status;
}

/** The link's fragment; changes when another demo is chosen, or the visitor edits the address. */
function useHash(): string {
  return useSyncExternalStore(
    (changed) => {
      addEventListener('hashchange', changed);
      return () => removeEventListener('hashchange', changed);
    },
    () => location.hash,
  );
}

function unknownDemo(name: string): Problem {
  return {
    title: `There is no demo “${name}”`,
    why: 'The link names a demo that this version of Nestbox does not have. It may be misspelt, or meant for a newer version.',
    remedies: [`Choose one of: ${DEMOS.map((demo) => demo.name).join(', ')}.`],
    details: '',
    waiting: false,
  };
}

function stillBuilding(demo: Demo): Problem {
  return {
    title: `The images of “${demo.title}” are being built`,
    why: 'They are made from Debian packages on this server; the progress is shown above.',
    remedies: ['Wait: the demo starts by itself when its images are ready.', 'Or choose the built-in demo, which needs none.'],
    details: '',
    waiting: true,
  };
}

/** Starts what the link asks for, once what the server has is known, and again whenever the link changes. */
function useLinkedDemo(client: MachineClient, hash: string, status: ImagesStatus | null): void {
  /** The link that was served last, and whether its demo waits for images. */
  const served = useRef<{ hash: string; waiting: boolean } | null>(null);
  useEffect(() => {
    if (status === null) return;
    const before = served.current;
    if (before !== null && before.hash === hash && !before.waiting) return;
    const name = demoOfLink(hash);
    const demo = name === null ? defaultDemo(DEMOS, status.images) : DEMOS.find((known) => known.name === name);
    const waiting = demo !== undefined && !isAvailable(demo, status.images) && status.build?.state === 'running';
    served.current = { hash, waiting };
    if (demo === undefined) client.refuse(unknownDemo(name ?? ''));
    else if (!waiting) client.start(demo);
    else if (before === null || !before.waiting || before.hash !== hash) client.refuse(stillBuilding(demo));
  }, [client, hash, status]);
}

/** Panes of a narrow screen, which shows one at a time. */
const NARROW_PANES = [['l1', 'L1'], ['l2', 'L2'], ['dock', 'Panel']] as const;
type NarrowPane = (typeof NARROW_PANES)[number][0];

export function App({ client }: { client: MachineClient }) {
  const machine = useSyncExternalStore(client.subscribe, client.getSnapshot);
  const status = useImagesStatus();
  const hash = useHash();
  useLinkedDemo(client, hash, status);
  const narrow = useNarrow();
  const [chosen, setChosen] = useState<NarrowPane | null>(null);
  const [panel, setPanel] = useState<string | null>(null);
  const shown = chosen ?? (machine.stage?.name === 'l2' ? 'l2' : 'l1');
  const shows = (pane: NarrowPane): boolean => !narrow || shown === pane;

  const choose = (demo: Demo): void => {
    setChosen(null);
    if (location.hash === linkOfDemo(demo.name)) client.start(demo);
    else location.hash = linkOfDemo(demo.name);
  };
  const choosePanel = (id: string | null): void => {
    setPanel(id);
    if (id !== null) setChosen('dock');
    else if (shown === 'dock') setChosen(null);
  };

  const consoles = (
    <Splitter
      name="consoles" label="Width of L1 and L2" direction="row" initial={0.5} only={!narrow ? null : shown === 'l2' ? 'second' : 'first'}
      first={<MachinePane client={client} machine={machine} visible={shows('l1')} />}
      second={<GuestPane client={client} machine={machine} visible={shows('l2')} />}
    />
  );
  return (
    <div className="page">
      <Header client={client} machine={machine} status={status ?? NO_IMAGES} choose={choose} />
      <StageStrip machine={machine} />
      <BuildNotice status={status ?? NO_IMAGES} running={machine.demo} choose={choose} />
      {machine.problem !== null && <ProblemNotice problem={machine.problem} />}
      <div className="narrow-panes" role="group" aria-label="Shown">
        {NARROW_PANES.map(([name, label]) => (
          <button
            key={name} type="button" aria-pressed={shown === name}
            onClick={() => (name === 'dock' && panel === null ? choosePanel(DOCK_PANELS[0].id) : setChosen(name))}
          >{label}</button>
        ))}
      </div>
      <main className="workspace">
        <Splitter
          name="dock" label="Height of the panel" direction="column" initial={0.6}
          only={narrow ? (shown === 'dock' ? 'second' : 'first') : panel === null ? 'first' : null}
          first={consoles} second={<Dock client={client} machine={machine} open={panel} />}
        />
      </main>
      <footer className="foot">
        <DockTabs machine={machine} open={panel} choose={choosePanel} />
        <p className="chord">Keys go to the console with the focus. <kbd>Ctrl</kbd>+<kbd>Shift</kbd>+<kbd>.</kbd> leaves it.</p>
      </footer>
    </div>
  );
}
