import { describe, expect, it } from 'vitest';
import { gzipSync } from 'fflate';
import { loadImage } from '../../../src/machine/loaders';
import { LoadError } from '../../../src/machine/loaders/load-error';
import { Bytes, elf, multiboot1Header, request, TestMemory, words } from './images';

const module = (name: string, args: string, length: number) => ({ name, args, bytes: new Uint8Array(length).fill(0xaa) });

function refused(bytes: Uint8Array, reason: RegExp): void {
  expect(() => loadImage(request(bytes), new TestMemory())).toThrow(LoadError);
  expect(() => loadImage(request(bytes), new TestMemory())).toThrow(reason);
  expect(() => loadImage(request(bytes), new TestMemory())).toThrow(/^dir\/kernel\.bin: /);
}

describe('multiboot 1', () => {
  it('loads an ELF kernel at 8000h with flags 0 and fills the information in', () => {
    const memory = new TestMemory();
    // What lies in memory before must not show through in the bss.
    memory.bytes.fill(0x55, 0x8000, 0xa000);
    const kernel = elf(false, 0x8010, [{ physical: 0x8000, data: [...multiboot1Header(0), 1, 2, 3], memory: 0x1800 }]);
    const entry = loadImage(request(kernel.bytes, { modules: [module('m/one.img', 'x y', 5000), module('two', '', 1)] }), memory);
    expect(entry.rip).toBe(0x8010);
    expect(entry.registers.rax).toBe(0x2badb002);
    expect([entry.cr0 & 0x80000001, entry.cs.base, entry.cs.limit, entry.rflags & 0x200]).toEqual([1, 0, 0xffffffff, 0]);
    expect(memory.slice(0x800c, 4)).toEqual([1, 2, 3, 0]);
    expect(memory.slice(0x97fc, 4)).toEqual([0, 0, 0, 0]);
    const info = entry.registers.rbx ?? 0;
    expect(info).toBeGreaterThanOrEqual(0x9800);
    expect(memory.u32(info) & 0x24d).toBe(0x24d - 0x200 + 0x200);
    expect([memory.u32(info + 4), memory.u32(info + 8)]).toEqual([639, 0x3f00000 / 1024]);
    expect(memory.text(memory.u32(info + 16))).toBe('kernel.bin a=1 b');
    expect(memory.u32(info + 20)).toBe(2);
    const list = memory.u32(info + 24);
    const start = memory.u32(list);
    expect([start % 4096, memory.u32(list + 4) - start]).toEqual([0, 5000]);
    expect(memory.slice(start, 2)).toEqual([0xaa, 0xaa]);
    expect(memory.text(memory.u32(list + 8))).toBe('one.img x y');
    expect(memory.text(memory.u32(list + 24))).toBe('two');
    expect(memory.u32(list + 16)).toBeGreaterThanOrEqual(start + 5000);
    expect(memory.u32(info + 44)).toBe(4 * 24);
    const map = memory.u32(info + 48);
    expect([memory.u32(map), memory.u32(map + 12), memory.u32(map + 20)]).toEqual([20, 0x9fc00, 1]);
    expect(memory.text(memory.u32(info + 64))).toBe('nestbox');
  });

  it('loads by the address fields, also to the end of the file, and tolerates a video mode request', () => {
    const memory = new TestMemory();
    const kernel = new Bytes(0x300).raw(0x100, multiboot1Header(0x10007, 0x100100, 0x100040, 0, 0x101000, 0x100200)).raw(0x2fe, [7, 8]);
    const entry = loadImage(request(kernel.bytes), memory);
    expect(entry.rip).toBe(0x100200);
    // File offset 40h goes to 100040h.
    expect(memory.slice(0x1002fe, 3)).toEqual([7, 8, 0]);
    expect(memory.u32(0x100100)).toBe(0x1badb002);
  });

  it('takes ELF64 images and gzip files, and virtual entry points', () => {
    const kernel = elf(true, 0x40001010, [{ physical: 0x200000, virtual: 0x40001000, data: multiboot1Header(3), memory: 64 }]);
    expect(loadImage(request(kernel.bytes), new TestMemory()).rip).toBe(0x200010);
    expect(loadImage(request(gzipSync(kernel.bytes)), new TestMemory()).rip).toBe(0x200010);
    const damaged = gzipSync(kernel.bytes);
    damaged[damaged.length - 6] ^= 1;
    refused(damaged, /damaged gzip/);
    refused(gzipSync(kernel.bytes).subarray(0, 40), /gzip/);
  });

  it('refuses what cannot be loaded, naming the reason', () => {
    const header = multiboot1Header(3);
    refused(elf(false, 0x100000, [{ physical: 0x100000, data: multiboot1Header(0x1003) }]).bytes, /requires features 1000h/);
    refused(elf(false, 0x100000, [{ physical: 0xb8000, data: header }]).bytes, /B8000h.* RAM/);
    refused(elf(false, 0x100000, [{ physical: 0x3ffff00, data: header, memory: 0x1000 }]).bytes, /RAM/);
    refused(elf(false, 0x900000, [{ physical: 0x100000, data: header }]).bytes, /entry point/);
    refused(elf(false, 0x100000, [{ physical: 0x100000, data: header }]).bytes.subarray(0, 0x1008), /not.*multiboot|ELF|truncated/);
    refused(elf(false, 0x100000, [{ physical: 0x100000, data: [...header, ...new Array<number>(64).fill(1)] }]).bytes.subarray(0, 0x1020), /truncated/);
    refused(new Bytes(0x200).raw(0, multiboot1Header(0)).bytes, /neither ELF/);
    refused(new Bytes(0x200).raw(0, multiboot1Header(0x10000, 0x100000, 0x100000, 0x100400, 0, 0x100020)).bytes, /truncated/);
    refused(new Bytes(0x200).raw(0, multiboot1Header(0x10000, 0x100000, 0x200000, 0, 0, 0x100020)).bytes, /before load address/);
    refused(new Bytes(0x1c).raw(0, multiboot1Header(0x10000)).bytes, /truncated/);
    refused(new Uint8Array(0), /empty/);
    refused(new TextEncoder().encode('#!/bin/sh\necho no kernel\n'), /not a kernel/);
  });

  it('finds the header only on 4-byte boundaries within 8192 bytes', () => {
    const fields = [0x10000, 0, 0, 0, 0, 0];
    const at = (offset: number) => new Bytes(0x4000).raw(offset, multiboot1Header(fields[0], 0x100000 + offset, 0x100000, 0, 0, 0x100000)).bytes;
    expect(loadImage(request(at(8192 - 32)), new TestMemory()).rip).toBe(0x100000);
    refused(at(8192), /not a kernel/);
    refused(at(6), /not a kernel/);
  });
});

