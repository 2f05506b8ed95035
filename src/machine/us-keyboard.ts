/** Text as key presses on a keyboard with the US layout: for typing from outside where the guest reads a keyboard. */

export interface KeyPress {
  /** Position, as in the UI Events specification. */
  code: string;
  shift: boolean;
}

/** Characters of each key, without and with Shift. */
const ROWS = 'Backquote`~ Digit11! Digit22@ Digit33# Digit44$ Digit55% Digit66^ Digit77& Digit88* Digit99( Digit00) Minus-_ Equal=+ BracketLeft[{ BracketRight]} '
  + 'Backslash\\| Semicolon;: Quote\'" Comma,< Period.> Slash/?';

const KEYS = new Map<string, KeyPress>([
  [' ', { code: 'Space', shift: false }], ['\n', { code: 'Enter', shift: false }], ['\r', { code: 'Enter', shift: false }], ['\t', { code: 'Tab', shift: false }],
  ['\x1b', { code: 'Escape', shift: false }], ['\b', { code: 'Backspace', shift: false }], ['\x7f', { code: 'Backspace', shift: false }],
]);
for (const entry of ROWS.split(' ')) {
  const code = entry.slice(0, -2);
  KEYS.set(entry[entry.length - 2], { code, shift: false });
  KEYS.set(entry[entry.length - 1], { code, shift: true });
}
for (let n = 0; n < 26; n++) {
  const letter = String.fromCharCode(0x61 + n), code = `Key${letter.toUpperCase()}`;
  KEYS.set(letter, { code, shift: false });
  KEYS.set(letter.toUpperCase(), { code, shift: true });
}

/** The key for a character; null if the layout has none. */
export function keyFor(character: string): KeyPress | null {
  return KEYS.get(character) ?? null;
}
