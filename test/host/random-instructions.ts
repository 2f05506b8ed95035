/**
 * Random user-mode code: sequences of one to six instructions made from the opcode rows, with everything an instruction needs to do more
 * than fault prepared, and the flags that are undefined at each point tracked, so that no instruction reads one.
 */
import { MODRM_DIGIT, MODRM_FIXED, MODRM_NONE, MOD_MEMORY, MOD_REGISTER } from '../../src/cpu/opcodes/table';
import { widthBits } from '../../src/cpu/opcodes/operand-kinds';
import { MAX_CODE } from './random-code';
import type { CasePlan } from './random-code';
import { OVERRIDE, RAX, RBP, RBX, RCX, RDI, RDX, RSP } from './random-operands';
import { AF, CF, OF, STATUS, rowsFor } from './random-rows';
import type { Family, RowInfo } from './random-rows';
import { FAR_SELECTORS, LOADABLE, SELECTORS, TemplateWriter } from './random-templates';
import {
  BCD_AT, BCD_SLOTS, ENV16_AT, ENV16_SLOTS, ENV32_AT, ENV32_SLOTS, ENV_STRIDE, FCW_AT, FCW_SLOTS, FX_SLOTS, MXCSR_AT, MXCSR_SLOTS, SELECTORS_AT, SELECTOR_SLOTS, putFxImage, word32,
} from './random-values';
import type { Rng } from './random-values';
import { CASE_CODE_BYTES, CASE_CODE_OFFSET, CASE_FLAGS, CASE_FX, CASE_RELOAD, CODE_PAGE, CODE_PAGES, CS, DS, ES, GS, PAGE, SS, STATE_PAGE, areaOf } from './user-layout';
import type { Layout } from './user-layout';

export type { CasePlan } from './random-code';

/** Rows of the x87 that store instruction and data pointers. */
const POINTER_STORES = new Set(['fnstenv', 'fnsave', 'fxsave', 'fxsave64']);
const STATE_LOADS = new Set(['fldenv', 'frstor', 'fxrstor', 'fxrstor64', 'fldcw', 'ldmxcsr', 'fbld']);
const READS_STATUS_WORD = new Set(['fnstsw', 'fnstenv', 'fnsave', 'fxsave', 'fxsave64']);
const BRANCHES_SHORT = new Set(['loop', 'loope', 'loopne', 'jrcxz']);
/** Control transfers whose target is data. */
const INDIRECT = new Set(['jmp', 'call', 'ret', 'retf', 'iret']);
/** Undefined beyond an interval around 0. */
const IN_DOMAIN_ONLY = new Set(['f2xm1', 'fyl2xp1']);
/** 128-bit memory operands without alignment check. */
const UNALIGNED = /^(movup[sd]|movdqu|lddqu|pcmp[ei]str[im])$/;
const COMPARES_X87_TO_FLAGS = /^fu?comip?$/;
const SELECTOR_ROWS = /^(verr|verw|lar|lsl|arpl)$/;
const SHIFTS = /^(shl|shr|sar)$/, ROTATES = /^(rol|ror|rcl|rcr)$/, DOUBLE_SHIFTS = /^sh[lr]d$/;
const SEGMENT_OPERAND = /^[CDEFGS]S$/;

export class CaseGenerator extends TemplateWriter {
  private readonly byFamily: Record<Family, RowInfo[]> = { integer: [], x87: [], mmx: [], sse: [], system: [] };
  private readonly rows: RowInfo[];
  private readonly only: RowInfo[] | undefined;
  private mayUnmaskInvalid = false;
  private x87Used = false;
  private inLoop = false;

