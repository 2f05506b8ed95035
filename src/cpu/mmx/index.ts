/** All MMX handlers, keyed as in opcodes/mmx.ts (SDM 1 chapter 9). */
import type { Handler } from '../record';
import { mmxArithmeticHandlers } from './arithmetic';
import { mmxMoveHandlers } from './move';

export const mmxHandlers: Record<string, Handler> = { ...mmxArithmeticHandlers, ...mmxMoveHandlers };
