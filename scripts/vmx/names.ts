/**
 * Names of everything that VMX has, whether this CPU does or not (SDM 3C 25, 29; 3D appendices A, B, C): bits of the control words and capability
 * registers, VMCS fields, exit reasons. What is supported is not said here: support.ts takes it from the code.
 */

/** Control bits by number. */
export type BitNames = readonly (readonly [number, string])[];

/** A control word: capability MSRs (old, TRUE), names of its bits. */
export interface ControlWord {
  readonly title: string;
  readonly msr: number;
  readonly bits: BitNames;
}

export const CONTROL_WORDS: readonly ControlWord[] = [
  {
    title: 'Pin-based VM-execution controls', msr: 0x48d,
    bits: [[0, 'External-interrupt exiting'], [3, 'NMI exiting'], [5, 'Virtual NMIs'], [6, 'Activate VMX-preemption timer'], [7, 'Process posted interrupts']],
  },
  {
    title: 'Primary processor-based VM-execution controls', msr: 0x48e,
    bits: [
      [2, 'Interrupt-window exiting'], [3, 'Use TSC offsetting'], [7, 'HLT exiting'], [9, 'INVLPG exiting'], [10, 'MWAIT exiting'], [11, 'RDPMC exiting'],
      [12, 'RDTSC exiting'], [15, 'CR3-load exiting'], [16, 'CR3-store exiting'], [17, 'Activate tertiary controls'], [19, 'CR8-load exiting'],
      [20, 'CR8-store exiting'], [21, 'Use TPR shadow'], [22, 'NMI-window exiting'], [23, 'MOV-DR exiting'], [24, 'Unconditional I/O exiting'],
      [25, 'Use I/O bitmaps'], [27, 'Monitor trap flag'], [28, 'Use MSR bitmaps'], [29, 'MONITOR exiting'], [30, 'PAUSE exiting'],
      [31, 'Activate secondary controls'],
    ],
  },
  {
    title: 'Secondary processor-based VM-execution controls', msr: 0x48b,
    bits: [
      [0, 'Virtualize APIC accesses'], [1, 'Enable EPT'], [2, 'Descriptor-table exiting'], [3, 'Enable RDTSCP'], [4, 'Virtualize x2APIC mode'], [5, 'Enable VPID'],
      [6, 'WBINVD exiting'], [7, 'Unrestricted guest'], [8, 'APIC-register virtualization'], [9, 'Virtual-interrupt delivery'], [10, 'PAUSE-loop exiting'],
      [11, 'RDRAND exiting'], [12, 'Enable INVPCID'], [13, 'Enable VM functions'], [14, 'VMCS shadowing'], [15, 'Enable ENCLS exiting'], [16, 'RDSEED exiting'],
      [17, 'Enable PML'], [18, 'EPT-violation #VE'], [19, 'Conceal VMX from PT'], [20, 'Enable XSAVES/XRSTORS'], [21, 'PASID translation'],
      [22, 'Mode-based execute control for EPT'], [23, 'Sub-page write permissions for EPT'], [24, 'Intel PT uses guest physical addresses'], [25, 'Use TSC scaling'],
      [26, 'Enable user wait and pause'], [27, 'Enable PCONFIG'], [28, 'Enable ENCLV exiting'], [30, 'VMM bus-lock detection'], [31, 'Instruction timeout'],
    ],
  },
  {
    title: 'VM-exit controls', msr: 0x48f,
    bits: [
      [2, 'Save debug controls'], [9, 'Host address-space size'], [12, 'Load IA32_PERF_GLOBAL_CTRL'], [15, 'Acknowledge interrupt on exit'], [18, 'Save IA32_PAT'],
      [19, 'Load IA32_PAT'], [20, 'Save IA32_EFER'], [21, 'Load IA32_EFER'], [22, 'Save VMX-preemption timer value'], [23, 'Clear IA32_BNDCFGS'],
      [24, 'Conceal VMX from PT'], [25, 'Clear IA32_RTIT_CTL'], [26, 'Clear IA32_LBR_CTL'], [27, 'Clear UINV'], [28, 'Load CET state'], [29, 'Load PKRS'],
      [30, 'Save IA32_PERF_GLOBAL_CTL'], [31, 'Activate secondary controls'],
    ],
  },
  {
    title: 'VM-entry controls', msr: 0x490,
    bits: [
      [2, 'Load debug controls'], [9, 'IA-32e mode guest'], [10, 'Entry to SMM'], [11, 'Deactivate dual-monitor treatment'], [13, 'Load IA32_PERF_GLOBAL_CTRL'],
      [14, 'Load IA32_PAT'], [15, 'Load IA32_EFER'], [16, 'Load IA32_BNDCFGS'], [17, 'Conceal VMX from PT'], [18, 'Load IA32_RTIT_CTL'], [19, 'Load UINV'],
      [20, 'Load CET state'], [21, 'Load guest IA32_LBR_CTL'], [22, 'Load PKRS'],
    ],
  },
];

