import { describe, expect, it } from 'vitest';
import { KEY_CODES, scanCodes } from '../../src/devices/ps2-scan-codes';
import { keyFor } from '../../src/machine/us-keyboard';
import { MonitorInput } from '../../src/machine/monitor-input';

describe('scan codes', () => {
  it('make and break codes of plain and extended keys', () => {
    expect(scanCodes('KeyA', true)).toEqual([0x1c]);
    expect(scanCodes('KeyA', false)).toEqual([0xf0, 0x1c]);
    expect(scanCodes('ArrowUp', true)).toEqual([0xe0, 0x75]);
    expect(scanCodes('ArrowUp', false)).toEqual([0xe0, 0xf0, 0x75]);
    expect(scanCodes('Pause', true)).toHaveLength(8);
    expect(scanCodes('Pause', false)).toEqual([]);
    expect(scanCodes('PrintScreen', false)).toEqual([0xe0, 0xf0, 0x7c, 0xe0, 0xf0, 0x12]);
    expect(scanCodes('Unknown', true)).toBeNull();
  });

  it('are different for each key', () => {
    const seen = new Set(KEY_CODES.map((code) => scanCodes(code, true)!.join(' ')));
    expect(seen.size).toBe(KEY_CODES.length);
    expect(KEY_CODES.length).toBeGreaterThan(104);
  });
});

describe('the US layout', () => {
  it('has every printable character on a key', () => {
    for (let code = 0x20; code < 0x7f; code++) {
      const press = keyFor(String.fromCharCode(code));
      expect(press, String.fromCharCode(code)).not.toBeNull();
      expect(scanCodes(press!.code, true)).not.toBeNull();
    }
    expect(keyFor('A')).toEqual({ code: 'KeyA', shift: true });
    expect(keyFor('|')).toEqual({ code: 'Backslash', shift: true });
    expect(keyFor('é')).toBeNull();
  });
});

describe('keys through QEMU’s monitor', () => {
  it('modifiers wait for the key they belong to', () => {
    const input = new MonitorInput();
    expect(input.key('ShiftLeft', true)).toBe('');
    expect(input.key('KeyA', true)).toBe('sendkey shift-a 20\n');
    expect(input.key('KeyA', false)).toBe('');
    expect(input.key('ShiftLeft', false)).toBe('');
    expect(input.key('Enter', true)).toBe('sendkey ret 20\n');
    expect(input.key('AltLeft', true) + input.key('AltLeft', false)).toBe('sendkey alt 20\n');
    expect(input.key('ControlLeft', true) + input.key('AltLeft', true) + input.key('Delete', true)).toBe('sendkey ctrl-alt-delete 20\n');
    expect(input.key('Numpad7', true)).toBe('sendkey ctrl-alt-kp_7 20\n');
  });

  it('the mouse moves, turns its wheel and presses', () => {
    const input = new MonitorInput();
    expect(input.mouse(3, -4, 0, 0)).toBe('mouse_move 3 4\n');
    expect(input.mouse(0, 0, 1, 2)).toBe('mouse_move 0 0 -1\nmouse_button 2\n');
    expect(input.mouse(0, 0, 0, 2)).toBe('');
  });
});
