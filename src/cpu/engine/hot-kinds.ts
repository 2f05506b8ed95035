/**
 * The record kinds that get a case in the interpreter's switch: those that Linux and its user space execute most, measured over boots with
 * `nestbox run --trace kinds`. The switch must stay under V8's optimisation limit (61,440 bytes of bytecode; a test asserts the text size).
 */
export const HOT_KINDS: readonly string[] = [
  'generic', 'generic-end', 'leave-block', 'next', 'jmp',
  'mov64rr', 'mov32rr', 'mov64rm', 'mov32rm', 'mov64mr', 'mov32mr', 'mov64ri', 'mov32ri', 'mov8mr', 'mov32mi', 'mov64mi', 'mov8mi', 'mov8rm',
  'movzx8to32rm', 'movzx8to32rr', 'movzx16to32rm', 'movzx16to32rr', 'movsx32to64rr', 'movsx32to64rm', 'lea64', 'lea32', 'ea', 'easegd', 'easeg',
  'add64rr', 'add64ri', 'add32rr', 'add32ri', 'add64rm', 'sub64rr', 'sub64ri', 'sub32rr', 'sub32ri', 'and32ri', 'and32rr', 'and64rr', 'and64ri',
  'or32rr', 'or64rr', 'or32ri', 'xor32rr', 'xor64rr', 'xor32rrq', 'add64riq', 'add64rrq', 'add32riq', 'sub64rrq', 'and32riq', 'and64rrq',
  'cmp64rr', 'cmp32ri', 'test32rr', 'test64rr',
  'shl64ri', 'shr64ri', 'shl32ri', 'shr32ri', 'sar64ri', 'shl64riq', 'shr64riq', 'shl32riq', 'shr32riq', 'imul64rr', 'imul64rrq', 'sub32rrq', 'or32rrq', 'or64rrq', 'xor64rrq',
  'push64r', 'pop64r', 'call64', 'ret64', 'call64r', 'jmp64r', 'push32r', 'pop32r', 'call32', 'ret32',
  'je', 'jne', 'jb', 'jae', 'jbe', 'ja', 'js', 'jns', 'jl', 'jge', 'jle', 'jg',
  'test64rr_je', 'test64rr_jne', 'test32rr_je', 'test32rr_jne', 'test8rr_je', 'test8rr_jne', 'test32rr_js', 'test64rr_js', 'test8ri_je', 'test8ri_jne',
  'cmp64rr_je', 'cmp64rr_jne', 'cmp64rr_jb', 'cmp64rr_jae', 'cmp64rr_jbe', 'cmp64rr_ja', 'cmp32rr_je', 'cmp32rr_jne', 'cmp32rr_jl', 'cmp32rr_jge',
  'cmp32ri_je', 'cmp32ri_jne', 'cmp32ri_ja', 'cmp32ri_jbe', 'cmp32ri_jle', 'cmp32ri_jg', 'cmp64ri_je', 'cmp64ri_jne', 'cmp8ri_je', 'cmp8ri_jne',
  'cmp32mi_je', 'cmp32mi_jne', 'cmp8mi_je', 'cmp8mi_jne', 'cmp64mi_je', 'cmp64mi_jne', 'test8mi_je', 'test8mi_jne', 'cmp64rm_je', 'cmp64rm_jne',
];
