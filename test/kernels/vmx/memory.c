/* EPT, VPID, the APIC-access page and the TPR shadow (SDM 3C 29.3, 29.4, 30.1-30.4), and guests that leave long mode. */
#include "vmx.h"

/* The page under test: 4 KiB, 2 MiB or 1 GiB, somewhere else in guest-physical memory than code and data. */
#define AT 0x80000000ull
#define BACKING 0x10000000ull
static u64 *leaf;
static u32 large;
/* 0: 4 KiB, 1: 2 MiB, 2: 1 GiB. Code of `x_ret` lies at the start of the backing memory; guest-linear = guest-physical. */
GUEST(x_read, "mov (%rdi), %rax"); GUEST(x_write, "mov %rax, (%rdi)"); GUEST(x_fetch, "call *%rdi"); GUEST(x_rmw, "lock incl (%rdi)"); GUEST(x_split, "mov -4(%rdi), %rax");
static void map(u32 size) {
  fresh(); ept_on();
  large = size ? 0x80 : 0;
  if (size == 2) leaf = &ept_pdpt[2];
  else if (size == 1) leaf = &ept_pd[1024];
  else { leaf = &ept_pt[0]; fill(ept_pt, 0, 4096); ept_pd[1024] = (u64)ept_pt | 7; }
  *leaf = (size == 2 ? 0 : BACKING) | large | 0x37;
  *(u8 *)(size == 2 ? 0ull : BACKING) = 0xc3;
  regs[RDI] = AT;
}

static void permissions(void) {
  group("EPT: permissions");
  for (u32 size = 0; size < 3; size++) {
    map(size);
    static const char *const code[3] = { x_read, x_write, x_fetch };
    for (u32 rights = 0; rights < 8; rights++) for (u32 access = 0; access < 3; access++) {
      *leaf = (*leaf & ~7ull) | rights;
      if (size != 2) *(u8 *)BACKING = 0xc3;
      invept(2, 0, 0);
      regs[RAX] = 0xc3; regs[RDI] = AT;
      u32 r = go(code[access]), needed = 1u << access;
      u32 misconfigured = (rights & 3) == 2;
      if (misconfigured) { check(r == 49, "misconfiguration", size << 8 | rights << 4 | access); EQ(rd(GPA), AT, "guest-physical address"); continue; }
      if (rights & needed) { check(r == 18, "allowed", (u64)r << 16 | size << 8 | rights << 4 | access); continue; }
      check(r == 48, "violation", (u64)r << 16 | size << 8 | rights << 4 | access);
      EQ(rd(QUAL) & 0x11bf, needed | rights << 3 | 0x180, "qualification"); EQ(rd(GPA), AT, "guest-physical address"); EQ(rd(LINEAR), AT, "linear address");
      EQ(rd(IDT_INFO) >> 31, 0, "no vectoring");
      if (access < 2) EQ(rd(G_RIP), (u64)code[access], "RIP");
    }
  }
  /* Rights of all levels are combined. */
  map(0);
  for (u32 level = 0; level < 3; level++) {
    u64 *e = level == 0 ? &ept_pd[1024] : level == 1 ? &ept_pdpt[2] : leaf;
    *e &= ~2ull; invept(2, 0, 0);
    EQ(go(x_write), 48, "write bit missing at one level"); EQ(rd(QUAL) & 0x3f, 2 | 5 << 3, "rights are those of all levels"); EQ(go(x_read), 18, "read");
    *e |= 2;
  }
  invept(2, 0, 0);
  *leaf &= ~2ull; invept(2, 0, 0);
  EQ(go(x_rmw), 48, "read-modify-write"); check((rd(QUAL) & 2) != 0, "write", rd(QUAL));
  map(0);
  regs[RDI] = AT + 4096; EQ(go(x_read), 48, "next page not mapped"); EQ(rd(GPA), AT + 4096, "guest-physical address"); EQ(rd(QUAL) & 0x1bf, 0x181, "qualification");
  EQ(go(x_split), 48, "access across the boundary"); EQ(rd(GPA), AT + 4096, "guest-physical address"); EQ(rd(LINEAR), AT + 4096, "linear address");
  map(0); *leaf = 0; regs[RDI] = AT + 0x123; EQ(go(x_read), 48, "offset in the page"); EQ(rd(GPA), AT + 0x123, "guest-physical address");
  group_end();
}

