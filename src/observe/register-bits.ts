/** Names of the bits of system registers and VMX control words (SDM 3A 2.5, 3.4.5, 3B 18.2; 3C 25.6-25.9), for people. */

/** A bit or field: its lowest bit, its name, its width (default 1). */
export type BitName = readonly [bit: number, name: string, width?: number];

/** What of a value is set, by name: single bits by their name, wider fields as name=value unless zero. Bits without a name are left out. */
export function decodeBits(value: number, table: readonly BitName[]): string[] {
  const names: string[] = [];
  for (const [bit, name, width = 1] of table) {
    const field = (value >>> bit) & (width === 32 ? -1 : 2 ** width - 1);
    if (field !== 0) names.push(width === 1 ? name : `${name}=${field}`);
  }
  return names;
}

export const RFLAGS_BITS: readonly BitName[] = [
  [0, 'CF'], [2, 'PF'], [4, 'AF'], [6, 'ZF'], [7, 'SF'], [8, 'TF'], [9, 'IF'], [10, 'DF'], [11, 'OF'], [12, 'IOPL', 2], [14, 'NT'], [16, 'RF'], [17, 'VM'],
  [18, 'AC'], [19, 'VIF'], [20, 'VIP'], [21, 'ID'],
];
export const CR0_BITS: readonly BitName[] = [
  [0, 'PE'], [1, 'MP'], [2, 'EM'], [3, 'TS'], [4, 'ET'], [5, 'NE'], [16, 'WP'], [18, 'AM'], [29, 'NW'], [30, 'CD'], [31, 'PG'],
];
export const CR4_BITS: readonly BitName[] = [
  [0, 'VME'], [1, 'PVI'], [2, 'TSD'], [3, 'DE'], [4, 'PSE'], [5, 'PAE'], [6, 'MCE'], [7, 'PGE'], [8, 'PCE'], [9, 'OSFXSR'], [10, 'OSXMMEXCPT'], [11, 'UMIP'],
  [12, 'LA57'], [13, 'VMXE'], [14, 'SMXE'], [16, 'FSGSBASE'], [17, 'PCIDE'], [18, 'OSXSAVE'], [20, 'SMEP'], [21, 'SMAP'], [22, 'PKE'], [23, 'CET'],
];
export const EFER_BITS: readonly BitName[] = [[0, 'SCE'], [8, 'LME'], [10, 'LMA'], [11, 'NXE']];
export const DR6_BITS: readonly BitName[] = [[0, 'B0'], [1, 'B1'], [2, 'B2'], [3, 'B3'], [13, 'BD'], [14, 'BS'], [15, 'BT']];
export const DR7_BITS: readonly BitName[] = [
  [0, 'L0'], [1, 'G0'], [2, 'L1'], [3, 'G1'], [4, 'L2'], [5, 'G2'], [6, 'L3'], [7, 'G3'], [8, 'LE'], [9, 'GE'], [13, 'GD'],
  [16, 'R/W0', 2], [18, 'LEN0', 2], [20, 'R/W1', 2], [22, 'LEN1', 2], [24, 'R/W2', 2], [26, 'LEN2', 2], [28, 'R/W3', 2], [30, 'LEN3', 2],
];
export const DEBUGCTL_BITS: readonly BitName[] = [[0, 'LBR'], [1, 'BTF']];
export const MXCSR_BITS: readonly BitName[] = [
  [0, 'IE'], [1, 'DE'], [2, 'ZE'], [3, 'OE'], [4, 'UE'], [5, 'PE'], [6, 'DAZ'], [7, 'IM'], [8, 'DM'], [9, 'ZM'], [10, 'OM'], [11, 'UM'], [12, 'PM'], [13, 'RC', 2],
  [15, 'FZ'],
];
export const FCW_BITS: readonly BitName[] = [[0, 'IM'], [1, 'DM'], [2, 'ZM'], [3, 'OM'], [4, 'UM'], [5, 'PM'], [8, 'PC', 2], [10, 'RC', 2]];
export const FSW_BITS: readonly BitName[] = [
  [0, 'IE'], [1, 'DE'], [2, 'ZE'], [3, 'OE'], [4, 'UE'], [5, 'PE'], [6, 'SF'], [7, 'ES'], [8, 'C0'], [9, 'C1'], [10, 'C2'], [11, 'TOP', 3], [14, 'C3'], [15, 'B'],
];

