/** Follows the start of a machine through its stages, as far as L0 can see them: nobody inside helps. */
import { STAGES } from './protocol';
import type { Stage, StageName } from './protocol';

export class StageTracker {
  private reached = -1;
  private readonly tell: (stage: Stage) => void;

  constructor(tell: (stage: Stage) => void) {
    this.tell = tell;
  }

  download(file: string, received: number, total: number | null): void {
    this.reached = Math.max(this.reached, STAGES.indexOf('download'));
    this.tell({ name: 'download', download: { file, received, total } });
  }

  /** A stage begins; one that was reached before is not told again. */
  reach(name: StageName): void {
    const index = STAGES.indexOf(name);
    if (index <= this.reached) return;
    this.reached = index;
    this.tell({ name, download: null });
  }

  has(name: StageName): boolean {
    return this.reached >= STAGES.indexOf(name);
  }
}