  /** `only`: mnemonics or handler keys to concentrate on. */
  constructor(layout: Layout, only: readonly string[] = []) {
    super(layout);
    this.rows = rowsFor(layout.bits);
    for (const info of this.rows) {
      this.byFamily[info.family].push(info);
      const list = this.byName.get(info.row.mnemonic);
      if (list === undefined) this.byName.set(info.row.mnemonic, [info]);
      else list.push(info);
    }
    if (only.length > 0) {
      this.only = this.rows.filter((info) => only.includes(info.row.mnemonic) || only.includes(info.row.handler));
      if (this.only.length === 0) throw new Error(`no ${layout.bits}-bit row is called ${only.join(', ')}`);
    }
  }

  // --- Cases ---

  /** Makes a case at cases[at]. `sequence` moves the code along, so that it lies elsewhere each time. */
  make(rng: Rng, cases: Uint8Array, at: number, sequence: number): CasePlan {
    this.startCase(rng, cases, at);
    let offset = (sequence * 176) % (CODE_PAGES * PAGE - CASE_CODE_BYTES);
    if (rng.chance(8)) offset = PAGE * (1 + rng.below(CODE_PAGES - 1)) - rng.below(40);
    this.setEntry(areaOf(this.layout, 'code').linear + offset);
    this.view.setUint32(CASE_CODE_OFFSET, CODE_PAGE * PAGE + offset, true);
    this.makeRegisters(rng);
    let flags = 0x202 | (rng.word() & STATUS) | (rng.chance(15) ? 0x400 : 0);
    if (rng.chance(2)) flags |= 0x40000;
    if (rng.chance(2)) flags |= 0x200000;
    this.view.setUint32(CASE_FLAGS, flags, true);
    putFxImage(rng, this.view, CASE_FX, rng.chance(12));
    this.mayUnmaskInvalid = (this.view.getUint16(CASE_FX, true) & 1) === 0;
    this.x87Used = false;
    this.makeSequence();
    this.finishCase();
    this.storeRegisters();
    if (this.segmentsChanged) this.view.setUint32(CASE_RELOAD, 1, true);
    return this.plan;
  }

  private makeSequence(): void {
    const { rng } = this, concentrated = this.only !== undefined;
    const count = 1 + rng.below(concentrated ? 3 : 6), style = rng.below(20);
    this.inLoop = false;
    if (!concentrated && rng.chance(6)) {
      this.inLoop = true;
      this.selfModifyingTemplate(() => {
        if (this.length < MAX_CODE) this.emitRow(this.chooseRow(0));
      });
      return;
    }
    this.inLoop = !concentrated && rng.chance(8);
    const loopStart = this.length;
    if (this.inLoop) this.openLoop(2 + rng.below(5));
    for (let i = 0; i < count && this.length < MAX_CODE; i++) {
      if (!concentrated && style < 14 && rng.chance(7)) this.branchTemplate();
      else {
        const info = this.chooseRow(style);
        this.emitRow(info);
        if (info.approximate !== '') break;
      }
    }
    if (this.inLoop) this.closeLoop(loopStart);
  }

  private chooseRow(style: number): RowInfo {
    const { rng } = this;
    let unknown = this.undefined;
    for (let n = this.merged; n < this.merges.length; n++) unknown |= this.merges[n] ?? 0;
    for (let tries = 0; ; tries++) {
      let list: readonly RowInfo[];
      if (this.only !== undefined && tries < 50 && rng.chance(70)) list = this.only;
      else if (style < 8) list = this.byFamily.integer;
      else if (style < 11) list = this.byFamily.sse;
      else if (style < 13) list = this.byFamily.x87;
      else if (style < 14) list = this.byFamily.mmx;
      else if (style < 15 && !this.inLoop) list = this.byFamily.system;
      else list = this.rows;
      const info = rng.pick(list);
      if ((info.reads & unknown) === 0 && this.allowed(info) && (tries >= 30 || this.suitable(info))) return info;
    }
  }

