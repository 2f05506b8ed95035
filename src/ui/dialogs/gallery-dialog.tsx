/** The gallery: a card for each demo with who runs at each level, its size, how long it takes, and what to try. */
import { useState } from 'react';
import { isAvailable } from '../demos';
import type { Demo } from '../demos';
import { DEMOS } from '../gallery';
import type { ImagesStatus } from '../images-status';
import { Matrix } from '../matrix';
import { useSettings } from '../settings';
import { Dialog } from './dialog';

interface Props {
  open: boolean;
  close(): void;
  current: string | null;
  status: ImagesStatus;
  /** Starts a demo, with changes in its configuration. */
  choose(demo: Demo, changes?: string): void;
}

function availability(demo: Demo, status: ImagesStatus): string {
  if (isAvailable(demo, status.images)) return '';
  return status.build?.state === 'running' ? 'its images are being built' : 'its images are missing on this server: npm run images';
}

function size(demo: Demo, status: ImagesStatus): string {
  if (demo.files.length === 0) return 'no download';
  let bytes = 0;
  for (const file of demo.files) bytes += status.images.get(file)?.bytes ?? 0;
  return bytes === 0 ? '' : `${(bytes / 1e6).toFixed(0)} MB`;
}

/** Seconds to L2's first words: as it was here, or as the demo's author found. */
function time(demo: Demo, measured: Readonly<Record<string, number>>): string {
  const here = measured[demo.name];
  if (here !== undefined) return `L2 spoke after ${here < 10 ? here.toFixed(1) : Math.round(here)} s here`;
  return demo.seconds === null ? '' : `about ${demo.seconds} s to L2`;
}

export function GalleryDialog({ open, close, current, status, choose }: Props) {
  const { times } = useSettings();
  const [matrixOpen, setMatrixOpen] = useState(false);
  return (
    <Dialog title="Demos" open={open} close={close} className="gallery">
      <ul className="cards">
        {DEMOS.map((demo) => {
          const why = availability(demo, status);
          return (
            <li key={demo.name}>
              <button type="button" className="card" aria-current={demo.name === current} onClick={() => choose(demo)}>
                <strong>{demo.title}</strong>
                {demo.levels.length > 0 && (
                  <span className="levels">
                    {demo.levels.map((level, index) => <span key={level + String(index)} className={`level l${Math.min(index + 1, 3)}`}>L{index + 1} {level}</span>)}
                  </span>
                )}
                <span>{demo.description}</span>
                {demo.hint !== '' && <span className="hint">Try: {demo.hint}</span>}
                <small>{[size(demo, status), time(demo, times), why].filter((part) => part !== '').join(' · ')}</small>
              </button>
            </li>
          );
        })}
      </ul>
      <details className="matrix-part" open={matrixOpen} onToggle={(event) => setMatrixOpen(event.currentTarget.open)}>
        <summary>Every guest on every hypervisor: which pairs boot</summary>
        {matrixOpen && <Matrix demos={DEMOS} images={status.images} choose={choose} />}
      </details>
    </Dialog>
  );
}
