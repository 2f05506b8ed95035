/** Small made-up kernels for the tests of the image build. */

/** LZ4 legacy frame that holds `data` as literals only, in blocks of `blockSize`. */
export function lz4Literals(data: Buffer, blockSize = 8 << 20): Buffer {
  const parts: Buffer[] = [Buffer.from([0x02, 0x21, 0x4c, 0x18])];
  for (let at = 0; at < data.length; at += blockSize) {
    const literals = data.subarray(at, at + blockSize);
    const token: number[] = [];
    if (literals.length < 15) {
      token.push(literals.length << 4);
    } else {
      token.push(0xf0);
      let rest = literals.length - 15;
      for (; rest >= 255; rest -= 255) token.push(255);
      token.push(rest);
    }
    const size = Buffer.alloc(4);
    size.writeUInt32LE(token.length + literals.length);
    parts.push(size, Buffer.from(token), literals);
  }
  return Buffer.concat(parts);
}

/** bzImage of one setup sector beside the boot sector, with this payload; the unpacked size is appended to it. */
export function bzImage(payload: Buffer, unpackedSize: number): Buffer {
  const setup = Buffer.alloc(1024);
  setup[0x1f1] = 1;
  setup.writeUInt16LE(0xaa55, 0x1fe);
  setup.writeUInt32LE(0x53726448, 0x202);
  setup.writeUInt16LE(0x020f, 0x206);
  setup.writeUInt16LE(0x7f, 0x236);
  const head = Buffer.alloc(100, 0x90); // stands for the decompressor
  const size = Buffer.alloc(4);
  size.writeUInt32LE(unpackedSize);
  setup.writeUInt32LE(head.length, 0x248);
  setup.writeUInt32LE(payload.length + 4, 0x24c);
  return Buffer.concat([setup, head, payload, size]);
}

export interface TestSegment {
  type?: number;
  virtual: bigint;
  physical: number;
  bytes: Buffer;
  memorySize?: number;
}

/** ELF executable with these segments at page-aligned file offsets and the given entry. */
export function elf(bits: 32 | 64, entry: number, segments: TestSegment[]): Buffer {
  const wide = bits === 64;
  const headerSize = wide ? 64 : 52;
  const entrySize = wide ? 56 : 32;
  const header = Buffer.alloc(0x1000);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]).copy(header);
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(wide ? 62 : 3, 18);
  header.writeUInt32LE(1, 20);
  const word = (value: bigint | number, at: number) => (wide ? header.writeBigUInt64LE(BigInt(value), at) : header.writeUInt32LE(Number(value), at));
  word(entry, 24);
  word(headerSize, wide ? 32 : 28);
  header.writeUInt16LE(entrySize, wide ? 54 : 42);
  header.writeUInt16LE(segments.length, wide ? 56 : 44);
  const parts = [header];
  let offset = header.length;
  segments.forEach(({ type = 1, virtual, physical, bytes, memorySize = bytes.length }, index) => {
    const at = headerSize + index * entrySize;
    header.writeUInt32LE(type, at);
    header.writeUInt32LE(5, at + (wide ? 4 : 24));
    [offset, virtual, physical, bytes.length, memorySize, 0x1000].forEach((value, i) => word(value, at + (wide ? 8 + 8 * i : 4 + 4 * i)));
    const padded = Buffer.alloc(Math.ceil(bytes.length / 0x1000) * 0x1000);
    bytes.copy(padded);
    parts.push(padded);
    offset += padded.length;
  });
  return Buffer.concat(parts);
}
