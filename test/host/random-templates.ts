/** Sequences that hang together: control transfers with their targets prepared, loops, code that changes itself. */
import { OVERRIDE, OperandWriter } from './random-operands';
import type { RowInfo } from './random-rows';
import { MXCSR_AT, word32 } from './random-values';
import { CASE_CODE, CASE_CODE_BYTES, CASE_CODE_OFFSET, CS, DS, FS, PAGE, STATE_PAGE, USER_CS64, USER_DATA, areaOf } from './user-layout';

/** Selectors for LAR and its kin; loads and far transfers take some of them. */
export const SELECTORS = [0x2b, 0x2b, 0x2b, 0x28, 0, 3, 1, 0x23, 0x33, 0x10, 0x18, 7, 0x0f, 0x83, 0xffff];
/** For segment loads: null selectors without RPL, which a timer interrupt would clear; no small segment, which SS must not become. */
export const LOADABLE = SELECTORS.filter((selector) => (selector === 0 || selector > 3) && selector !== 7);
/** For far transfers: no code of another size, but for the way out. */
export const FAR_SELECTORS = SELECTORS.filter((selector) => selector !== 0x23 && selector !== 0x33 && selector !== 0x0f);
/** More than a case has: a branch out of the sequence. */
const MAX_INSTRUCTIONS = 64;
/** The loop counter's place in the state page. */
const COUNTER_AT = MXCSR_AT - 16;

export class TemplateWriter extends OperandWriter {
  protected readonly byName = new Map<string, RowInfo[]>();

  private find(mnemonic: string, operands: string): RowInfo {
    const info = this.byName.get(mnemonic)?.find((one) => one.row.operands.join() === operands);
    if (info === undefined) throw new Error(`no row ${mnemonic} ${operands}`);
    return info;
  }

  protected randomFlags(): number {
    const { rng } = this;
    return (rng.word() & 0xcd5) | 0x202 | (rng.chance(5) ? 0x100 : 0) | (rng.chance(5) ? 0x40000 : 0) | (rng.chance(5) ? 0x200000 : 0) | (rng.chance(3) ? rng.word() & ~0x100 : 0);
  }

  // --- Auxiliary instructions: they prepare an operand and leave the flags alone ---

  /** mov reg32, imm32 */
  protected loadConstant(reg: number, value: number): void {
    this.beginPreparation();
    if (this.layout.bits === 16) this.byte(0x66);
    if (reg >= 8) this.byte(0x41);
    this.byte(0xb8 + (reg & 7));
    this.int32(value);
  }

  /** mov reg, address of a boundary */
  private loadBoundary(reg: number, target: number): void {
    this.beginPreparation();
    if (this.is64) this.byte(reg >= 8 ? 0x49 : 0x48);
    this.byte(0xb8 + (reg & 7));
    this.absolute(target, this.wordBytes);
  }

  protected pushConstant(value: number): void {
    this.beginPreparation();
    this.byte(0x68);
    this.number(value, this.layout.bits === 16 ? 2 : 4);
  }

  private pushSelector(percent: number): void {
    this.beginPreparation();
    this.bytes(0x6a, this.rng.chance(percent) ? this.rng.pick(FAR_SELECTORS) : this.layout.segments[CS].selector);
  }

  private pushRegister(reg: number): void {
    this.beginPreparation();
    if (reg >= 8) this.byte(0x41);
    this.byte(0x50 + (reg & 7));
  }

  // --- Control transfers that need their target prepared ---

  protected branchTemplate(): void {
    this.mergeBranches();
    switch (this.rng.below(this.is64 ? 8 : 11)) {
      case 0: case 1: this.nearThroughRegister(); break;
      case 2: case 3: this.nearReturn(); break;
      case 4: case 5: this.nearThroughMemory(); break;
      case 6: this.farReturn(); break;
      case 7: this.interruptReturn(); break;
      case 8: case 9: this.farDirect(); break;
      default: this.farThroughMemory(); break;
    }
    this.prepared = false;
  }

  private nearThroughRegister(): void {
    const reg = this.scratch(), call = this.rng.chance(50);
    this.loadBoundary(reg, this.leadTo(this.laterBoundary(2)));
    this.begin(this.find(call ? 'call' : 'jmp', 'Ev').index);
    if (reg >= 8) this.byte(0x41);
    this.bytes(0xff, (call ? 0xd0 : 0xe0) | (reg & 7));
  }

  private nearReturn(): void {
    const reg = this.scratch(), release = this.rng.chance(50);
    this.loadBoundary(reg, this.leadTo(this.laterBoundary(3)));
    this.pushRegister(reg);
    this.begin(this.find('ret', release ? 'Iw' : '').index);
    if (release) this.bytes(0xc2, 4 * this.rng.below(5), 0);
    else this.byte(0xc3);
  }

  private nearThroughMemory(): void {
    const info = this.find(this.rng.chance(50) ? 'jmp' : 'call', 'Ev');
    this.begin(info.index);
    this.clearInstruction();
    this.steer(this.wordBytes, 1);
    this.modrm |= info.row.modrmValue << 3;
    if (this.target >= 0) this.patchAddress(this.target, this.wordBytes, this.leadTo(this.laterBoundary()), []);
    this.plan.wild.push(this.plan.starts.length - 1);
    this.encode(info, []);
  }

