/* Instructions that exit (SDM 3C 26.1, 28.2): reason, qualification, instruction length and information; RIP stays at the instruction. */
#include "vmx.h"

/* One instruction: expects an exit at its start, `length` bytes long. */
static void exits(const char *what, const char *code, u32 reason, u32 length, u64 qualification) {
  u32 r = go_catch(code);
  check(r == reason && ex_vector == ~0ull, what, r == 18 ? ex_vector : r);
  if (r != reason) return;
  check(rd(G_RIP) == (u64)code, what, rd(G_RIP));
  check(rd(X_LEN) == length, what, rd(X_LEN));
  check(rd(QUAL) == qualification, what, rd(QUAL));
}
static void info(const char *what, u32 mask, u32 expected) { u32 v = rd(X_INSN); check((v & mask) == expected, what, v); }
/* Runs to the VMCALL at the end. */
static void runs(const char *what, const char *code) { u32 r = go_catch(code); check(r == 18 && ex_vector == ~0ull, what, r == 18 ? ex_vector : r); }
static void faults(const char *what, const char *code, u32 vector) { u32 r = go_catch(code); check(r == 18 && ex_vector == vector, what, r == 18 ? ex_vector : r); }

GUEST(i_cpuid, "cpuid"); GUEST(i_invd, "invd"); GUEST(i_hlt, "hlt"); GUEST(i_invlpg, "invlpg 0x10(%rax,%rcx,4)"); GUEST(i_rdpmc, "rdpmc");
GUEST(i_rdtsc, "rdtsc"); GUEST(i_rdtscp, "rdtscp"); GUEST(i_from_cr3, "mov %cr3, %rdx"); GUEST(i_to_cr3, "mov %r9, %cr3"); GUEST(i_from_cr8, "mov %cr8, %r11");
GUEST(i_to_cr8, "mov %rbx, %cr8"); GUEST(i_to_dr, "mov %r10, %dr3"); GUEST(i_from_dr, "mov %dr6, %rsi"); GUEST(i_monitor, "monitor"); GUEST(i_mwait, "mwait");
GUEST(i_pause, "pause"); GUEST(i_wbinvd, "wbinvd"); GUEST(i_xsetbv, "xsetbv"); GUEST(i_getsec, "getsec"); GUEST(i_rsm, "rsm");
GUEST(i_rdmsr, "rdmsr"); GUEST(i_wrmsr, "wrmsr"); GUEST(i_cpuid_prefix, ".byte 0x40, 0x0f, 0xa2"); GUEST(i_vmfunc, "vmfunc");
GUEST(i_invpcid, "invpcid (%rax), %rcx");
GUEST(i_cpuid3, "mov $1, %eax; cpuid; mov %cr0, %rax");

