/**
 * Random user-mode code: sequences of one to six instructions made from the opcode rows, with memory operands steered into the data
 * areas, register values to match, and everything an instruction needs to do more than fault. The bytes, the state
 * and the memory patches go straight into a case record; what the comparison has to know is returned beside it.
 */
import { MODRM_DIGIT, MODRM_FIXED, MODRM_NONE, MOD_MEMORY, MOD_REGISTER } from '../../src/cpu/opcodes/table';
import { widthBits } from '../../src/cpu/opcodes/operand-kinds';
import { AF, CF, OF, STATUS, rowsFor } from './random-rows';
import type { Family, RowInfo } from './random-rows';
import {
  BCD_AT, BCD_SLOTS, ENV16_AT, ENV16_SLOTS, ENV32_AT, ENV32_SLOTS, ENV_STRIDE, FCW_AT, FCW_SLOTS, FX_SLOTS, MXCSR_AT, MXCSR_SLOTS, highWord, putFxImage, word32,
} from './random-values';
import type { Rng } from './random-values';
import {
  CASE_CODE, CASE_CODE_BYTES, CASE_CODE_LENGTH, CASE_CODE_OFFSET, CASE_FLAGS, CASE_FX, CASE_GPR, CASE_PATCH, CASE_PATCHES, CASE_PATCH_COUNT, CASE_RELOAD, CASE_TARGET,
  CODE_PAGE, CODE_PAGES, PAGE, PATCH_BYTES, PATCH_DATA, STATE_PAGE, areaOf,
} from './user-layout';
import type { Area, Layout } from './user-layout';

/** What the comparison knows of a case. */
export interface CasePlan {
  /** Offset of each instruction in the code, its row (-1: an auxiliary instruction), and the flags undefined before it; last entry: the end. */
  starts: number[];
  rows: number[];
  undefinedBefore: number[];
  /** Flags that were undefined when a branch went where its random operand said. */
  escapedUndefined: number;
  /** Bytes of the pool that may differ: [offset, length]. */
  masks: [number, number][];
  /** The last instruction only approximates. */
  approximate: '' | 'xmm' | 'x87';
  /** C1 of the x87 status word is implementation-specific. */
  ignoreC1: boolean;
  /** Code lies in the self-modifying page and has to be placed before each run. */
  selfModifying: boolean;
}

interface Pointer {
  readonly reg: number;
  readonly area: Area;
  readonly value: number;
}

const SELECTORS = [0x2b, 0x2b, 0x2b, 0x28, 0, 3, 1, 0x23, 0x33, 0x10, 0x18, 7, 0x0f, 0x83, 0xffff];
/** For segment loads: null selectors without RPL, which a timer interrupt would clear; no small segment, which SS must not become. */
const LOADABLE = SELECTORS.filter((selector) => (selector === 0 || selector > 3) && selector !== 7);
/** For far transfers: no code of another size, but for the way out. */
const FAR_SELECTORS = SELECTORS.filter((selector) => selector !== 0x23 && selector !== 0x33);
const RAX = 0, RCX = 1, RDX = 2, RBX = 3, RSP = 4, RBP = 5, RSI = 6, RDI = 7;
/** More than a case has: a branch out of the sequence. */
const MAX_INSTRUCTIONS = 64;
const MAX_CODE = CASE_CODE_BYTES - 48;
/** Rows of the x87 that store instruction and data pointers. */
const POINTER_STORES = new Set(['fnstenv', 'fnsave', 'fxsave', 'fxsave64']);
const STATE_LOADS = new Set(['fldenv', 'frstor', 'fxrstor', 'fxrstor64', 'fldcw', 'ldmxcsr', 'fbld']);
const READS_STATUS_WORD = new Set(['fnstsw', 'fnstenv', 'fnsave', 'fxsave', 'fxsave64']);
/** Control transfers whose target is data. */
const INDIRECT = new Set(['jmp', 'call', 'ret', 'retf', 'iret']);
/** Undefined beyond an interval around 0. */
const IN_DOMAIN_ONLY = new Set(['f2xm1', 'fyl2xp1']);
/** 128-bit memory operands without alignment check. */
const UNALIGNED = /^(movup[sd]|movdqu|lddqu|pcmp[ei]str[im])$/;
const BRANCHES_SHORT = new Set(['loop', 'loope', 'loopne', 'jrcxz']);

export class CaseGenerator {
  private readonly layout: Layout;
  private readonly byFamily: Record<Family, RowInfo[]> = { integer: [], x87: [], mmx: [], sse: [], system: [] };
  private readonly byName = new Map<string, RowInfo[]>();
  private readonly rows: RowInfo[];
  private readonly is64: boolean;
  private readonly near: Area;
  private readonly far: Area;
  private readonly low: Area;
  private readonly state: Area;
  private readonly stack: Area;
  private only: RowInfo[] | undefined;

  // --- The case in the making ---
  private rng!: Rng;
  private view!: DataView;
  private length = 0;
  private codeLinear = 0;
  private plan!: CasePlan;
  private readonly lo = new Int32Array(16);
  private readonly hi = new Int32Array(16);
  private pointers: Pointer[] = [];
  private small: number[] = [];
  private free: number[] = [];
  private hot: number[] = [];
  private undefined = 0;
  private merges: number[] = [];
  /** Boundaries before this index have merged the undefined flags of the branches that lead there. */
  private merged = 0;
  private targetable: boolean[] = [];
  /** The instruction at hand belongs with the one before. */
  private prepared = false;
  private fixups: { position: number; size: number; next: number; target: number; absolute: boolean; patch: boolean }[] = [];
  private patches = 0;
  private patched: [number, number][] = [];
  private written: { gpr: number } = { gpr: 0 };
  private segmentsChanged = false;
  private mayUnmaskInvalid = false;
  private x87Used = false;
  private inLoop = false;
  private stringy = false;

  // --- The instruction in the making ---
  private prefixes: number[] = [];
  private operandBits = 32;
  private rexW = 0;
  private rexBits = 0;
  private needRex = false;
  private noRex = false;
  private modrm = 0;
  private sib = -1;
  private disp = 0;
  private dispSize = 0;
  private ripTarget = 0;
  /** Pool offset of the memory operand, -1 if unknown. */
  private target = -1;

  constructor(layout: Layout, only: readonly string[] = []) {
    this.layout = layout;
    this.is64 = layout.bits === 64;
    this.rows = rowsFor(layout.bits);
    for (const info of this.rows) {
      this.byFamily[info.family].push(info);
      const list = this.byName.get(info.row.mnemonic);
      if (list === undefined) this.byName.set(info.row.mnemonic, [info]);
      else list.push(info);
    }
    this.near = areaOf(layout, 'near');
    this.far = areaOf(layout, 'far');
    this.low = areaOf(layout, 'low');
    this.state = areaOf(layout, 'state');
    this.stack = areaOf(layout, 'stack');
    if (only.length > 0) {
      this.only = this.rows.filter((info) => only.includes(info.row.mnemonic) || only.includes(info.row.handler));
      if (this.only.length === 0) throw new Error(`no ${layout.bits}-bit row is called ${only.join(', ')}`);
    }
  }

  // --- Cases ---

