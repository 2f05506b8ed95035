/** Real systems with both engines in lockstep, by the built command line. `npm run test:lockstep` boots them to the end. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

const HANG_GUARD_SECONDS = 300;

function both(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath, ['dist/cli/nestbox.js', 'run', ...args, '--engine', 'both', '--timeout', String(HANG_GUARD_SECONDS)], { encoding: 'utf8', maxBuffer: 1 << 26 },
  );
  return { status, output: stdout + stderr };
}

describe('interpreter and JIT in lockstep', () => {
  it('agree on the whole built-in demo', () => {
    const { status, output } = both('builtin', '--send', 'l2:exits\\r@l2# ', '--until', 'l2:VM exits so far');
    expect(status, output).toBe(0);
    expect(output).toMatch(/interpreter and JIT agree: \d+ boundaries/);
  }, 60_000);

  it('agree on the first 60 million instructions of KVM', () => {
    const { status, output } = both('kvm-amd64', '--max-instructions', '60M');
    expect(status, output).toBe(3);
    expect(output).toContain('interpreter and JIT agree: 61 boundaries compared in 60000000 instructions');
  }, HANG_GUARD_SECONDS * 1000);
});
