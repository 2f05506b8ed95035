/**
 * A VMCS for people: every field of the list in vmx/fields.ts by its SDM name, in the groups of SDM 3C 25.3, with the bits of control words, access
 * rights and event information decoded, and what changed since another image of it.
 */
import { VMCS_FIELDS } from '../vmx/fields';
import type { VmcsField } from '../vmx/fields';
import * as F from '../vmx/fields';
import { FIELD_WORD } from '../vmx/capabilities';
import { exitReasonName } from './exit-names';
import { describeExit } from './exit-text';
import { hexAt } from './hex';
import * as B from './register-bits';
import type { BitName } from './register-bits';

export const VMCS_GROUPS = [
  'VM-exit information (read-only)', 'Guest registers', 'Guest segments and tables', 'Guest non-register state', 'VM-execution controls', 'VM-exit controls',
  'VM-entry controls', 'Host state',
] as const;
export type VmcsGroup = (typeof VMCS_GROUPS)[number];

export interface VmcsFieldView {
  /** Encoding as VMREAD takes it, four hexadecimal digits. */
  encoding: string;
  name: string;
  /** Hexadecimal digits, as many as the field is wide. */
  value: string;
  /** What the value says; empty for plain numbers. */
  decoded: string[];
  /** Value in the image compared with, where it differs; null elsewhere. */
  previous: string | null;
  /** False for a field that this processor does not offer. */
  offered: boolean;
}

export interface VmcsView {
  groups: { title: VmcsGroup; fields: VmcsFieldView[] }[];
  changed: number;
}

/** Where a field belongs. */
export function groupOf(field: VmcsField): VmcsGroup {
  if (field.area === 'information') return 'VM-exit information (read-only)';
  if (field.area === 'host') return 'Host state';
  if (field.area === 'control') {
    if (/^VM-exit/.test(field.name)) return 'VM-exit controls';
    return /^VM-entry/.test(field.name) ? 'VM-entry controls' : 'VM-execution controls';
  }
  if (/^guest (ES|CS|SS|DS|FS|GS|LDTR|TR|GDTR|IDTR) /.test(field.name)) return 'Guest segments and tables';
  if (/state|pending|link pointer|preemption|SMBASE|PDPTE/.test(field.name)) return 'Guest non-register state';
  return 'Guest registers';
}

type Decoder = (lo: number, hi: number, image: Int32Array) => string[];

function bits(table: readonly BitName[]): Decoder {
  return (lo) => B.decodeBits(lo, table);
}

const INSTRUCTION_ERRORS: Record<number, string> = {
  1: 'VMCALL executed in VMX root operation', 2: 'VMCLEAR with invalid physical address', 3: 'VMCLEAR with VMXON pointer', 4: 'VMLAUNCH with non-clear VMCS',
  5: 'VMRESUME with non-launched VMCS', 6: 'VMRESUME after VMXOFF', 7: 'VM entry with invalid control fields', 8: 'VM entry with invalid host-state fields',
  9: 'VMPTRLD with invalid physical address', 10: 'VMPTRLD with VMXON pointer', 11: 'VMPTRLD with incorrect revision identifier',
  12: 'VMREAD or VMWRITE of an unsupported field', 13: 'VMWRITE to a read-only field', 15: 'VMXON executed in VMX root operation',
  16: 'VM entry with invalid executive-VMCS pointer', 26: 'VM entry with events blocked by MOV SS', 28: 'invalid operand to INVEPT or INVVPID',
};

const PAT_TYPES = ['UC', 'WC', '?', '?', 'WT', 'WP', 'WB', 'UC-'];

const pat: Decoder = (lo, hi) => [0, 1, 2, 3, 4, 5, 6, 7].map((n) => `${n}:${PAT_TYPES[((n < 4 ? lo : hi) >>> (8 * (n & 3))) & 7]}`);

const eptPointer: Decoder = (lo, hi) => ((lo | hi) === 0 ? [] : [
  (lo & 7) === 6 ? 'write-back' : `memory type ${lo & 7}`, `${((lo >> 3) & 7) + 1} levels`, ...(lo & 0x40 ? ['accessed and dirty flags'] : []),
]);

const exitReason: Decoder = (lo) => [...(lo < 0 ? ['VM-entry failure'] : []), exitReasonName(lo & 0xffff)];

const interruption: Decoder = (lo) => B.interruptionText(lo);