  /** Makes a case at cases[at]. `sequence` moves the code along, so that it lies elsewhere each time. */
  make(rng: Rng, cases: Uint8Array, at: number, sequence: number): CasePlan {
    this.rng = rng;
    this.view = new DataView(cases.buffer, cases.byteOffset + at);
    cases.fill(0, at, at + CASE_CODE);
    this.length = 0;
    this.fixups = [];
    this.merges = [];
    this.merged = 0;
    this.targetable = [];
    this.prepared = false;
    this.x87Used = false;
    this.patches = 0;
    this.patched = [];
    this.undefined = 0;
    this.written.gpr = 0;
    this.segmentsChanged = false;
    this.plan = { starts: [], rows: [], undefinedBefore: [], escapedUndefined: 0, masks: [], approximate: '', ignoreC1: false, selfModifying: false };
    const bytes = CODE_PAGES * PAGE - CASE_CODE_BYTES;
    let offset = (sequence * 176) % bytes;
    if (rng.chance(8)) offset = PAGE * (1 + rng.below(CODE_PAGES - 1)) - rng.below(40);
    const code = areaOf(this.layout, 'code');
    this.codeLinear = code.linear + offset;
    this.view.setUint32(CASE_CODE_OFFSET, CODE_PAGE * PAGE + offset, true);
    this.view.setBigUint64(CASE_TARGET, BigInt(this.codeLinear), true);
    this.makeRegisters();
    const unmasked = rng.chance(12);
    putFxImage(rng, this.view, CASE_FX, unmasked);
    this.mayUnmaskInvalid = (this.view.getUint16(CASE_FX, true) & 1) === 0;
    this.makeSequence();
    this.finish();
    return this.plan;
  }

  private makeRegisters(): void {
    const rng = this.rng, count = this.is64 ? 16 : 8;
    for (let n = 0; n < 16; n++) {
      this.lo[n] = word32(rng);
      this.hi[n] = highWord(rng, this.lo[n]);
    }
    this.pointers = [];
    this.stringy = rng.chance(50);
    const candidates = this.is64 ? [RBX, RBP, RSI, RDI, 8, 9, 10, 11, 12, 13, 14, 15] : [RBX, RBP, RSI, RDI];
    const wanted = this.is64 ? 3 + rng.below(3) : 2 + rng.below(2);
    if (this.stringy) {
      this.addPointer(RSI, this.anyArea());
      this.addPointer(RDI, this.anyArea());
    }
    while (this.pointers.length < wanted) {
      const reg = rng.pick(candidates);
      if (this.pointers.some((pointer) => pointer.reg === reg)) continue;
      this.addPointer(reg, reg === RBP && rng.chance(50) ? this.stack : this.anyArea());
    }
    const sp = this.stack.linear + (rng.chance(85) ? 0x800 + 8 * rng.below(0x180) : rng.below(2 * PAGE + 16));
    this.setRegister(RSP, sp);
    this.free = [];
    for (let n = 0; n < count; n++) if (n !== RSP && !this.pointers.some((pointer) => pointer.reg === n)) this.free.push(n);
    this.small = [];
    for (let i = 0; i < 2; i++) {
      const reg = rng.pick(this.free);
      if (this.small.includes(reg)) continue;
      this.small.push(reg);
      this.lo[reg] = rng.below(3) === 0 ? rng.below(64) - 32 : rng.below(40);
      this.hi[reg] = this.lo[reg] >> 31;
    }
    if (this.stringy && !this.small.includes(RCX)) {
      this.lo[RCX] = rng.below(20);
      this.hi[RCX] = 0;
    }
    if (!this.is64) this.hi.fill(0);
    this.hot = [rng.below(PAGE * 2 - 32), rng.below(PAGE * 2 - 32) & ~15];
    let flags = 0x202 | (rng.word() & STATUS) | (rng.chance(15) ? 0x400 : 0);
    if (rng.chance(2)) flags |= 0x40000;
    if (rng.chance(2)) flags |= 0x200000;
    this.view.setUint32(CASE_FLAGS, flags, true);
  }

  private anyArea(): Area {
    const n = this.rng.below(10);
    return n < 4 ? this.low : n < 7 ? this.far : this.near;
  }

  private setRegister(reg: number, value: number): void {
    this.lo[reg] = value % 0x100000000 | 0;
    this.hi[reg] = Math.floor(value / 0x100000000) | 0;
  }

  private addPointer(reg: number, area: Area): void {
    const span = area.pages * PAGE;
    const rng = this.rng;
    let value = area.linear + (rng.chance(50) ? rng.below(span) & ~15 : rng.below(span));
    if (rng.chance(15)) value = area.linear + PAGE - rng.below(64);
    this.pointers.push({ reg, area, value });
    this.setRegister(reg, value);
  }

  private makeSequence(): void {
    const rng = this.rng;
    const count = this.only !== undefined ? 1 + rng.below(3) : 1 + rng.below(6);
    const style = rng.below(20);
    if (this.only === undefined && rng.chance(6)) {
      this.selfModifyingTemplate();
      return;
    }
    const loopCount = this.only === undefined && rng.chance(8) ? 2 + rng.below(5) : 0;
    this.inLoop = loopCount > 0;
    const loopStart = this.length;
    const loopSlot = loopCount === 0 ? -1 : this.loopSlot(loopCount);
    for (let i = 0; i < count && this.length < MAX_CODE; i++) {
      if (this.only === undefined && style < 14 && rng.chance(7)) {
        this.branchTemplate();
        this.prepared = false;
      } else {
        const info = this.chooseRow(style, loopCount > 0);
        this.emitRow(info);
        if (info.approximate !== '') break;
      }
    }
    if (loopCount > 0 && this.plan.approximate === '') this.closeLoop(loopSlot, loopStart);
  }

  private chooseRow(style: number, inLoop: boolean): RowInfo {
    const rng = this.rng;
    let unknown = this.undefined;
    for (let n = this.merged; n < this.merges.length; n++) unknown |= this.merges[n] ?? 0;
    for (let tries = 0; ; tries++) {
      let list: readonly RowInfo[];
      if (this.only !== undefined && tries < 50 && rng.chance(70)) list = this.only;
      else if (style < 8) list = this.byFamily.integer;
      else if (style < 11) list = this.byFamily.sse;
      else if (style < 13) list = this.byFamily.x87;
      else if (style < 14) list = this.byFamily.mmx;
      else if (style < 15 && !inLoop) list = this.byFamily.system;
      else list = this.rows;
      const info = rng.pick(list);
      if ((info.reads & unknown) !== 0) continue;
      if (IN_DOMAIN_ONLY.has(info.row.mnemonic) && this.x87Used) continue;
      // C1 after FCOMI may be read in the next round.
      if (inLoop && /^fu?comip?$/.test(info.row.mnemonic)) continue;
      if (inLoop && (info.approximate !== '' || info.family === 'system')) continue;
      if (tries < 30 && !this.suitable(info)) continue;
      return info;
    }
  }