  /** False for rows whose results would be undefined here. */
  private allowed(info: RowInfo): boolean {
    const { mnemonic } = info.row;
    if (IN_DOMAIN_ONLY.has(mnemonic) && this.x87Used) return false;
    if (this.plan.ignoreC1 && READS_STATUS_WORD.has(mnemonic)) return false;
    // C1 after FCOMI may be read in the next round; segments are loaded once.
    return !this.inLoop || (info.approximate === '' && info.family !== 'system' && !COMPARES_X87_TO_FLAGS.test(mnemonic));
  }

  /** False for rows whose implicit operands would make them fault in this case: those are taken rarely. */
  private suitable(info: RowInfo): boolean {
    const { row } = info, { rng } = this;
    if (row.repeat !== 0 && !this.stringy) return rng.chance(4);
    if (row.mnemonic === 'xlat') return this.isPointer(RBX) || rng.chance(5);
    if (row.mnemonic === 'leave' || row.mnemonic === 'enter') return this.pointers.some((pointer) => pointer.reg === RBP && pointer.area === this.stack) || rng.chance(5);
    if (row.mnemonic === 'maskmovq' || row.mnemonic === 'maskmovdqu') return this.isPointer(RDI) || rng.chance(5);
    if (row.cpl0 || /^(in|out|ins|outs|cli|sti|ud[012])$/.test(row.mnemonic)) return this.only !== undefined || rng.chance(10);
    return true;
  }

  // --- One instruction from a row ---

  private emitRow(info: RowInfo): void {
    const { row, rm } = info, { rng } = this;
    this.prepare(info);
    this.begin(info.index);
    this.prepared = false;
    this.clearInstruction();
    if (info.kinds.some((kind) => kind.role === 'relative')) {
      this.emitBranch(info);
      return;
    }
    this.chooseOperandSize(info);
    // The immediates first: what the flags of a shift need to know.
    const immediates: number[] = [];
    for (const kind of info.kinds) if (kind.role === 'immediate') immediates.push(this.immediateValue(info, kind.token));
    if (row.modrm === MODRM_FIXED) this.modrm = row.modrmValue;
    else if (row.modrm !== MODRM_NONE) {
      let memory = row.mod === MOD_MEMORY || (row.mod !== MOD_REGISTER && rng.chance(50));
      if (rm !== undefined && !rm.memory) memory = false;
      // Register forms of 0F 0D: #UD on AMD, NOP on Intel.
      if (row.opcode === 0x0d && row.map === 1) memory = true;
      const regField = row.modrm === MODRM_DIGIT ? row.modrmValue : this.registerField(info, memory);
      if (memory) this.memoryOperand(info);
      else this.registerOperand(info);
      this.modrm |= (regField & 7) << 3;
      if (regField >= 8) this.rexBits |= 4;
    }
    this.finishPrefixes(info);
    if (info.kinds.some((kind) => kind.role === 'far')) this.farPointer(info);
    else this.encode(info, immediates);
    this.updateFlags(info, immediates[0] ?? 0);
    this.afterwards(info);
  }

  /** A far CALL or JMP to anywhere. */
  private farPointer(info: RowInfo): void {
    this.encode(info, []);
    this.number(word32(this.rng), this.operandBits === 16 ? 2 : 4);
    this.number(this.rng.pick(FAR_SELECTORS), 2);
  }

  /** Auxiliary instructions before the row, so that it does more than fault. */
  private prepare(info: RowInfo): void {
    const { row } = info, { rng } = this;
    if (row.mnemonic === 'popf') {
      if (rng.chance(90)) this.pushConstant(this.randomFlags());
    } else if (row.mnemonic === 'div' || row.mnemonic === 'idiv') {
      if (!rng.chance(75)) return;
      if (row.operands[0] === 'Eb') this.loadConstant(RAX, rng.below(2) === 0 ? rng.below(256) : rng.below(0x2000));
      else if (row.mnemonic === 'div') this.loadConstant(RDX, rng.below(3) === 0 ? rng.below(16) : 0);
      else {
        // cwd, cdq, cqo
        this.beginPreparation();
        if (this.is64) this.byte(0x48);
        this.byte(0x99);
      }
    } else if (row.operands[0] === 'Sw') this.loadConstant(RAX, rng.pick(LOADABLE));
    else if (row.mnemonic === 'pop' && SEGMENT_OPERAND.test(row.operands[0])) {
      if (rng.chance(90)) this.pushConstant(rng.pick(LOADABLE));
    } else if (SELECTOR_ROWS.test(row.mnemonic)) {
      this.loadConstant(RAX, rng.pick(SELECTORS));
      if (row.mnemonic === 'arpl') this.loadConstant(RCX, rng.pick(SELECTORS));
    } else if (DOUBLE_SHIFTS.test(row.mnemonic) && row.operands[2] === 'CL') {
      // Counts beyond 16 make 16-bit results undefined.
      this.loadConstant(RCX, rng.below(17));
    }
  }

