/**
 * The registers of a VGA display adapter (IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem", 1992) with the Bochs
 * display interface (dispi.ts) beside them. Memory accesses are in window.ts, what they mean as a picture in mode.ts and render.ts.
 *
 * Left out: light pen, the feature connector, vertical retrace interrupts (IRQ 2/9, which no PC software relies on), border colour.
 */
import { BYTE, WORD, type Device, type PortBus, type PortHandler } from '../device';
import { DISPI_DATA, DISPI_INDEX, Dispi, type DispiState } from './dispi';
import { VideoMemory } from './video-memory';

// Ports
const CRTC_MONO = 0x3b4, STATUS_MONO = 0x3ba, ATTRIBUTE = 0x3c0, ATTRIBUTE_READ = 0x3c1, MISC_WRITE = 0x3c2, ENABLE = 0x3c3, SEQUENCER = 0x3c4;
const PEL_MASK = 0x3c6, DAC_READ_INDEX = 0x3c7, DAC_WRITE_INDEX = 0x3c8, DAC_DATA = 0x3c9, FEATURE_READ = 0x3ca, MISC_READ = 0x3cc;
const GRAPHICS = 0x3ce, CRTC_COLOUR = 0x3d4, STATUS_COLOUR = 0x3da;

/** Miscellaneous output register: CRTC at 3Dxh, processor access to memory. */
export const MISC_COLOUR = 1, MISC_MEMORY_ENABLED = 2;
/** Input status 1. */
const DISPLAY_DISABLED = 1, VERTICAL_RETRACE = 8;
/** Input status 0: a monitor is sensed. */
const SWITCH_SENSE = 0x10;
/** Attribute index register: the palette belongs to the display, not to the processor. */
export const PALETTE_ON = 0x20;
/** CRTC 11h: registers 0 to 7 cannot be written, but for the line-compare bit of 7. */
const CRTC_PROTECTED = 0x80, LINE_COMPARE_BIT_8 = 0x10;

const SEQUENCER_REGISTERS = 5, CRTC_REGISTERS = 25, GRAPHICS_REGISTERS = 9, ATTRIBUTE_REGISTERS = 21;
/** Bits that exist in the registers of each group. */
const SEQUENCER_BITS = [0x03, 0x3d, 0x0f, 0x3f, 0x0e];
const GRAPHICS_BITS = [0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff];

/** Horizontal lines per second of every VGA mode. */
const LINES_PER_SECOND = 31_469;

export interface VgaState {
  misc: number;
  sequencer: number[];
  crtc: number[];
  graphics: number[];
  attribute: number[];
  dac: number[];
  indexes: number[];
  latch: number;
  dispi: DispiState;
}

/** Seconds since power-on, for the retrace bits; constant where nobody has a clock. */
export type SecondsNow = () => number;

export class Vga implements Device<VgaState>, PortHandler {
  readonly memory: VideoMemory;
  readonly dispi: Dispi;
  misc = 0;
  readonly sequencer = new Uint8Array(SEQUENCER_REGISTERS);
  readonly crtc = new Uint8Array(CRTC_REGISTERS);
  readonly graphics = new Uint8Array(GRAPHICS_REGISTERS);
  readonly attribute = new Uint8Array(ATTRIBUTE_REGISTERS);
  /** Red, green, blue of each of the 256 colours, 6 bits each, or 8 where DISPI asked for that. */
  readonly dac = new Uint8Array(768);
  pelMask = 0xff;
  /** The attribute controller's index with PALETTE_ON. */
  attributeIndex = 0;
  /** Counts changes that may concern the whole picture: registers, palette. */
  version = 0;
  private readonly seconds: SecondsNow;
  private sequencerIndex = 0;
  private crtcIndex = 0;
  private graphicsIndex = 0;
  /** The next write to 3C0h is data. */
  private attributeData = false;
  private dacReading = false;
  private dacReadAt = 0;
  private dacWriteAt = 0;
  private dispiIndex = 0;

  constructor(memory: VideoMemory, seconds: SecondsNow) {
    this.memory = memory;
    this.seconds = seconds;
    this.dispi = new Dispi(memory);
    memory.registers = this;
    this.reset();
  }

  attach(bus: PortBus): void {
    bus.map(CRTC_MONO, 2, this, BYTE);
    bus.map(STATUS_MONO, 1, this, BYTE);
    bus.map(ATTRIBUTE, 16, this, BYTE);
    bus.map(CRTC_COLOUR, 2, this, BYTE);
    bus.map(STATUS_COLOUR, 1, this, BYTE);
    bus.map(DISPI_INDEX, 3, this, WORD);
  }