static void misconfigurations(void) {
  group("EPT: misconfigurations");
  for (u32 size = 0; size < 3; size++) {
    map(size);
    u64 good = *leaf;
    EQ(go(x_read), 18, "good");
    for (u32 type = 0; type < 8; type++) {
      *leaf = (good & ~0x38ull) | type << 3; invept(2, 0, 0);
      u32 bad = type == 2 || type == 3 || type == 7;
      EQ(go(x_read), bad ? 49 : 18, "memory type");
      if (bad) EQ(rd(GPA), AT, "guest-physical address");
    }
    for (u32 b = 40; b < 52; b++) { *leaf = good | 1ull << b; invept(2, 0, 0); EQ(go(x_read), 49, "address beyond the physical width"); }
    for (u32 b = 12; b < (size == 2 ? 30 : size == 1 ? 21 : 12); b++) { *leaf = good | 1ull << b; invept(2, 0, 0); EQ(go(x_read), 49, "low address bits of a large page"); }
    for (u32 b = 52; b < 63; b++) { if (b == 57 || b == 58 || b == 60 || b == 61) continue; *leaf = good | 1ull << b; invept(2, 0, 0); EQ(go(x_read), 18, "ignored bits"); }
    *leaf = (good & ~7ull) | 2; invept(2, 0, 0); EQ(go(x_read), 49, "write-only");
    *leaf = (good & ~7ull) | 6; invept(2, 0, 0); EQ(go(x_fetch), 49, "write and execute");
    *leaf = (good & ~0x3full) | 1ull << 45 | 0x38; invept(2, 0, 0); EQ(go(x_read), 48, "not present: nothing else is checked");
    *leaf = good;
  }
  map(0);
  for (u32 level = 0; level < 2; level++) {
    u64 *e = level ? &ept_pdpt[2] : &ept_pd[1024], good = *e;
    for (u32 b = 3; b < 7; b++) { *e = good | 1ull << b; invept(2, 0, 0); EQ(go(x_read), 49, "reserved bits of a directory entry"); }
    for (u32 b = 40; b < 52; b++) { *e = good | 1ull << b; invept(2, 0, 0); EQ(go(x_read), 49, "directory entry beyond the physical width"); }
    *e = (good & ~7ull) | 2; invept(2, 0, 0); EQ(go(x_read), 49, "write-only directory entry");
    *e = good;
  }
  group_end();
}

