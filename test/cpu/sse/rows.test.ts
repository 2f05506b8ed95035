import { describe, it, expect, vi } from 'vitest';
import { parseRows } from '../../../src/cpu/opcodes/rows';
import { SSE_ROWS } from '../../../src/cpu/opcodes/sse';
import { sseHandlers } from '../../../src/cpu/sse';

vi.mock('../../../src/cpu/mmu/access', async () => (await import('./mock-access')).mockAccess());

const rows = parseRows(SSE_ROWS);

describe('SSE rows', () => {
  it('names a handler that exists, and every handler has a row', () => {
    const used = new Set(rows.map((row) => row.handler));
    expect([...used].filter((key) => !(key in sseHandlers))).toEqual([]);
    expect(Object.keys(sseHandlers).filter((key) => !used.has(key))).toEqual([]);
  });

  it('has no two rows for the same encoding', () => {
    const seen = new Map<string, string>();
    for (const row of rows) {
      for (const mod of row.mod === 0 ? [1, 2] : [row.mod]) {
        for (const rexW of row.rexW < 0 ? [0, 1] : [row.rexW]) {
          const key = `${row.prefix} ${row.map} ${row.opcode} ${row.modrm} ${row.modrmValue} ${mod} ${rexW}`;
          expect(seen.get(key), `${row.mnemonic} and ${seen.get(key)}: ${key}`).toBeUndefined();
          seen.set(key, row.mnemonic);
        }
      }
    }
  });

  it('brings every form under an SSE feature bit', () => {
    expect(new Set(rows.map((row) => row.feature))).toEqual(new Set(['sse', 'sse2', 'sse3', 'ssse3', 'sse4_1', 'sse4_2', 'clfsh']));
  });
});
