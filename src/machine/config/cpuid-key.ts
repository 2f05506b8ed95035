/**
 * The `cpuid` key in both forms of xl.cfg(5): `"host,name=value,..."` and `["LEAF[,SUBLEAF]:reg=bits[,reg=bits]", ...]`.
 * Later settings of the same bits replace earlier ones.
 */
import type { CpuidOverride } from '../../cpu/features';
import { FEATURE_WORDS, FEATURES } from '../../cpu/features';
import { CPUID_FEATURES, CPUID_FIELDS } from './cpuid-names';
import type { XlValue } from './xl-parser';

const REGISTERS = ['eax', 'ebx', 'ecx', 'edx'];
/** CPUID.1:ECX[31], the one bit that can be forced to 1 although no hardware has it. */
const HYPERVISOR = 0x80000000;

/** Told apart from other errors by the caller, which knows key and line. */
export class CpuidSyntaxError extends Error {
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

class Overrides {
  private readonly entries = new Map<string, CpuidOverride>();

  private entry(leaf: number, subleaf: number | null, reg: number): CpuidOverride {
    const id = `${leaf},${subleaf ?? '*'},${reg}`;
    let entry = this.entries.get(id);
    if (entry === undefined) {
      entry = { leaf, subleaf, reg, set: 0, clear: 0 };
      this.entries.set(id, entry);
    }
    return entry;
  }

  /** Forces the bits of `mask` to those of `value`. */
  force(leaf: number, subleaf: number | null, reg: number, mask: number, value: number): void {
    const entry = this.entry(leaf, subleaf, reg);
    entry.set = ((entry.set & ~mask) | (value & mask)) >>> 0;
    entry.clear = ((entry.clear & ~mask) | (~value & mask)) >>> 0;
  }

  /** Leaves the bits of `mask` as the CPU model has them. */
  release(leaf: number, subleaf: number | null, reg: number, mask: number): void {
    const entry = this.entry(leaf, subleaf, reg);
    entry.set = (entry.set & ~mask) >>> 0;
    entry.clear = (entry.clear & ~mask) >>> 0;
  }

  list(): CpuidOverride[] {
    return [...this.entries.values()].filter((entry) => entry.set !== 0 || entry.clear !== 0);
  }
}

/** As strtoul with base 0; null if the text is no number. */
function number(text: string): number | null {
  if (/^0[xX][0-9a-fA-F]+$/.test(text)) return Number.parseInt(text.slice(2), 16);
  if (/^0[0-7]*$/.test(text)) return Number.parseInt(text, 8);
  return /^[1-9][0-9]*$/.test(text) ? Number(text) : null;
}

function hostForm(text: string, line: number, overrides: Overrides): void {
  const [host, ...pairs] = text.split(',').map((part) => part.trim());
  if (host !== 'host') throw new CpuidSyntaxError(line, `\`${text}\` must start with \`host\` or be LEAF:REG=BITS`);
  for (const pair of pairs) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    if (equals < 0) throw new CpuidSyntaxError(line, `\`${pair}\` is not NAME=VALUE`);
    hostPair(pair.slice(0, equals).trim(), pair.slice(equals + 1).trim(), line, overrides);
  }
}

function hostPair(name: string, value: string, line: number, overrides: Overrides): void {
  const place = CPUID_FIELDS[name] ?? CPUID_FEATURES.get(name.replaceAll('_', '-')) ?? CPUID_FEATURES.get(name);
  if (place === undefined && name !== 'family' && name !== 'model') throw new CpuidSyntaxError(line, `there is no CPU feature or field \`${name}\``);
  const keeps = value === 'x' || value === 'k' || value === 's';
  const amount = keeps ? 0 : number(value);
  if (amount === null) throw new CpuidSyntaxError(line, `\`${value}\` is no value for ${name}: a number, x, k or s`);
  if (place === undefined) {
    const family = name === 'family';
    if (amount > (family ? 0xff + 15 : 0xff)) throw new CpuidSyntaxError(line, `${name} ${amount} is too large`);
    // SDM 2A, CPUID: family above 15 and the model's high digit live in the extended fields.
    const mask = family ? 0x0ff00f00 : 0x000f00f0;
    const bits = family
      ? amount > 15 ? ((amount - 15) << 20) | 0xf00 : amount << 8
      : ((amount >> 4) << 16) | ((amount & 15) << 4);
    if (keeps) overrides.release(1, null, 0, mask);
    else overrides.force(1, null, 0, mask, bits);
    return;
  }
  const mask = place.bits === 32 ? 0xffffffff : ((1 << place.bits) - 1) << place.bit;
  if (amount >= 2 ** place.bits) throw new CpuidSyntaxError(line, `${amount} does not fit into the ${place.bits} bits of ${name}`);
  if (keeps) overrides.release(place.leaf, place.subleaf, place.reg, mask);
  else overrides.force(place.leaf, place.subleaf, place.reg, mask, amount << place.bit);
}

