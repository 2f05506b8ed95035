/** All handlers of the integer family, by the keys of opcodes/integer.ts. The engine lowers the rest of that family itself. */
import type { Handler } from '../record';
import { multiplyDivideHandlers } from './multiply-divide';
import { rotateDoubleShiftHandlers } from './rotate-double-shift';
import { bitHandlers } from './bits';
import { exchangeHandlers } from './exchange';
import { decimalHandlers } from './decimal';
import { stackFrameHandlers } from './stack-frame';
import { flagConversionHandlers } from './flags-and-conversions';
import { stringHandlers } from './strings';

export const integerHandlers: Record<string, Handler> = {
  ...multiplyDivideHandlers,
  ...rotateDoubleShiftHandlers,
  ...bitHandlers,
  ...exchangeHandlers,
  ...decimalHandlers,
  ...stackFrameHandlers,
  ...flagConversionHandlers,
  ...stringHandlers,
};