  /** False for rows whose implicit operands would make them fault in this case: those are taken rarely. */
  private suitable(info: RowInfo): boolean {
    const { row } = info, rng = this.rng;
    if (row.repeat !== 0 && !this.stringy) return rng.chance(4);
    if (row.mnemonic === 'xlat') return this.pointers.some((pointer) => pointer.reg === RBX) || rng.chance(5);
    if (row.mnemonic === 'leave' || row.mnemonic === 'enter') return this.pointers.some((pointer) => pointer.reg === RBP && pointer.area === this.stack) || rng.chance(5);
    if (row.mnemonic === 'maskmovq' || row.mnemonic === 'maskmovdqu') return this.pointers.some((pointer) => pointer.reg === RDI) || rng.chance(5);
    if (row.cpl0 || /^(in|out|ins|outs|cli|sti|ud[012])$/.test(row.mnemonic)) return this.only !== undefined || rng.chance(10);
    if (this.plan.ignoreC1 && READS_STATUS_WORD.has(row.mnemonic)) return false;
    return true;
  }

  /** Marks the start of an instruction. */
  private begin(rowIndex: number): void {
    // Branches lead only to where a prepared instruction begins, not past its preparation.
    this.targetable.push(!this.prepared);
    if (!this.prepared) this.mergeBranches();
    this.plan.starts.push(this.length);
    this.plan.rows.push(rowIndex);
    this.plan.undefinedBefore.push(this.undefined);
  }

  /** Flags that a branch to this boundary brings undefined. */
  private mergeBranches(): void {
    for (; this.merged <= this.plan.starts.length; this.merged++) this.undefined |= this.merges[this.merged] ?? 0;
  }

  private finish(): void {
    const view = this.view;
    const boundary = this.plan.starts.length;
    for (; this.merged < this.merges.length; this.merged++) this.undefined |= this.merges[this.merged] ?? 0;
    this.plan.starts.push(this.length);
    this.plan.rows.push(-1);
    this.plan.undefinedBefore.push(this.undefined);
    const end = this.length;
    this.byte(0xe9);
    this.int32(this.layout.exit - (this.codeLinear + this.length + 4));
    for (const fixup of this.fixups) {
      let target = fixup.target;
      while (target < boundary && !this.targetable[target]) target++;
      const offset = target >= boundary ? end : this.plan.starts[target];
      const address = this.codeLinear + offset;
      if (!fixup.absolute) {
        const relative = offset - fixup.next;
        if (fixup.size === 1) view.setInt8(CASE_CODE + fixup.position, relative);
        else if (fixup.size === 2) view.setInt16(CASE_CODE + fixup.position, relative, true);
        else view.setInt32(CASE_CODE + fixup.position, relative, true);
        continue;
      }
      const position = (fixup.patch ? 0 : CASE_CODE) + fixup.position;
      if (fixup.size === 2) view.setUint16(position, address & 0xffff, true);
      else view.setUint32(position, address % 0x100000000, true);
      if (fixup.size === 8) view.setUint32(position + 4, Math.floor(address / 0x100000000), true);
    }
    for (let n = 0; n < 16; n++) {
      view.setInt32(CASE_GPR + 8 * n, this.lo[n], true);
      view.setInt32(CASE_GPR + 8 * n + 4, this.hi[n], true);
    }
    view.setUint32(CASE_CODE_LENGTH, this.length, true);
    view.setUint32(CASE_PATCH_COUNT, this.patches, true);
    if (this.segmentsChanged) view.setUint32(CASE_RELOAD, 1, true);
  }

  // --- Bytes ---

  private byte(value: number): void {
    this.view.setUint8(CASE_CODE + this.length++, value & 255);
  }

  private int32(value: number): void {
    this.view.setInt32(CASE_CODE + this.length, value, true);
    this.length += 4;
  }

  private bytes(...values: number[]): void {
    for (const value of values) this.byte(value);
  }

  /** A memory patch; false when there is no room for another. */
  private patch(offset: number, data: readonly number[]): boolean {
    if (this.patches === CASE_PATCHES || offset < 0) return false;
    for (const [from, end] of this.patched) if (offset < end && offset + data.length > from) return false;
    this.patched.push([offset, offset + data.length]);
    const at = CASE_PATCH + PATCH_BYTES * this.patches++;
    this.view.setUint32(at, offset, true);
    this.view.setUint32(at + 4, data.length, true);
    data.forEach((value, i) => this.view.setUint8(at + PATCH_DATA + i, value & 255));
    return true;
  }

  // --- Auxiliary instructions: they prepare an operand and leave the flags alone ---

  /** mov reg32, imm32 */
  private loadConstant(reg: number, value: number): void {
    this.begin(-1);
    this.prepared = true;
    if (reg >= 8) this.byte(0x41);
    this.byte(0xb8 + (reg & 7));
    this.int32(value);
  }

  /** mov reg, address of an instruction boundary */
  private loadBoundary(reg: number, target: number): void {
    this.begin(-1);
    this.prepared = true;
    if (this.is64) this.byte(reg >= 8 ? 0x49 : 0x48);
    this.byte(0xb8 + (reg & 7));
    this.absolute(target, this.is64 ? 8 : 4);
  }

  private pushConstant(value: number): void {
    this.begin(-1);
    this.prepared = true;
    this.byte(0x68);
    this.int32(value);
  }

  private absolute(target: number, size: number): void {
    this.fixups.push({ position: this.length, size, next: 0, target, absolute: true, patch: false });
    this.length += size;
  }

  private relative(target: number, size: number): void {
    this.fixups.push({ position: this.length, size, next: this.length + size, target, absolute: false, patch: false });
    this.length += size;
    this.merges[target] = (this.merges[target] ?? 0) | this.undefined;
  }

  /** Some boundary after the next instruction. */
  private laterBoundary(skip = 0): number {
    return this.plan.starts.length + skip + this.rng.below(3);
  }

  /** A register that is neither a pointer nor RSP. */
  private scratch(): number {
    return this.rng.pick(this.free);
  }

  // --- Templates ---