static void walks(void) {
  group("EPT: guest paging structures, accessed and dirty flags");
  u64 *table = (u64 *)BACKING;
  /* The guest's PML4 lies in the page under test. */
  map(0);
  fill(table, 0, 4096); table[0] = (u64)pdpt | 7;
  wr(G_CR3, AT);
  EQ(go(guest_done), 18, "PML4 in the page");
  *leaf = (*leaf & ~7ull) | 5; table[0] &= ~0x20ull; invept(2, 0, 0);
  EQ(go(guest_done), 48, "accessed flag of the guest cannot be written"); EQ(rd(QUAL) & 0x1bf, 0x80 | 2 | 5 << 3 | (rd(QUAL) & 1), "qualification"); EQ(rd(GPA) & ~7ull, AT, "guest-physical address"); EQ(rd(LINEAR), (u64)guest_done, "linear address");
  *leaf &= ~7ull; invept(2, 0, 0);
  EQ(go(guest_done), 48, "PML4 not readable"); EQ(rd(QUAL) & 0x1bd, 0x81, "qualification"); EQ(rd(GPA) & ~7ull, AT, "guest-physical address");
  /* Flags of EPT. */
  map(0); wr(EPTP, rd(EPTP) | 0x40);
  u64 clear = ~0x300ull;
  *leaf &= clear; ept_pd[1024] &= clear; ept_pdpt[2] &= clear; ept_pml4[0] &= clear; invept(2, 0, 0);
  EQ(go(guest_done), 18, "no access"); EQ(*leaf & 0x300, 0, "flags");
  regs[RDI] = AT; EQ(go(x_read), 18, "read"); EQ(*leaf & 0x300, 0x100, "accessed"); EQ(ept_pd[1024] & 0x300, 0x100, "directory accessed"); EQ(ept_pdpt[2] & 0x300, 0x100, "directory accessed"); EQ(ept_pml4[0] & 0x300, 0x100, "directory accessed");
  EQ(go(x_write), 18, "write"); EQ(*leaf & 0x300, 0x300, "accessed and dirty");
  *leaf &= clear; invept(1, rd(EPTP), 0); *(u8 *)BACKING = 0xc3;
  EQ(go(x_fetch), 18, "fetch"); EQ(*leaf & 0x300, 0x100, "accessed");
  wr(EPTP, rd(EPTP) & ~0x40ull); *leaf &= clear; invept(2, 0, 0); EQ(go(x_write), 18, "flags off"); EQ(*leaf & 0x300, 0, "untouched");
  /* With the flags on, walks of guest tables are writes. */
  map(0); fill(table, 0, 4096); table[0] = (u64)pdpt | 0x27; wr(G_CR3, AT); wr(EPTP, rd(EPTP) | 0x40);
  *leaf = (*leaf & ~7ull) | 5; invept(2, 0, 0);
  EQ(go(guest_done), 48, "guest table in a read-only page"); EQ(rd(QUAL) & 0x1ba, 0x80 | 2 | 5 << 3, "qualification");
  group_end();
}

GUEST(y_invlpg, "mov (%rdi), %rax; vmcall; invlpg (%rdi); mov (%rdi), %rax"); GUEST(y_twice, "mov (%rdi), %rax; vmcall; mov (%rdi), %rax");
static void invalidation(void) {
  group("INVEPT, INVVPID, VPID");
  fresh(); ept_on();
  u64 eptp = rd(EPTP);
  EQ(invept(1, eptp, 0), 0, "INVEPT single"); EQ(invept(2, 0, 0), 0, "INVEPT all"); EQ(invept(2, ~0ull, ~0ull), 0, "INVEPT all ignores the descriptor");
  static const u64 bad_types[] = { 0, 3, 4, 1ull << 32, ~0ull };
  for (u32 n = 0; n < 5; n++) { EQ(invept(bad_types[n], eptp, 0), ZF, "INVEPT bad type"); EQ(rd(INSTRUCTION_ERROR), 28, "its error"); }
  EQ(invept(1, eptp | 7, 0), ZF, "INVEPT bad EPTP"); EQ(rd(INSTRUCTION_ERROR), 28, "its error"); EQ(invept(1, eptp | 1ull << 40, 0), ZF, "INVEPT bad EPTP"); EQ(invept(1, eptp & ~0x38ull, 0), ZF, "INVEPT bad walk length");
  EQ(invvpid(0, 1, 0x1000), 0, "INVVPID address"); EQ(invvpid(1, 1, 0), 0, "INVVPID single"); EQ(invvpid(2, 0, 0), 0, "INVVPID all"); EQ(invvpid(3, 0xffff, 0), 0, "INVVPID single but global");
  static const u64 bad_vpid_types[] = { 4, 5, 1ull << 32, ~0ull };
  for (u32 n = 0; n < 4; n++) { EQ(invvpid(bad_vpid_types[n], 1, 0), ZF, "INVVPID bad type"); EQ(rd(INSTRUCTION_ERROR), 28, "its error"); }
  for (u32 type = 0; type < 4; type++) for (u32 b = 16; b < 64; b += 5) { EQ(invvpid(type, 1 | 1ull << b, 0), ZF, "INVVPID reserved bits"); EQ(rd(INSTRUCTION_ERROR), 28, "its error"); }
  EQ(invvpid(0, 0, 0), ZF, "INVVPID of VPID 0"); EQ(invvpid(1, 0, 0), ZF, "INVVPID of VPID 0"); EQ(invvpid(3, 0, 0), ZF, "INVVPID of VPID 0");
  EQ(invvpid(0, 1, 1ull << 47), ZF, "INVVPID of a non-canonical address"); EQ(rd(INSTRUCTION_ERROR), 28, "its error");
  EQ(FAULT_OF("invept (%0), %1; 1:" :: "r"(1ull << 45), "r"(2ull) : "memory"), 14, "INVEPT, descriptor not mapped");
  EQ(FAULT_OF("invvpid (%0), %1; 1:" :: "r"(1ull << 50), "r"(2ull) : "memory"), 13, "INVVPID, descriptor not canonical");
  /* A change of the guest's page table is seen after entry without VPID, after INVVPID with it, and after INVLPG in the guest. */
  u64 *entry = &pd[256];
  u64 old = *entry;
  u64 *first = (u64 *)0x10000000ull, *second = (u64 *)0x10200000ull;
  for (u32 vpid = 0; vpid < 2; vpid++) {
    fresh(); if (vpid) { secondary(P2_VPID); wr(F_VPID, 5); }
    *entry = 0x87 | 0x10000000ull; *first = 0x1111; *second = 0x2222;
    /* The guest reads through 20000000h; the host's own mapping of it is not used. */
    *entry = 0x10000087ull; regs[RDI] = 0x20000000;
    EQ(go(y_twice), 18, "first mapping"); EQ(regs[RAX], 0x1111, "value");
    *entry = 0x10200087ull; if (vpid) EQ(invvpid(1, 5, 0), 0, "INVVPID");
    EQ(cont(), 18, "second mapping"); EQ(regs[RAX], 0x2222, "value");
    *entry = 0x10000087ull; if (vpid) EQ(invvpid(0, 5, 0x20000000), 0, "INVVPID address");
    EQ(go(y_twice), 18, "address"); EQ(regs[RAX], 0x1111, "value");
    *entry = 0x10200087ull; EQ(go(y_invlpg), 18, ""); EQ(cont(), 18, "INVLPG"); EQ(regs[RAX], 0x2222, "value");
  }
  *entry = old; asm volatile("mov %%cr3, %%rax; mov %%rax, %%cr3" ::: "rax", "memory");
  group_end();
}

