/**
 * Vite plugin: writes named numbers where they are used. The bundler does so with those that a module exports; most register offsets, bit masks and command codes
 * belong to one module alone, and would each remain a variable. Only names in capitals at the top level, so that no other binding can be meant. Builds only.
 */
import { parseSync } from 'vite';
import type { Plugin } from 'vite';
import { isNode, plainName, replaced, visit } from './source-tree.ts';
import type { Node, Replacement } from './source-tree.ts';

const CAPITALS = /^[A-Z][A-Z0-9_]*(?:\$\d+)?$/;

/** The declarations `const NAME = number` at the top level, with the number. The bundler has made `var` of them already. */
function namedNumbers(body: readonly unknown[]): Map<string, number> {
  const numbers = new Map<string, number>();
  for (const statement of body) {
    if (!isNode(statement) || statement.type !== 'VariableDeclaration' || !Array.isArray(statement.declarations)) continue;
    for (const { id, init } of statement.declarations as { id: Node; init: unknown }[]) {
      if (id.type !== 'Identifier' || !CAPITALS.test(String(id.name))) continue;
      const value = numberOf(init, numbers);
      if (value !== null && Number.isInteger(value) && !Object.is(value, -0)) numbers.set(String(id.name), value);
    }
  }
  return numbers;
}

/** What an expression of whole numbers is worth; null: it is something else. */
function numberOf(value: unknown, known: ReadonlyMap<string, number>): number | null {
  if (!isNode(value)) return null;
  if (value.type === 'Literal') return typeof value.value === 'number' ? value.value : null;
  if (value.type === 'Identifier') return known.get(String(value.name)) ?? null;
  if (value.type === 'UnaryExpression') {
    const of = numberOf(value.argument, known);
    return of === null ? null : value.operator === '-' ? -of : value.operator === '~' ? ~of : null;
  }
  if (value.type !== 'BinaryExpression') return null;
  const a = numberOf(value.left, known), b = numberOf(value.right, known);
  if (a === null || b === null) return null;
  switch (value.operator) {
    case '+': return a + b;
    case '-': return a - b;
    case '*': return a * b;
    case '|': return a | b;
    case '&': return a & b;
    case '^': return a ^ b;
    case '<<': return a << b;
    case '>>': return a >> b;
    case '>>>': return a >>> b;
    default: return null;
  }
}

/** Names that are bound more than once or assigned to: what they mean would need a closer look. */
function ambiguous(body: readonly unknown[]): Set<string> {
  const bound = new Set<string>(), unsure = new Set<string>();
  const bind = (value: unknown): void => {
    if (!isNode(value) || value.type !== 'Identifier') return;
    const name = String(value.name);
    (bound.has(name) ? unsure : bound).add(name);
  };
  visit(body, (node) => {
    if (node.type === 'VariableDeclarator') bind(node.id);
    if (node.type === 'AssignmentExpression' && isNode(node.left)) unsure.add(String(node.left.name));
    if (node.type === 'UpdateExpression' && isNode(node.argument)) unsure.add(String(node.argument.name));
    if (Array.isArray(node.params)) node.params.forEach(bind);
  });
  return unsure;
}

/** The chunk with its numbers in place; the declarations, now unused, are left to the minifier. */
export function writeNumbers(code: string): string {
  const { body } = parseSync('chunk.js', code).program;
  const numbers = namedNumbers(body);
  for (const name of ambiguous(body)) numbers.delete(name);
  const places: Replacement[] = [];
  /** Where names stand that mean no variable, or declare one; and those that are key and variable at once. */
  const others = new Set<number>(), shorthands = new Set<number>();
  visit(body, (node) => {
    if (node.type === 'ExportNamedDeclaration' || node.type === 'ImportDeclaration') return true;
    if (node.type === 'VariableDeclarator' && isNode(node.id)) others.add(node.id.start);
    for (const part of ['key', 'property'] as const) {
      const name = node[part];
      if (plainName(node, part) !== null && isNode(name)) (node.shorthand === true ? shorthands : others).add(name.start);
    }
    const number = node.type === 'Identifier' ? numbers.get(String(node.name)) : undefined;
    if (number === undefined || others.has(node.start)) return false;
    places.push({ start: node.start, end: node.end, text: `${shorthands.has(node.start) ? `${String(node.name)}: ` : ''}(${number})` });
    return false;
  });
  return replaced(code, places);
}

export function namedNumbersInPlace(): Plugin {
  return {
    name: 'nestbox-constants',
    apply: 'build',
    renderChunk: (code) => ({ code: writeNumbers(code), map: null }),
  };
}