  read(port: number): number {
    switch (port) {
      case ATTRIBUTE: return this.attributeIndex;
      case ATTRIBUTE_READ: return this.attribute[this.attributeIndex & 0x1f] ?? 0;
      case MISC_WRITE: return SWITCH_SENSE;
      case ENABLE: return 1;
      case SEQUENCER: return this.sequencerIndex;
      case SEQUENCER + 1: return this.sequencer[this.sequencerIndex] ?? 0;
      case PEL_MASK: return this.pelMask;
      case DAC_READ_INDEX: return this.dacReading ? 3 : 0;
      case DAC_WRITE_INDEX: return Math.floor(this.dacWriteAt / 3);
      case DAC_DATA: {
        const value = this.dac[this.dacReadAt];
        this.dacReadAt = (this.dacReadAt + 1) % 768;
        return value;
      }
      case FEATURE_READ: return 0;
      case MISC_READ: return this.misc;
      case GRAPHICS: return this.graphicsIndex;
      case GRAPHICS + 1: return this.graphics[this.graphicsIndex] ?? 0;
      case DISPI_INDEX: return this.dispiIndex;
      case DISPI_DATA:
      case DISPI_DATA + 1: return this.dispi.read(this.dispiIndex);
      default:
        if (!this.isSelected(port)) return 0xff;
        if ((port & 0xf) === 4) return this.crtcIndex;
        if ((port & 0xf) === 5) return this.crtc[this.crtcIndex] ?? 0;
        return this.inputStatus();
    }
  }

  write(port: number, _size: number, value: number): void {
    switch (port) {
      case ATTRIBUTE:
      case ATTRIBUTE_READ: this.writeAttribute(value); break;
      case MISC_WRITE: this.changeMisc(value); break;
      case SEQUENCER: this.sequencerIndex = value & 7; break;
      case SEQUENCER + 1: this.setRegister(this.sequencer, this.sequencerIndex, value & (SEQUENCER_BITS[this.sequencerIndex] ?? 0)); break;
      case PEL_MASK:
        this.version++;
        this.pelMask = value;
        break;
      case DAC_READ_INDEX:
        this.dacReading = true;
        this.dacReadAt = 3 * value;
        break;
      case DAC_WRITE_INDEX:
        this.dacReading = false;
        this.dacWriteAt = 3 * value;
        break;
      case DAC_DATA: this.writeDac(value); break;
      case GRAPHICS: this.graphicsIndex = value & 0xf; break;
      case GRAPHICS + 1: this.setRegister(this.graphics, this.graphicsIndex, value & (GRAPHICS_BITS[this.graphicsIndex] ?? 0)); break;
      case DISPI_INDEX: this.dispiIndex = value; break;
      case DISPI_DATA:
      case DISPI_DATA + 1: this.writeDispi(this.dispiIndex, value); break;
      default:
        if (!this.isSelected(port)) break;
        if ((port & 0xf) === 4) this.crtcIndex = value & 0x1f;
        else if ((port & 0xf) === 5) this.writeCrtc(this.crtcIndex, value);
    }
  }

  reset(): void {
    for (const registers of [this.sequencer, this.crtc, this.graphics, this.attribute, this.dac]) registers.fill(0);
    this.misc = this.attributeIndex = this.sequencerIndex = this.crtcIndex = this.graphicsIndex = this.dacReadAt = this.dacWriteAt = this.dispiIndex = 0;
    this.attributeData = this.dacReading = false;
    this.pelMask = 0xff;
    this.version++;
    this.dispi.reset();
    this.memory.reset();
    this.memory.selectAccess();
  }

  save(): VgaState {
    const { sequencerIndex, crtcIndex, graphicsIndex, attributeIndex, dacReadAt, dacWriteAt, dispiIndex, pelMask } = this;
    return {
      misc: this.misc, sequencer: [...this.sequencer], crtc: [...this.crtc], graphics: [...this.graphics], attribute: [...this.attribute],
      dac: [...this.dac], latch: this.memory.latch, dispi: this.dispi.save(),
      indexes: [sequencerIndex, crtcIndex, graphicsIndex, attributeIndex, Number(this.attributeData), dacReadAt, dacWriteAt, Number(this.dacReading), dispiIndex, pelMask],
    };
  }

