/**
 * Vite plugin: what the page's two large libraries have and the page does not use is left out, and what they keep to themselves gets short names. Minifiers
 * leave members of objects alone, as anybody might use them; here it is known who does. A name is the libraries' own if it is in no declaration of JavaScript
 * or the DOM, nowhere in the page's sources, and in no string of a library. Of those,
 *   - methods and members of namespaces that nothing refers to are left out, and so on until all that remains is referred to;
 *   - names that a class declares (as a member, or by assigning to `this`) are shortened.
 * Builds only.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parseSync } from 'vite';
import type { Plugin } from 'vite';
import { isNode, plainName, replaced, visit } from './source-tree.ts';
import type { Node, Replacement } from './source-tree.ts';

const LIBRARIES = ['@xterm/xterm', '@xterm/addon-fit', '@codemirror/state', '@codemirror/view', 'style-mod'];
/** Of the DOM, but only in some browsers, and so in no declaration: EditContext, which CodeMirror uses where there is one. */
const ALSO_DOM = ['editContext', 'updateText', 'updateSelection', 'updateControlBounds', 'updateSelectionBounds', 'updateCharacterBounds', 'attachedElements', 'characterBounds'];
const WORD = /[A-Za-z_$][\w$]*/g;
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

interface Library {
  file: string;
  code: string;
  program: unknown;
  /** Nodes that nothing refers to. */
  unused: Set<Node>;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? filesBelow(join(folder, entry.name)) : [join(folder, entry.name)]));
}

/** The declarations of JavaScript and the DOM lie in the TypeScript package of this platform. */
function platformDeclarations(root: string): string[] {
  const inTypescript = createRequire(createRequire(join(root, 'package.json')).resolve('typescript/package.json'));
  const folder = dirname(inTypescript.resolve(`@typescript/typescript-${process.platform}-${process.arch}/package.json`));
  return filesBelow(join(folder, 'lib')).filter((file) => /lib\.[\w.]+\.d\.ts$/.test(file));
}

function load(root: string, library: string): Library {
  const folder = join(root, 'node_modules', library);
  const description = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { module?: string };
  const file = join(folder, description.module ?? '');
  if (description.module === undefined || !existsSync(file)) throw new Error(`${library} has no module`);
  const code = readFileSync(file, 'utf8');
  return { file, code, program: parseSync(file, code).program, unused: new Set() };
}