describe('multiboot 2', () => {
  const MAGIC = 0xe85250d6;
  function header(tags: readonly number[][], architecture = 0): number[] {
    const body = [...tags, [0, 0, 0, 0, 8, 0, 0, 0]].flatMap((tag) => [...tag, ...new Array<number>((8 - (tag.length % 8)) % 8).fill(0)]);
    const length = 16 + body.length;
    return [...words(MAGIC, architecture, length, -(MAGIC + architecture + length)), ...body];
  }
  const tag = (type: number, flags: number, ...values: number[]) => [...words(type | (flags << 16), 8 + 4 * values.length), ...words(...values)];

  function informationTags(memory: TestMemory, info: number): Map<number, number> {
    const found = new Map<number, number>();
    const end = info + memory.u32(info);
    for (let at = info + 8; at < end; at += Math.ceil(memory.u32(at + 4) / 8) * 8) found.set(memory.u32(at), at);
    return found;
  }

  it('hands over the information tags', () => {
    const memory = new TestMemory();
    const kernel = elf(false, 0x100000, [{ physical: 0x100000, data: header([tag(1, 0, 1, 3, 6, 15), tag(3, 0, 0x100040), tag(6, 0)]) }]);
    const rsdpBytes = new Uint8Array(36).fill(9);
    const entry = loadImage(request(kernel.bytes, { modules: [module('m', 'arg', 10)], rsdp: 0xf0000, rsdpBytes }), memory);
    expect([entry.rip, entry.registers.rax]).toEqual([0x100040, 0x36d76289]);
    const info = entry.registers.rbx ?? 0;
    expect(info % 8).toBe(0);
    const tags = informationTags(memory, info);
    expect([...tags.keys()]).toEqual([1, 2, 3, 4, 6, 14, 15, 0]);
    expect(memory.text((tags.get(1) ?? 0) + 8)).toBe('kernel.bin a=1 b');
    expect(memory.text((tags.get(3) ?? 0) + 16)).toBe('m arg');
    expect(memory.u32((tags.get(6) ?? 0) + 8)).toBe(24);
    expect(memory.u32((tags.get(15) ?? 0) + 4)).toBe(8 + 36);
  });

  it('moves a relocatable image whose own place is not RAM and tells where', () => {
    const memory = new TestMemory();
    const data = header([tag(10, 0, 0x200000, 0x2ffffff, 0x200000, 2)]);
    const entry = loadImage(request(elf(false, 0x10000020, [{ physical: 0x10000000, data, memory: 0x3000 }]).bytes), memory);
    expect(entry.rip).toBe(0x2e00020);
    expect(memory.u32(0x2e00000)).toBe(MAGIC);
    const tags = informationTags(memory, entry.registers.rbx ?? 0);
    expect(memory.u32((tags.get(21) ?? 0) + 8)).toBe(0x2e00000);
  });

  it('loads by the address tag', () => {
    const memory = new TestMemory();
    const kernel = new Bytes(0x200).raw(0x40, header([tag(2, 0, 0x100040, 0x100000, 0, 0x100400), tag(3, 0, 0x100100)])).bytes;
    expect(loadImage(request(kernel), memory).rip).toBe(0x100100);
    expect(memory.u32(0x100040)).toBe(MAGIC);
  });

  it('refuses unknown requirements, other architectures and damaged headers', () => {
    const flat = [tag(2, 0, 0x100000, 0x100000, 0, 0), tag(3, 0, 0x100000)];
    const file = (bytes: number[]) => new Bytes(0x200).raw(0, bytes).bytes;
    refused(file(header([...flat, tag(1, 0, 99)])), /information tag 99/);
    expect(loadImage(request(file(header([...flat, tag(1, 1, 99)]))), new TestMemory()).rip).toBe(0x100000);
    refused(file(header([...flat, tag(77, 0)])), /feature 77/);
    refused(file(header(flat, 4)), /architecture 4/);
    refused(file(header([[...words(2, 4)]])), /damaged/);
    refused(file(header([flat[0]])), /no entry address/);
    refused(file(header(flat)).subarray(0, 24), /truncated/);
  });
});
