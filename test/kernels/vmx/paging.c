/*
 * Paging features beside VMX (SDM 3A 2.5, 4.1, 4.6, 4.10): CR4 bits and CPUID, SMEP, SMAP, UMIP, FSGSBASE, PCID, INVPCID, 1 GiB pages; in root operation and
 * in guests, with the exits that belong to them.
 */
#include "vmx.h"
#define PAGE __attribute__((aligned(4096)))
static u64 PAGE s4[512], PAGE s3[512], PAGE s2[2048];
enum { CR4_UMIP = 1 << 11, CR4_FSGSBASE = 1 << 16, CR4_PCIDE = 1 << 17, CR4_SMEP = 1 << 20, CR4_SMAP = 1 << 21 };
/* Linear USER_PAGE is 10000000h, user-mode; everything else is a supervisor-mode identity map. */
#define USER_PAGE 0x20000000ull
#define BACKING 0x10000000ull

static u32 leaf7_ebx(void) { u32 b; asm volatile("cpuid" : "=b"(b) : "a"(7), "c"(0) : "edx"); return b; }
static u32 leaf7_ecx(void) { u32 c = 0; asm volatile("cpuid" : "+c"(c) : "a"(7) : "ebx", "edx"); return c; }
static u32 leaf1_ecx(void) { u32 c; asm volatile("cpuid" : "=c"(c) : "a"(1) : "ebx", "edx"); return c; }
static long write_cr4(u64 v) { return FAULT_OF("mov %0, %%cr4; 1:" :: "r"(v) : "memory"); }
static long write_cr3(u64 v) { return FAULT_OF("mov %0, %%cr3; 1:" :: "r"(v) : "memory"); }

static void control_bits(void) {
  group("CR4 bits, CPUID and IA32_VMX_CR4_FIXED1");
  u64 fixed1 = rdmsr(0x489), own = READ_CR(4);
  EQ(fixed1 >> 11 & 1, leaf7_ecx() >> 2 & 1, "UMIP"); EQ(fixed1 >> 16 & 1, leaf7_ebx() & 1, "FSGSBASE"); EQ(fixed1 >> 17 & 1, leaf1_ecx() >> 17 & 1, "PCIDE");
  EQ(fixed1 >> 20 & 1, leaf7_ebx() >> 7 & 1, "SMEP"); EQ(fixed1 >> 21 & 1, leaf7_ebx() >> 20 & 1, "SMAP");
  EQ(rdmsr(0x48b) >> 44 & 1, leaf7_ebx() >> 10 & 1, "INVPCID and its control");
  for (u32 b = 0; b < 64; b++) {
    if (b == 5 || b == 13 || b == 20 || b == 21) continue;
    long vector = write_cr4(own ^ 1ull << b);
    check(vector == (b < 32 && fixed1 >> b & 1 ? -1 : 13), "MOV to CR4", vector << 8 | b);
    WRITE_CR(4, own);
  }
  for (u32 b = 0; b < 64; b++) {
    /* SMEP and SMAP would take this kernel's user-mode pages away. */
    if (b == 20 || b == 21) continue;
    fresh(); wr(G_CR4, own ^ 1ull << b);
    u32 r = go(guest_done), good = b < 32 && fixed1 >> b & 1 && b != 13 && b != 5;
    check(r == (good ? 18 : 0x80000021), "guest CR4", (u64)r << 8 | b);
    fresh(); wr(H_CR4, own ^ 1ull << b);
    r = go(guest_done); check(r == (good ? 18 : FAILED | 8), "host CR4", (u64)r << 8 | b); WRITE_CR(4, own);
  }
  group_end();
}

