/** Training runs every path of the interpreter's switch: V8 throws optimised code away at the first visit of one that never ran. */
import { Session } from 'node:inspector';
import { expect, it } from 'vitest';
import { KINDS } from '../../../src/cpu/engine/kinds';
import { createBareCpu } from '../../support/bare-cpu';

interface Coverage {
  result: { url: string; scriptId: string; functions: { ranges: { startOffset: number; endOffset: number; count: number }[] }[] }[];
}

it('leaves no path of the interpreter unvisited', () => {
  const session = new Session();
  session.connect();
  const call = <Result>(method: string, parameters: object = {}): Result => {
    let answer: Result | undefined;
    session.post(method, parameters, (error, result) => {
      if (error) throw new Error(`${method}: ${error.message}`);
      answer = result as Result;
    });
    return answer as Result;
  };
  call('Profiler.enable');
  call('Debugger.enable');
  call('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  createBareCpu();
  const script = call<Coverage>('Profiler.takePreciseCoverage').result.find(({ url }) => url === 'nestbox-interpreter.js');
  if (script === undefined) throw new Error('the interpreter is not among the scripts');
  const { scriptSource } = call<{ scriptSource: string }>('Debugger.getScriptSource', { scriptId: script.scriptId });
  session.disconnect();
  const unvisited = script.functions.flatMap(({ ranges }) => ranges).filter(({ count }) => count === 0).map(({ startOffset, endOffset }) => {
    const id = [...scriptSource.slice(0, startOffset).matchAll(/case (\d+):/g)].at(-1)?.[1];
    return `${KINDS[Number(id)].name}: ${scriptSource.slice(startOffset, endOffset)}`;
  });
  expect(unvisited).toEqual([]);
});
