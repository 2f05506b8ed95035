/**
 * Encodes ACPI Machine Language (ACPI 6.4, chapter 20), as much as a static DSDT needs: names, constants, packages,
 * buffers, scopes, devices, processors, methods without control flow, and small resource descriptors (chapter 6.4).
 * Every function returns the bytes of one term.
 */

export type Aml = readonly number[];

const NAME_OP = 0x08, SCOPE_OP = 0x10, BUFFER_OP = 0x11, PACKAGE_OP = 0x12, METHOD_OP = 0x14;
const EXT = 0x5b, DEVICE_OP = 0x82, PROCESSOR_OP = 0x83;

/** PkgLength: counts itself (20.2.4). */
function withLength(body: Aml): number[] {
  const length = body.length;
  if (length + 1 < 0x40) return [length + 1, ...body];
  const bytes = length + 2 < 0x1000 ? 2 : 3;
  const total = length + bytes;
  const head = [((bytes - 1) << 6) | (total & 15), (total >> 4) & 0xff];
  if (bytes === 3) head.push((total >> 12) & 0xff);
  return [...head, ...body];
}

/** A path such as `_SB`, `\_SB.PCI0`; segments are padded with underscores to four characters. */
export function path(text: string): number[] {
  const rooted = text.startsWith('\\');
  const segments = (rooted ? text.slice(1) : text).split('.').filter((segment) => segment !== '');
  const bytes = segments.flatMap((segment) => [...segment.padEnd(4, '_')].map((c) => c.charCodeAt(0)));
  const prefix = segments.length === 0 ? [0] : segments.length === 1 ? [] : segments.length === 2 ? [0x2e] : [0x2f, segments.length];
  return [...(rooted ? [0x5c] : []), ...prefix, ...bytes];
}

/** An integer constant below 2^32. */
export function integer(value: number): number[] {
  if (value === 0) return [0x00];
  if (value === 1) return [0x01];
  if (value < 0x100) return [0x0a, value];
  if (value < 0x10000) return [0x0b, value & 255, value >> 8];
  return [0x0c, ...le32(value)];
}

/** A compressed EISA id such as `PNP0A03` (19.6.36). */
export function eisaId(text: string): number[] {
  const letter = (n: number): number => text.charCodeAt(n) - 0x40;
  const digit = (n: number): number => Number.parseInt(text[n], 16);
  const high = (letter(0) << 10) | (letter(1) << 5) | letter(2);
  return [0x0c, high >> 8, high & 255, (digit(3) << 4) | digit(4), (digit(5) << 4) | digit(6)];
}

export function string(text: string): number[] {
  return [0x0d, ...[...text].map((c) => c.charCodeAt(0)), 0];
}

export function name(object: string, value: Aml): number[] {
  return [NAME_OP, ...path(object), ...value];
}

export function buffer(bytes: Aml): number[] {
  return [BUFFER_OP, ...withLength([...integer(bytes.length), ...bytes])];
}

/** A package of at most 255 elements. */
export function packageOf(elements: readonly Aml[]): number[] {
  return [PACKAGE_OP, ...withLength([elements.length, ...elements.flat()])];
}

export function scope(where: string, terms: readonly Aml[]): number[] {
  return [SCOPE_OP, ...withLength([...path(where), ...terms.flat()])];
}

export function device(object: string, terms: readonly Aml[]): number[] {
  return [EXT, DEVICE_OP, ...withLength([...path(object), ...terms.flat()])];
}

/** A processor object without P_BLK. */
export function processor(object: string, id: number): number[] {
  return [EXT, PROCESSOR_OP, ...withLength([...path(object), id, 0, 0, 0, 0, 0])];
}

export function method(object: string, argumentCount: number, terms: readonly Aml[]): number[] {
  return [METHOD_OP, ...withLength([...path(object), argumentCount, ...terms.flat()])];
}

/** Store(Arg<n>, object). */
export function storeArgument(n: number, object: string): number[] {
  return [0x70, 0x68 + n, ...path(object)];
}

// --- Resource descriptors ---

function le16(value: number): number[] {
  return [value & 255, (value >> 8) & 255];
}

function le32(value: number): number[] {
  return [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
}

/** Fixed I/O range, 16-bit decode (6.4.2.5). */
export function ioPorts(base: number, length: number): number[] {
  return [0x47, 1, ...le16(base), ...le16(base), 1, length];
}

/** ISA interrupt, edge-triggered, active high, exclusive (6.4.2.1). */
export function irq(number: number): number[] {
  return [0x22, ...le16(1 << number)];
}

/** 32-bit fixed memory range (6.4.3.4). */
export function memory32(base: number, length: number, writable: boolean): number[] {
  return [0x86, 9, 0, writable ? 1 : 0, ...le32(base), ...le32(length)];
}

/** Producer, positive decode, minimum and maximum fixed (6.4.3.5). */
const PRODUCER = 0x0c;

/** Bus numbers that a bridge produces. */
export function busRange(first: number, last: number): number[] {
  return [0x88, 13, 0, 2, PRODUCER, 0, ...le16(0), ...le16(first), ...le16(last), ...le16(0), ...le16(last - first + 1)];
}

/** I/O range that a bridge forwards, ISA and other ranges alike. */
export function ioWindow(first: number, last: number): number[] {
  return [0x88, 13, 0, 1, PRODUCER, 3, ...le16(0), ...le16(first), ...le16(last), ...le16(0), ...le16(last - first + 1)];
}

/** Memory range that a bridge forwards, read-write, non-cacheable. */
export function memoryWindow(first: number, last: number): number[] {
  return [0x87, 23, 0, 0, PRODUCER, 1, ...le32(0), ...le32(first), ...le32(last), ...le32(0), ...le32(last - first + 1)];
}

/** A resource template: descriptors closed by an end tag without checksum. */
export function resources(descriptors: readonly Aml[]): number[] {
  return buffer([...descriptors.flat(), 0x79, 0]);
}
