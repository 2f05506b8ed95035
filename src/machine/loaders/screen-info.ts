/** Linux's screen_info, the first 64 bytes of boot_params (include/uapi/linux/screen_info.h): the screen as the boot loader leaves it. */
import type { BootScreen } from '../firmware-screen';

const VIDEO_MODE = 0x06, VIDEO_COLUMNS = 0x07, EGA_BX = 0x0a, VIDEO_LINES = 0x0e, IS_VGA = 0x0f, FONT_POINTS = 0x10;
const LFB_WIDTH = 0x12, LFB_HEIGHT = 0x14, LFB_DEPTH = 0x16, LFB_BASE = 0x18, LFB_SIZE = 0x1c, LFB_PITCH = 0x24, COLOUR_FIELDS = 0x26, PAGES = 0x32, ATTRIBUTES = 0x34;
const TYPE_VGA = 1, TYPE_LINEAR = 0x23;
/** Colour text adapter with 256 KiB. */
const EGA_COLOUR_256K = 3;
const SIXTY_FOUR_KIB = 0x10000;
/** VESA mode attributes: supported, colour, graphics, linear frame buffer. */
const LINEAR_GRAPHICS = 0x99;

/** Size and position of red, green, blue and the rest in a pixel. */
const COLOUR_LAYOUT: Readonly<Record<number, readonly number[]>> = {
  8: [8, 0, 8, 0, 8, 0, 0, 0], 15: [5, 10, 5, 5, 5, 0, 1, 15], 16: [5, 11, 6, 5, 5, 0, 0, 0], 24: [8, 16, 8, 8, 8, 0, 0, 0], 32: [8, 16, 8, 8, 8, 0, 8, 24],
};

/** Writes it at the start of the zero page. */
export function writeScreenInfo(page: DataView, screen: BootScreen): void {
  page.setUint8(VIDEO_MODE, 3);
  page.setUint16(EGA_BX, EGA_COLOUR_256K, true);
  if (screen.kind === 'text') {
    page.setUint8(VIDEO_COLUMNS, screen.columns);
    page.setUint8(VIDEO_LINES, screen.rows);
    page.setUint8(IS_VGA, TYPE_VGA);
    page.setUint16(FONT_POINTS, screen.fontHeight, true);
    return;
  }
  page.setUint8(IS_VGA, TYPE_LINEAR);
  page.setUint16(LFB_WIDTH, screen.width, true);
  page.setUint16(LFB_HEIGHT, screen.height, true);
  page.setUint16(LFB_DEPTH, screen.bitsPerPixel, true);
  page.setUint32(LFB_BASE, screen.address, true);
  page.setUint32(LFB_SIZE, screen.memoryBytes / SIXTY_FOUR_KIB, true);
  page.setUint16(LFB_PITCH, screen.pitch, true);
  (COLOUR_LAYOUT[screen.bitsPerPixel] ?? []).forEach((value, n) => page.setUint8(COLOUR_FIELDS + n, value));
  page.setUint16(PAGES, 1, true);
  page.setUint16(ATTRIBUTES, LINEAR_GRAPHICS, true);
}