/* --- SMEP, SMAP --- */
static void supervisor_map(u64 cr4) {
  fresh();
  for (u64 n = 0; n < 2048; n++) s2[n] = n << 21 | 0x83;
  s2[USER_PAGE >> 21] = BACKING | 0x87;
  for (u32 n = 0; n < 4; n++) s3[n] = (u64)&s2[512 * n] | 7;
  s4[0] = (u64)s3 | 7;
  wr(G_CR3, (u64)s4); wr(G_CR4, READ_CR(4) | cr4); wr(CR4_SHADOW, rd(G_CR4));
  wr(EXC, 1 << 14); *(u32 *)BACKING = 0xc3; regs[RDI] = USER_PAGE; regs[RAX] = 0xc3;
}
GUEST(p_read, "mov (%rdi), %rax"); GUEST(p_write, "mov %rax, (%rdi)"); GUEST(p_fetch, "call *%rdi"); GUEST(p_rmw, "lock incl (%rdi)");
GUEST(p_stac, "stac; mov (%rdi), %rax; mov %rax, (%rdi); lock incl 8(%rdi); push %rax; pop %rbx; clac"); GUEST(p_stac_clac, "stac; mov (%rdi), %rax; clac; mov (%rdi), %rax");
GUEST(p_popf, "pushq $0x40002; popfq; mov (%rdi), %rax; pushq $2; popfq; mov (%rdi), %rax"); GUEST(p_flags, "stac; pushfq; pop %rbx; clac; pushfq; pop %rcx");
GUEST(p_segment, "mov $0x10, %eax; mov %eax, %ds"); GUEST(p_stac_segment, "stac; mov $0x10, %eax; mov %eax, %ds"); GUEST(p_only_stac, "stac"); GUEST(p_only_clac, "clac");
GUEST(p_stac_twice, "stac; mov (%rdi), %rax; mov %cr3, %rcx; mov %rcx, %cr3; mov (%rdi), %rax");
static void faulted(const char *what, const char *code, u32 error) {
  u32 r = go(code);
  check(r == 0 && (u32)rd(X_INFO) == 0x80000b0e && rd(X_ERROR) == error && rd(QUAL) == USER_PAGE, what, (u64)r << 32 | rd(X_ERROR));
  wr(G_RFLAGS, 2);
}
static void user_pages(void) {
  group("SMEP, SMAP");
  supervisor_map(0); EQ(go(p_read), 18, "read"); EQ(go(p_write), 18, "write"); regs[RAX] = 0xc3; *(u32 *)BACKING = 0xc3; EQ(go(p_fetch), 18, "fetch");
  if (leaf7_ebx() >> 7 & 1) {
    supervisor_map(CR4_SMEP); EQ(go(p_read), 18, "SMEP: read"); EQ(go(p_write), 18, "SMEP: write"); faulted("SMEP: fetch", p_fetch, 0x11);
    *(u32 *)BACKING = 0xc1010f; /* VMCALL */ s2[(u64)guest_done >> 21] |= 4; wr(EXC, 0); user_guest(); EQ(go((void *)USER_PAGE), 18, "SMEP: fetch at CPL 3");
  }
  if (leaf7_ebx() >> 20 & 1) {
    supervisor_map(CR4_SMAP); faulted("SMAP: read", p_read, 1); faulted("SMAP: write", p_write, 3); faulted("SMAP: read-modify-write", p_rmw, 3); EQ(go(p_fetch), 18, "SMAP: fetch");
    supervisor_map(CR4_SMAP); EQ(go(p_stac), 18, "SMAP: STAC"); EQ(go(p_flags), 18, "STAC, CLAC"); EQ(regs[RBX] >> 18 & 1, 1, "AC after STAC"); EQ(regs[RCX] >> 18 & 1, 0, "AC after CLAC");
    faulted("SMAP: after CLAC", p_stac_clac, 1); faulted("SMAP: POPF", p_popf, 1); EQ(rd(G_RIP) > (u64)p_popf + 6, 1, "the first access went through");
    wr(G_RFLAGS, 0x40002); EQ(go(p_read), 18, "SMAP: AC at VM entry"); wr(G_RFLAGS, 2);
    EQ(go(p_stac_twice), 18, "SMAP: across MOV to CR3");
    supervisor_map(CR4_SMAP); wr(G_CR0, rd(G_CR0) | 0x10000); s2[USER_PAGE >> 21] &= ~2ull; wr(G_RFLAGS, 0x40002); EQ(go(p_read), 18, "SMAP: read-only, AC"); faulted("SMAP: write of a read-only page, AC and WP", p_write, 3);
    wr(G_RFLAGS, 0x40002); wr(G_CR0, rd(G_CR0) & ~0x10000ull); EQ(go(p_write), 18, "SMAP: write of a read-only page, AC without WP");
    /* Accesses to descriptor tables do not look at AC. */
    supervisor_map(CR4_SMAP); copy((void *)BACKING, gdt, 0x100); wr(G_GDTR, USER_PAGE);
    EQ(go(p_segment), 0, "SMAP: descriptor"); EQ(rd(X_ERROR), 1, "error code"); EQ(rd(QUAL), USER_PAGE + 0x10, "address"); wr(G_RFLAGS, 2);
    EQ(go(p_stac_segment), 0, "SMAP: descriptor with AC"); EQ(rd(QUAL), USER_PAGE + 0x10, "address");
    /* CPL 3: STAC and CLAC are #UD, user pages are there. */
    supervisor_map(CR4_SMAP); for (u32 n = 0; n < 512; n++) s2[n] |= 4; user_guest(); EQ(go(p_read), 18, "SMAP: read at CPL 3"); wr(EXC, 1 << 6);
    EQ(go(p_only_stac), 0, "STAC at CPL 3"); EQ((u32)rd(X_INFO), 0x80000306, "#UD"); EQ(go(p_only_clac), 0, "CLAC at CPL 3"); EQ((u32)rd(X_INFO), 0x80000306, "#UD");
    supervisor_map(0); EQ(go(p_only_stac), 18, "STAC with CR4.SMAP = 0");
  }
  group_end();
}

