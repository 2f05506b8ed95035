/**
 * A test case in the making: its bytes, the boundaries of its instructions with the flags undefined there, branches between them, and
 * memory patches. Everything goes straight into the case record; what the comparison has to know is kept in the plan.
 */
import type { Rng } from './random-values';
import {
  CASE_CODE, CASE_CODE_BYTES, CASE_CODE_LENGTH, CASE_PATCH, CASE_PATCHES, CASE_PATCH_COUNT, CASE_TARGET, CS, PATCH_BYTES, PATCH_DATA, USER_CS64,
} from './user-layout';
import type { Layout } from './user-layout';

/** What the comparison knows of a case. */
export interface CasePlan {
  /** Offset of each instruction in the code, its row (-1: an auxiliary instruction), and the flags undefined before it; last entry: the end. */
  starts: number[];
  rows: number[];
  undefinedBefore: number[];
  /** Indices of branches that go where a random operand says. */
  wild: number[];
  /** Bytes of the pool that may differ: [offset, length]. */
  masks: [number, number][];
  /** The last instruction only approximates. */
  approximate: '' | 'xmm' | 'x87';
  /** C1 of the x87 status word is implementation-specific. */
  ignoreC1: boolean;
  /** Code lies in the self-modifying page and has to be placed before each run. */
  selfModifying: boolean;
}

interface Fixup {
  /** Where in the code (or, for a patch, in the case record), and how many bytes. */
  readonly position: number;
  readonly size: number;
  /** Offset of the next instruction, for relative targets. */
  readonly next: number;
  /** Boundary. */
  readonly target: number;
  readonly absolute: boolean;
  readonly patch: boolean;
}

/** Room that the end of a case and the longest template need. */
const RESERVE = 48;
export const MAX_CODE = CASE_CODE_BYTES - RESERVE;

export class CodeWriter {
  protected readonly layout: Layout;
  protected readonly is64: boolean;
  /** Bytes of a code address on the stack and in registers. */
  protected readonly wordBytes: number;
  protected rng!: Rng;
  protected view!: DataView;
  protected length = 0;
  /** RIP of the first byte. */
  protected entry = 0;
  protected plan!: CasePlan;
  /** Status flags undefined at this point. */
  protected undefined = 0;
  /** Undefined flags that branches bring to each boundary. */
  protected merges: number[] = [];
  /** Boundaries before this index have been merged. */
  protected merged = 0;
  /** The instruction at hand belongs with the one before. */
  protected prepared = false;
  private targetable: boolean[] = [];
  private fixups: Fixup[] = [];
  private patches = 0;
  private patched: [number, number][] = [];

  constructor(layout: Layout) {
    this.layout = layout;
    this.is64 = layout.bits === 64;
    this.wordBytes = layout.bits / 8;
  }

  protected startCase(rng: Rng, cases: Uint8Array, at: number): void {
    this.rng = rng;
    this.view = new DataView(cases.buffer, cases.byteOffset + at);
    cases.fill(0, at, at + CASE_CODE);
    this.length = 0;
    this.undefined = 0;
    this.merges = [];
    this.merged = 0;
    this.prepared = false;
    this.targetable = [];
    this.fixups = [];
    this.patches = 0;
    this.patched = [];
    this.plan = { starts: [], rows: [], undefinedBefore: [], wild: [], masks: [], approximate: '', ignoreC1: false, selfModifying: false };
  }

  protected setEntry(linear: number): void {
    this.entry = linear - this.layout.segments[CS].base;
    this.view.setBigUint64(CASE_TARGET, BigInt(this.entry), true);
  }

