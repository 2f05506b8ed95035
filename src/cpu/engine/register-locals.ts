/**
 * Registers in JavaScript locals, along a straight path of a region's text. Every write of a general register still goes to R at once, so that R is right
 * wherever a region leaves; but what was read or written before on the same path is taken from a local (r0 to r31, by word of R) or is a number, which
 * saves V8 the load and the wait for the store before it.
 *
 * Works on the texts of semantics/ by statement; they name registers as R[n], or as R[i] and R[i+1|0] after `i=n;`.
 */
import { ZERO } from '../state';

/** General registers: words of R that get locals. */
const REGISTER_WORDS = 32;

/** What is known of the register words on the path so far: the text to use instead of R[n]. */
export type KnownWords = Map<number, string>;

/** Names of all locals. */
export const REGISTER_LOCALS = Array.from({ length: REGISTER_WORDS }, (_, n) => `r${n}=0`).join();

const NUMBER = /^\(?-?\d+\)?$/;
const SIGN_OF_NUMBER = /^\(+(-?\d+)\)*>>31\)$/;

/** A number as text if the expression is one, or the sign of one. */
function constant(expression: string): string | null {
  if (NUMBER.test(expression)) return expression;
  const sign = SIGN_OF_NUMBER.exec(expression);
  return sign === null ? null : Number(sign[1]) < 0 ? '(-1)' : '0';
}

function braces(text: string): number {
  let depth = 0;
  for (const c of text) depth += c === '{' ? 1 : c === '}' ? -1 : 0;
  return depth;
}

/**
 * Rewrites the text of one record. `known` says what is known before it, and is brought up to date. Statements under a condition use what is known, but
 * teach nothing, and what they write is unknown afterwards.
 */
export function useLocals(text: string, known: KnownWords): string {
  let index = -1, depth = 0;
  const written: string[] = [];
  const unsure = new Set<number>();
  for (const raw of text.split(';')) {
    const assignedIndex = /^(.*[{}])?i=(\d+)$/.exec(raw);
    if (assignedIndex !== null) {
      index = Number(assignedIndex[2]);
      depth += braces(assignedIndex[1] ?? '');
      // The braces before it stay.
      written.push(assignedIndex[1] ?? '');
      continue;
    }
    if (/(^|[{}])i=/.test(raw)) index = -1;
    let statement = index < 0 ? raw : raw.replaceAll('R[i]', `R[${index}]`).replaceAll('R[i+1|0]', `R[${index + 1}]`);
    statement = statement.replace(/R\[(\d+)\+1\|0\]/g, (_, n: string) => `R[${Number(n) + 1}]`);
    const conditional = depth > 0 || /\b(if|else)\b/.test(statement) || statement.includes('}');
    const target = /^(.*?)R\[(\d+)\]=(?!=)(.*)$/s.exec(statement);
    const reads = (part: string): string => part.replace(/R\[(\d+)\]/g, (whole, digits: string) => {
      const word = Number(digits);
      if (word === ZERO || word === ZERO + 1) return '0';
      if (word >= REGISTER_WORDS) return whole;
      const value = known.get(word);
      if (value !== undefined) return value;
      if (conditional) return whole;
      known.set(word, `r${word}`);
      return `(r${word}=R[${word}])`;
    });
    if (target === null || Number(target[2]) >= REGISTER_WORDS) statement = target === null ? reads(statement) : `${reads(target[1])}R[${target[2]}]=${reads(target[3])}`;
    else {
      const word = Number(target[2]), value = reads(target[3]), number = constant(value);
      const before = reads(target[1]);
      if (conditional) {
        unsure.add(word);
        known.delete(word);
        statement = `${before}R[${word}]=${value}`;
      } else {
        known.set(word, number ?? `r${word}`);
        statement = `${before}R[${word}]=${number ?? `r${word}=${value}`}`;
      }
    }
    const narrow = /R(8|16)\[(\d+)(<<1)?\]=(?!=)/.exec(statement);
    if (narrow !== null) {
      const word = narrow[1] === '16' ? Number(narrow[2]) : (Number(narrow[2]) >> 3) * 2;
      unsure.add(word);
      known.delete(word);
    }
    depth += braces(raw);
    written.push(`${statement};`);
  }
  for (const word of unsure) known.delete(word);
  const joined = written.join('');
  // The split left an empty statement at the end.
  return joined.endsWith(';;') ? joined.slice(0, -1) : joined.replace(/\};$/, '}');
}
