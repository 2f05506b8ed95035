/**
 * The CPU at the moment a loaded kernel is entered, as plain data, and putting it into the running vCPU. Everything not
 * named here keeps its power-on value.
 */
import {
  R, RU, RIP, RAX, CR0, CR3, CR4, EFER, GDTR_BASE, GDTR_LIMIT, IDTR_BASE, IDTR_LIMIT,
  SEG_SEL, SEG_BASE, SEG_LIMIT, SEG_AR, ES, CS, SS, DS, FS, GS, LDTR, TR,
  AR_S, AR_P, AR_DB, AR_G, AR_L, CR0_PE, CR0_ET, CR0_PG, CR4_PAE, EFER_LME, EFER_LMA, ACTIVITY,
} from '../../cpu/state';
import { setFlags } from '../../cpu/flags';
import { updateMode } from '../../cpu/modes';
import type { Placement } from './placement';
import { ByteWriter } from './image-reader';

/** General registers in the order of their encoding. */
export type GeneralRegister = 'rax' | 'rcx' | 'rdx' | 'rbx' | 'rsp' | 'rbp' | 'rsi' | 'rdi';
const GENERAL: readonly GeneralRegister[] = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'];

export interface SegmentEntry {
  selector: number;
  /** Below 2^53. */
  base: number;
  /** Bytes minus one. */
  limit: number;
  /** VMCS access-rights format. */
  accessRights: number;
}

export interface EntryState {
  /** Below 2^53; registers not named are 0. */
  registers: Partial<Record<GeneralRegister, number>>;
  rip: number;
  rflags: number;
  cr0: number;
  cr3: number;
  cr4: number;
  efer: number;
  gdtr: { base: number; limit: number };
  idtr: { base: number; limit: number };
  cs: SegmentEntry;
  ss: SegmentEntry;
  ds: SegmentEntry;
  es: SegmentEntry;
  fs: SegmentEntry;
  gs: SegmentEntry;
  ldtr: SegmentEntry;
  tr: SegmentEntry;
}

const TYPE_CODE = 0xb, TYPE_DATA = 3, TYPE_LDT = 2, TYPE_TSS32_BUSY = 0xb;
const LDTR_EMPTY: SegmentEntry = { selector: 0, base: 0, limit: 0xffff, accessRights: AR_P | TYPE_LDT };
const TR_EMPTY: SegmentEntry = { selector: 0, base: 0, limit: 0x67, accessRights: AR_P | TYPE_TSS32_BUSY };

const FLAT_GATE = AR_P | AR_S | AR_G;

/** Flat 32-bit protected mode, paging and interrupts off. `code` and `data` are selectors in the table that gdtr names. */
export function flatProtectedEntry(
  rip: number, code: number, data: number, gdtr: { base: number; limit: number }, registers: EntryState['registers'],
): EntryState {
  const flat: SegmentEntry = { selector: data, base: 0, limit: 0xffffffff, accessRights: FLAT_GATE | AR_DB | TYPE_DATA };
  return {
    registers, rip, rflags: 2, cr0: CR0_PE | CR0_ET, cr3: 0, cr4: 0, efer: 0, gdtr, idtr: { base: 0, limit: 0 },
    cs: { selector: code, base: 0, limit: 0xffffffff, accessRights: FLAT_GATE | AR_DB | TYPE_CODE },
    ss: flat, ds: flat, es: flat, fs: flat, gs: flat, ldtr: LDTR_EMPTY, tr: TR_EMPTY,
  };
}

/** 64-bit mode with the page tables at cr3, interrupts off. */
export function longModeEntry(
  rip: number, code: number, data: number, cr3: number, gdtr: { base: number; limit: number }, registers: EntryState['registers'],
): EntryState {
  const protectedEntry = flatProtectedEntry(rip, code, data, gdtr, registers);
  return {
    ...protectedEntry, cr0: CR0_PG | CR0_PE | CR0_ET, cr3, cr4: CR4_PAE, efer: EFER_LME | EFER_LMA,
    cs: { ...protectedEntry.cs, accessRights: FLAT_GATE | AR_L | TYPE_CODE },
  };
}