/** Bits of capability MSRs that are not control words: by MSR, the 64 bits. */
export const CAPABILITY_BITS: readonly { readonly title: string; readonly msr: number; readonly bits: BitNames }[] = [
  {
    title: 'IA32_VMX_BASIC (480h)', msr: 0x480,
    bits: [
      [48, 'Physical addresses limited to 32 bits'], [49, 'Dual-monitor treatment of SMM'], [54, 'INS and OUTS information'], [55, 'TRUE control MSRs'],
      [56, 'Hardware exceptions with and without error codes'],
    ],
  },
  {
    title: 'IA32_VMX_MISC (485h)', msr: 0x485,
    bits: [
      [5, 'LMA stored in the entry controls'], [6, 'Activity state HLT'], [7, 'Activity state shutdown'], [8, 'Activity state wait-for-SIPI'], [14, 'Intel PT in VMX operation'],
      [15, 'IA32_SMBASE readable in SMM'], [28, 'IA32_SMM_MONITOR_CTL[2]'], [29, 'VMWRITE to any supported field'], [30, 'Injection of software events with length 0'],
    ],
  },
  {
    title: 'IA32_VMX_EPT_VPID_CAP (48Ch)', msr: 0x48c,
    bits: [
      [0, 'Execute-only translations'], [6, 'Page-walk length 4'], [7, 'Page-walk length 5'], [8, 'Uncacheable paging structures'], [14, 'Write-back paging structures'],
      [16, '2 MiB pages'], [17, '1 GiB pages'], [20, 'INVEPT'], [21, 'Accessed and dirty flags'], [22, 'Advanced information for EPT violations'],
      [23, 'Supervisor shadow-stack control'], [25, 'INVEPT single-context'], [26, 'INVEPT all-context'], [32, 'INVVPID'], [40, 'INVVPID individual-address'],
      [41, 'INVVPID single-context'], [42, 'INVVPID all-context'], [43, 'INVVPID single-context, retaining globals'],
    ],
  },
  { title: 'IA32_VMX_VMFUNC (491h)', msr: 0x491, bits: [[0, 'EPTP switching']] },
];

/** VMCS fields beyond those of src/vmx/fields.ts. */
export const OTHER_FIELDS: readonly (readonly [number, string])[] = [
  [0x0006, 'HLAT prefix size'], [0x0008, 'last PID-pointer index'], [0x0814, 'guest UINV'], [0x202c, 'XSS-exiting bitmap'], [0x202e, 'ENCLS-exiting bitmap'],
  [0x2030, 'sub-page-permission-table pointer'], [0x2034, 'tertiary processor-based VM-execution controls'], [0x2036, 'ENCLV-exiting bitmap'],
  [0x2038, 'low PASID directory address'], [0x203a, 'high PASID directory address'], [0x203c, 'shared EPT pointer'], [0x203e, 'PCONFIG-exiting bitmap'],
  [0x2040, 'HLAT pointer'], [0x2042, 'PID-pointer table address'], [0x2044, 'secondary VM-exit controls'], [0x204a, 'IA32_SPEC_CTRL mask'],
  [0x204c, 'IA32_SPEC_CTRL shadow'], [0x2812, 'guest IA32_BNDCFGS'], [0x2814, 'guest IA32_RTIT_CTL'],
  [0x2816, 'guest IA32_LBR_CTL'], [0x2818, 'guest IA32_PKRS'], [0x2c06, 'host IA32_PKRS'],
  [0x4024, 'instruction-timeout control'], [0x6828, 'guest IA32_S_CET'], [0x682a, 'guest SSP'], [0x682c, 'guest IA32_INTERRUPT_SSP_TABLE_ADDR'],
  [0x6c18, 'host IA32_S_CET'], [0x6c1a, 'host SSP'], [0x6c1c, 'host IA32_INTERRUPT_SSP_TABLE_ADDR'],
];

