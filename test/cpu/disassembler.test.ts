/** The disassembler against objdump, on an instance of every row in every code size, and against the assembler: its text assembles to the same bytes. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { disassemble } from '../../src/cpu/disassembler';
import { assemble } from '../../src/guests/assembler/assembler';
import { allLines } from '../guests/assembler/forms';
import type { Bits } from '../guests/assembler/forms';

const BASE = 0x1000;

interface Instance {
  readonly line: string;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Every line of forms.ts as bytes, one after the other from address BASE. */
function instances(bits: Bits): { list: Instance[]; image: Uint8Array } {
  const list: Instance[] = [];
  let offset = 0;
  for (const line of allLines(bits)) {
    const result = assemble(line, { bits, origin: BigInt(BASE + offset) });
    if (!result.ok) continue;
    list.push({ line, offset, bytes: result.bytes });
    offset += result.bytes.length;
  }
  const image = new Uint8Array(offset);
  for (const { offset: at, bytes } of list) image.set(bytes, at);
  return { list, image };
}

function objdump(image: Uint8Array, bits: Bits): Map<number, string> {
  const file = join(mkdtempSync(join(tmpdir(), 'objdump-')), 'image');
  writeFileSync(file, image);
  const machine = bits === 64 ? 'i386:x86-64' : bits === 32 ? 'i386' : 'i8086';
  const { stdout } = spawnSync('objdump', ['-D', '-b', 'binary', '-m', machine, '-M', 'intel', '-w', '--no-show-raw-insn', `--adjust-vma=${BASE}`, file],
    { encoding: 'utf8', maxBuffer: 1 << 28 });
  const result = new Map<number, string>();
  for (const found of stdout.matchAll(/^ *([0-9a-f]+):\s+(.*)$/gm)) result.set(parseInt(found[1], 16) - BASE, found[2]);
  return result;
}

/** objdump's spellings where they differ from NASM's. */
const SPELLINGS: Record<string, string> = {
  xlat: 'xlatb', int1: 'icebp', movabs: 'mov', lcall: 'call', ljmp: 'jmp', lret: 'retf', repz: 'repe', repnz: 'repne', enterd: 'enter', popfw: 'popfw',
  pusha: 'pushad', popa: 'popad', iret: 'iretd', pushf: 'pushfd', popf: 'popfd', wait: 'fwait',
};
/**
 * Not compared: string instructions (objdump shows operands), LAR, LSL and MOV to a segment register (objdump widens the source), 8087 relics,
 * names objdump does not have, and those it does not tell apart by size.
 */
const NOT_COMPARED = /^((rep|repe|repne) )?(movs|cmps|stos|lods|scas|ins|outs)[bwdq]$|^(lar|lsl|xlat|feni|fdisi|fsetpm|fstpnce|prefetch|nop|ud1|ud0|salc|mov [c-g]s|(pusha|popa|iret|pushf|popf)[wq])\b/;
/** Mnemonics to which objdump adds a size letter. */
const SUFFIXED = /^(sgdt|sidt|lgdt|lidt|call|jmp|ret|retf|leave|enter|push|pop|loop\w*|sysret|sysexit|jcxz|jecxz|jrcxz)(w|d|q|l)$/;