static void simple(void) {
  static const struct { const char *name; const char *code; u32 reason, proc, proc2, length; u64 qualification; } table[] = {
    { "CPUID", i_cpuid, 10, 0, 0, 2, 0 }, { "CPUID with a prefix", i_cpuid_prefix, 10, 0, 0, 3, 0 }, { "INVD", i_invd, 13, 0, 0, 2, 0 },
    { "HLT", i_hlt, 12, P_HLT, 0, 1, 0 }, { "RDPMC", i_rdpmc, 15, P_RDPMC, 0, 2, 0 }, { "RDTSC", i_rdtsc, 16, P_RDTSC, 0, 2, 0 },
    { "RDTSCP", i_rdtscp, 51, P_RDTSC, P2_RDTSCP, 3, 0 }, { "MOV from CR3", i_from_cr3, 28, P_CR3ST, 0, 3, 0x213 },
    { "MOV to CR3", i_to_cr3, 28, P_CR3LD, 0, 4, 0x903 }, { "MOV from CR8", i_from_cr8, 28, P_CR8ST, 0, 4, 0xb18 }, { "MOV to CR8", i_to_cr8, 28, P_CR8LD, 0, 4, 0x308 },
    { "MOV to DR3", i_to_dr, 29, P_DR, 0, 4, 0xa03 }, { "MOV from DR6", i_from_dr, 29, P_DR, 0, 3, 0x616 }, { "MONITOR", i_monitor, 39, P_MONITOR, 0, 3, 0 },
    { "MWAIT", i_mwait, 36, P_MWAIT, 0, 3, 0 }, { "PAUSE", i_pause, 40, P_PAUSE, 0, 2, 0 }, { "WBINVD", i_wbinvd, 54, 0, P2_WBINVD, 2, 0 },
    { "INVLPG", i_invlpg, 14, P_INVLPG, 0, 5, 0x12349000 },
  };
  u32 leaf1_ecx;
  asm volatile("cpuid" : "=c"(leaf1_ecx) : "a"(1) : "ebx", "edx");
  u32 has_monitor = leaf1_ecx >> 3 & 1;
  group("intercepts: instructions");
  for (u32 n = 0; n < sizeof table / sizeof *table; n++) {
    fresh();
    regs[RAX] = 0x12340ff0; regs[RCX] = 0x2000; regs[R9] = READ_CR(3); regs[RBX] = 0; regs[R10] = 0;
    if (table[n].proc || table[n].proc2) {
      u32 faulting = table[n].code == i_rdpmc || table[n].code == i_rdtscp || table[n].code == i_mwait || table[n].code == i_monitor || table[n].code == i_hlt;
      if (!faulting) runs(table[n].name, table[n].code);
      regs[RAX] = 0x12340ff0; regs[RCX] = 0x2000; regs[R9] = READ_CR(3); regs[RBX] = 0; regs[R10] = 0;
      set_bits(PROC, table[n].proc);
      if (table[n].proc2) secondary(table[n].proc2);
    }
    /* A CPU without MONITOR and MWAIT raises #UD whatever the controls say. */
    if (!has_monitor && (table[n].code == i_monitor || table[n].code == i_mwait)) { faults(table[n].name, table[n].code, 6); continue; }
    exits(table[n].name, table[n].code, table[n].reason, table[n].length, table[n].qualification);
    if (table[n].code == i_cpuid) { regs[RAX] = 0x55; EQ(cont(), 18, "after CPUID"); EQ(regs[RAX], 0x55, "value from the hypervisor"); }
  }
  fresh(); faults("RDTSCP without its control", i_rdtscp, 6);
  set_bits(PROC, P_RDTSC); faults("RDTSCP without its control, RDTSC exiting", i_rdtscp, 6);
  fresh(); secondary(P2_RDTSCP); runs("RDTSCP with its control", i_rdtscp);
  fresh(); faults("XSETBV without OSXSAVE", i_xsetbv, 6); faults("GETSEC without SMXE", i_getsec, 6); faults("RSM", i_rsm, 6); faults("VMFUNC", i_vmfunc, 6); faults("INVPCID", i_invpcid, 6);
  /* Privilege comes before the exit. */
  fresh();
  set_bits(PROC, P_HLT | P_INVLPG | P_RDTSC | P_CR3LD | P_CR3ST | P_DR | P_CR8LD | P_MWAIT | P_MONITOR); secondary(P2_WBINVD);
  wr(G_CS, 0x23); wr(AR_OF(CS), 0xa0fb); wr(G_SS, 0x1b); wr(AR_OF(SS), 0xc0f3);
  wr(EXC, 1 << 13 | 1 << 6);
  static const struct { const char *code; u8 vector; } privileged[] = { { i_hlt, 13 }, { i_invd, 13 }, { i_wbinvd, 13 }, { i_invlpg, 13 }, { i_to_cr3, 13 }, { i_from_cr3, 13 }, { i_to_dr, 13 }, { i_from_dr, 13 }, { i_to_cr8, 13 }, { i_rdmsr, 13 }, { i_wrmsr, 13 } };
  for (u32 n = 0; n < sizeof privileged / sizeof *privileged; n++) {
    EQ(go(privileged[n].code), 0, "privileged instruction at CPL 3");
    EQ(rd(X_INFO) & 0xff, privileged[n].vector, "its exception");
  }
  EQ(go(i_cpuid), 10, "CPUID at CPL 3"); EQ(go(i_rdtsc), 16, "RDTSC at CPL 3"); EQ(go(guest_done), 18, "VMCALL at CPL 3");
  group_end();
}

