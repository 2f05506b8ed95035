/**
 * Mnemonics as people write them: the opcode rows have one row for instructions whose name depends on the operand or
 * address size (CBW/CWDE/CDQE, MOVSB/W/D/Q), and one name per condition. The disassembler and the assembler share these lists.
 */

/** Row mnemonic -> its spellings at operand size 16, 32, 64. */
export const SIZED_BY_OPERAND: Record<string, readonly [string, string, string]> = {
  cwde: ['cbw', 'cwde', 'cdqe'],
  cdq: ['cwd', 'cdq', 'cqo'],
  pusha: ['pushaw', 'pushad', ''],
  popa: ['popaw', 'popad', ''],
  pushf: ['pushfw', 'pushfd', 'pushfq'],
  popf: ['popfw', 'popfd', 'popfq'],
  iret: ['iretw', 'iretd', 'iretq'],
};

/** Row mnemonic -> its spellings at address size 16, 32, 64. */
export const SIZED_BY_ADDRESS: Record<string, readonly [string, string, string]> = {
  jrcxz: ['jcxz', 'jecxz', 'jrcxz'],
};

/** String instructions: the row mnemonic takes a letter for the element size. */
export const STRING_MNEMONICS: readonly string[] = ['movs', 'cmps', 'stos', 'lods', 'scas', 'ins', 'outs'];

/** Element suffixes by width in bits. */
export const STRING_SUFFIX: Record<number, string> = { 8: 'b', 16: 'w', 32: 'd', 64: 'q' };

const CONDITION_ALIASES: Record<string, string> = {
  c: 'b', nae: 'b', nb: 'ae', nc: 'ae', z: 'e', nz: 'ne', na: 'be', nbe: 'a', pe: 'p', po: 'np', nge: 'l', nl: 'ge', ng: 'le', nle: 'g',
};

/** Other spellings -> row mnemonic. */
export const ALIASES = new Map<string, string>([
  ['sal', 'shl'], ['xlatb', 'xlat'], ['loopz', 'loope'], ['loopnz', 'loopne'], ['retn', 'ret'], ['wait', 'fwait'],
  ['icebp', 'int1'],
]);
for (const [alias, suffix] of Object.entries(CONDITION_ALIASES)) {
  for (const stem of ['j', 'set', 'cmov']) ALIASES.set(stem + alias, stem + suffix);
}

/** Rows that store a selector or status word: a register takes the operand size, memory always 16 bits. */
export function storesWord(mnemonic: string, operands: readonly string[]): boolean {
  return mnemonic === 'sldt' || mnemonic === 'str' || mnemonic === 'smsw' || (mnemonic === 'mov' && operands[1] === 'Sw');
}

/** Instructions without operands whose operand size shows in nothing else. */
export const SIZE_SILENT: readonly string[] = ['ret', 'retf', 'sysret', 'sysexit', 'leave', 'enter'];
