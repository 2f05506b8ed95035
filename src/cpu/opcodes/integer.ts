/**
 * Opcode rows of the integer instructions (SDM volume 2; appendix A maps): everything of the one-byte map and
 * the 0F, 0F 38 maps that is neither system, x87, MMX, SSE nor VMX. Format: docs/internals.md, "Opcode table".
 *
 * Rows that name a mandatory prefix go before rows that do not; otherwise the first row that fits wins. NOP (90) with
 * REX.B is XCHG. Handler keys (`h:`) tell apart what the generic record does not: byte operands (suffix b) and the source of a count or bit number (1 = one, c = CL, i = immediate).
 *
 * Not advertised and therefore absent: MOVBE, LZCNT and TZCNT (their bytes execute as BSR and BSF), ADX, BMI, RTM.
 * 0F 18 - 0F 1F and 0F 0D are hints: whatever they name later (prefetches, ENDBR, MPX), this CPU does nothing.
 */

/** The eight rows of a binary arithmetic instruction whose opcodes start at `first`; `group` is its /digit in 80-83. */
function arithmetic(mnemonic: string, first: number, group: number, flags: string, lock: string): string {
  const op = (n: number): string => (first + n).toString(16).toUpperCase().padStart(2, '0');
  return `
${mnemonic} | Eb,Gb | ${op(0)} /r | ${flags} ${lock}
${mnemonic} | Ev,Gv | ${op(1)} /r | ${flags} ${lock}
${mnemonic} | Gb,Eb | ${op(2)} /r | ${flags}
${mnemonic} | Gv,Ev | ${op(3)} /r | ${flags}
${mnemonic} | Ev,sIb | 83 /${group} | ${flags} ${lock}
${mnemonic} | AL,Ib | ${op(4)} | ${flags}
${mnemonic} | rAX,Iz | ${op(5)} | ${flags}
${mnemonic} | Eb,Ib | 80 /${group} | ${flags} ${lock}
${mnemonic} | Ev,Iz | 81 /${group} | ${flags} ${lock}
${mnemonic} | Eb,Ib | 82 /${group} | ${flags} ${lock} i64`;
}

/** The rows of a shift or rotate by one, CL and an immediate; `keys` gives the rotate-through-carry forms handlers of their own. */
function shift(mnemonic: string, group: number, flags: string, keys: boolean): string {
  const key = (suffix: string): string => (keys ? ` h:${mnemonic}${suffix}` : '');
  return `
${mnemonic} | Eb,1 | D0 /${group} | ${flags}${key('b1')}
${mnemonic} | Ev,1 | D1 /${group} | ${flags}${key('1')}
${mnemonic} | Eb,CL | D2 /${group} | ${flags}${key('bc')}
${mnemonic} | Ev,CL | D3 /${group} | ${flags}${key('c')}
${mnemonic} | Eb,Ib | C0 /${group} | ${flags}${key('bi')}
${mnemonic} | Ev,Ib | C1 /${group} | ${flags}${key('i')}`;
}

/** Condition suffixes by condition code, and the flags each one reads. */
const CONDITIONS = [
  ['o', 'o'], ['no', 'o'], ['b', 'c'], ['ae', 'c'], ['e', 'z'], ['ne', 'z'], ['be', 'cz'], ['a', 'cz'],
  ['s', 's'], ['ns', 's'], ['p', 'p'], ['np', 'p'], ['l', 'so'], ['ge', 'so'], ['le', 'zso'], ['g', 'zso'],
] as const;

function perCondition(row: (suffix: string, flags: string, hex: string) => string): string {
  return CONDITIONS.map(([suffix, flags], code) => row(suffix, flags, code.toString(16).toUpperCase())).join('\n');
}

const ARITHMETIC = 'w:oszapc';
const LOGIC = 'w:oszpc u:a';

