/** VMX instructions (SDM 3C chapter 31; encodings vol 2). Row format: docs/internals.md. */
export const VMX_ROWS = `
vmcall | | NP 0F 01 =C1 | end w:oszapc x:VMX
vmlaunch | | NP 0F 01 =C2 | pm end w:oszapc x:VMX
vmresume | | NP 0F 01 =C3 | pm end w:oszapc x:VMX
vmxoff | | NP 0F 01 =C4 | pm end w:oszapc x:VMX
vmfunc | | NP 0F 01 =D4 | end x:VMX
vmptrld | Mq | NP 0F C7 /6:mem | pm end w:oszapc x:VMX
vmclear | Mq | 66 0F C7 /6:mem | pm end w:oszapc x:VMX
vmxon | Mq | F3 0F C7 /6:mem | pm end w:oszapc x:VMX
vmptrst | Mq | NP 0F C7 /7:mem | pm end w:oszapc x:VMX
vmread | Ey,Gy | NP 0F 78 /r | pm end f64 w:oszapc x:VMX
vmwrite | Gy,Ey | NP 0F 79 /r | pm end f64 w:oszapc x:VMX
invept | Gy,Mdq | 66 0F 38 80 /r:mem | pm end f64 w:oszapc x:VMX
invvpid | Gy,Mdq | 66 0F 38 81 /r:mem | pm end f64 w:oszapc x:VMX
`;
