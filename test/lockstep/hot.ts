/** What the random test asks of the JIT, in one place: code made hot at once, since no short test runs anything often enough. */
import { lookup, setStepping } from '../../src/cpu/engine/blocks';
import { KINDS } from '../../src/cpu/engine/kinds';
import { compileRegion, REGION_STATS } from '../../src/cpu/engine/regions';
import { FAULT } from '../../src/cpu/fault';
import { CURP, R, RAX } from '../../src/cpu/state';

/** Finds the code that is about to run, as execution would, and compiles it if asked to. */
export function touchCode(compile: boolean): void {
  setStepping(false);
  try {
    const block = lookup();
    if (compile) compileRegion(block);
  } catch (thrown) {
    if (thrown !== FAULT) throw thrown;
  }
  R[CURP] = 0;
}

/** Regions compiled so far. */
export function compiledCode(): number {
  return REGION_STATS.compiled;
}

/** Makes code compiled from now on wrong: after each XOR of whole registers it changes bit 0 of RAX. The interpreter, which is built already, stays right. */
export function breakCompiledXor(): void {
  for (const kind of KINDS) {
    if (!/^xor(32|64)(rr|rm|mr|ri|mi)$/.test(kind.name)) continue;
    const right = kind.body;
    Object.assign(kind, { body: (...operands: Parameters<typeof right>) => `${right(...operands)}R[${RAX}]=R[${RAX}]^1;` });
  }
}
