import { describe, it, expect } from 'vitest';
import { INTEGER_ROWS } from '../../../src/cpu/opcodes/integer';
import { MAP_0F38, MAP_ONE_BYTE, MODRM_DIGIT, MOD_MEMORY, parseRows } from '../../../src/cpu/opcodes/rows';

describe('opcode rows', () => {
  it('reads every field of a row', () => {
    const [row] = parseRows('crc32 | Gy,Eb | F2 0F 38 F0 /r | x:SSE4_2 h:crc32b');
    expect(row).toMatchObject({
      mnemonic: 'crc32', operands: ['Gy', 'Eb'], prefix: 'F2', map: MAP_0F38, opcode: 0xf0, feature: 'SSE4_2', handler: 'crc32b',
    });
    const [pause, exchange] = parseRows('pause | | F3 90 | end\ncmpxchg16b | Mdq | 0F C7 /1:mem REX.W | w:z lock x:CX16');
    expect(pause).toMatchObject({ prefix: 'F3', map: MAP_ONE_BYTE, opcode: 0x90, end: true, handler: 'pause' });
    expect(exchange).toMatchObject({ modrm: MODRM_DIGIT, modrmValue: 1, mod: MOD_MEMORY, rexW: 1, writes: 'z', lock: true });
  });

  it('refuses what it does not know', () => {
    expect(() => parseRows('nop | | 90 | sometimes')).toThrow(/unknown attribute sometimes/);
    expect(() => parseRows('nop | | 90 /9 |')).toThrow(/unknown encoding token/);
    expect(() => parseRows('push | Zv | 51 +r |')).toThrow(/divisible/);
  });

  it('holds the integer instructions', () => {
    const rows = parseRows(INTEGER_ROWS);
    expect(rows.length).toBeGreaterThan(300);
    expect(rows.filter((row) => row.mnemonic === 'add').length).toBe(10);
    expect(rows.filter((row) => /^j[^m]/.test(row.mnemonic) && row.opcode >= 0x70 && row.opcode < 0x90).length).toBe(32);
  });
});
