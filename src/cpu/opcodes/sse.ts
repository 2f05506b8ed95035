/**
 * Opcode rows of SSE and SSE2 (SDM volume 2; appendix A, map 0F), and all SSE rows together. Format: docs/internals.md,
 * "Opcode table". Handler keys end in Xmm where the mnemonic also names an MMX or string instruction, in Store
 * where the r/m operand is the destination, in 64 for the REX.W form. The prefetches are with the hints in integer.ts.
 */
import { SSE4_ROWS } from './sse4';

/** The PS, SS, PD and SD forms of an arithmetic instruction. */
function arithmetic(stem: string, opcode: string): string {
  return `
${stem}ps | Vdq,Wdq | NP 0F ${opcode} /r | x:sse
${stem}ss | Vd,Wd | F3 0F ${opcode} /r | x:sse
${stem}pd | Vdq,Wdq | 66 0F ${opcode} /r | x:sse2
${stem}sd | Vq,Wq | F2 0F ${opcode} /r | x:sse2`;
}

/** The PS and PD forms of a packed instruction. */
function packed(stem: string, opcode: string, immediate = ''): string {
  return `
${stem}ps | Vdq,Wdq${immediate} | NP 0F ${opcode} /r | x:sse
${stem}pd | Vdq,Wdq${immediate} | 66 0F ${opcode} /r | x:sse2`;
}

/** XMM forms of integer instructions that MMX has too: pairs of mnemonic and opcode. */
function integers(...pairs: readonly string[]): string {
  return pairs.map((pair) => {
    const [mnemonic, opcode] = pair.split(' ');
    return `${mnemonic} | Vdq,Wdq | 66 0F ${opcode} /r | x:sse2 h:${mnemonic}Xmm`;
  }).join('\n');
}

/** Immediate shifts: mnemonic, opcode and ModRM digit. */
function shifts(...triples: readonly string[]): string {
  return triples.map((triple) => {
    const [mnemonic, opcode, digit] = triple.split(' ');
    return `${mnemonic} | Udq,Ib | 66 0F ${opcode} /${digit}:reg | x:sse2 h:${mnemonic}XmmImm`;
  }).join('\n');
}

const MOVES = `
movups | Vdq,Wdq | NP 0F 10 /r | x:sse
movss | Vd,Wd | F3 0F 10 /r | x:sse
movupd | Vdq,Wdq | 66 0F 10 /r | x:sse2
movsd | Vq,Wq | F2 0F 10 /r | x:sse2 h:movsdXmm
movups | Wdq,Vdq | NP 0F 11 /r | x:sse h:movupsStore
movss | Wd,Vd | F3 0F 11 /r | x:sse h:movssStore
movupd | Wdq,Vdq | 66 0F 11 /r | x:sse2 h:movupdStore
movsd | Wq,Vq | F2 0F 11 /r | x:sse2 h:movsdXmmStore
movlps | Vq,Mq | NP 0F 12 /r:mem | x:sse
movhlps | Vq,Uq | NP 0F 12 /r:reg | x:sse
movlpd | Vq,Mq | 66 0F 12 /r:mem | x:sse2
movlps | Mq,Vq | NP 0F 13 /r:mem | x:sse h:movlpsStore
movlpd | Mq,Vq | 66 0F 13 /r:mem | x:sse2 h:movlpdStore
movhps | Vdq,Mq | NP 0F 16 /r:mem | x:sse
movlhps | Vdq,Uq | NP 0F 16 /r:reg | x:sse
movhpd | Vdq,Mq | 66 0F 16 /r:mem | x:sse2
movhps | Mq,Vdq | NP 0F 17 /r:mem | x:sse h:movhpsStore
movhpd | Mq,Vdq | 66 0F 17 /r:mem | x:sse2 h:movhpdStore
movaps | Vdq,Wdq | NP 0F 28 /r | x:sse
movapd | Vdq,Wdq | 66 0F 28 /r | x:sse2
movaps | Wdq,Vdq | NP 0F 29 /r | x:sse h:movapsStore
movapd | Wdq,Vdq | 66 0F 29 /r | x:sse2 h:movapdStore
movntps | Mdq,Vdq | NP 0F 2B /r:mem | x:sse
movntpd | Mdq,Vdq | 66 0F 2B /r:mem | x:sse2
movmskps | Gd,Udq | NP 0F 50 /r:reg | x:sse
movmskpd | Gd,Udq | 66 0F 50 /r:reg | x:sse2
movd | Vdq,Ed | 66 0F 6E /r REX.0 | x:sse2 h:movdXmm
movq | Vdq,Eq | 66 0F 6E /r REX.W | x:sse2 h:movdXmm64
movd | Ed,Vdq | 66 0F 7E /r REX.0 | x:sse2 h:movdXmmStore
movq | Eq,Vdq | 66 0F 7E /r REX.W | x:sse2 h:movdXmmStore64
movq | Vq,Wq | F3 0F 7E /r | x:sse2 h:movqXmm
movq | Wq,Vq | 66 0F D6 /r | x:sse2 h:movqXmmStore
movdqa | Vdq,Wdq | 66 0F 6F /r | x:sse2
movdqu | Vdq,Wdq | F3 0F 6F /r | x:sse2
movdqa | Wdq,Vdq | 66 0F 7F /r | x:sse2 h:movdqaStore
movdqu | Wdq,Vdq | F3 0F 7F /r | x:sse2 h:movdquStore
movnti | Md,Gd | NP 0F C3 /r:mem REX.0 | x:sse2
movnti | Mq,Gq | NP 0F C3 /r:mem REX.W | x:sse2 h:movnti64
movntdq | Mdq,Vdq | 66 0F E7 /r:mem | x:sse2
movq2dq | Vdq,Nq | F3 0F D6 /r:reg | x:sse2
movdq2q | Pq,Uq | F2 0F D6 /r:reg | x:sse2
pmovmskb | Gd,Udq | 66 0F D7 /r:reg | x:sse2 h:pmovmskbXmm
maskmovdqu | Vdq,Udq | 66 0F F7 /r:reg | x:sse2
`;

