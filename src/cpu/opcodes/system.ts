/**
 * Opcode rows of the system instructions (SDM volume 2): I/O, segments, far transfers, interrupts, control and debug registers, MSRs. Format:
 * docs/internals.md, "Opcode table".
 *
 * The last rows are encodings that this model knows and refuses with #UD: their CPUID bits are 0 (MONITOR, XSAVE, SMX) or their mode does not
 * exist here (RSM outside system-management mode).
 */
export const SYSTEM_ROWS = `
in | AL,Ib | E4 | end h:inbi
in | eAX,Ib | E5 | end h:ini
in | AL,DX | EC | end h:inb
in | eAX,DX | ED | end
out | Ib,AL | E6 | end h:outbi
out | Ib,eAX | E7 | end h:outi
out | DX,AL | EE | end h:outb
out | DX,eAX | EF | end
ins | Yb,DX | 6C | rep r:d end h:insb
ins | Yv,DX | 6D | rep r:d end
outs | DX,Xb | 6E | rep r:d end h:outsb
outs | DX,Xv | 6F | rep r:d end

cli | | FA | r:i 0:i end
sti | | FB | 1:i end
clac | | NP 0F 01 =CA | cpl0 end x:smap
stac | | NP 0F 01 =CB | cpl0 end x:smap
pushf | | 9C | r:oszapcdit d64
popf | | 9D | w:oszapcdit d64 end

mov | Ev,Sw | 8C /r | h:movfromseg
mov | Sw,Ew | 8E /r | end h:movtoseg
push | ES | 06 | i64 h:pushes
push | CS | 0E | i64 h:pushcs
push | SS | 16 | i64 h:pushss
push | DS | 1E | i64 h:pushds
push | FS | 0F A0 | d64 h:pushfs
push | GS | 0F A8 | d64 h:pushgs
pop | ES | 07 | i64 end h:popes
pop | SS | 17 | i64 end h:popss
pop | DS | 1F | i64 end h:popds
pop | FS | 0F A1 | d64 end h:popfs
pop | GS | 0F A9 | d64 end h:popgs
les | Gv,Mp | C4 /r:mem | i64 end
lds | Gv,Mp | C5 /r:mem | i64 end
lss | Gv,Mp | 0F B2 /r:mem | end
lfs | Gv,Mp | 0F B4 /r:mem | end
lgs | Gv,Mp | 0F B5 /r:mem | end

sldt | Ev | 0F 00 /0 | pm end
str | Ev | 0F 00 /1 | pm end
lldt | Ew | 0F 00 /2 | pm cpl0 end
ltr | Ew | 0F 00 /3 | pm cpl0 end
verr | Ew | 0F 00 /4 | w:z pm
verw | Ew | 0F 00 /5 | w:z pm
sgdt | Ms | 0F 01 /0:mem | end
sidt | Ms | 0F 01 /1:mem | end
lgdt | Ms | 0F 01 /2:mem | cpl0 end
lidt | Ms | 0F 01 /3:mem | cpl0 end
smsw | Ev | 0F 01 /4 |
lmsw | Ew | 0F 01 /6 | cpl0 end
invlpg | M | 0F 01 /7:mem | cpl0 end
invpcid | Gy,Mdq | 66 0F 38 82 /r:mem | cpl0 end f64 x:invpcid
lar | Gv,Ew | 0F 02 /r | w:z pm
lsl | Gv,Ew | 0F 03 /r | w:z pm
arpl | Ew,Gw | 63 /r | w:z i64 pm

mov | Ry,Cy | 0F 20 /r:reg | u:oszapc cpl0 f64 end h:movfromcr
mov | Ry,Dy | 0F 21 /r:reg | u:oszapc cpl0 f64 end h:movfromdr
mov | Cy,Ry | 0F 22 /r:reg | u:oszapc cpl0 f64 end h:movtocr
mov | Dy,Ry | 0F 23 /r:reg | u:oszapc cpl0 f64 end h:movtodr
clts | | 0F 06 | cpl0 end

call | Ap | 9A | i64 end h:callfar
jmp | Ap | EA | i64 end h:jmpfar
call | Mp | FF /3:mem | end h:callfarm
jmp | Mp | FF /5:mem | end h:jmpfarm
retf | Iw | CA | end h:retfi
retf | | CB | end
iret | | CF | w:oszapcdit end
int3 | | CC | end
int | Ib | CD | end
into | | CE | r:o i64 end
int1 | | F1 | end

syscall | | 0F 05 | o64 end x:syscall
sysret | | 0F 07 | o64 cpl0 end w:oszapcdit x:syscall
sysenter | | 0F 34 | end x:sep
sysexit | | 0F 35 | cpl0 end x:sep
swapgs | | 0F 01 =F8 | o64 cpl0
rdfsbase | Ry | F3 0F AE /0:reg | o64 x:fsgsbase
rdgsbase | Ry | F3 0F AE /1:reg | o64 x:fsgsbase
wrfsbase | Ry | F3 0F AE /2:reg | o64 end x:fsgsbase
wrgsbase | Ry | F3 0F AE /3:reg | o64 end x:fsgsbase

cpuid | | 0F A2 | end
rdtsc | | 0F 31 | end x:tsc
rdtscp | | 0F 01 =F9 | end x:rdtscp
rdpmc | | 0F 33 | end
rdmsr | | 0F 32 | cpl0 end x:msr
wrmsr | | 0F 30 | cpl0 end x:msr
hlt | | F4 | cpl0 end
pause | | F3 90 | end
invd | | 0F 08 | cpl0 end
wbinvd | | 0F 09 | cpl0 end

ud2 | | 0F 0B | end h:ud
ud1 | Gv,Ev | 0F B9 /r | end h:ud
ud0 | Gv,Ev | 0F FF /r | end h:ud
getsec | | NP 0F 37 | end h:ud
rsm | | 0F AA | end h:ud
monitor | | NP 0F 01 =C8 | end h:ud
mwait | | NP 0F 01 =C9 | end h:ud
xgetbv | | NP 0F 01 =D0 | end h:ud
xsetbv | | NP 0F 01 =D1 | end h:ud
`;
