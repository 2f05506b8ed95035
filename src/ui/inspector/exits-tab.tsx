/** VM exits as they happen: histogram, timeline, and the list with what each one was and cost. */
import { useEffect, useRef, useState } from 'react';
import type { KeyboardEvent } from 'react';
import type { ExitFilter } from '../../observe/exit-recorder';
import type { ExitRow, HistogramRow } from '../../observe/inspector';
import { ExitTimeline } from './exit-timeline';
import { Nothing, count, reasonColour } from './shared';
import type { TabProps } from './shared';
import { useInspection } from './use-inspection';

const ROW_HEIGHT = 24;
/** Rows asked for beyond those in view. */
const SPARE_ROWS = 10;

export function ExitsTab(props: TabProps) {
  const { client, machine, visible, overview } = props;
  const [filter, setFilter] = useState<ExitFilter>({ reasons: null, level: null, vcpu: null });
  const everyReason = { ...filter, reasons: null };
  const histogram = useInspection(client, machine, visible ? { ask: 'histogram', filter: everyReason } : null);
  const rows = histogram?.rows ?? [];
  const levels = [...new Set(overview?.guests.map((guest) => guest.level))].sort((a, b) => a - b);
  const toggle = (reason: number): void => {
    const now = filter.reasons ?? [];
    const next = now.includes(reason) ? now.filter((one) => one !== reason) : [...now, reason];
    setFilter({ ...filter, reasons: next.length === 0 ? null : next });
  };
  return (
    <div className="exits">
      <div className="exits-side">
        <div className="fields">
          <label className="field">Level{' '}
            <select value={filter.level ?? ''} onChange={(event) => setFilter({ ...filter, level: event.target.value === '' ? null : Number(event.target.value) })}>
              <option value="">all</option>{levels.map((level) => <option key={level} value={level}>L{level}</option>)}
            </select>
          </label>
          <label className="field">vCPU{' '}
            <select value={filter.vcpu ?? ''} onChange={(event) => setFilter({ ...filter, vcpu: event.target.value === '' ? null : Number(event.target.value) })}>
              <option value="">all</option>{overview?.vcpus.map(({ vcpu }) => <option key={vcpu} value={vcpu}>{vcpu}</option>)}
            </select>
          </label>
          <button type="button" className="small" disabled={filter.reasons === null} onClick={() => setFilter({ ...filter, reasons: null })}>All reasons</button>
        </div>
        <Histogram rows={rows} chosen={filter.reasons} toggle={toggle} />
      </div>
      <div className="exits-main">
        <ExitTimeline {...props} filter={filter} />
        <ExitList {...props} filter={filter} />
        <ExitDetail {...props} />
      </div>
    </div>
  );
}

function Histogram({ rows, chosen, toggle }: { rows: readonly HistogramRow[]; chosen: readonly number[] | null; toggle(reason: number): void }) {
  if (rows.length === 0) return <Nothing>No VM exit yet: nothing has been run as a guest.</Nothing>;
  const most = Math.max(...rows.map((row) => row.total), 1);
  return (
    <ul className="histogram" aria-label="VM exits by reason; choose reasons to filter">
      {rows.map((row) => (
        <li key={row.reason}>
          <button
            type="button" aria-pressed={chosen?.includes(row.reason) ?? false} onClick={() => toggle(row.reason)}
            title={`Reason ${row.reason}: ${count(row.total)} since power-on, ${count(row.recorded)} recorded${row.hypervisorInstructions === null ? '' : `, ${count(Math.round(row.hypervisorInstructions))} instructions of the hypervisor each`}`}
          >
            <span className="bar-track"><span className="bar-fill" style={{ width: `${(100 * row.total) / most}%`, background: reasonColour(row.reason) }} /></span>
            <span className="bar-name">{row.name}</span>
            <span className="bar-count">{count(row.total)}</span>
            <span className="bar-cost">{row.hypervisorInstructions === null ? '' : `${count(Math.round(row.hypervisorInstructions))} in.`}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

/** The list, of which only what is in view exists. Newest first; scrolled away from the top it stands still while new exits come. */
function ExitList({ client, machine, visible, subject, change, filter }: TabProps & { filter: ExitFilter }) {
  const box = useRef<HTMLDivElement>(null);
  const [scroll, setScroll] = useState({ top: 0, height: 300 });
  /** Sequence number that newer exits are left out from. */
  const [before, setBefore] = useState<number | null>(null);
  const skip = Math.max(0, Math.floor(scroll.top / ROW_HEIGHT) - SPARE_ROWS);
  const wanted = Math.ceil(scroll.height / ROW_HEIGHT) + 2 * SPARE_ROWS;
  const answer = useInspection(client, machine, visible ? { ask: 'exits', filter, before, skip, count: wanted } : null);
  const matching = answer?.matching ?? 0, rows = answer?.rows ?? [];

  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const resize = new ResizeObserver(() => setScroll((now) => ({ ...now, height: element.clientHeight })));
    resize.observe(element);
    return () => resize.disconnect();
  }, []);

  const newest = rows[0]?.sequence;
  const choose = (sequence: number): void => change({ exit: sequence });
  const key = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (step === 0 || rows.length === 0) return;
    event.preventDefault();
    const at = rows.findIndex((row) => row.sequence === subject.exit);
    const next = rows[at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + step))];
    choose(next.sequence);
    const place = skip + rows.indexOf(next), element = box.current;
    if (element === null) return;
    if (place * ROW_HEIGHT < element.scrollTop) element.scrollTop = place * ROW_HEIGHT;
    else if ((place + 1) * ROW_HEIGHT > element.scrollTop + element.clientHeight) element.scrollTop = (place + 1) * ROW_HEIGHT - element.clientHeight;
  };
  return (
    <div className="exit-table">
      <div className="exit-row exit-head" aria-hidden="true">
        <span className="c-seq">#</span><span className="c-time">instructions</span><span className="c-who">L · CPU</span><span className="c-reason">reason</span>
        <span className="c-detail">what</span><span className="c-rip">guest RIP</span><span className="c-code">instruction</span><span className="c-cost">L1 spent</span>
      </div>
      <div
        className="exit-scroll" ref={box} tabIndex={0} role={rows.length === 0 ? 'group' : 'listbox'} aria-label={`${count(matching)} recorded VM exits, newest first`} onKeyDown={key}
        aria-activedescendant={subject.exit !== null && rows.some((row) => row.sequence === subject.exit) ? `exit-${subject.exit}` : undefined}
        onScroll={(event) => {
          const { scrollTop, clientHeight } = event.currentTarget;
          setScroll({ top: scrollTop, height: clientHeight });
          if (scrollTop === 0) setBefore(null);
          else if (before === null && newest !== undefined) setBefore(newest + 1);
        }}
      >
        {rows.length === 0 && <Nothing>{machine.status === 'running' ? 'No VM exit since the inspector was opened.' : 'No VM exit recorded. They are recorded while this panel is open.'}</Nothing>}
        <div style={{ height: matching * ROW_HEIGHT, position: 'relative' }}>
          <div style={{ position: 'absolute', top: skip * ROW_HEIGHT, left: 0, right: 0 }}>
            {rows.map((row) => <ExitLine key={row.sequence} row={row} chosen={row.sequence === subject.exit} choose={choose} />)}
          </div>
        </div>
      </div>
    </div>
  );
}

