/**
 * The address is what the page goes by: whatever is started is put into its fragment first, and started from there, so that the address can always be
 * copied, and Back goes back.
 */
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import { defaultDemo, isAvailable } from './demos';
import type { Demo } from './demos';
import { DEMOS } from './gallery';
import type { ImagesStatus } from './images-status';
import { describeLink, linkOf } from './links/description';
import type { Description } from './links/description';
import { EMPTY_LINK, readLink, writeLink } from './links/link';
import type { Link } from './links/link';
import type { MachineClient } from './machine-client';
import { isRemote } from './machine-editor/check';
import { changeSettings, getSettings } from './settings';
import type { Problem } from '../worker/protocol';

const CHOOSE = `Choose one of: ${DEMOS.map((demo) => demo.name).join(', ')}.`;

function badLink(newer: boolean, reason: string): Problem {
  return {
    title: newer ? 'This link was made by a newer version of Nestbox' : 'This link cannot be read',
    why: `It cannot be followed: ${reason}.`,
    remedies: [newer ? 'Open it where it was made, or reload this page without its cache to get the newest version.' : 'Ask for it again; long links are cut by some messengers.', 'Or choose a demo.'],
    details: '', waiting: false,
  };
}

function unknownMachine(link: Link, why: string): Problem {
  const unknown = link.demo !== null && !DEMOS.some((demo) => demo.name === link.demo);
  return { title: unknown ? `There is no demo “${link.demo}”` : 'This link cannot be followed', why, remedies: [CHOOSE], details: '', waiting: false };
}

function stillBuilding(demo: Demo): Problem {
  return {
    title: `The images of “${demo.title}” are being built`,
    why: 'They are made from Debian packages on this server; the progress is shown above.',
    remedies: ['Wait: the demo starts by itself when its images are ready.', 'Or choose the built-in demo, which needs none.'],
    details: '', waiting: true,
  };
}

/** Hosts, other than the page's own, that the machine's files come from. */
function otherHosts(demo: Demo): string[] {
  const hosts = demo.files.filter(isRemote).map((file) => new URL(file)).filter((url) => url.origin !== location.origin).map((url) => url.host);
  return [...new Set(hosts)];
}

/** The fragment; changes when another machine is started, or the visitor edits the address. */
function useHash(): string {
  return useSyncExternalStore(
    (changed) => {
      addEventListener('hashchange', changed);
      return () => removeEventListener('hashchange', changed);
    },
    () => location.hash,
  );
}

export interface LinkedMachine {
  /** Panels that the link wants open. */
  open: readonly string[];
  /** Other hosts that the link's machine needs files from, which its visitor has not agreed to; empty: none. */
  asks: readonly string[];
  agree(): void;
  /** Starts a machine, through the address. */
  start(description: Description): Promise<void>;
}

/** Starts what the link asks for, once what the server has is known, and again whenever the link changes. */
export function useLinkedMachine(client: MachineClient, status: ImagesStatus | null): LinkedMachine {
  const hash = useHash();
  const result = useMemo(() => readLink(hash), [hash]);
  const [asks, setAsks] = useState<readonly string[]>([]);
  /** Machines that were started here, not by a link: their files are the visitor's own choice. */
  const own = useRef<string | null>(null);
  /** The link that was served last, and whether its demo waits for images. */
  const served = useRef<{ hash: string; waiting: boolean } | null>(null);

  useEffect(() => {
    if (status === null) return;
    const before = served.current;
    if (before !== null && before.hash === hash && !before.waiting) return;
    served.current = { hash, waiting: false };
    setAsks([]);
    if (!result.ok) {
      client.refuse(badLink(result.newer, result.reason));
      return;
    }
    const described = describeLink(result.link, DEMOS, defaultDemo(DEMOS, status.images, getSettings().lastDemo));
    if (!described.ok) {
      client.refuse(unknownMachine(result.link, described.why));
      return;
    }
    const { description } = described, { demo } = description;
    const waiting = status.build?.state === 'running' && demo.files.some((file) => file.startsWith('images/')) && !isAvailable(demo, status.images);
    served.current = { hash, waiting };
    if (waiting) {
      if (before === null || !before.waiting || before.hash !== hash) client.refuse(stillBuilding(demo));
      return;
    }
    const hosts = own.current === hash ? [] : otherHosts(demo);
    if (hosts.length > 0) {
      setAsks(hosts);
      client.refuse({
        title: `This link wants files from ${hosts.join(', ')}`, why: 'Its machine’s images are not on this server. Nothing has been asked of that host yet.',
        remedies: ['Download and start, if you trust whoever gave you the link.', CHOOSE], details: '', waiting: true,
      });
      return;
    }
    if (description.base === demo) changeSettings({ lastDemo: demo.name });
    client.start(description, result.link.paused);
  }, [client, hash, result, status]);

  return {
    open: result.ok ? result.link.open : EMPTY_LINK.open,
    asks,
    agree() {
      if (!result.ok || status === null) return;
      setAsks([]);
      const described = describeLink(result.link, DEMOS, defaultDemo(DEMOS, status.images));
      if (described.ok) client.start(described.description, result.link.paused);
    },
    async start(description) {
      const next = await writeLink(linkOf(description));
      own.current = next;
      if (location.hash === next) client.start(description);
      else location.hash = next;
    },
  };
}