/** All names that others than the libraries may mean. */
function namesOfOthers(root: string, libraries: readonly Library[]): Set<string> {
  const declarations = platformDeclarations(root).map((file) => readFileSync(file, 'utf8').replace(/\/\*[^]*?\*\//g, ''));
  const sources = filesBelow(join(root, 'src', 'ui')).filter((file) => /\.tsx?$/.test(file)).map((file) => readFileSync(file, 'utf8'));
  const names = new Set([...ALSO_DOM, ...[...declarations, ...sources].flatMap((text) => text.match(WORD) ?? [])]);
  for (const { program } of libraries) {
    visit(program, (node) => {
      if (node.type === 'Literal' && typeof node.value === 'string') names.add(node.value);
      return false;
    });
  }
  return names;
}

/** The member that a statement like `Namespace.member = someFunction` declares. */
function namespaceMember(node: Node): Node | null {
  const assignment = node.type === 'ExpressionStatement' ? node.expression : null;
  if (!isNode(assignment) || assignment.type !== 'AssignmentExpression' || assignment.operator !== '=') return null;
  const { left, right } = assignment;
  const pure = isNode(right) && ['Identifier', 'ArrowFunctionExpression', 'FunctionExpression'].includes(right.type);
  return pure && isNode(left) && left.type === 'MemberExpression' && isNode(left.object) && left.object.type === 'Identifier' && plainName(left, 'property') !== null ? left : null;
}

/** Marks what nothing refers to; true if there was something new. */
function markUnused(libraries: readonly Library[], others: ReadonlySet<string>): boolean {
  const referred = new Set<string>(), declarations = new Map<string, { library: Library; node: Node }[]>();
  for (const library of libraries) {
    /** Members in the act of being declared. */
    const declared = new Set<Node>();
    const declare = (name: string | null, node: Node): void => {
      if (name === null || others.has(name) || name === 'constructor') return;
      const list = declarations.get(name);
      if (list === undefined) declarations.set(name, [{ library, node }]);
      else list.push({ library, node });
    };
    visit(library.program, (node) => {
      if (library.unused.has(node)) return true;
      const member = namespaceMember(node);
      if (member !== null) {
        declared.add(member);
        declare(plainName(member, 'property'), node);
      }
      if (node.type === 'MethodDefinition') declare(plainName(node, 'key'), node);
      const name = node.type === 'MemberExpression' && !declared.has(node) ? plainName(node, 'property') : node.type === 'Property' ? plainName(node, 'key') : null;
      if (name !== null) referred.add(name);
      return false;
    });
  }
  const unused = [...declarations].filter(([name]) => !referred.has(name)).flatMap(([, list]) => list);
  for (const { library, node } of unused) library.unused.add(node);
  return unused.length > 0;
}

/** Short names by the long ones. */
function shortNames(libraries: readonly Library[], others: ReadonlySet<string>): Map<string, string> {
  const uses = new Map<string, number>(), declared = new Set<string>();
  for (const { program, unused } of libraries) {
    visit(program, (node) => {
      const name = plainName(node, node.type === 'MemberExpression' ? 'property' : 'key');
      if (name !== null) uses.set(name, (uses.get(name) ?? 0) + (unused.has(node) ? 0 : 1));
      if (name !== null && (node.type === 'MethodDefinition' || node.type === 'PropertyDefinition')) declared.add(name);
      const target = node.type === 'AssignmentExpression' ? node.left : null;
      if (isNode(target) && target.type === 'MemberExpression' && isNode(target.object) && target.object.type === 'ThisExpression') {
        const assigned = plainName(target, 'property');
        if (assigned !== null) declared.add(assigned);
      }
      return false;
    });
  }
  const result = new Map<string, string>();
  let next = 0;
  const unusedName = (): string => {
    for (;;) {
      let name = '';
      for (let n = next++; n >= 0; n = Math.floor(n / LETTERS.length) - 1) name = LETTERS[n % LETTERS.length] + name;
      if (!others.has(name) && !uses.has(name)) return name;
    }
  };
  for (const [name] of [...uses].toSorted((a, b) => b[1] - a[1])) {
    if (declared.has(name) && !others.has(name)) result.set(name, unusedName());
  }
  return result;
}

function rewrite({ code, program, unused }: Library, names: ReadonlyMap<string, string>): string {
  const places: Replacement[] = [];
  visit(program, (node) => {
    if (unused.has(node)) {
      places.push({ start: node.start, end: node.end, text: ';' });
      return true;
    }
    const part = node.type === 'MemberExpression' ? 'property' : 'key';
    const name = plainName(node, part), at = node[part], short = name === null ? undefined : names.get(name);
    if (short !== undefined && isNode(at)) places.push({ start: at.start, end: at.end, text: node.shorthand === true ? `${short}: ${name}` : short });
    return false;
  });
  return replaced(code, places);
}

export function smallLibraries(): Plugin {
  let root = '', texts: ReadonlyMap<string, string> = new Map();
  return {
    name: 'nestbox-libraries',
    apply: 'build',
    configResolved(config) {
      root = config.root;
    },
    buildStart() {
      const libraries = LIBRARIES.map((library) => load(root, library));
      const others = namesOfOthers(root, libraries);
      while (markUnused(libraries, others));
      const names = shortNames(libraries, others);
      texts = new Map(libraries.map((library) => [library.file, rewrite(library, names)]));
    },
    transform(_code, id) {
      const text = texts.get(id);
      return text === undefined ? undefined : { code: text, map: null };
    },
  };
}
