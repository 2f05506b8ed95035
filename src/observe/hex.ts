/** Numbers as the inspector's answers carry them: hexadecimal digits without prefix, so that answers can be sent and stored as they are. */

/** A 32-bit word as at least `digits` digits. */
export function hex(value: number, digits = 1): string {
  return (value >>> 0).toString(16).padStart(digits, '0');
}

/** Two words as 16 digits. */
export function hex64(lo: number, hi: number): string {
  return hex(hi, 8) + hex(lo, 8);
}

/** The 64-bit value at a word index as 16 digits. */
export function hexAt(words: Int32Array, word: number): string {
  return hex64(words[word], words[word + 1]);
}

/** A physical address (a double) as 16 digits. */
export function hexPhysical(address: number): string {
  return hex64(address | 0, Math.floor(address / 0x100000000));
}

/** Two words, low first. */
export type Words64 = readonly [lo: number, hi: number];

/** Reads hexadecimal digits, with or without 0x and digit separators; null if the text is no number of at most 64 bits. */
export function parseHex64(text: string): Words64 | null {
  const digits = text.trim().replace(/^0x/i, '').replaceAll(/[_`\s]/g, '');
  if (!/^[0-9a-f]{1,16}$/i.test(digits)) return null;
  const padded = digits.padStart(16, '0');
  return [Number.parseInt(padded.slice(8), 16) | 0, Number.parseInt(padded.slice(0, 8), 16) | 0];
}

/** The sum of a 64-bit value and a number below 2^52 in magnitude, modulo 2^64. */
export function addWords(lo: number, hi: number, offset: number): [lo: number, hi: number] {
  const sum = (lo >>> 0) + offset;
  return [sum | 0, (hi + Math.floor(sum / 0x100000000)) | 0];
}
