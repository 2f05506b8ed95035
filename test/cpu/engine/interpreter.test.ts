/** What V8 needs of the interpreter's text, and what the record kinds need of each other. */
import { describe, expect, it } from 'vitest';
import '../../support/bare-cpu';
import { HOT_KINDS } from '../../../src/cpu/engine/hot-kinds';
import { missingHandlers } from '../../../src/cpu/engine/handlers';
import { interpreterSource } from '../../../src/cpu/engine/interpreter';
import { kindId } from '../../../src/cpu/engine/kinds';

describe('the interpreter', () => {
  it('stays well under the size that V8 still optimises', () => {
    // 61,440 bytes of bytecode are the limit; a character of this text makes 1.65 bytes of them (node --print-bytecode).
    expect(interpreterSource().length).toBeLessThan(36_000);
  });

  it('has its cases numbered without gaps, so that they become a jump table', () => {
    expect(Math.max(...HOT_KINDS.map(kindId))).toBe(HOT_KINDS.length - 1);
  });

  it('finds a handler for every opcode row', () => {
    expect(missingHandlers).toEqual([]);
  });
});