  private chooseOperandSize(info: RowInfo): void {
    const { row } = info, { rng } = this, { bits } = this.layout;
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
    if (!this.is64 && row.mnemonic === 'push' && SEGMENT_OPERAND.test(row.operands[0])) {
      const offset = this.lo[RSP] + this.layout.segments[SS].base - 4 - this.stack.linear;
      const known = this.plan.starts.length === 1 && offset >= 0 && offset <= 2 * PAGE - 4 && (offset & 3) === 0;
      n = bits === 16 || (known && this.patch(this.stack.first * PAGE + offset, [0, 0, 0, 0])) ? 9 : 0;
    }
    // With a 16-bit operand AMD reads 32 bits of memory, Intel 16.
    if (row.mnemonic === 'movsxd' && n < 3) n += 4;
    if (n < 3) {
      this.operandBits = bits === 16 ? 32 : 16;
      this.prefixes.push(0x66);
    } else if (this.is64 && row.default64) {
      this.operandBits = 64;
      if (n === 3) this.rexW = 1;
    } else if (this.is64 && n < 7 && !row.operands.includes('Mp')) {
      this.operandBits = 64;
      this.rexW = 1;
      if (n === 3) this.prefixes.push(0x66);
    }
  }

  private immediateValue(info: RowInfo, token: string): number {
    const { row } = info, { rng } = this;
    // ENTER checks the alignment at the final stack pointer on AMD.
    if (token === 'Iw') return row.mnemonic === 'enter' ? 8 * rng.below(8) : rng.below(5) * 4;
    if (row.mnemonic === 'enter') return rng.chance(60) ? 0 : rng.below(5);
    if (row.mnemonic === 'aam' || row.mnemonic === 'aad') return rng.chance(50) ? 10 : rng.below(256);
    if (row.mnemonic === 'int') return this.interruptVector();
    if (SHIFTS.test(row.mnemonic) || ROTATES.test(row.mnemonic)) {
      return rng.chance(60) ? rng.below(this.operandBits) : rng.pick([0, 1, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 128, 255]);
    }
    if (DOUBLE_SHIFTS.test(row.mnemonic)) return this.operandBits === 16 ? rng.below(17) + (rng.below(4) << 5) : rng.below(256);
    if (/^ps[rl]/.test(row.mnemonic)) return rng.chance(80) ? rng.below(66) : rng.below(256);
    return token === 'Ib' ? rng.below(256) : word32(rng);
  }

  /** Not 80h (a system call) nor those through which Linux reports debugging. */
  private interruptVector(): number {
    const vector = this.rng.chance(20) ? 4 : this.rng.below(256);
    return vector === 0x80 || vector === 1 || vector === 3 ? 5 : vector;
  }

