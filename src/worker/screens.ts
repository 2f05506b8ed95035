/**
 * Sends the pictures of the screens that the page shows: only what changed, one message on its way per screen, and no more often than leaves nearly all time to
 * the machine.
 */
import type { Vga } from '../devices/vga/vga';
import { Screen } from '../devices/vga/screen';
import { textScreen } from '../devices/vga/text-screen';
import type { Report, ScreenId } from './protocol';

/** The display's rate. */
const FRAME_MS = 16;
/** Drawing may take one part in so many. */
const SHARE = 16;
/** Cursor and text blink with these half periods: 16 and 32 frames of a real VGA. */
const CURSOR_MS = 228, TEXT_MS = 457;
const STEADY = { cursor: true, text: true };

interface Watched {
  /** Things that blink are drawn steady. */
  steady: boolean;
  vga: Vga | null;
  screen: Screen | null;
  /** A picture is on its way to the page. */
  sent: boolean;
  /** Real time before which the screen is not looked at again. */
  nextAt: number;
  width: number;
  height: number;
}

export class ScreenSender {
  private readonly watched = new Map<ScreenId, Watched>();
  private readonly report: (report: Report, transfer: Transferable[]) => void;

  constructor(report: (report: Report, transfer: Transferable[]) => void) {
    this.report = report;
  }

  /** The page shows this screen from now on. */
  watch(id: ScreenId, steady: boolean): void {
    this.watched.set(id, { steady, vga: null, screen: null, sent: false, nextAt: 0, width: 0, height: 0 });
  }

  unwatch(id: ScreenId): void {
    this.watched.delete(id);
  }

  /** The page has shown what was sent. */
  shown(id: ScreenId): void {
    const watched = this.watched.get(id);
    if (watched !== undefined) watched.sent = false;
  }

  /** Looks at the screens whose time has come. `vgaOf` finds a screen's adapter; `now`, `clock`: real time in milliseconds. */
  update(now: number, clock: () => number, vgaOf: (id: ScreenId) => Vga | null): void {
    for (const [id, watched] of this.watched) {
      if (watched.sent || now < watched.nextAt) continue;
      const begin = clock();
      const vga = vgaOf(id);
      if (vga !== null) this.send(id, watched, vga, begin);
      watched.nextAt = now + Math.max(FRAME_MS, SHARE * (clock() - begin));
    }
  }

  private send(id: ScreenId, watched: Watched, vga: Vga, now: number): void {
    if (watched.screen === null || watched.vga !== vga) {
      watched.vga = vga;
      watched.screen = new Screen(vga);
      watched.width = watched.height = 0;
    }
    const { screen } = watched;
    const change = screen.update(watched.steady ? STEADY : { cursor: Math.floor(now / CURSOR_MS) % 2 === 0, text: Math.floor(now / TEXT_MS) % 2 === 0 });
    if (change === null) return;
    const { width, height } = screen;
    const resized = width !== watched.width || height !== watched.height;
    watched.width = width;
    watched.height = height;
    const top = resized ? 0 : change.top, bottom = resized ? height : change.bottom;
    const pixels = screen.pixels.slice(top * width, bottom * width);
    watched.sent = true;
    this.report({ type: 'frame', screen: id, width, height, top, pixels, text: textScreen(vga) }, [pixels.buffer]);
  }
}