/** Splits a text into words, with numbers as bigints; size keywords and spacing are dropped, terms of an address sorted. */
function words(text: string): (string | bigint)[] {
  let s = text.toLowerCase();
  // A RIP-relative address: objdump gives the target behind a number sign.
  const target = /# 0x([0-9a-f]+)/.exec(s);
  if (target !== null) s = s.replace(/\[rip[^\]]*\]/, `[0x${target[1]}]`);
  s = s.replace(/\s+#.*$/, '').replace(/\b(ptr|byte|word|dword|qword|tbyte|tword|oword|xmmword|fword|mmword|far|rel|data16|data32|addr16|addr32|rex\.\w+|o16|o32|o64)\b/g, ' ');
  s = s.replace(/\bst\((\d)\)/g, 'st$1').replace(/\bst\b/g, 'st0').replace(/\b([c-g]s):\[/g, '[$1:').replace(/\b([c-g]s):(0x\w+)/g, '[$1:$2]').replace(/\[ds:(?=0x)/g, '[');
  s = s.replace(/\[([^\]]*)\]/g, (_, inner: string) => {
    const terms = inner.replace(/\s/g, '').replace(/-/g, '+-').replace(/\*1\b/g, '').replace(/\+?\b[er]iz\b(\*\d)?/g, '').split('+');
    return ` [ ${terms.filter((term) => !/^(|0|0x0)$/.test(term)).join(' ')} ] `;
  });
  const result = (s.match(/-?0x[0-9a-f]+|-?\b\d+\b|[a-z_][\w*]*:?|[[\]]/g) ?? []).map((word) => {
    if (/^-?\d/.test(word)) return word.startsWith('-') ? -BigInt(word.slice(1)) : BigInt(word);
    const stem = SUFFIXED.exec(word);
    return SPELLINGS[word] ?? stem?.[1] ?? word;
  });
  // The terms of an address in one order.
  const open = result.indexOf('['), close = result.indexOf(']');
  if (open >= 0) result.splice(open, close - open, ...result.slice(open, close).sort(byText));
  return result;
}

/** Numbers are the same when they agree in 16, 32 or 64 bits (the texts differ in how they show signs). */
function sameWord(a: string | bigint, b: string | bigint): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  const difference = a - b;
  return difference === 0n || difference % (1n << 32n) === 0n || difference === 0x10000n || difference === -0x10000n || difference === 0x100n || difference === -0x100n;
}

function sameInstruction(ours: string, theirs: string): boolean {
  const a = words(ours), b = words(theirs);
  return a.length === b.length && a.every((word, n) => sameWord(word, b[n]));
}

function byText(a: string | bigint, b: string | bigint): number {
  const x = typeof a === 'bigint' ? '#' : a, y = typeof b === 'bigint' ? '#' : b;
  return x < y ? -1 : x > y ? 1 : 0;
}

describe.each([16, 32, 64] as const)('%i-bit code', (bits) => {
  const { list, image } = instances(bits);

  it('is read as objdump reads it', () => {
    const theirs = objdump(image, bits);
    const differences: string[] = [];
    for (const { line, offset, bytes } of list) {
      const ours = disassemble(image, offset, BigInt(BASE + offset), bits);
      const want = theirs.get(offset);
      if (ours.length !== bytes.length) differences.push(`${line}: length ${ours.length}, not ${bytes.length}`);
      else if (want !== undefined && !NOT_COMPARED.test(ours.text) && !sameInstruction(ours.text, want)) differences.push(`${line}: ${ours.text} | ${want}`);
    }
    expect(list.length).toBeGreaterThan(1000);
    expect(differences).toEqual([]);
  });

  it('becomes text that assembles to the same bytes', () => {
    const differences: string[] = [];
    for (const { offset, bytes } of list) {
      const { text } = disassemble(image, offset, BigInt(BASE + offset), bits);
      const again = assemble(text, { bits, origin: BigInt(BASE + offset) });
      const got = again.ok ? Buffer.from(again.bytes).toString('hex') : again.errors[0].message;
      // A near jump over a short distance comes back short.
      if (/^(j|call)/.test(text) && again.ok && again.bytes.length < bytes.length) continue;
      if (got !== Buffer.from(bytes).toString('hex')) differences.push(`${text}: ${got}, not ${Buffer.from(bytes).toString('hex')}`);
    }
    expect(differences).toEqual([]);
  });
});

describe('the edges', () => {
  it('are single bytes', () => {
    expect(disassemble(Uint8Array.of(0x0f, 0xff), 0, 0n, 64)).toMatchObject({ length: 1, text: 'db 0xf', valid: false });
    expect(disassemble(Uint8Array.of(0x06), 0, 0n, 64)).toMatchObject({ length: 1, text: 'db 6', valid: false });
  });

  it('name the target', () => {
    expect(disassemble(Uint8Array.of(0xeb, 0xfe), 0, 0xffffffff81000000n, 64)).toMatchObject({ text: 'jmp 0xffffffff81000000', target: 0xffffffff81000000n });
    expect(disassemble(Uint8Array.of(0x48, 0x8b, 0x05, 0, 0, 0, 0), 0, 0x1000n, 64)).toMatchObject({ text: 'mov rax, [rel 0x1007]', target: 0x1007n });
    expect(disassemble(Uint8Array.of(0xeb, 0x7f), 0, 0xffe0n, 16).text).toBe('jmp 0x61');
  });
});