GUEST(a_read, "mov 0x20(%rdi), %eax"); GUEST(a_write, "mov %eax, 0x300(%rdi)"); GUEST(a_fetch, "jmp *%rdi"); GUEST(a_tpr_read, "mov 0x80(%rdi), %eax"); GUEST(a_tpr_write, "mov %eax, 0x80(%rdi); nop"); GUEST(a_cr8, "mov %rax, %cr8; mov %cr8, %rbx"); GUEST(a_cr8_read, "mov %cr8, %rbx");
static void apic(void) {
  group("TPR shadow, APIC-access page");
  u8 *page = scratch_page;
  fresh(); set_bits(PROC, P_TPR); wr(VAPIC, (u64)page); fill(page, 0, 4096);
  u64 own; asm volatile("mov %%cr8, %0" : "=r"(own));
  regs[RAX] = 5; EQ(go_catch(a_cr8), 18, "CR8 is the shadow"); EQ(regs[RBX], 5, "CR8 read"); EQ(page[0x80], 0x50, "virtual TPR");
  u64 now; asm volatile("mov %%cr8, %0" : "=r"(now)); EQ(now, own, "the processor's own CR8 untouched");
  page[0x80] = 0x9f; EQ(go(a_cr8_read), 18, "CR8 read"); EQ(regs[RBX], 9, "bits 7:4");
  regs[RAX] = 16; EQ(go_catch(a_cr8), 18, "reserved bits"); EQ(ex_vector, 13, "#GP");
  page[0x80] = 0x90; wr(TPR_T, 6); regs[RAX] = 5; EQ(go(a_cr8), 43, "below the threshold"); EQ(rd(G_RIP), (u64)a_cr8 + 4, "trap-like"); EQ(page[0x80], 0x50, "virtual TPR"); EQ(rd(QUAL), 0, "qualification");
  page[0x80] = 0x90; regs[RAX] = 6; EQ(go(a_cr8), 18, "not below");
  set_bits(PROC, P_CR8LD); EQ(go(a_cr8), 28, "CR8-load exiting goes first"); EQ(rd(QUAL), 8, "qualification"); set_bits(PROC, P_CR8ST); EQ(go(a_cr8_read), 28, "CR8-store exiting"); EQ(rd(QUAL), 0x318, "qualification");
  /* APIC-access page. */
  fresh(); secondary(P2_APIC); wr(APIC_ACCESS, (u64)page_b); regs[RDI] = (u64)page_b;
  EQ(go(a_read), 44, "read"); EQ(rd(QUAL), 0x0020, "qualification"); EQ(rd(G_RIP), (u64)a_read, "RIP");
  EQ(go(a_write), 44, "write"); EQ(rd(QUAL), 0x1300, "qualification"); EQ(go(a_fetch), 44, "fetch"); EQ(rd(QUAL), 0x2000, "qualification"); EQ(rd(G_RIP), (u64)page_b, "RIP");
  EQ(go(a_tpr_read), 44, "TPR without the shadow"); EQ(rd(QUAL), 0x0080, "qualification"); EQ(go(a_tpr_write), 44, "TPR write"); EQ(rd(QUAL), 0x1080, "qualification");
  set_bits(PROC, P_TPR); wr(VAPIC, (u64)page_c); fill(page_c, 0, 4096); page_c[0x80] = 0x34;
  EQ(go(a_tpr_read), 18, "TPR read with the shadow"); EQ(regs[RAX], 0x34, "value"); regs[RAX] = 0xabcdef76; EQ(go(a_tpr_write), 18, "TPR write with the shadow"); EQ(*(u32 *)(page_c + 0x80), 0x76, "value");
  EQ(go(a_read), 44, "other registers"); EQ(go(a_write), 44, "other registers");
  wr(TPR_T, 3); page_c[0x80] = 0x40; regs[RAX] = 0x20; EQ(go(a_tpr_write), 43, "write below the threshold"); EQ(rd(G_RIP), (u64)a_tpr_write + 6, "trap-like"); EQ(page_c[0x80], 0x20, "value");
  /* During event delivery. */
  fresh(); secondary(P2_APIC); wr(APIC_ACCESS, (u64)page_b); wr(G_IDTR, (u64)page_b); wr(E_INFO, 0x80000306);
  EQ(go(guest_done), 44, "access by event delivery"); EQ(rd(QUAL) & 0xf000, 0x3000, "qualification"); EQ((u32)rd(IDT_INFO), 0x80000306, "vectoring");
  /* With EPT: the host-physical address counts. */
  map(0); secondary(P2_APIC); wr(APIC_ACCESS, BACKING); EQ(go(a_read), 44, "through EPT"); EQ(rd(QUAL) & 0xffff, 0x0020, "qualification");
  group_end();
}

