/** Inflates gzip-compressed kernels (RFC 1952), such as Debian's xen.gz, checking size and CRC-32. */
import { inflateSync } from 'fflate';
import { LoadError } from './load-error';
import type { BootFile } from './boot-request';

/** No kernel is larger; a bogus size field must not ask for gigabytes. */
const LARGEST_KERNEL = 512 << 20;

const FLAG_CRC = 2, FLAG_EXTRA = 4, FLAG_NAME = 8, FLAG_COMMENT = 16;

const CRC_TABLE = new Int32Array(256);
for (let n = 0; n < 256; n++) {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  CRC_TABLE[n] = c;
}

/** CRC-32 of RFC 1952, unsigned. */
export function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return (crc ^ -1) >>> 0;
}

function headerLength(file: BootFile): number {
  const bytes = file.bytes;
  const flags = bytes[3];
  let at = 10;
  if (flags & FLAG_EXTRA) at += 2 + (bytes[at] | (bytes[at + 1] << 8));
  for (const flag of [FLAG_NAME, FLAG_COMMENT]) {
    if (flags & flag) {
      const end = bytes.indexOf(0, at);
      at = end < 0 ? bytes.length : end + 1;
    }
  }
  if (flags & FLAG_CRC) at += 2;
  if (bytes[2] !== 8 || at + 8 > bytes.length) throw new LoadError(file.name, 'truncated or damaged gzip header');
  return at;
}

export function isGzip(bytes: Uint8Array): boolean {
  return bytes.length >= 3 && bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** The file itself, or what it holds if it is a gzip file. */
export function inflateIfGzip(file: BootFile): BootFile {
  if (!isGzip(file.bytes)) return file;
  if (file.bytes.length < 18) throw new LoadError(file.name, 'truncated gzip file');
  const start = headerLength(file);
  const view = new DataView(file.bytes.buffer, file.bytes.byteOffset, file.bytes.byteLength);
  const size = view.getUint32(file.bytes.length - 4, true);
  const crc = view.getUint32(file.bytes.length - 8, true);
  if (size > LARGEST_KERNEL) throw new LoadError(file.name, 'damaged gzip file, or one that is too large to be a kernel');
  let bytes: Uint8Array;
  try {
    bytes = inflateSync(file.bytes.subarray(start, file.bytes.length - 8));
  } catch (error) {
    throw new LoadError(file.name, `damaged gzip file: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (bytes.length !== size || crc32(bytes) !== crc) throw new LoadError(file.name, 'damaged gzip file: size or checksum differs');
  return { name: file.name, bytes };
}
