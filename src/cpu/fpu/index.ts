/** All x87 handlers, keyed as in opcodes/x87.ts (SDM 1 chapter 8). */
import type { Handler } from '../record';
import { arithmeticHandlers } from './arithmetic';
import { controlHandlers } from './control';
import { fxsaveHandlers } from './fxsave';
import { loadStoreHandlers } from './load-store';

export const x87Handlers: Record<string, Handler> = {
  ...arithmeticHandlers,
  ...loadStoreHandlers,
  ...controlHandlers,
  ...fxsaveHandlers,
};

export { fpuErrorPin } from './stack';