/* From 64-bit code to compatibility mode, paging off, long mode off. */
GUEST(l_leave, "pushq $0x38; pushq $1f; lretq\n.code32\n1: mov %cr0, %eax; and $0x7fffffff, %eax; mov %eax, %cr0; vmcall; or $0x80000000, %eax; mov %eax, %cr0; vmcall; ljmp $8, $2f\n.code64\n2: nop");
static void modes(void) {
  group("guest that leaves and enters long mode");
  fresh(); ept_on(); secondary(P2_UG); set_bits(EXITC, X_SAVE_EFER | X_LOAD_EFER); set_bits(ENTRYC, E_EFER);
  EQ(go(l_leave), 18, "paging off"); EQ(rd(ENTRYC) >> 9 & 1, 0, "IA-32e mode guest"); EQ(rd(G_EFER) & 0x500, 0x100, "LMA clear, LME kept"); EQ(rd(G_CR0) >> 31, 0, "PG"); EQ(rdmsr(0xc0000080) & 0x500, 0x500, "host EFER");
  EQ(cont(), 18, "paging on"); EQ(rd(ENTRYC) >> 9 & 1, 1, "IA-32e mode guest"); EQ(rd(G_EFER) & 0x500, 0x500, "LMA set");
  EQ(cont(), 18, "64-bit code"); EQ(rd(G_CS), 8, "CS"); EQ(rd(AR_OF(CS)) >> 13 & 1, 1, "L");
  group_end();
}

