/** The machine's screen, and the screen of its guest as L0 observes it, for files and for matching. */
import { Screen } from '../devices/vga/screen';
import { screenLines, textScreen } from '../devices/vga/text-screen';
import type { Vga } from '../devices/vga/vga';
import type { Session } from '../machine/session';
import type { ScreenName } from './arguments';
import { encodePng } from './png';

function vgaOf(session: Session, screen: ScreenName): Vga | null {
  if (screen === 'l1') return session.vga;
  const machines = session.guests.all();
  return machines.length === 0 ? null : session.guestVga(machines[machines.length - 1].number);
}

/** Its rows; empty if there is no screen, or no text on it. */
export function screenText(session: Session, screen: ScreenName): string {
  const vga = vgaOf(session, screen);
  const text = vga === null ? null : textScreen(vga);
  return text === null ? '' : `${screenLines(text).join('\n')}\n`;
}

/** A PNG; one black pixel if there is no screen. */
export function screenPicture(session: Session, screen: ScreenName): Uint8Array {
  const vga = vgaOf(session, screen);
  if (vga === null) return encodePng(1, 1, new Int32Array(1));
  const picture = new Screen(vga);
  // Marks of earlier drawers do not matter: a new screen draws all.
  picture.update({ cursor: true, text: true });
  return encodePng(picture.width, picture.height, picture.pixels);
}