/* --- UMIP, FSGSBASE --- */
GUEST(u_sgdt, "sgdt (%rdi)"); GUEST(u_sidt, "sidt (%rdi)"); GUEST(u_sldt, "sldt %eax"); GUEST(u_str, "str %eax"); GUEST(u_smsw, "smsw %eax");
GUEST(b_read, "rdfsbase %rax; rdgsbase %rbx; rdfsbase %ecx; rdgsbase %edx"); GUEST(b_write, "wrfsbase %rax; wrgsbase %rbx"); GUEST(b_write32, "wrfsbase %eax; wrgsbase %ebx");
static void user_instructions(void) {
  group("UMIP, FSGSBASE");
  static const char *const stores[] = { u_sgdt, u_sidt, u_sldt, u_str, u_smsw };
  for (u32 n = 0; n < 5; n++) {
    fresh(); regs[RDI] = (u64)scratch_page; user_guest(); EQ(go_catch(stores[n]), 18, "without UMIP"); EQ(ex_vector, ~0ull, "no fault");
    if (!(leaf7_ecx() >> 2 & 1)) continue;
    fresh(); regs[RDI] = (u64)scratch_page; wr(G_CR4, rd(G_CR4) | CR4_UMIP); EQ(go_catch(stores[n]), 18, "UMIP at CPL 0"); EQ(ex_vector, ~0ull, "no fault");
    user_guest(); EQ(go_catch(stores[n]), 18, "UMIP at CPL 3"); EQ(ex_vector, 13, "#GP"); EQ(ex_error, 0, "error code");
    fresh(); regs[RDI] = (u64)scratch_page; secondary(P2_DT); wr(G_CR4, rd(G_CR4) | CR4_UMIP); EQ(go_catch(stores[n]), n == 4 ? 18 : n < 2 ? 46 : 47, "UMIP at CPL 0, descriptor-table exiting");
    user_guest(); EQ(go_catch(stores[n]), 18, "UMIP goes before the exit"); EQ(ex_vector, 13, "#GP");
    wr(G_CR4, rd(G_CR4) & ~(u64)CR4_UMIP); user_guest(); EQ(go_catch(stores[n]), n == 4 ? 18 : n < 2 ? 46 : 47, "descriptor-table exiting at CPL 3");
  }
  for (u32 user = 0; user < 2; user++) {
    fresh(); if (user) user_guest();
    EQ(go_catch(b_read), 18, "RDFSBASE without CR4.FSGSBASE"); EQ(ex_vector, 6, "#UD"); if (user) user_guest();
    EQ(go_catch(b_write), 18, "WRFSBASE without CR4.FSGSBASE"); EQ(ex_vector, 6, "#UD");
    if (!(leaf7_ebx() & 1)) continue;
    fresh(); if (user) user_guest();
    wr(G_CR4, rd(G_CR4) | CR4_FSGSBASE); wr(BASE_OF(FS), 0x123456789abcull); wr(BASE_OF(GS), 0xffff812345678000ull);
    EQ(go_catch(b_read), 18, "RDFSBASE"); EQ(regs[RAX], 0x123456789abcull, "FS"); EQ(regs[RBX], 0xffff812345678000ull, "GS"); EQ(regs[RCX], 0x56789abc, "32 bits"); EQ(regs[RDX], 0x45678000, "32 bits");
    regs[RAX] = 0x7fffffffffffull; regs[RBX] = 0xffff800000000000ull; EQ(go_catch(b_write), 18, "WRFSBASE"); EQ(rd(BASE_OF(FS)), 0x7fffffffffffull, "FS"); EQ(rd(BASE_OF(GS)), 0xffff800000000000ull, "GS");
    regs[RAX] = ~0ull; regs[RBX] = 0xffffffff80000000ull; EQ(go_catch(b_write32), 18, "WRFSBASE, 32 bits"); EQ(rd(BASE_OF(FS)), 0xffffffff, "FS"); EQ(rd(BASE_OF(GS)), 0x80000000, "GS");
    regs[RAX] = 1ull << 47; EQ(go_catch(b_write), 18, "not canonical"); EQ(ex_vector, 13, "#GP"); EQ(rd(BASE_OF(FS)), 0xffffffff, "FS unchanged");
  }
  group_end();
}

