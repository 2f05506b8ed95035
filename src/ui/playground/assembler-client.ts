/** Asks a worker of its own, with the machine's program, for the sources that come with it and for what is wrong with others. */
import type { BuiltinSources } from '../../guests/builtin';
import type { Lesson } from '../../guests/lessons';
import type { Report, Request, SourceError } from '../../worker/protocol';

export interface ProgramSources {
  sources: BuiltinSources;
  lessons: readonly Lesson[];
  /** Files that %include finds. */
  includes: Readonly<Record<string, string>>;
}

export class AssemblerClient {
  private readonly createWorker: () => Worker;
  private worker: Worker | null = null;
  /** Those who wait for answers, which come in order. */
  private readonly waiting: { resolve(report: Report): void; reject(error: Error): void }[] = [];

  constructor(createWorker: () => Worker) {
    this.createWorker = createWorker;
  }

  async program(): Promise<ProgramSources> {
    const report = await this.ask({ type: 'sources' });
    if (report.type !== 'sources') throw new Error('an unexpected answer');
    return report;
  }

  async check(sources: Partial<BuiltinSources>): Promise<readonly SourceError[]> {
    const report = await this.ask({ type: 'assemble', sources });
    if (report.type !== 'assembled') throw new Error('an unexpected answer');
    return report.errors;
  }

  private ask(request: Request): Promise<Report> {
    const worker = this.worker ?? this.start();
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      worker.postMessage(request);
    });
  }

  private start(): Worker {
    const worker = this.createWorker();
    worker.addEventListener('message', (event: MessageEvent<Report>) => this.waiting.shift()?.resolve(event.data));
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      worker.terminate();
      this.worker = null;
      for (const { reject } of this.waiting.splice(0)) reject(new Error('the assembler could not be loaded'));
    });
    this.worker = worker;
    return worker;
  }
}
