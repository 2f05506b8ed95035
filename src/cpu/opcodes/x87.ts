/**
 * Opcode rows of the x87 and of FXSAVE/FXRSTOR (SDM 2A, SDM 2D appendix A.5), aliases that all processors execute
 * included. Row format: docs/internals.md.
 */
export const X87_ROWS = `
fadd | Md | D8 /0:mem | h:fadd_m32
fmul | Md | D8 /1:mem | h:fmul_m32
fcom | Md | D8 /2:mem | h:fcom_m32
fcomp | Md | D8 /3:mem | h:fcomp_m32
fsub | Md | D8 /4:mem | h:fsub_m32
fsubr | Md | D8 /5:mem | h:fsubr_m32
fdiv | Md | D8 /6:mem | h:fdiv_m32
fdivr | Md | D8 /7:mem | h:fdivr_m32
fadd | ST0,STi | D8 /0:reg | h:fadd_st0
fmul | ST0,STi | D8 /1:reg | h:fmul_st0
fcom | STi | D8 /2:reg | h:fcom_sti
fcomp | STi | D8 /3:reg | h:fcomp_sti
fsub | ST0,STi | D8 /4:reg | h:fsub_st0
fsubr | ST0,STi | D8 /5:reg | h:fsubr_st0
fdiv | ST0,STi | D8 /6:reg | h:fdiv_st0
fdivr | ST0,STi | D8 /7:reg | h:fdivr_st0

fld | Md | D9 /0:mem | h:fld_m32
fst | Md | D9 /2:mem | h:fst_m32
fstp | Md | D9 /3:mem | h:fstp_m32
fldenv | M | D9 /4:mem |
fldcw | Mw | D9 /5:mem |
fnstenv | M | D9 /6:mem |
fnstcw | Mw | D9 /7:mem |
fld | STi | D9 /0:reg | h:fld_sti
fxch | STi | D9 /1:reg |
fnop | | D9 =D0 |
fstpnce | STi | D9 /3:reg |
fchs | | D9 =E0 |
fabs | | D9 =E1 |
ftst | | D9 =E4 |
fxam | | D9 =E5 |
fld1 | | D9 =E8 |
fldl2t | | D9 =E9 |
fldl2e | | D9 =EA |
fldpi | | D9 =EB |
fldlg2 | | D9 =EC |
fldln2 | | D9 =ED |
fldz | | D9 =EE |
f2xm1 | | D9 =F0 |
fyl2x | | D9 =F1 |
fptan | | D9 =F2 |
fpatan | | D9 =F3 |
fxtract | | D9 =F4 |
fprem1 | | D9 =F5 |
fdecstp | | D9 =F6 |
fincstp | | D9 =F7 |
fprem | | D9 =F8 |
fyl2xp1 | | D9 =F9 |
fsqrt | | D9 =FA |
fsincos | | D9 =FB |
frndint | | D9 =FC |
fscale | | D9 =FD |
fsin | | D9 =FE |
fcos | | D9 =FF |

fiadd | Md | DA /0:mem | h:fadd_i32
fimul | Md | DA /1:mem | h:fmul_i32
ficom | Md | DA /2:mem | h:fcom_i32
ficomp | Md | DA /3:mem | h:fcomp_i32
fisub | Md | DA /4:mem | h:fsub_i32
fisubr | Md | DA /5:mem | h:fsubr_i32
fidiv | Md | DA /6:mem | h:fdiv_i32
fidivr | Md | DA /7:mem | h:fdivr_i32
fcmovb | ST0,STi | DA /0:reg | r:c
fcmove | ST0,STi | DA /1:reg | r:z
fcmovbe | ST0,STi | DA /2:reg | r:cz
fcmovu | ST0,STi | DA /3:reg | r:p
fucompp | | DA =E9 |

fild | Md | DB /0:mem | h:fild_i32
fisttp | Md | DB /1:mem | x:SSE3 h:fisttp_i32
fist | Md | DB /2:mem | h:fist_i32
fistp | Md | DB /3:mem | h:fistp_i32
fld | Mt | DB /5:mem | h:fld_m80
fstp | Mt | DB /7:mem | h:fstp_m80
fcmovnb | ST0,STi | DB /0:reg | r:c
fcmovne | ST0,STi | DB /1:reg | r:z
fcmovnbe | ST0,STi | DB /2:reg | r:cz
fcmovnu | ST0,STi | DB /3:reg | r:p
feni | | DB =E0 | h:x87_obsolete
fdisi | | DB =E1 | h:x87_obsolete
fnclex | | DB =E2 |
fninit | | DB =E3 |
fsetpm | | DB =E4 | h:x87_obsolete
fucomi | ST0,STi | DB /5:reg | w:zpc 0:osa
fcomi | ST0,STi | DB /6:reg | w:zpc 0:osa

fadd | Mq | DC /0:mem | h:fadd_m64
fmul | Mq | DC /1:mem | h:fmul_m64
fcom | Mq | DC /2:mem | h:fcom_m64
fcomp | Mq | DC /3:mem | h:fcomp_m64
fsub | Mq | DC /4:mem | h:fsub_m64
fsubr | Mq | DC /5:mem | h:fsubr_m64
fdiv | Mq | DC /6:mem | h:fdiv_m64
fdivr | Mq | DC /7:mem | h:fdivr_m64
fadd | STi,ST0 | DC /0:reg | h:fadd_sti
fmul | STi,ST0 | DC /1:reg | h:fmul_sti
fcom | STi | DC /2:reg | h:fcom_sti
fcomp | STi | DC /3:reg | h:fcomp_sti
fsubr | STi,ST0 | DC /4:reg | h:fsubr_sti
fsub | STi,ST0 | DC /5:reg | h:fsub_sti
fdivr | STi,ST0 | DC /6:reg | h:fdivr_sti
fdiv | STi,ST0 | DC /7:reg | h:fdiv_sti

fld | Mq | DD /0:mem | h:fld_m64
fisttp | Mq | DD /1:mem | x:SSE3 h:fisttp_i64
fst | Mq | DD /2:mem | h:fst_m64
fstp | Mq | DD /3:mem | h:fstp_m64
frstor | M | DD /4:mem |
fnsave | M | DD /6:mem |
fnstsw | Mw | DD /7:mem |
ffree | STi | DD /0:reg |
fxch | STi | DD /1:reg |
fst | STi | DD /2:reg | h:fst_sti
fstp | STi | DD /3:reg | h:fstp_sti
fucom | STi | DD /4:reg |
fucomp | STi | DD /5:reg |

fiadd | Mw | DE /0:mem | h:fadd_i16
fimul | Mw | DE /1:mem | h:fmul_i16
ficom | Mw | DE /2:mem | h:fcom_i16
ficomp | Mw | DE /3:mem | h:fcomp_i16
fisub | Mw | DE /4:mem | h:fsub_i16
fisubr | Mw | DE /5:mem | h:fsubr_i16
fidiv | Mw | DE /6:mem | h:fdiv_i16
fidivr | Mw | DE /7:mem | h:fdivr_i16
faddp | STi,ST0 | DE /0:reg |
fmulp | STi,ST0 | DE /1:reg |
fcomp | STi | DE /2:reg | h:fcomp_sti
fcompp | | DE =D9 |
fsubrp | STi,ST0 | DE /4:reg |
fsubp | STi,ST0 | DE /5:reg |
fdivrp | STi,ST0 | DE /6:reg |
fdivp | STi,ST0 | DE /7:reg |

fild | Mw | DF /0:mem | h:fild_i16
fisttp | Mw | DF /1:mem | x:SSE3 h:fisttp_i16
fist | Mw | DF /2:mem | h:fist_i16
fistp | Mw | DF /3:mem | h:fistp_i16
fbld | Mt | DF /4:mem |
fild | Mq | DF /5:mem | h:fild_i64
fbstp | Mt | DF /6:mem |
fistp | Mq | DF /7:mem | h:fistp_i64
ffreep | STi | DF /0:reg |
fxch | STi | DF /1:reg |
fstp | STi | DF /2:reg | h:fstp_sti
fstp | STi | DF /3:reg | h:fstp_sti
fnstsw | AX | DF =E0 |
fucomip | ST0,STi | DF /5:reg | w:zpc 0:osa
fcomip | ST0,STi | DF /6:reg | w:zpc 0:osa

fwait | | 9B |
fxsave | M | NP 0F AE /0:mem REX.0 | x:FXSR
fxsave64 | M | NP 0F AE /0:mem REX.W | x:FXSR h:fxsave
fxrstor | M | NP 0F AE /1:mem REX.0 | x:FXSR
fxrstor64 | M | NP 0F AE /1:mem REX.W | x:FXSR h:fxrstor
`;