/* --- PCID, INVPCID --- */
static u32 invpcid(u64 type, u64 a, u64 b) { pair d = { a, b }; return (u32)FAULT_OF("invpcid %0, %1; 1:" :: "m"(d), "r"(type) : "memory"); }
GUEST(n_invpcid, "invpcid 0x10(%rax,%rcx,4), %r9"); GUEST(n_cr3, "mov %rax, %cr3; mov %cr3, %rbx");
static void process_contexts(void) {
  group("PCID, INVPCID");
  u64 own = READ_CR(4), cr3 = READ_CR(3), *entry = &pd[256], old = *entry;
  volatile u64 *page = (u64 *)USER_PAGE;
  if (leaf1_ecx() >> 17 & 1) {
    EQ(write_cr3(cr3 | 1ull << 63), 13, "bit 63 of CR3 without PCIDE");
    for (u32 b = 40; b < 64; b++) EQ(write_cr3(cr3 | 1ull << b), 13, "CR3 beyond the physical width");
    EQ(write_cr3(cr3 | 0x123), -1, "low bits of CR3 without PCIDE"); EQ(write_cr4(own | CR4_PCIDE), 13, "PCIDE with CR3[11:0] not 0"); EQ(write_cr3(cr3), -1, "");
    EQ(write_cr4(own | CR4_PCIDE), -1, "PCIDE");
    for (u32 b = 40; b < 63; b++) EQ(write_cr3(cr3 | 1ull << b), 13, "CR3 beyond the physical width");
    EQ(write_cr3(cr3 | 0xfff | 1ull << 63), -1, "bit 63 of CR3"); EQ(READ_CR(3), cr3 | 0xfff, "is not stored");
    /* The page under test is 10000000h or 10200000h. Each kind of flush must make a change seen, for the PCID it names. */
    *(u64 *)0x10000000ull = 0x1111; *(u64 *)0x10200000ull = 0x2222;
    static const u32 global[] = { 0, 0x100 };
    if (leaf7_ebx() >> 10 & 1) for (u32 g = 0; g < 2; g++) for (u32 how = 0; how < 6; how++) {
      /* Global translations outlive these. */
      if (g && how != 2 && how != 4) continue;
      WRITE_CR(4, own | CR4_PCIDE | 0x80);
      *entry = 0x10000087ull | global[g]; WRITE_CR(3, cr3 | 5); invpcid(2, 0, 0); EQ(*page, 0x1111, "first mapping");
      *entry = 0x10200087ull | global[g];
      WRITE_CR(3, cr3 | 6 | 1ull << 63);
      switch (how) {
        case 0: invpcid(0, 5, USER_PAGE); WRITE_CR(3, cr3 | 5 | 1ull << 63); break;
        case 1: invpcid(1, 5, 0); WRITE_CR(3, cr3 | 5 | 1ull << 63); break;
        case 2: invpcid(2, 0, 0); WRITE_CR(3, cr3 | 5 | 1ull << 63); break;
        case 3: invpcid(3, 0, 0); WRITE_CR(3, cr3 | 5 | 1ull << 63); break;
        case 4: WRITE_CR(3, cr3 | 5 | 1ull << 63); asm volatile("invlpg (%0)" :: "r"(page) : "memory"); break;
        case 5: WRITE_CR(3, cr3 | 5); break;
      }
      check(*page == 0x2222, "second mapping", (u64)g << 8 | how);
    }
    WRITE_CR(4, own | CR4_PCIDE); WRITE_CR(3, cr3);
    *entry = old; EQ(write_cr4(own), -1, "PCIDE off");
    /* VM entry: PCIDE needs IA-32e mode. */
    fresh(); wr(G_CR4, rd(G_CR4) | CR4_PCIDE); wr(CR4_SHADOW, rd(G_CR4)); wr(G_CR3, cr3 | 0x345); EQ(go(guest_done), 18, "guest with PCIDE"); EQ(rd(G_CR3), cr3 | 0x345, "CR3");
    regs[RAX] = cr3 | 7 | 1ull << 63; EQ(go_catch(n_cr3), 18, "MOV to CR3 with bit 63"); EQ(ex_vector, ~0ull, "no fault"); EQ(regs[RBX], cr3 | 7, "CR3"); EQ(rd(G_CR3), cr3 | 7, "saved");
    wr(G_CR3, cr3 | 1ull << 63); EQ(go(guest_done), 0x80000021, "bit 63 of the field"); wr(G_CR3, cr3);
    clear_bits(ENTRYC, E_64); wr(AR_OF(CS), 0xc09b); EQ(go(guest_done), 0x80000021, "PCIDE outside IA-32e mode");
    fresh(); wr(H_CR4, own | CR4_PCIDE); wr(H_CR3, cr3 | 9); EQ(go(guest_done), 18, "host with PCIDE"); EQ(READ_CR(3), cr3 | 9, "CR3"); WRITE_CR(3, cr3); WRITE_CR(4, own);
  } else EQ(write_cr4(own | CR4_PCIDE), 13, "PCIDE not there");
  if (leaf7_ebx() >> 10 & 1) {
    for (u32 type = 0; type < 4; type++) {
      EQ(invpcid(type, 0, 0), (u32)-1, "INVPCID"); EQ(invpcid(type, 1, 0), type < 2 ? 13 : (u32)-1, "PCID not 0 without PCIDE");
      for (u32 b = 12; b < 64; b++) EQ(invpcid(type, 1ull << b, 0), 13, "reserved bits");
      EQ(invpcid(type, 0, 1ull << 47), type == 0 ? 13 : (u32)-1, "address not canonical");
    }
    static const u64 bad[] = { 4, 5, 255, 1ull << 31, 1ull << 32, ~0ull };
    for (u32 n = 0; n < 6; n++) EQ(invpcid(bad[n], 0, 0), 13, "bad type");
    EQ(FAULT_OF("invpcid (%0), %1; 1:" :: "r"(1ull << 45), "r"(2ull) : "memory"), 14, "descriptor not mapped"); EQ(FAULT_OF("invpcid (%0), %1; 1:" :: "r"(1ull << 50), "r"(2ull) : "memory"), 13, "descriptor not canonical");
    fresh(); regs[RAX] = (u64)scratch_page; regs[RCX] = 0; regs[R9] = 2; fill(scratch_page, 0, 4096);
    EQ(go_catch(n_invpcid), 18, "without its control"); EQ(ex_vector, 6, "#UD");
    set_bits(PROC, P_INVLPG); EQ(go_catch(n_invpcid), 18, "without its control, INVLPG exiting"); EQ(ex_vector, 6, "#UD"); clear_bits(PROC, P_INVLPG);
    secondary(P2_INVPCID); EQ(go_catch(n_invpcid), 18, "with its control"); EQ(ex_vector, ~0ull, "no fault");
    regs[R9] = 4; EQ(go_catch(n_invpcid), 18, "bad type"); EQ(ex_vector, 13, "#GP"); user_guest(); EQ(go_catch(n_invpcid), 18, "at CPL 3"); EQ(ex_vector, 13, "#GP");
    fresh(); secondary(P2_INVPCID); set_bits(PROC, P_INVLPG); regs[RAX] = 1ull << 50; EQ(go_catch(n_invpcid), 58, "exit, before the operand is read"); EQ(rd(QUAL), 0x10, "displacement"); EQ(rd(X_LEN), 8, "length");
    EQ(rd(X_INSN) & 0xfffffb83, 9u << 28 | 0 << 23 | 1 << 18 | 3 << 15 | 2 << 7 | 2, "information"); EQ(rd(G_RIP), (u64)n_invpcid, "RIP");
    user_guest(); EQ(go_catch(n_invpcid), 18, "at CPL 3 before the exit"); EQ(ex_vector, 13, "#GP");
  }
  group_end();
}

void test_paging(void) {
  control_bits();
  user_pages();
  user_instructions();
  process_contexts();
}