  /** Control transfers that need their target prepared. */
  private branchTemplate(): void {
    const rng = this.rng;
    const kind = rng.below(this.is64 ? 8 : 11);
    this.mergeBranches();
    const merge = (target: number): number => {
      this.merges[target] = (this.merges[target] ?? 0) | this.undefined;
      return target;
    };
    const row = (mnemonic: string, operands: string): number => this.byName.get(mnemonic)?.find((info) => info.row.operands.join() === operands)?.index ?? -1;
    switch (kind) {
      case 0: case 1: { // near indirect through a register
        const reg = this.scratch(), call = rng.chance(50);
        this.loadBoundary(reg, merge(this.laterBoundary(2)));
        this.begin(row(call ? 'call' : 'jmp', 'Ev'));
        if (reg >= 8) this.byte(0x41);
        this.bytes(0xff, (call ? 0xd0 : 0xe0) | (reg & 7));
        return;
      }
      case 2: case 3: { // near return, sometimes releasing arguments
        const reg = this.scratch(), bytes = rng.chance(50) ? rng.below(5) * 4 : -1;
        this.loadBoundary(reg, merge(this.laterBoundary(3)));
        this.begin(-1);
        if (reg >= 8) this.byte(0x41);
        this.byte(0x50 + (reg & 7));
        this.begin(row('ret', bytes < 0 ? '' : 'Iw'));
        if (bytes < 0) this.byte(0xc3);
        else this.bytes(0xc2, bytes, 0);
        return;
      }
      case 4: case 5: { // near indirect through memory
        const info = this.byName.get(rng.chance(50) ? 'jmp' : 'call')?.find((one) => one.row.operands[0] === 'Ev');
        if (info === undefined) return;
        this.startInstruction(info);
        this.operandBits = this.layout.bits;
        this.steer(this.layout.bits / 8, 1);
        if (this.target >= 0 && this.patches < CASE_PATCHES) {
          this.fixups.push({
            position: CASE_PATCH + PATCH_BYTES * this.patches + PATCH_DATA, size: this.layout.bits / 8, next: 0, target: merge(this.laterBoundary(1)), absolute: true, patch: true,
          });
          this.patch(this.target, new Array<number>(this.layout.bits / 8).fill(0));
        }
        this.encode(info, []);
        return;
      }
      case 6: { // far return to the same code segment
        const selector = this.is64 ? 0x33 : 0x23, reg = this.scratch();
        this.loadBoundary(reg, merge(this.laterBoundary(4)));
        this.begin(-1);
        this.bytes(0x6a, rng.chance(5) ? rng.pick(FAR_SELECTORS) : selector);
        this.begin(-1);
        if (reg >= 8) this.byte(0x41);
        this.byte(0x50 + (reg & 7));
        const release = rng.chance(30);
        this.begin(row('retf', release ? 'Iw' : ''));
        if (this.is64) this.byte(0x48);
        if (release) this.bytes(0xca, 4 * rng.below(5), 0);
        else this.byte(0xcb);
        return;
      }
      case 7: { // interrupt return to the same privilege
        const reg = this.scratch(), selector = this.is64 ? 0x33 : 0x23;
        const target = merge(this.laterBoundary(6));
        if (this.is64) {
          this.begin(-1);
          this.prepared = true;
          this.bytes(0x6a, 0x2b);
          this.begin(-1);
          this.byte(0x54);
        }
        this.pushConstant(this.randomFlags());
        this.begin(-1);
        this.bytes(0x6a, rng.chance(4) ? rng.pick(FAR_SELECTORS) : selector);
        this.loadBoundary(reg, target);
        this.begin(-1);
        if (reg >= 8) this.byte(0x41);
        this.byte(0x50 + (reg & 7));
        this.begin(row('iret', ''));
        if (this.is64) this.byte(0x48);
        this.byte(0xcf);
        return;
      }
      case 8: case 9: { // far direct
        const call = rng.chance(50);
        this.begin(row(call ? 'call' : 'jmp', 'Ap'));
        this.byte(call ? 0x9a : 0xea);
        if (rng.chance(10)) {
          this.int32(this.layout.stub);
          this.bytes(0x33, 0);
          merge(MAX_INSTRUCTIONS);
          return;
        }
        this.absolute(merge(this.laterBoundary(0)), 4);
        this.bytes(rng.chance(5) ? rng.pick(FAR_SELECTORS) : 0x23, 0);
        return;
      }
      default: { // far indirect
        const info = this.byName.get(rng.chance(50) ? 'jmp' : 'call')?.find((one) => one.row.operands[0] === 'Mp');
        if (info === undefined) return;
        this.startInstruction(info);
        this.steer(6, 1);
        if (this.target >= 0 && this.patches < CASE_PATCHES) {
          this.fixups.push({ position: CASE_PATCH + PATCH_BYTES * this.patches + PATCH_DATA, size: 4, next: 0, target: merge(this.laterBoundary(1)), absolute: true, patch: true });
          this.patch(this.target, [0, 0, 0, 0, rng.chance(5) ? rng.pick(FAR_SELECTORS) : 0x23, 0]);
        }
        this.encode(info, []);
      }
    }
  }

  /** A loop counter in the state page. */
  private loopSlot(count: number): number {
    const offset = STATE_PAGE * PAGE + MXCSR_AT - 16;
    this.patch(offset, [count, 0, 0, 0]);
    return this.state.linear + MXCSR_AT - 16;
  }

  /** sub dword [counter], 1; jnz start: all flags are defined at the start of each round. */
  private closeLoop(counter: number, start: number): void {
    this.begin(-1);
    if (this.is64) this.bytes(0x83, 0x2c, 0x25);
    else this.bytes(0x83, 0x2d);
    this.int32(counter);
    this.byte(1);
    this.undefined = 0;
    // Not a boundary of its own: a branch that skips the subtraction would never end.
    this.bytes(0x0f, 0x85);
    this.int32(start - (this.length + 4));
  }

  /** Code that changes an immediate of an instruction ahead, in the page that may be written and executed. */
  private selfModifyingTemplate(): void {
    const rng = this.rng, area = areaOf(this.layout, 'selfModifying');
    const offset = rng.chance(10) ? PAGE - CASE_CODE_BYTES : rng.below(PAGE - CASE_CODE_BYTES);
    this.plan.selfModifying = true;
    this.codeLinear = area.linear + offset;
    this.view.setUint32(CASE_CODE_OFFSET, area.first * PAGE + offset, true);
    this.view.setBigUint64(CASE_TARGET, BigInt(this.codeLinear), true);
    const before = rng.below(2), after = rng.below(3);
    for (let i = 0; i < before; i++) this.emitRow(this.chooseRow(0, true));
    // mov dword [rip + x] / [abs], value
    this.begin(-1);
    this.bytes(0xc7, 0x05);
    const displacement = this.length, value = word32(rng);
    this.length += 4;
    this.int32(value);
    const next = this.length;
    for (let i = 0; i < after; i++) this.emitRow(this.chooseRow(0, true));
    const reg = this.scratch();
    this.begin(-1);
    if (reg >= 8) this.byte(0x41);
    this.byte(0xb8 + (reg & 7));
    const victim = this.length;
    this.int32(0x11111111);
    this.view.setInt32(CASE_CODE + displacement, this.is64 ? victim - next : this.codeLinear + victim, true);
    if (this.length < MAX_CODE) this.emitRow(this.chooseRow(0, true));
  }

  private randomFlags(): number {
    const rng = this.rng;
    return (rng.word() & (STATUS | 0x400)) | 0x202 | (rng.chance(5) ? 0x100 : 0) | (rng.chance(5) ? 0x40000 : 0) | (rng.chance(5) ? 0x200000 : 0) | (rng.chance(3) ? rng.word() & ~0x100 : 0);
  }

  // --- One instruction from a row ---

  private startInstruction(info: RowInfo): void {
    this.prepare(info);
    this.begin(info.index);
    this.prefixes = [];
    this.rexW = 0;
    this.rexBits = 0;
    this.needRex = false;
    this.noRex = false;
    this.modrm = 0;
    this.sib = -1;
    this.disp = 0;
    this.dispSize = 0;
    this.ripTarget = 0;
    this.target = -1;
    this.operandBits = 32;
  }

