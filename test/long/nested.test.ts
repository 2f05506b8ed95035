/** KVM in KVM: three levels, as the demo has them and with the features that make them fast switched off one by one. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { runDemo } from '../support/demo-run';

const HANG_GUARD_SECONDS = 3000;
const DEMO = 'kvm-kvm-amd64';
const EXTRA = /^extra = "(.*)"$/m.exec(readFileSync(`public/demos/${DEMO}.cfg`, 'utf8'))?.[1];

function run(words: string, ...args: string[]) {
  return runDemo(DEMO, HANG_GUARD_SECONDS, '--set', `extra=${EXTRA} ${words}`, ...args);
}

describe('KVM in KVM', () => {
  it('boots an L3 to its shell, which answers', () => {
    const { status, output, stats } = run('', '--send', 'l3:uname -sm\\r@l3# ', '--until', 'l3:Linux x86_64');
    expect(status, output).toBe(0);
    expect(stats.instructions.l3).toBeGreaterThan(100e6);
    // The shadow VMCS serves most of L2's accesses.
    expect(stats.exits.vmread).toBeLessThan(1000);
  }, HANG_GUARD_SECONDS * 1000);

  it.each([
    ['without VMCS shadowing', 'kvmargs=enable_shadow_vmcs=0'],
    ['without EPT in L2', 'l2kvmargs=ept=0'],
  ])('boots it %s', (_, words) => {
    const { status, output, stats } = run(words, '--until', 'l3:l3# ');
    expect(status, output).toBe(0);
    if (words.includes('shadow')) expect(stats.exits.vmread).toBeGreaterThan(10_000);
    else expect(stats.exits['exception-nmi']).toBeGreaterThan(10_000);
  }, HANG_GUARD_SECONDS * 1000);
});
