/** Explains what keeps the machine from running: what happened, why, and what to do. */
import { useState } from 'react';
import type { Problem } from '../worker/protocol';

function asText(problem: Problem): string {
  return [problem.title, problem.why, ...problem.remedies.map((remedy) => `- ${remedy}`), problem.details].filter((part) => part !== '').join('\n');
}

export function ProblemNotice({ problem }: { problem: Problem }) {
  const [copied, setCopied] = useState('Copy report');
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(asText(problem));
      setCopied('Copied');
    } catch {
      setCopied('Copying is not allowed here: select the text');
    }
  };
  return (
    <section className={problem.waiting ? 'notice waiting' : 'notice problem'} role="alert">
      <h2>{problem.title}</h2>
      <p>{problem.why}</p>
      <ul>{problem.remedies.map((remedy) => <li key={remedy}>{remedy}</li>)}</ul>
      {problem.details !== '' && (
        <details>
          <summary>Details</summary>
          <pre>{problem.details}</pre>
          <button type="button" onClick={() => void copy()}>{copied}</button>
        </details>
      )}
    </section>
  );
}