  /** Auxiliary instructions before the row, so that it does more than fault. */
  private prepare(info: RowInfo): void {
    const { row } = info, rng = this.rng;
    switch (row.mnemonic) {
      case 'div': case 'idiv':
        if (!rng.chance(75)) return;
        if (row.operands[0] === 'Eb') this.loadConstant(RAX, rng.below(2) === 0 ? rng.below(256) : rng.below(0x2000));
        else if (row.mnemonic === 'div') this.loadConstant(RDX, rng.below(3) === 0 ? rng.below(16) : 0);
        else {
          // cqo / cdq
          this.begin(-1);
          this.prepared = true;
          if (this.is64) this.byte(0x48);
          this.byte(0x99);
        }
        return;
      case 'popf':
        if (rng.chance(90)) this.pushConstant(this.randomFlags());
        return;
      case 'mov':
        if (row.operands[0] === 'Sw') this.loadConstant(RAX, rng.pick(LOADABLE));
        return;
      case 'pop':
        if (/^[CDEFGS]S$/.test(row.operands[0]) && rng.chance(90)) this.pushConstant(rng.pick(LOADABLE));
        return;
      case 'verr': case 'verw': case 'lar': case 'lsl': case 'arpl':
        this.loadConstant(RAX, rng.pick(SELECTORS));
        if (row.mnemonic === 'arpl') this.loadConstant(RCX, rng.pick(SELECTORS));
        return;
      case 'shld': case 'shrd':
        // Counts beyond 16 bits make 16-bit results undefined; the row is restricted to small counts by a fixed CL.
        if (row.operands[2] === 'CL') this.loadConstant(RCX, rng.below(17));
        return;
      default:
    }
  }

  private chooseOperandSize(info: RowInfo): void {
    const { row } = info, rng = this.rng;
    if (row.rexW >= 0) {
      this.rexW = row.rexW;
      this.operandBits = row.rexW ? 64 : 32;
      return;
    }
    if (row.forced64 && this.is64) {
      this.operandBits = 64;
      return;
    }
    if (!info.sized) {
      // REX.W without meaning.
      if (this.is64 && row.map !== 0 && info.rm !== undefined && rng.chance(4) && info.family !== 'system') this.rexW = 1;
      return;
    }
    let n = rng.below(10);
    // With a 32-bit operand AMD pushes a selector zero-extended, Intel writes 16 bits: the same where there were zeros.
    if (!this.is64 && row.mnemonic === 'push' && /S$/.test(row.operands[0])) {
      const offset = this.lo[RSP] - 4 - this.stack.linear;
      const known = this.plan.starts.length === 1 && offset >= 0 && offset <= 2 * PAGE - 4 && (offset & 3) === 0;
      n = known && this.patch(this.stack.first * PAGE + offset, [0, 0, 0, 0]) ? 9 : 0;
    }
    // With a 16-bit operand AMD reads 32 bits of memory, Intel 16.
    if (row.mnemonic === 'movsxd' && n < 3) n += 4;
    if (this.is64 && row.default64) {
      this.operandBits = n < 3 ? 16 : 64;
      if (n < 3) this.prefixes.push(0x66);
      else if (n === 3) this.rexW = 1;
      return;
    }
    if (n < 3) {
      this.operandBits = 16;
      this.prefixes.push(0x66);
    } else if (this.is64 && n < 7 && !row.operands.includes('Mp')) {
      this.operandBits = 64;
      this.rexW = 1;
      if (n === 3) this.prefixes.push(0x66);
    } else this.operandBits = 32;
  }

  private emitRow(info: RowInfo): void {
    const { row, rm, reg } = info, rng = this.rng;
    this.startInstruction(info);
    if (row.end && (row.mnemonic === 'jmp' || row.mnemonic === 'call' || row.mnemonic.startsWith('j') || BRANCHES_SHORT.has(row.mnemonic))
      && info.kinds.some((kind) => kind.role === 'relative')) {
      this.emitBranch(info);
      return;
    }
    this.chooseOperandSize(info);
    const immediates: number[] = [];
    // The immediate first: what the memory operand's use needs to know.
    let count = -1;
    for (const kind of info.kinds) {
      if (kind.role !== 'immediate') continue;
      count = this.immediateValue(info, kind.token);
      immediates.push(count);
    }
    // Operands in ModRM.
    if (row.modrm === MODRM_FIXED) this.modrm = row.modrmValue;
    else if (row.modrm !== MODRM_NONE) {
      let memory = row.mod === MOD_MEMORY || (row.mod !== MOD_REGISTER && rng.chance(50));
      if (rm !== undefined && !rm.memory) memory = false;
      if (row.opcode === 0x0d && row.map === 1) memory = true; // register forms: #UD on AMD, NOP on Intel
      const regField = row.modrm === MODRM_DIGIT ? row.modrmValue : reg === undefined ? 0 : this.registerField(info, memory);
      if (memory) this.memoryOperand(info);
      else this.registerOperand(info);
      this.modrm |= (regField & 7) << 3;
      if (regField >= 8) this.rexBits |= 4;
    }
    this.finishPrefixes(info);
    this.encode(info, immediates);
    this.updateFlags(info, count);
    this.afterwards(info);
    this.prepared = false;
  }

  private immediateValue(info: RowInfo, token: string): number {
    const { row } = info, rng = this.rng;
    // ENTER checks the alignment at the final stack pointer on AMD.
    if (token === 'Iw') return row.mnemonic === 'enter' ? 8 * rng.below(8) : rng.below(5) * 4;
    if (row.mnemonic === 'enter') return rng.chance(60) ? 0 : rng.below(5);
    if (row.mnemonic === 'aam' || row.mnemonic === 'aad') return rng.chance(50) ? 10 : rng.below(256);
    if (row.mnemonic === 'int') return this.interruptVector();
    if (/^(shl|shr|sar|rol|ror|rcl|rcr)$/.test(row.mnemonic)) return rng.chance(60) ? rng.below(this.operandBits) : rng.pick([0, 1, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 128, 255]);
    if (row.mnemonic === 'shld' || row.mnemonic === 'shrd') return this.operandBits === 16 ? rng.below(17) + (rng.below(4) << 5) : rng.below(256);
    if (/^ps[rl]/.test(row.mnemonic)) return rng.chance(80) ? rng.below(66) : rng.below(256);
    if (token === 'Ib') return rng.below(256);
    return word32(rng);
  }

  /** Not 80h (a system call) nor those through which Linux reports debugging. */
  private interruptVector(): number {
    const vector = this.rng.chance(20) ? 4 : this.rng.below(256);
    return vector === 0x80 || vector === 1 || vector === 3 ? 5 : vector;
  }

  private generalRegister(bits: number): number {
    const rng = this.rng;
    let n = rng.chance(88) ? rng.pick(this.free) : rng.below(this.is64 ? 16 : 8);
    if (n === RSP && rng.chance(85)) n = rng.pick(this.free);
    if (bits === 8 && n < 4 && !this.needRex && (this.rexBits | this.rexW) === 0 && rng.chance(30)) {
      // AH CH DH BH
      this.noRex = true;
      return n + 4;
    }
    if (bits === 8 && n >= 4 && n < 8) {
      if (!this.is64 || this.noRex) return rng.below(4);
      this.needRex = true;
    }
    if (this.noRex && n >= 8) return rng.below(4);
    if (n >= 8) this.needRex = true;
    return n;
  }

