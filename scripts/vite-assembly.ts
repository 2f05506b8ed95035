/**
 * Vite plugin: the columns of the assembly sources that come with the page are made by tabs instead of runs of spaces, which is what editors of assembly
 * are set to, the playground's among them. Nothing after the first quotation mark of a line is touched, so that no string changes. Builds only.
 */
import type { Plugin } from 'vite';

const COLUMNS = 8;
const SOURCES = /\/src\/guests\/(?:[\w-]+\.asm|lessons\/[\w-]+(?:\.asm)?)\.ts$/;

/** The line with each run of two or more spaces that ends at a tab stop as a tab. */
export function withTabs(line: string): string {
  const quote = line.search(/["'`$]/), end = quote < 0 ? line.length : quote;
  let result = '', at = 0;
  for (; at + COLUMNS <= end; at += COLUMNS) result += line.slice(at, at + COLUMNS).replace(/ {2,}$/, '\t');
  return result + line.slice(at);
}

export function assemblyTabs(): Plugin {
  return {
    name: 'nestbox-assembly-tabs',
    apply: 'build',
    enforce: 'pre',
    transform: (code, id) => (SOURCES.test(id) ? { code: code.split('\n').map(withTabs).join('\n'), map: null } : undefined),
  };
}