function bitForm(text: string, line: number, overrides: Overrides): void {
  const colon = text.indexOf(':');
  if (colon < 0) throw new CpuidSyntaxError(line, `\`${text}\` has no \`:\` after the leaf`);
  const [leafText, subleafText, ...rest] = text.slice(0, colon).split(',').map((part) => part.trim());
  const leaf = number(leafText);
  if (leaf === null || leaf > 0xffffffff) throw new CpuidSyntaxError(line, `\`${leafText}\` is no CPUID leaf`);
  const subleaf = subleafText === undefined ? null : number(subleafText);
  if (rest.length > 0 || (subleafText !== undefined && subleaf === null)) throw new CpuidSyntaxError(line, `\`${subleafText}\` is no CPUID subleaf`);
  for (const part of text.slice(colon + 1).split(',')) {
    const [register, bits] = part.split('=').map((word) => word.trim());
    const reg = REGISTERS.indexOf(register);
    if (reg < 0) throw new CpuidSyntaxError(line, `\`${register}\` is not one of eax, ebx, ecx, edx`);
    if (bits === undefined || bits.length !== 32) throw new CpuidSyntaxError(line, `${register} needs 32 characters, has ${bits?.length ?? 0}`);
    const strange = /[^01xks]/.exec(bits);
    if (strange !== null) throw new CpuidSyntaxError(line, `\`${strange[0]}\` in ${register}: bits are 0, 1, x, k or s`);
    overrides.release(leaf, subleaf, reg, 0xffffffff);
    for (let n = 0; n < 32; n++) {
      const bit = (1 << (31 - n)) >>> 0;
      if (bits[n] === '0' || bits[n] === '1') overrides.force(leaf, subleaf, reg, bit, bits[n] === '1' ? bit : 0);
    }
  }
}

/** Bits that are asked for but not implemented: [override, bits]. They stay 0. */
function unsupportedBits(override: CpuidOverride): number {
  const word = FEATURE_WORDS.findIndex(([leaf, reg]) => leaf === override.leaf && reg === override.reg);
  if (word < 0 || (override.subleaf ?? 0) !== 0) return 0;
  let implemented = override.leaf === 1 && override.reg === 2 ? HYPERVISOR : 0;
  for (const feature of FEATURES) if (feature.word === word) implemented |= 1 << feature.bit;
  return (override.set & ~implemented) >>> 0;
}

/** Parses the key's value; messages in `warn` concern bits that cannot be had. */
export function parseCpuid(value: XlValue, warn: (message: string) => void): CpuidOverride[] {
  const overrides = new Overrides();
  for (const item of value.kind === 'list' ? value.items : [value]) {
    if (item.kind === 'list') throw new CpuidSyntaxError(item.line, 'a list inside the list');
    if (item.text.trim().startsWith('host') || value.kind === 'atom') hostForm(item.text, item.line, overrides);
    else bitForm(item.text, item.line, overrides);
  }
  const list = overrides.list();
  for (const override of list) {
    const missing = unsupportedBits(override);
    if (missing !== 0) {
      warn(`leaf ${override.leaf.toString(16)}h ${REGISTERS[override.reg]}: bits ${missing.toString(16)}h are not implemented and stay 0`);
    }
  }
  return list;
}