/** Exit reasons: number, name, and why it never comes if it does not. */
export const EXIT_REASONS: readonly (readonly [number, string, string?])[] = [
  [0, 'Exception or NMI'], [1, 'External interrupt'], [2, 'Triple fault'], [3, 'INIT signal'], [4, 'Start-up IPI'], [5, 'I/O SMI', 'no SMM'], [6, 'Other SMI', 'no SMM'],
  [7, 'Interrupt window'], [8, 'NMI window'], [9, 'Task switch'], [10, 'CPUID'], [11, 'GETSEC', 'no SMX: #UD'], [12, 'HLT'], [13, 'INVD'], [14, 'INVLPG'], [15, 'RDPMC'],
  [16, 'RDTSC'], [17, 'RSM', 'no SMM: #UD'], [18, 'VMCALL'], [19, 'VMCLEAR'], [20, 'VMLAUNCH'], [21, 'VMPTRLD'], [22, 'VMPTRST'], [23, 'VMREAD'], [24, 'VMRESUME'],
  [25, 'VMWRITE'], [26, 'VMXOFF'], [27, 'VMXON'], [28, 'Control-register accesses'], [29, 'MOV DR'], [30, 'I/O instruction'], [31, 'RDMSR'], [32, 'WRMSR'],
  [33, 'VM-entry failure: guest state'], [34, 'VM-entry failure: MSR loading'], [36, 'MWAIT', 'no MONITOR: #UD'], [37, 'Monitor trap flag'],
  [39, 'MONITOR', 'no MONITOR: #UD'], [40, 'PAUSE'], [41, 'VM-entry failure: machine check', 'no machine checks'], [43, 'TPR below threshold'], [44, 'APIC access'],
  [45, 'Virtualized EOI'], [46, 'Access to GDTR or IDTR'], [47, 'Access to LDTR or TR'], [48, 'EPT violation'], [49, 'EPT misconfiguration'], [50, 'INVEPT'],
  [51, 'RDTSCP'], [52, 'VMX-preemption timer expired'], [53, 'INVVPID'], [54, 'WBINVD'], [55, 'XSETBV', 'no XSAVE: #UD'], [56, 'APIC write'], [57, 'RDRAND', 'no RDRAND: #UD'],
  [58, 'INVPCID'], [59, 'VMFUNC'], [60, 'ENCLS', 'no SGX'], [61, 'RDSEED', 'no RDSEED'], [62, 'Page-modification log full'], [63, 'XSAVES', 'no XSAVE'], [64, 'XRSTORS', 'no XSAVE'],
  [65, 'PCONFIG', 'no PCONFIG'], [66, 'SPP-related event', 'no sub-page permissions'], [67, 'UMWAIT', 'no WAITPKG'], [68, 'TPAUSE', 'no WAITPKG'], [69, 'LOADIWKEY', 'no Key Locker'],
  [70, 'ENCLV', 'no SGX'], [72, 'ENQCMD PASID translation failure', 'no ENQCMD'], [73, 'ENQCMDS PASID translation failure', 'no ENQCMD'], [74, 'Bus lock', 'no bus-lock detection'],
  [75, 'Instruction timeout', 'no instruction timeout'], [76, 'SEAMCALL', 'no TDX'], [77, 'TDCALL', 'no TDX'], [78, 'RDMSRLIST', 'no MSR lists'], [79, 'WRMSRLIST', 'no MSR lists'],
];
