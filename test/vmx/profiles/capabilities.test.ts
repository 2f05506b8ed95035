/**
 * What the hypervisors of the profiles ask the capability MSRs for. The table has a row for each capability and who wants it: R, without it the hypervisor refuses;
 * u, used if it is there. Either way a machine of that profile must offer it. The sources are design notes made from the hypervisors' own code (VirtualBox 4.3), and for Hyper-V and VMware
 * from what Xen and KVM had to add before they ran.
 */
import '../../support/bare-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import { msrValue, readMsr } from '../../../src/cpu/msr';
import { powerOnProfile } from '../../support/profiles';

const PRODUCTS = ['virtualbox', 'hyperv', 'esxi', 'workstation'] as const;
const PIN = 0x48d, PROC = 0x48e, PROC2 = 0x48b, EXIT = 0x48f, ENTRY = 0x490;

/** Capability, MSR, bit, and the wants of the products in their order. */
const WANTED: [string, number, number, string][] = [
  ['external-interrupt exiting', PIN, 0, 'RRRR'], ['NMI exiting', PIN, 3, 'RRRR'], ['virtual NMIs', PIN, 5, '-RRR'], ['preemption timer', PIN, 6, 'uuuu'],
  ['interrupt-window exiting', PROC, 2, 'RRRR'], ['TSC offsetting', PROC, 3, 'RRRR'], ['HLT exiting', PROC, 7, 'RRRR'], ['INVLPG exiting', PROC, 9, 'RRRR'],
  ['MWAIT exiting', PROC, 10, 'RRRR'], ['RDPMC exiting', PROC, 11, 'Ruuu'], ['RDTSC exiting', PROC, 12, 'uuuu'], ['CR3-load exiting', PROC, 15, 'RRRR'],
  ['CR3-store exiting', PROC, 16, 'RRRR'], ['CR8-load exiting', PROC, 19, 'uuuu'], ['CR8-store exiting', PROC, 20, 'uuuu'], ['TPR shadow', PROC, 21, 'uRRR'],
  ['NMI-window exiting', PROC, 22, '-RRR'], ['MOV-DR exiting', PROC, 23, 'RRRR'], ['unconditional I/O exiting', PROC, 24, 'Ruuu'], ['I/O bitmaps', PROC, 25, '-uuu'],
  ['monitor trap flag', PROC, 27, '-uuu'], ['MSR bitmaps', PROC, 28, 'uuuu'], ['MONITOR exiting', PROC, 29, 'RRRR'], ['PAUSE exiting', PROC, 30, '-uuu'],
  ['secondary controls', PROC, 31, 'uRRR'],
  ['virtualised APIC accesses', PROC2, 0, 'uuuu'], ['EPT', PROC2, 1, 'uRuu'], ['descriptor-table exiting', PROC2, 2, '-uuu'], ['RDTSCP', PROC2, 3, 'uuuu'],
  ['virtual x2APIC mode', PROC2, 4, '-uuu'], ['VPID', PROC2, 5, 'uuuu'], ['WBINVD exiting', PROC2, 6, 'uuuu'], ['unrestricted guest', PROC2, 7, 'uuuu'],
  ['save debug controls', EXIT, 2, 'RRRR'], ['64-bit host', EXIT, 9, 'RRRR'], ['acknowledge interrupt on exit', EXIT, 15, '-RRR'], ['save PAT', EXIT, 18, '-uuu'],
  ['load PAT on exit', EXIT, 19, '-uuu'], ['save EFER', EXIT, 20, '-uuu'], ['load EFER on exit', EXIT, 21, '-uuu'], ['load PERF_GLOBAL_CTRL on exit', EXIT, 12, '-uuu'],
  ['save preemption timer', EXIT, 22, 'uuuu'],
  ['load debug controls', ENTRY, 2, 'RRRR'], ['IA-32e guest', ENTRY, 9, 'RRRR'], ['load PERF_GLOBAL_CTRL', ENTRY, 13, '-uuu'], ['load PAT', ENTRY, 14, '-uuu'],
  ['load EFER', ENTRY, 15, '-uuu'],
];

