/**
 * Operands and encoding of random instructions: registers, and memory operands steered into the data areas by every addressing form that the
 * code size has.
 */
import { MODRM_NONE } from '../../src/cpu/opcodes/table';
import { CodeWriter } from './random-code';
import type { RowInfo } from './random-rows';
import { highWord, word32 } from './random-values';
import type { Rng } from './random-values';
import { CASE_GPR, CS, DS, ES, FS, GS, PAGE, SS, areaOf } from './user-layout';
import type { Area, Layout } from './user-layout';

/** A register that holds an address: an offset in the segment through which the area is reached. */
interface Pointer {
  readonly reg: number;
  readonly area: Area;
  readonly segment: number;
  readonly value: number;
}

export const RAX = 0, RCX = 1, RDX = 2, RBX = 3, RSP = 4, RBP = 5, RSI = 6, RDI = 7;
/** Override prefixes of CS SS DS ES FS GS. */
export const OVERRIDE = [0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65];
/** Registers of the 16-bit addressing forms by ModRM.rm. */
const FORMS_16 = [[RBX, RSI], [RBX, RDI], [RBP, RSI], [RBP, RDI], [RSI], [RDI], [RBP], [RBX]];

export class OperandWriter extends CodeWriter {
  protected readonly near: Area;
  protected readonly far: Area;
  protected readonly low: Area;
  protected readonly state: Area;
  protected readonly stack: Area;

  // --- Registers at the start of the case ---
  protected readonly lo = new Int32Array(16);
  protected readonly hi = new Int32Array(16);
  protected pointers: Pointer[] = [];
  /** Registers with small values, for indices, counts and bit offsets. */
  protected small: number[] = [];
  /** Registers that are neither pointers nor RSP. */
  protected free: number[] = [];
  /** RSI, RDI and RCX suit string instructions. */
  protected stringy = false;
  /** Some instruction may have loaded DS, ES, FS, GS or SS. */
  protected segmentsChanged = false;
  private hot: number[] = [];

  // --- The instruction in the making ---
  protected prefixes: number[] = [];
  protected operandBits = 32;
  protected rexW = 0;
  protected rexBits = 0;
  protected needRex = false;
  /** AH CH DH BH are in use. */
  protected noRex = false;
  protected modrm = 0;
  /** Pool offset of the memory operand, -1 if unknown. */
  protected target = -1;
  private sib = -1;
  private disp = 0;
  private dispSize = 0;
  private ripTarget = 0;

  constructor(layout: Layout) {
    super(layout);
    this.near = areaOf(layout, 'near');
    this.far = areaOf(layout, 'far');
    this.low = areaOf(layout, 'low');
    this.state = areaOf(layout, 'state');
    this.stack = areaOf(layout, 'stack');
  }

  /** The segment through which an area is reached, DS (or whatever is flat) if possible. */
  protected segmentOf(area: Area): number {
    if (this.layout.bits !== 16) return DS;
    return area === this.stack ? SS : area === this.far ? ES : area === this.low ? GS : area === this.state ? FS : DS;
  }

  // --- Registers ---

  protected makeRegisters(rng: Rng): void {
    const { is64 } = this, is16 = this.layout.bits === 16;
    const count = is64 ? 16 : 8;
    for (let n = 0; n < 16; n++) {
      this.lo[n] = word32(rng);
      this.hi[n] = highWord(rng, this.lo[n]);
    }
    this.segmentsChanged = false;
    this.pointers = [];
    this.stringy = rng.chance(50);
    const candidates = is64 ? [RBX, RBP, RSI, RDI, 8, 9, 10, 11, 12, 13, 14, 15] : [RBX, RBP, RSI, RDI];
    const wanted = is64 ? 3 + rng.below(3) : is16 ? 4 : 2 + rng.below(2);
    if (this.stringy) {
      this.addPointer(RSI, is16 ? this.near : this.anyArea());
      this.addPointer(RDI, is16 ? this.far : this.anyArea());
    }
    while (this.pointers.length < wanted) {
      const reg = rng.pick(candidates);
      if (this.pointers.some((pointer) => pointer.reg === reg)) continue;
      this.addPointer(reg, reg === RBP && rng.chance(is16 ? 80 : 50) ? this.stack : this.anyArea());
    }
    const sp = this.stack.linear + (rng.chance(85) ? 0x800 + 8 * rng.below(0x180) : rng.below(2 * PAGE + 16));
    this.setRegister(RSP, sp - this.layout.segments[SS].base);
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
    if (!is64) this.hi.fill(0);
    this.hot = [rng.below(PAGE * 2 - 32), rng.below(PAGE * 2 - 32) & ~15];
  }