function ExitLine({ row, chosen, choose }: { row: ExitRow; chosen: boolean; choose(sequence: number): void }) {
  return (
    // The listbox has the focus and the arrow keys.
    <div id={`exit-${row.sequence}`} className={`exit-row${chosen ? ' chosen' : ''}`} role="option" aria-selected={chosen} onClick={() => choose(row.sequence)}>
      <span className="c-seq">{row.sequence}</span>
      <span className="c-time">{count(row.instructions)}</span>
      <span className="c-who"><i className={`dot l${Math.min(row.level, 3)}`} aria-hidden="true" />L{row.level} · {row.vcpu}</span>
      <span className="c-reason"><i className="swatch" style={{ background: reasonColour(row.reason) }} aria-hidden="true" />{row.name}</span>
      <span className="c-detail">{row.detail}</span>
      <span className="c-rip"><code>{row.rip}</code></span>
      <span className="c-code"><code>{row.code}</code></span>
      <span className="c-cost">{row.hypervisorInstructions === null ? '…' : count(row.hypervisorInstructions)}</span>
    </div>
  );
}

/** The chosen exit in full, and what can be looked at from there. */
function ExitDetail({ client, machine, visible, subject, change, goTo }: TabProps) {
  const answer = useInspection(client, machine, visible && subject.exit !== null ? { ask: 'exit', sequence: subject.exit } : null);
  if (subject.exit === null) return <p className="exit-detail hint">Choose an exit to see its VMCS and registers.</p>;
  const row = answer?.row ?? null;
  if (row === null) return <p className="exit-detail hint">Exit {subject.exit} has left the recorder.</p>;
  return (
    <div className="exit-detail">
      <p>
        <strong>Exit {row.sequence}: {row.name}</strong>{row.detail === '' ? '' : `, ${row.detail}`}. Guest RIP <code>{row.rip}</code>{row.code === '' ? '' : <>: <code>{row.code}</code></>}.
        {row.hypervisorInstructions === null ? ' The hypervisor has not entered a guest since.' : ` The hypervisor spent ${count(row.hypervisorInstructions)} instructions until it entered a guest.`}
      </p>
      <p className="exit-actions">
        <button type="button" className="small" disabled={!row.hasImage} onClick={() => goTo('vmcs', { vmcsOfExit: true })}>VMCS at this exit</button>
        <button type="button" className="small" disabled={!row.hasImage} onClick={() => goTo('cpu', { context: { vcpu: row.vcpu, kind: 'exit', exit: row.sequence } })}>Registers</button>
        <button type="button" className="small" onClick={() => change({ against: row.sequence })}>Compare others with this one</button>
        {subject.against !== null && <button type="button" className="small" onClick={() => change({ against: null })}>Stop comparing with {subject.against}</button>}
        {!row.hasImage && <small>Its VMCS has not been kept: only those of the last exits are.</small>}
      </p>
    </div>
  );
}