GUEST(c_read0, "mov %cr0, %rax; smsw %cx"); GUEST(c_write0, "mov %rax, %cr0; mov %cr0, %rbx"); GUEST(c_clts, "clts; mov %cr0, %rbx"); GUEST(c_lmsw, "lmsw %ax; mov %cr0, %rbx");
GUEST(c_lmsw_memory, "lmsw scratch_page; mov %cr0, %rbx");
GUEST(c_read4, "mov %cr4, %rax"); GUEST(c_write4, "mov %rax, %cr4; mov %cr4, %rbx"); GUEST(c_write0_r15, "mov %r15, %cr0"); GUEST(c_cr3, "mov %rax, %cr3");
static void control_registers(void) {
  group("intercepts: CR0, CR4, CR3 targets");
  u64 cr0 = READ_CR(0), cr4 = READ_CR(4), TS = 8, MP = 2, WP = 0x10000, AM = 0x40000;
  fresh();
  wr(CR0_MASK, TS | AM); wr(CR0_SHADOW, AM);
  runs("read CR0", c_read0); EQ(regs[RAX], (cr0 & ~(TS | AM)) | AM, "mask and shadow"); EQ(regs[RCX] & 0xffff, cr0 & 0xffff & ~TS, "SMSW");
  wr(CR0_SHADOW, TS);
  runs("read CR0", c_read0); EQ(regs[RAX], (cr0 & ~(TS | AM)) | TS, "mask and shadow"); EQ(regs[RCX] & 0xffff, (cr0 & 0xffff) | TS, "SMSW");
  wr(CR0_SHADOW, 0);
  regs[RAX] = cr0; runs("CR0 with masked bits as the shadow", c_write0);
  regs[RAX] = cr0 | TS; exits("masked TS changes", c_write0, 28, 3, 0x000);
  regs[R15] = cr0 | AM; exits("masked AM changes, R15", c_write0_r15, 28, 4, 0xf00);
  regs[RAX] = cr0 ^ WP ^ MP; runs("free bits change", c_write0); EQ(regs[RBX], cr0 ^ WP ^ MP, "new value"); EQ(rd(G_CR0), cr0 ^ WP ^ MP, "guest CR0");
  wr(G_CR0, cr0 | TS); regs[RAX] = cr0; runs("write keeps masked bits", c_write0); EQ(rd(G_CR0), cr0 | TS, "guest CR0 keeps TS");
  wr(G_CR0, cr0 | TS); wr(CR0_SHADOW, TS); exits("CLTS, TS owned and shown", c_clts, 28, 2, 0x20);
  wr(CR0_SHADOW, 0); runs("CLTS, TS owned and not shown", c_clts); EQ(rd(G_CR0), cr0 | TS, "TS stays");
  wr(CR0_MASK, 0); runs("CLTS, TS not owned", c_clts); EQ(rd(G_CR0), cr0, "TS cleared");
  wr(CR0_MASK, TS); wr(CR0_SHADOW, 0); regs[RAX] = 9; exits("LMSW sets owned TS", c_lmsw, 28, 3, 0x90030);
  regs[RAX] = 1; wr(G_CR0, cr0); runs("LMSW", c_lmsw);
  wr(CR0_MASK, TS | 1); wr(CR0_SHADOW, 0); regs[RAX] = 1; exits("LMSW sets owned PE", c_lmsw, 28, 3, 0x10030);
  wr(CR0_SHADOW, 1); regs[RAX] = 0; runs("LMSW cannot clear PE", c_lmsw);
  wr(CR0_MASK, TS); wr(CR0_SHADOW, 0); *(u16 *)scratch_page = 0x129; exits("LMSW from memory", c_lmsw_memory, 28, 8, 0x1290070); EQ(rd(LINEAR), (u64)scratch_page, "its address");
  wr(CR0_MASK, 1ull << 63); wr(CR0_SHADOW, 0); wr(G_CR0, cr0); regs[RAX] = cr0 | 1ull << 63; exits("masked bit 63", c_write0, 28, 3, 0);
  wr(CR0_MASK, 0); faults("bit 63", c_write0, 13);
  regs[RAX] = cr0 & ~0x20ull; faults("NE is fixed", c_write0, 13);
  regs[RAX] = cr0 & ~0x80000000ull; faults("PG is fixed", c_write0, 13);
  fresh();
  wr(CR4_MASK, 0x2000 | 0x10); wr(CR4_SHADOW, 0x10);
  runs("read CR4", c_read4); EQ(regs[RAX], (cr4 & ~0x2010ull) | 0x10, "mask and shadow");
  regs[RAX] = (cr4 & ~0x2010ull) | 0x10; runs("CR4 as the shadow", c_write4); EQ(rd(G_CR4), cr4, "guest CR4 keeps VMXE");
  regs[RAX] = cr4 | 0x2000; exits("masked VMXE changes", c_write4, 28, 3, 0x004);
  wr(CR4_MASK, 0); regs[RAX] = cr4 & ~0x2000ull; faults("VMXE is fixed", c_write4, 13);
  regs[RAX] = cr4 ^ 4; runs("free bit of CR4", c_write4); EQ(rd(G_CR4), cr4 ^ 4, "guest CR4");
  /* CR3 targets. */
  fresh(); set_bits(PROC, P_CR3LD); wr(CR3_COUNT, 2);
  u64 cr3 = READ_CR(3);
  wr(CR3_T0, cr3 | 8); wr(CR3_T0 + 2, cr3); wr(CR3_T0 + 4, cr3 | 0x10);
  regs[RAX] = cr3; runs("a target", c_cr3); regs[RAX] = cr3 | 8; runs("another target", c_cr3); EQ(rd(G_CR3), cr3 | 8, "guest CR3");
  regs[RAX] = cr3 | 0x10; exits("target beyond the count", c_cr3, 28, 3, 3);
  wr(CR3_COUNT, 0); regs[RAX] = cr3; exits("no targets", c_cr3, 28, 3, 3);
  clear_bits(PROC, P_CR3LD); regs[RAX] = cr3 | 1ull << 41; faults("CR3 beyond the physical width", c_cr3, 13);
  group_end();
}