/** Bits of the EPT and VPID capabilities (48Ch). */
const TRANSLATION: [string, number, string][] = [
  ['4-level walk', 6, 'RRRR'], ['write-back tables', 14, 'RRRR'], ['2 MiB pages', 16, 'uuuu'], ['INVEPT', 20, 'RRRR'], ['INVEPT single', 25, 'uuuu'], ['INVEPT all', 26, 'uRRR'],
  ['INVVPID', 32, 'RRRR'], ['INVVPID address', 40, 'uRuu'], ['INVVPID single', 41, 'uRuu'], ['INVVPID all', 42, 'RRRR'], ['INVVPID single but globals', 43, 'uRuu'],
];

function msr(index: number): { lo: number; hi: number } {
  if (!readMsr(index)) throw new Error(`MSR ${index.toString(16)} is not there`);
  return { lo: msrValue[0], hi: msrValue[1] };
}

describe.each(PRODUCTS)('%s', (product) => {
  const column = PRODUCTS.indexOf(product);
  const wants = (marks: string): boolean => marks[column] !== '-';
  beforeAll(() => { powerOnProfile(product); });

  it.each(WANTED.filter((row) => wants(row[3])))('gets %s', (_what, index, bit) => expect((msr(index).hi >>> bit) & 1).toBe(1));
  it.each(TRANSLATION.filter((row) => wants(row[2])))('gets %s', (_what, bit) => {
    const { lo, hi } = msr(0x48c);
    expect(((bit < 32 ? lo : hi) >>> (bit & 31)) & 1).toBe(1);
  });

  it('may leave every control off that is not in the default-1 class', () => {
    expect([PIN, PROC, EXIT, ENTRY].map((index) => msr(index).lo >>> 0)).toEqual([0x16, 0x04006172, 0x36dfb, 0x11fb]);
    expect(msr(PROC2).lo).toBe(0);
  });

  it('computes the same from the old MSRs and the TRUE ones, but for what was once always 1', () => {
    for (const [old, now, onlyOld] of [[0x481, PIN, 0], [0x482, PROC, 0x18000], [0x483, EXIT, 4], [0x484, ENTRY, 4]]) {
      expect(msr(old).hi).toBe(msr(now).hi);
      expect((msr(old).lo & ~msr(now).lo) >>> 0).toBe(onlyOld);
    }
  });

  it('has a region of 4 KiB in write-back memory, INS/OUTS information, the TRUE MSRs', () => {
    const { lo, hi } = msr(0x480);
    expect([lo < 0, hi & 0x1fff, (hi >>> 16) & 3, (hi >>> 18) & 15, (hi >>> 22) & 3]).toEqual([false, 4096, 0, 6, 3]);
  });

  it('has LMA stored at exits, activity states, four CR3 targets, and lists of 512 MSRs', () => {
    const { lo } = msr(0x485);
    expect([(lo >>> 5) & 1, (lo >>> 6) & 7, (lo >>> 16) & 0x1ff, (lo >>> 25) & 7]).toEqual([1, 7, 4, 0]);
  });

  it('has fixed bits that its own CR0 and CR4 satisfy', () => {
    expect([msr(0x486).lo >>> 0, msr(0x487).lo >>> 0, msr(0x488).lo]).toEqual([0x80000021, 0xffffffff, 0x2000]);
    // VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT VMXE.
    expect(msr(0x489).lo & 0x27ff).toBe(0x27ff);
  });

  it('has every pair of load controls on both sides', () => {
    const exit = msr(EXIT).hi, entry = msr(ENTRY).hi;
    for (const [onExit, onEntry] of [[12, 13], [19, 14], [21, 15]]) expect((exit >>> onExit) & 1).toBe((entry >>> onEntry) & 1);
  });

  it('loses what rests on EPT together with it', () => {
    powerOnProfile(product, 'hap = 0');
    expect(msr(PROC2).hi & 0xa2).toBe(0);
    expect([readMsr(0x48c), readMsr(0x491)]).toEqual([false, false]);
    expect((msr(PROC).hi >>> 21) & 1).toBe(1);
  });

  it('loses VMX as a whole', () => {
    powerOnProfile(product, 'nestedhvm = 0');
    for (let index = 0x480; index <= 0x491; index++) expect(readMsr(index)).toBe(false);
    expect(msr(0x3a).lo).toBe(1);
  });
});

describe('profiles without PERF_GLOBAL_CTRL', () => {
  it.each(['virtualbox', 'windows'])('%s has no controls for it', (name) => {
    powerOnProfile(name);
    expect([(msr(EXIT).hi >>> 12) & 1, (msr(ENTRY).hi >>> 13) & 1]).toEqual([0, 0]);
  });
});