/* PAE paging: MOV to CR3 loads the PDPTEs, which a VM exit saves when EPT is on; a reserved bit is #GP. */
GUEST(k_cr3, ".code32\n mov %eax, %cr3; nop; vmcall\n.code64");
GUEST(k_tsc, "rdtsc; mov %rax, %rsi; mov %rdx, %rdi; mov $0x10, %ecx; rdmsr");
static void pae_and_tsc(void) {
  group("PAE guest's CR3, TSC offset");
  u64 *table = (u64 *)page_b, *other = (u64 *)page_c;
  for (u32 with_ept = 0; with_ept < 2; with_ept++) {
    fresh(); clear_bits(ENTRYC, E_64); wr(AR_OF(CS), 0xc09b); wr(G_CS, 0x38);
    for (int n = 0; n < 4; n++) { table[n] = other[n] = ((u64)pd + 4096 * n) | 1; if (with_ept) wr(G_PDPTE0 + 2 * n, table[n]); }
    other[3] |= 0x200; other[2] = 0;
    if (with_ept) ept_on();
    wr(G_CR3, (u64)table); regs[RAX] = (u64)other;
    EQ(go(k_cr3), 18, "MOV to CR3"); EQ(rd(G_CR3), (u64)other, "CR3");
    if (with_ept) { EQ(rd(G_PDPTE0), other[0], "PDPTE 0"); EQ(rd(G_PDPTE0 + 4), 0, "PDPTE 2"); EQ(rd(G_PDPTE0 + 6), other[3], "PDPTE 3"); }
    other[1] |= 2; wr(G_CR3, (u64)table); if (with_ept) for (int n = 0; n < 4; n++) wr(G_PDPTE0 + 2 * n, table[n]);
    wr(EXC, 1 << 13); regs[RAX] = (u64)other; EQ(go(k_cr3), 0, "reserved bit of a PDPTE"); EQ((u32)rd(X_INFO), 0x80000b0d, "#GP"); EQ(rd(G_CR3), (u64)table, "CR3 unchanged");
    wr(G_RFLAGS, 2);
    if (with_ept) {
      /* The table itself must be readable: an EPT violation without a linear address. */
      other[1] &= ~2ull; regs[RAX] = 0x8000000; ept_pd[0x8000000 >> 21] = 0; invept(2, 0, 0);
      EQ(go(k_cr3), 48, "PDPTEs not readable"); EQ(rd(QUAL) & 0x1ff, 1, "no linear address"); EQ(rd(GPA) & ~31ull, 0x8000000, "guest-physical address"); EQ(rd(G_RIP), (u64)k_cr3, "RIP");
    }
  }
  fresh(); set_bits(PROC, P_MSRBM | P_TSCOFF); wr(TSC_OFFSET, 1ull << 40);
  u64 before = rdtsc() + (1ull << 40);
  EQ(go(k_tsc), 18, "TSC offset"); u64 first = (regs[RSI] & 0xffffffff) | regs[RDI] << 32, second = (regs[RAX] & 0xffffffff) | regs[RDX] << 32, after = rdtsc() + (1ull << 40);
  check(first >= before && second >= first && second <= after, "RDTSC and RDMSR of the TSC", first);
  wr(TSC_OFFSET, -before); EQ(go(k_tsc), 18, "negative offset"); first = (regs[RSI] & 0xffffffff) | regs[RDI] << 32;
  check(first >> 40 == (-(1ull << 40)) >> 40, "RDTSC wraps", first);
  clear_bits(PROC, P_TSCOFF); EQ(go(k_tsc), 18, "offset not used"); first = (regs[RSI] & 0xffffffff) | regs[RDI] << 32; check(first <= rdtsc(), "RDTSC", first);
  group_end();
}

void test_memory(void) {
  pae_and_tsc();
  permissions();
  misconfigurations();
  walks();
  invalidation();
  apic();
  modes();
}
