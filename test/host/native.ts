/** The native runner (native-runner.c, compiled when first needed) as a process that executes batches of test cases on the host's processor. */
import { spawn, execFileSync } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import { CASE_BYTES, GS, PAGE, PATTERN_PAGES, POOL_PAGES, layoutOf } from './user-layout';
import type { Bits } from './user-layout';

const GCC_OPTIONS = [
  '-O2', '-Wall', '-Wextra', '-Werror', '-ffreestanding', '-nostdlib', '-static-pie', '-fPIE', '-fno-stack-protector', '-mno-red-zone', '-mgeneral-regs-only',
  '-fno-asynchronous-unwind-tables',
];

/** Compiles the runner unless it is newer than its source; returns its path. Throws where that is impossible. `root`: the repository. */
export function buildNativeRunner(root: string): string {
  if (arch() !== 'x64' || process.platform !== 'linux') throw new Error('comparing with the host CPU needs Linux on an x86-64 machine');
  const source = join(root, 'test', 'host', 'native-runner.c'), cache = join(root, 'node_modules', '.cache', 'host');
  const program = join(cache, 'native-runner');
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return program;
  mkdirSync(cache, { recursive: true });
  try {
    execFileSync('gcc', [...GCC_OPTIONS, '-o', program, source], { stdio: 'pipe' });
  } catch (error) {
    const detail = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
    throw new Error(`gcc cannot compile native-runner.c: ${detail}`);
  }
  return program;
}

const LDT_AT = 48, LDT_BYTES = 16, MAX_LDT = 8, AREAS_AT = LDT_AT + LDT_BYTES * MAX_LDT, AREA_BYTES = 24, MAX_AREAS = 16;

function setupRecord(bits: Bits): Buffer {
  const layout = layoutOf(bits);
  const record = Buffer.alloc(AREAS_AT + AREA_BYTES * MAX_AREAS);
  record.writeUInt32LE(bits, 0);
  record.writeUInt32LE(layout.areas.length, 4);
  record.writeUInt32LE(POOL_PAGES, 8);
  record.writeUInt32LE(PATTERN_PAGES, 12);
  record.writeBigUInt64LE(BigInt(layout.stub), 16);
  record.writeBigUInt64LE(BigInt(layout.segments[GS].base), 24);
  layout.segments.forEach((segment, i) => record.writeUInt16LE(segment.selector, 32 + 2 * i));
  record.writeUInt16LE(layout.ldt.length, 44);
  layout.ldt.forEach((entry, i) => {
    const at = LDT_AT + LDT_BYTES * i;
    record.writeUInt32LE(entry.base, at);
    record.writeUInt32LE(entry.limit, at + 4);
    record.writeUInt32LE(entry.code ? 1 : 0, at + 8);
    record.writeUInt32LE(entry.big ? 1 : 0, at + 12);
  });
  layout.areas.forEach((area, i) => {
    const at = AREAS_AT + AREA_BYTES * i;
    record.writeBigUInt64LE(BigInt(area.linear), at);
    record.writeUInt32LE(area.first, at + 8);
    record.writeUInt32LE(area.pages, at + 12);
    record.writeUInt32LE(area.protection, at + 16);
    record.writeUInt32LE(area.compare ? 1 : 0, at + 20);
  });
  return record;
}

/** The runner could not do what it was asked; it has said why on stderr. */
export class NativeRunnerDied extends Error {
  constructor(how: string) {
    super(`the native runner died (${how})`);
  }
}

/** One runner process. */
export class NativeRunner {
  private readonly process: ChildProcessByStdio<Writable, Readable, null>;
  private chunks: Buffer[] = [];
  private received = 0;
  private waiting: { resolve: (replies: Buffer) => void; reject: (error: Error) => void } | undefined;
  private ended = false;

  constructor(program: string, bits: Bits) {
    this.process = spawn(program, [], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.process.stdout.on('data', (chunk: Buffer) => this.receive(chunk));
    this.process.on('exit', (code, signal) => {
      if (!this.ended) this.waiting?.reject(new NativeRunnerDied(signal ?? `exit code ${code}`));
    });
    this.process.stdin.on('error', () => undefined);
    this.process.stdin.write(setupRecord(bits));
  }

  private receive(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.received += chunk.length;
    if (this.chunks[0].length < 8) this.chunks = [Buffer.concat(this.chunks)];
    if (this.received < 8 || this.received < Number(this.chunks[0].readBigUInt64LE(0))) return;
    const replies = Buffer.concat(this.chunks);
    this.chunks = [];
    this.received = 0;
    const waiting = this.waiting;
    this.waiting = undefined;
    // Without the length and its padding.
    waiting?.resolve(replies.subarray(16));
  }

  /** Executes `count` cases; the reply is REPLY_BYTES and the differences for each, padded to 16 bytes. One batch at a time. */
  run(pattern: Uint8Array, cases: Uint8Array, count: number): Promise<Buffer> {
    if (pattern.length !== PATTERN_PAGES * PAGE || cases.length < count * CASE_BYTES) throw new Error('malformed batch');
    const header = Buffer.alloc(16);
    header.writeUInt32LE(count, 0);
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.process.stdin.write(header);
      this.process.stdin.write(pattern);
      this.process.stdin.write(cases.subarray(0, count * CASE_BYTES));
    });
  }

  close(): void {
    this.ended = true;
    this.process.stdin.end();
  }
}