GUEST(io_in8, "in $0x80, %al"); GUEST(io_out8, "out %al, $0x80"); GUEST(io_in16, "in (%dx), %ax"); GUEST(io_in32, "in (%dx), %eax"); GUEST(io_in8dx, "in (%dx), %al");
GUEST(io_out16, "out %ax, (%dx)"); GUEST(io_out32, "out %eax, (%dx)"); GUEST(io_out8dx, "out %al, (%dx)");
GUEST(io_insb, "insb (%dx), (%rdi)"); GUEST(io_rep_insw, "rep insw (%dx), (%rdi)"); GUEST(io_outsd, "outsl (%rsi), (%dx)"); GUEST(io_rep_outsb, "rep outsb %fs:(%rsi), (%dx)");
GUEST(io_outs_32, "addr32 outsb (%esi), (%dx)");
static void io(void) {
  group("intercepts: I/O");
  fresh();
  regs[RDX] = 0x80; runs("no control", io_in8); runs("no control", io_out8);
  set_bits(PROC, P_IO);
  exits("IN imm8", io_in8, 30, 2, 0x800048); exits("OUT imm8", io_out8, 30, 2, 0x800040);
  regs[RDX] = 0xf1234; regs[RDI] = (u64)scratch_page; regs[RSI] = (u64)page_b; regs[RCX] = 3;
  exits("IN AX", io_in16, 30, 2, 0x12340009); exits("IN EAX", io_in32, 30, 1, 0x1234000b); exits("OUT AX", io_out16, 30, 2, 0x12340001); exits("OUT EAX", io_out32, 30, 1, 0x12340003);
  exits("INSB", io_insb, 30, 1, 0x12340018); EQ(rd(LINEAR), (u64)scratch_page, "linear address"); info("INSB", 0x380, 0x100);
  exits("REP INSW", io_rep_insw, 30, 3, 0x12340039); EQ(rd(LINEAR), (u64)scratch_page, "linear address"); EQ(regs[RCX], 3, "RCX unchanged");
  exits("OUTSD", io_outsd, 30, 1, 0x12340013); EQ(rd(LINEAR), (u64)page_b, "linear address"); info("OUTSD", 0x38380, 0x18100);
  exits("REP OUTSB FS:", io_rep_outsb, 30, 3, 0x12340030); info("REP OUTSB FS:", 0x38380, 0x20100);
  exits("OUTSB with a 32-bit address", io_outs_32, 30, 2, 0x12340010); info("OUTSB 32", 0x38380, 0x18080);
  regs[RCX] = 0; runs("REP with RCX = 0 does not exit", io_rep_insw);
  set_bits(PROC, P_IOBM);
  regs[RDX] = 0x5000; runs("bitmaps rule over the unconditional control", io_in8dx);
  clear_bits(PROC, P_IO);
  static const u16 ports[] = { 0, 1, 7, 8, 0x80, 0x3fff, 0x4fff, 0x5000, 0x7ffe, 0x7fff, 0x8000, 0x8001, 0xfffe, 0xffff };
  static const char *const codes[] = { io_in8dx, io_in16, io_in32, io_out8dx, io_out16, io_out32 };
  for (u32 n = 0; n < sizeof ports / 2; n++) {
    u32 port = ports[n];
    u8 *byte = (port < 0x8000 ? io_bitmap_a : io_bitmap_b) + ((port & 0x7fff) >> 3);
    *byte = 1 << (port & 7);
    for (s64 delta = -4; delta <= 1; delta++) {
      s64 at = (s64)port + delta;
      if (at < 0 || at > 0xffff) continue;
      for (u32 c = 0; c < 6; c++) {
        u32 size = 1u << c % 3;
        u32 hit = (at <= port && at + size > port) || at + size > 0x10000;
        regs[RDX] = at; regs[RAX] = 0;
        /* Only reads, and writes that exit: a write that reaches a device could do something. */
        if (!hit && c >= 3) continue;
        if (hit) exits("bitmap hit", codes[c], 30, (c % 3) == 1 ? 2 : 1, (u64)at << 16 | (size - 1) | (c < 3 ? 8 : 0));
        else if (go(codes[c]) != 18) check(0, "bitmap miss", at << 4 | c);
      }
    }
    *byte = 0;
  }
  regs[RDX] = 0xfffe; EQ(go(io_in32), 30, "access past port FFFFh"); regs[RDX] = 0xffff; EQ(go(io_in16), 30, "access past port FFFFh"); EQ(go(io_in8dx), 18, "port FFFFh");
  group_end();
}