  private registerField(info: RowInfo, memory: boolean): number {
    const { row, reg } = info, rng = this.rng;
    if (reg === undefined) return 0;
    switch (reg.registers) {
      case 'general':
        // The bit offset moves the memory operand.
        if (memory && /^bt[src]?$/.test(row.mnemonic) && row.operands[1] === 'Gv' && rng.chance(90)) return rng.pick(this.small);
        if (row.mnemonic === 'arpl') return RCX;
        return this.generalRegister(typeof reg.width === 'number' ? reg.width : 32);
      case 'mmx': return rng.below(8);
      case 'xmm': return rng.below(this.is64 ? 16 : 8);
      case 'segment': {
        if (row.operands[0] === 'Sw') {
          this.segmentsChanged = true;
          return rng.chance(3) ? 1 : rng.chance(3) ? 6 : rng.pick([0, 2, 3, 4, 5]);
        }
        return rng.below(6);
      }
      case 'control': return rng.pick([0, 2, 3, 4]);
      case 'debug': return rng.pick([0, 1, 2, 3, 6, 7]);
      default: return rng.below(8);
    }
  }

  private registerOperand(info: RowInfo): void {
    const { rm, row } = info, rng = this.rng;
    let n = rng.below(8);
    if (rm !== undefined) {
      if (/^(verr|verw|lar|lsl|arpl)$/.test(row.mnemonic) || row.operands[0] === 'Sw') n = RAX;
      else if (rm.registers === 'general') n = this.generalRegister(typeof rm.width === 'number' ? rm.width : 32);
      else if (rm.registers === 'xmm') n = rng.below(this.is64 ? 16 : 8);
    }
    if (/^cmpxchg$/.test(row.mnemonic) && rng.chance(25)) n = RAX;
    this.modrm |= 0xc0 | (n & 7);
    if (n >= 8) this.rexBits |= 1;
  }

  /** Bytes that the row's memory operand takes. */
  private memoryBytes(info: RowInfo): number {
    const { rm } = info;
    if (rm === undefined) return 1;
    if (rm.width === 'far') return this.operandBits / 8 + 2;
    if (rm.width === 'pair') return this.operandBits / 4;
    return widthBits(rm.width, this.operandBits) / 8;
  }

  private memoryOperand(info: RowInfo): void {
    const { row } = info, rng = this.rng;
    if (POINTER_STORES.has(row.mnemonic) || STATE_LOADS.has(row.mnemonic)) {
      this.stateOperand(info);
      return;
    }
    if (info.rm?.width === 'none' && row.mnemonic !== 'lea') {
      this.steer(1, 1);
      return;
    }
    if (row.mnemonic === 'lea' || rng.chance(2)) {
      this.wildOperand();
      return;
    }
    const bytes = this.memoryBytes(info);
    const aligned = info.family === 'sse' && bytes === 16 && !UNALIGNED.test(row.mnemonic);
    this.steer(bytes, aligned || row.mnemonic === 'cmpxchg16b' ? (rng.chance(96) ? 16 : 1) : 1);
    this.prepareMemory(info, bytes);
  }

  /** Memory contents that the row needs. */
  private prepareMemory(info: RowInfo, bytes: number): void {
    const { row } = info, rng = this.rng;
    if (this.target < 0) return;
    const registerBytes = (reg: number, count: number): number[] => {
      const data: number[] = [];
      for (let i = 0; i < count; i++) data.push((i < 4 ? this.lo[reg] >>> (8 * i) : this.hi[reg] >>> (8 * (i - 4))) & 255);
      return data;
    };
    if (row.mnemonic === 'cmpxchg' && rng.chance(40)) this.patch(this.target, registerBytes(RAX, bytes));
    else if (row.mnemonic === 'cmpxchg8b' && rng.chance(50)) this.patch(this.target, [...registerBytes(RAX, 4), ...registerBytes(RDX, 4)]);
    else if (row.mnemonic === 'cmpxchg16b' && rng.chance(50)) this.patch(this.target, [...registerBytes(RAX, 8), ...registerBytes(RDX, 8)]);
    else if (/^l[defgs]s$/.test(row.mnemonic)) {
      const data = registerBytes(rng.below(8), this.operandBits / 8), selector = rng.pick(LOADABLE);
      this.patch(this.target, [...data, selector & 255, selector >> 8]);
      this.segmentsChanged = true;
    } else if (/^(verr|verw|lar|lsl|arpl)$/.test(row.mnemonic) || row.operands[0] === 'Sw') this.patch(this.target, [rng.pick(LOADABLE), 0]);
    else if (row.mnemonic === 'bound' && rng.chance(80)) {
      const size = this.operandBits / 8, low: number[] = [], high: number[] = [];
      for (let i = 0; i < size; i++) {
        low.push(i === size - 1 ? 0x80 : 0);
        high.push(i === size - 1 ? 0x7f : 0xff);
      }
      this.patch(this.target, [...low, ...high]);
    }
  }

  /** An operand in the state page, by absolute address. */
  private stateOperand(info: RowInfo): void {
    const { row } = info, rng = this.rng;
    const wide = !this.prefixes.includes(0x66);
    let offset: number;
    switch (row.mnemonic) {
      case 'fxsave': case 'fxsave64': case 'fxrstor': case 'fxrstor64':
        offset = 512 * rng.below(FX_SLOTS);
        if (row.mnemonic.startsWith('fxsave')) {
          this.plan.masks.push([STATE_PAGE * PAGE + offset + 6, 18], [STATE_PAGE * PAGE + offset + 28, 4]);
        }
        if (rng.chance(3)) offset += 8;
        break;
      case 'fldcw': offset = FCW_AT + 2 * rng.below(FCW_SLOTS); break;
      case 'ldmxcsr': offset = MXCSR_AT + 4 * rng.below(MXCSR_SLOTS); break;
      case 'fbld': offset = BCD_AT + 16 * rng.below(BCD_SLOTS); break;
      default: {
        if (wide && rng.chance(25)) {
          this.prefixes.push(0x66);
          offset = ENV16_AT + ENV_STRIDE * rng.below(ENV16_SLOTS);
          if (row.mnemonic[1] === 'n') this.plan.masks.push([STATE_PAGE * PAGE + offset + 6, 8]);
        } else {
          offset = ENV32_AT + ENV_STRIDE * rng.below(ENV32_SLOTS);
          if (row.mnemonic[1] === 'n') this.plan.masks.push([STATE_PAGE * PAGE + offset + 12, 16]);
        }
      }
    }
    if (row.mnemonic !== 'fbld' && row.mnemonic !== 'ldmxcsr' && !POINTER_STORES.has(row.mnemonic)) this.mayUnmaskInvalid = true;
    this.absoluteOperand(this.state.linear + offset);
  }

  private absoluteOperand(linear: number): void {
    if (this.is64) {
      this.modrm |= 4;
      this.sib = 0x25;
    } else this.modrm |= 5;
    this.disp = linear;
    this.dispSize = 4;
  }

  /** Any ModRM byte at all. */
  private wildOperand(): void {
    const rng = this.rng;
    const mod = rng.below(3), rm = rng.below(8);
    this.modrm |= (mod << 6) | rm;
    const address16 = !this.is64 && rng.chance(20);
    if (address16 || (this.is64 && rng.chance(10))) this.prefixes.push(0x67);
    if (this.is64) {
      const extra = rng.below(4) & (this.noRex ? 0 : 3);
      this.rexBits |= extra;
    }
    this.disp = word32(rng);
    if (address16) {
      this.dispSize = mod === 1 ? 1 : mod === 2 || rm === 6 ? 2 : 0;
      return;
    }
    if (rm === 4) this.sib = rng.below(256);
    this.dispSize = mod === 1 ? 1 : mod === 2 || rm === 5 || (rm === 4 && (this.sib & 7) === 5) ? 4 : 0;
  }

