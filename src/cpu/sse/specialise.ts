/**
 * Handlers that share their text but not their machine code. V8 inlines a call only where one function is ever called, so a common
 * helper that takes the element operation as an argument pays two to three times the price per element; a copy of
 * the helper for each instruction does not. The text is compiled once, when the module loads.
 */
import { R, RF32, RF64, MXCSR } from '../state';
import type { Handler } from '../record';
import { copy128, source128, source32, source64, target, RESULT } from './operands';
import { RAISED, QUICK, QUICK_BITS, deliverExceptions } from './mxcsr';
import { MAX_FINITE32, MIN_NORMAL32 } from './f32';
import { MAX_FINITE64, MIN_NORMAL64 } from './f64';

const SCOPE = {
  R, RF32, RF64, MXCSR, RESULT, RAISED, QUICK, QUICK_BITS, copy128, source128, source32, source64, target, deliverExceptions,
};

let copies = 0;

/**
 * Compiles `(p) => { body }` with the names of SCOPE and `f` in view. The number in the script's name makes every text different: V8 would
 * recognise equal ones and share what it learns about them.
 */
function compile(body: string, f: unknown): Handler {
  const names = Object.keys(SCOPE);
  const text = `"use strict";return function(p){${body}}\n//# sourceURL=nestbox-sse-${copies++}.js`;
  const make = new Function(...names, 'f', text) as (...values: readonly unknown[]) => Handler;
  return make(...Object.values(SCOPE), f);
}

/** target = f(target, source), word by word. */
export function wordwise(f: (a: number, b: number) => number): Handler {
  return compile(`const s=source128(p),d=target(p);
R[d]=f(R[d],R[s]);R[d+1]=f(R[d+1],R[s+1]);R[d+2]=f(R[d+2],R[s+2]);R[d+3]=f(R[d+3],R[s+3]);`, f);
}

/** target = f(source), word by word. */
export function wordwiseUnary(f: (a: number) => number): Handler {
  return compile('const s=source128(p),d=target(p);R[d]=f(R[s]);R[d+1]=f(R[s+1]);R[d+2]=f(R[s+2]);R[d+3]=f(R[s+3]);', f);
}

/** An element operation of f32.ts or f64.ts: the result to word `out`, from the elements at words a and b. */
export type Binary = (out: number, a: number, b: number) => void;

/**
 * Text that returns at once when every element of target op source can be had from a host operation: round to nearest, precision
 * exception masked and already recorded, operands zero or normal, results inside the normal range. `count` elements of
 * `words` words.
 */
function quickWay(operator: string, words: number, count: number): string {
  const view = words === 1 ? 'RF32' : 'RF64', round = words === 1 ? 'Math.fround' : '';
  const least = words === 1 ? MIN_NORMAL32 : MIN_NORMAL64, most = words === 1 ? MAX_FINITE32 : MAX_FINITE64;
  const isPlain = (x: string): string => `(Math.abs(${x})>=${least}||${x}===0)`;
  let compute = '', write = '';
  const tests: string[] = [];
  for (let i = 0; i < count; i++) {
    const at = (base: string): string => (words === 1 ? `${view}[${base}+${i}]` : `${view}[(${base}>>1)+${i}]`);
    compute += `const x${i}=${at('d')},y${i}=${at('s')},r${i}=${round}(x${i}${operator}y${i});`;
    // A finite result that is not zero has finite operands. No calls here: they would box their arguments where V8 stops inlining.
    tests.push(`Math.abs(r${i})>${least}&&Math.abs(r${i})<${most}&&${isPlain(`x${i}`)}&&${isPlain(`y${i}`)}`);
    write += `${at('d')}=r${i};`;
  }
  return `if((R[MXCSR]&QUICK_BITS)===QUICK){${compute}if(${tests.join('&&')}){${write}return;}}`;
}

/** target = target op source, four binary32 elements; `operator` is the host's operator for the quick way. */
export function packed32(f: Binary, operator: string): Handler {
  return compile(`const s=source128(p),d=target(p);${quickWay(operator, 1, 4)}R[RAISED]=0;
f(RESULT,d,s);f(RESULT+1,d+1,s+1);f(RESULT+2,d+2,s+2);f(RESULT+3,d+3,s+3);
deliverExceptions();copy128(d,RESULT);`, f);
}

/** target = target op source, two binary64 elements. */
export function packed64(f: Binary, operator: string): Handler {
  return compile(`const s=source128(p),d=target(p);${quickWay(operator, 2, 2)}R[RAISED]=0;
f(RESULT,d,s);f(RESULT+2,d+2,s+2);
deliverExceptions();copy128(d,RESULT);`, f);
}

/** target = target op source, the low binary32 element. */
export function scalar32(f: Binary, operator: string): Handler {
  return compile(`const s=source32(p),d=target(p);${quickWay(operator, 1, 1)}R[RAISED]=0;
f(RESULT,d,s);deliverExceptions();R[d]=R[RESULT];`, f);
}

/** target = target op source, the low binary64 element. */
export function scalar64(f: Binary, operator: string): Handler {
  return compile(`const s=source64(p),d=target(p);${quickWay(operator, 2, 1)}R[RAISED]=0;
f(RESULT,d,s);deliverExceptions();R[d]=R[RESULT];R[d+1]=R[RESULT+1];`, f);
}
