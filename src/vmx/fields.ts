/**
 * The one list of VMCS fields (SDM 3D appendix B): encoding, name, and the feature that brings the field. It feeds
 * VMREAD, VMWRITE, VM entry, VM exit, the inspector and the documentation.
 *
 * A field's encoding says everything else: access 0 | index 9:1 | type 11:10 (0 control, 1 exit information, 2 guest,
 * 3 host) | width 14:13 (0 = 16, 1 = 64, 2 = 32 bits, 3 = natural). Each constant below is the word index of the field
 * in the decoded VMCS (vmcs.ts), which is also its place in the VMCS region: one 8-byte slot for each (width, type,
 * index), group order swapped so that the unused group of 16-bit information fields is first and leaves room for
 * the revision and abort indicator.
 */

/** Words of a decoded VMCS: the 4 KiB region. */
export const VMCS_WORDS = 1024;

/** What brings a field; '' = always there. capabilities.ts says which are offered. */
export type FieldFeature =
  | '' | 'secondary' | 'vpid' | 'ept' | 'tprShadow' | 'apicAccesses' | 'msrBitmaps' | 'pat' | 'efer' | 'preemptionTimer' | 'interruptDelivery'
  | 'virtualizationException' | 'pml' | 'vmFunctions' | 'vmcsShadowing' | 'tscScaling' | 'pauseLoop' | 'postedInterrupts'
  | 'perfGlobalControl';

export interface VmcsField {
  encoding: number;
  name: string;
  feature: FieldFeature;
  /** Word index in the decoded VMCS. */
  word: number;
  /** 16, 32 or 64 bits; natural-width fields are 64. */
  bits: number;
  natural: boolean;
  area: 'control' | 'information' | 'guest' | 'host';
}

/** All fields, in the order of definition. */
export const VMCS_FIELDS: VmcsField[] = [];

const AREAS = ['control', 'information', 'guest', 'host'] as const;
const WIDTHS = [16, 64, 32, 64];

/** Word index of the slot of an encoding (the access bit is ignored). */
export function fieldWord(encoding: number): number {
  const group = ((((encoding >> 13) & 3) << 2) | ((encoding >> 10) & 3)) ^ 1;
  return (group << 6) | (encoding & 0x3e);
}

function field(encoding: number, name: string, feature: FieldFeature = ''): number {
  const width = (encoding >> 13) & 3;
  const word = fieldWord(encoding);
  VMCS_FIELDS.push({
    encoding, name, feature, word, bits: WIDTHS[width], natural: width === 3, area: AREAS[(encoding >> 10) & 3],
  });
  return word;
}

// --- The region's own words: in the slots of the unused group of 16-bit information fields ---
/** Revision identifier 30:0 and shadow-VMCS indicator 31. */
export const REGION_REVISION = 0;
/** VMX-abort indicator. */
export const REGION_ABORT = 1;
/** Launch state: 0 clear, 1 launched. */
export const REGION_LAUNCHED = 2;
/** For the observer: which guest this VMCS is (observe/guests.ts). No software can tell. */
export const REGION_GUEST = 3;

