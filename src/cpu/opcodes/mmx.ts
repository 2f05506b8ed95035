/**
 * Opcode rows of MMX and of the SSE, SSE2 and SSSE3 instructions that work on MMX registers alone (SDM 2B, SDM 2D
 * appendix A). Row format: docs/internals.md.
 */
export const MMX_ROWS = `
movd | Pq,Ed | NP 0F 6E /r REX.0 | x:MMX h:movdMmx
movq | Pq,Eq | NP 0F 6E /r REX.W | x:MMX h:movdMmx64
movd | Ed,Pq | NP 0F 7E /r REX.0 | x:MMX h:movdMmxStore
movq | Eq,Pq | NP 0F 7E /r REX.W | x:MMX h:movdMmxStore64
movq | Pq,Qq | NP 0F 6F /r | x:MMX h:movqMmx
movq | Qq,Pq | NP 0F 7F /r | x:MMX h:movqMmxStore
emms |  | NP 0F 77 | x:MMX
punpcklbw | Pq,Qd | NP 0F 60 /r | x:MMX
punpcklwd | Pq,Qd | NP 0F 61 /r | x:MMX
punpckldq | Pq,Qd | NP 0F 62 /r | x:MMX
packsswb | Pq,Qq | NP 0F 63 /r | x:MMX
pcmpgtb | Pq,Qq | NP 0F 64 /r | x:MMX
pcmpgtw | Pq,Qq | NP 0F 65 /r | x:MMX
pcmpgtd | Pq,Qq | NP 0F 66 /r | x:MMX
packuswb | Pq,Qq | NP 0F 67 /r | x:MMX
punpckhbw | Pq,Qq | NP 0F 68 /r | x:MMX
punpckhwd | Pq,Qq | NP 0F 69 /r | x:MMX
punpckhdq | Pq,Qq | NP 0F 6A /r | x:MMX
packssdw | Pq,Qq | NP 0F 6B /r | x:MMX
pcmpeqb | Pq,Qq | NP 0F 74 /r | x:MMX
pcmpeqw | Pq,Qq | NP 0F 75 /r | x:MMX
pcmpeqd | Pq,Qq | NP 0F 76 /r | x:MMX
psrlw | Pq,Qq | NP 0F D1 /r | x:MMX
psrld | Pq,Qq | NP 0F D2 /r | x:MMX
psrlq | Pq,Qq | NP 0F D3 /r | x:MMX
pmullw | Pq,Qq | NP 0F D5 /r | x:MMX
psubusb | Pq,Qq | NP 0F D8 /r | x:MMX
psubusw | Pq,Qq | NP 0F D9 /r | x:MMX
pand | Pq,Qq | NP 0F DB /r | x:MMX
paddusb | Pq,Qq | NP 0F DC /r | x:MMX
paddusw | Pq,Qq | NP 0F DD /r | x:MMX
pandn | Pq,Qq | NP 0F DF /r | x:MMX
psraw | Pq,Qq | NP 0F E1 /r | x:MMX
psrad | Pq,Qq | NP 0F E2 /r | x:MMX
pmulhw | Pq,Qq | NP 0F E5 /r | x:MMX
psubsb | Pq,Qq | NP 0F E8 /r | x:MMX
psubsw | Pq,Qq | NP 0F E9 /r | x:MMX
por | Pq,Qq | NP 0F EB /r | x:MMX
paddsb | Pq,Qq | NP 0F EC /r | x:MMX
paddsw | Pq,Qq | NP 0F ED /r | x:MMX
pxor | Pq,Qq | NP 0F EF /r | x:MMX
psllw | Pq,Qq | NP 0F F1 /r | x:MMX
pslld | Pq,Qq | NP 0F F2 /r | x:MMX
psllq | Pq,Qq | NP 0F F3 /r | x:MMX
pmaddwd | Pq,Qq | NP 0F F5 /r | x:MMX
psubb | Pq,Qq | NP 0F F8 /r | x:MMX
psubw | Pq,Qq | NP 0F F9 /r | x:MMX
psubd | Pq,Qq | NP 0F FA /r | x:MMX
paddb | Pq,Qq | NP 0F FC /r | x:MMX
paddw | Pq,Qq | NP 0F FD /r | x:MMX
paddd | Pq,Qq | NP 0F FE /r | x:MMX
psrlw | Nq,Ib | NP 0F 71 /2:reg | x:MMX h:psrlwImm
psraw | Nq,Ib | NP 0F 71 /4:reg | x:MMX h:psrawImm
psllw | Nq,Ib | NP 0F 71 /6:reg | x:MMX h:psllwImm
psrld | Nq,Ib | NP 0F 72 /2:reg | x:MMX h:psrldImm
psrad | Nq,Ib | NP 0F 72 /4:reg | x:MMX h:psradImm
pslld | Nq,Ib | NP 0F 72 /6:reg | x:MMX h:pslldImm
psrlq | Nq,Ib | NP 0F 73 /2:reg | x:MMX h:psrlqImm
psllq | Nq,Ib | NP 0F 73 /6:reg | x:MMX h:psllqImm
pminub | Pq,Qq | NP 0F DA /r | x:SSE
pmaxub | Pq,Qq | NP 0F DE /r | x:SSE
pavgb | Pq,Qq | NP 0F E0 /r | x:SSE
pavgw | Pq,Qq | NP 0F E3 /r | x:SSE
pmulhuw | Pq,Qq | NP 0F E4 /r | x:SSE
pminsw | Pq,Qq | NP 0F EA /r | x:SSE
pmaxsw | Pq,Qq | NP 0F EE /r | x:SSE
psadbw | Pq,Qq | NP 0F F6 /r | x:SSE
pshufw | Pq,Qq,Ib | NP 0F 70 /r | x:SSE
pinsrw | Pq,Rd,Ib | NP 0F C4 /r:reg | x:SSE
pinsrw | Pq,Mw,Ib | NP 0F C4 /r:mem | x:SSE
pextrw | Gd,Nq,Ib | NP 0F C5 /r:reg | x:SSE
pmovmskb | Gd,Nq | NP 0F D7 /r:reg | x:SSE
movntq | Mq,Pq | NP 0F E7 /r:mem | x:SSE
maskmovq | Pq,Nq | NP 0F F7 /r:reg | x:SSE
paddq | Pq,Qq | NP 0F D4 /r | x:SSE2
pmuludq | Pq,Qq | NP 0F F4 /r | x:SSE2
psubq | Pq,Qq | NP 0F FB /r | x:SSE2
pshufb | Pq,Qq | NP 0F 38 00 /r | x:SSSE3
phaddw | Pq,Qq | NP 0F 38 01 /r | x:SSSE3
phaddd | Pq,Qq | NP 0F 38 02 /r | x:SSSE3
phaddsw | Pq,Qq | NP 0F 38 03 /r | x:SSSE3
pmaddubsw | Pq,Qq | NP 0F 38 04 /r | x:SSSE3
phsubw | Pq,Qq | NP 0F 38 05 /r | x:SSSE3
phsubd | Pq,Qq | NP 0F 38 06 /r | x:SSSE3
phsubsw | Pq,Qq | NP 0F 38 07 /r | x:SSSE3
psignb | Pq,Qq | NP 0F 38 08 /r | x:SSSE3
psignw | Pq,Qq | NP 0F 38 09 /r | x:SSSE3
psignd | Pq,Qq | NP 0F 38 0A /r | x:SSSE3
pmulhrsw | Pq,Qq | NP 0F 38 0B /r | x:SSSE3
pabsb | Pq,Qq | NP 0F 38 1C /r | x:SSSE3
pabsw | Pq,Qq | NP 0F 38 1D /r | x:SSSE3
pabsd | Pq,Qq | NP 0F 38 1E /r | x:SSSE3
palignr | Pq,Qq,Ib | NP 0F 3A 0F /r | x:SSSE3
`;
