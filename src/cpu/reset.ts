/**
 * The CPU after power-on or RESET, after INIT, and the start of an application processor by SIPI (SDM 3A 10.1, table 10-1; 9.4).
 */
import {
  R, STATE_BYTES, RDX, RIP, EFLAGS, FT, FX, CR0, CR0_CD, CR0_ET, CR0_NW, CR2, CR3, CR4, EFER, DR0, DR6, DR7,
  GDTR_BASE, GDTR_LIMIT, IDTR_BASE, IDTR_LIMIT, VCPU, ACTIVITY, INHIBIT, NMI_BLOCKED, PENDING_DB, SIGNALS, SIG_INIT, SIG_SIPI,
  SIPI_VECTOR, ES, CS, DS, SS, FS, GS, LDTR, TR, CURP, MXCSR, FCW, FSW, FTOP, FP_VALID, PAT, MISC_ENABLE, APIC_BASE,
  FEATURE_CONTROL, TSC_ADJUST, VMX_MODE, VMX_OFF, PDPTE,
} from './state';
import { CPU_SIGNATURE, cpuConfig, hasFeature } from './features';
import { setSegment } from './segments';
import { updateMode } from './modes';
import { flushAll, updateDataBreakpoints } from './mmu/tlb';
import { pagingCapabilities } from './mmu/paging';
import { setPhysicalWidth } from './mmu/physical';
import { platform } from './platform';

/** Activity states (VMCS field 4826h). */
export const ACTIVE = 0, HALTED = 1, SHUT_DOWN = 2, WAIT_FOR_SIPI = 3;

const REAL_DATA = 0x93, REAL_LDT = 0x82, REAL_TSS = 0x8b;
/** IA32_MISC_ENABLE: fast strings; branch trace store and PEBS unavailable. */
const MISC_ENABLE_RESET = 0x1801;

/** What RESET and INIT have in common. */
function resetArchitecturalState(cr0: number): void {
  for (let i = 0; i < 32; i++) R[i] = 0;
  R[RDX] = CPU_SIGNATURE;
  R[RIP] = 0xfff0;
  R[RIP + 1] = 0;
  R[EFLAGS] = 2;
  R[FT] = 0;
  R[FX] = 0;
  R[CR0] = cr0;
  R[CR2] = R[CR2 + 1] = 0;
  R[CR3] = R[CR3 + 1] = 0;
  R[CR4] = 0;
  R[EFER] = 0;
  for (let i = 0; i < 8; i++) R[DR0 + i] = R[PDPTE + i] = 0;
  R[DR6] = 0xffff0ff0 | 0;
  R[DR7] = 0x400;
  updateDataBreakpoints();
  for (const s of [ES, SS, DS, FS, GS]) setSegment(s, 0, 0, 0xffff, REAL_DATA);
  setSegment(CS, 0xf000, 0xffff0000 | 0, 0xffff, REAL_DATA);
  setSegment(LDTR, 0, 0, 0xffff, REAL_LDT);
  setSegment(TR, 0, 0, 0xffff, REAL_TSS);
  R[GDTR_BASE] = R[GDTR_BASE + 1] = R[IDTR_BASE] = R[IDTR_BASE + 1] = 0;
  R[GDTR_LIMIT] = R[IDTR_LIMIT] = 0xffff;
  R[INHIBIT] = 0;
  R[NMI_BLOCKED] = 0;
  R[PENDING_DB] = 0;
  R[CURP] = 0;
  flushAll();
  updateMode();
}

/** Puts the vCPU in R into its power-on state. vCPU 0 starts at FFFFFFF0h, the others wait for a SIPI. */
export function resetCpu(vcpu: number): void {
  setPhysicalWidth(cpuConfig.physicalAddressBits);
  pagingCapabilities.page1G = hasFeature('page1gb');
  R.fill(0, 0, STATE_BYTES / 4);
  R[VCPU] = vcpu;
  R[MXCSR] = 0x1f80;
  // All registers +0.0, tags "zero".
  R[FCW] = 0x40;
  R[FSW] = R[FTOP] = 0;
  R[FP_VALID] = 0xff;
  R[PAT] = R[PAT + 1] = 0x00070406;
  R[MISC_ENABLE] = MISC_ENABLE_RESET;
  R[APIC_BASE] = 0xfee00800 | (vcpu === 0 ? 0x100 : 0);
  // Locked, as firmware leaves it: VMXON outside SMX allowed, or nothing.
  R[FEATURE_CONTROL] = cpuConfig.nestedVmx ? 5 : 1;
  R[TSC_ADJUST] = R[TSC_ADJUST + 1] = 0;
  R[VMX_MODE] = VMX_OFF;
  resetArchitecturalState(CR0_ET | CR0_NW | CR0_CD);
  R[ACTIVITY] = vcpu === 0 ? ACTIVE : WAIT_FOR_SIPI;
}

/** INIT: like RESET but x87, SSE, MSRs, MTRRs, the TSC and the cache bits of CR0 stay. The boot processor restarts, the others wait for a SIPI. */
export function initCpu(): void {
  // A start-up IPI that has come since the INIT is waited for next.
  R[SIGNALS] &= ~SIG_INIT;
  resetArchitecturalState((R[CR0] & (CR0_NW | CR0_CD)) | CR0_ET);
  platform.resetApic();
  R[ACTIVITY] = R[APIC_BASE] & 0x100 ? ACTIVE : WAIT_FOR_SIPI;
}

/** Start-up IPI in the wait-for-SIPI state: execution begins at vector * 1000h in real mode. */
export function startBySipi(): void {
  R[SIGNALS] &= ~SIG_SIPI;
  const vector = R[SIPI_VECTOR];
  setSegment(CS, vector << 8, vector << 12, 0xffff, REAL_DATA);
  R[RIP] = R[RIP + 1] = 0;
  R[ACTIVITY] = ACTIVE;
  updateMode();
}
