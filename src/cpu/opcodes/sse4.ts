/**
 * Opcode rows of SSE3, SSSE3, SSE4.1 and SSE4.2 on XMM registers (SDM volume 2; appendix A, maps 0F, 0F 38, 0F 3A). Format and
 * handler keys as in sse.ts, which includes these rows. MONITOR, FISTTP, CRC32 and POPCNT are with their own families.
 */

/** XMM forms of SSSE3 instructions that work on MMX registers too: pairs of mnemonic and opcode. */
function ssse3(...pairs: readonly string[]): string {
  return pairs.map((pair) => {
    const [mnemonic, opcode] = pair.split(' ');
    return `${mnemonic} | Vdq,Wdq | 66 0F 38 ${opcode} /r | x:ssse3 h:${mnemonic}Xmm`;
  }).join('\n');
}

/** SSE4.1 instructions of map 0F 38 with a 128-bit source. */
function sse41(...pairs: readonly string[]): string {
  return pairs.map((pair) => {
    const [mnemonic, opcode] = pair.split(' ');
    return `${mnemonic} | Vdq,Wdq | 66 0F 38 ${opcode} /r | x:sse4_1`;
  }).join('\n');
}

/** SSE4.1 instructions of map 0F 3A with a 128-bit source and an immediate. */
function sse41Immediate(...pairs: readonly string[]): string {
  return pairs.map((pair) => {
    const [mnemonic, opcode] = pair.split(' ');
    return `${mnemonic} | Vdq,Wdq,Ib | 66 0F 3A ${opcode} /r | x:sse4_1`;
  }).join('\n');
}

/** The six widening forms from `first`, in opcode order. */
function widening(stem: string, first: number): string {
  return ['bw Wq', 'bd Wd', 'bq Ww', 'wd Wq', 'wq Wd', 'dq Wq'].map((form, i) => {
    const [suffix, source] = form.split(' ');
    return `${stem}${suffix} | Vdq,${source} | 66 0F 38 ${(first + i).toString(16).toUpperCase()} /r | x:sse4_1`;
  }).join('\n');
}

export const SSE4_ROWS = `
movsldup | Vdq,Wdq | F3 0F 12 /r | x:sse3
movddup | Vdq,Wq | F2 0F 12 /r | x:sse3
movshdup | Vdq,Wdq | F3 0F 16 /r | x:sse3
haddpd | Vdq,Wdq | 66 0F 7C /r | x:sse3
haddps | Vdq,Wdq | F2 0F 7C /r | x:sse3
hsubpd | Vdq,Wdq | 66 0F 7D /r | x:sse3
hsubps | Vdq,Wdq | F2 0F 7D /r | x:sse3
addsubpd | Vdq,Wdq | 66 0F D0 /r | x:sse3
addsubps | Vdq,Wdq | F2 0F D0 /r | x:sse3
lddqu | Vdq,Mdq | F2 0F F0 /r:mem | x:sse3

${ssse3(
  'pshufb 00', 'phaddw 01', 'phaddd 02', 'phaddsw 03', 'pmaddubsw 04', 'phsubw 05', 'phsubd 06', 'phsubsw 07',
  'psignb 08', 'psignw 09', 'psignd 0A', 'pmulhrsw 0B', 'pabsb 1C', 'pabsw 1D', 'pabsd 1E',
)}
palignr | Vdq,Wdq,Ib | 66 0F 3A 0F /r | x:ssse3 h:palignrXmm

pblendvb | Vdq,Wdq,XMM0 | 66 0F 38 10 /r | x:sse4_1
blendvps | Vdq,Wdq,XMM0 | 66 0F 38 14 /r | x:sse4_1
blendvpd | Vdq,Wdq,XMM0 | 66 0F 38 15 /r | x:sse4_1
ptest | Vdq,Wdq | 66 0F 38 17 /r | w:zc 0:osap x:sse4_1
${widening('pmovsx', 0x20)}
${widening('pmovzx', 0x30)}
${sse41(
  'pmuldq 28', 'pcmpeqq 29', 'packusdw 2B', 'pminsb 38', 'pminsd 39', 'pminuw 3A', 'pminud 3B',
  'pmaxsb 3C', 'pmaxsd 3D', 'pmaxuw 3E', 'pmaxud 3F', 'pmulld 40', 'phminposuw 41',
)}
movntdqa | Vdq,Mdq | 66 0F 38 2A /r:mem | x:sse4_1
${sse41Immediate('roundps 08', 'roundpd 09', 'blendps 0C', 'blendpd 0D', 'pblendw 0E', 'dpps 40', 'dppd 41', 'mpsadbw 42')}
roundss | Vd,Wd,Ib | 66 0F 3A 0A /r | x:sse4_1
roundsd | Vq,Wq,Ib | 66 0F 3A 0B /r | x:sse4_1
pextrb | Rd,Vdq,Ib | 66 0F 3A 14 /r:reg | x:sse4_1
pextrb | Mb,Vdq,Ib | 66 0F 3A 14 /r:mem | x:sse4_1
pextrw | Rd,Vdq,Ib | 66 0F 3A 15 /r:reg | x:sse4_1 h:pextrwStore
pextrw | Mw,Vdq,Ib | 66 0F 3A 15 /r:mem | x:sse4_1 h:pextrwStore
pextrd | Ed,Vdq,Ib | 66 0F 3A 16 /r REX.0 | x:sse4_1
pextrq | Eq,Vdq,Ib | 66 0F 3A 16 /r REX.W | x:sse4_1
extractps | Ed,Vdq,Ib | 66 0F 3A 17 /r | x:sse4_1
pinsrb | Vdq,Rd,Ib | 66 0F 3A 20 /r:reg | x:sse4_1
pinsrb | Vdq,Mb,Ib | 66 0F 3A 20 /r:mem | x:sse4_1
insertps | Vdq,Wd,Ib | 66 0F 3A 21 /r | x:sse4_1
pinsrd | Vdq,Ed,Ib | 66 0F 3A 22 /r REX.0 | x:sse4_1
pinsrq | Vdq,Eq,Ib | 66 0F 3A 22 /r REX.W | x:sse4_1

pcmpgtq | Vdq,Wdq | 66 0F 38 37 /r | x:sse4_2
pcmpestrm | Vdq,Wdq,Ib | 66 0F 3A 60 /r REX.0 | w:oszc 0:ap x:sse4_2
pcmpestrm | Vdq,Wdq,Ib | 66 0F 3A 60 /r REX.W | w:oszc 0:ap x:sse4_2 h:pcmpestrm64
pcmpestri | Vdq,Wdq,Ib | 66 0F 3A 61 /r REX.0 | w:oszc 0:ap x:sse4_2
pcmpestri | Vdq,Wdq,Ib | 66 0F 3A 61 /r REX.W | w:oszc 0:ap x:sse4_2 h:pcmpestri64
pcmpistrm | Vdq,Wdq,Ib | 66 0F 3A 62 /r | w:oszc 0:ap x:sse4_2
pcmpistri | Vdq,Wdq,Ib | 66 0F 3A 63 /r | w:oszc 0:ap x:sse4_2
`;
