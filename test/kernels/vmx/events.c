/* Events in a guest (SDM 3C 26.2-26.5, 27.4-27.7, 28.2): exceptions, vectoring, interrupts, NMIs, injection, trap flag, timer, MSR lists. */
#include "vmx.h"

#define VALID 0x80000000u
#define T_EXT (VALID)
#define T_NMI (VALID | 0x202)
#define T_HW (VALID | 0x300)
#define T_INT (VALID | 0x400)
#define T_PRIV (VALID | 0x500)
#define T_SW (VALID | 0x600)
#define HAS_ERROR 0x800

GUEST(e_ud, "ud2"); GUEST(e_int3, "int3"); GUEST(e_int1, ".byte 0xf1"); GUEST(e_cd03, ".byte 0xcd, 3"); GUEST(e_int20, "int $0x80"); GUEST(e_gp, "mov (%rax), %rbx"); GUEST(e_np, "mov %ax, %ds");
GUEST(e_pf, "mov (%rax), %rbx"); GUEST(e_pf_write, "mov %rbx, (%rax)"); GUEST(e_jump, "jmp *%rax"); GUEST(e_tf, "push $0x102; popf; nop; nop"); GUEST(e_divide, "xor %ecx, %ecx; div %ecx");
GUEST(e_dr, "mov %rax, %dr0; mov %rdx, %dr7; nop; mov scratch_page, %al; nop"); GUEST(e_gd, "mov %rdx, %dr7; mov %dr6, %rcx");
GUEST(e_nothing, "nop; nop; nop");

static void is(const char *what, u32 reason, u64 rip, u32 information) {
  u32 r = rd(REASON);
  check(r == reason, what, r);
  if (r != reason) return;
  check(rd(G_RIP) == rip, what, rd(G_RIP));
  check((u32)rd(X_INFO) == information, what, rd(X_INFO));
}

static void exceptions(void) {
  group("events: exceptions");
  fresh();
  EQ(go_catch(e_ud), 18, "#UD in the guest"); EQ(ex_vector, 6, "#UD in the guest");
  EQ(go_catch(e_int3), 18, "#BP in the guest"); EQ(ex_vector, 3, "#BP in the guest"); EQ(ex_rip, (u64)e_int3 + 1, "#BP is a trap");
  wr(EXC, 0xffffbfff);
  go(e_ud); is("#UD", 0, (u64)e_ud, T_HW | 6); EQ(rd(QUAL), 0, "#UD qualification"); EQ(rd(G_RFLAGS) >> 16 & 1, 1, "RF saved as 1 by a fault"); EQ(rd(IDT_INFO) >> 31, 0, "no vectoring");
  go(e_int3); is("INT3", 0, (u64)e_int3, T_SW | 3); EQ(rd(X_LEN), 1, "INT3 length"); EQ(rd(G_RFLAGS) >> 16 & 1, 0, "RF");
  wr(G_RFLAGS, 2);
  go(e_int1); is("INT1", 0, (u64)e_int1, T_PRIV | 1); EQ(rd(X_LEN), 1, "INT1 length"); EQ(rd(QUAL), 0, "INT1 qualification");
  vector_count[0x80] = 0; go(e_int20); is("INT n does not look at the bitmap", 18, (u64)e_int20 + 2, 0); EQ(vector_count[0x80], 1, "INT n delivered");
  go(e_cd03); EQ(rd(REASON), 18, "INT 3 in two bytes is INT n"); 
  regs[RAX] = 1ull << 47; go(e_gp); is("#GP", 0, (u64)e_gp, T_HW | HAS_ERROR | 13); EQ(rd(X_ERROR), 0, "error code");
  wr(G_RFLAGS, 2); regs[RAX] = 0x28; go(e_np); is("#GP of a selector", 0, (u64)e_np, T_HW | HAS_ERROR | 13); EQ(rd(X_ERROR), 0x28, "error code");
  wr(G_RFLAGS, 2); go(e_divide); is("#DE", 0, (u64)e_divide + 2, T_HW | 0);
  /* Debug exceptions. */
  fresh(); wr(EXC, 2); go(e_tf); is("single step", 0, (u64)e_tf + 7, T_HW | 1); EQ(rd(QUAL), 0x4000, "BS"); EQ(rd(G_PDBG), 0, "nothing pending"); EQ(rd(G_RFLAGS) & 0x100, 0x100, "TF saved");
  u64 dr6; asm volatile("mov %0, %%dr6" :: "r"(0xffff0ff0ull));
  wr(G_RFLAGS, 2); regs[RAX] = (u64)scratch_page; regs[RDX] = 0x30401; set_bits(EXITC, X_DEBUG); set_bits(ENTRYC, E_DEBUG);
  const char *at = e_dr + 3 + 3 + 1;
  go(e_dr); is("data breakpoint", 0, (u64)at + 7, T_HW | 1); EQ(rd(QUAL), 1, "B0");
  asm volatile("mov %%dr6, %0" : "=r"(dr6)); EQ(dr6, 0xffff0ff0, "DR6 not changed by the exit"); EQ(rd(G_DR7), 0x30401, "DR7 saved");
  wr(G_DR7, 0x400); regs[RAX] = (u64)at - 1; regs[RDX] = 0x401; go(e_dr); is("instruction breakpoint", 0, (u64)at - 1, T_HW | 1); EQ(rd(QUAL), 1, "B0"); EQ(rd(G_RFLAGS) >> 16 & 1, 0, "RF is left to the handler");
  wr(G_DR7, 0x400); wr(G_RFLAGS, 2); regs[RDX] = 0x2400; go(e_gd); is("general detect", 0, (u64)e_gd + 3, T_HW | 1); EQ(rd(QUAL), 0x2000, "BD"); EQ(rd(G_DR7), 0x2400, "DR7.GD stays");
  group_end();

  group("events: page faults");
  fresh();
  static const struct { u32 bitmap, mask, match; } filters[] = { { 1, 0, 0 }, { 0, 0, 0 }, { 1, 0, 1 }, { 0, 0, 1 }, { 1, 2, 2 }, { 0, 2, 2 }, { 1, 2, 0 }, { 0, 2, 0 }, { 1, ~0u, 2 }, { 1, ~0u, 0x10 }, { 0, ~0u, 0 } };
  const char *const code[3] = { e_pf, e_pf_write, e_jump };
  u64 marker = 0x123000;
  asm volatile("mov %0, %%cr2" :: "r"(marker));
  u32 nx = rdmsr(0xc0000080) >> 11 & 1;
  for (u32 n = 0; n < sizeof filters / sizeof *filters; n++) for (u32 c = 0; c < 3; c++) {
    u32 error = c == 0 ? 0 : c == 1 ? 2 : nx ? 0x10 : 0;
    u64 address = 0x4000001234ull;
    fresh(); wr(EXC, filters[n].bitmap << 14); wr(PF_MASK, filters[n].mask); wr(PF_MATCH, filters[n].match);
    u32 expected = ((error & filters[n].mask) == filters[n].match) == (filters[n].bitmap != 0);
    regs[RAX] = address;
    u32 r = go_catch(code[c]);
    if (expected) {
      check(r == 0, "#PF exits", n << 4 | c);
      EQ((u32)rd(X_INFO), T_HW | HAS_ERROR | 14, "information"); EQ(rd(X_ERROR), error, "error code"); EQ(rd(QUAL), address, "linear address");
      EQ(READ_CR(2), marker, "CR2 unchanged");
    } else {
      check(r == 18 && ex_vector == 14 && ex_error == error, "#PF stays in the guest", n << 4 | c);
      EQ(READ_CR(2), address, "CR2"); asm volatile("mov %0, %%cr2" :: "r"(marker));
    }
  }
  group_end();
}

