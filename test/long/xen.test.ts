/** Xen's HVM guests, with Debian's QEMU as device model in dom0, and the guest that must not start. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { runDemo } from '../support/demo-run';

const HANG_GUARD_SECONDS = 3000;

describe('Xen', () => {
  it.each([['amd64', 'Linux x86_64'], ['i386', 'Linux i686']])('boots a Linux for %s as HVM guest to its shell, which answers', (architecture, answer) => {
    const { status, output, stats } = runDemo(`xen-hvm-${architecture}`, HANG_GUARD_SECONDS, '--send', 'l2:uname -sm\\r@l2# ', '--until', `l2:${answer}`);
    expect(status, output).toBe(0);
    expect(output).toContain('L1: Xen 4.');
    // BIOS, setup code and the way into protected mode: an HVM guest changes CR0 often.
    expect(stats.exits['cr-access']).toBeGreaterThan(100);
  }, HANG_GUARD_SECONDS * 1000);

  it('cannot start a 686-pae Linux as PVH guest, as on a real CPU: it reads through FS, which is unusable then', () => {
    const modules = /^ramdisk = (\[[^\]]*\])/m.exec(readFileSync('public/demos/xen-hvm-i386.cfg', 'utf8'))?.[1].replaceAll('\n', ' ').replace('l2=hvm-i386', 'l2=pvh-i386');
    const { status, output, stats } = runDemo('xen-hvm-i386', HANG_GUARD_SECONDS, '--set', `ramdisk=${modules}`, '--until', 'l1:L2 \\(pvh-i386\\) has ended');
    expect(status, output).toBe(0);
    expect(stats.exits['triple-fault']).toBe(1);
    expect(stats.consoles.l2.bytes).toBe(0);
  }, HANG_GUARD_SECONDS * 1000);
});
