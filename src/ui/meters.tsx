/** Speed, VM exits, and where real time goes, by level. */
import type { MachineSnapshot } from './machine-client';
import type { TimeShares } from '../worker/protocol';

const LEVELS: { key: keyof TimeShares; label: string; title: string }[] = [
  { key: 'l0', label: 'L0', title: 'L0: Nestbox’s own work: loading, messages' },
  { key: 'l1', label: 'L1', title: 'L1: executing the hypervisor' },
  { key: 'l2', label: 'L2', title: 'L2: executing the hypervisor’s guest' },
  { key: 'l3', label: 'L3', title: 'L3: executing guests of the guest' },
  { key: 'idle', label: 'idle', title: 'idle: the processor halts until something happens' },
];

function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}

/** Three figures at most. */
function short(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toFixed(value < 1e7 ? 1 : 0)}M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(0)}k`;
  return value.toFixed(value < 10 && value > 0 ? 1 : 0);
}

function total(count: number | undefined, what: string): string {
  return count === undefined ? '' : `${count.toLocaleString('en')} ${what} since power-on`;
}

export function Meters({ machine }: { machine: MachineSnapshot }) {
  const statistics = machine.statistics;
  const live = statistics !== null && machine.status === 'running';
  const deep = machine.guests.some((guest) => guest.level > 2) || (machine.demo?.levels.length ?? 0) > 2;
  const levels = LEVELS.filter(({ key }) => key !== 'l3' || deep);
  return (
    <dl className="meters" aria-label="Speed and share of time per level">
      <div className="meter" title={total(statistics?.instructions, 'instructions')}><dt>MIPS</dt><dd>{live ? short(statistics.mips) : '–'}</dd></div>
      <div className="meter" title={total(statistics?.exits, 'VM exits')}><dt>exits/s</dt><dd>{live ? short(statistics.exitsPerSecond) : '–'}</dd></div>
      <div className="meter wide"><dt>guest time</dt><dd>{statistics === null ? '–' : `${statistics.guestSeconds.toFixed(1)} s`}</dd></div>
      <div className="shares">
        <dt className="share-bar" aria-hidden="true">
          {levels.map(({ key }) => <span key={key} className={`share ${key}`} style={{ flexGrow: live ? statistics.shares[key] : 0 }} />)}
        </dt>
        <dd className={deep ? 'share-figures deep' : 'share-figures'}>
          {levels.map(({ key, label, title }) => (
            <span key={key} title={title}><i className={`dot ${key}`} aria-hidden="true" />{label} {live ? percent(statistics.shares[key]) : '–'}</span>
          ))}
        </dd>
      </div>
    </dl>
  );
}
