/**
 * The screen as firmware and a boot loader leave it for a kernel that is entered directly: text mode 3, or the VESA mode that `vga=` on a Linux command line asks for
 * (Documentation/admin-guide/svga.rst in Linux; VESA BIOS Extension 3.0, mode numbers), and what the BIOS data area says of it.
 */
import { physWrite16, physWrite8 } from '../cpu/mmu/physical';
import { enterTextMode, TEXT_COLUMNS, TEXT_ROWS } from '../devices/vga/text-mode';
import { FONT_HEIGHT } from '../devices/vga/font';
import type { Vga } from '../devices/vga/vga';
import { VGA_FRAME_BUFFER } from './layout';

/** A linear frame buffer. */
export interface FrameBufferScreen {
  kind: 'frame buffer';
  address: number;
  width: number;
  height: number;
  bitsPerPixel: number;
  /** Bytes. */
  pitch: number;
  memoryBytes: number;
}

export type BootScreen = { kind: 'text'; columns: number; rows: number; fontHeight: number } | FrameBufferScreen;

/** VESA modes by number: width, height, bits per pixel; those from 140h on are the numbers of Bochs' and SeaBIOS' VGA BIOS. */
const VESA_MODES: Readonly<Record<number, readonly [number, number, number]>> = {
  0x100: [640, 400, 8], 0x101: [640, 480, 8], 0x103: [800, 600, 8], 0x105: [1024, 768, 8], 0x107: [1280, 1024, 8],
  0x110: [640, 480, 15], 0x111: [640, 480, 16], 0x112: [640, 480, 24], 0x113: [800, 600, 15], 0x114: [800, 600, 16], 0x115: [800, 600, 24],
  0x116: [1024, 768, 15], 0x117: [1024, 768, 16], 0x118: [1024, 768, 24], 0x119: [1280, 1024, 15], 0x11a: [1280, 1024, 16], 0x11b: [1280, 1024, 24],
  0x141: [640, 400, 32], 0x142: [640, 480, 32], 0x143: [800, 600, 32], 0x144: [1024, 768, 32], 0x145: [1280, 1024, 32], 0x147: [1600, 1200, 32],
};
/** What Linux adds to a VESA mode's number. */
const LINUX_VESA = 0x200;

const DISPI_X = 1, DISPI_Y = 2, DISPI_BITS = 3, DISPI_ENABLE = 4, ENABLED_LINEAR = 0x41;

const BDA_MODE = 0x449, BDA_COLUMNS = 0x44a, BDA_PAGE_BYTES = 0x44c, BDA_CURSOR_SHAPE = 0x460, BDA_CRTC = 0x463, BDA_ROWS = 0x484, BDA_FONT_HEIGHT = 0x485;
const TEXT_MODE = 3, COLOUR_CRTC = 0x3d4, PAGE_BYTES = 0x1000, CURSOR_SHAPE = 0x0d0e;

/** The mode that `vga=` names, or null for text. Names (`normal`, `ask`) and modes that are not known mean text. */
function requestedMode(cmdline: string): readonly [number, number, number] | null {
  const found = /(?:^|\s)vga=(0x[0-9a-fA-F]+|\d+)(?=\s|$)/.exec(cmdline);
  return found === null ? null : VESA_MODES[Number(found[1]) - LINUX_VESA] ?? null;
}

/** Sets the screen up and says how. */
export function leaveScreen(vga: Vga, cmdline: string): BootScreen {
  enterTextMode(vga);
  physWrite8(BDA_MODE, TEXT_MODE);
  physWrite16(BDA_COLUMNS, TEXT_COLUMNS);
  physWrite16(BDA_PAGE_BYTES, PAGE_BYTES);
  physWrite16(BDA_CURSOR_SHAPE, CURSOR_SHAPE);
  physWrite16(BDA_CRTC, COLOUR_CRTC);
  physWrite8(BDA_ROWS, TEXT_ROWS - 1);
  physWrite16(BDA_FONT_HEIGHT, FONT_HEIGHT);
  const mode = requestedMode(cmdline);
  if (mode === null) return { kind: 'text', columns: TEXT_COLUMNS, rows: TEXT_ROWS, fontHeight: FONT_HEIGHT };
  const [width, height, bitsPerPixel] = mode;
  vga.writeDispi(DISPI_X, width);
  vga.writeDispi(DISPI_Y, height);
  vga.writeDispi(DISPI_BITS, bitsPerPixel);
  vga.writeDispi(DISPI_ENABLE, ENABLED_LINEAR);
  return { kind: 'frame buffer', address: VGA_FRAME_BUFFER, width, height, bitsPerPixel, pitch: vga.dispi.pitch, memoryBytes: vga.memory.bytes.length };
}