  /** To the same code segment. */
  private farReturn(): void {
    const reg = this.scratch(), release = this.rng.chance(30);
    this.loadBoundary(reg, this.leadTo(this.laterBoundary(4)));
    this.pushSelector(5);
    this.pushRegister(reg);
    this.begin(this.find('retf', release ? 'Iw' : '').index);
    if (this.is64) this.byte(0x48);
    if (release) this.bytes(0xca, 4 * this.rng.below(5), 0);
    else this.byte(0xcb);
  }

  /** To the same privilege level. */
  private interruptReturn(): void {
    const reg = this.scratch(), target = this.leadTo(this.laterBoundary(6));
    if (this.is64) {
      this.beginPreparation();
      this.bytes(0x6a, USER_DATA);
      this.beginPreparation();
      // push rsp
      this.byte(0x54);
    }
    this.pushConstant(this.randomFlags());
    this.pushSelector(4);
    this.loadBoundary(reg, target);
    this.pushRegister(reg);
    this.begin(this.find('iret', '').index);
    if (this.is64) this.byte(0x48);
    this.byte(0xcf);
  }

  private farDirect(): void {
    const { rng } = this, call = rng.chance(50), wide = this.layout.bits === 32 || rng.chance(30);
    this.begin(this.find(call ? 'call' : 'jmp', 'Ap').index);
    // AMD pushes on the 64-bit stack when it calls 64-bit code: the same only where SS is flat.
    const leaves = wide && (!call || this.layout.bits === 32) && rng.chance(10);
    if (wide !== (this.layout.bits === 32)) this.byte(0x66);
    this.byte(call ? 0x9a : 0xea);
    if (leaves) {
      // Out by the stub's 64-bit entry.
      this.int32(this.layout.stub);
      this.bytes(USER_CS64, 0);
      this.leadTo(MAX_INSTRUCTIONS);
      return;
    }
    this.absolute(this.leadTo(this.laterBoundary()), wide ? 4 : 2);
    this.number(rng.chance(5) ? rng.pick(FAR_SELECTORS) : this.layout.segments[CS].selector, 2);
  }

  private farThroughMemory(): void {
    const { rng } = this, selector = rng.chance(5) ? rng.pick(FAR_SELECTORS) : this.layout.segments[CS].selector;
    const info = this.find(rng.chance(50) ? 'jmp' : 'call', 'Mp');
    this.begin(info.index);
    this.clearInstruction();
    this.steer(this.wordBytes + 2, 1);
    this.modrm |= info.row.modrmValue << 3;
    if (this.target >= 0) this.patchAddress(this.target, this.wordBytes, this.leadTo(this.laterBoundary()), [selector & 255, selector >> 8]);
    this.plan.wild.push(this.plan.starts.length - 1);
    this.encode(info, []);
  }

  // --- Loops ---

  /** Initial value of the loop counter. */
  protected openLoop(count: number): void {
    this.patch(STATE_PAGE * PAGE + COUNTER_AT, [count, 0, 0, 0]);
  }

  /** sub dword [counter], 1; jnz start: all flags are defined at the start of each round. */
  protected closeLoop(start: number): void {
    const linear = this.state.linear + COUNTER_AT;
    this.begin(-1);
    if (this.layout.bits === 16) {
      this.bytes(OVERRIDE[FS], 0x66, 0x83, 0x2e);
      this.number(linear - this.layout.segments[FS].base, 2);
    } else {
      if (this.is64) this.bytes(0x83, 0x2c, 0x25);
      else this.bytes(0x83, 0x2d);
      this.int32(linear);
    }
    this.byte(1);
    this.undefined = 0;
    // Not a boundary of its own: a branch that skips the subtraction would never end.
    this.bytes(0x0f, 0x85);
    const size = this.layout.bits === 16 ? 2 : 4;
    this.number(start - (this.length + size), size);
  }

  // --- Self-modifying code ---

  /** Code that changes an immediate of an instruction ahead, in the page that may be written and executed. `filler` writes any instruction. */
  protected selfModifyingTemplate(filler: () => void): void {
    const { rng } = this, area = areaOf(this.layout, 'selfModifying'), is16 = this.layout.bits === 16;
    const offset = rng.chance(10) ? PAGE - CASE_CODE_BYTES : rng.below(PAGE - CASE_CODE_BYTES);
    this.plan.selfModifying = true;
    this.setEntry(area.linear + offset);
    this.view.setUint32(CASE_CODE_OFFSET, area.first * PAGE + offset, true);
    for (let n = rng.below(2); n > 0; n--) filler();
    // mov dword [victim], value
    this.begin(-1);
    if (is16) this.byte(0x66);
    this.bytes(0xc7, is16 ? 0x06 : 0x05);
    const displacement = this.length;
    this.length += is16 ? 2 : 4;
    this.int32(word32(rng));
    const next = this.length;
    for (let n = rng.below(3); n > 0; n--) filler();
    const reg = this.scratch();
    this.begin(-1);
    if (is16) this.byte(0x66);
    if (reg >= 8) this.byte(0x41);
    this.byte(0xb8 + (reg & 7));
    const victim = this.length;
    this.int32(0x11111111);
    if (is16) this.view.setUint16(CASE_CODE + displacement, area.linear + offset + victim - this.layout.segments[DS].base, true);
    else this.view.setInt32(CASE_CODE + displacement, this.is64 ? victim - next : this.entry + victim, true);
    filler();
  }
}
