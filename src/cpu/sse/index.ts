/** The SSE to SSE4.2 instruction families: all handlers by key (rows: opcodes/sse.ts, opcodes/sse4.ts). */
import type { Handler } from '../record';
import { moveHandlers } from './move';
import { integerHandlers } from './integer';
import { shiftHandlers } from './shift';
import { shuffleHandlers } from './shuffle';
import { arithmeticHandlers } from './arithmetic';
import { compareHandlers } from './compare';
import { convertHandlers } from './convert';
import { stringHandlers } from './strings';
import { sseSystemHandlers } from './system';

export const sseHandlers: Record<string, Handler> = {
  ...moveHandlers, ...integerHandlers, ...shiftHandlers, ...shuffleHandlers, ...arithmeticHandlers,
  ...compareHandlers, ...convertHandlers, ...stringHandlers, ...sseSystemHandlers,
};
