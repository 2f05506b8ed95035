/**
 * Two neighbours with a bar between them that can be dragged, moved with the arrow keys, or double-clicked to its first place. The share is remembered
 * under the splitter's name. Where one neighbour is missing the other has all the room, and stays mounted.
 */
import { useRef } from 'react';
import type { CSSProperties, KeyboardEvent, PointerEvent, ReactNode } from 'react';
import { changeSettings, clamp, getSettings, useSettings } from '../settings';

interface Props {
  /** Name under which the share is kept. */
  name: string;
  label: string;
  /** How the neighbours lie: `row` beside each other, `column` one above the other. */
  direction: 'row' | 'column';
  /** Share of the first at the beginning. */
  initial: number;
  first: ReactNode;
  second: ReactNode;
  /** Null where both are shown. */
  only?: 'first' | 'second' | null;
  className?: string;
}

const LEAST = 0.12, MOST = 0.88;
const KEY_STEP = 0.03;

export function Splitter({ name, label, direction, initial, first, second, only = null, className = '' }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const share = clamp(useSettings().splits[name] ?? initial, LEAST, MOST);
  const move = (to: number): void => changeSettings({ splits: { ...getSettings().splits, [name]: clamp(to, LEAST, MOST) } });

  const drag = (event: PointerEvent<HTMLDivElement>): void => {
    const element = box.current;
    if (element === null || !event.currentTarget.hasPointerCapture(event.pointerId)) return;
    const rectangle = element.getBoundingClientRect();
    move(direction === 'row' ? (event.clientX - rectangle.left) / rectangle.width : (event.clientY - rectangle.top) / rectangle.height);
  };
  const key = (event: KeyboardEvent): void => {
    const [less, more] = direction === 'row' ? ['ArrowLeft', 'ArrowRight'] : ['ArrowUp', 'ArrowDown'];
    const to = event.key === less ? share - KEY_STEP : event.key === more ? share + KEY_STEP
      : event.key === 'Home' ? LEAST : event.key === 'End' ? MOST : event.key === 'Enter' ? initial : null;
    if (to === null) return;
    event.preventDefault();
    move(to);
  };

  return (
    <div ref={box} className={`split ${direction} ${className}`} data-only={only ?? undefined} style={{ '--share': share } as CSSProperties}>
      <div className="split-first">{first}</div>
      <div
        className="split-bar" role="separator" tabIndex={0} aria-label={label} aria-orientation={direction === 'row' ? 'vertical' : 'horizontal'}
        aria-valuenow={Math.round(share * 100)} aria-valuemin={LEAST * 100} aria-valuemax={MOST * 100} hidden={only !== null}
        onPointerDown={(event) => {
          event.preventDefault();
          event.currentTarget.setPointerCapture(event.pointerId);
        }}
        onPointerMove={drag} onKeyDown={key} onDoubleClick={() => move(initial)}
      />
      <div className="split-second">{second}</div>
    </div>
  );
}
