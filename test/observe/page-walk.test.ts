/** The page walk for people against the MMU itself: random tables, all paging modes, with and without EPT. */
import { describe, expect, it } from 'vitest';
import '../support/bare-cpu';
import {
  CR0, CR0_WP, CR4, CR4_PAE, CR4_PSE, CR4_SMAP, CR4_SMEP, EFER, EFER_NXE, FAULT_ERROR, FAULT_KIND, FAULT_VECTOR, LMA, PDPTE, R, CR3,
} from '../../src/cpu/state';
import { FAULT, FK_EXCEPTION, FK_VM_EXIT, PF_ADDRESS } from '../../src/cpu/fault';
import { eptCapabilities, setEptp } from '../../src/cpu/mmu/ept';
import { ACCESS_FETCH, ACCESS_USER_MODE, ACCESS_WRITE, WALK, WALK_HOST_PAGE, translate } from '../../src/cpu/mmu/paging';
import { physRead32, physReadBytes, physWrite32, physWrite64, physWriteBytes } from '../../src/cpu/mmu/physical';
import { flushEverything } from '../../src/cpu/mmu/tlb';
import { EXIT_REASON_EPT_MISCONFIG, EXIT_REASON_EPT_VIOLATION } from '../../src/vmx/exit-reasons';
import { PENDING_GUEST_PHYSICAL, PENDING_QUALIFICATION, PENDING_REASON } from '../../src/vmx/state';
import type { Context } from '../../src/observe/contexts';
import { hex64 } from '../../src/observe/hex';
import { PageWalker } from '../../src/observe/page-walk';
import type { AccessKind } from '../../src/observe/page-walk';
import { entry64, freshMachine, longMode, mode32, paeMode, setUser } from '../cpu/mmu/tables';

/** Mulberry32: the same tables in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}

const TABLES = 0x10000, TABLES_BYTES = 0x10000, EPT = 0x40000, EPT_BYTES = 0x10000;
/** Flags of guest entries: mostly good ones, so that walks go deep. */
const GOOD = 0x67;

/** A frame that is mostly another table or some RAM, sometimes a device hole or nothing. */
function frame(next: () => number, base: number, bytes: number): number {
  const kind = next() % 16;
  if (kind < 11) return base + (next() % (bytes / 4096)) * 4096;
  if (kind < 14) return (next() % 4096) * 4096;
  return (next() & 0xfffff000) >>> 0;
}

function fillGuestTables(next: () => number, wide: boolean): void {
  for (let at = TABLES; at < TABLES + TABLES_BYTES; at += wide ? 8 : 4) {
    const kind = next() % 8;
    const flags = kind < 5 ? GOOD : kind < 7 ? next() & 0xfff : (next() & 0xfff) | 1;
    const target = (frame(next, TABLES, TABLES_BYTES) | flags) | 0;
    // A large page needs an aligned frame to be good.
    const large = (flags & 0x80) !== 0 && next() % 2 === 0 ? (target & -0x400000) | flags : target;
    if (!wide) physWrite32(at, large);
    else physWrite64(at, large, next() % 10 === 0 ? next() | 0 : next() % 8 === 0 ? -0x80000000 : 0);
  }
}

function fillEpt(next: () => number): void {
  for (let at = EPT; at < EPT + EPT_BYTES; at += 8) {
    const kind = next() % 12;
    // The lower half of the area is tables; the upper has leaves that map low memory to itself.
    const flags = kind < 9 ? 7 : next() & 0xfff;
    physWrite64(at, (frame(next, EPT, EPT_BYTES) | flags) | 0, next() % 40 === 0 ? next() & 0xfffff : 0);
  }
}

/** An identity map of 16 MiB below, with a few holes and rights taken away. */
function gentleEpt(next: () => number): void {
  const pdpt = EPT + 0x1000, pd = EPT + 0x2000;
  entry64(EPT, 0, pdpt, 7 | (next() % 2 ? 0x400 : 0));
  entry64(pdpt, 0, pd, 7 | 0x400);
  for (let n = 0; n < 8; n++) {
    const pt = EPT + 0x3000 + n * 0x1000;
    entry64(pd, n, pt, 7 | 0x400);
    for (let k = 0; k < 512; k++) entry64(pt, k, n * 0x200000 + k * 4096, next() % 20 === 0 ? next() & 0x777 : 0x37 | (next() & 0x700));
  }
}

function contextNow(eptp: number | null, modeBasedExecute: boolean): Context {
  return {
    vcpu: 0, kind: 'now', level: 2, words: R, rflags: 2, generalKnown: true, othersKnown: true, eptp: eptp === null ? null : [eptp, 0], modeBasedExecute, pdptesKnown: true,
  };
}