/** Exit facts from a VMCS image; registers are unknown, so their part of the description is left out. */
const qualification: Decoder = (lo, hi, image) => {
  const reason = image[F.EXIT_REASON];
  // These speak of registers only.
  if (REGISTER_REASONS.has(reason & 0xffff)) return [];
  const text = describeExit({
    reason, qualificationLo: lo, qualificationHi: hi, interruptionInfo: image[F.EXIT_INTERRUPTION_INFO], interruptionError: image[F.EXIT_INTERRUPTION_ERROR],
    vectoringInfo: 0, guestLinearLo: image[F.GUEST_LINEAR_ADDRESS], guestLinearHi: image[F.GUEST_LINEAR_ADDRESS + 1],
    guestPhysicalLo: image[F.GUEST_PHYSICAL_ADDRESS], guestPhysicalHi: image[F.GUEST_PHYSICAL_ADDRESS + 1], raxLo: 0, raxHi: 0, rcxLo: 0, rdxLo: 0,
  }).replace(/ = 0x0*$/, '');
  return text === '' ? [] : [text];
};
/** CPUID, VMCALL, RDMSR, WRMSR, XSETBV. */
const REGISTER_REASONS = new Set([10, 18, 31, 32, 55]);

const linkPointer: Decoder = (lo, hi) => ((lo & hi) === -1 ? ['none'] : []);
const tscOffset: Decoder = (lo, hi) => {
  const value = hi * 0x100000000 + (lo >>> 0);
  return value === 0 ? [] : [value.toLocaleString('en')];
};

const DECODERS: [word: number, decoder: Decoder][] = [
  [F.PIN_CONTROLS, bits(B.PIN_BITS)], [F.PROCESSOR_CONTROLS, bits(B.PROCESSOR_BITS)], [F.SECONDARY_CONTROLS, bits(B.SECONDARY_BITS)],
  [F.EXIT_CONTROLS, bits(B.EXIT_CONTROL_BITS)], [F.ENTRY_CONTROLS, bits(B.ENTRY_CONTROL_BITS)], [F.EXCEPTION_BITMAP, bits(B.EXCEPTION_BITS)],
  [F.ENTRY_INTERRUPTION_INFO, interruption], [F.EXIT_INTERRUPTION_INFO, interruption], [F.IDT_VECTORING_INFO, interruption],
  [F.EXIT_REASON, exitReason], [F.EXIT_QUALIFICATION, qualification],
  [F.INSTRUCTION_ERROR, (lo) => (lo === 0 ? [] : [INSTRUCTION_ERRORS[lo] ?? `error ${lo}`])],
  [F.GUEST_INTERRUPTIBILITY, bits(B.INTERRUPTIBILITY_BITS)], [F.GUEST_ACTIVITY, (lo) => [B.ACTIVITY_NAMES[lo] ?? '?']],
  [F.GUEST_PENDING_DEBUG, bits(B.PENDING_DEBUG_BITS)], [F.GUEST_RFLAGS, bits(B.RFLAGS_BITS)], [F.GUEST_DR7, bits(B.DR7_BITS)],
  [F.GUEST_DEBUGCTL, bits(B.DEBUGCTL_BITS)], [F.VMCS_LINK_POINTER, linkPointer], [F.EPT_POINTER, eptPointer], [F.TSC_OFFSET, tscOffset],
  ...[F.GUEST_CR0, F.HOST_CR0, F.CR0_MASK, F.CR0_SHADOW].map((word): [number, Decoder] => [word, bits(B.CR0_BITS)]),
  ...[F.GUEST_CR4, F.HOST_CR4, F.CR4_MASK, F.CR4_SHADOW].map((word): [number, Decoder] => [word, bits(B.CR4_BITS)]),
  ...[F.GUEST_EFER, F.HOST_EFER].map((word): [number, Decoder] => [word, bits(B.EFER_BITS)]),
  ...[F.GUEST_PAT, F.HOST_PAT].map((word): [number, Decoder] => [word, pat]),
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((s): [number, Decoder] => [F.GUEST_ES_ACCESS_RIGHTS + 2 * s, (lo) => [B.accessRightsText(lo)]]),
];
const decoders = new Map(DECODERS);

function valueText(field: VmcsField, image: Int32Array): string {
  return hexAt(image, field.word).slice(-(field.bits / 4));
}

/** Shows a VMCS image (decoded, as vmx/vmcs.ts keeps it); `baseline`: the image that changes are shown against, null for none. */
export function viewVmcs(image: Int32Array, baseline: Int32Array | null): VmcsView {
  const groups = VMCS_GROUPS.map((title): VmcsView['groups'][number] => ({ title, fields: [] }));
  let changed = 0;
  for (const field of VMCS_FIELDS) {
    const value = valueText(field, image);
    const before = baseline === null ? value : valueText(field, baseline);
    if (before !== value) changed++;
    groups[VMCS_GROUPS.indexOf(groupOf(field))].fields.push({
      encoding: field.encoding.toString(16).padStart(4, '0'), name: field.name, value,
      decoded: decoders.get(field.word)?.(image[field.word], image[field.word + 1], image) ?? [],
      previous: before === value ? null : before, offered: FIELD_WORD[field.encoding] >= 0,
    });
  }
  return { groups, changed };
}