static void msrs(void) {
  group("intercepts: MSRs");
  fresh();
  regs[RCX] = 0x174; exits("RDMSR without bitmaps", i_rdmsr, 31, 2, 0); exits("WRMSR without bitmaps", i_wrmsr, 32, 2, 0);
  set_bits(PROC, P_MSRBM);
  static const u32 inside[] = { 0x174, 0x175, 0x1b, 0x277, 0x10, 0xc0000080, 0xc0000082, 0xc0000100, 0xc0000102 };
  for (u32 n = 0; n < sizeof inside / 4; n++) {
    u32 low = inside[n] & 0x1fff, base = inside[n] >> 31 ? 1024 : 0;
    fill(msr_bitmap, 0, 4096);
    regs[RCX] = inside[n]; regs[RAX] = 0; runs("RDMSR, bit clear", i_rdmsr);
    if (inside[n] != 0x10 && inside[n] != 0x1b) { regs[RCX] = inside[n]; runs("WRMSR of the same, bit clear", i_wrmsr); }
    fill(msr_bitmap, 0xff, 4096); msr_bitmap[base + low / 8] &= ~(1 << (low & 7)); msr_bitmap[2048 + base + low / 8] &= ~(1 << (low & 7));
    regs[RCX] = inside[n]; runs("RDMSR, only this bit clear", i_rdmsr);
    fill(msr_bitmap, 0, 4096); msr_bitmap[base + low / 8] = 1 << (low & 7);
    exits("RDMSR, bit set", i_rdmsr, 31, 2, 0);
    msr_bitmap[base + low / 8] = 0; msr_bitmap[2048 + base + low / 8] = 1 << (low & 7);
    exits("WRMSR, bit set", i_wrmsr, 32, 2, 0);
  }
  fill(msr_bitmap, 0, 4096);
  static const u32 outside[] = { 0x2000, 0x40000000, 0x80000000, 0xbfffffff, 0xc0002000, 0xffffffff };
  for (u32 n = 0; n < 6; n++) { regs[RCX] = outside[n]; exits("RDMSR out of range", i_rdmsr, 31, 2, 0); exits("WRMSR out of range", i_wrmsr, 32, 2, 0); }
  regs[RCX] = 0x1fff; faults("unknown MSR", i_rdmsr, 13);
  regs[RCX] = 0x175; regs[RAX] = 0; regs[RDX] = 0x00800000; faults("non-canonical value", i_wrmsr, 13);
  regs[RCX] = 0x175; regs[RAX] = 0x9abc; regs[RDX] = 0; runs("SYSENTER_ESP", i_wrmsr); EQ(rd(G_SYSESP), 0x9abc, "saved in its field");
  regs[RCX] = 0xc0000101; regs[RAX] = 0x5678; regs[RDX] = 0; runs("GS base", i_wrmsr); EQ(rd(BASE_OF(GS)), 0x5678, "saved in its field");
  regs[RCX] = 0xc0000080; regs[RAX] = 0x901; regs[RDX] = 0; set_bits(EXITC, X_SAVE_EFER | X_LOAD_EFER); runs("EFER", i_wrmsr); EQ(rd(G_EFER), 0xd01, "saved in its field");
  group_end();
}