  /** Linear address for an access of so many bytes, in an area. */
  private chooseAddress(area: Area, bytes: number, align: number): number {
    const rng = this.rng, span = area.pages * PAGE;
    let offset: number;
    const n = rng.below(100);
    if (n < 35) offset = this.hot[rng.below(2)] % (span - 32) + (rng.chance(50) ? 0 : rng.below(16));
    else if (n < 65) offset = rng.below(span - bytes + 1);
    else if (n < 78) offset = PAGE - rng.below(bytes + 1);
    else if (n < 96 || align > 1) offset = rng.below(span - bytes + 1) & -Math.max(1, Math.min(16, bytes));
    else if (n < 98) offset = span - rng.below(bytes + 1);
    else if (n < 99) offset = -rng.below(bytes + 1);
    else offset = span + rng.below(PAGE);
    if (align > 1) offset &= -align;
    return area.linear + offset;
  }

  private setTarget(area: Area, linear: number, bytes: number): void {
    const offset = linear - area.linear;
    this.target = offset >= 0 && offset + Math.max(bytes, 16) <= area.pages * PAGE ? area.first * PAGE + offset : -1;
  }

  /** Fills ModRM, SIB and displacement so that the operand lies where chooseAddress() says. */
  private steer(bytes: number, align: number): void {
    const rng = this.rng;
    const form = rng.below(100);
    if (this.is64 && form < 10) { // relative to RIP
      this.modrm |= 5;
      this.ripTarget = this.chooseAddress(this.near, bytes, align);
      this.setTarget(this.near, this.ripTarget, bytes);
      this.dispSize = 4;
      return;
    }
    if (form < 18) { // absolute
      const linear = this.chooseAddress(this.low, bytes, align);
      this.setTarget(this.low, linear, bytes);
      this.absoluteOperand(linear);
      if (this.is64 && rng.chance(20)) this.prefixes.push(0x67);
      return;
    }
    if (!this.is64 && form < 24) {
      this.steer16(bytes, align);
      return;
    }
    const pointer = rng.pick(this.pointers);
    const linear = this.chooseAddress(pointer.area, bytes, align);
    this.setTarget(pointer.area, linear, bytes);
    let displacement = linear - pointer.value;
    if (pointer.area === this.low && !this.segmentsChanged && rng.chance(10)) {
      this.prefixes.push(0x65);
      displacement -= this.layout.gsBase;
    } else if (rng.chance(6)) {
      // Overrides without effect in 64-bit code and with flat segments; CS forbids writes in 32-bit code, null FS everything.
      this.prefixes.push(this.is64 ? rng.pick([0x26, 0x2e, 0x36, 0x3e]) : rng.chance(4) ? 0x64 : rng.pick([0x26, 0x36, 0x3e, 0x26, 0x36, 0x3e, 0x2e]));
    }
    if (pointer.area === this.low && this.is64 && rng.chance(15)) this.prefixes.push(0x67);
    let index = -1, scale = 0;
    if (rng.chance(30) && this.small.length > 0) {
      index = rng.pick(this.small);
      scale = rng.below(4);
      if (this.noRex && index >= 8) index = -1;
      else displacement -= this.lo[index] * (1 << scale);
    }
    let base = pointer.reg;
    if (this.noRex && base >= 8) {
      // High byte registers leave no room for REX: absolute instead.
      const other = this.pointers.find((one) => one.reg < 8);
      if (other === undefined) {
        const at = this.chooseAddress(this.low, bytes, align);
        this.setTarget(this.low, at, bytes);
        this.prefixes = this.prefixes.filter((prefix) => prefix === 0x66);
        this.absoluteOperand(at);
        return;
      }
      displacement = linear - pointer.area.linear + other.area.linear - other.value;
      this.setTarget(other.area, other.value + displacement, bytes);
      this.prefixes = this.prefixes.filter((prefix) => prefix === 0x66);
      base = other.reg;
      index = -1;
    }
    this.disp = displacement;
    let mod = displacement === 0 && (base & 7) !== 5 ? 0 : displacement >= -128 && displacement < 128 && rng.chance(85) ? 1 : 2;
    if (mod === 0 && rng.chance(10)) mod = 1;
    this.dispSize = mod === 0 ? 0 : mod === 1 ? 1 : 4;
    if (base >= 8) this.rexBits |= 1;
    if (index >= 0 || (base & 7) === 4 || rng.chance(5)) {
      this.modrm |= (mod << 6) | 4;
      if (index >= 8) this.rexBits |= 2;
      this.sib = (scale << 6) | ((index < 0 ? 4 : index & 7) << 3) | (base & 7);
    } else this.modrm |= (mod << 6) | (base & 7);
  }

  /** 16-bit addressing in 32-bit code, mostly through GS, whose base makes its addresses valid. */
  private steer16(bytes: number, align: number): void {
    const rng = this.rng;
    const linear = this.chooseAddress(this.low, bytes, align);
    this.setTarget(this.low, linear, bytes);
    this.prefixes.push(0x67);
    if (rng.chance(92)) this.prefixes.push(0x65);
    if (this.segmentsChanged) this.target = -1;
    const offset = linear - this.layout.gsBase;
    const rm = rng.below(8);
    const sums = [this.lo[RBX] + this.lo[RSI], this.lo[RBX] + this.lo[RDI], this.lo[RBP] + this.lo[RSI], this.lo[RBP] + this.lo[RDI], this.lo[RSI], this.lo[RDI], 0, this.lo[RBX]];
    this.modrm |= rm === 6 ? 6 : 0x80 | rm;
    this.disp = offset - sums[rm];
    this.dispSize = 2;
  }

  private finishPrefixes(info: RowInfo): void {
    const { row } = info, rng = this.rng;
    const memory = row.modrm !== MODRM_NONE && this.modrm < 0xc0;
    if (row.lock && memory && rng.chance(15)) this.prefixes.push(0xf0);
    // AMD does not refuse LOCK with VERR and VERW, and reads LOCK MOV CR0 as MOV CR8.
    else if (rng.chance(0.3) && !/^ver[rw]$/.test(row.mnemonic) && !row.operands.includes('Cy')) this.prefixes.push(0xf0);
    if (row.repeat !== 0) {
      if (rng.chance(60)) this.prefixes.push(row.repeat === 2 && rng.chance(50) ? 0xf2 : 0xf3);
      if (rng.chance(6)) this.prefixes.push(0x67);
      if (rng.chance(5)) this.prefixes.push(this.is64 ? rng.pick([0x26, 0x2e, 0x3e]) : rng.pick([0x26, 0x36, 0x65]));
    } else if (row.map === 0 && row.prefix === '' && rng.chance(1) && row.opcode !== 0x90 && info.family === 'integer') this.prefixes.push(rng.pick([0xf2, 0xf3]));
    if (row.map === 0 && !info.sized && info.family === 'integer' && !row.forced64 && row.prefix === '' && row.opcode !== 0x90 && rng.chance(2)) this.prefixes.push(0x66);
    if (info.kinds.some((kind) => kind.role === 'moffs') && rng.chance(15)) this.prefixes.push(0x67);
  }