static void vectoring(void) {
  group("events: vectoring, double and triple faults");
  /* The IDT ends before the vector: delivery raises #GP. */
  static const struct { const char *name, *code; u32 idt_limit, information, length, error, eflags; } table[] = {
    { "INT n", e_int20, 16 * 0x80 - 1, T_INT | 0x80, 2, 0x402, 2 }, { "INT3", e_int3, 47, T_SW | 3, 1, 0x1a, 2 },
    { "INT1", e_int1, 15, T_PRIV | 1, 1, 0xb, 2 }, { "#UD", e_ud, 16 * 6 - 1, T_HW | 6, 0, 0x33, 2 }, { "#GP", e_gp, 16 * 13 - 1, 0, 0, 0, 2 },
  };
  for (u32 n = 0; n < 4; n++) {
    fresh(); wr(EXC, 1 << 13); wr(G_IDTR_LIMIT, table[n].idt_limit);
    /* Keep #GP's own gate out of the picture: the exit comes first. */
    u32 r = go(table[n].code);
    check(r == 0, table[n].name, r);
    EQ((u32)rd(X_INFO), T_HW | HAS_ERROR | 13, table[n].name);
    EQ((u32)rd(IDT_INFO), table[n].information, table[n].name);
    u32 e = rd(X_ERROR);
    check(e == (n == 3 ? 0x33 : table[n].error) || e == (table[n].error & ~1u), "error code", e);
    if (table[n].length) EQ(rd(X_LEN), table[n].length, "instruction length");
    EQ(rd(G_RIP), (u64)table[n].code, "RIP");
  }
  /* #GP during #GP: double fault. */
  fresh(); wr(EXC, 1 << 8); wr(G_IDTR_LIMIT, 16 * 13 - 1); regs[RAX] = 1ull << 47;
  EQ(go(e_gp), 0, "#DF exits"); EQ((u32)rd(X_INFO), T_HW | HAS_ERROR | 8, "#DF"); EQ(rd(X_ERROR), 0, "#DF error code"); EQ(rd(IDT_INFO) >> 31, 0, "no vectoring with #DF"); EQ(rd(G_RIP), (u64)e_gp, "RIP");
  fresh(); wr(G_IDTR_LIMIT, 0); regs[RAX] = 1ull << 47;
  EQ(go(e_gp), 2, "triple fault"); EQ(rd(QUAL), 0, "qualification"); EQ(rd(IDT_INFO) >> 31, 0, "no vectoring"); EQ(rd(G_RIP), (u64)e_gp, "RIP"); EQ(rd(G_ACT), 0, "activity");
  /* The IDT lies in a page that EPT does not map. */
  fresh(); ept_on();
  u64 far_idt = 0x8000000;
  ept_pd[far_idt >> 21] = 0;
  wr(G_IDTR, far_idt);
  EQ(go(e_int20), 48, "INT n"); EQ((u32)rd(IDT_INFO), T_INT | 0x80, "vectoring"); EQ(rd(X_LEN), 2, "length"); EQ(rd(GPA), far_idt + 0x800, "guest-physical"); EQ(rd(LINEAR), far_idt + 0x800, "linear"); EQ(rd(QUAL) & 0x1bf, 0x181, "qualification"); EQ(rd(G_RIP), (u64)e_int20, "RIP");
  EQ(go(e_ud), 48, "#UD"); EQ((u32)rd(IDT_INFO), T_HW | 6, "vectoring"); EQ(rd(G_RFLAGS) >> 16 & 1, 1, "RF as the event would have saved it");
  wr(G_RFLAGS, 2); regs[RAX] = 1ull << 47;
  EQ(go(e_gp), 48, "#GP"); EQ((u32)rd(IDT_INFO), T_HW | HAS_ERROR | 13, "vectoring"); EQ(rd(IDT_ERROR), 0, "vectoring error code");
  wr(G_RFLAGS, 2); regs[RAX] = 0x28; EQ(go(e_np), 48, "#GP(28h)"); EQ(rd(IDT_ERROR), 0x28, "vectoring error code");
  wr(G_RFLAGS, 2); regs[RAX] = 0x4000005678ull; EQ(go(e_pf), 48, "#PF"); EQ((u32)rd(IDT_INFO), T_HW | HAS_ERROR | 14, "vectoring"); EQ(READ_CR(2), 0x4000005678ull, "CR2 is set: delivery had begun");
  wr(G_RFLAGS, 0x202); wr(E_INFO, T_EXT | 0x33); EQ(go(e_nothing), 48, "injected interrupt"); EQ((u32)rd(IDT_INFO), T_EXT | 0x33, "vectoring"); EQ(rd(G_RIP), (u64)e_nothing, "RIP"); EQ(rd(E_INFO) >> 31, 0, "valid bit of the injection cleared");
  wr(E_INFO, T_NMI); EQ(go(e_nothing), 48, "injected NMI"); EQ((u32)rd(IDT_INFO), T_NMI, "vectoring"); wr(G_INT, 0);
  wr(E_INFO, T_INT | 0x77); wr(E_LEN, 2); EQ(go(e_nothing), 48, "injected INT n"); EQ((u32)rd(IDT_INFO), T_INT | 0x77, "vectoring"); EQ(rd(X_LEN), 2, "length"); EQ(rd(G_RIP), (u64)e_nothing, "RIP");
  wr(E_INFO, T_SW | 3); wr(E_LEN, 1); EQ(go(e_nothing), 48, "injected INT3"); EQ((u32)rd(IDT_INFO), T_SW | 3, "vectoring"); EQ(rd(X_LEN), 1, "length");
  wr(E_INFO, T_HW | HAS_ERROR | 14); wr(E_ERROR, 0x7b); EQ(go(e_nothing), 48, "injected #PF"); EQ((u32)rd(IDT_INFO), T_HW | HAS_ERROR | 14, "vectoring"); EQ(rd(IDT_ERROR), 0x7b, "vectoring error code");
  EQ(go(guest_done), 18, "next exit"); EQ(rd(IDT_INFO) >> 31, 0, "no vectoring any more");
  /* The exit hits the push of the frame instead. */
  wr(G_IDTR, (u64)idt); regs[RAX] = 0; wr(G_RIP, (u64)e_ud); wr(G_RSP, far_idt + 0x1000); EQ(enter(), 48, "stack not mapped"); EQ((u32)rd(IDT_INFO), T_HW | 6, "vectoring"); EQ(rd(QUAL) & 2, 2, "write"); EQ(rd(G_RSP), far_idt + 0x1000, "RSP"); EQ(rd(G_RIP), (u64)e_ud, "RIP"); wr(G_RFLAGS, 2);
  group_end();
}

/* 32-bit code in PAE paging. */
#define GUEST32(name, text) GUEST(name, ".code32\n" text "\n vmcall\n.code64")
GUEST32(t_call, "lcall $0x40, $0"); GUEST32(t_jmp, "ljmp $0x40, $0"); GUEST32(t_int, "int $0x90"); GUEST32(t_iret, "pushf; orl $0x4000, (%esp); popf; iret"); GUEST32(t_nothing, "nop");
GUEST32(t_into, "mov $0x7fffffff, %eax; inc %eax; into"); GUEST32(t_bound, "bound %eax, scratch_page");
static void fresh32(void) {
  fresh();
  clear_bits(ENTRYC, E_64); wr(AR_OF(CS), 0xc09b); wr(G_CS, 0x38); wr(AR_OF(TR), 0x8b);
  u64 *table = (u64 *)page_b;
  fill(page_b, 0, 4096);
  for (int n = 0; n < 4; n++) table[n] = ((u64)pd + 4096 * n) | 1;
  wr(G_CR3, (u64)page_b);
}
static void tasks(void) {
  group("events: task switches, 32-bit guest");
  gdt[8] = 0x0000890000000067ull | (u64)((u64)page_c & 0xffffff) << 16 | ((u64)page_c >> 24 & 0xff) << 56;
  u32 *idt32 = (u32 *)(scratch_page + 1024);
  fresh32();
  EQ(go(t_nothing), 18, "32-bit code");
  EQ(go(t_call), 9, "CALL"); EQ(rd(QUAL), 0x40, "qualification"); EQ(rd(X_LEN), 7, "length"); EQ(rd(G_RIP), (u64)t_call, "RIP");
  EQ(go(t_jmp), 9, "JMP"); EQ(rd(QUAL), 0x80000040, "qualification"); EQ(rd(X_LEN), 7, "length");
  *(u16 *)tss = 0x40;
  gdt[8] |= 2ull << 40;
  EQ(go(t_iret), 9, "IRET"); EQ(rd(QUAL), 0x40000040, "qualification"); EQ(rd(X_LEN), 1, "length");
  gdt[8] &= ~(2ull << 40);
  wr(G_RFLAGS, 2);
  wr(G_IDTR, (u64)idt32); wr(G_IDTR_LIMIT, 0x90 * 8 + 7);
  /* The gate: page_b + 2048 .. is free for the IDT entry of vector 90h. */
  idt32 = (u32 *)((u64)page_b + 1024);
  wr(G_IDTR, (u64)idt32);
  idt32[0x90 * 2] = 0x400000; idt32[0x90 * 2 + 1] = 0xe500;
  idt32[6 * 2] = 0x400000; idt32[6 * 2 + 1] = 0xe500;
  EQ(go(t_int), 9, "INT through a task gate"); EQ(rd(QUAL), 0xc0000040, "qualification"); EQ((u32)rd(IDT_INFO), T_INT | 0x90, "vectoring"); EQ(rd(X_LEN), 2, "length"); EQ(rd(G_RIP), (u64)t_int, "RIP");
  EQ(go(e_ud), 9, "#UD through a task gate"); EQ(rd(QUAL), 0xc0000040, "qualification"); EQ((u32)rd(IDT_INFO), T_HW | 6, "vectoring"); EQ(rd(G_RIP), (u64)e_ud, "RIP");
  wr(G_RFLAGS, 2);
  wr(E_INFO, T_INT | 0x90); wr(E_LEN, 2); EQ(go(t_nothing), 9, "injected INT through a task gate"); EQ((u32)rd(IDT_INFO), T_INT | 0x90, "vectoring"); EQ(rd(G_RIP), (u64)t_nothing, "RIP");
  fresh32(); wr(EXC, 1 << 4 | 1 << 5 | 1 << 3);
  go(t_into); is("INTO", 0, (u64)t_into + 6, T_SW | 4); EQ(rd(X_LEN), 1, "length");
  *(u32 *)scratch_page = 0; *(u32 *)(scratch_page + 4) = 0; regs[RAX] = 5; wr(G_RFLAGS, 2);
  go(t_bound); is("BOUND", 0, (u64)t_bound, T_HW | 5);
  group_end();
}