GUEST(d_sgdt, "sgdt 0x1234(%rax,%rcx,8)"); GUEST(d_sidt, "sidt %gs:-8(%r9)"); GUEST(d_lgdt, "lgdt 0x10(%rip)"); GUEST(d_lidt, "lidt 0x400000"); GUEST(d_sldt, "sldt %r10d"); GUEST(d_sldt_m, "sldt (%rbx)");
GUEST(d_str, "str %cx"); GUEST(d_lldt, "lldt %dx"); GUEST(d_lldt_m, "lldt 4(%ebp,%esi,2)"); GUEST(d_ltr, "ltr %r15w"); GUEST(d_str_m, "str -0x70(%rsp)");
GUEST(v_clear, "vmclear 0x40(%rdx)"); GUEST(v_ptrld, "vmptrld -0x1000(%rsi,%rdi,2)"); GUEST(v_ptrst, "vmptrst (%rbp)"); GUEST(v_read_r, "vmread %rbx, %r9"); GUEST(v_read_m, "vmread %r12, 8(%rax)");
GUEST(v_write_r, "vmwrite %r8, %rcx"); GUEST(v_write_m, "vmwrite 0x11223344(%rcx), %rdi"); GUEST(v_on, "vmxon 0x80(%r13)"); GUEST(v_off, "vmxoff"); GUEST(v_launch, "vmlaunch"); GUEST(v_resume, "vmresume"); GUEST(v_call, "");
GUEST(v_invept, "invept (%rdx), %r11"); GUEST(v_invvpid, "invvpid 0x7f(%r8,%r9), %rax");
/* Instruction information: scale, address size (2 = 64 bits), segment, index, base. */
#define INFO(scale, asize, segment, index, base) ((scale) | (asize) << 7 | (segment) << 15 | (index) << 18 | (u32)(base) << 23)
#define NO_INDEX (1u << 22)
#define NO_BASE (1u << 27)
#define MEMORY_MASK 0x0fff8383u
static void table_access(const char *what, const char *code, u32 reason, u32 length, u64 displacement, u32 mask, u32 expected) { exits(what, code, reason, length, displacement); info(what, mask, expected); }
static void descriptor_tables(void) {
  group("intercepts: descriptor tables and VMX instructions");
  fresh();
  regs[RBX] = (u64)scratch_page; runs("SLDT without the control", d_sldt_m); runs("STR without the control", d_str); runs("SLDT without the control", d_sldt);
  secondary(P2_DT);
  wr(AR_OF(GS), 0xc093); wr(G_GS, 0x10);
  regs[RAX] = (u64)scratch_page - 0x1234 - 8 * 4; regs[RCX] = 4; regs[R9] = (u64)scratch_page + 8; regs[RDX] = 0; regs[RBP] = (u64)scratch_page; regs[RSI] = 4; regs[R15] = 0;
  u32 both = MEMORY_MASK | 3u << 28;
  table_access("SGDT", d_sgdt, 46, 8, 0x1234, both, INFO(3, 2, 3, RCX, RAX) | 0u << 28);
  table_access("SIDT", d_sidt, 46, 6, -8ull, both & ~0x3c0003u, (INFO(0, 2, 5, 0, R9) | NO_INDEX | 1u << 28) & ~0x3c0003u);
  table_access("LGDT", d_lgdt, 46, 7, (u64)d_lgdt + 7 + 0x10, both & ~0x7bc0003u, ((INFO(0, 2, 3, 0, 0) | NO_INDEX | NO_BASE | 2u << 28) & ~0x7bc0003u));
  table_access("LIDT", d_lidt, 46, 8, 0x400000, both & ~0x7bc0003u, ((INFO(0, 2, 3, 0, 0) | NO_INDEX | NO_BASE | 3u << 28) & ~0x7bc0003u));
  table_access("SLDT r", d_sldt, 47, 4, 0, 0x30000478, 0x400 | 10 << 3 | 0u << 28);
  table_access("SLDT m", d_sldt_m, 47, 3, 0, both & ~0x3c0003u, (INFO(0, 2, 3, 0, RBX) | NO_INDEX) & ~0x3c0003u);
  table_access("STR r", d_str, 47, 4, 0, 0x30000478, 0x400 | 1 << 3 | 1u << 28);
  table_access("STR m", d_str_m, 47, 5, -0x70ull, both & ~0x3c0003u, (INFO(0, 2, 2, 0, RSP) | NO_INDEX | 1u << 28) & ~0x3c0003u);
  table_access("LLDT r", d_lldt, 47, 3, 0, 0x30000478, 0x400 | 2 << 3 | 2u << 28);
  table_access("LLDT m", d_lldt_m, 47, 6, 4, both, INFO(1, 1, 2, RSI, RBP) | 2u << 28);
  table_access("LTR r", d_ltr, 47, 4, 0, 0x30000478, 0x400 | 15 << 3 | 3u << 28);
  fresh();
  regs[RDI] = 3;
  u32 noindex = MEMORY_MASK & ~0x3c0003u;
  table_access("VMCLEAR", v_clear, 19, 5, 0x40, noindex, (INFO(0, 2, 3, 0, RDX) | NO_INDEX) & noindex);
  table_access("VMPTRLD", v_ptrld, 21, 8, -0x1000ull, MEMORY_MASK, INFO(1, 2, 3, RDI, RSI));
  table_access("VMPTRST", v_ptrst, 22, 4, 0, noindex, (INFO(0, 2, 2, 0, RBP) | NO_INDEX) & noindex);
  table_access("VMREAD r", v_read_r, 23, 4, 0, 0xf0000478, 0x400 | 9 << 3 | 3u << 28);
  table_access("VMREAD m", v_read_m, 23, 5, 8, noindex | 0xf0000000, ((INFO(0, 2, 3, 0, RAX) | NO_INDEX) & noindex) | 12u << 28);
  table_access("VMWRITE r", v_write_r, 25, 4, 0, 0xf0000478, 0x400 | 8 << 3 | 1u << 28);
  table_access("VMWRITE m", v_write_m, 25, 7, 0x11223344, noindex | 0xf0000000, ((INFO(0, 2, 3, 0, RCX) | NO_INDEX) & noindex) | 7u << 28);
  table_access("VMXON", v_on, 27, 9, 0x80, noindex, (INFO(0, 2, 3, 0, R13) | NO_INDEX) & noindex);
  table_access("INVEPT", v_invept, 50, 6, 0, noindex | 0xf0000000, ((INFO(0, 2, 3, 0, RDX) | NO_INDEX) & noindex) | 11u << 28);
  table_access("INVVPID", v_invvpid, 53, 8, 0x7f, MEMORY_MASK | 0xf0000000, INFO(0, 2, 3, R9, R8));
  exits("VMXOFF", v_off, 26, 3, 0); exits("VMLAUNCH", v_launch, 20, 3, 0); exits("VMRESUME", v_resume, 24, 3, 0); exits("VMCALL", v_call, 18, 3, 0);
  /* In a compatibility-mode guest they are #UD, except VMCALL. CPL 3 does not matter: the exit comes first. */
  wr(G_CS, 0x23); wr(AR_OF(CS), 0xa0fb); wr(G_SS, 0x1b); wr(AR_OF(SS), 0xc0f3);
  exits("VMLAUNCH at CPL 3", v_launch, 20, 3, 0);
  fresh(); wr(EXC, 1 << 6); wr(G_CS, 0x38); wr(AR_OF(CS), 0xc09b);
  EQ(go(v_launch), 0, "VMLAUNCH in compatibility mode"); EQ(rd(X_INFO), 0x80000306, "#UD");
  EQ(go(guest_done), 18, "VMCALL in compatibility mode");
  group_end();
}

void test_intercepts(void) {
  simple();
  control_registers();
  io();
  msrs();
  descriptor_tables();
}