  /** Leaves the sequence, resolves branches. */
  protected finishCase(): void {
    const { plan, view } = this;
    const boundary = plan.starts.length, end = this.length;
    for (; this.merged < this.merges.length; this.merged++) this.undefined |= this.merges[this.merged] ?? 0;
    plan.starts.push(end);
    plan.rows.push(-1);
    plan.undefinedBefore.push(this.undefined);
    if (this.layout.bits === 16) {
      this.bytes(0x66, 0xea);
      this.int32(this.layout.stub);
      this.bytes(USER_CS64, 0);
    } else {
      this.byte(0xe9);
      this.int32((this.is64 ? this.layout.stub : this.layout.exit32) - (this.entry + this.length + 4));
    }
    for (const fixup of this.fixups) {
      let target = fixup.target;
      while (target < boundary && !this.targetable[target]) target++;
      const offset = target >= boundary ? end : plan.starts[target];
      const value = fixup.absolute ? this.entry + offset : offset - fixup.next;
      const position = (fixup.patch ? 0 : CASE_CODE) + fixup.position;
      if (fixup.size === 1) view.setInt8(position, value);
      else if (fixup.size === 2) view.setUint16(position, value & 0xffff, true);
      else view.setInt32(position, value % 0x100000000, true);
      if (fixup.size === 8) view.setUint32(position + 4, Math.floor(value / 0x100000000), true);
    }
    view.setUint32(CASE_CODE_LENGTH, this.length, true);
    view.setUint32(CASE_PATCH_COUNT, this.patches, true);
  }

  // --- Boundaries ---

  /** Marks the start of an instruction. Branches lead only to where a prepared instruction begins, not past its preparation. */
  protected begin(rowIndex: number): void {
    this.targetable.push(!this.prepared);
    if (!this.prepared) this.mergeBranches();
    this.plan.starts.push(this.length);
    this.plan.rows.push(rowIndex);
    this.plan.undefinedBefore.push(this.undefined);
  }

  /** Marks an auxiliary instruction that belongs with the next one. */
  protected beginPreparation(): void {
    this.begin(-1);
    this.prepared = true;
  }

  /** Flags that a branch to this boundary brings undefined. */
  protected mergeBranches(): void {
    for (; this.merged <= this.plan.starts.length; this.merged++) this.undefined |= this.merges[this.merged] ?? 0;
  }

  /** Notes that a branch from here leads to a boundary; returns it. */
  protected leadTo(target: number): number {
    this.merges[target] = (this.merges[target] ?? 0) | this.undefined;
    return target;
  }

  /** Some boundary after the next `skip` + 1 ones. */
  protected laterBoundary(skip = 0): number {
    return this.plan.starts.length + skip + this.rng.below(3);
  }

  // --- Bytes ---

  protected byte(value: number): void {
    this.view.setUint8(CASE_CODE + this.length++, value & 255);
  }

  protected int32(value: number): void {
    this.view.setInt32(CASE_CODE + this.length, value, true);
    this.length += 4;
  }

  protected bytes(...values: number[]): void {
    for (const value of values) this.byte(value);
  }

  /** Low bytes of a value: 0, 1, 2 or 4 of them. */
  protected number(value: number, size: number): void {
    const low = value % 0x100000000 | 0;
    if (size === 1) this.byte(low);
    else if (size === 2) this.bytes(low, low >> 8);
    else if (size === 4) this.int32(low);
  }

  /** The address of a boundary, as code sees it. */
  protected absolute(target: number, size: number): void {
    this.fixups.push({ position: this.length, size, next: 0, target, absolute: true, patch: false });
    this.length += size;
  }

  /** The distance of a boundary from the next instruction, which starts after these bytes. */
  protected relative(target: number, size: number): void {
    this.fixups.push({ position: this.length, size, next: this.length + size, target: this.leadTo(target), absolute: false, patch: false });
    this.length += size;
  }

  // --- Memory ---

  /** Memory contents at the start of the case; false when there is no room for another patch or it would overlap one. */
  protected patch(offset: number, data: readonly number[]): boolean {
    if (this.patches === CASE_PATCHES || offset < 0) return false;
    for (const [from, end] of this.patched) if (offset < end && offset + data.length > from) return false;
    this.patched.push([offset, offset + data.length]);
    const at = CASE_PATCH + PATCH_BYTES * this.patches++;
    this.view.setUint32(at, offset, true);
    this.view.setUint32(at + 4, data.length, true);
    data.forEach((value, i) => this.view.setUint8(at + PATCH_DATA + i, value & 255));
    return true;
  }

  /** A patch that begins with the address of a boundary. */
  protected patchAddress(offset: number, size: number, target: number, after: readonly number[]): void {
    const position = CASE_PATCH + PATCH_BYTES * this.patches + PATCH_DATA;
    if (this.patch(offset, [...new Array<number>(size).fill(0), ...after])) this.fixups.push({ position, size, next: 0, target, absolute: true, patch: true });
  }
}
