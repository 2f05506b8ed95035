/** Colours for assembly in NASM's syntax and for configurations: each line by itself, no grammar. */
export type Language = 'nasm' | 'xl';

export interface Piece {
  from: number;
  to: number;
  kind: 'comment' | 'string' | 'number' | 'keyword' | 'register' | 'label' | 'instruction';
}

const REGISTERS = /^(?:[re]?[abcd]x|[abcd][hl]|[re]?[sd]i|[sd]il|[re]?[sb]p|[sb]pl|r(?:8|9|1[0-5])[dwb]?|[c-gs]s|cr[0-8]|dr[0-7]|[xy]?mm\d+|st[0-7]?)$/i;
const DIRECTIVES = /^(?:%\w+|bits|org|align|alignb|times|equ|default|rel|abs|d[bwdqto]|res[bwdqto]|byte|word|dword|qword|tword|oword|short|near|far|strict|section|segment|global|absolute|struc|endstruc|istruc|iend|at|use(?:16|32|64))$/i;
const PREFIXES = /^(?:rep(?:n?[ez])?|lock|[oa](?:16|32|64))$/i;
const NASM = /;.*|'[^']*'?|"[^"]*"?|`(?:\\.|[^`\\])*`?|%?[A-Za-z_.?@$][\w.?@$#~]*:?|%%?\w+|\d[\w]*/g;
const XL = /#.*|"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?|[A-Za-z_][\w.]*|\d\w*/g;

function nasmPieces(text: string): Piece[] {
  const pieces: Piece[] = [];
  /** The next word can be a label or an instruction. */
  let first = true;
  for (const found of text.matchAll(NASM)) {
    const word = found[0], from = found.index, to = from + word.length;
    const add = (kind: Piece['kind']): void => void pieces.push({ from, to, kind });
    if (word.startsWith(';')) add('comment');
    else if (/^['"`]/.test(word)) add('string');
    else if (/^\d/.test(word)) add('number');
    else if (word.endsWith(':')) add('label');
    else if (DIRECTIVES.test(word) || word.startsWith('%')) add('keyword');
    else if (REGISTERS.test(word)) add('register');
    else if (first && /^\s*$/.test(text.slice(0, from)) && from === 0) {
      // At the very left, without a colon: a name, for equ and data.
      add('label');
      continue;
    } else if (first) {
      add('instruction');
      if (PREFIXES.test(word)) continue;
    }
    if (!word.endsWith(':')) first = false;
  }
  return pieces;
}

function xlPieces(text: string): Piece[] {
  const pieces: Piece[] = [];
  for (const found of text.matchAll(XL)) {
    const word = found[0], from = found.index, to = from + word.length;
    const kind = word.startsWith('#') ? 'comment' : /^['"]/.test(word) ? 'string' : /^\d/.test(word) ? 'number' : 'keyword';
    pieces.push({ from, to, kind });
  }
  return pieces;
}

/** Pieces of a line in order; what is in none has the text's own colour. */
export function highlightLine(text: string, language: Language): Piece[] {
  return language === 'nasm' ? nasmPieces(text) : xlPieces(text);
}