/** What the MMU does with an access, in words. */
function byMmu(lo: number, hi: number, access: number): string {
  R[FAULT_KIND] = 0;
  try {
    translate(lo, hi, access);
    return `page ${WALK[WALK_HOST_PAGE] >>> 0}`;
  } catch (thrown) {
    if (thrown !== FAULT) throw thrown;
  }
  if (R[FAULT_KIND] === FK_EXCEPTION) return R[FAULT_VECTOR] === 13 ? '#GP' : `#PF ${R[FAULT_ERROR]} at ${hex64(PF_ADDRESS[0], PF_ADDRESS[1])}`;
  expect(R[FAULT_KIND]).toBe(FK_VM_EXIT);
  const where = hex64(R[PENDING_GUEST_PHYSICAL], R[PENDING_GUEST_PHYSICAL + 1]);
  if (R[PENDING_REASON] === EXIT_REASON_EPT_MISCONFIG) return `misconfiguration ${where}`;
  expect(R[PENDING_REASON]).toBe(EXIT_REASON_EPT_VIOLATION);
  return `violation ${R[PENDING_QUALIFICATION]} ${where}`;
}

function byWalker(context: Context, lo: number, hi: number, kind: AccessKind, user: boolean): string {
  const walk = new PageWalker(context, kind, user).walk(lo, hi);
  const { fault } = walk;
  if (fault === null) return `page ${Math.floor(Number.parseInt(walk.hostPhysical ?? '', 16) / 4096)}`;
  switch (fault.kind) {
    case '#GP': return '#GP';
    case '#PF': return `#PF ${fault.code} at ${walk.linear}`;
    case 'EPT violation': return `violation ${fault.code} ${fault.guestPhysical}`;
    case 'EPT misconfiguration': return `misconfiguration ${fault.guestPhysical}`;
  }
}

/** Some byte of low memory is not as in the image. */
function changed(image: Uint8Array): boolean {
  const now = new Uint8Array(image.length);
  physReadBytes(0, now);
  return now.some((byte, at) => byte !== image[at]);
}

interface Variant {
  name: string;
  enter(): void;
  wide: boolean;
}

const VARIANTS: Variant[] = [
  { name: '4-level', wide: true, enter: () => longMode(TABLES) },
  { name: 'PAE', wide: true, enter: () => paeMode(TABLES) },
  { name: '32-bit', wide: false, enter: () => mode32(TABLES) },
];
type EptKind = 'none' | 'gentle' | 'wild';

