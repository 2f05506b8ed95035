import '../support/bare-cpu';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { COMMAND_LINE_OFFSET, ENTRY_ADDRESS, INITRD_ADDRESS, bootDisk, kernelEntry } from '../../scripts/images/boot-disk.mjs';
import { interpretSettings, parseXlConfig } from '../../src/machine/config';
import { Session } from '../../src/machine/session';
import { elf as loadable, multiboot1Header } from '../machine/loaders/images';
import { bzImage, elf } from './kernels';

const KERNEL_ADDRESS = 0x1000000;

/** Enters a kernel that ends with `code` the way the setup code does; gives what it writes to the debug-exit port. */
async function enter(bits: 32 | 64, code: readonly number[]): Promise<number | null> {
  const entry = kernelEntry(elf(bits, KERNEL_ADDRESS, [{ virtual: BigInt(KERNEL_ADDRESS), physical: KERNEL_ADDRESS, bytes: Buffer.from(code) }]));
  const distance = ENTRY_ADDRESS - (0x10000c + 10);
  const start = [0xbe, 0x40, 0, 0, 0, 0xe9, distance & 0xff, (distance >> 8) & 0xff, (distance >> 16) & 0xff, distance >> 24]; // mov esi, 40h; jmp ENTRY_ADDRESS
  // The helper puts the segments' data 1000h apart.
  const pages = [...Array(Math.ceil(entry.length / 0x1000)).keys()];
  const kernel = loadable(false, 0x10000c, [
    { physical: 0x100000, data: [...multiboot1Header(0), ...start], memory: 0x1000 },
    { physical: KERNEL_ADDRESS, data: [...code], memory: 0x1000 },
    ...pages.map((n) => ({ physical: ENTRY_ADDRESS + n * 0x1000, data: [...entry.subarray(n * 0x1000, (n + 1) * 0x1000)] })),
  ]).bytes;
  const config = interpretSettings(parseXlConfig('kernel = "k"\nmemory = 128', 'test'), 'test');
  const ignore = (): undefined => undefined;
  const session = new Session(config, () => Promise.resolve(kernel), { serial: ignore, observed: ignore, debugText: ignore, log: ignore });
  await session.boot();
  session.run(1000);
  return session.debugExit;
}

/** mov eax, esi; then inc rax in 64-bit mode, and nothing (dec eax, inc eax) in 32-bit mode; out F4h, al. */
const TELL = [0x89, 0xf0, 0x48, 0xff, 0xc0, 0xe6, 0xf4];

describe('boot disk for HVM guests', () => {
  it('holds a boot sector and the setup code, told where everything is', () => {
    const image = bzImage(Buffer.from('packed'), 1);
    const disk = bootDisk(image, 0x1234);
    expect(disk.readUInt16LE(510)).toBe(0xaa55);
    const setup = disk.subarray(512);
    expect(setup.subarray(0, 0x1f0)).toEqual(image.subarray(0, 0x1f0));
    expect(setup.readUInt32LE(0x214)).toBe(ENTRY_ADDRESS);
    expect([setup.readUInt32LE(0x218), setup.readUInt32LE(0x21c)]).toEqual([INITRD_ADDRESS, 0x1234]);
    // What the boot sector reads goes to 10000h and takes the command line with it.
    expect(setup.readUInt32LE(0x228)).toBe(0x10000 + COMMAND_LINE_OFFSET - 512);
    expect(disk.readUInt16LE(0x42) * 512).toBeGreaterThan(COMMAND_LINE_OFFSET);
    expect(disk.length % (16 * 63 * 512)).toBe(0);
  });

  it('agrees with the script that uses it', () => {
    const script = readFileSync('images/dom0-l2', 'utf8');
    expect(script).toContain(`seek=${COMMAND_LINE_OFFSET} `);
    expect(script).toContain(`addr=0x${ENTRY_ADDRESS.toString(16)},`);
    expect(script).toContain(`addr=0x${INITRD_ADDRESS.toString(16)},`);
  });

  it('enters a 64-bit kernel in 64-bit mode and a 32-bit one in 32-bit mode, with the boot parameters in RSI', async () => {
    expect(await enter(64, TELL)).toBe(0x41);
    expect(await enter(32, TELL)).toBe(0x40);
  });
});
