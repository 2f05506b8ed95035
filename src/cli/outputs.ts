/** Where the bytes of serial ports go, and files that a run writes. */
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import type { GuestLevel, RunArguments } from './arguments';
import { FileError } from './files';

const COM1 = 0;

/** Serial ports by number, and 'l2' and 'l3': what is observed of the guests' first one. */
export class SerialOutputs {
  private readonly files = new Map<number | GuestLevel, number>();
  private readonly terminalPort: number | null;
  /** What the ports sent since the last flush. */
  private readonly pending = new Map<number | GuestLevel, number[]>();

  constructor(run: RunArguments) {
    let terminal: number | null = run.serial.size === 0 ? COM1 : null;
    for (const [port, target] of run.serial) {
      if (target.kind === 'stdio') terminal = Number(port);
      else this.files.set(port, openOutput(target.path));
    }
    this.terminalPort = terminal;
  }

  get terminal(): number | null {
    return this.terminalPort;
  }

  write(port: number | GuestLevel, byte: number): void {
    const bytes = this.pending.get(port);
    if (bytes === undefined) this.pending.set(port, [byte]);
    else bytes.push(byte);
  }

  flush(): void {
    for (const [port, bytes] of this.pending) {
      if (bytes.length === 0) continue;
      if (port === this.terminalPort) process.stdout.write(Uint8Array.from(bytes));
      const file = this.files.get(port);
      if (file !== undefined) writeSync(file, Uint8Array.from(bytes));
      bytes.length = 0;
    }
  }

  close(): void {
    this.flush();
    for (const file of this.files.values()) closeSync(file);
  }
}

function openOutput(path: string): number {
  try {
    return openSync(path, 'w');
  } catch (error) {
    throw new FileError(`${path}: cannot be written (${error instanceof Error ? error.message : String(error)})`);
  }
}

/** Writes a result file; the error says which. */
export function writeOutput(path: string, contents: string | Uint8Array): void {
  try {
    writeFileSync(path, contents);
  } catch (error) {
    throw new FileError(`${path}: cannot be written (${error instanceof Error ? error.message : String(error)})`);
  }
}