const FLOATING_POINT = `
${packed('and', '54')}
${packed('andn', '55')}
${packed('or', '56')}
${packed('xor', '57')}
${packed('unpckl', '14')}
${packed('unpckh', '15')}
${packed('shuf', 'C6', ',Ib')}
${arithmetic('sqrt', '51')}
${arithmetic('add', '58')}
${arithmetic('mul', '59')}
${arithmetic('sub', '5C')}
${arithmetic('min', '5D')}
${arithmetic('div', '5E')}
${arithmetic('max', '5F')}
rsqrtps | Vdq,Wdq | NP 0F 52 /r | x:sse
rsqrtss | Vd,Wd | F3 0F 52 /r | x:sse
rcpps | Vdq,Wdq | NP 0F 53 /r | x:sse
rcpss | Vd,Wd | F3 0F 53 /r | x:sse
${packed('cmp', 'C2', ',Ib')}
cmpss | Vd,Wd,Ib | F3 0F C2 /r | x:sse
cmpsd | Vq,Wq,Ib | F2 0F C2 /r | x:sse2 h:cmpsdXmm
ucomiss | Vd,Wd | NP 0F 2E /r | w:zpc 0:osa x:sse
ucomisd | Vq,Wq | 66 0F 2E /r | w:zpc 0:osa x:sse2
comiss | Vd,Wd | NP 0F 2F /r | w:zpc 0:osa x:sse
comisd | Vq,Wq | 66 0F 2F /r | w:zpc 0:osa x:sse2
`;

const CONVERSIONS = `
cvtpi2ps | Vq,Qq | NP 0F 2A /r | x:sse
cvtpi2pd | Vdq,Qq | 66 0F 2A /r | x:sse2
cvtsi2ss | Vd,Ed | F3 0F 2A /r REX.0 | x:sse
cvtsi2ss | Vd,Eq | F3 0F 2A /r REX.W | x:sse h:cvtsi2ss64
cvtsi2sd | Vq,Ed | F2 0F 2A /r REX.0 | x:sse2
cvtsi2sd | Vq,Eq | F2 0F 2A /r REX.W | x:sse2 h:cvtsi2sd64
cvttps2pi | Pq,Wq | NP 0F 2C /r | x:sse
cvttpd2pi | Pq,Wdq | 66 0F 2C /r | x:sse2
cvttss2si | Gd,Wd | F3 0F 2C /r REX.0 | x:sse
cvttss2si | Gq,Wd | F3 0F 2C /r REX.W | x:sse h:cvttss2si64
cvttsd2si | Gd,Wq | F2 0F 2C /r REX.0 | x:sse2
cvttsd2si | Gq,Wq | F2 0F 2C /r REX.W | x:sse2 h:cvttsd2si64
cvtps2pi | Pq,Wq | NP 0F 2D /r | x:sse
cvtpd2pi | Pq,Wdq | 66 0F 2D /r | x:sse2
cvtss2si | Gd,Wd | F3 0F 2D /r REX.0 | x:sse
cvtss2si | Gq,Wd | F3 0F 2D /r REX.W | x:sse h:cvtss2si64
cvtsd2si | Gd,Wq | F2 0F 2D /r REX.0 | x:sse2
cvtsd2si | Gq,Wq | F2 0F 2D /r REX.W | x:sse2 h:cvtsd2si64
cvtps2pd | Vdq,Wq | NP 0F 5A /r | x:sse2
cvtpd2ps | Vdq,Wdq | 66 0F 5A /r | x:sse2
cvtss2sd | Vq,Wd | F3 0F 5A /r | x:sse2
cvtsd2ss | Vd,Wq | F2 0F 5A /r | x:sse2
cvtdq2ps | Vdq,Wdq | NP 0F 5B /r | x:sse2
cvtps2dq | Vdq,Wdq | 66 0F 5B /r | x:sse2
cvttps2dq | Vdq,Wdq | F3 0F 5B /r | x:sse2
cvttpd2dq | Vdq,Wdq | 66 0F E6 /r | x:sse2
cvtdq2pd | Vdq,Wq | F3 0F E6 /r | x:sse2
cvtpd2dq | Vdq,Wdq | F2 0F E6 /r | x:sse2
`;

