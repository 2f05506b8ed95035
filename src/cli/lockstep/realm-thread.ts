/** A realm as the driver sees it: a thread to which commands are sent one by one. */
import { Worker } from 'node:worker_threads';
import { FileError } from '../files';
import type { Answers, Command, CommandOf, Message, RealmData } from './protocol';

export class RealmThread {
  private readonly worker: Worker;
  /** Ends the command under way. */
  private settle: ((message: Message) => void) | null = null;
  private dead = '';

  /** `program`: module that serves a realm when it is started as a thread with `data`. */
  constructor(program: string, data: RealmData) {
    this.worker = new Worker(program, { workerData: data });
    this.worker.on('message', (message: Message) => this.finish(message));
    this.worker.on('error', (error) => this.fail(error instanceof Error ? error.stack ?? error.message : String(error)));
    this.worker.on('exit', () => this.fail('its thread has ended'));
  }

  /** Rejects if the realm cannot answer. */
  call<K extends Command['kind']>(kind: K, command: Omit<CommandOf<K>, 'kind'>): Promise<Answers[K]> {
    return new Promise((resolve, reject) => {
      this.settle = (message) => {
        if ('failure' in message) reject(message.expected ? new FileError(message.failure) : new Error(message.failure));
        else resolve(message.answer as Answers[K]);
      };
      if (this.dead === '') this.worker.postMessage({ kind, ...command });
      else this.finish({ failure: this.dead, expected: false });
    });
  }

  async end(): Promise<void> {
    this.dead = 'it was ended';
    await this.worker.terminate();
  }

  private fail(reason: string): void {
    if (this.dead === '') this.dead = reason;
    this.finish({ failure: this.dead, expected: false });
  }

  private finish(message: Message): void {
    const settle = this.settle;
    this.settle = null;
    settle?.(message);
  }
}
