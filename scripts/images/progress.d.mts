export class Progress {
  constructor(path: string, stages: number);
  begin(stage: string, total?: number): void;
  advance(bytes: number, total: number): void;
  end(state: 'done' | 'cached' | 'failed' | 'skipped', bytes?: number, message?: string): void;
  finish(complete: boolean, message: string): void;
}
export function megabytes(bytes: number): string;
