/** A link to the machine as it is described, with what the visitor wants in it; and what no link holds. */
import { useEffect, useState } from 'react';
import type { Description } from '../links/description';
import { linkOf } from '../links/description';
import { writeLink } from '../links/link';
import type { LinkedFile } from '../links/link';
import { Dialog } from './dialog';

interface Props {
  open: boolean;
  close(): void;
  description: Description | null;
  /** Panels that are open. */
  panels: readonly string[];
  /** The visitor's files that the configuration uses. */
  local: ReadonlyMap<string, Blob>;
}

/** Larger files stay out of links. */
const MOST_FILE_BYTES = 48 << 10;
/** From here on some messengers cut links. */
const LONG = 2000;

function address(hash: string, embed: boolean): string {
  const url = new URL(location.href);
  url.search = embed ? '?embed' : '';
  url.hash = hash;
  return url.href;
}

export function ShareDialog({ open, close, description, panels, local }: Props) {
  return (
    <Dialog title="Share this machine" open={open} close={close} className="share">
      {description === null ? <p>There is no machine yet.</p> : <Share description={description} panels={panels} local={local} />}
    </Dialog>
  );
}

function Share({ description, panels, local }: { description: Description; panels: readonly string[]; local: ReadonlyMap<string, Blob> }) {
  const [paused, setPaused] = useState(false);
  const [withPanels, setWithPanels] = useState(panels.length > 0);
  const [embed, setEmbed] = useState(false);
  const [withFiles, setWithFiles] = useState(description.files.length > 0);
  /** The small files, once they are read. */
  const [read, setRead] = useState<readonly LinkedFile[]>(description.files);
  const [copied, setCopied] = useState('');
  const used = [...local].filter(([name]) => description.demo.config.includes(name));
  const small = used.filter(([, file]) => file.size <= MOST_FILE_BYTES), large = used.filter(([, file]) => file.size > MOST_FILE_BYTES);

  const [hash, setHash] = useState('');
  useEffect(() => {
    let wanted = true;
    void writeLink({ ...linkOf(description), paused, open: withPanels ? panels : [], files: withFiles ? read : [] }).then((text) => {
      if (wanted) setHash(text);
    });
    return () => {
      wanted = false;
    };
  }, [description, paused, withPanels, panels.join(), withFiles, read]);
  const url = address(hash, embed);
  const text = embed ? `<iframe src="${url}" width="900" height="600" allow="clipboard-write"></iframe>` : url;
  const include = async (on: boolean): Promise<void> => {
    setWithFiles(on);
    setRead(await Promise.all(small.map(async ([name, file]) => ({ name, bytes: new Uint8Array(await file.arrayBuffer()) }))));
  };
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied('Copied');
    } catch {
      setCopied('Copying is not allowed here: select the text and copy it');
    }
  };

  return (
    <>
      <textarea className="share-link" aria-label={embed ? 'HTML for your page' : 'Link'} readOnly rows={4} value={text} onFocus={(event) => event.currentTarget.select()} />
      <div className="button-row">
        <button type="button" className="primary" onClick={() => void copy()}>Copy</button>
        <span role="status">{copied}</span>
        <span className="soft">{url.length} characters{url.length > LONG ? ': some messengers cut links this long' : ''}</span>
      </div>
      <label className="option"><input type="checkbox" checked={paused} onChange={(event) => setPaused(event.currentTarget.checked)} /> start paused</label>
      <label className="option">
        <input type="checkbox" checked={withPanels} disabled={panels.length === 0} onChange={(event) => setWithPanels(event.currentTarget.checked)} /> with the panels that are open
        {panels.length === 0 ? ' (none)' : ` (${panels.join(', ')})`}
      </label>
      <label className="option"><input type="checkbox" checked={embed} onChange={(event) => setEmbed(event.currentTarget.checked)} /> to embed in a page of yours</label>
      {small.length > 0 && (
        <label className="option">
          <input type="checkbox" checked={withFiles} onChange={(event) => void include(event.currentTarget.checked)} /> with your files {small.map(([name]) => name.replace(/^local:/, '')).join(', ')}
        </label>
      )}
      <p className="soft">
        The link holds the configuration and your changes to the programs; whoever opens it starts the same machine from the beginning, which does the same. It does not hold what
        the machine has done since, nor what was typed.
        {large.length > 0 && ` It does not hold your files ${large.map(([name]) => name.replace(/^local:/, '')).join(', ')} either: they are too large; whoever opens it is asked for them.`}
      </p>
    </>
  );
}