GUEST(n_loop, "1: pause; jmp 1b"); GUEST(n_sti, "sti; nop; nop; nop"); GUEST(n_movss, "mov %ss, %eax; mov %eax, %ss; nop; nop"); GUEST(n_hlt, "hlt; nop"); GUEST(n_sti_hlt, "sti; hlt; cli");
GUEST(n_popf, "push $0x202; popf; nop; nop");
static void interrupts(void) {
  group("events: external interrupts, interrupt window");
  fresh(); vector_count[0x41] = 0; SELF_INT(0x41);
  wr(G_RFLAGS, 0x202); EQ(go(e_nothing), 18, "delivered to the guest"); EQ(vector_count[0x41], 1, "its handler ran"); EQ(ex_rip, (u64)e_nothing, "before the first instruction");
  SELF_INT(0x42); vector_count[0x42] = 0; wr(G_RFLAGS, 2); EQ(go(e_nothing), 18, "IF = 0: pending"); EQ(vector_count[0x42], 0, "not delivered");
  set_bits(PIN, PIN_EXT);
  EQ(go(e_nothing), 1, "exits although IF = 0"); EQ(rd(X_INFO) >> 31, 0, "not acknowledged"); EQ(rd(G_RIP), (u64)e_nothing, "RIP"); EQ(rd(QUAL), 0, "qualification");
  asm volatile("sti; nop; cli"); EQ(vector_count[0x42], 1, "taken by the host");
  EQ(go(e_nothing), 18, "nothing pending");
  set_bits(EXITC, X_ACK); SELF_INT(0x43); vector_count[0x43] = 0;
  EQ(go(e_nothing), 1, "with acknowledge"); EQ((u32)rd(X_INFO), T_EXT | 0x43, "information"); check(apic_read(0x100 + 0x20) >> 3 & 1, "in service", apic_read(0x120));
  asm volatile("sti; nop; cli"); EQ(vector_count[0x43], 0, "not pending any more"); apic_write(0xb0, 0);
  /* From HLT. */
  SELF_INT(0x44); wr(G_ACT, 1); EQ(go(e_nothing), 1, "out of HLT"); EQ((u32)rd(X_INFO), T_EXT | 0x44, "information"); EQ(rd(G_ACT), 1, "activity saved"); apic_write(0xb0, 0);
  wr(G_ACT, 0); wr(G_INT, 2); SELF_INT(0x45); EQ(go(e_nothing), 1, "blocking by MOV SS"); EQ(rd(G_INT), 0, "interruptibility at the exit"); EQ(rd(G_RIP), (u64)e_nothing + 1, "one instruction later"); apic_write(0xb0, 0);
  wr(G_INT, 1); wr(G_RFLAGS, 0x202); SELF_INT(0x46); EQ(go(e_nothing), 1, "blocking by STI"); EQ(rd(G_RIP), (u64)e_nothing + 1, "one instruction later"); apic_write(0xb0, 0);
  fresh(); set_bits(PROC, P_INTWIN); wr(G_RFLAGS, 0x202);
  EQ(go(e_nothing), 7, "window open at entry"); EQ(rd(G_RIP), (u64)e_nothing, "RIP"); EQ(rd(X_INFO) >> 31, 0, "no information");
  wr(G_INT, 1); EQ(go(e_nothing), 7, "after STI blocking"); EQ(rd(G_RIP), (u64)e_nothing + 1, "RIP"); EQ(rd(G_INT), 0, "interruptibility");
  wr(G_INT, 2); EQ(go(e_nothing), 7, "after MOV SS blocking"); EQ(rd(G_RIP), (u64)e_nothing + 1, "RIP");
  wr(G_INT, 0); wr(G_RFLAGS, 2); EQ(go(e_nothing), 18, "IF = 0"); EQ(go(n_sti), 7, "after STI"); EQ(rd(G_RIP), (u64)n_sti + 2, "one instruction after STI");
  wr(G_RFLAGS, 2); EQ(go(n_popf), 7, "after POPF"); EQ(rd(G_RIP), (u64)n_popf + 6, "right after POPF");
  wr(G_RFLAGS, 0x202); wr(G_ACT, 1); EQ(go(e_nothing), 7, "in HLT"); EQ(rd(G_ACT), 1, "activity");
  wr(G_ACT, 0); wr(E_INFO, T_EXT | 0x50); vector_count[0x50] = 0; EQ(go(e_nothing), 7, "after an injected interrupt"); EQ(vector_count[0x50], 1, "its handler ran first");
  /* HLT in the guest wakes with an interrupt. */
  fresh(); vector_count[0x47] = 0; SELF_INT(0x47); EQ(go(n_sti_hlt), 18, "STI, HLT"); EQ(vector_count[0x47], 1, "delivered"); EQ(ex_rip, (u64)n_sti_hlt + 2, "after HLT");
  fresh(); vector_count[0x48] = 0; SELF_INT(0x48); wr(G_RFLAGS, 0x202); wr(G_ACT, 1); EQ(go(e_nothing), 18, "entered in HLT"); EQ(vector_count[0x48], 1, "woken"); EQ(rd(G_ACT), 0, "active afterwards");
  group_end();
}

