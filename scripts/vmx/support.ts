/**
 * docs/vmx-support.md: what of VMX this CPU has, taken from the capability MSRs and the list of VMCS fields as the code computes them.
 * test/vmx/support.test.ts holds the file to it; `npm run docs:vmx` writes it.
 */
import { VMCS_FIELDS } from '../../src/vmx/fields';
import { fieldOffered, msrValue, readVmxCapabilityMsr } from '../../src/vmx/capabilities';
import * as REASONS from '../../src/vmx/exit-reasons';
import { CAPABILITY_BITS, CONTROL_WORDS, EXIT_REASONS, OTHER_FIELDS } from './names';
import type { BitNames } from './names';

const HEAD = `# VMX: what there is

Written by \`npm run docs:vmx\` from the code; a test holds it up to date. The names are those of the Intel SDM, volume 3. The machine is the default one
(\`nestedhvm = 1\`, \`hap = 1\`): \`hap = 0\` takes away EPT and VPID with all that rests on them, and a CPUID bit that is masked its control (RDTSCP, INVPCID).
`;

/** A capability MSR's words, or zeroes where it does not exist. */
function capability(msr: number): { lo: number; hi: number } {
  return readVmxCapabilityMsr(msr) ? { lo: msrValue[0], hi: msrValue[1] } : { lo: 0, hi: 0 };
}

function bitOf({ lo, hi }: { lo: number; hi: number }, bit: number): boolean {
  return (((bit < 32 ? lo : hi) >>> (bit & 31)) & 1) !== 0;
}

function hex(value: number, digits: number): string {
  return `${(value >>> 0).toString(16).toUpperCase().padStart(digits, '0')}h`;
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Control words: a bit may be 1 if its bit in the high word is; it must be 1 if its bit in the low word is. */
function controls(msr: number, bits: BitNames): string {
  const words = capability(msr);
  return table(['Bit', 'Control', ''], bits.map(([bit, name]) => [
    String(bit), name, !bitOf(words, 32 + bit) ? 'no' : bitOf(words, bit) ? 'yes, always 1' : 'yes',
  ]));
}

function capabilities(msr: number, bits: BitNames): string {
  const words = capability(msr);
  return table(['Bit', 'Capability', ''], bits.map(([bit, name]) => [String(bit), name, bitOf(words, bit) ? 'yes' : 'no']));
}

const WIDTHS = ['16', '64', '32', 'natural'];

function fields(): string {
  const rows: [number, string, boolean][] = VMCS_FIELDS.map((field) => [field.encoding, field.name, fieldOffered(field.feature)]);
  for (const [encoding, name] of OTHER_FIELDS) rows.push([encoding, name, false]);
  rows.sort((a, b) => a[0] - b[0]);
  return table(['Encoding', 'Field', 'Bits', ''], rows.map(([encoding, name, offered]) => [
    hex(encoding, 4), name, WIDTHS[(encoding >> 13) & 3], offered ? 'yes' : 'no',
  ]));
}

function reasons(): string {
  const known = new Set<number>(Object.values(REASONS));
  return table(['Reason', 'Exit', ''], EXIT_REASONS.map(([reason, name, never]) => [
    String(reason), name, never === undefined && known.has(reason) ? 'yes' : `no: ${never ?? 'not made'}`,
  ]));
}

/** The whole document. */
export function vmxSupport(): string {
  const parts = [HEAD];
  for (const word of CONTROL_WORDS) parts.push(`## ${word.title}\n\n${controls(word.msr, word.bits)}\n`);
  for (const group of CAPABILITY_BITS) parts.push(`## ${group.title}\n\n${capabilities(group.msr, group.bits)}\n`);
  parts.push(`## VMCS fields\n\n${fields()}\n`);
  parts.push(`## Exit reasons\n\n${reasons()}\n`);
  return parts.join('\n');
}