export const PIN_BITS: readonly BitName[] = [
  [0, 'external-interrupt exiting'], [3, 'NMI exiting'], [5, 'virtual NMIs'], [6, 'activate VMX-preemption timer'], [7, 'process posted interrupts'],
];
export const PROCESSOR_BITS: readonly BitName[] = [
  [2, 'interrupt-window exiting'], [3, 'use TSC offsetting'], [7, 'HLT exiting'], [9, 'INVLPG exiting'], [10, 'MWAIT exiting'], [11, 'RDPMC exiting'],
  [12, 'RDTSC exiting'], [15, 'CR3-load exiting'], [16, 'CR3-store exiting'], [17, 'activate tertiary controls'], [19, 'CR8-load exiting'],
  [20, 'CR8-store exiting'], [21, 'use TPR shadow'], [22, 'NMI-window exiting'], [23, 'MOV-DR exiting'], [24, 'unconditional I/O exiting'],
  [25, 'use I/O bitmaps'], [27, 'monitor trap flag'], [28, 'use MSR bitmaps'], [29, 'MONITOR exiting'], [30, 'PAUSE exiting'],
  [31, 'activate secondary controls'],
];
export const SECONDARY_BITS: readonly BitName[] = [
  [0, 'virtualize APIC accesses'], [1, 'enable EPT'], [2, 'descriptor-table exiting'], [3, 'enable RDTSCP'], [4, 'virtualize x2APIC mode'], [5, 'enable VPID'],
  [6, 'WBINVD exiting'], [7, 'unrestricted guest'], [8, 'APIC-register virtualization'], [9, 'virtual-interrupt delivery'], [10, 'PAUSE-loop exiting'],
  [11, 'RDRAND exiting'], [12, 'enable INVPCID'], [13, 'enable VM functions'], [14, 'VMCS shadowing'], [15, 'enable ENCLS exiting'], [16, 'RDSEED exiting'],
  [17, 'enable PML'], [18, 'EPT-violation #VE'], [20, 'enable XSAVES/XRSTORS'], [22, 'mode-based execute control for EPT'], [25, 'use TSC scaling'],
];
export const EXIT_CONTROL_BITS: readonly BitName[] = [
  [2, 'save debug controls'], [9, 'host address-space size'], [12, 'load IA32_PERF_GLOBAL_CTRL'], [15, 'acknowledge interrupt on exit'], [18, 'save IA32_PAT'],
  [19, 'load IA32_PAT'], [20, 'save IA32_EFER'], [21, 'load IA32_EFER'], [22, 'save VMX-preemption timer value'],
];
export const ENTRY_CONTROL_BITS: readonly BitName[] = [
  [2, 'load debug controls'], [9, 'IA-32e mode guest'], [10, 'entry to SMM'], [11, 'deactivate dual-monitor treatment'], [13, 'load IA32_PERF_GLOBAL_CTRL'],
  [14, 'load IA32_PAT'], [15, 'load IA32_EFER'],
];
export const INTERRUPTIBILITY_BITS: readonly BitName[] = [[0, 'blocking by STI'], [1, 'blocking by MOV SS'], [2, 'blocking by SMI'], [3, 'blocking by NMI']];
export const PENDING_DEBUG_BITS: readonly BitName[] = [[0, 'B0'], [1, 'B1'], [2, 'B2'], [3, 'B3'], [12, 'enabled breakpoint'], [14, 'BS']];

/** Exceptions by vector; '' for vectors without a name. */
export const EXCEPTION_NAMES: readonly string[] = [
  '#DE', '#DB', 'NMI', '#BP', '#OF', '#BR', '#UD', '#NM', '#DF', '', '#TS', '#NP', '#SS', '#GP', '#PF', '', '#MF', '#AC', '#MC', '#XM', '#VE', '#CP',
];
export const EXCEPTION_BITS: readonly BitName[] = EXCEPTION_NAMES.flatMap((name, bit): BitName[] => (name === '' ? [] : [[bit, name]]));

/** Name of an exception vector. */
export function exceptionName(vector: number): string {
  return EXCEPTION_NAMES[vector] || `vector ${vector}`;
}

const PAGE_FAULT_BITS: readonly BitName[] = [[0, 'present'], [1, 'write'], [2, 'user'], [3, 'reserved bit'], [4, 'fetch']];

/** A #PF error code (SDM 3A 4.7), for people. */
export function pageFaultText(errorCode: number): string {
  const names = decodeBits(errorCode, PAGE_FAULT_BITS);
  if ((errorCode & 1) === 0) names.unshift('not present');
  if ((errorCode & 2) === 0 && (errorCode & 16) === 0) names.push('read');
  return names.join(', ');
}

const SYSTEM_TYPES: Record<number, string> = {
  1: '16-bit TSS', 2: 'LDT', 3: 'busy 16-bit TSS', 9: 'TSS', 11: 'busy TSS',
};

/** Access rights of a segment in the VMCS format (SDM 3C table 25-2), for people. */
export function accessRightsText(rights: number): string {
  if (rights & 0x10000) return 'unusable';
  const parts: string[] = [];
  const type = rights & 15;
  if ((rights & 0x10) === 0) parts.push(SYSTEM_TYPES[type] ?? `system type ${type}`);
  else if (type & 8) parts.push(`code${type & 4 ? ' conforming' : ''}${type & 2 ? ' readable' : ''}`);
  else parts.push(`data${type & 4 ? ' expand-down' : ''}${type & 2 ? ' writable' : ''}`);
  if ((rights & 0x10) !== 0 && (type & 1) === 0) parts.push('not accessed');
  parts.push(`DPL ${(rights >> 5) & 3}`);
  if ((rights & 0x80) === 0) parts.push('not present');
  if (rights & 0x2000) parts.push('64-bit');
  else if ((rights & 0x10) !== 0) parts.push(rights & 0x4000 ? '32-bit' : '16-bit');
  if (rights & 0x8000) parts.push('4 KiB units');
  if (rights & 0x1000) parts.push('AVL');
  return parts.join(', ');
}

export const ACTIVITY_NAMES: readonly string[] = ['active', 'HLT', 'shutdown', 'wait-for-SIPI'];
const EVENT_TYPES: readonly string[] = [
  'external interrupt', 'reserved', 'NMI', 'hardware exception', 'software interrupt', 'privileged software exception', 'software exception', 'other event',
];

/** Interruption information (SDM 3C tables 25-19, 25-20, 25-16): empty if not valid. */
export function interruptionText(info: number): string[] {
  if (info >= 0) return [];
  const type = (info >> 8) & 7, vector = info & 0xff;
  const parts = [EVENT_TYPES[type]];
  if (type === 3 || type === 5 || type === 6) parts.push(exceptionName(vector));
  else if (type !== 2 && type !== 7) parts.push(`vector ${vector} (0x${vector.toString(16)})`);
  if (info & 0x800) parts.push('error code');
  if (info & 0x1000) parts.push('NMI unblocking due to IRET');
  return parts;
}