GUEST(n_self_nmi, "mov $0xfee00300, %edx; movl $0x4400, (%rdx); nop; nop; nop; nop"); GUEST(n_iret, "mov %rsp, %rcx; mov %ss, %eax; push %rax; push %rcx; pushf; mov %cs, %eax; push %rax; lea 2f(%rip), %rax; push %rax; 3: iretq; 2: nop; nop; nop");
GUEST(n_iret_bad, "mov %rsp, %rcx; pushq $0; push %rcx; pushf; mov %cs, %eax; push %rax; mov $0x4000001000, %rax; push %rax; iretq");
GUEST(n_iret_stack, "mov $0x4000001000, %rsp; .globl n_iret_stack_at; n_iret_stack_at: iretq");
extern const char n_iret_stack_at[];
static void nmis(void) {
  group("events: NMIs");
  fresh(); apic_write(0x310, apic_read(0x20));
  vector_count[2] = 0; EQ(go(n_self_nmi), 18, "NMI in the guest"); EQ(vector_count[2], 1, "its handler ran");
  set_bits(PIN, PIN_NMI);
  vector_count[2] = 0; EQ(go(n_self_nmi), 0, "NMI exits"); EQ((u32)rd(X_INFO), T_NMI, "information"); EQ(vector_count[2], 0, "no handler"); EQ(rd(G_INT), 0, "not blocked in the guest's state");
  SELF_NMI(); asm volatile("nop; nop"); EQ(vector_count[2], 0, "NMIs are blocked after the exit");
  asm volatile("mov %%rsp, %%rcx; push $0x10; push %%rcx; pushf; push $8; push $1f; iretq; 1: nop" ::: "rcx", "memory", "cc"); EQ(vector_count[2], 1, "until IRET");
  /* Blocking by NMI at entry. */
  wr(G_INT, 8); EQ(go(n_self_nmi), 18, "NMI blocked in the guest"); EQ(rd(G_INT), 8, "interruptibility saved");
  wr(G_INT, 0); EQ(go(e_nothing), 0, "now it exits"); EQ((u32)rd(X_INFO), T_NMI, "information");
  asm volatile("mov %%rsp, %%rcx; push $0x10; push %%rcx; pushf; push $8; push $1f; iretq; 1: nop" ::: "rcx", "memory", "cc");
  /* Virtual NMIs. */
  fresh(); set_bits(PIN, PIN_NMI | PIN_VNMI); set_bits(PROC, P_NMIWIN);
  EQ(go(e_nothing), 8, "NMI window at entry"); EQ(rd(G_RIP), (u64)e_nothing, "RIP"); EQ(rd(X_INFO) >> 31, 0, "no information");
  wr(G_INT, 1); wr(G_RFLAGS, 0x202); EQ(go(e_nothing), 8, "NMI window, blocking by STI"); 
  wr(G_RFLAGS, 2); wr(G_INT, 2); EQ(go(e_nothing), 8, "NMI window, blocking by MOV SS"); EQ(rd(G_RIP), (u64)e_nothing + 1, "one instruction later");
  wr(G_INT, 8); EQ(go(e_nothing), 18, "virtual-NMI blocking: no window"); EQ(rd(G_INT), 8, "saved");
  wr(G_INT, 8); EQ(go(n_iret), 8, "IRET opens the window"); EQ(rd(G_INT), 0, "unblocked");
  wr(G_INT, 0); wr(G_ACT, 1); EQ(go(e_nothing), 8, "in HLT"); wr(G_ACT, 0);
  clear_bits(PROC, P_NMIWIN);
  vector_count[2] = 0; wr(E_INFO, T_NMI); wr(G_INT, 0); EQ(go(e_nothing), 18, "inject an NMI"); EQ(vector_count[2], 1, "delivered"); EQ(rd(G_INT), 0, "its IRET unblocked");
  wr(G_INT, 8); EQ(go(n_self_nmi), 0, "a physical NMI exits under virtual-NMI blocking"); EQ((u32)rd(X_INFO), T_NMI, "information"); EQ(rd(G_INT), 8, "still blocked");
  asm volatile("mov %%rsp, %%rcx; push $0x10; push %%rcx; pushf; push $8; push $1f; iretq; 1: nop" ::: "rcx", "memory", "cc");
  /* IRET that faults: NMI unblocking due to IRET. */
  wr(G_INT, 8); wr(EXC, 1 << 14); go(n_iret_stack); is("IRET, stack not mapped", 0, (u64)n_iret_stack_at, T_HW | HAS_ERROR | 14 | 0x1000); EQ(rd(G_INT), 0, "interruptibility");
  wr(G_INT, 0); wr(G_RFLAGS, 2); go(n_iret_stack); is("IRET, nothing was blocked", 0, (u64)n_iret_stack_at, T_HW | HAS_ERROR | 14);
  ept_on(); u64 hole = 0x8000000; ept_pd[hole >> 21] = 0; wr(G_INT, 8); wr(G_RFLAGS, 2); wr(G_RIP, (u64)n_iret_stack_at); wr(G_RSP, hole);
  EQ(enter(), 48, "IRET, EPT violation"); EQ(rd(QUAL) >> 12 & 1, 1, "NMI unblocking in the qualification"); EQ(rd(G_INT), 0, "interruptibility");
  wr(G_INT, 0); wr(G_RFLAGS, 2); EQ(enter(), 48, "IRET, EPT violation"); EQ(rd(QUAL) >> 12 & 1, 0, "nothing was blocked");
  /* Without NMI exiting the bit is about physical NMIs; with NMI exiting alone IRET unblocks nothing. */
  fresh(); wr(EXC, 1 << 14); wr(G_INT, 8); go(n_iret_stack); is("IRET, no NMI controls", 0, (u64)n_iret_stack_at, T_HW | HAS_ERROR | 14 | 0x1000); EQ(rd(G_INT), 0, "interruptibility");
  set_bits(PIN, PIN_NMI); wr(G_RFLAGS, 2); wr(G_INT, 8); go(n_iret_stack); check((rd(X_INFO) >> 12 & 1) == 0, "IRET, NMI exiting without virtual NMIs", rd(X_INFO)); EQ(rd(G_INT), 8, "interruptibility: still blocked");
  group_end();
}