const INTEGERS = `
${integers(
  'punpcklbw 60', 'punpcklwd 61', 'punpckldq 62', 'packsswb 63', 'pcmpgtb 64', 'pcmpgtw 65', 'pcmpgtd 66', 'packuswb 67',
  'punpckhbw 68', 'punpckhwd 69', 'punpckhdq 6A', 'packssdw 6B', 'pcmpeqb 74', 'pcmpeqw 75', 'pcmpeqd 76',
  'psrlw D1', 'psrld D2', 'psrlq D3', 'paddq D4', 'pmullw D5', 'psubusb D8', 'psubusw D9', 'pminub DA', 'pand DB',
  'paddusb DC', 'paddusw DD', 'pmaxub DE', 'pandn DF', 'pavgb E0', 'psraw E1', 'psrad E2', 'pavgw E3', 'pmulhuw E4', 'pmulhw E5',
  'psubsb E8', 'psubsw E9', 'pminsw EA', 'por EB', 'paddsb EC', 'paddsw ED', 'pmaxsw EE', 'pxor EF',
  'psllw F1', 'pslld F2', 'psllq F3', 'pmuludq F4', 'pmaddwd F5', 'psadbw F6', 'psubb F8', 'psubw F9', 'psubd FA', 'psubq FB',
  'paddb FC', 'paddw FD', 'paddd FE',
)}
punpcklqdq | Vdq,Wdq | 66 0F 6C /r | x:sse2
punpckhqdq | Vdq,Wdq | 66 0F 6D /r | x:sse2
pshufd | Vdq,Wdq,Ib | 66 0F 70 /r | x:sse2
pshufhw | Vdq,Wdq,Ib | F3 0F 70 /r | x:sse2
pshuflw | Vdq,Wdq,Ib | F2 0F 70 /r | x:sse2
${shifts('psrlw 71 2', 'psraw 71 4', 'psllw 71 6', 'psrld 72 2', 'psrad 72 4', 'pslld 72 6', 'psrlq 73 2', 'psllq 73 6')}
psrldq | Udq,Ib | 66 0F 73 /3:reg | x:sse2
pslldq | Udq,Ib | 66 0F 73 /7:reg | x:sse2
pinsrw | Vdq,Rd,Ib | 66 0F C4 /r:reg | x:sse2 h:pinsrwXmm
pinsrw | Vdq,Mw,Ib | 66 0F C4 /r:mem | x:sse2 h:pinsrwXmm
pextrw | Gd,Udq,Ib | 66 0F C5 /r:reg | x:sse2 h:pextrwXmm
`;

const SYSTEM = `
ldmxcsr | Md | NP 0F AE /2:mem | x:sse
stmxcsr | Md | NP 0F AE /3:mem | x:sse
clflush | Mb | NP 0F AE /7:mem | x:clfsh
lfence | | NP 0F AE /5:reg | x:sse2
mfence | | NP 0F AE /6:reg | x:sse2
sfence | | NP 0F AE /7:reg | x:sse
`;

export const SSE_ROWS = MOVES + FLOATING_POINT + CONVERSIONS + INTEGERS + SYSTEM + SSE4_ROWS;
