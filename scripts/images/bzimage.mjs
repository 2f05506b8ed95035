/**
 * Linux bzImages: taking the kernel's ELF file out of one, and putting it back uncompressed
 * (Documentation/x86/boot.rst in Linux; offsets are those of its "real-mode kernel header").
 *
 * A compressed kernel unpacks itself in emulated instructions, 2.3 G of them for XZ. Both forms made here hold the
 * kernel's own bytes, unchanged; only the wrapping goes.
 */
import { physicalImage } from './elf.mjs';
import { isLz4Legacy, unpackLz4Legacy } from './lz4.mjs';

const SETUP_SECTS = 0x1f1;
const SYSSIZE = 0x1f4;
const BOOT_FLAG = 0x1fe;
const HEADER = 0x202;
const VERSION = 0x206;
const RELOCATABLE_KERNEL = 0x234;
const XLOADFLAGS = 0x236;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const HANDOVER_OFFSET = 0x264;
const KERNEL_INFO_OFFSET = 0x268;

const SECTOR = 512;
const HEADER_MAGIC = 0x53726448; // "HdrS"
const VERSION_WITH_PAYLOAD = 0x0208;
/** The newest protocol without kernel_info, which the rebuilt image does not have. */
const VERSION_REBUILT = 0x020d;
/** Where boot loaders put the protected-mode part. */
const LOAD_ADDRESS = 0x100000;
const STUB_SIZE = 64;

/**
 * @param {Buffer} image
 * @returns {{ setupSize: number, payload: Buffer, unpackedSize: number }} the payload is the compressed kernel
 */
export function parseBzImage(image) {
  if (image.length < 0x270 || image.readUInt16LE(BOOT_FLAG) !== 0xaa55 || image.readUInt32LE(HEADER) !== HEADER_MAGIC) {
    throw new Error('not a bzImage: no boot sector signature or no "HdrS"');
  }
  const version = image.readUInt16LE(VERSION);
  if (version < VERSION_WITH_PAYLOAD) throw new Error(`bzImage: boot protocol ${version.toString(16)} does not name its payload`);
  const setupSize = ((image[SETUP_SECTS] || 4) + 1) * SECTOR;
  const start = setupSize + image.readUInt32LE(PAYLOAD_OFFSET);
  const length = image.readUInt32LE(PAYLOAD_LENGTH);
  if (length < 8 || start + length > image.length) throw new Error(`bzImage: the payload ends at ${start + length}, the file at ${image.length}`);
  const payload = image.subarray(start, start + length);
  // The kernel's build appends the unpacked size to the compressed data.
  return { setupSize, payload, unpackedSize: payload.readUInt32LE(length - 4) };
}

/**
 * Takes the kernel's ELF file out of a bzImage.
 * @param {Buffer} image
 * @param {(payload: Buffer) => Promise<Buffer>} unpackXz called for XZ payloads; gets them without the appended size
 * @returns {Promise<Buffer>}
 */
export async function extractKernel(image, unpackXz) {
  const { payload, unpackedSize } = parseBzImage(image);
  let kernel;
  if (isLz4Legacy(payload)) kernel = Buffer.from(unpackLz4Legacy(payload, unpackedSize).buffer);
  else if (payload.subarray(0, 6).equals(Buffer.from('\xfd7zXZ\0', 'latin1'))) kernel = await unpackXz(payload.subarray(0, -4));
  else throw new Error(`bzImage: neither LZ4 nor XZ (payload starts ${payload.subarray(0, 6).toString('hex')})`);
  if (kernel.length !== unpackedSize) throw new Error(`bzImage: unpacked to ${kernel.length} bytes instead of ${unpackedSize}`);
  if (kernel.readUInt32BE(0) !== 0x7f454c46) throw new Error('bzImage: the payload is not an ELF file');
  return kernel;
}

/**
 * Builds a bzImage whose kernel is not compressed, for boot loaders that take nothing else: the setup code of the
 * given one, a stub that moves the kernel to its place, the kernel's segments as they lie in memory. 32-bit kernels
 * only: they start with paging off, as the stub is entered.
 * @param {Buffer} image the bzImage the kernel came from
 * @param {Buffer} kernel its ELF file
 * @returns {Buffer}
 */
export function uncompressedBzImage(image, kernel) {
  const { setupSize } = parseBzImage(image);
  const { start, entry, bytes, bits } = physicalImage(kernel);
  if (bits !== 32) throw new Error('bzImage: only 32-bit kernels can be entered uncompressed');
  const source = LOAD_ADDRESS + STUB_SIZE;
  const dwords = Math.ceil(bytes.length / 4);
  const body = Buffer.alloc(STUB_SIZE + dwords * 4);
  moveStub(source, start, dwords, entry).copy(body);
  bytes.copy(body, STUB_SIZE);

  const setup = Buffer.from(image.subarray(0, setupSize));
  setup.writeUInt32LE(Math.ceil(body.length / 16), SYSSIZE);
  setup.writeUInt16LE(VERSION_REBUILT, VERSION);
  setup.writeUInt8(0, RELOCATABLE_KERNEL); // the stub counts on LOAD_ADDRESS
  setup.writeUInt16LE(0, XLOADFLAGS); // neither a 64-bit nor an EFI entry
  setup.writeUInt32LE(STUB_SIZE, PAYLOAD_OFFSET);
  setup.writeUInt32LE(bytes.length, PAYLOAD_LENGTH);
  setup.writeUInt32LE(0, HANDOVER_OFFSET);
  setup.writeUInt32LE(0, KERNEL_INFO_OFFSET);
  return Buffer.concat([setup, body]);
}

/**
 * The code at the 32-bit entry: moves the kernel up to where it runs, then enters it as the boot protocol wants it
 * (ESI = boot parameters; EBX, EBP and EDI zero). It has no stack. Where the two places overlap it copies from the end.
 * @param {number} source guest-physical
 * @param {number} target guest-physical, above the source
 * @param {number} dwords
 * @param {number} entry guest-physical
 * @returns {Buffer}
 */
function moveStub(source, target, dwords, entry) {
  if (target <= source) throw new Error('bzImage: the kernel runs below where it is loaded');
  const backwards = source + dwords * 4 > target;
  const last = backwards ? (dwords - 1) * 4 : 0;
  /** @param {number} value */
  const dword = (value) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
  return Buffer.from([
    0x89, 0xf3, //                         mov ebx, esi
    0xbe, ...dword(source + last), //      mov esi, ...
    0xbf, ...dword(target + last), //      mov edi, ...
    0xb9, ...dword(dwords), //             mov ecx, ...
    backwards ? 0xfd : 0xfc, //            std or cld
    0xf3, 0xa5, //                         rep movsd
    0xfc, //                               cld
    0x89, 0xde, //                         mov esi, ebx
    0x31, 0xdb, 0x31, 0xed, 0x31, 0xff, // xor ebx, ebx; xor ebp, ebp; xor edi, edi
    0xb8, ...dword(entry), //              mov eax, ...
    0xff, 0xe0, //                         jmp eax
  ]);
}
