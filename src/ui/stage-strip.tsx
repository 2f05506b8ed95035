/** The way from nothing to a running L2, stage by stage, with the time at which each was reached. */
import type { MachineSnapshot } from './machine-client';
import { STAGES } from '../worker/protocol';
import type { Stage, StageName } from '../worker/protocol';

/** What each stage is called before, and while, the machine is in it. */
const NAMES: Record<StageName, { ahead: string; now: string }> = {
  download: { ahead: 'Download', now: 'Downloading' },
  load: { ahead: 'Build the machine', now: 'Building the machine' },
  l1: { ahead: 'Boot L1', now: 'Booting L1' },
  'vmx-on': { ahead: 'L1 turns VMX on', now: 'L1 turned VMX on (VMXON)' },
  launch: { ahead: 'L1 starts L2', now: 'L1 started L2 (VMLAUNCH)' },
  l2: { ahead: 'L2 runs', now: 'L2 running' },
};

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

function describe(stage: Stage): string {
  if (stage.download === null) return NAMES[stage.name].now;
  const { file, received, total } = stage.download;
  return `Downloading ${file.slice(file.lastIndexOf('/') + 1)} ${megabytes(received)}${total === null ? '' : `/${megabytes(total)}`} MB`;
}

export function StageStrip({ machine }: { machine: MachineSnapshot }) {
  const { stage, reached, demo, status } = machine;
  const current = stage === null ? -1 : STAGES.indexOf(stage.name);
  const names = STAGES.filter((name) => name !== 'download' || demo === null || demo.files.length > 0);
  const over = status === 'stopped' || status === 'failed';
  const download = stage?.download ?? null;
  return (
    <section className="stages" aria-label="How far the start has come">
      <ol>
        {names.map((name) => {
          const index = STAGES.indexOf(name);
          const isNow = index === current && stage !== null;
          const state = index < current || (isNow && name === 'l2') ? 'done' : isNow ? (over ? 'ended' : 'now') : 'ahead';
          return (
            <li key={name} className={state} aria-current={isNow ? 'step' : undefined}>
              <span className="stage-name">{isNow ? describe(stage) : NAMES[name].ahead}</span>
              {reached[name] !== undefined && index > 0 && <small>{reached[name].toFixed(1)} s</small>}
            </li>
          );
        })}
      </ol>
      {download !== null && (
        <progress
          aria-label={`Download of ${download.file}`} value={download.total === null ? undefined : download.received} max={download.total ?? undefined}
        />
      )}
      <p className="visually-hidden" role="status">{stage === null || download !== null ? '' : NAMES[stage.name].now}</p>
    </section>
  );
}
