/** Handler functions of all instruction families, numbered for generic records. */
import { nearHandlers } from './near';
import { integerHandlers } from '../integer';
import { systemHandlers } from '../system';
import { x87Handlers } from '../fpu';
import { mmxHandlers } from '../mmx';
import { sseHandlers } from '../sse';
import { vmxHandlers } from '../../vmx/instructions';
import type { Handler } from '../record';
import { raiseGp, raiseUd } from '../fault';
import { R, CR0, CR0_PE, EFLAGS, F_VM } from '../state';

const families: readonly Record<string, Handler>[] = [nearHandlers, integerHandlers, systemHandlers, x87Handlers, mmxHandlers, sseHandlers, vmxHandlers];

/** Handler functions by number. 0 raises #UD, 1 raises #GP (an instruction of more than 15 bytes). */
export const GENERIC_HANDLERS: Handler[] = [() => raiseUd(), () => raiseGp(0)];
export const HANDLER_UD = 0, HANDLER_TOO_LONG = 1;

const numbers = new Map<string, number>();
/** Keys that rows name and no family defines. */
export const missingHandlers: string[] = [];

function find(key: string): Handler | undefined {
  for (const family of families) if (Object.hasOwn(family, key)) return family[key];
  return undefined;
}

/** Refuses an instruction that real and virtual-8086 mode do not recognise. */
function protectedOnly(handler: Handler): Handler {
  return (p) => {
    if ((R[CR0] & CR0_PE) === 0 || (R[EFLAGS] & F_VM) !== 0) raiseUd();
    handler(p);
  };
}

/** Number of the handler with this key; one that no family defines raises #UD and is noted in missingHandlers. */
export function handlerNumber(key: string, onlyProtected = false): number {
  const name = onlyProtected ? `${key} pm` : key;
  let number = numbers.get(name);
  if (number === undefined) {
    const handler = find(key);
    if (handler === undefined) {
      missingHandlers.push(key);
      number = HANDLER_UD;
    } else number = GENERIC_HANDLERS.push(onlyProtected ? protectedOnly(handler) : handler) - 1;
    numbers.set(name, number);
  }
  return number;
}
