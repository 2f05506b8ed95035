/** What the key bar types, as key positions to press together. */
import { keyFor } from '../machine/us-keyboard';

const SEQUENCES: Readonly<Record<string, string>> = { '\x1b[A': 'ArrowUp', '\x1b[B': 'ArrowDown', '\x1b[C': 'ArrowRight', '\x1b[D': 'ArrowLeft' };

/** Each press is a list of keys that go down one after the other, and up in reverse. */
export function keysOfText(text: string): string[][] {
  const known = SEQUENCES[text];
  if (known !== undefined) return [[known]];
  const presses: string[][] = [];
  for (const character of text) {
    const press = keyFor(character);
    if (press !== null) presses.push(press.shift ? ['ShiftLeft', press.code] : [press.code]);
    else if (character < ' ') presses.push(['ControlLeft', `Key${String.fromCharCode(character.charCodeAt(0) + 0x40)}`]);
  }
  return presses;
}
