/**
 * What `nestbox matrix` found out, as it is kept in public/matrix.json: which guest boots on which hypervisor. The command writes it,
 * the page shows it.
 */

/**
 * `boots`: the guest showed what only a finished boot shows. `fails`: it did not. `impossible`: it cannot, on a real processor neither.
 * `no image`: the image build has no such guest for this hypervisor. `not run`: nobody has tried yet.
 */
export type CellState = 'boots' | 'fails' | 'impossible' | 'no image' | 'not run';

export interface NamedSystem {
  id: string;
  title: string;
}

/** What the last run took. */
export interface CellFigures {
  /** Retired instructions: `total`, and by level (`l1`, `l2`, ...). */
  instructions: Record<string, number>;
  /** VM exits, all reasons. */
  exits: number;
  /** Processor time of the run, in seconds. */
  cpuSeconds: number;
}

export interface MatrixCell {
  /** Ids of the hypervisor and of its guest. */
  hypervisor: string;
  guest: string;
  /** Whether the machine offers EPT. */
  hap: boolean;
  state: CellState;
  /** Why it does not boot; empty if it does. */
  why: string;
  /** Day of the last run, YYYY-MM-DD. */
  date: string | null;
  figures: CellFigures | null;
  /** The demo that shows this pair, and what is to be changed in its configuration (`applyChanges`); null if there is none. */
  demo: string | null;
  changes: string;
}

/** Pairs that need what only the visitor can have: an installation medium and its licence. */
export interface MediaRow {
  hypervisor: string;
  guests: string;
  needs: string;
}

export interface MatrixResults {
  version: 1;
  hypervisors: NamedSystem[];
  guests: NamedSystem[];
  /** By guest, then by hypervisor, with EPT first. */
  cells: MatrixCell[];
  media: MediaRow[];
}

/** Checks what a file holds only as far as telling it from something else needs. */
export function isMatrixResults(value: unknown): value is MatrixResults {
  return typeof value === 'object' && value !== null && 'version' in value && value.version === 1 && 'cells' in value && Array.isArray(value.cells)
    && 'hypervisors' in value && Array.isArray(value.hypervisors) && 'guests' in value && Array.isArray(value.guests) && 'media' in value && Array.isArray(value.media);
}
