/**
 * KVM as L1 in its modes: each row loads kvm-intel with other parameters, boots L2 to its prompt, and looks at the VM exits for what the mode is about.
 * Needs the images (npm run images). A few rows by default; all of them with NESTBOX_KVM_MODES=all.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const HANG_GUARD_SECONDS = 600;
const ALL = process.env.NESTBOX_KVM_MODES === 'all';

type Exits = Record<string, number | undefined>;

interface Mode {
  name: string;
  /** Part of the default run. */
  short?: boolean;
  /** Module parameters of kvm-intel. */
  parameters: string;
  /** More options of the command line. */
  options?: string[];
  /** Reasons that must occur, and that must not. */
  seen?: string[];
  absent?: string[];
}

const MODES: Mode[] = [
  { name: 'all features', parameters: '', seen: ['ept-misconfig', 'preemption-timer'], absent: ['interrupt-window', 'tpr-below-threshold', 'invlpg'] },
  { name: 'without APICv, two processors', short: true, parameters: 'enable_apicv=0', options: ['--set', 'vcpus=2'], seen: ['interrupt-window'] },
  { name: 'four processors', parameters: '', options: ['--set', 'vcpus=4'], absent: ['interrupt-window'] },
  { name: 'without FlexPriority and APICv', parameters: 'flexpriority=0 enable_apicv=0', seen: ['interrupt-window'] },
  { name: 'shadow paging by parameter', parameters: 'ept=0', seen: ['exception-nmi', 'cr-access'], absent: ['ept-violation', 'ept-misconfig'] },
  { name: 'shadow paging, no EPT in the processor', parameters: '', options: ['--set', 'hap=0'], seen: ['exception-nmi'], absent: ['ept-violation', 'ept-misconfig'] },
  { name: 'without unrestricted guest', parameters: 'unrestricted_guest=0', seen: ['ept-misconfig'] },
  { name: 'without VPID', parameters: 'vpid=0', seen: ['ept-misconfig'] },
  { name: 'without preemption timer', short: true, parameters: 'preemption_timer=0', absent: ['preemption-timer'] },
  { name: 'without virtual NMIs', parameters: 'vnmi=0' },
  { name: 'without EPT accessed and dirty flags and PML', parameters: 'eptad=0 pml=0' },
];

const BASE = readFileSync('public/demos/kvm-amd64.cfg', 'utf8');
/** The demo's kernel command line without the word that starts L2. */
const EXTRA = /^extra = "(.*)"$/m.exec(BASE)?.[1].replace(/ l2=\w+/, '') ?? '';

function boot(commands: string, until: string, options: string[]): { status: number | null; output: string; exits: Exits } {
  const folder = mkdtempSync(join(tmpdir(), 'nestbox-modes-'));
  const statsFile = join(folder, 'stats.json');
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      'dist/cli/nestbox.js', 'run', 'kvm-amd64', '--set', `extra=${EXTRA}`, ...options, '--stats', statsFile, '--timeout', String(HANG_GUARD_SECONDS),
      '--send', `l1:${commands}\\r@l1# `, '--until', until,
    ],
    { encoding: 'utf8', maxBuffer: 1 << 26 },
  );
  const { exits } = JSON.parse(readFileSync(statsFile, 'utf8')) as { exits: Exits };
  rmSync(folder, { recursive: true, force: true });
  return { status, output: stdout + stderr, exits };
}

const reload = (parameters: string): string => `rmmod kvm_intel; insmod /lib/kvm-intel.ko ${parameters}`;

describe('modes of KVM', () => {
  it.each(MODES.filter((mode) => ALL || mode.short === true))('$name', ({ parameters, options = [], seen = [], absent = [] }) => {
    const { status, output, exits } = boot(`${reload(parameters)}; l2 amd64 &`, 'l2:^l2# ', options);
    expect(status, output).toBe(0);
    for (const reason of seen) expect(exits[reason] ?? 0, reason).toBeGreaterThan(0);
    for (const reason of absent) expect(exits[reason] ?? 0, reason).toBe(0);
  }, HANG_GUARD_SECONDS * 1000);

  it.runIf(ALL)('two guests at once', () => {
    // The second guest's console is a file: L1 says when the prompt is in it. The text on L1's own console is put together so that its echo does not match.
    const second = '(sleep 9999 | minivmm -m 96 -i /l2/initramfs-amd64.cpio -c "console=ttyS0 quiet panic=-1 mitigations=off" /l2/vmlinu*-amd64 > /run/second) &';
    const wait = 'until grep -q l2# /run/second; do sleep 1; done; echo second-guest-"is"-up';
    const { status, output } = boot(`l2 amd64 & ${second} ${wait}`, 'l1:second-guest-is-up', ['--set', 'vcpus=2']);
    expect(status, output).toBe(0);
  }, HANG_GUARD_SECONDS * 1000);
});
