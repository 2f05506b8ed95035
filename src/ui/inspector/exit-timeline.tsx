/** The last VM exits on the axis of executed instructions: one lane per vCPU, coloured by who executes; a tick per exit in its reason's colour. */
import { useEffect, useRef, useState } from 'react';
import type { ExitFilter } from '../../observe/exit-recorder';
import type { Timeline } from '../../observe/inspector';
import { count, reasonColour } from './shared';
import type { TabProps } from './shared';
import { useInspection } from './use-inspection';

const SPANS = [30, 100, 300, 1000, 4000];
const LANE = 26, TICK = 12, TOP = 2;

/** Where an exit is drawn. */
interface Place {
  x: number;
  sequence: number;
}

function draw(canvas: HTMLCanvasElement, timeline: Timeline, chosen: number | null): Place[] {
  const context = canvas.getContext('2d');
  if (context === null) return [];
  const width = canvas.clientWidth, lanes = [...new Set(timeline.vcpus)].sort((a, b) => a - b);
  const height = TOP + Math.max(1, lanes.length) * LANE;
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.style.height = `${height}px`;
  context.scale(scale, scale);
  const style = getComputedStyle(canvas);
  const colour = (name: string): string => style.getPropertyValue(name);
  const n = timeline.sequences.length;
  const places: Place[] = [];
  if (n === 0) return places;
  const start = timeline.instructions[0], end = Math.max(timeline.instructions[n - 1] + Math.max(0, timeline.hypervisorInstructions[n - 1] || 0), start + 1);
  const x = (instructions: number): number => 4 + ((instructions - start) / (end - start)) * (width - 8);
  for (const [lane, vcpu] of lanes.entries()) {
    const top = TOP + lane * LANE + TICK;
    context.fillStyle = colour('--l2');
    context.fillRect(x(start), top, x(end) - x(start), LANE - TICK - 4);
    for (let i = 0; i < n; i++) {
      if (timeline.vcpus[i] !== vcpu) continue;
      const spent = timeline.hypervisorInstructions[i];
      const from = x(timeline.instructions[i]), to = x(Number.isNaN(spent) ? end : Math.min(end, timeline.instructions[i] + spent));
      context.fillStyle = colour('--l1');
      context.fillRect(from, top, Math.max(0.5, to - from), LANE - TICK - 4);
    }
    for (let i = 0; i < n; i++) {
      if (timeline.vcpus[i] !== vcpu) continue;
      const at = x(timeline.instructions[i]);
      places.push({ x: at, sequence: timeline.sequences[i] });
      const isChosen = timeline.sequences[i] === chosen;
      context.fillStyle = isChosen ? colour('--text') : reasonColour(timeline.reasons[i]);
      context.fillRect(at - (isChosen ? 1.5 : 0.75), TOP + lane * LANE, isChosen ? 3 : 1.5, isChosen ? LANE - 2 : TICK);
    }
  }
  return places;
}

export function ExitTimeline({ client, machine, visible, subject, change, filter }: TabProps & { filter: ExitFilter }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const places = useRef<Place[]>([]);
  const [span, setSpan] = useState(300);
  const [width, setWidth] = useState(0);
  const answer = useInspection(client, machine, visible ? { ask: 'timeline', filter, count: span } : null);
  const timeline = answer?.timeline ?? null;

  useEffect(() => {
    const element = canvas.current;
    if (element === null) return undefined;
    const resize = new ResizeObserver(() => setWidth(element.clientWidth));
    resize.observe(element);
    return () => resize.disconnect();
  }, []);
  useEffect(() => {
    if (canvas.current !== null && timeline !== null && width > 0) places.current = draw(canvas.current, timeline, subject.exit);
  }, [timeline, width, subject.exit]);

  const n = timeline?.sequences.length ?? 0;
  const range = timeline === null || n === 0 ? 'no exits' : `${count(n)} exits in ${count(timeline.instructions[n - 1] - timeline.instructions[0])} instructions`;
  return (
    <div className="timeline">
      <canvas
        ref={canvas} role="img" aria-label={`Timeline: ${range}. The list below has the same exits.`}
        onClick={(event) => {
          const x = event.nativeEvent.offsetX;
          const nearest = places.current.reduce<Place | null>((best, place) => (best === null || Math.abs(place.x - x) < Math.abs(best.x - x) ? place : best), null);
          if (nearest !== null) change({ exit: nearest.sequence });
        }}
      />
      <div className="fields">
        <label className="field">Last{' '}
          <select value={span} onChange={(event) => setSpan(Number(event.target.value))}>{SPANS.map((one) => <option key={one} value={one}>{count(one)}</option>)}</select> exits
        </label>
        <span className="legend"><i className="dot l1" aria-hidden="true" />hypervisor <i className="dot l2" aria-hidden="true" />guest · {range}</span>
      </div>
    </div>
  );
}
