/** What the random test asks of the JIT, in one place: code made hot at once, since no short test runs anything often enough. */
import { lookup, setStepping } from '../../src/cpu/engine/blocks';
import { compileRegion, REGION_STATS } from '../../src/cpu/engine/regions';
import { FAULT } from '../../src/cpu/fault';
import { CURP, R } from '../../src/cpu/state';

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
