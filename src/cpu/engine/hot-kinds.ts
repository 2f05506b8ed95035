/**
 * The record kinds that get a case in the interpreter's switch: those that Linux and its user space execute most, measured over boots with
 * buildEngine(counts). The switch must stay under V8's optimisation limit (61,440 bytes of bytecode; a test asserts the text size).
 */
export const HOT_KINDS: readonly string[] = [
  'generic', 'generic-end', 'leave-block', 'region', 'mov64rr', 'mov64rm', 'mov32rm', 'movzx8to32rm', 'mov32rr', 'ea', 'mov32mr', 'jmp', 'add32riq', 'mov64mr',
  'push64r', 'pop64r', 'lea64', 'ret64', 'add64riq', 'call64', 'add64rrq', 'add64ri', 'xor32rr', 'cmp32rr_jne', 'movsx32to64rr', 'je', 'test8rr_je',
  'test8rr_jns', 'mov32ri', 'easegd', 'cmp64rr_jb', 'cmp8ri_je', 'test64rr_je', 'lea32', 'test8mi_jne', 'cmp8ri_jne', 'inc32m', 'dec32m',
  'test32rr_jne', 'add32rrq', 'sub64rrq', 'sbb32rr', 'jne', 'cmp64rr_jne', 'cmp64rr_jae', 'cmp64rr', 'cmp32rr', 'movzx8to32rr', 'xor32rrq', 'add32rr',
  'add64rm', 'jb', 'cmp32mr_jne', 'sub32rm', 'cmp8mi_jne', 'test32rr_je', 'and32riq', 'sbb32rm', 'shr64riq', 'movsx32to64rm', 'test8rr_jne',
  'mov64mi', 'add64rr', 'cmp64rr_je', 'mov8mr', 'mov8mi', 'push32r', 'cmovae64rr', 'pop32r', 'sub64ri', 'ror32riq', 'ret32', 'movzx16to32rm',
  'call32', 'and32ri', 'cmp64ri_je', 'cmp8rm_je', 'mov64ri', 'mov32mi', 'shl64riq', 'rol32riq', 'cmp16mi', 'sar64riq', 'cmp32ri_je', 'next',
  'add32ri', 'sar64ri', 'cmp32ri_ja', 'shl64ri', 'sub32rr', 'cmovbe64rr', 'test64rr_jne', 'test8ri_jne', 'shr32riq', 'cmp64ri_ja', 'not64r',
  'cmp32ri_jbe', 'sub32riq', 'sub64rm', 'sub64riq', 'and64rrq', 'test32rr_jns', 'cmp8mi', 'cmp32rm_jae', 'shr64ri', 'cmp64ri_jbe', 'and64riq', 'jae',
  'test32ri_je', 'cmovb64rr', 'rol32ri', 'cmp8mi_je', 'cmp32rr_jae', 'cmp64mr_jne', 'or64rr', 'sub64rr', 'movsx8to32rr', 'dec32r', 'or64rrq',
  'test32ri_jne', 'mov16mr', 'cmp32mr_je', 'or32ri', 'cmp32rr_je', 'imul64rrq', 'sub32rrq', 'test8ri_je', 'mov64ri64', 'cmp32rr_jb', 'and64ri',
  'cmp64ri_jne', 'ror32ri', 'or64rm', 'cmp32ri_jne', 'call64r', 'test32rr_js', 'cmp32ri_jb', 'sub32ri', 'add32mi', 'setner', 'test32rr', 'cmp8ri',
  'cmp64mi_je', 'add32rm', 'inc64r', 'test8mi_je', 'shr32ri', 'cmp8rr_je', 'setbr', 'js', 'seter', 'test64rr', 'add64mr', 'cmovs64rr',
];
