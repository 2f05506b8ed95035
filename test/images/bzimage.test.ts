import { describe, expect, it } from 'vitest';
import { extractKernel, parseBzImage, uncompressedBzImage } from '../../scripts/images/bzimage.mjs';
import { bzImage, elf, lz4Literals } from './kernels';

const kernel = elf(32, 0x1000000, [
  { virtual: 0xc1000000n, physical: 0x1000000, bytes: Buffer.from('kernel text') },
  { virtual: 0xc1002000n, physical: 0x1002000, bytes: Buffer.from('kernel data') },
]);
const noXz = async (): Promise<Buffer> => {
  throw new Error('not an XZ payload');
};

describe('extractKernel', () => {
  it('unpacks LZ4', async () => {
    const extracted = await extractKernel(bzImage(lz4Literals(kernel), kernel.length), noXz);
    expect(extracted.equals(kernel)).toBe(true);
  });

  it('hands XZ over without the appended size', async () => {
    const packed = Buffer.from('\xfd7zXZ\0 and the rest', 'latin1');
    const extracted = await extractKernel(bzImage(packed, kernel.length), async (payload) => {
      expect(payload.equals(packed)).toBe(true);
      return kernel;
    });
    expect(extracted.equals(kernel)).toBe(true);
  });

  it('refuses other compressions, wrong sizes and payloads that are no kernel', async () => {
    await expect(extractKernel(bzImage(Buffer.from('\x1f\x8b gzip', 'latin1'), 9), noXz)).rejects.toThrow('neither LZ4 nor XZ');
    const xz = Buffer.from('\xfd7zXZ\0', 'latin1');
    await expect(extractKernel(bzImage(xz, 7), async () => kernel)).rejects.toThrow('instead of 7');
    const text = Buffer.from('this is no kernel');
    await expect(extractKernel(bzImage(lz4Literals(text), text.length), noXz)).rejects.toThrow('not an ELF file');
  });
});

describe('parseBzImage', () => {
  it('refuses what is no bzImage and truncated ones', () => {
    expect(() => parseBzImage(Buffer.alloc(4096))).toThrow('not a bzImage');
    expect(() => parseBzImage(Buffer.alloc(16))).toThrow('not a bzImage');
    const image = bzImage(lz4Literals(kernel), kernel.length);
    expect(() => parseBzImage(image.subarray(0, image.length - 100))).toThrow('payload ends');
  });
});

describe('uncompressedBzImage', () => {
  const image = bzImage(lz4Literals(kernel), kernel.length);
  const rebuilt = uncompressedBzImage(image, kernel);

  it('keeps the setup code and offers the 32-bit entry only', () => {
    expect(rebuilt.readUInt32LE(0x202)).toBe(0x53726448);
    expect(rebuilt.readUInt16LE(0x236), 'xloadflags').toBe(0);
    expect(rebuilt[0x234], 'relocatable').toBe(0);
    expect(rebuilt.readUInt32LE(0x1f4) * 16, 'syssize').toBeGreaterThanOrEqual(rebuilt.length - 1024);
  });

  it('moves the kernel from where it is loaded to where it runs', () => {
    const code = rebuilt.subarray(1024);
    // mov esi, imm32; mov edi, imm32; mov ecx, imm32 after the two bytes of mov ebx, esi.
    expect([code[2], code[7], code[12]]).toEqual([0xbe, 0xbf, 0xb9]);
    const [source, target, dwords] = [3, 8, 13].map((at) => code.readUInt32LE(at)) as [number, number, number];
    const moved = code.subarray(source - 0x100000, source - 0x100000 + dwords * 4);
    expect(target).toBe(0x1000000);
    expect(moved.toString('latin1', 0, 11)).toBe('kernel text');
    expect(moved.toString('latin1', 0x2000, 0x200b)).toBe('kernel data');
    expect([...code.subarray(17, 21)], 'cld; rep movsd; cld').toEqual([0xfc, 0xf3, 0xa5, 0xfc]);
    const jump = code.indexOf(Buffer.from([0xff, 0xe0]));
    expect(code.readUInt32LE(jump - 4), 'entry').toBe(0x1000000);
  });

  it('copies from the end where source and target overlap', () => {
    const close = elf(32, 0x101000, [{ virtual: 0xc0101000n, physical: 0x101000, bytes: Buffer.alloc(0x4000, 1) }]);
    const code = uncompressedBzImage(image, close).subarray(1024);
    expect(code[17]).toBe(0xfd);
    expect(code.readUInt32LE(8)).toBe(0x101000 + 0x4000 - 4);
  });

  it('refuses 64-bit kernels', () => {
    expect(() => uncompressedBzImage(image, elf(64, 0, [{ virtual: 0n, physical: 0x1000000, bytes: Buffer.from('x') }]))).toThrow('32-bit');
  });
});