  private registerField(info: RowInfo, memory: boolean): number {
    const { row, reg } = info, { rng } = this;
    if (reg === undefined) return 0;
    switch (reg.registers) {
      case 'general':
        // The bit offset moves the memory operand.
        if (memory && /^bt[src]?$/.test(row.mnemonic) && row.operands[1] === 'Gv' && rng.chance(90)) return rng.pick(this.small);
        if (row.mnemonic === 'arpl') return RCX;
        return this.generalRegister(typeof reg.width === 'number' ? reg.width : 32);
      case 'mmx': return rng.below(8);
      case 'xmm': return rng.below(this.is64 ? 16 : 8);
      case 'segment':
        if (row.operands[0] !== 'Sw') return rng.below(6);
        this.segmentsChanged = true;
        return rng.chance(3) ? 1 : rng.chance(3) ? 6 : rng.pick([0, 2, 3, 4, 5]);
      case 'control': return rng.pick([0, 2, 3, 4]);
      case 'debug': return rng.pick([0, 1, 2, 3, 6, 7]);
      default: return rng.below(8);
    }
  }

  private registerOperand(info: RowInfo): void {
    const { rm, row } = info, { rng } = this;
    let n = rng.below(8);
    if (rm !== undefined) {
      if (SELECTOR_ROWS.test(row.mnemonic) || row.operands[0] === 'Sw') n = RAX;
      else if (rm.registers === 'general') n = this.generalRegister(typeof rm.width === 'number' ? rm.width : 32);
      else if (rm.registers === 'xmm') n = rng.below(this.is64 ? 16 : 8);
    }
    if (row.mnemonic === 'cmpxchg' && rng.chance(25)) n = RAX;
    this.modrm |= 0xc0 | (n & 7);
    if (n >= 8) this.rexBits |= 1;
  }

  // --- Memory operands ---

  /** Bytes that the row's memory operand takes. */
  private memoryBytes(info: RowInfo): number {
    const { rm } = info;
    if (rm === undefined) return 1;
    if (rm.width === 'far') return this.operandBits / 8 + 2;
    if (rm.width === 'pair') return this.operandBits / 4;
    return widthBits(rm.width, this.operandBits) / 8;
  }

  private memoryOperand(info: RowInfo): void {
    const { row } = info, { rng } = this;
    if (POINTER_STORES.has(row.mnemonic) || STATE_LOADS.has(row.mnemonic)) this.stateOperand(info);
    else if (SELECTOR_ROWS.test(row.mnemonic) || row.operands[0] === 'Sw') this.selectorOperand(info);
    else if (row.mnemonic === 'lea') this.wildOperand();
    else if (info.rm?.width === 'none') this.steer(1, 1);
    else if (rng.chance(2)) this.wildOperand();
    else {
      const bytes = this.memoryBytes(info);
      const aligned = (info.family === 'sse' && bytes === 16 && !UNALIGNED.test(row.mnemonic)) || row.mnemonic === 'cmpxchg16b';
      this.steer(bytes, aligned && rng.chance(96) ? 16 : 1);
      if (this.target >= 0) this.prepareMemory(info, bytes);
    }
  }

  /** Memory contents that the row needs. */
  private prepareMemory(info: RowInfo, bytes: number): void {
    const { row } = info, { rng } = this;
    const registerBytes = (reg: number, count: number): number[] => {
      const data: number[] = [];
      for (let i = 0; i < count; i++) data.push((i < 4 ? this.lo[reg] >>> (8 * i) : this.hi[reg] >>> (8 * (i - 4))) & 255);
      return data;
    };
    if (row.mnemonic === 'cmpxchg' && rng.chance(40)) this.patch(this.target, registerBytes(RAX, bytes));
    else if (row.mnemonic === 'cmpxchg8b' && rng.chance(50)) this.patch(this.target, [...registerBytes(RAX, 4), ...registerBytes(RDX, 4)]);
    else if (row.mnemonic === 'cmpxchg16b' && rng.chance(50)) this.patch(this.target, [...registerBytes(RAX, 8), ...registerBytes(RDX, 8)]);
    else if (/^l[defgs]s$/.test(row.mnemonic)) {
      const selector = rng.pick(LOADABLE);
      this.patch(this.target, [...registerBytes(rng.below(8), this.operandBits / 8), selector & 255, selector >> 8]);
    } else if (row.mnemonic === 'bound' && rng.chance(80)) {
      const size = this.operandBits / 8, low: number[] = [], high: number[] = [];
      for (let i = 0; i < size; i++) {
        low.push(i === size - 1 ? 0x80 : 0);
        high.push(i === size - 1 ? 0x7f : 0xff);
      }
      this.patch(this.target, [...low, ...high]);
    }
  }