/** Real mode at the reset vector: F000:FFF0 with base FFFF0000h (SDM 3A 10.1.4). */
export function resetVectorEntry(): EntryState {
  const real: SegmentEntry = { selector: 0, base: 0, limit: 0xffff, accessRights: AR_P | AR_S | TYPE_DATA };
  return {
    registers: {}, rip: 0xfff0, rflags: 2, cr0: 0x60000010, cr3: 0, cr4: 0, efer: 0,
    gdtr: { base: 0, limit: 0xffff }, idtr: { base: 0, limit: 0xffff },
    cs: { selector: 0xf000, base: 0xffff0000, limit: 0xffff, accessRights: AR_P | AR_S | TYPE_CODE },
    ss: real, ds: real, es: real, fs: real, gs: real,
    ldtr: LDTR_EMPTY, tr: { ...TR_EMPTY, limit: 0xffff },
  };
}

/** Flat descriptors of a boot GDT. */
export const GDT_CODE32 = 0x00cf9b000000ffffn, GDT_DATA = 0x00cf93000000ffffn, GDT_CODE64 = 0x00af9b000000ffffn;

/** Writes a GDT of the given descriptors (a null descriptor first is the caller's business) and returns its register. */
export function placeGdt(placement: Placement, descriptors: readonly bigint[], low: number, high: number): { base: number; limit: number } {
  const table = new ByteWriter();
  for (const descriptor of descriptors) {
    table.u32(Number(descriptor & 0xffffffffn)).u32(Number(descriptor >> 32n));
  }
  const base = placement.put(table.done(), 16, low, high, 'the boot GDT');
  return { base, limit: table.length - 1 };
}

/** Writes page tables that map the first 4 GiB one to one with 2 MiB pages; returns the value for CR3. */
export function placeIdentityTables(placement: Placement, low: number, high: number): number {
  const base = placement.allocateLow(6 * 4096, 4096, low, high, 'the boot page tables');
  const tables = new ByteWriter();
  const present = 3; // present, writable
  tables.u64(base + 4096 + present).zeros(4096 - 8);
  for (let gib = 0; gib < 4; gib++) tables.u64(base + (2 + gib) * 4096 + present);
  tables.zeros(4096 - 32);
  for (let page = 0; page < 2048; page++) tables.u64(page * 0x200000 + present + 0x80);
  placement.write(base, tables.done());
  return base;
}

function write64(word: number, value: number): void {
  R[word] = value % 0x100000000;
  R[word + 1] = Math.floor(value / 0x100000000);
}

function writeSegment(index: number, segment: SegmentEntry): void {
  R[SEG_SEL + index] = segment.selector;
  RU[SEG_LIMIT + index] = segment.limit;
  R[SEG_AR + index] = segment.accessRights;
  write64(SEG_BASE + 2 * index, segment.base);
}

/** Puts the state into the running vCPU. */
export function applyEntryState(entry: EntryState): void {
  for (let register = 0; register < 32; register++) R[RAX + register] = 0;
  for (let n = 0; n < GENERAL.length; n++) write64(RAX + 2 * n, entry.registers[GENERAL[n]] ?? 0);
  write64(RIP, entry.rip);
  setFlags(entry.rflags);
  R[CR0] = entry.cr0;
  write64(CR3, entry.cr3);
  R[CR4] = entry.cr4;
  R[EFER] = entry.efer;
  write64(GDTR_BASE, entry.gdtr.base);
  R[GDTR_LIMIT] = entry.gdtr.limit;
  write64(IDTR_BASE, entry.idtr.base);
  R[IDTR_LIMIT] = entry.idtr.limit;
  writeSegment(ES, entry.es);
  writeSegment(CS, entry.cs);
  writeSegment(SS, entry.ss);
  writeSegment(DS, entry.ds);
  writeSegment(FS, entry.fs);
  writeSegment(GS, entry.gs);
  writeSegment(LDTR, entry.ldtr);
  writeSegment(TR, entry.tr);
  R[ACTIVITY] = 0;
  updateMode();
}