// --- 16-bit control ---
export const VPID = field(0x0000, 'virtual-processor identifier', 'vpid');
export const POSTED_INTERRUPT_VECTOR = field(0x0002, 'posted-interrupt notification vector', 'postedInterrupts');
export const EPTP_INDEX = field(0x0004, 'EPTP index', 'virtualizationException');
// --- 16-bit guest ---
export const GUEST_ES_SELECTOR = field(0x0800, 'guest ES selector');
field(0x0802, 'guest CS selector');
field(0x0804, 'guest SS selector');
field(0x0806, 'guest DS selector');
field(0x0808, 'guest FS selector');
field(0x080a, 'guest GS selector');
field(0x080c, 'guest LDTR selector');
field(0x080e, 'guest TR selector');
/** RVI 7:0, SVI 15:8. */
export const GUEST_INTERRUPT_STATUS = field(0x0810, 'guest interrupt status', 'interruptDelivery');
export const PML_INDEX = field(0x0812, 'PML index', 'pml');
// --- 16-bit host ---
export const HOST_ES_SELECTOR = field(0x0c00, 'host ES selector');
export const HOST_CS_SELECTOR = field(0x0c02, 'host CS selector');
export const HOST_SS_SELECTOR = field(0x0c04, 'host SS selector');
export const HOST_DS_SELECTOR = field(0x0c06, 'host DS selector');
export const HOST_FS_SELECTOR = field(0x0c08, 'host FS selector');
export const HOST_GS_SELECTOR = field(0x0c0a, 'host GS selector');
export const HOST_TR_SELECTOR = field(0x0c0c, 'host TR selector');
// --- 64-bit control ---
export const IO_BITMAP_A = field(0x2000, 'address of I/O bitmap A');
export const IO_BITMAP_B = field(0x2002, 'address of I/O bitmap B');
export const MSR_BITMAP = field(0x2004, 'address of MSR bitmaps', 'msrBitmaps');
export const EXIT_MSR_STORE_ADDRESS = field(0x2006, 'VM-exit MSR-store address');
export const EXIT_MSR_LOAD_ADDRESS = field(0x2008, 'VM-exit MSR-load address');
export const ENTRY_MSR_LOAD_ADDRESS = field(0x200a, 'VM-entry MSR-load address');
export const EXECUTIVE_VMCS = field(0x200c, 'executive-VMCS pointer');
export const PML_ADDRESS = field(0x200e, 'PML address', 'pml');
export const TSC_OFFSET = field(0x2010, 'TSC offset');
export const VIRTUAL_APIC_ADDRESS = field(0x2012, 'virtual-APIC address', 'tprShadow');
export const APIC_ACCESS_ADDRESS = field(0x2014, 'APIC-access address', 'apicAccesses');
export const POSTED_INTERRUPT_DESCRIPTOR = field(0x2016, 'posted-interrupt descriptor address', 'postedInterrupts');
export const FUNCTION_CONTROLS = field(0x2018, 'VM-function controls', 'vmFunctions');
export const EPT_POINTER = field(0x201a, 'EPT pointer', 'ept');
export const EOI_EXIT_BITMAP0 = field(0x201c, 'EOI-exit bitmap 0', 'interruptDelivery');
field(0x201e, 'EOI-exit bitmap 1', 'interruptDelivery');
field(0x2020, 'EOI-exit bitmap 2', 'interruptDelivery');
field(0x2022, 'EOI-exit bitmap 3', 'interruptDelivery');
export const EPTP_LIST_ADDRESS = field(0x2024, 'EPTP-list address', 'vmFunctions');
export const VMREAD_BITMAP = field(0x2026, 'VMREAD-bitmap address', 'vmcsShadowing');
export const VMWRITE_BITMAP = field(0x2028, 'VMWRITE-bitmap address', 'vmcsShadowing');
export const VIRTUALIZATION_EXCEPTION_ADDRESS = field(0x202a, 'virtualization-exception information address', 'virtualizationException');
export const TSC_MULTIPLIER = field(0x2032, 'TSC multiplier', 'tscScaling');
// --- 64-bit information ---
export const GUEST_PHYSICAL_ADDRESS = field(0x2400, 'guest-physical address', 'ept');
// --- 64-bit guest ---
export const VMCS_LINK_POINTER = field(0x2800, 'VMCS link pointer');
export const GUEST_DEBUGCTL = field(0x2802, 'guest IA32_DEBUGCTL');
export const GUEST_PAT = field(0x2804, 'guest IA32_PAT', 'pat');
export const GUEST_EFER = field(0x2806, 'guest IA32_EFER', 'efer');
export const GUEST_PERF_GLOBAL = field(0x2808, 'guest IA32_PERF_GLOBAL_CTRL', 'perfGlobalControl');
export const GUEST_PDPTE0 = field(0x280a, 'guest PDPTE0', 'ept');
field(0x280c, 'guest PDPTE1', 'ept');
field(0x280e, 'guest PDPTE2', 'ept');
field(0x2810, 'guest PDPTE3', 'ept');
// --- 64-bit host ---
export const HOST_PAT = field(0x2c00, 'host IA32_PAT', 'pat');
export const HOST_EFER = field(0x2c02, 'host IA32_EFER', 'efer');
export const HOST_PERF_GLOBAL = field(0x2c04, 'host IA32_PERF_GLOBAL_CTRL', 'perfGlobalControl');
// --- 32-bit control ---
export const PIN_CONTROLS = field(0x4000, 'pin-based VM-execution controls');
export const PROCESSOR_CONTROLS = field(0x4002, 'primary processor-based VM-execution controls');
export const EXCEPTION_BITMAP = field(0x4004, 'exception bitmap');
export const PF_ERROR_MASK = field(0x4006, 'page-fault error-code mask');
export const PF_ERROR_MATCH = field(0x4008, 'page-fault error-code match');
export const CR3_TARGET_COUNT = field(0x400a, 'CR3-target count');
export const EXIT_CONTROLS = field(0x400c, 'VM-exit controls');
export const EXIT_MSR_STORE_COUNT = field(0x400e, 'VM-exit MSR-store count');
export const EXIT_MSR_LOAD_COUNT = field(0x4010, 'VM-exit MSR-load count');
export const ENTRY_CONTROLS = field(0x4012, 'VM-entry controls');
export const ENTRY_MSR_LOAD_COUNT = field(0x4014, 'VM-entry MSR-load count');
export const ENTRY_INTERRUPTION_INFO = field(0x4016, 'VM-entry interruption information');
export const ENTRY_EXCEPTION_ERROR = field(0x4018, 'VM-entry exception error code');
export const ENTRY_INSTRUCTION_LENGTH = field(0x401a, 'VM-entry instruction length');
export const TPR_THRESHOLD = field(0x401c, 'TPR threshold', 'tprShadow');
export const SECONDARY_CONTROLS = field(0x401e, 'secondary processor-based VM-execution controls', 'secondary');
export const PLE_GAP = field(0x4020, 'PLE_Gap', 'pauseLoop');
export const PLE_WINDOW = field(0x4022, 'PLE_Window', 'pauseLoop');
// --- 32-bit information ---
export const INSTRUCTION_ERROR = field(0x4400, 'VM-instruction error');
export const EXIT_REASON = field(0x4402, 'exit reason');
export const EXIT_INTERRUPTION_INFO = field(0x4404, 'VM-exit interruption information');
export const EXIT_INTERRUPTION_ERROR = field(0x4406, 'VM-exit interruption error code');
export const IDT_VECTORING_INFO = field(0x4408, 'IDT-vectoring information');
export const IDT_VECTORING_ERROR = field(0x440a, 'IDT-vectoring error code');
export const EXIT_INSTRUCTION_LENGTH = field(0x440c, 'VM-exit instruction length');
export const EXIT_INSTRUCTION_INFO = field(0x440e, 'VM-exit instruction information');
// --- 32-bit guest ---
export const GUEST_ES_LIMIT = field(0x4800, 'guest ES limit');
field(0x4802, 'guest CS limit');
field(0x4804, 'guest SS limit');
field(0x4806, 'guest DS limit');
field(0x4808, 'guest FS limit');
field(0x480a, 'guest GS limit');
field(0x480c, 'guest LDTR limit');
field(0x480e, 'guest TR limit');
export const GUEST_GDTR_LIMIT = field(0x4810, 'guest GDTR limit');
export const GUEST_IDTR_LIMIT = field(0x4812, 'guest IDTR limit');
export const GUEST_ES_ACCESS_RIGHTS = field(0x4814, 'guest ES access rights');
field(0x4816, 'guest CS access rights');
export const GUEST_SS_ACCESS_RIGHTS = field(0x4818, 'guest SS access rights');
field(0x481a, 'guest DS access rights');
field(0x481c, 'guest FS access rights');
field(0x481e, 'guest GS access rights');
field(0x4820, 'guest LDTR access rights');
field(0x4822, 'guest TR access rights');
export const GUEST_INTERRUPTIBILITY = field(0x4824, 'guest interruptibility state');
export const GUEST_ACTIVITY = field(0x4826, 'guest activity state');
export const GUEST_SMBASE = field(0x4828, 'guest SMBASE');
export const GUEST_SYSENTER_CS = field(0x482a, 'guest IA32_SYSENTER_CS');
export const PREEMPTION_TIMER_VALUE = field(0x482e, 'VMX-preemption timer value', 'preemptionTimer');
// --- 32-bit host ---
export const HOST_SYSENTER_CS = field(0x4c00, 'host IA32_SYSENTER_CS');
// --- Natural-width control ---
export const CR0_MASK = field(0x6000, 'CR0 guest/host mask');
export const CR4_MASK = field(0x6002, 'CR4 guest/host mask');
export const CR0_SHADOW = field(0x6004, 'CR0 read shadow');
export const CR4_SHADOW = field(0x6006, 'CR4 read shadow');
export const CR3_TARGET0 = field(0x6008, 'CR3-target value 0');
field(0x600a, 'CR3-target value 1');
field(0x600c, 'CR3-target value 2');
field(0x600e, 'CR3-target value 3');
// --- Natural-width information ---
export const EXIT_QUALIFICATION = field(0x6400, 'exit qualification');
field(0x6402, 'I/O RCX');
field(0x6404, 'I/O RSI');
field(0x6406, 'I/O RDI');
field(0x6408, 'I/O RIP');
export const GUEST_LINEAR_ADDRESS = field(0x640a, 'guest-linear address');
// --- Natural-width guest ---
export const GUEST_CR0 = field(0x6800, 'guest CR0');
export const GUEST_CR3 = field(0x6802, 'guest CR3');
export const GUEST_CR4 = field(0x6804, 'guest CR4');
export const GUEST_ES_BASE = field(0x6806, 'guest ES base');
field(0x6808, 'guest CS base');
field(0x680a, 'guest SS base');
field(0x680c, 'guest DS base');
field(0x680e, 'guest FS base');
field(0x6810, 'guest GS base');
field(0x6812, 'guest LDTR base');
field(0x6814, 'guest TR base');
export const GUEST_GDTR_BASE = field(0x6816, 'guest GDTR base');
export const GUEST_IDTR_BASE = field(0x6818, 'guest IDTR base');
export const GUEST_DR7 = field(0x681a, 'guest DR7');
export const GUEST_RSP = field(0x681c, 'guest RSP');
export const GUEST_RIP = field(0x681e, 'guest RIP');
export const GUEST_RFLAGS = field(0x6820, 'guest RFLAGS');
export const GUEST_PENDING_DEBUG = field(0x6822, 'guest pending debug exceptions');
export const GUEST_SYSENTER_ESP = field(0x6824, 'guest IA32_SYSENTER_ESP');
export const GUEST_SYSENTER_EIP = field(0x6826, 'guest IA32_SYSENTER_EIP');
// --- Natural-width host ---
export const HOST_CR0 = field(0x6c00, 'host CR0');
export const HOST_CR3 = field(0x6c02, 'host CR3');
export const HOST_CR4 = field(0x6c04, 'host CR4');
export const HOST_FS_BASE = field(0x6c06, 'host FS base');
export const HOST_GS_BASE = field(0x6c08, 'host GS base');
export const HOST_TR_BASE = field(0x6c0a, 'host TR base');
export const HOST_GDTR_BASE = field(0x6c0c, 'host GDTR base');
export const HOST_IDTR_BASE = field(0x6c0e, 'host IDTR base');
export const HOST_SYSENTER_ESP = field(0x6c10, 'host IA32_SYSENTER_ESP');
export const HOST_SYSENTER_EIP = field(0x6c12, 'host IA32_SYSENTER_EIP');
export const HOST_RSP = field(0x6c14, 'host RSP');
export const HOST_RIP = field(0x6c16, 'host RIP');

// The fields of guest segment s (ES CS SS DS FS GS LDTR TR = 0..7) lie two words apart: word + 2 * s.
