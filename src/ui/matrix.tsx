/** The matrix in the gallery: which guest boots on which hypervisor, as it was last tried (public/matrix.json), each pair a button that starts it. */
import { useEffect, useState } from 'react';
import { applyChanges } from '../machine/config';
import { isMatrixResults } from '../matrix/results';
import type { MatrixCell, MatrixResults } from '../matrix/results';
import { isAvailable, makeDemo } from './demos';
import type { Available, Demo } from './demos';

interface Props {
  demos: readonly Demo[];
  images: Available;
  /** Starts a demo with changes in its configuration. */
  choose(demo: Demo, changes: string): void;
}

/** Null where there are none. */
async function fetchResults(): Promise<MatrixResults | null> {
  try {
    const response = await fetch('matrix.json');
    const value: unknown = response.ok ? await response.json() : null;
    return isMatrixResults(value) ? value : null;
  } catch {
    return null;
  }
}

const SYMBOLS: Record<MatrixCell['state'], string> = { boots: '✓ boots', fails: '✗ fails', impossible: '–', 'no image': 'no image', 'not run': '? not run' };

function amount(count: number): string {
  return count >= 1e9 ? `${(count / 1e9).toFixed(1)} G` : `${Math.ceil(count / 1e6)} M`;
}

/** What is known of a pair, in words. */
export function describeCell(cell: MatrixCell): string {
  const { figures } = cell;
  const took = figures === null ? '' : `${amount(figures.instructions.total ?? 0)} instructions, ${figures.exits} VM exits, ${figures.cpuSeconds} s of processor time`;
  const parts = [cell.state, cell.why, took, cell.date ?? ''].filter((part) => part !== '');
  return `${cell.hap ? 'With EPT' : 'Without EPT'}: ${parts.join('; ')}`;
}

/** `alone`: it stands for the machine with EPT and the one without. */
function Pair({ cell, alone, demos, images, choose }: Props & { cell: MatrixCell; alone: boolean }) {
  const demo = demos.find(({ name }) => name === cell.demo);
  if (alone) return <span className="pair" title={cell.why}>{SYMBOLS[cell.state]}</span>;
  const text = describeCell(cell), label = `${cell.hap ? 'EPT' : 'shadow'} ${SYMBOLS[cell.state]}`;
  if (demo === undefined || cell.state === 'impossible' || cell.state === 'no image') return <span className={`pair ${cell.state}`} title={text}>{label}</span>;
  const ready = isAvailable(makeDemo(demo.name, applyChanges(demo.config, cell.changes)), images);
  return (
    <button type="button" className={`pair ${cell.state}`} title={ready ? `${text}. Start it` : `${text}. Its images are missing on this server`} disabled={!ready} onClick={() => choose(demo, cell.changes)}>{label}</button>
  );
}

/** What is the same with EPT and without is said once. */
function withoutRepetition(cells: readonly MatrixCell[]): readonly MatrixCell[] {
  const [first, ...others] = cells;
  const same = first !== undefined && first.demo === null && others.every(({ state, why }) => state === first.state && why === first.why);
  return same ? [first] : cells;
}

export function Matrix({ demos, images, choose }: Props) {
  const [results, setResults] = useState<MatrixResults | null | undefined>(undefined);
  useEffect(() => {
    let live = true;
    void fetchResults().then((found) => {
      if (live) setResults(found);
    });
    return () => {
      live = false;
    };
  }, []);
  if (results === undefined) return <p className="soft">Loading…</p>;
  if (results === null) return <p className="soft">There are no results here: <code>npx nestbox matrix</code> makes them.</p>;
  const { hypervisors, guests, cells, media } = results;
  return (
    <>
      <p className="soft">Choose a pair to start it; point at one for what its last run took, or why it does not boot.</p>
      <div className="matrix-scroll" role="region" aria-label="Matrix of hypervisors and guests" tabIndex={0}>
        <table className="matrix">
          <thead><tr><th scope="col">Guest</th>{hypervisors.map(({ id, title }) => <th key={id} scope="col">{title}</th>)}</tr></thead>
          <tbody>
            {guests.map((guest) => (
              <tr key={guest.id}>
                <th scope="row">{guest.title}</th>
                {hypervisors.map(({ id }) => (
                  <td key={id}>
                    {withoutRepetition(cells.filter((cell) => cell.hypervisor === id && cell.guest === guest.id)).map((cell, _, all) => (
                      <Pair key={String(cell.hap)} cell={cell} alone={all.length === 1} demos={demos} images={images} choose={choose} />
                    ))}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="soft">Untried, because they need media of your own: {media.map(({ hypervisor, guests: names }) => `${names} on ${hypervisor}`).join('; ')}.</p>
    </>
  );
}