/** Compares many accesses; returns how often each kind of outcome came up. */
function compare(variant: Variant, ept: EptKind, seed: number): Map<string, number> {
  const next = random(seed), outcomes = new Map<string, number>();
  const image = new Uint8Array(0x60000);
  freshMachine();
  eptCapabilities.executeOnly = seed % 2 === 0;
  eptCapabilities.page1G = true;
  fillGuestTables(next, variant.wide);
  if (ept === 'gentle') gentleEpt(next);
  if (ept === 'wild') fillEpt(next);
  variant.enter();
  if (variant.name === 'PAE') for (let n = 0; n < 4; n++) R[PDPTE + 2 * n] = n === 3 ? 0 : (TABLES + (n + 1) * 4096) | 1;
  if (next() % 2) R[CR4] |= CR4_SMEP;
  if (next() % 2) R[CR4] |= CR4_SMAP;
  if (next() % 3 === 0) R[CR0] &= ~CR0_WP;
  if (next() % 3 === 0) R[EFER] &= ~EFER_NXE;
  if (next() % 4 === 0 && !variant.wide) R[CR4] &= ~CR4_PSE;
  const eptp = ept === 'none' ? null : EPT | 0x1e | (next() % 2 ? 0x40 : 0), modeBased = next() % 2 === 0;
  physReadBytes(0, image);
  for (let n = 0; n < 150; n++) {
    // The MMU sets flags in the tables: each access finds them as they were.
    physWriteBytes(0, image);
    if (eptp !== null) setEptp(eptp, 0, false, false, modeBased);
    flushEverything();
    const lo = next() % 3 === 0 ? next() | 0 : ((next() % 0x1000000) | 0), hi = !R[LMA] ? 0 : next() % 4 === 0 ? next() | 0 : next() % 2 === 0 ? next() & 0x7fff : 0;
    const kind = (['read', 'write', 'fetch'] as const)[next() % 3], user = next() % 2 === 0;
    setUser(user ? 1 : 0);
    const context = contextNow(eptp, eptp !== null && modeBased);
    const before = physRead32(TABLES);
    const expected = byWalker(context, lo, hi, kind, user);
    // Looking has changed nothing.
    expect(physRead32(TABLES)).toBe(before);
    const access = (kind === 'write' ? ACCESS_WRITE : kind === 'fetch' ? ACCESS_FETCH : 0) | (user ? ACCESS_USER_MODE : 0);
    const found = byMmu(lo, hi, access), what = `${variant.name} ${ept} ${hex64(lo, hi)} ${kind} ${user}`;
    // Wild tables overlap: flags that the MMU sets on its way may change the entries that it is about to read.
    if (ept === 'wild' && found !== expected && changed(image)) continue;
    expect(`${what}: ${expected}`).toBe(`${what}: ${found}`);
    const outcome = expected.split(' ')[0];
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  return outcomes;
}

describe('PageWalker', () => {
  for (const variant of VARIANTS) {
    for (const ept of ['none', 'gentle', 'wild'] as const) {
      it(`agrees with the MMU on random tables: ${variant.name} paging, EPT ${ept}`, () => {
        const seen = new Map<string, number>();
        for (let seed = 1; seed <= 25; seed++) {
          for (const [outcome, n] of compare(variant, ept, seed)) seen.set(outcome, (seen.get(outcome) ?? 0) + n);
        }
        if (ept !== 'wild') expect(seen.get('page') ?? 0).toBeGreaterThan(50);
        if (ept !== 'wild') expect(seen.get('#PF') ?? 0).toBeGreaterThan(50);
        if (ept !== 'none') expect(seen.get('violation') ?? 0).toBeGreaterThan(50);
        if (ept === 'wild') expect(seen.get('misconfiguration') ?? 0).toBeGreaterThan(10);
      });
    }
  }

  it('shows entries, rights, sizes and the end of a walk through guest tables and EPT', () => {
    freshMachine();
    longMode(0x1000);
    entry64(0x1000, 0, 0x2000, 0x27);
    entry64(0x2000, 0, 0x3000, 0x27);
    entry64(0x3000, 1, 0x400000, 0xe3);
    gentleEptIdentity();
    const walk = new PageWalker(contextNow(EPT | 0x1e, false), 'read', false).walk(0x234567, 0);
    expect(walk.fault).toBeNull();
    expect(walk.paging).toBe('4-level');
    expect(walk.entries.map((entry) => [entry.name, entry.index, entry.address.slice(-6), entry.flags.join(' '), entry.maps, entry.through.length])).toEqual([
      ['PML4E', 0, '001000', 'P W U A', 'table', 3], ['PDPTE', 0, '002000', 'P W U A', 'table', 3], ['PDE', 1, '003008', 'P W S A D', '2 MiB page', 3],
    ]);
    expect(walk).toMatchObject({ guestPhysical: '0000000000434567', hostPhysical: '0000000000434567', memory: 'RAM', rights: 'rwx supervisor' });
    expect(walk.ept.map((entry) => [entry.name, entry.maps])).toEqual([['EPT PML4E', 'table'], ['EPT PDPTE', 'table'], ['EPT PDE', '2 MiB page']]);
    expect(walk.ept[2].flags).toEqual(['rwx', 'WB']);
    const denied = new PageWalker(contextNow(EPT | 0x1e, false), 'write', true).walk(0x234567, 0);
    expect(denied.fault).toMatchObject({ kind: '#PF', code: 7 });
    expect(denied.entries[2].problem).toBe('a supervisor page');
    expect(denied.hostPhysical).toBeNull();
  });

  it('reads PDPTEs from memory where only the VMCS describes the context', () => {
    freshMachine();
    paeMode(0x1000);
    entry64(0x1000, 0, 0x2000, 1);
    entry64(0x2000, 0, 0x600000, 0xe7);
    R[CR3] = 0x1000;
    R[CR4] |= CR4_PAE;
    const walk = new PageWalker({ ...contextNow(null, false), pdptesKnown: false }, 'read', true).walk(0x1234, 0);
    expect(walk.hostPhysical).toBe('0000000000601234');
    const known = new PageWalker(contextNow(null, false), 'read', true).walk(0x1234, 0);
    expect(known.fault?.kind).toBe('#PF');
    expect(known.entries[0].problem).toBe('not present');
  });
});

/** 16 MiB one to one in 2 MiB pages. */
function gentleEptIdentity(): void {
  entry64(EPT, 0, EPT + 0x1000, 7);
  entry64(EPT + 0x1000, 0, EPT + 0x2000, 7);
  for (let n = 0; n < 8; n++) entry64(EPT + 0x2000, n, n * 0x200000, 0xb7);
}