  /** Writes the instruction. */
  private encode(info: RowInfo, immediates: readonly number[]): void {
    const { row } = info, rng = this.rng;
    const ordered = this.prefixes;
    if (row.prefix !== '' && row.prefix !== 'NP') {
      const mandatory = parseInt(row.prefix, 16);
      if (!ordered.includes(mandatory)) ordered.splice(rng.below(ordered.length + 1), 0, mandatory);
    }
    for (const prefix of ordered) this.byte(prefix);
    let opcode = row.opcode;
    const byOpcode = info.kinds.find((kind) => kind.role === 'opcode');
    if (byOpcode !== undefined) {
      const n = row.mnemonic === 'pop' && rng.chance(90) ? this.scratch() : this.generalRegister(typeof byOpcode.width === 'number' ? byOpcode.width : 32);
      opcode += n & 7;
      if (n >= 8) this.rexBits |= 1;
    }
    if (this.is64) {
      let rex = this.rexBits | (this.rexW << 3);
      if (rex === 0 && !this.needRex && !this.noRex && rng.chance(6)) this.needRex = true;
      if (rex !== 0 || this.needRex) {
        if (!this.noRex) this.byte(0x40 | rex);
        else rex = 0;
      }
    }
    if (row.map !== 0) this.byte(0x0f);
    if (row.map === 2) this.byte(0x38);
    if (row.map === 3) this.byte(0x3a);
    this.byte(opcode);
    if (row.modrm !== MODRM_NONE) {
      this.byte(this.modrm);
      if (this.modrm < 0xc0 && this.sib >= 0) this.byte(this.sib);
      const immediateLength = this.immediateLength(info);
      if (this.ripTarget !== 0) this.disp = this.ripTarget - (this.codeLinear + this.length + 4 + immediateLength);
      if (this.modrm < 0xc0) this.number(this.disp, this.dispSize);
    }
    let n = 0;
    for (const kind of info.kinds) {
      if (kind.role === 'immediate') {
        const value = immediates[n++];
        const size = kind.token === 'Ib' || kind.token === 'sIb' ? 1 : kind.token === 'Iw' ? 2 : this.operandBits === 16 ? 2 : kind.token === 'Iv' && this.operandBits === 64 ? 8 : 4;
        this.number(value, size === 8 ? 4 : size);
        if (size === 8) this.int32(highWord(rng, value));
      } else if (kind.role === 'moffs') this.moffs(info);
      else if (kind.role === 'far') {
        this.number(word32(rng), this.operandBits === 16 ? 2 : 4);
        this.number(rng.pick(FAR_SELECTORS), 2);
      }
    }
  }

  private immediateLength(info: RowInfo): number {
    let bytes = 0;
    for (const kind of info.kinds) {
      if (kind.role === 'immediate') bytes += kind.token === 'Ib' || kind.token === 'sIb' ? 1 : kind.token === 'Iw' || this.operandBits === 16 ? 2 : 4;
    }
    return bytes;
  }

  private number(value: number, size: number): void {
    const low = value % 0x100000000 | 0;
    if (size === 1) this.byte(low);
    else if (size === 2) this.bytes(low, low >> 8);
    else if (size === 4) this.int32(low);
  }

  private moffs(info: RowInfo): void {
    const short = this.prefixes.includes(0x67);
    const bytes = info.row.operands.includes('Ob') ? 1 : this.operandBits / 8;
    const area = short || !this.is64 ? this.low : this.anyArea();
    const linear = this.chooseAddress(area, bytes, 1);
    if (this.is64 && !short) {
      this.int32(linear % 0x100000000);
      this.int32(Math.floor(linear / 0x100000000));
    } else if (this.is64 || !short) this.int32(linear);
    else this.number(linear, 2);
  }

  private emitBranch(info: RowInfo): void {
    const { row } = info, rng = this.rng;
    const long = row.operands[0] === 'Jz';
    // In 64-bit code 66h is ignored by Intel and obeyed by AMD.
    const short16 = !this.is64 && long && rng.chance(3);
    if (short16) this.byte(0x66);
    if ((BRANCHES_SHORT.has(row.mnemonic)) && rng.chance(15)) this.byte(0x67);
    if (row.map === 0 && rng.chance(4)) this.byte(rng.pick([0x2e, 0x3e]));
    if (row.map === 1) this.byte(0x0f);
    this.byte(row.opcode);
    this.relative(this.laterBoundary(1), long ? (short16 ? 2 : 4) : 1);
  }

  // --- Consequences ---

  /** Brings the initial ST(0), if it is a number, below 2^(exponent - 3FFEh). */
  private reduceTop(exponent: number): void {
    const at = CASE_FX + 32 + 8, word = this.view.getUint16(at, true);
    if ((word & 0x7fff) > exponent && (word & 0x7fff) !== 0x7fff) this.view.setUint16(at, (word & 0x8000) | (exponent - (word & 63)), true);
  }

  private updateFlags(info: RowInfo, count: number): void {
    const { row } = info;
    const isShift = /^(shl|shr|sar)$/.test(row.mnemonic), isRotate = /^(rol|ror|rcl|rcr)$/.test(row.mnemonic), isDouble = /^sh[lr]d$/.test(row.mnemonic);
    if (isShift || isRotate || isDouble) {
      const last = row.operands[row.operands.length - 1];
      const bits = row.operands[0] === 'Eb' ? 8 : this.operandBits;
      const masked = last === '1' ? 1 : last === 'CL' ? -1 : count & (bits === 64 ? 63 : 31);
      if (masked === 0) return;
      let doubtful = OF | (isRotate ? 0 : AF);
      if (isShift && row.mnemonic !== 'sar' && bits < 32 && (masked < 0 || masked >= bits)) doubtful |= CF;
      if (masked < 0) {
        this.undefined |= doubtful;
        return;
      }
      if (masked === 1) doubtful &= ~OF;
      this.undefined = (this.undefined & ~(info.defined | OF)) | doubtful;
      return;
    }
    if (row.repeat !== 0) return;
    if (/^fu?comip?$/.test(row.mnemonic)) {
      // AMD leaves flags and C1 as they are when an unmasked invalid operation is found; Intel clears C1.
      this.plan.ignoreC1 = true;
      if (this.mayUnmaskInvalid || this.inLoop) {
        this.undefined |= STATUS;
        return;
      }
    }
    this.undefined = (this.undefined & ~info.defined) | info.undefinedFlags;
  }

  private afterwards(info: RowInfo): void {
    const { row } = info;
    if (INDIRECT.has(row.mnemonic)) this.plan.escapedUndefined |= this.undefined;
    if (info.approximate !== '') this.plan.approximate = info.approximate;
    if (IN_DOMAIN_ONLY.has(row.mnemonic)) this.reduceTop(row.mnemonic === 'f2xm1' ? 0x3ffe : 0x3ffc);
    if (info.family === 'x87' || info.family === 'mmx') this.x87Used = true;
    if (row.mnemonic === 'pop' && /^[CDEFGS]S$/.test(row.operands[0])) this.segmentsChanged = true;
  }
}