  /** A selector in the state page, where nothing else is stored: a random one might name a descriptor of the kernel's. */
  private selectorOperand(info: RowInfo): void {
    const offset = SELECTORS_AT + 2 * this.rng.below(SELECTOR_SLOTS);
    if (this.patch(STATE_PAGE * PAGE + offset, [this.rng.pick(LOADABLE), 0])) this.absoluteOperand(this.state, this.state.linear + offset);
    else this.registerOperand(info);
  }

  /** An operand in the state page, by absolute address. */
  private stateOperand(info: RowInfo): void {
    const { row } = info, { rng, plan } = this;
    let offset: number;
    switch (row.mnemonic) {
      case 'fxsave': case 'fxsave64': case 'fxrstor': case 'fxrstor64':
        offset = 512 * rng.below(FX_SLOTS);
        if (row.mnemonic.startsWith('fxsave')) plan.masks.push([STATE_PAGE * PAGE + offset + 6, 18], [STATE_PAGE * PAGE + offset + 28, 4]);
        if (rng.chance(3)) offset += 8;
        break;
      case 'fldcw': offset = FCW_AT + 2 * rng.below(FCW_SLOTS); break;
      case 'ldmxcsr': offset = MXCSR_AT + 4 * rng.below(MXCSR_SLOTS); break;
      case 'fbld': offset = BCD_AT + 16 * rng.below(BCD_SLOTS); break;
      default: {
        // The environment's layout goes by the operand size.
        const other = rng.chance(25), narrow = other !== (this.layout.bits === 16);
        if (other) this.prefixes.push(0x66);
        offset = narrow ? ENV16_AT + ENV_STRIDE * rng.below(ENV16_SLOTS) : ENV32_AT + ENV_STRIDE * rng.below(ENV32_SLOTS);
        if (row.mnemonic[1] === 'n') plan.masks.push(narrow ? [STATE_PAGE * PAGE + offset + 6, 8] : [STATE_PAGE * PAGE + offset + 12, 16]);
      }
    }
    if (row.mnemonic !== 'fbld' && row.mnemonic !== 'ldmxcsr' && !POINTER_STORES.has(row.mnemonic)) this.mayUnmaskInvalid = true;
    this.absoluteOperand(this.state, this.state.linear + offset);
  }

  // --- Prefixes, branches ---

  private finishPrefixes(info: RowInfo): void {
    const { row } = info, { rng } = this;
    const memory = row.modrm !== MODRM_NONE && this.modrm < 0xc0, plain = row.map === 0 && row.prefix === '' && info.family === 'integer' && row.opcode !== 0x90;
    if (row.lock && memory && rng.chance(15)) this.prefixes.push(0xf0);
    // AMD does not refuse LOCK with VERR and VERW, and reads LOCK MOV CR0 as MOV CR8.
    else if (rng.chance(0.3) && !/^ver[rw]$/.test(row.mnemonic) && !row.operands.includes('Cy')) this.prefixes.push(0xf0);
    if (row.repeat !== 0) {
      if (rng.chance(60)) this.prefixes.push(row.repeat === 2 && rng.chance(50) ? 0xf2 : 0xf3);
      if (rng.chance(6)) this.prefixes.push(0x67);
      if (rng.chance(5)) this.prefixes.push(OVERRIDE[rng.pick(this.is64 ? [ES, CS, SS, DS] : [ES, SS, DS, GS])]);
    } else if (plain && rng.chance(1)) this.prefixes.push(rng.pick([0xf2, 0xf3]));
    if (plain && !info.sized && !row.forced64 && rng.chance(2)) this.prefixes.push(0x66);
    if (info.kinds.some((kind) => kind.role === 'moffs') && rng.chance(15)) this.prefixes.push(0x67);
  }