GUEST(j_cpuid, "cpuid");
static u32 injected(u32 information, u32 error, u32 length, const void *code) { wr(E_INFO, information); wr(E_ERROR, error); wr(E_LEN, length); return go_catch(code); }
static void injection(void) {
  group("events: injection");
  fresh(); wr(EXC, 0xffffbfff);
  for (u32 v = 0; v < 32; v++) {
    if (v == 2) continue;
    u32 has = 0x27d00 >> v & 1;
    EQ(injected(T_HW | v | (has ? HAS_ERROR : 0), 0x1230 + v, 0, e_nothing), 18, "hardware exception, not subject to the bitmap");
    EQ(ex_vector, v, "vector"); EQ(ex_rip, (u64)e_nothing, "RIP pushed"); EQ(ex_error, has ? 0x1230 + v : 0, "error code pushed"); EQ(ex_rsp, GUEST_STACK_TOP, "RSP pushed");
    EQ(rd(E_INFO) >> 31, 0, "valid bit cleared by the exit");
  }
  group_end();
}
static void injection_rest(void) {
  group("events: injection of interrupts and software events");
  fresh();
  wr(G_RFLAGS, 0x202); for (u32 v = 32; v < 256; v += 37) { EQ(injected(T_EXT | v, 0, 0, e_nothing), 18, "external interrupt"); EQ(ex_vector, v, "vector"); EQ(ex_rip, (u64)e_nothing, "RIP pushed"); EQ(ex_rflags & 0x200, 0x200, "IF pushed"); wr(G_RFLAGS, 0x202); }
  wr(G_RFLAGS, 2);
  for (u32 length = 1; length < 16; length++) {
    EQ(injected(T_INT | 0x80, 0, length, e_nothing), 18, "INT n"); EQ(ex_vector, 0x80, "vector"); EQ(ex_rip, (u64)e_nothing + length, "RIP after the instruction");
    EQ(injected(T_SW | 3, 0, length, e_nothing), 18, "INT3"); EQ(ex_vector, 3, "vector"); EQ(ex_rip, (u64)e_nothing + length, "RIP after the instruction");
    EQ(injected(T_PRIV | 1, 0, length, e_nothing), 18, "INT1"); EQ(ex_vector, 1, "vector"); EQ(ex_rip, (u64)e_nothing + length, "RIP after the instruction");
  }
  /* Gate privilege: INT n at CPL 3 through a DPL 0 gate. */
  wr(G_CS, 0x23); wr(AR_OF(CS), 0xa0fb); wr(G_SS, 0x1b); wr(AR_OF(SS), 0xc0f3); wr(EXC, 1 << 13);
  EQ(injected(T_INT | 0x30, 0, 2, e_nothing), 0, "INT n at CPL 3, gate DPL 0"); EQ((u32)rd(X_INFO), T_HW | HAS_ERROR | 13, "#GP"); EQ(rd(X_ERROR), 0x182, "error code"); EQ((u32)rd(IDT_INFO), T_INT | 0x30, "vectoring"); EQ(rd(G_RIP), (u64)e_nothing, "RIP");
  EQ(injected(T_PRIV | 6, 0, 1, e_nothing), 18, "privileged software exception: no check of the gate"); EQ(ex_vector, 6, "vector");
  EQ(injected(T_SW | 6, 0, 1, e_nothing), 0, "software exception: gate DPL checked"); EQ((u32)rd(X_INFO), T_HW | HAS_ERROR | 13, "#GP");
  /* Into HLT; blocking by MOV SS ends. */
  fresh(); wr(G_RFLAGS, 0x202); wr(G_ACT, 1); EQ(injected(T_EXT | 0x60, 0, 0, e_nothing), 18, "interrupt into HLT"); EQ(ex_vector, 0x60, "vector"); EQ(rd(G_ACT), 0, "active");
  wr(G_RFLAGS, 2); wr(G_ACT, 1); EQ(injected(T_HW | 1, 0, 0, e_nothing), 18, "#DB into HLT"); EQ(ex_vector, 1, "vector"); EQ(rd(G_ACT), 0, "active");
  wr(G_RFLAGS, 2); wr(G_ACT, 1); vector_count[2] = 0; EQ(injected(T_NMI, 0, 0, e_nothing), 18, "NMI into HLT"); EQ(vector_count[2], 1, "delivered");
  wr(G_ACT, 2); vector_count[2] = 0; wr(G_INT, 0); EQ(injected(T_NMI, 0, 0, e_nothing), 18, "NMI into shutdown"); EQ(vector_count[2], 1, "delivered");
  wr(G_ACT, 0); wr(G_INT, 2); EQ(injected(T_HW | 6, 0, 0, e_nothing), 18, "#UD with blocking by MOV SS"); EQ(ex_vector, 6, "vector"); EQ(rd(G_INT), 0, "no blocking");
  group_end();

  group("events: real-mode guest");
  fresh(); ept_on(); secondary(P2_UG);
  clear_bits(ENTRYC, E_64); wr(G_CR0, 0x30); wr(G_CR4, 0x2000); wr(G_RFLAGS, 2); wr(G_GDTR_LIMIT, 0xffff); wr(G_IDTR, 0x9000); wr(G_IDTR_LIMIT, 0x3ff);
  for (int s = 0; s < 6; s++) { wr(SEL_OF(s), s == CS ? 0x800 : 0); wr(BASE_OF(s), s == CS ? 0x8000 : 0); wr(LIMIT_OF(s), 0xffff); wr(AR_OF(s), s == CS ? 0x9b : 0x93); }
  copy((void *)0x8000, "\x90\x0f\xa2\xcd\x21\xcc\x0f\x0b\xf4", 9);
  copy((void *)0x8100, "\x0f\x01\xc1\xcf", 4);            /* handler: VMCALL, IRET */
  volatile u16 *ivt = (volatile u16 *)0x9000;
  for (u32 v = 0; v < 256; v++) { ivt[2 * v] = 0x100; ivt[2 * v + 1] = 0x800; }
  wr(G_RIP, 0); wr(G_RSP, 0x7000); EQ(enter(), 10, "CPUID"); EQ(rd(G_RIP), 1, "RIP"); EQ(rd(ENTRYC) >> 9 & 1, 0, "not IA-32e mode");
  EQ(cont(), 18, "INT 21h's handler"); EQ(rd(G_RIP), 0x100, "RIP"); EQ(*(u16 *)0x6ffa, 5, "IP pushed"); EQ(*(u16 *)0x6ffc, 0x800, "CS pushed");
  wr(EXC, 1 << 3 | 1 << 6);
  EQ(cont(), 0, "INT3 after IRET"); EQ((u32)rd(X_INFO), T_SW | 3, "information"); EQ(rd(G_RIP), 5, "RIP");
  wr(E_INFO, T_SW | 3); wr(E_LEN, 1); EQ(enter(), 18, "INT3 injected"); EQ(*(u16 *)0x6ffa, 6, "IP pushed");
  EQ(cont(), 0, "#UD"); EQ((u32)rd(X_INFO), T_HW | 6, "no error code"); EQ(rd(G_RIP), 6, "RIP"); wr(G_RFLAGS, 2);
  wr(E_INFO, T_HW | 13); EQ(enter(), 18, "#GP injected without error code"); EQ(rd(G_RSP), 0x6ffa, "three words pushed"); EQ(*(u16 *)0x6ffa, 6, "IP pushed");
  wr(G_RSP, 0x7000); wr(G_RIP, 8); wr(E_INFO, T_INT | 0x55); wr(E_LEN, 2); EQ(enter(), 18, "INT n injected"); EQ(*(u16 *)0x6ffa, 10, "IP pushed");
  wr(G_RSP, 0x7000); wr(G_RIP, 8); wr(G_RFLAGS, 0x202); wr(E_INFO, T_EXT | 0x20); EQ(enter(), 18, "interrupt injected"); EQ(*(u16 *)0x6ffa, 8, "IP pushed"); EQ(*(u16 *)0x6ffe & 0x200, 0x200, "IF pushed"); EQ(rd(G_RFLAGS) & 0x200, 0, "IF cleared");
  set_bits(PROC, P_HLT); wr(G_RIP, 8); wr(G_RSP, 0x7000); EQ(enter(), 12, "HLT");
  wr(EXC, 1 << 13); wr(G_RFLAGS, 2); wr(G_IDTR_LIMIT, 0x83); wr(G_RIP, 3); wr(G_RSP, 0x7000); EQ(enter(), 0, "INT 21h beyond the vector table"); EQ((u32)rd(X_INFO), T_HW | 13, "#GP has no error code in real mode"); EQ((u32)rd(IDT_INFO), T_INT | 0x21, "vectoring"); EQ(rd(G_RIP), 3, "RIP"); EQ(rd(X_LEN), 2, "length");
  wr(G_IDTR_LIMIT, 0x3ff); wr(G_RFLAGS, 2);
  copy((void *)0x8300, "\xa1\xff\xff\xe4\x80\x0f\x01\xe0", 8);
  wr(G_RIP, 0x300); EQ(enter(), 0, "word at FFFFh"); EQ((u32)rd(X_INFO), T_HW | 13, "#GP"); wr(G_RFLAGS, 2);
  set_bits(PROC, P_IO); wr(G_RIP, 0x303); EQ(enter(), 30, "IN"); EQ(rd(QUAL), 0x800048, "qualification"); EQ(rd(X_LEN), 2, "length");
  ept_pd[0] = 0; invept(2, 0, 0); wr(G_RIP, 0x305); EQ(enter(), 48, "fetch"); EQ(rd(QUAL) & 0x1bf, 0x184, "qualification"); EQ(rd(GPA), 0x8305, "guest-physical address"); EQ(rd(LINEAR), 0x8305, "linear address"); ept_pd[0] = 0xb7; invept(2, 0, 0);
  /* To protected mode, to paging: CR0.PE with mask. */
  copy((void *)0x8200, "\x0f\x20\xc0\x0c\x01\x0f\x22\xc0\x0f\x01\xc1", 11);
  wr(G_RIP, 0x200); EQ(enter(), 18, "MOV to CR0 sets PE"); EQ(rd(G_CR0) & 1, 1, "PE");
  wr(G_CR0, 0x30); wr(CR0_MASK, 1); wr(CR0_SHADOW, 0); wr(G_RIP, 0x200); EQ(enter(), 28, "masked PE exits"); EQ(rd(QUAL), 0, "qualification");
  group_end();
}

