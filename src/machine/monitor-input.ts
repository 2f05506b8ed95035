/**
 * Keys and mouse of a guest as commands of QEMU's monitor (QEMU documentation, "Human Monitor Interface": sendkey, mouse_move, mouse_button; names of keys: QKeyCode
 * in qapi/ui.json), for a monitor that L1 puts on one of its serial ports. The monitor presses and releases a key in one command, so modifiers are gathered until
 * another key comes.
 */

/** How long the monitor holds a key, in milliseconds of L1's time. */
const HOLD_MS = 20;

/** UI Events names that are not simply the lower-case last part of theirs. */
const NAMES: Readonly<Record<string, string>> = {
  Escape: 'esc', Backquote: 'grave_accent', Minus: 'minus', Equal: 'equal', Backspace: 'backspace', Tab: 'tab', BracketLeft: 'bracket_left', BracketRight: 'bracket_right',
  Backslash: 'backslash', Enter: 'ret', CapsLock: 'caps_lock', Semicolon: 'semicolon', Quote: 'apostrophe', IntlBackslash: 'less', Comma: 'comma', Period: 'dot', Slash: 'slash',
  Space: 'spc', ContextMenu: 'menu', Insert: 'insert', Home: 'home', PageUp: 'pgup', Delete: 'delete', End: 'end', PageDown: 'pgdn', ArrowUp: 'up', ArrowLeft: 'left',
  ArrowDown: 'down', ArrowRight: 'right', NumLock: 'num_lock', ScrollLock: 'scroll_lock', PrintScreen: 'print', Pause: 'pause', NumpadDivide: 'kp_divide',
  NumpadMultiply: 'kp_multiply', NumpadSubtract: 'kp_subtract', NumpadAdd: 'kp_add', NumpadEnter: 'kp_enter', NumpadDecimal: 'kp_decimal', NumpadEqual: 'kp_equals',
};
const MODIFIERS: Readonly<Record<string, string>> = {
  ShiftLeft: 'shift', ShiftRight: 'shift_r', ControlLeft: 'ctrl', ControlRight: 'ctrl_r', AltLeft: 'alt', AltRight: 'alt_r', MetaLeft: 'meta_l', MetaRight: 'meta_r',
};

function keyName(code: string): string | null {
  const found = /^(?:Key([A-Z])|Digit([0-9])|(F[0-9]{1,2})|Numpad([0-9]))$/.exec(code);
  if (found === null) return NAMES[code] ?? null;
  const [, letter, digit, f, pad] = found;
  return pad === undefined ? (letter ?? digit ?? f).toLowerCase() : `kp_${pad}`;
}

export class MonitorInput {
  /** Modifiers that are down, in the order they went down. */
  private readonly held: string[] = [];
  /** A modifier that went down and up alone is a key press of its own. */
  private alone = false;
  private buttons = 0;

  /** What the monitor is told when a key goes down or up; empty if nothing, or the key is not known there. */
  key(code: string, down: boolean): string {
    const modifier = MODIFIERS[code];
    if (modifier !== undefined) {
      const at = this.held.indexOf(modifier);
      if (down) {
        if (at < 0) this.held.push(modifier);
        this.alone = true;
        return '';
      }
      if (at < 0) return '';
      const command = this.alone ? sendKeys(this.held) : '';
      this.held.splice(at, 1);
      this.alone = false;
      return command;
    }
    const name = keyName(code);
    if (name === null || !down) return '';
    this.alone = false;
    return sendKeys([...this.held, name]);
  }

  /** The mouse: as Session.mouse. */
  mouse(dx: number, dy: number, dz: number, buttons: number): string {
    // The monitor's y grows downwards, its wheel away from the user.
    const move = dx !== 0 || dy !== 0 || dz !== 0 ? `mouse_move ${dx} ${-dy}${dz === 0 ? '' : ` ${-dz}`}\n` : '';
    const button = buttons === this.buttons ? '' : `mouse_button ${buttons}\n`;
    this.buttons = buttons;
    return move + button;
  }
}

function sendKeys(names: readonly string[]): string {
  return `sendkey ${names.join('-')} ${HOLD_MS}\n`;
}
