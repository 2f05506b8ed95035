/** The whole page: which demo runs, and the arrangement of header, progress, notices and consoles. */
import { useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { BuildNotice } from './build-notice';
import { ConsolePane } from './console-pane';
import { defaultDemo, demoOfLink, isAvailable, linkOfDemo } from './demos';
import type { Demo } from './demos';
import { DEMOS } from './gallery';
import { Header } from './header';
import { fetchImagesStatus, NO_IMAGES } from './images-status';
import type { ImagesStatus } from './images-status';
import { Log } from './log';
import type { MachineClient } from './machine-client';
import { ProblemNotice } from './problem-notice';
import { StageStrip } from './stage-strip';
import type { ConsoleName, Problem } from '../worker/protocol';

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

export function App({ client }: { client: MachineClient }) {
  const machine = useSyncExternalStore(client.subscribe, client.getSnapshot);
  const status = useImagesStatus();
  const hash = useHash();
  useLinkedDemo(client, hash, status);
  const [chosen, setChosen] = useState<ConsoleName | null>(null);
  const shown = chosen ?? (machine.stage?.name === 'l2' ? 'l2' : 'l1');

  const choose = (demo: Demo): void => {
    setChosen(null);
    if (location.hash === linkOfDemo(demo.name)) client.start(demo);
    else location.hash = linkOfDemo(demo.name);
  };

  return (
    <div className="page">
      <Header client={client} machine={machine} status={status ?? NO_IMAGES} choose={choose} />
      <StageStrip machine={machine} />
      <BuildNotice status={status ?? NO_IMAGES} running={machine.demo} choose={choose} />
      {machine.problem !== null && <ProblemNotice problem={machine.problem} />}
      <div className="tabs" role="group" aria-label="Console shown">
        {(['l1', 'l2'] as const).map((name) => (
          <button key={name} type="button" aria-pressed={shown === name} onClick={() => setChosen(name)}>{name.toUpperCase()} serial</button>
        ))}
      </div>
      <main className="consoles" data-shown={shown}>
        <ConsolePane
          client={client} name="l1" title="L1 serial" subtitle="COM1 of the machine: the hypervisor’s console"
          empty={machine.status === 'failed' ? '' : 'The hypervisor’s first words appear here as soon as it boots.'}
        />
        <ConsolePane
          client={client} name="l2" title="L2 serial" subtitle="observed by L0 on the guest’s COM1"
          empty={machine.status === 'failed' ? '' : 'Empty until L1 starts a guest. What that guest writes to its serial port is caught here, without help from L1.'}
        />
      </main>
      <Log lines={machine.log} />
    </div>
  );
}