GUEST(m_code, "nop; mov $3, %ecx; 1: rep stosb; cpuid"); GUEST(m_string, "rep stosb; nop"); GUEST(m_int, "int $0x80; nop"); GUEST(m_popf, "popf; nop");
static void trap_flag(void) {
  group("events: monitor trap flag");
  fresh(); set_bits(PROC, P_MTF);
  u64 at = (u64)m_code;
  EQ(go(m_code), 37, "first instruction"); EQ(rd(G_RIP), at + 1, "RIP"); EQ(rd(X_INFO) >> 31, 0, "no information"); EQ(rd(QUAL), 0, "qualification"); EQ(rd(G_PDBG), 0, "pending debug exceptions");
  EQ(enter(), 37, "second"); EQ(rd(G_RIP), at + 6, "RIP");
  regs[RDI] = (u64)scratch_page; EQ(enter(), 37, "one iteration of REP"); EQ(rd(G_RIP), at + 6, "RIP"); EQ(regs[RCX], 2, "RCX");
  EQ(enter(), 37, "another"); EQ(enter(), 37, "the last"); EQ(rd(G_RIP), at + 8, "RIP"); EQ(regs[RCX], 0, "RCX");
  EQ(enter(), 10, "an instruction that exits comes first"); EQ(rd(G_RIP), at + 8, "RIP");
  EQ(go(m_int), 37, "INT n"); EQ(rd(G_RIP), (u64)stubs + 16 * 0x80, "handler's first instruction");
  wr(E_INFO, T_HW | 6); EQ(go(e_nothing), 37, "injected exception"); EQ(rd(G_RIP), (u64)stubs + 16 * 6, "handler's first instruction");
  wr(E_INFO, T_INT | 0x80); wr(E_LEN, 2); EQ(go(e_nothing), 37, "injected INT n"); EQ(rd(G_RIP), (u64)stubs + 16 * 0x80, "handler's first instruction");
  EQ(go(e_ud), 37, "fault"); EQ(rd(G_RIP), (u64)stubs + 16 * 6, "handler's first instruction");
  wr(G_RFLAGS, 2);
  clear_bits(PROC, P_MTF);
  wr(E_INFO, VALID | 0x700); EQ(go(e_nothing), 37, "pending MTF"); EQ(rd(G_RIP), (u64)e_nothing, "before the first instruction"); EQ(rd(E_INFO) >> 31, 0, "used up"); EQ(enter(), 18, "once");
  wr(G_ACT, 1); wr(E_INFO, VALID | 0x700); EQ(go(e_nothing), 37, "pending MTF in HLT"); EQ(rd(G_ACT), 1, "activity");
  wr(G_ACT, 0); set_bits(PROC, P_MTF); wr(G_INT, 2); EQ(go(e_nothing), 37, "with blocking by MOV SS"); EQ(rd(G_RIP), (u64)e_nothing + 1, "RIP"); EQ(rd(G_INT), 0, "interruptibility");
  wr(G_ACT, 1); set_bits(PIN, PIN_TIMER); wr(TIMER, 50); EQ(go(e_nothing), 52, "entered in HLT: no instruction ends"); EQ(rd(G_ACT), 1, "activity"); clear_bits(PIN, PIN_TIMER);
  wr(G_RFLAGS, 0x202); SELF_INT(0x59); EQ(go(e_nothing), 37, "woken by an interrupt"); EQ(rd(G_RIP), (u64)stubs + 16 * 0x59, "handler's first instruction"); EQ(rd(G_ACT), 0, "activity"); apic_write(0xb0, 0); wr(G_RFLAGS, 2);
  EQ(go(n_hlt), 37, "HLT itself"); EQ(rd(G_ACT), 1, "activity"); EQ(rd(G_RIP), (u64)n_hlt + 1, "RIP"); wr(G_ACT, 0);
  EQ(go(n_sti), 37, "STI"); EQ(rd(G_INT), 1, "blocking by STI saved"); wr(G_INT, 0); wr(G_RFLAGS, 2);
  EQ(go(n_movss), 37, "MOV from SS"); EQ(enter(), 37, "MOV SS"); EQ(rd(G_INT), 2, "blocking by MOV SS saved"); EQ(enter(), 37, "next"); EQ(rd(G_INT), 0, "over");
  group_end();
}

static void timer(void) {
  group("events: VMX-preemption timer");
  fresh(); set_bits(PIN, PIN_TIMER);
  u32 rate = rdmsr(0x485) & 0x1f;
  wr(TIMER, 0); EQ(go(e_nothing), 52, "0 at entry"); EQ(rd(G_RIP), (u64)e_nothing, "before the first instruction"); EQ(rd(QUAL), 0, "qualification"); EQ(rd(X_INFO) >> 31, 0, "no information"); EQ(rd(TIMER), 0, "not saved without its control");
  wr(TIMER, 1000); u64 start = rdtsc(); EQ(go(n_loop), 52, "1000 in a loop"); u64 took = rdtsc() - start; check(took >= 999ull << rate && took < (1000ull << rate) + 3000, "TSC cycles", took); EQ(rd(TIMER), 1000, "not saved");
  set_bits(EXITC, X_SAVE_TIMER);
  wr(TIMER, 1000); EQ(go(e_nothing), 18, "not expired"); check(rd(TIMER) <= 1000 && rd(TIMER) > 900, "saved", rd(TIMER));
  wr(TIMER, 500); EQ(go(n_loop), 52, "expired"); EQ(rd(TIMER), 0, "saved 0");
  wr(TIMER, 500); EQ(go(n_hlt), 52, "in HLT"); EQ(rd(G_ACT), 1, "activity HLT saved"); EQ(rd(G_RIP), (u64)n_hlt + 1, "RIP after HLT");
  wr(G_ACT, 1); wr(TIMER, 500); EQ(go(e_nothing), 52, "entered in HLT"); EQ(rd(G_ACT), 1, "activity"); EQ(rd(G_RIP), (u64)e_nothing, "RIP");
  wr(G_ACT, 2); wr(TIMER, 500); EQ(go(e_nothing), 52, "in shutdown"); EQ(rd(G_ACT), 2, "activity"); wr(G_ACT, 0);
  wr(TIMER, 0); wr(G_INT, 2); EQ(go(e_nothing), 52, "not blocked by MOV SS"); EQ(rd(G_RIP), (u64)e_nothing, "RIP"); EQ(rd(G_INT), 2, "blocking kept"); wr(G_INT, 0);
  /* Injection first, then the timer. */
  wr(TIMER, 0); wr(G_RFLAGS, 0x202); wr(E_INFO, T_EXT | 0x70); EQ(go(e_nothing), 52, "after an injection"); EQ(rd(G_RIP), (u64)stubs + 16 * 0x70, "at the handler"); wr(G_RFLAGS, 2);
  /* Priorities: MTF before the timer, the timer before windows, interrupts. */
  wr(TIMER, 0); wr(E_INFO, VALID | 0x700); EQ(go(e_nothing), 37, "pending MTF goes first");
  wr(TIMER, 0); wr(EXC, 2); wr(G_PDBG, 0x4000); EQ(go(e_nothing), 0, "a pending #DB goes before the timer"); wr(EXC, 0); wr(G_RFLAGS, 2);
  wr(TIMER, 0); set_bits(PROC, P_INTWIN); wr(G_RFLAGS, 0x202); EQ(go(e_nothing), 52, "timer before the interrupt window"); clear_bits(PROC, P_INTWIN);
  wr(TIMER, 0); set_bits(PIN, PIN_EXT); set_bits(EXITC, X_ACK); SELF_INT(0x71); EQ(go(e_nothing), 52, "timer before an interrupt"); wr(TIMER, 0xffffffff); EQ(go(e_nothing), 1, "then the interrupt"); apic_write(0xb0, 0);
  group_end();
}

GUEST(p_movss, "mov %ss, %eax; push $0x102; popf; .globl p_movss_at; p_movss_at: mov %eax, %ss; cpuid"); extern const char p_movss_at[];
GUEST(p_tf_cpuid, "push $0x102; popf; cpuid; nop");
static void pending_debug(void) {
  group("events: pending debug exceptions");
  fresh(); wr(EXC, 2);
  wr(G_PDBG, 0x4000); go(e_nothing); is("BS at entry", 0, (u64)e_nothing, T_HW | 1); EQ(rd(QUAL), 0x4000, "qualification"); EQ(rd(G_PDBG), 0, "used up");
  wr(G_PDBG, 0x1001); go(e_nothing); is("B0 at entry", 0, (u64)e_nothing, T_HW | 1); EQ(rd(QUAL), 1, "qualification");
  wr(G_PDBG, 0x500f); go(e_nothing); is("all at entry", 0, (u64)e_nothing, T_HW | 1); EQ(rd(QUAL), 0x400f, "qualification");
  wr(G_PDBG, 0x000f); EQ(go(e_nothing), 18, "bits 3:0 alone are no event");
  wr(G_PDBG, 0x1002); wr(G_INT, 2); go(e_nothing); is("held back by MOV SS blocking", 0, (u64)e_nothing + 1, T_HW | 1); EQ(rd(QUAL), 2, "qualification");
  wr(G_PDBG, 0x4000); wr(E_INFO, T_HW | 6); EQ(go_catch(e_nothing), 18, "lost when an exception is injected"); EQ(ex_vector, 6, "vector"); wr(G_RFLAGS, 2);
  wr(G_PDBG, 0x4000); wr(E_INFO, T_EXT | 0x41); wr(G_RFLAGS, 0x202); EQ(go_catch(e_nothing), 18, "lost when an interrupt is injected"); EQ(ex_vector, 0x41, "vector"); wr(G_RFLAGS, 2);
  wr(G_PDBG, 0x4000); wr(E_INFO, T_SW | 3); wr(E_LEN, 1); EQ(go_catch(e_nothing), 18, "lost when INT3 is injected"); EQ(ex_vector, 3, "vector"); wr(G_RFLAGS, 2);
  wr(G_PDBG, 0x1001); wr(G_INT, 2); wr(E_INFO, T_SW | 3); wr(E_LEN, 1); go(e_nothing); is("kept when INT3 is injected in the shadow of MOV SS", 0, (u64)stubs + 16 * 3, T_HW | 1); EQ(rd(QUAL), 1, "qualification"); wr(G_RFLAGS, 2);
  wr(G_PDBG, 0x4000); set_bits(PROC, P_MTF); go(e_nothing); is("MTF does not go before a #DB due at entry", 0, (u64)e_nothing, T_HW | 1); clear_bits(PROC, P_MTF); wr(G_RFLAGS, 2);
  wr(G_PDBG, 0x4000); wr(E_INFO, VALID | 0x700); EQ(go(e_nothing), 37, "pending MTF goes before the #DB"); EQ(rd(G_PDBG), 0x4000, "still pending"); go(e_nothing); is("then the #DB", 0, (u64)e_nothing, T_HW | 1); wr(G_RFLAGS, 2);
  wr(G_INT, 0); wr(G_PDBG, 0x4000); wr(G_ACT, 1); wr(G_RFLAGS, 0x102); go(e_nothing); is("wakes from HLT", 0, (u64)e_nothing, T_HW | 1); wr(G_ACT, 0); wr(G_RFLAGS, 2);
  wr(EXC, 0); wr(G_PDBG, 0x4000); EQ(go_catch(e_nothing), 18, "delivered in the guest"); EQ(ex_vector, 1, "#DB"); EQ(ex_rip, (u64)e_nothing, "RIP");
  u64 dr6; asm volatile("mov %%dr6, %0" : "=r"(dr6)); EQ(dr6 >> 14 & 1, 1, "DR6.BS"); asm volatile("mov %0, %%dr6" :: "r"(0xffff0ff0ull));
  wr(EXC, 2); wr(G_RFLAGS, 2);
  EQ(go(p_tf_cpuid), 10, "instruction that exits with TF: no step before it"); EQ(rd(G_PDBG), 0, "none pending"); EQ(rd(G_RFLAGS) & 0x100, 0x100, "TF saved");
  wr(G_RFLAGS, 2); wr(G_RIP, (u64)p_movss); wr(G_RSP, GUEST_STACK_TOP); EQ(enter(), 10, "exit in the shadow of MOV SS with TF"); EQ(rd(G_INT), 2, "blocking by MOV SS"); EQ(rd(G_PDBG), 0x4000, "BS pending"); EQ(rd(G_RIP), (u64)p_movss_at + 2, "RIP");
  group_end();
}

