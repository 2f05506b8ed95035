/**
 * Scan code set 2 by key position (Microsoft, "Keyboard Scan Code Specification", table of the 104-key keyboard; key names from the UI Events KeyboardEvent `code`
 * values). What stands on a key is the guest's affair.
 */

const BREAK = 0xf0, EXTENDED = 0xe0;

/** `NAME CODE`, the code in hexadecimal; `e0` before it for the keys that the PS/2 added. */
const KEYS = `
  Escape 76, F1 05, F2 06, F3 04, F4 0c, F5 03, F6 0b, F7 83, F8 0a, F9 01, F10 09, F11 78, F12 07, ScrollLock 7e,
  Backquote 0e, Digit1 16, Digit2 1e, Digit3 26, Digit4 25, Digit5 2e, Digit6 36, Digit7 3d, Digit8 3e, Digit9 46, Digit0 45, Minus 4e, Equal 55, Backspace 66,
  Tab 0d, KeyQ 15, KeyW 1d, KeyE 24, KeyR 2d, KeyT 2c, KeyY 35, KeyU 3c, KeyI 43, KeyO 44, KeyP 4d, BracketLeft 54, BracketRight 5b, Backslash 5d, Enter 5a,
  CapsLock 58, KeyA 1c, KeyS 1b, KeyD 23, KeyF 2b, KeyG 34, KeyH 33, KeyJ 3b, KeyK 42, KeyL 4b, Semicolon 4c, Quote 52,
  ShiftLeft 12, IntlBackslash 61, KeyZ 1a, KeyX 22, KeyC 21, KeyV 2a, KeyB 32, KeyN 31, KeyM 3a, Comma 41, Period 49, Slash 4a, ShiftRight 59,
  ControlLeft 14, MetaLeft e01f, AltLeft 11, Space 29, AltRight e011, MetaRight e027, ContextMenu e02f, ControlRight e014,
  Insert e070, Home e06c, PageUp e07d, Delete e071, End e069, PageDown e07a, ArrowUp e075, ArrowLeft e06b, ArrowDown e072, ArrowRight e074,
  NumLock 77, NumpadDivide e04a, NumpadMultiply 7c, NumpadSubtract 7b, Numpad7 6c, Numpad8 75, Numpad9 7d, NumpadAdd 79, Numpad4 6b, Numpad5 73, Numpad6 74,
  Numpad1 69, Numpad2 72, Numpad3 7a, NumpadEnter e05a, Numpad0 70, NumpadDecimal 71, NumpadComma 6d, NumpadEqual 0f,
  IntlRo 51, IntlYen 6a, KanaMode 13, Convert 64, NonConvert 67, Lang1 f2, Lang2 f1, F13 08, F14 10, F15 18, F16 20, F17 28, F18 30, F19 38, F20 40,
  BrowserSearch e010, BrowserHome e03a, BrowserBack e038, BrowserForward e030, BrowserStop e028, BrowserRefresh e020, BrowserFavorites e018,
  AudioVolumeMute e023, AudioVolumeDown e021, AudioVolumeUp e032, MediaPlayPause e034, MediaStop e03b, MediaTrackNext e04d, MediaTrackPrevious e015,
  MediaSelect e050, LaunchMail e048, LaunchApp1 e040, LaunchApp2 e02b, Power e037, Sleep e03f, WakeUp e05e`;

const CODES = new Map<string, readonly number[]>();
for (const entry of KEYS.split(',')) {
  const [name, code] = entry.trim().split(' ');
  CODES.set(name, code.length === 4 ? [EXTENDED, Number.parseInt(code.slice(2), 16)] : [Number.parseInt(code, 16)]);
}

/** Pause sends its release with its press, and nothing when released. */
const PAUSE = [0xe1, 0x14, 0x77, 0xe1, BREAK, 0x14, BREAK, 0x77];
/** Print Screen acts as if a shift key were held. */
const PRINT_SCREEN_DOWN = [EXTENDED, 0x12, EXTENDED, 0x7c], PRINT_SCREEN_UP = [EXTENDED, BREAK, 0x7c, EXTENDED, BREAK, 0x12];
/** These two Korean keys send no release. */
const WITHOUT_BREAK = new Set(['Lang1', 'Lang2']);

/** The bytes that the keyboard sends when the key at this position goes down or up; null if it has no such key. */
export function scanCodes(code: string, down: boolean): readonly number[] | null {
  if (code === 'Pause') return down ? PAUSE : [];
  if (code === 'PrintScreen') return down ? PRINT_SCREEN_DOWN : PRINT_SCREEN_UP;
  const make = CODES.get(code);
  if (make === undefined) return null;
  if (down) return make;
  if (WITHOUT_BREAK.has(code)) return [];
  return make.length === 2 ? [EXTENDED, BREAK, make[1]] : [BREAK, make[0]];
}

/** All keys that the keyboard has. */
export const KEY_CODES: readonly string[] = [...CODES.keys(), 'Pause', 'PrintScreen'];
