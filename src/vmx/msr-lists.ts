/**
 * The MSR lists of VM entry and VM exit (SDM 3C 27.4, 28.4, 28.6): entries of 16 bytes: MSR index, reserved dword, value.
 */
import { R, APIC_BASE, MEMHI } from '../cpu/state';
import { readTsc } from '../cpu/clock';
import { physRead32, physWrite32, physicalAddress } from '../cpu/mmu/physical';
import { msrValue, readMsr, writeMsr } from '../cpu/msr';
import { V } from './vmcs';
import * as F from './fields';

const MSR_FS_BASE = 0xc0000100 | 0, MSR_GS_BASE = 0xc0000101 | 0;
const MSR_TSC = 0x10;
const MSR_UCODE_WRITE = 0x79, MSR_UCODE_REVISION = 0x8b, MSR_SMBASE = 0x9e;
const ENTRY_BYTES = 16;
/** More entries than IA32_VMX_MISC recommends are not processed: the first beyond them cannot be loaded or stored. */
const LONGEST_LIST = 512;
/** IA32_APIC_BASE: x2APIC mode. */
const APIC_X2 = 0x400;

/** x2APIC registers cannot be in a list. */
function isX2apicRegister(index: number): boolean {
  return index >>> 8 === 8 && (R[APIC_BASE] & APIC_X2) !== 0;
}

/** The VM-exit MSR-store list; false if an entry cannot be stored (VMX abort). */
export function storeMsrList(): boolean {
  const base = physicalAddress(V[F.EXIT_MSR_STORE_ADDRESS], V[F.EXIT_MSR_STORE_ADDRESS + 1]);
  const count = V[F.EXIT_MSR_STORE_COUNT] >>> 0;
  for (let n = 0; n < count; n++) {
    const entry = base + n * ENTRY_BYTES;
    const index = physRead32(entry);
    if (n === LONGEST_LIST || physRead32(entry + 4) !== 0 || isX2apicRegister(index) || index === MSR_SMBASE || !readMsr(index)) return false;
    // TSC offsetting and scaling are for the guest's instructions only.
    if (index === MSR_TSC) msrValue.set([readTsc(), R[MEMHI]]);
    physWrite32(entry + 8, msrValue[0]);
    physWrite32(entry + 12, msrValue[1]);
  }
  return true;
}

/** A VM-entry or VM-exit MSR-load list: 0, or the 1-based number of the entry that cannot be loaded. */
export function loadMsrList(addressWord: number, countWord: number): number {
  const base = physicalAddress(V[addressWord], V[addressWord + 1]);
  const count = V[countWord] >>> 0;
  for (let n = 0; n < count; n++) {
    const entry = base + n * ENTRY_BYTES;
    const index = physRead32(entry);
    if (n === LONGEST_LIST || index === MSR_FS_BASE || index === MSR_GS_BASE || index === MSR_UCODE_WRITE || index === MSR_UCODE_REVISION || index === MSR_SMBASE
      || isX2apicRegister(index) || physRead32(entry + 4) !== 0 || !writeMsr(index, physRead32(entry + 8), physRead32(entry + 12))) return n + 1;
  }
  return 0;
}