export const INTEGER_ROWS = `
${arithmetic('add', 0x00, 0, ARITHMETIC, 'lock')}
${arithmetic('or', 0x08, 1, LOGIC, 'lock')}
${arithmetic('adc', 0x10, 2, `${ARITHMETIC} r:c`, 'lock')}
${arithmetic('sbb', 0x18, 3, `${ARITHMETIC} r:c`, 'lock')}
${arithmetic('and', 0x20, 4, LOGIC, 'lock')}
${arithmetic('sub', 0x28, 5, ARITHMETIC, 'lock')}
${arithmetic('xor', 0x30, 6, LOGIC, 'lock')}
${arithmetic('cmp', 0x38, 7, ARITHMETIC, '')}

daa | | 27 | w:szapc u:o r:ac i64
das | | 2F | w:szapc u:o r:ac i64
aaa | | 37 | w:ac u:oszp r:a i64
aas | | 3F | w:ac u:oszp r:a i64
aam | Ib | D4 | w:szp u:oac i64
aad | Ib | D5 | w:szp u:oac i64

inc | Zv | 40 +r | w:oszap i64
dec | Zv | 48 +r | w:oszap i64
inc | Eb | FE /0 | w:oszap lock
dec | Eb | FE /1 | w:oszap lock
inc | Ev | FF /0 | w:oszap lock
dec | Ev | FF /1 | w:oszap lock

push | Zv | 50 +r | d64
pop | Zv | 58 +r | d64
push | Iz | 68 | d64 h:push-immediate
push | sIb | 6A | d64 h:push-immediate
push | Ev | FF /6 | d64
pop | Ev | 8F /0 | d64
pusha | | 60 | i64
popa | | 61 | i64
bound | Gv,Ma | 62 /r:mem | i64
enter | Iw,Ib | C8 | d64
leave | | C9 | d64

movsxd | Gv,Ed | 63 /r | o64
imul | Gv,Ev,Iz | 69 /r | w:oc u:szap
imul | Gv,Ev,sIb | 6B /r | w:oc u:szap
imul | Gv,Ev | 0F AF /r | w:oc u:szap

${perCondition((suffix, flags, hex) => `j${suffix} | Jb | 7${hex} | r:${flags} f64 end`)}
${perCondition((suffix, flags, hex) => `j${suffix} | Jz | 0F 8${hex} | r:${flags} f64 end`)}
${perCondition((suffix, flags, hex) => `set${suffix} | Eb | 0F 9${hex} /r | r:${flags}`)}
${perCondition((suffix, flags, hex) => `cmov${suffix} | Gv,Ev | 0F 4${hex} /r | r:${flags}`)}

loopne | Jb | E0 | r:z f64 end
loope | Jb | E1 | r:z f64 end
loop | Jb | E2 | f64 end
jrcxz | Jb | E3 | f64 end
call | Jz | E8 | f64 end
jmp | Jz | E9 | f64 end
jmp | Jb | EB | f64 end
call | Ev | FF /2 | f64 end h:call-indirect
jmp | Ev | FF /4 | f64 end h:jmp-indirect
ret | | C3 | f64 end
ret | Iw | C2 | f64 end h:ret-immediate

test | Eb,Gb | 84 /r | ${LOGIC}
test | Ev,Gv | 85 /r | ${LOGIC}
test | AL,Ib | A8 | ${LOGIC}
test | rAX,Iz | A9 | ${LOGIC}
test | Eb,Ib | F6 /0 | ${LOGIC}
test | Eb,Ib | F6 /1 | ${LOGIC}
test | Ev,Iz | F7 /0 | ${LOGIC}
test | Ev,Iz | F7 /1 | ${LOGIC}
not | Eb | F6 /2 | lock
not | Ev | F7 /2 | lock
neg | Eb | F6 /3 | w:oszapc lock
neg | Ev | F7 /3 | w:oszapc lock
mul | Eb | F6 /4 | w:oc u:szap h:mulb
mul | Ev | F7 /4 | w:oc u:szap
imul | Eb | F6 /5 | w:oc u:szap h:imul1b
imul | Ev | F7 /5 | w:oc u:szap h:imul1
div | Eb | F6 /6 | u:oszapc h:divb
div | Ev | F7 /6 | u:oszapc
idiv | Eb | F6 /7 | u:oszapc h:idivb
idiv | Ev | F7 /7 | u:oszapc

xchg | Eb,Gb | 86 /r | lock
xchg | Ev,Gv | 87 /r | lock
nop | | 90 |
xchg | Zv,rAX | 90 +r |

mov | Eb,Gb | 88 /r |
mov | Ev,Gv | 89 /r |
mov | Gb,Eb | 8A /r |
mov | Gv,Ev | 8B /r |
mov | AL,Ob | A0 |
mov | rAX,Ov | A1 |
mov | Ob,AL | A2 |
mov | Ov,rAX | A3 |
mov | Zb,Ib | B0 +r |
mov | Zv,Iv | B8 +r |
mov | Eb,Ib | C6 /0 |
mov | Ev,Iz | C7 /0 |
lea | Gv,M | 8D /r:mem |
movzx | Gv,Eb | 0F B6 /r |
movzx | Gv,Ew | 0F B7 /r |
movsx | Gv,Eb | 0F BE /r |
movsx | Gv,Ew | 0F BF /r |
xlat | | D7 |

cwde | | 98 |
cdq | | 99 |
sahf | | 9E | w:szapc x:lahf_lm
lahf | | 9F | r:szapc x:lahf_lm
salc | | D6 | r:c i64
cmc | | F5 | w:c r:c
clc | | F8 | 0:c
stc | | F9 | 1:c
cld | | FC | 0:d
std | | FD | 1:d

movs | Yb,Xb | A4 | r:d rep end h:movsb
movs | Yv,Xv | A5 | r:d rep end
cmps | Xb,Yb | A6 | w:oszapc r:d repe end h:cmpsb
cmps | Xv,Yv | A7 | w:oszapc r:d repe end
stos | Yb,AL | AA | r:d rep end h:stosb
stos | Yv,rAX | AB | r:d rep end
lods | AL,Xb | AC | r:d rep end h:lodsb
lods | rAX,Xv | AD | r:d rep end
scas | AL,Yb | AE | w:oszapc r:d repe end h:scasb
scas | rAX,Yv | AF | w:oszapc r:d repe end

${shift('rol', 0, 'w:oc', false)}
${shift('ror', 1, 'w:oc', false)}
${shift('rcl', 2, 'w:oc r:c', true)}
${shift('rcr', 3, 'w:oc r:c', true)}
${shift('shl', 4, 'w:oszpc u:a', false)}
${shift('shr', 5, 'w:oszpc u:a', false)}
${shift('shl', 6, 'w:oszpc u:a', false)}
${shift('sar', 7, 'w:oszpc u:a', false)}
shld | Ev,Gv,Ib | 0F A4 /r | w:oszpc u:a h:shldi
shld | Ev,Gv,CL | 0F A5 /r | w:oszpc u:a h:shldc
shrd | Ev,Gv,Ib | 0F AC /r | w:oszpc u:a h:shrdi
shrd | Ev,Gv,CL | 0F AD /r | w:oszpc u:a h:shrdc

bt | Ev,Gv | 0F A3 /r | w:c u:osap
bts | Ev,Gv | 0F AB /r | w:c u:osap lock
btr | Ev,Gv | 0F B3 /r | w:c u:osap lock
btc | Ev,Gv | 0F BB /r | w:c u:osap lock
bt | Ev,Ib | 0F BA /4 | w:c u:osap h:bti
bts | Ev,Ib | 0F BA /5 | w:c u:osap lock h:btsi
btr | Ev,Ib | 0F BA /6 | w:c u:osap lock h:btri
btc | Ev,Ib | 0F BA /7 | w:c u:osap lock h:btci
popcnt | Gv,Ev | F3 0F B8 /r | w:z 0:osapc x:popcnt
bsf | Gv,Ev | 0F BC /r | w:z u:osapc
bsr | Gv,Ev | 0F BD /r | w:z u:osapc
crc32 | Gy,Eb | F2 0F 38 F0 /r | x:sse4_2 h:crc32b
crc32 | Gy,Ev | F2 0F 38 F1 /r | x:sse4_2

cmpxchg | Eb,Gb | 0F B0 /r | w:oszapc lock h:cmpxchgb
cmpxchg | Ev,Gv | 0F B1 /r | w:oszapc lock
xadd | Eb,Gb | 0F C0 /r | w:oszapc lock h:xaddb
xadd | Ev,Gv | 0F C1 /r | w:oszapc lock
cmpxchg8b | Mq | 0F C7 /1:mem REX.0 | w:z lock x:cx8
cmpxchg16b | Mdq | 0F C7 /1:mem REX.W | w:z lock x:cx16
bswap | Zy | 0F C8 +r |

prefetchnta | Mb | 0F 18 /0:mem | h:nop
prefetcht0 | Mb | 0F 18 /1:mem | h:nop
prefetcht1 | Mb | 0F 18 /2:mem | h:nop
prefetcht2 | Mb | 0F 18 /3:mem | h:nop
prefetch | Mb | 0F 0D /0:mem | h:nop
prefetchw | Mb | 0F 0D /1:mem | h:nop
endbr32 | | F3 0F 1E =FB | h:nop
endbr64 | | F3 0F 1E =FA | h:nop
nop | Ev | 0F 1F /r |
nop | Ev | 0F 0D /r |
nop | Ev | 0F 18 /r |
nop | Ev | 0F 19 /r |
nop | Ev | 0F 1A /r |
nop | Ev | 0F 1B /r |
nop | Ev | 0F 1C /r |
nop | Ev | 0F 1D /r |
nop | Ev | 0F 1E /r |
`;
