/** Explains what keeps the machine from running: what happened, why, and what to do; with a report to copy. */
import { useState } from 'react';
import type { ReactNode } from 'react';
import type { MachineSnapshot } from './machine-client';
import type { Problem } from '../worker/protocol';

interface Props {
  problem: Problem;
  machine: MachineSnapshot;
  /** Buttons that help. */
  children?: ReactNode;
}

/** Lines of the log that a report ends with. */
const LOG_LINES = 20;

function reportText(problem: Problem, machine: MachineSnapshot): string {
  return [
    problem.title, problem.why, ...problem.remedies.map((remedy) => `- ${remedy}`), '', problem.details, '',
    `Link: ${location.href}`, `Browser: ${navigator.userAgent}`,
    `Stage: ${machine.stage?.name ?? 'none'}; instructions: ${machine.statistics?.instructions ?? 0}; VM exits: ${machine.statistics?.exits ?? 0}`,
    ...machine.log.slice(-LOG_LINES),
  ].join('\n');
}

export function ProblemNotice({ problem, machine, children }: Props) {
  const [copied, setCopied] = useState('Copy report');
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(reportText(problem, machine));
      setCopied('Copied');
    } catch {
      setCopied('Copying is not allowed here: select the text');
    }
  };
  const severe = machine.status === 'failed' || machine.crashed;
  return (
    <section className={problem.waiting || !severe ? 'notice waiting' : 'notice problem'} role="alert">
      <h2>{problem.title}</h2>
      <p>{problem.why}</p>
      <ul>{problem.remedies.map((remedy) => <li key={remedy}>{remedy}</li>)}</ul>
      <div className="button-row">
        {children}
        {!problem.waiting && <button type="button" onClick={() => void copy()}>{copied}</button>}
      </div>
      {problem.details !== '' && (
        <details>
          <summary>Details</summary>
          <pre>{problem.details}</pre>
        </details>
      )}
    </section>
  );
}
