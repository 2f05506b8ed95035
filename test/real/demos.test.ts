/** Real systems in Node: the demos booted by the built command line, as a user would. Needs the images (npm run images). */
import { describe, expect, it } from 'vitest';
import { runDemo } from '../support/demo-run';

/** Generous: only there so that a hang ends. */
const HANG_GUARD_SECONDS = 600;

const run = (demo: string, ...args: string[]) => runDemo(demo, HANG_GUARD_SECONDS, ...args);

describe('demos', () => {
  it('runs the built-in hypervisor and its guest, the same way every time', () => {
    const first = run('builtin', '--until', 'l2:l2# ');
    expect(first.status, first.output).toBe(0);
    const second = run('builtin', '--until', 'l2:l2# ');
    expect(second.stats.instructions).toEqual(first.stats.instructions);
    expect(second.stats.consoles).toEqual(first.stats.consoles);
  }, 60_000);

  it('boots KVM and a 64-bit Linux guest to its shell, which answers', () => {
    const { status, output, stats } = run('kvm-amd64', '--send', 'l2:uname -sm\\r@l2# ', '--until', 'l2:Linux x86_64');
    expect(status, output).toBe(0);
    expect(stats.instructions.l2).toBeGreaterThan(100e6);
  }, HANG_GUARD_SECONDS * 1000);

  it('boots Xen, its dom0, and a 64-bit Linux as PVH guest to its shell, which answers', () => {
    const { status, output, stats } = run('xen-pvh-amd64', '--send', 'l2:uname -sm\\r@l2# ', '--until', 'l2:Linux x86_64');
    expect(status, output).toBe(0);
    expect(output).toContain('L1: Xen 4.');
    expect(stats.instructions.l2).toBeGreaterThan(100e6);
  }, HANG_GUARD_SECONDS * 1000);
});