  restore(state: VgaState): void {
    this.misc = state.misc;
    this.sequencer.set(state.sequencer);
    this.crtc.set(state.crtc);
    this.graphics.set(state.graphics);
    this.attribute.set(state.attribute);
    this.dac.set(state.dac);
    const [sequencerIndex, crtcIndex, graphicsIndex, attributeIndex, attributeData, dacReadAt, dacWriteAt, dacReading, dispiIndex, pelMask] = state.indexes;
    Object.assign(this, { sequencerIndex, crtcIndex, graphicsIndex, attributeIndex, dacReadAt, dacWriteAt, dispiIndex, pelMask });
    this.attributeData = attributeData !== 0;
    this.dacReading = dacReading !== 0;
    this.dispi.restore(state.dispi);
    this.memory.latch = state.latch;
    this.version++;
    this.memory.contentChanged();
    this.memory.selectAccess();
  }

  /** Puts register values into place as firmware does when it sets a mode: see text-mode.ts. */
  load(registers: { misc: number; sequencer: readonly number[]; crtc: readonly number[]; graphics: readonly number[]; attribute: readonly number[] }): void {
    this.misc = registers.misc;
    this.sequencer.set(registers.sequencer);
    this.crtc.set(registers.crtc);
    this.graphics.set(registers.graphics);
    this.attribute.set(registers.attribute);
    this.attributeIndex = PALETTE_ON;
    this.version++;
    this.memory.selectAccess();
  }

  /** Writes a register of the Bochs interface. */
  writeDispi(index: number, value: number): void {
    this.version++;
    this.dispi.write(index, value);
    this.memory.selectAccess();
  }

  private setRegister(group: Uint8Array, index: number, value: number): void {
    if (index >= group.length || group[index] === value) return;
    group[index] = value;
    if (group !== this.graphics || index === 5 || index === 6) this.version++;
    this.memory.selectAccess();
  }

  private changeMisc(value: number): void {
    if (this.misc === value) return;
    this.misc = value;
    this.version++;
    this.memory.selectAccess();
  }

  private writeAttribute(value: number): void {
    if (this.attributeData) {
      const index = this.attributeIndex & 0x1f;
      // The palette can be written only while the display does not use it.
      if (index >= 16 || (this.attributeIndex & PALETTE_ON) === 0) this.setRegister(this.attribute, index, value & (index < 16 ? 0x3f : 0xff));
    } else {
      if ((value ^ this.attributeIndex) & PALETTE_ON) this.version++;
      this.attributeIndex = value & 0x3f;
    }
    this.attributeData = !this.attributeData;
  }

  private writeCrtc(index: number, value: number): void {
    if ((this.crtc[0x11] & CRTC_PROTECTED) !== 0 && index <= 7) {
      if (index !== 7) return;
      value = (this.crtc[7] & ~LINE_COMPARE_BIT_8) | (value & LINE_COMPARE_BIT_8);
    }
    this.setRegister(this.crtc, index, value);
  }

  private writeDac(value: number): void {
    const wide = this.dispi.wideDac;
    this.dac[this.dacWriteAt] = wide ? value : value & 0x3f;
    this.dacWriteAt = (this.dacWriteAt + 1) % 768;
    this.version++;
  }

  /** The CRTC answers at 3Bxh or 3Dxh, as the miscellaneous output register says. */
  private isSelected(port: number): boolean {
    return ((this.misc & MISC_COLOUR) !== 0) === (port >= CRTC_COLOUR);
  }

  /** Reading it makes the next write to the attribute controller an index. */
  private inputStatus(): number {
    this.attributeData = false;
    const total = (this.crtc[6] | ((this.crtc[7] & 1) << 8) | ((this.crtc[7] & 0x20) << 4)) + 2;
    const shown = (this.crtc[0x12] | ((this.crtc[7] & 2) << 7) | ((this.crtc[7] & 0x40) << 3)) + 1;
    const retrace = this.crtc[0x10] | ((this.crtc[7] & 4) << 6) | ((this.crtc[7] & 0x80) << 2);
    const at = (this.seconds() * LINES_PER_SECOND) % Math.max(total, 100);
    const line = Math.floor(at), blanked = at - line >= 0.8;
    const inRetrace = line >= retrace && line < retrace + 2;
    return (inRetrace ? VERTICAL_RETRACE | DISPLAY_DISABLED : 0) | (blanked || line >= shown ? DISPLAY_DISABLED : 0);
  }
}