  protected storeRegisters(): void {
    for (let n = 0; n < 16; n++) {
      this.view.setInt32(CASE_GPR + 8 * n, this.lo[n], true);
      this.view.setInt32(CASE_GPR + 8 * n + 4, this.hi[n], true);
    }
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
    const { rng } = this, span = area.pages * PAGE, segment = this.segmentOf(area);
    let linear = area.linear + (rng.chance(50) ? rng.below(span) & ~15 : rng.below(span));
    if (rng.chance(15)) linear = area.linear + PAGE - rng.below(64);
    const value = linear - this.layout.segments[segment].base;
    this.pointers.push({ reg, area, segment, value });
    this.setRegister(reg, value);
  }

  protected isPointer(reg: number): boolean {
    return this.pointers.some((pointer) => pointer.reg === reg);
  }

  /** A register that is neither a pointer nor RSP. */
  protected scratch(): number {
    return this.rng.pick(this.free);
  }

  /** Number of a general register operand of `bits` bits; byte registers decide about REX. */
  protected generalRegister(bits: number): number {
    const { rng } = this;
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

  // --- Memory operands ---

  protected clearInstruction(): void {
    this.prefixes = [];
    this.operandBits = this.is64 ? 32 : this.layout.bits;
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
  }

  /** Linear address for an access of so many bytes, in an area. */
  protected chooseAddress(area: Area, bytes: number, align: number): number {
    const { rng } = this, span = area.pages * PAGE, n = rng.below(100);
    let offset: number;
    if (n < 35) offset = this.hot[rng.below(2)] % (span - 32) + (rng.chance(50) ? 0 : rng.below(16));
    else if (n < 65) offset = rng.below(span - bytes + 1);
    else if (n < 78) offset = PAGE - rng.below(bytes + 1);
    else if (n < 96 || align > 1) offset = rng.below(span - bytes + 1) & -Math.max(1, Math.min(16, bytes));
    else if (n < 98) offset = span - rng.below(bytes + 1);
    else if (n < 99) offset = -rng.below(bytes + 1);
    else offset = span + rng.below(PAGE);
    const linear = area.linear + offset;
    return align > 1 ? linear - linear % align : linear;
  }

  private setTarget(area: Area, linear: number, bytes: number): void {
    const offset = linear - area.linear;
    this.target = offset >= 0 && offset + Math.max(bytes, 16) <= area.pages * PAGE ? area.first * PAGE + offset : -1;
  }

  /** Names a linear address in an area directly. */
  protected absoluteOperand(area: Area, linear: number): void {
    const segment = this.segmentOf(area);
    this.disp = linear - this.layout.segments[segment].base;
    if (segment !== DS) this.prefixes.push(OVERRIDE[segment]);
    if (this.layout.bits === 16) {
      this.modrm |= 6;
      this.dispSize = 2;
      return;
    }
    this.dispSize = 4;
    if (this.is64) {
      this.modrm |= 4;
      this.sib = 0x25;
    } else this.modrm |= 5;
  }

  /** Any ModRM byte at all. */
  protected wildOperand(): void {
    const { rng } = this;
    const mod = rng.below(3), rm = rng.below(8);
    this.modrm |= (mod << 6) | rm;
    const otherSize = rng.chance(this.is64 ? 10 : 20);
    if (otherSize) this.prefixes.push(0x67);
    if (this.is64) this.rexBits |= rng.below(4) & (this.noRex ? 0 : 3);
    this.disp = word32(rng);
    if (!this.is64 && otherSize === (this.layout.bits === 32)) {
      this.dispSize = mod === 1 ? 1 : mod === 2 || rm === 6 ? 2 : 0;
      return;
    }
    if (rm === 4) this.sib = rng.below(256);
    this.dispSize = mod === 1 ? 1 : mod === 2 || rm === 5 || (rm === 4 && (this.sib & 7) === 5) ? 4 : 0;
  }

  /** Fills ModRM, SIB and displacement so that the operand lies where chooseAddress() says. */
  protected steer(bytes: number, align: number): void {
    const { rng } = this, { bits } = this.layout;
    const form = rng.below(100);
    if (this.is64 && form < 10) { // relative to RIP
      this.modrm |= 5;
      this.ripTarget = this.chooseAddress(this.near, bytes, align);
      this.setTarget(this.near, this.ripTarget, bytes);
      this.dispSize = 4;
      return;
    }
    if (form < 18) {
      this.steerAbsolute(bytes, align);
      if (this.is64 && rng.chance(20)) this.prefixes.push(0x67);
      return;
    }
    if (bits === 16 ? form < 75 : bits === 32 && form < 24) {
      this.steer16(bytes, align);
      return;
    }
    if (bits === 16) this.prefixes.push(0x67);
    this.steerWide(bytes, align);
  }

  private steerAbsolute(bytes: number, align: number): void {
    const area = this.layout.bits === 16 ? this.near : this.low;
    const linear = this.chooseAddress(area, bytes, align);
    this.setTarget(area, linear, bytes);
    this.absoluteOperand(area, linear);
  }

  /** 32- and 64-bit addressing. */
  private steerWide(bytes: number, align: number): void {
    const { rng } = this, { bits, segments } = this.layout;
    const pointer = rng.pick(this.pointers);
    const linear = this.chooseAddress(pointer.area, bytes, align);
    this.setTarget(pointer.area, linear, bytes);
    let base = pointer.reg;
    if (this.noRex && base >= 8) {
      // High byte registers leave no room for REX.
      const other = this.pointers.find((one) => one.reg < 8);
      if (other === undefined) {
        this.steerAbsolute(bytes, align);
        return;
      }
      base = other.reg;
      this.target = -1;
    }
    let displacement = linear - segments[pointer.segment].base - pointer.value;
    const inLow = pointer.area === this.low;
    if (bits === 16) {
      const standard = base === RBP ? SS : DS;
      if (pointer.segment !== standard) this.prefixes.push(OVERRIDE[pointer.segment]);
    } else if (inLow && !this.segmentsChanged && rng.chance(10)) {
      this.prefixes.push(OVERRIDE[GS]);
      displacement -= segments[GS].base;
    } else if (rng.chance(6)) {
      // Overrides without effect in 64-bit code and with flat segments; CS forbids writes in 32-bit code, null FS everything.
      this.prefixes.push(this.is64 ? rng.pick([OVERRIDE[ES], OVERRIDE[CS], OVERRIDE[SS], OVERRIDE[DS]]) : rng.chance(4) ? OVERRIDE[FS] : OVERRIDE[rng.pick([ES, SS, DS, ES, SS, DS, CS])]);
    }
    if (this.is64 && inLow && rng.chance(15)) this.prefixes.push(0x67);
    let index = -1, scale = 0;
    if (rng.chance(30) && this.small.length > 0) {
      index = rng.pick(this.small);
      scale = rng.below(4);
      if (this.noRex && index >= 8) index = -1;
      else displacement -= this.lo[index] * (1 << scale);
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

  /** 16-bit addressing. In 32-bit code mostly through GS, whose base makes its addresses valid. */
  private steer16(bytes: number, align: number): void {
    const { rng } = this, is16 = this.layout.bits === 16;
    const rm = rng.below(8), mod = rm === 6 && rng.chance(40) ? 0 : 2;
    const standard = (rm === 2 || rm === 3 || (rm === 6 && mod !== 0)) ? SS : DS;
    let segment = standard;
    if (!is16) {
      this.prefixes.push(0x67);
      if (rng.chance(92)) segment = GS;
    } else if (rng.chance(30)) segment = rng.pick([SS, DS, ES, GS, CS]);
    if (segment !== standard || rng.chance(3)) this.prefixes.push(OVERRIDE[segment]);
    const area = !is16 ? this.low : segment === SS ? this.stack : segment === ES ? this.far : segment === GS ? this.low : this.near;
    const linear = this.chooseAddress(area, bytes, align);
    if (!this.segmentsChanged && segment !== CS) this.setTarget(area, linear, bytes);
    let offset = linear - this.layout.segments[!is16 ? GS : segment].base;
    if (rm !== 6 || mod !== 0) for (const reg of FORMS_16[rm]) offset -= this.lo[reg];
    const short = mod !== 0 && ((offset << 24) >> 24) === ((offset << 16) >> 16) && rng.chance(80);
    this.modrm |= (mod === 0 ? 0 : short ? 0x40 : 0x80) | rm;
    this.disp = offset;
    this.dispSize = short ? 1 : 2;
  }

  // --- Encoding ---

  /** Writes the instruction. */
  protected encode(info: RowInfo, immediates: readonly number[]): void {
    const { row } = info, { rng } = this;
    if (row.prefix !== '' && row.prefix !== 'NP') {
      const mandatory = parseInt(row.prefix, 16);
      if (!this.prefixes.includes(mandatory)) this.prefixes.splice(rng.below(this.prefixes.length + 1), 0, mandatory);
    }
    for (const prefix of this.prefixes) this.byte(prefix);
    let opcode = row.opcode;
    const byOpcode = info.kinds.find((kind) => kind.role === 'opcode');
    if (byOpcode !== undefined) {
      const n = row.mnemonic === 'pop' && rng.chance(90) ? this.scratch() : this.generalRegister(typeof byOpcode.width === 'number' ? byOpcode.width : 32);
      opcode += n & 7;
      if (n >= 8) this.rexBits |= 1;
    }
    if (this.is64 && !this.noRex) {
      const rex = this.rexBits | (this.rexW << 3);
      if (rex !== 0 || this.needRex || rng.chance(6)) this.byte(0x40 | rex);
    }
    if (row.map !== 0) this.byte(0x0f);
    if (row.map === 2) this.byte(0x38);
    if (row.map === 3) this.byte(0x3a);
    this.byte(opcode);
    if (row.modrm !== MODRM_NONE) {
      this.byte(this.modrm);
      if (this.modrm < 0xc0) {
        if (this.sib >= 0) this.byte(this.sib);
        if (this.ripTarget !== 0) this.disp = this.ripTarget - (this.entry + this.length + 4 + this.immediateLength(info));
        this.number(this.disp, this.dispSize);
      }
    }
    let n = 0;
    for (const kind of info.kinds) {
      if (kind.role === 'immediate') {
        const value = immediates[n++], size = this.immediateSize(kind.token);
        this.number(value, Math.min(size, 4));
        if (size === 8) this.int32(highWord(rng, value));
      } else if (kind.role === 'moffs') this.moffs(info);
    }
  }

  private immediateSize(token: string): number {
    if (token === 'Ib' || token === 'sIb') return 1;
    if (token === 'Iw' || this.operandBits === 16) return 2;
    return token === 'Iv' && this.operandBits === 64 ? 8 : 4;
  }

  private immediateLength(info: RowInfo): number {
    let bytes = 0;
    for (const kind of info.kinds) if (kind.role === 'immediate') bytes += this.immediateSize(kind.token);
    return bytes;
  }

  private moffs(info: RowInfo): void {
    const other = this.prefixes.includes(0x67), { bits } = this.layout;
    const size = bits === 64 ? (other ? 4 : 8) : other === (bits === 32) ? 2 : 4;
    const bytes = info.row.operands.includes('Ob') ? 1 : this.operandBits / 8;
    const area = bits === 16 ? this.near : size === 8 ? this.anyArea() : this.low;
    const offset = this.chooseAddress(area, bytes, 1) - this.layout.segments[DS].base;
    this.number(offset, Math.min(size, 4));
    if (size === 8) this.int32(Math.floor(offset / 0x100000000));
  }
}