GUEST(l_read, "mov $0x175, %ecx; rdmsr; vmcall; mov $0x4321, %eax; xor %edx, %edx; wrmsr");
typedef struct { u32 index, reserved; u64 value; } entry;
static void lists(void) {
  group("events: MSR lists");
  entry *e = (entry *)msr_list, *x = (entry *)msr_list2;
  fresh(); fill(msr_list, 0, 4096); fill(msr_list2, 0, 4096); set_bits(PROC, P_MSRBM);
  e[0] = (entry){ 0x175, 0, 0x1234567890ull }; e[1] = (entry){ 0xc0000102, 0, 0x7777 };
  wr(E_LOAD, (u64)e); wr(E_LOAD_N, 2);
  EQ(go(l_read), 18, "load at entry"); EQ(regs[RAX] | regs[RDX] << 32, 0x1234567890ull, "value in the guest"); EQ(rdmsr(0xc0000102), 0x7777, "kernel GS base");
  x[0] = (entry){ 0x175, 0, 0 }; x[1] = (entry){ 0xc0000102, 0, 0 }; x[2] = (entry){ 0x10, 0, 0 };
  wr(X_STORE, (u64)x); wr(X_STORE_N, 3); u64 before = rdtsc();
  EQ(cont(), 18, "store at exit"); EQ(x[0].value, 0x4321, "SYSENTER_ESP stored"); EQ(x[1].value, 0x7777, "kernel GS base stored"); check(x[2].value >= before && x[2].value <= rdtsc(), "TSC stored", x[2].value);
  x[8] = (entry){ 0xc0000102, 0, 0x8888 }; x[9] = (entry){ 0x174, 0, 0x55 };
  wr(X_LOAD, (u64)&x[8]); wr(X_LOAD_N, 2); wr(E_LOAD_N, 0);
  EQ(go(guest_done), 18, "load at exit"); EQ(rdmsr(0xc0000102), 0x8888, "kernel GS base"); EQ(rdmsr(0x174), 0x55, "SYSENTER_CS: after host state"); EQ(x[1].value, 0x7777, "stored before loaded");
  wrmsr(0xc0000102, 0);
  static const entry bad[] = { { 0xc0000100, 0, 0 }, { 0xc0000101, 0, 0 }, { 0x175, 1, 0 }, { 0x175, 0, 1ull << 47 }, { 0x1fff, 0, 0 }, { 0x277, 0, 2 }, { 0xc0000080, 0, 2 }, { 0x480, 0, 0 }, { 0x8b, 0, 0 }, { 0x79, 0, 0 }, { 0x9e, 0, 0 } };
  for (u32 n = 0; n < sizeof bad / sizeof *bad; n++) for (u32 at = 0; at < 3; at++) {
    fresh(); EQ(go(guest_done), 18, "entry");
    for (u32 i = 0; i < 3; i++) e[i] = (entry){ 0x174, 0, 0x10 + i };
    e[at] = bad[n];
    wr(E_LOAD, (u64)e); wr(E_LOAD_N, 3); wr(X_LOAD, (u64)&x[8]); wr(X_LOAD_N, 1); x[8] = (entry){ 0xc0000102, 0, 0x9990 + n };
    u64 rip = rd(G_RIP);
    u32 r = enter(); check(r == 0x80000022, "entry that cannot be loaded", (u64)r << 8 | n); EQ(rd(QUAL), at + 1, "its number");
    EQ(rdmsr(0xc0000102), 0x9990 + n, "VM-exit MSR load is done"); EQ(rd(G_RIP), rip, "guest RIP stays"); EQ(rdmsr(0x174), 0, "host SYSENTER_CS");
  }
  wrmsr(0xc0000102, 0);
  group_end();
}

GUEST(q_debug, "mov %dr7, %rax; mov $0x1d9, %ecx; mov %rax, %rbx; rdmsr; vmcall; mov $0x701, %eax; mov %rax, %dr7; mov $2, %eax; xor %edx, %edx; wrmsr"); GUEST(q_pat, "mov $0x277, %ecx; rdmsr; vmcall; mov $0x01010101, %eax; xor %edx, %edx; wrmsr"); GUEST(q_efer, "mov $0xc0000080, %ecx; rdmsr");
static void saved_state(void) {
  group("events: debug controls, PAT, EFER");
  fresh(); set_bits(PROC, P_MSRBM); set_bits(ENTRYC, E_DEBUG); wr(G_DR7, 0x455); wr(G_DEBUGCTL, 1);
  asm volatile("mov %0, %%dr7" :: "r"(0x400ull));
  wr(G_DR7, 0x500); EQ(go(q_debug), 18, "load"); EQ(regs[RBX], 0x500, "DR7 in the guest"); EQ(regs[RAX], 1, "DEBUGCTL in the guest"); EQ(rdmsr(0x1d9), 0, "DEBUGCTL of the host is 0");
  EQ(cont(), 18, "not saved"); EQ(rd(G_DR7), 0x500, "DR7"); EQ(rd(G_DEBUGCTL), 1, "DEBUGCTL");
  set_bits(EXITC, X_DEBUG); EQ(go(q_debug), 18, ""); EQ(cont(), 18, "saved"); EQ(rd(G_DR7), 0x701, "DR7"); EQ(rd(G_DEBUGCTL), 2, "DEBUGCTL");
  clear_bits(ENTRYC, E_DEBUG); asm volatile("mov %0, %%dr7" :: "r"(0x600ull)); EQ(go(q_debug), 18, "not loaded"); EQ(regs[RBX], 0x600, "DR7 of the host");
  u64 pat = rdmsr(0x277);
  fresh(); set_bits(PROC, P_MSRBM); wr(G_PAT, 0x0606060606060606ull);
  EQ(go(q_pat), 18, "PAT not loaded"); EQ((regs[RAX] & 0xffffffff) | regs[RDX] << 32, pat, "PAT of the host"); EQ(cont(), 18, ""); EQ(rdmsr(0x277), 0x01010101, "the guest's PAT stays"); wrmsr(0x277, pat);
  set_bits(ENTRYC, E_PAT); set_bits(EXITC, X_SAVE_PAT | X_LOAD_PAT); EQ(go(q_pat), 18, "PAT loaded"); EQ(regs[RAX], 0x06060606, "guest PAT"); EQ(rdmsr(0x277), pat, "host PAT"); EQ(cont(), 18, ""); EQ(rd(G_PAT), 0x01010101, "saved"); EQ(rdmsr(0x277), pat, "host PAT");
  u64 efer = rdmsr(0xc0000080);
  fresh(); set_bits(PROC, P_MSRBM); set_bits(ENTRYC, E_EFER); set_bits(EXITC, X_LOAD_EFER); wr(G_EFER, efer ^ 1);
  EQ(go(q_efer), 18, "EFER loaded"); EQ(regs[RAX], efer ^ 1, "guest EFER"); EQ(rdmsr(0xc0000080), efer, "host EFER");
  wr(H_EFER, efer ^ 1); EQ(go(q_efer), 18, "host EFER loaded"); EQ(rdmsr(0xc0000080), efer ^ 1, "host EFER"); wrmsr(0xc0000080, efer);
  group_end();
}

