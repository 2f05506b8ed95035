/** The gallery: a button that names the demo, and a list of all demos behind it. */
import { useId, useRef } from 'react';
import { isAvailable } from './demos';
import type { Demo } from './demos';
import { DEMOS } from './gallery';
import type { ImagesStatus } from './images-status';

interface Props {
  current: Demo | null;
  status: ImagesStatus;
  choose(demo: Demo): void;
}

function availability(demo: Demo, status: ImagesStatus): string {
  if (demo.files.length === 0) return 'needs no images';
  if (isAvailable(demo, status.images)) return 'ready';
  return status.build?.state === 'running' ? 'images are being built' : 'images are missing: npm run images';
}

export function DemoPicker({ current, status, choose }: Props) {
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  return (
    <div className="picker">
      <button type="button" popoverTarget={id} className="picker-button" aria-label={`Demo: ${current?.title ?? 'none'}. Choose another`}>
        <span className="picker-label">Demo</span>
        <span className="picker-title">{current?.title ?? 'choose one'}</span>
        <span aria-hidden="true">▾</span>
      </button>
      <div id={id} ref={list} popover="auto" className="gallery" role="group" aria-label="Demos">
        {DEMOS.map((demo) => (
          <button
            key={demo.name} type="button" className="card" aria-current={demo.name === current?.name}
            onClick={() => {
              list.current?.hidePopover();
              choose(demo);
            }}
          >
            <strong>{demo.title}</strong>
            <span>{demo.description}</span>
            <small><code>#demo={demo.name}</code> · {availability(demo, status)}</small>
          </button>
        ))}
      </div>
    </div>
  );
}
