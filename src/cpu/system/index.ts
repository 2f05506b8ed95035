/** Handlers of the system instructions, by the keys of opcodes/system.ts. */
import type { Handler } from '../record';
import { callHandlers } from './calls';
import { controlMoveHandlers } from './control-moves';
import { descriptorTableHandlers } from './descriptor-tables';
import { flagControlHandlers } from './flag-control';
import { ioHandlers } from './io';
import { processorHandlers } from './processor';
import { segmentMoveHandlers } from './segment-moves';

export const systemHandlers: Record<string, Handler> = {
  ...ioHandlers, ...flagControlHandlers, ...segmentMoveHandlers, ...descriptorTableHandlers, ...controlMoveHandlers, ...processorHandlers, ...callHandlers,
};