/* The shadow of STI and MOV SS that the exiting instruction ran in is saved; it is over for an exit after it. */
GUEST(s_sti_hlt, "sti; hlt"); GUEST(s_sti_ud, "sti; ud2"); GUEST(s_ss_ud, "mov %ss, %eax; mov %eax, %ss; ud2"); GUEST(s_ss_cpuid, "mov %ss, %eax; mov %eax, %ss; cpuid"); GUEST(s_sti_read, "sti; mov (%rdi), %rax"); GUEST(s_ss_read, "mov %ss, %eax; mov %eax, %ss; mov (%rdi), %rax");
GUEST(s_sti_sti, "sti; sti; nop; cpuid"); GUEST(s_sti_tf, "push $0x102; popf; cpuid"); GUEST(s_break, "nop; cpuid; nop");
static void shadows(void) {
  group("events: interruptibility at exits");
  fresh(); set_bits(PROC, P_HLT); wr(EXC, 1 << 6 | 1 << 14);
  EQ(go(s_sti_hlt), 12, "HLT after STI"); EQ(rd(G_INT), 1, "blocking by STI"); EQ(rd(G_ACT), 0, "active"); EQ(rd(G_RFLAGS) >> 9 & 1, 1, "IF"); wr(G_INT, 0); wr(G_RFLAGS, 2);
  EQ(go(s_sti_ud), 0, "#UD after STI"); EQ(rd(G_INT), 1, "blocking by STI"); wr(G_INT, 0); wr(G_RFLAGS, 2);
  EQ(go(s_ss_ud), 0, "#UD after MOV SS"); EQ(rd(G_INT), 2, "blocking by MOV SS"); wr(G_INT, 0); wr(G_RFLAGS, 2);
  EQ(go(s_ss_cpuid), 10, "CPUID after MOV SS"); EQ(rd(G_INT), 2, "blocking by MOV SS");
  wr(G_RIP, rd(G_RIP) + 2); wr(G_INT, 0); EQ(enter(), 18, "next instruction"); EQ(rd(G_INT), 0, "none");
  regs[RDI] = 0x4000000000ull; EQ(go(s_sti_read), 0, "#PF after STI"); EQ(rd(G_INT), 1, "blocking by STI"); wr(G_INT, 0); wr(G_RFLAGS, 2);
  EQ(go(s_sti_sti), 10, "second STI"); EQ(rd(G_INT), 0, "no blocking after it"); wr(G_RFLAGS, 2);
  ept_on(); ept_pd[0x8000000 >> 21] = 0; regs[RDI] = 0x8000000;
  EQ(go(s_sti_read), 48, "EPT violation after STI"); EQ(rd(G_INT), 1, "blocking by STI"); wr(G_INT, 0); wr(G_RFLAGS, 2);
  EQ(go(s_ss_read), 48, "EPT violation after MOV SS"); EQ(rd(G_INT), 2, "blocking by MOV SS"); wr(G_INT, 0); wr(G_RFLAGS, 2);
  wr(G_INT, 2); EQ(go(s_break + 1), 10, "blocking given at entry, first instruction exits"); EQ(rd(G_INT), 2, "blocking by MOV SS"); wr(G_INT, 0);
  /* Interrupts and HLT. */
  fresh(); set_bits(PIN, PIN_EXT | PIN_NMI); set_bits(EXITC, X_ACK);
  SELF_INT(0x61); wr(G_ACT, 1); EQ(go(e_nothing), 1, "interrupt in HLT with IF = 0"); EQ((u32)rd(X_INFO), T_EXT | 0x61, "information"); EQ(rd(G_ACT), 1, "activity"); apic_write(0xb0, 0);
  wr(G_ACT, 0); SELF_INT(0x62); EQ(go(n_hlt), 1, "interrupt before HLT"); EQ(rd(G_RIP), (u64)n_hlt, "RIP"); apic_write(0xb0, 0);
  wr(G_ACT, 2); SELF_INT(0x63); set_bits(PIN, PIN_TIMER); wr(TIMER, 200); EQ(go(e_nothing), 52, "shutdown blocks interrupts"); clear_bits(PIN, PIN_TIMER); wr(G_ACT, 0); EQ(go(e_nothing), 1, "still pending"); apic_write(0xb0, 0);
  /* An instruction breakpoint on an instruction that exits: the #DB comes first. */
  fresh(); wr(EXC, 2); set_bits(ENTRYC, E_DEBUG); asm volatile("mov %0, %%dr0" :: "r"((u64)s_break + 1)); wr(G_DR7, 0x401);
  go(s_break); is("breakpoint on CPUID", 0, (u64)s_break + 1, T_HW | 1); EQ(rd(QUAL), 1, "B0");
  wr(G_RFLAGS, 0x10002); EQ(go(s_break + 1), 10, "RF set: the instruction exits"); EQ(rd(G_RFLAGS) >> 16 & 1, 0, "RF saved as 0");
  asm volatile("mov %0, %%dr0" :: "r"(0ull));
  group_end();
}

static void virtual8086(void) {
  group("events: virtual-8086 guest");
  fresh32();
  wr(G_RFLAGS, 0x20002); wr(EXC, 1 << 13 | 1 << 6 | 1 << 3 | 1 << 4);
  for (int s = 0; s < 6; s++) { wr(SEL_OF(s), s == CS ? 0x800 : 0); wr(BASE_OF(s), s == CS ? 0x8000 : 0); wr(LIMIT_OF(s), 0xffff); wr(AR_OF(s), 0xf3); }
  copy((void *)0x8000, "\xcd\x21\xcc\xfa\xf4\x0f\xa2\xe4\x80\x0f\x01\xc2\x0f\x01\xc1\xce", 16);
  set_bits(PROC, P_HLT | P_IO); wr(G_RSP, 0x7000);
  static const struct { const char *name; u32 at, reason, information; } steps[] = {
    { "INT n, IOPL 0", 0, 0, T_HW | HAS_ERROR | 13 }, { "INT3", 2, 0, T_SW | 3 }, { "CLI, IOPL 0", 3, 0, T_HW | HAS_ERROR | 13 }, { "HLT at CPL 3", 4, 0, T_HW | HAS_ERROR | 13 },
    { "CPUID", 5, 10, 0 }, { "IN: the I/O permission bitmap comes first", 7, 0, T_HW | HAS_ERROR | 13 }, { "VMLAUNCH", 9, 0, T_HW | 6 }, { "VMCALL", 12, 18, 0 },
  };
  for (u32 n = 0; n < sizeof steps / sizeof *steps; n++) {
    wr(G_RFLAGS, 0x20002); wr(G_RIP, steps[n].at);
    u32 r = enter();
    check(r == steps[n].reason, steps[n].name, r); check((u32)rd(X_INFO) == steps[n].information, steps[n].name, rd(X_INFO)); EQ(rd(G_RIP), steps[n].at, steps[n].name);
  }
  wr(G_RFLAGS, 0x20802); wr(G_RIP, 15); EQ(enter(), 0, "INTO"); EQ((u32)rd(X_INFO), T_SW | 4, "information");
  group_end();
}

void test_events(void) {
  virtual8086();
  shadows();
  exceptions();
  vectoring();
  tasks();
  interrupts();
  nmis();
  injection();
  injection_rest();
  trap_flag();
  timer();
  pending_debug();
  lists();
  saved_state();
}
