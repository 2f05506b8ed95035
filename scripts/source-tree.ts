/** Looking through a program's syntax tree (ESTree, as Vite's parser gives it), for the plugins beside. */

export interface Node {
  type: string;
  start: number;
  end: number;
  [key: string]: unknown;
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

/** Calls `see` for each node below `value`, parents first; where it returns true, what is below is left out. */
export function visit(value: unknown, see: (node: Node) => boolean | void): void {
  if (Array.isArray(value)) {
    for (const item of value) visit(item, see);
  } else if (isNode(value) && see(value) !== true) {
    for (const child of Object.values(value)) visit(child, see);
  }
}

/** The name of a property that is written as a name: `object.name`, `name: value`, `name() {}`. */
export function plainName(node: Node, part: 'key' | 'property'): string | null {
  const name = node[part];
  return node.computed !== true && isNode(name) && name.type === 'Identifier' ? String(name.name) : null;
}

export interface Replacement {
  start: number;
  end: number;
  text: string;
}

/** `code` with the text of some places replaced. */
export function replaced(code: string, places: readonly Replacement[]): string {
  let result = '', from = 0;
  for (const { start, end, text } of places.toSorted((a, b) => a.start - b.start)) {
    // A shorthand property is key and value at one place.
    if (start < from) continue;
    result += code.slice(from, start) + text;
    from = end;
  }
  return result + code.slice(from);
}