  private emitBranch(info: RowInfo): void {
    const { row } = info, { rng } = this;
    const long = row.operands[0] === 'Jz', is16 = this.layout.bits === 16;
    // In 64-bit code 66h is ignored by Intel and obeyed by AMD.
    const other = !this.is64 && long && rng.chance(is16 ? 10 : 3);
    if (other) this.byte(0x66);
    if (BRANCHES_SHORT.has(row.mnemonic) && rng.chance(15)) this.byte(0x67);
    if (row.map === 0 && rng.chance(4)) this.byte(rng.pick([0x2e, 0x3e]));
    if (row.map === 1) this.byte(0x0f);
    this.byte(row.opcode);
    this.relative(this.laterBoundary(), !long ? 1 : other !== is16 ? 2 : 4);
  }

  // --- Consequences ---

  /** Brings the initial ST(0), if it is a number, below 2^(exponent - 3FFEh). */
  private reduceTop(exponent: number): void {
    const at = CASE_FX + 32 + 8, word = this.view.getUint16(at, true);
    if ((word & 0x7fff) > exponent && (word & 0x7fff) !== 0x7fff) this.view.setUint16(at, (word & 0x8000) | (exponent - (word & 63)), true);
  }

  private updateFlags(info: RowInfo, count: number): void {
    const { row } = info;
    if (SHIFTS.test(row.mnemonic) || ROTATES.test(row.mnemonic) || DOUBLE_SHIFTS.test(row.mnemonic)) {
      const last = row.operands[row.operands.length - 1];
      this.updateShiftFlags(info, last === '1' ? 1 : last === 'CL' ? -1 : count);
      return;
    }
    // A count of zero leaves the flags alone.
    if (row.repeat !== 0) return;
    if (COMPARES_X87_TO_FLAGS.test(row.mnemonic)) {
      // AMD leaves flags and C1 as they are when an unmasked invalid operation is found; Intel clears C1.
      this.plan.ignoreC1 = true;
      if (this.mayUnmaskInvalid) {
        this.undefined |= STATUS;
        return;
      }
    }
    this.undefined = (this.undefined & ~info.defined) | info.undefinedFlags;
  }

  /** `count`: -1 if it is in CL. */
  private updateShiftFlags(info: RowInfo, count: number): void {
    const { row } = info, bits = row.operands[0] === 'Eb' ? 8 : this.operandBits;
    const masked = count < 0 ? count : count & (bits === 64 ? 63 : 31);
    if (masked === 0) return;
    let doubtful = OF | (ROTATES.test(row.mnemonic) ? 0 : AF);
    if ((row.mnemonic === 'shl' || row.mnemonic === 'shr') && bits < 32 && (masked < 0 || masked >= bits)) doubtful |= CF;
    if (masked < 0) {
      this.undefined |= doubtful;
      return;
    }
    if (masked === 1) doubtful &= ~OF;
    this.undefined = (this.undefined & ~(info.defined | OF)) | doubtful;
  }

  private afterwards(info: RowInfo): void {
    const { row } = info;
    if (INDIRECT.has(row.mnemonic)) this.plan.wild.push(this.plan.starts.length - 1);
    if (info.approximate !== '') this.plan.approximate = info.approximate;
    if (IN_DOMAIN_ONLY.has(row.mnemonic)) this.reduceTop(row.mnemonic === 'f2xm1' ? 0x3ffe : 0x3ffc);
    if (info.family === 'x87' || info.family === 'mmx') this.x87Used = true;
    if (/^l[defgs]s$/.test(row.mnemonic) || (row.mnemonic === 'pop' && SEGMENT_OPERAND.test(row.operands[0]))) this.segmentsChanged = true;
  }
}
