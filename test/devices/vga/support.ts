import { Vga } from '../../../src/devices/vga/vga';
import { VideoMemory } from '../../../src/devices/vga/video-memory';

export function bareVga(bytes = 0x400000): Vga {
  return new Vga(new VideoMemory(new Uint8Array(bytes), new Uint8Array(bytes / 4096), () => undefined), () => 0);
}

/** Writes an indexed register. */
export function set(vga: Vga, port: number, index: number, value: number): void {
  vga.write(port, 1, index);
  vga.write(port + 1, 1, value);
}

export const SEQUENCER = 0x3c4, GRAPHICS = 0x3ce, CRTC = 0x3d4;

export function setAttribute(vga: Vga, index: number, value: number): void {
  vga.read(0x3da);
  vga.write(0x3c0, 1, index);
  vga.write(0x3c0, 1, value);
  vga.write(0x3c0, 1, 0x20);
}
