/* The virtual local APIC (SDM 3C 25.6.8, 27.2.1.1, 30.1-30.6): TPR shadow, APIC-access page, register virtualisation, virtual interrupts, posted interrupts. */
#include "vmx.h"

#define BAD (FAILED | 7)
#define T_EXT 0x80000000u
#define LENGTH(a) (sizeof(a) / sizeof *(a))
static u8 *const va = scratch_page;          /* virtual-APIC page */
#define VREG(offset) (*(volatile u32 *)(scratch_page + (offset)))
static u32 *const pi = (u32 *)page_c;        /* posted-interrupt descriptor */

/* A guest with these secondary controls, the TPR shadow, interrupts that exit and are acknowledged. */
static void virtual_apic(u32 controls) {
  fresh();
  secondary(controls);
  set_bits(PROC, P_TPR); set_bits(PIN, PIN_EXT); set_bits(EXITC, X_ACK);
  fill(va, 0, 4096); fill(page_c, 0, 4096);
  wr(VAPIC, (u64)va); wr(APIC_ACCESS, (u64)page_b);
  for (u32 n = 0; n < 4; n++) wr(EOI_BITMAP + 2 * n, 0);
  wr(INT_STATUS, 0); wr(TPR_T, 0);
  regs[RDI] = (u64)page_b + 0xb0; regs[RAX] = 0;
}

static void set_vector(u32 base, u32 vector) { VREG(base + (vector >> 5) * 16) |= 1u << (vector & 31); }
static int has_vector(u32 base, u32 vector) { return VREG(base + (vector >> 5) * 16) >> (vector & 31) & 1; }
/* A virtual interrupt is requested. */
static void request(u32 vector) { set_vector(0x200, vector); wr(INT_STATUS, (rd(INT_STATUS) & 0xff00) | vector); }

extern const char n_self_nmi[];
GUEST(v_read, "mov (%rdi), %eax"); GUEST(v_write, "mov %eax, (%rdi); nop"); GUEST(v_nop, "nop; nop; nop"); GUEST(v_cr8, "mov %rax, %cr8; nop"); GUEST(v_hlt, "hlt; nop");
GUEST(v_sti, "sti; nop; nop"); GUEST(v_sti_hlt, "sti; hlt; nop"); GUEST(v_rdmsr, "rdmsr"); GUEST(v_wrmsr, "wrmsr; nop");
GUEST(v_read8, "mov (%rdi), %al"); GUEST(v_read16, "mov (%rdi), %ax"); GUEST(v_read64, "mov (%rdi), %rax"); GUEST(v_write8, "mov %al, (%rdi); nop"); GUEST(v_write16, "mov %ax, (%rdi); nop"); GUEST(v_write64, "mov %rax, (%rdi); nop");
GUEST(v_xchg, "xchg %eax, (%rdi); nop"); GUEST(v_or, "lock; orl $0x20, (%rdi); nop"); GUEST(v_push, "mov %rdi, %rsp; push %rax"); GUEST(v_movs, "cld; rep movsl; nop"); GUEST(v_fetch, "jmp *%rdi"); GUEST(v_tf_write, "push $0x102; popf; mov %eax, (%rdi); nop");
GUEST(v_eoi, "movl $0, (%rdi); nop"); GUEST(v_sse, "mov %cr0, %rax; and $~8, %rax; mov %rax, %cr0; movups (%rdi), %xmm0"); GUEST(v_fxsave, "mov %rdi, %rax; fnsave (%rax)");

/* --- 27.2.1.1: entry checks --- */
static u32 with(u32 field, u64 value) { wr(field, value); return go(guest_done); }

static void checks(void) {
  group("virtual APIC: entry checks");
  static const u32 needs_shadow[] = { P2_X2APIC, P2_REG, P2_VID };
  for (u32 n = 0; n < LENGTH(needs_shadow); n++) {
    virtual_apic(needs_shadow[n]); EQ(go(guest_done), 18, "with the TPR shadow");
    clear_bits(PROC, P_TPR); EQ(go(guest_done), BAD, "without the TPR shadow");
    clear_bits(PROC, P_2); EQ(go(guest_done), 18, "ignored when secondary controls are off");
  }
  virtual_apic(P2_APIC); clear_bits(PROC, P_TPR); EQ(go(guest_done), 18, "APIC accesses do not need the TPR shadow");
  virtual_apic(P2_APIC | P2_X2APIC); EQ(go(guest_done), BAD, "APIC accesses and x2APIC mode");
  virtual_apic(P2_VID); clear_bits(PIN, PIN_EXT); EQ(go(guest_done), BAD, "virtual interrupts without external-interrupt exiting");
  /* The threshold is not checked with virtual-interrupt delivery. */
  virtual_apic(P2_VID); EQ(with(TPR_T, ~0u), 18, "threshold with virtual-interrupt delivery");
  virtual_apic(P2_X2APIC); EQ(with(TPR_T, 1), BAD, "threshold above VTPR in x2APIC mode"); VREG(0x80) = 0x10; EQ(go(guest_done), 18, "threshold not above");
  virtual_apic(P2_REG | P2_APIC); EQ(with(TPR_T, 0x10), BAD, "threshold reserved bits");
  /* Posted interrupts. */
  virtual_apic(P2_VID); set_bits(PIN, PIN_POSTED); wr(PI_VECTOR, 0xf2); wr(PI_DESC, (u64)pi);
  EQ(go(guest_done), 18, "posted interrupts");
  EQ(with(PI_VECTOR, 0x1f2), BAD, "vector above 255"); EQ(with(PI_VECTOR, 0x8000), BAD, "vector above 255"); EQ(with(PI_VECTOR, 0xff), 18, "vector 255"); EQ(with(PI_VECTOR, 0), 18, "vector 0");
  for (u32 n = 0; n < 6; n++) EQ(with(PI_DESC, (u64)pi | 1u << n), BAD, "descriptor alignment");
  EQ(with(PI_DESC, (u64)pi + 64), 18, "64-byte aligned descriptor");
  for (u32 n = 40; n < 64; n++) EQ(with(PI_DESC, (u64)pi | 1ull << n), BAD, "descriptor beyond the physical width");
  wr(PI_DESC, (u64)pi);
  clear_bits(EXITC, X_ACK); EQ(go(guest_done), BAD, "without acknowledge"); set_bits(EXITC, X_ACK);
  clear_bits(PROC2, P2_VID); EQ(go(guest_done), BAD, "without virtual-interrupt delivery"); set_bits(PROC2, P2_VID);
  clear_bits(PIN, PIN_EXT); EQ(go(guest_done), BAD, "without external-interrupt exiting");
  clear_bits(PIN, PIN_POSTED); clear_bits(PROC2, P2_VID); wr(PI_VECTOR, 0xffff); EQ(with(PI_DESC, ~0ull), 18, "ignored without the control");
  group_end();
}

/* --- 30.1.2, 27.7.7: TPR below threshold --- */
static void threshold(void) {
  group("virtual APIC: TPR threshold");
  u64 old = rdmsr(0x1b);
  for (u32 t = 0; t < 16; t += 5) for (u32 v = 0; v < 16; v += 3) {
    u32 expected = v < t ? 43 : 18;
    virtual_apic(P2_APIC); VREG(0x80) = 0xf0; wr(TPR_T, t); regs[RAX] = v; EQ(go(v_cr8), expected, "MOV to CR8"); EQ(VREG(0x80), v << 4, "VTPR");
    if (expected == 43) { EQ(rd(G_RIP), (u64)v_cr8 + 4, "after the instruction"); EQ(rd(QUAL), 0, "qualification"); }
    VREG(0x80) = 0xf0; regs[RAX] = 0xffffff0f | v << 4; regs[RDI] = (u64)page_b + 0x80; EQ(go(v_write), expected, "write to the page"); EQ(VREG(0x80), v << 4 | 0xf, "VTPR");
    VREG(0x80) = v << 4; EQ(go(v_nop), expected, "at entry"); if (expected == 43) EQ(rd(G_RIP), (u64)v_nop, "before the first instruction");
    virtual_apic(P2_X2APIC); set_bits(PROC, P_MSRBM); VREG(0x80) = 0xf0; wr(TPR_T, t); regs[RCX] = 0x808; regs[RAX] = v << 4; regs[RDX] = 0; EQ(go(v_wrmsr), expected, "WRMSR 808h");
    if (expected == 43) EQ(rd(G_RIP), (u64)v_wrmsr + 2, "after the instruction");
    virtual_apic(P2_APIC | P2_VID); wr(TPR_T, t); VREG(0x80) = 0xf0; regs[RAX] = v; EQ(go(v_cr8), 18, "never with virtual-interrupt delivery");
  }
  EQ(rdmsr(0x1b), old, "APIC base");
  /* At entry it goes before everything that is pending, after event injection, and wakes from HLT but not from shutdown. */
  virtual_apic(P2_APIC); wr(TPR_T, 1); set_bits(PROC, P_INTWIN); wr(G_RFLAGS, 0x202); EQ(go(v_nop), 43, "before the interrupt window"); EQ(enter(), 43, "VTPR unchanged: again");
  wr(TPR_T, 0); EQ(go(v_nop), 7, "interrupt window");
  virtual_apic(P2_APIC); wr(TPR_T, 1); set_bits(PIN, PIN_NMI | PIN_VNMI); set_bits(PROC, P_NMIWIN | P_MTF); EQ(go(v_nop), 43, "before NMI window and trap flag");
  virtual_apic(P2_APIC); wr(TPR_T, 1); wr(E_INFO, 0x80000700); if (go(v_nop) != FAILED + 7) { EQ(rd(REASON), 43, "before a pending trap-flag exit"); wr(TPR_T, 0); }
  virtual_apic(P2_APIC); wr(TPR_T, 1); wr(EXC, 2); wr(G_PDBG, 0x1001); EQ(go(v_nop), 43, "before a pending debug exception"); EQ(rd(G_PDBG), 0x1001, "which stays pending");
  virtual_apic(P2_APIC); wr(TPR_T, 1); wr(G_RFLAGS, 0x202); SELF_INT(0x51); EQ(go(v_nop), 43, "before an external interrupt"); wr(TPR_T, 0); EQ(go(v_nop), 1, "which is next"); EQ((u32)rd(X_INFO), T_EXT | 0x51, "information"); apic_write(0xb0, 0);
  virtual_apic(P2_APIC); wr(TPR_T, 1); wr(G_INT, 2); EQ(go(v_nop), 43, "not held off by MOV SS"); EQ(rd(G_INT), 2, "interruptibility"); wr(G_INT, 0);
  wr(G_ACT, 1); EQ(go(v_nop), 43, "wakes from HLT"); EQ(rd(G_ACT), 1, "activity");
  virtual_apic(P2_APIC); wr(TPR_T, 1); wr(E_INFO, T_EXT | 0x52); wr(G_RFLAGS, 0x202); wr(G_RIP, (u64)v_nop); vector_count[0x52] = 0; EQ(enter(), 43, "after the injected event"); EQ(rd(G_RIP), idt[2 * 0x52] & 0xffff ? (idt[2 * 0x52] & 0xffff) | (idt[2 * 0x52] >> 48) << 16 : 0, "at its handler"); EQ(rd(E_INFO) >> 31, 0, "injection done");
  virtual_apic(P2_APIC); wr(TPR_T, 1); wr(G_ACT, 2); set_bits(PIN, PIN_TIMER); wr(TIMER, 100); EQ(go(v_nop), 52, "not in shutdown"); EQ(rd(G_ACT), 2, "activity");
  /* A single step is kept as pending debug exception. */
  virtual_apic(P2_APIC); wr(TPR_T, 3); VREG(0x80) = 0x40; regs[RAX] = 0x10; regs[RDI] = (u64)page_b + 0x80; EQ(go(v_tf_write), 43, "before the single step"); EQ(rd(G_PDBG), 0x4000, "pending single step");
  group_end();
}

/* --- 30.4: the APIC-access page --- */
static int in(u32 reg, const u16 *list, u32 n) { for (u32 k = 0; k < n; k++) if (list[k] == reg) return 1; return 0; }
/* Expected: 18 virtualised, 44 APIC access, 56 APIC write. */
static u32 read_outcome(u32 controls, int shadow, u32 reg) {
  static const u16 readable[] = { 0x20, 0x30, 0x80, 0xb0, 0xd0, 0xe0, 0xf0, 0x280, 0x300, 0x310, 0x320, 0x330, 0x340, 0x350, 0x360, 0x370, 0x380, 0x3e0 };
  if (!shadow) return 44;
  if (controls & P2_REG) return in(reg, readable, LENGTH(readable)) || (reg >= 0x100 && reg < 0x280) ? 18 : 44;
  return reg == 0x80 ? 18 : 44;
}
static u32 write_outcome(u32 controls, int shadow, u32 reg) {
  static const u16 writable[] = { 0x20, 0x80, 0xb0, 0xd0, 0xe0, 0xf0, 0x280, 0x300, 0x310, 0x320, 0x330, 0x340, 0x350, 0x360, 0x370, 0x380, 0x3e0 };
  if (!shadow) return 44;
  int virtualised = controls & P2_REG ? in(reg, writable, LENGTH(writable)) : reg == 0x80 || (controls & P2_VID && (reg == 0xb0 || reg == 0x300));
  if (!virtualised) return 44;
  if (reg == 0x80 || reg == 0x310 || (controls & P2_VID && reg == 0xb0)) return 18;
  return 56;
}

static void registers(void) {
  static const struct { const char *name; u32 controls; int shadow; } configurations[] = {
    { "APIC-access page: no TPR shadow", P2_APIC, 0 }, { "APIC-access page: TPR shadow", P2_APIC, 1 }, { "APIC-access page: virtual-interrupt delivery", P2_APIC | P2_VID, 1 },
    { "APIC-access page: register virtualisation", P2_APIC | P2_REG, 1 }, { "APIC-access page: both", P2_APIC | P2_REG | P2_VID, 1 },
  };
  for (u32 c = 0; c < LENGTH(configurations); c++) {
    u32 controls = configurations[c].controls; int shadow = configurations[c].shadow;
    group(configurations[c].name);
    virtual_apic(controls);
    if (!shadow) clear_bits(PROC, P_TPR);
    for (u32 reg = 0; reg < 0x1000; reg += 0x10) {
      fill(page_b, 0xcc, 4096); fill(va, 0, 4096);
      VREG(reg) = 0x12345678; VREG(0x80) |= 0; regs[RAX] = 0; regs[RDI] = (u64)page_b + reg;
      wr(INT_STATUS, 0);
      u32 want = read_outcome(controls, shadow, reg), r = go(v_read);
      check(r == want, "read", reg << 8 | r);
      if (want == 18) check((u32)regs[RAX] == 0x12345678, "value read", regs[RAX]);
      else { check(rd(QUAL) == reg, "read qualification", rd(QUAL)); check(rd(G_RIP) == (u64)v_read, "RIP of a read", reg); }
      fill(va, 0, 4096); wr(INT_STATUS, 0); regs[RAX] = 0x9abcdef6;
      want = write_outcome(controls, shadow, reg); r = go(v_write);
      check(r == want, "write", reg << 8 | r);
      u32 now = VREG(reg);
      if (want == 44) { check(rd(QUAL) == (0x1000 | reg), "write qualification", rd(QUAL)); check(rd(G_RIP) == (u64)v_write, "RIP of a write", reg); check(now == 0, "nothing written", reg); }
      if (want == 56) { check(rd(QUAL) == reg, "APIC-write qualification", rd(QUAL)); check(rd(G_RIP) == (u64)v_write + 2, "after the instruction", reg); check(now == 0x9abcdef6, "value written", now); check(cont() == 18, "goes on", reg); wr(G_RIP, 0); }
      if (want == 18) check(now == (reg == 0x80 ? 0xf6u : reg == 0x310 ? 0x9a000000u : 0u), "value written", now);
      check(*(u32 *)(page_b + reg) == 0xcccccccc, "the APIC-access page itself", reg);
    }
    group_end();
  }
  group("APIC-access page: sizes and places");
  static const struct { const char *name, *read, *write; u32 bytes; } sizes[] = { { "8 bits", v_read8, v_write8, 1 }, { "16 bits", v_read16, v_write16, 2 }, { "32 bits", v_read, v_write, 4 }, { "64 bits", v_read64, v_write64, 8 } };
  static const u16 registers[] = { 0x20, 0xd0, 0x320, 0x80, 0x310 };
  virtual_apic(P2_APIC | P2_REG);
  for (u32 s = 0; s < LENGTH(sizes); s++) for (u32 n = 0; n < LENGTH(registers); n++) for (u32 lane = 0; lane < 16; lane++) {
    u32 at = registers[n] + lane; int fits = lane + sizes[s].bytes <= 4;
    fill(va, 0, 4096); for (u32 k = 0; k < 16; k++) va[registers[n] + k] = k + 1;
    regs[RDI] = (u64)page_b + at; regs[RAX] = ~0ull;
    u32 r = go(sizes[s].read); check(r == (fits ? 18u : 44u), sizes[s].name, at << 8 | r);
    if (fits) check((u8)regs[RAX] == lane + 1, "value", regs[RAX]); else check(rd(QUAL) == at, "qualification", rd(QUAL));
    r = go(sizes[s].write);
    u32 want = !fits ? 44 : at == 0x80 || (at & ~3u) == 0x310 ? 18 : 56;
    check(r == want, "write", at << 8 | r);
    if (!fits) check(rd(QUAL) == (0x1000 | at), "qualification", rd(QUAL));
    else if (want == 56) check(rd(QUAL) == at, "qualification of the APIC write", rd(QUAL));
  }
  virtual_apic(P2_APIC);
  regs[RDI] = (u64)page_b + 0x80; VREG(0x80) = 0x34; regs[RAX] = 0;
  EQ(go(v_read8), 18, "TPR, low byte"); EQ((u8)regs[RAX], 0x34, "value"); regs[RAX] = 0x51; EQ(go(v_write8), 18, "TPR, low byte"); EQ(VREG(0x80), 0x51, "value");
  regs[RDI] = (u64)page_b + 0x7e; EQ(go(v_read), 44, "into the TPR"); EQ(rd(QUAL), 0x7e, "qualification");
  /* Kinds of accesses. */
  regs[RDI] = (u64)page_b + 0x80; regs[RAX] = 0x70; EQ(go(v_xchg), 18, "XCHG with the TPR"); EQ((u32)regs[RAX], 0x51, "value read"); EQ(VREG(0x80), 0x70, "value written");
  EQ(go(v_or), 18, "LOCK OR of the TPR"); EQ(VREG(0x80), 0x70 | 0x20, "value");
  regs[RDI] = (u64)page_b + 0x20; EQ(go(v_or), 44, "LOCK OR elsewhere"); EQ(rd(QUAL) & 0xfff, 0x20, "offset"); check((rd(QUAL) >> 12 & 15) <= 1, "read or write", rd(QUAL));
  regs[RDI] = (u64)page_b + 0x88; EQ(go(v_push), 44, "PUSH"); EQ(rd(QUAL), 0x1080, "qualification");
  regs[RDI] = (u64)page_b + 0x300; EQ(go(v_fetch), 44, "fetch"); EQ(rd(QUAL), 0x2300, "qualification");
  regs[RDI] = (u64)page_b + 0x80; EQ(go(v_fetch), 44, "fetch from the TPR"); EQ(rd(QUAL), 0x2080, "qualification");
  regs[RDI] = (u64)page_b + 0x80; EQ(go(v_sse), 44, "128 bits"); EQ(rd(QUAL), 0x80, "qualification");
  wr(G_CR0, READ_CR(0));
  /* REP MOVS: the iteration that meets the page. */
  regs[RSI] = (u64)page_b + 0x80; regs[RDI] = (u64)page_c; regs[RCX] = 3; EQ(go(v_movs), 44, "REP MOVS from the page"); EQ(rd(QUAL), 0x84, "second element"); EQ(regs[RCX], 2, "one done"); EQ(*(u32 *)page_c, 0x70, "value"); EQ(rd(G_RIP), (u64)v_movs + 1, "RIP");
  regs[RDI] = (u64)page_b + 0x80; regs[RSI] = (u64)page_c; *(u32 *)page_c = 0x10; wr(TPR_T, 2); VREG(0x80) = 0x30; regs[RCX] = 1; EQ(go(v_movs), 43, "REP MOVS to the TPR"); EQ(regs[RCX], 0, "one done");
  group_end();
}

/* --- 30.4.6: guest-physical accesses --- */
static void physical(void) {
  group("APIC-access page: guest-physical accesses");
  /* A page table of the guest lies in the page: its PML4 entry 256 leads there. */
  virtual_apic(P2_APIC); ept_on();
  u64 *table = pml4; u64 old = table[8];
  table[8] = (u64)page_b | 7; *(u64 *)page_b = 0;
  regs[RDI] = 8ull << 39 | 0x123;
  EQ(go(v_read), 44, "page walk"); EQ(rd(QUAL) >> 12 & 15, 15, "access type");
  wr(G_IDTR, 8ull << 39); wr(E_INFO, 0x80000306); EQ(go(v_nop), 44, "page walk of an event delivery"); EQ(rd(QUAL) >> 12 & 15, 10, "access type"); EQ((u32)rd(IDT_INFO), 0x80000306, "vectoring");
  table[8] = old; wr(G_IDTR, (u64)idt);
  /* Event delivery to a linear address in the page. */
  wr(G_IDTR, (u64)page_b); wr(E_INFO, 0x80000306); EQ(go(v_nop), 44, "linear access of an event delivery"); EQ(rd(QUAL), 0x3060, "qualification"); wr(G_IDTR, (u64)idt);
  /* The host-physical address counts: another guest-physical page leads to the APIC-access page by EPT. */
  u64 gpa = 0x30000000; u64 entry = ept_pd[gpa >> 21];
  ept_pd[gpa >> 21] = ((u64)page_b & ~0x1fffffull) | 0xb7; invept(2, 0, 0);
  regs[RDI] = gpa | ((u64)page_b & 0x1ff000) | 0x20; EQ(go(v_read), 44, "through a 2 MiB EPT page"); EQ(rd(QUAL), 0x20, "qualification");
  regs[RDI] = gpa | ((u64)page_c & 0x1ff000) | 0x20; EQ(go(v_read), ((u64)page_c ^ (u64)page_b) >> 21 ? 18 : 18, "its neighbour");
  ept_pd[gpa >> 21] = entry & ~7ull; invept(2, 0, 0);
  regs[RDI] = gpa | ((u64)page_b & 0x1ff000) | 0x20; EQ(go(v_read), 48, "an EPT violation goes first"); ept_pd[gpa >> 21] = entry;
  /* So does a page fault of the guest. */
  virtual_apic(P2_APIC); wr(EXC, 1 << 14); regs[RDI] = 1ull << 40; EQ(go(v_read), 0, "page fault");
  /* Changing the address takes effect with the entry. */
  virtual_apic(P2_APIC); regs[RDI] = (u64)page_c + 0x20; EQ(go(v_read), 18, "an ordinary page"); wr(APIC_ACCESS, (u64)page_c); EQ(go(v_read), 44, "made the APIC-access page"); wr(APIC_ACCESS, (u64)page_b); EQ(go(v_read), 18, "ordinary again");
  group_end();
}

/* --- 30.2: evaluation and delivery --- */
static u64 handler_of(u32 vector) { return (u64)stubs + 16 * vector; }

static void delivery(void) {
  group("virtual interrupts: evaluation at entry");
  static const u8 vectors[] = { 0, 0x0f, 0x1f, 0x20, 0x31, 0x5e, 0x80, 0xd1, 0xff };
  for (u32 n = 0; n < LENGTH(vectors); n++) for (u32 t = 0; t < 256; t += 0x1f) for (u32 s = 0; s < 256; s += 0x55) {
    u32 rvi = vectors[n], ppr = t >> 4 >= s >> 4 ? t : s & 0xf0;
    if (rvi != 0 && rvi < 0x20) continue; /* exceptions share their gates */
    virtual_apic(P2_VID); wr(G_RFLAGS, 0x202); VREG(0x80) = t; wr(INT_STATUS, s << 8 | rvi); if (rvi) set_vector(0x200, rvi); if (s) set_vector(0x100, s);
    int delivered = rvi >> 4 > ppr >> 4;
    vector_count[rvi] = 0;
    u32 r = go(v_nop);
    check(r == 18, "entry", r);
    check(vector_count[rvi] == (u32)delivered, "delivered", rvi << 16 | t << 8 | s);
    if (delivered) {
      EQ(rd(INT_STATUS), rvi << 8, "RVI, SVI"); EQ(VREG(0xa0), rvi & 0xf0, "VPPR"); check(has_vector(0x100, rvi), "VISR", rvi); check(!has_vector(0x200, rvi), "VIRR", rvi);
      EQ(ex_rip, (u64)v_nop, "before the first instruction");
    } else { EQ(VREG(0xa0), ppr, "VPPR"); EQ(rd(INT_STATUS), s << 8 | rvi, "RVI, SVI"); }
  }
  group_end();

  group("virtual interrupts: when");
  virtual_apic(P2_VID); request(0x61); vector_count[0x61] = 0; EQ(go(v_nop), 18, "IF = 0"); EQ(vector_count[0x61], 0, "not delivered"); EQ(rd(INT_STATUS), 0x61, "RVI stays");
  EQ(go(v_sti), 18, "after STI"); EQ(vector_count[0x61], 1, "delivered"); EQ(ex_rip, (u64)v_sti + 2, "one instruction after STI");
  virtual_apic(P2_VID); request(0x61); wr(G_RFLAGS, 0x202); wr(G_INT, 2); EQ(go(v_nop), 18, "MOV SS"); EQ(ex_rip, (u64)v_nop + 1, "one instruction later");
  virtual_apic(P2_VID); request(0x61); wr(G_RFLAGS, 0x202); wr(G_INT, 1); EQ(go(v_nop), 18, "STI"); EQ(ex_rip, (u64)v_nop + 1, "one instruction later");
  /* The highest first, and the next when the first is over (its handler writes the EOI of the real APIC, so not at all here). */
  virtual_apic(P2_VID); set_vector(0x200, 0x41); request(0x62); wr(G_RFLAGS, 0x202); vector_count[0x41] = vector_count[0x62] = 0; EQ(go(v_nop), 18, "two requests"); EQ(vector_count[0x62], 1, "the higher"); EQ(vector_count[0x41], 0, "not the lower"); EQ(rd(INT_STATUS), 0x6241, "RVI is the next");
  /* Interrupt window and NMI. */
  virtual_apic(P2_VID); request(0x61); wr(G_RFLAGS, 0x202); set_bits(PROC, P_INTWIN); vector_count[0x61] = 0; EQ(go(v_nop), 7, "the interrupt window goes first"); EQ(rd(INT_STATUS), 0x61, "RVI"); clear_bits(PROC, P_INTWIN); EQ(go(v_nop), 18, "without it"); EQ(vector_count[0x61], 1, "delivered");
  virtual_apic(P2_VID); set_bits(PIN, PIN_NMI); apic_write(0x310, apic_read(0x20)); wr(G_INT, 8); EQ(go(n_self_nmi), 18, "an NMI is held"); request(0x61); wr(G_INT, 0); wr(G_RFLAGS, 0x202); vector_count[0x61] = 0; EQ(go(v_nop), 0, "an NMI goes first"); EQ(vector_count[0x61], 0, "not delivered"); EQ(rd(INT_STATUS), 0x61, "RVI"); EQ(rd(G_RIP), (u64)v_nop, "RIP");
  asm volatile("mov %%rsp, %%rcx; push $0x10; push %%rcx; pushf; push $8; push $1f; iretq; 1: nop" ::: "rcx", "memory", "cc");
  virtual_apic(P2_VID); request(0x61); wr(G_RFLAGS, 0x202); SELF_INT(0x55); vector_count[0x61] = 0; EQ(go(v_nop), 1, "an external interrupt comes after"); EQ((u32)rd(X_INFO), T_EXT | 0x55, "information"); EQ(rd(G_RIP), handler_of(0x61), "at the handler's first instruction"); EQ(rd(INT_STATUS), 0x6100, "in service"); apic_write(0xb0, 0);
  virtual_apic(P2_VID); request(0x61); SELF_INT(0x55); EQ(go(v_nop), 1, "IF = 0: the external interrupt"); EQ(rd(G_RIP), (u64)v_nop, "RIP"); EQ(rd(INT_STATUS), 0x61, "RVI"); apic_write(0xb0, 0);
  virtual_apic(P2_VID); request(0x61); wr(G_RFLAGS, 0x202); set_bits(PIN, PIN_TIMER); wr(TIMER, 0); EQ(go(v_nop), 52, "the timer goes first"); EQ(rd(INT_STATUS), 0x61, "RVI");
  virtual_apic(P2_VID); request(0x61); wr(G_RFLAGS, 0x202); set_bits(PROC, P_MTF); EQ(go(v_nop), 37, "trap flag: after the delivery"); EQ(rd(G_RIP), handler_of(0x61), "at the handler");
  virtual_apic(P2_VID); request(0x61); wr(G_RFLAGS, 0x202); wr(E_INFO, 0x80000003 | 0x600); wr(E_LEN, 1); vector_count[0x61] = vector_count[3] = 0; wr(G_RIP, (u64)v_nop); wr(G_RSP, GUEST_STACK_TOP); EQ(enter(), 18, "an injected exception goes first"); EQ(vector_count[3], 1, "its handler"); EQ(vector_count[0x61], 1, "then the interrupt");
  /* HLT. */
  virtual_apic(P2_VID); request(0x61); wr(G_RFLAGS, 0x202); wr(G_ACT, 1); vector_count[0x61] = 0; EQ(go(v_nop), 18, "entry in HLT"); EQ(vector_count[0x61], 1, "woken"); EQ(rd(G_ACT), 0, "active");
  virtual_apic(P2_VID); request(0x61); vector_count[0x61] = 0; EQ(go(v_sti_hlt), 18, "STI, HLT"); EQ(vector_count[0x61], 1, "woken"); EQ(ex_rip, (u64)v_sti_hlt + 2, "after HLT");
  virtual_apic(P2_VID); request(0x61); wr(G_ACT, 1); set_bits(PIN, PIN_TIMER); wr(TIMER, 50); EQ(go(v_nop), 52, "IF = 0: HLT goes on"); EQ(rd(G_ACT), 1, "activity");
  virtual_apic(P2_VID); request(0x61); wr(G_RFLAGS, 0x202); VREG(0x80) = 0x60; wr(G_ACT, 1); set_bits(PIN, PIN_TIMER); wr(TIMER, 50); EQ(go(v_nop), 52, "VPPR too high: HLT goes on"); EQ(rd(G_ACT), 1, "activity");
  virtual_apic(P2_VID); request(0x61); wr(G_RFLAGS, 0x202); set_bits(PROC, P_HLT); EQ(go(v_hlt), 12, "HLT exiting: delivered before HLT"); EQ(rd(INT_STATUS), 0x6100, "in service");
  virtual_apic(P2_VID); request(0x61); wr(G_RFLAGS, 0x202); wr(G_ACT, 2); set_bits(PIN, PIN_TIMER); wr(TIMER, 50); EQ(go(v_nop), 52, "shutdown goes on"); EQ(rd(INT_STATUS), 0x61, "RVI");
  /* An exit during the delivery. */
  virtual_apic(P2_VID); ept_on(); ept_pd[0x8000000 >> 21] = 0; wr(G_IDTR, 0x8000000); request(0x61); wr(G_RFLAGS, 0x202); EQ(go(v_nop), 48, "IDT not mapped"); EQ((u32)rd(IDT_INFO), T_EXT | 0x61, "vectoring"); EQ(rd(INT_STATUS), 0x6100, "in service"); EQ(rd(G_RIP), (u64)v_nop, "RIP");
  /* Without the control the field means nothing. */
  virtual_apic(P2_APIC); wr(INT_STATUS, 0x61); wr(G_RFLAGS, 0x202); vector_count[0x61] = 0; EQ(go(v_nop), 18, "without virtual-interrupt delivery"); EQ(vector_count[0x61], 0, "not delivered"); EQ(rd(INT_STATUS), 0x61, "unchanged");
  group_end();

  group("virtual interrupts: TPR");
  for (u32 v = 0; v < 16; v++) {
    virtual_apic(P2_VID); request(0x71); wr(G_RFLAGS, 0x202); VREG(0x80) = 0xf0; regs[RAX] = v; vector_count[0x71] = 0; EQ(go(v_cr8), 18, "MOV to CR8"); check(vector_count[0x71] == (v < 7), "delivered", v); if (v < 7) EQ(ex_rip, (u64)v_cr8 + 4, "right after it"); else EQ(VREG(0xa0), v << 4, "VPPR");
    virtual_apic(P2_VID | P2_APIC); request(0x71); wr(G_RFLAGS, 0x202); VREG(0x80) = 0xf0; regs[RAX] = v << 4; regs[RDI] = (u64)page_b + 0x80; vector_count[0x71] = 0; EQ(go(v_write), 18, "write to the page"); check(vector_count[0x71] == (v < 7), "delivered", v);
    virtual_apic(P2_VID | P2_X2APIC); set_bits(PROC, P_MSRBM); request(0x71); wr(G_RFLAGS, 0x202); VREG(0x80) = 0xf0; regs[RAX] = v << 4; regs[RDX] = 0; regs[RCX] = 0x808; vector_count[0x71] = 0; EQ(go(v_wrmsr), 18, "WRMSR"); check(vector_count[0x71] == (v < 7), "delivered", v);
  }
  group_end();
}

/* --- 30.1.4: EOI --- */
static void end_of_interrupt(void) {
  group("virtual interrupts: EOI");
  for (u32 x2 = 0; x2 < 2; x2++) for (u32 vector = 0x10; vector < 256; vector += 17) for (u32 exits = 0; exits < 2; exits++) {
    virtual_apic(P2_VID | (x2 ? P2_X2APIC : P2_APIC)); set_bits(PROC, P_MSRBM);
    set_vector(0x100, vector); set_vector(0x100, 3); wr(INT_STATUS, vector << 8);
    if (exits) wr(EOI_BITMAP + 2 * (vector >> 6), 1ull << (vector & 63)); else for (u32 n = 0; n < 4; n++) wr(EOI_BITMAP + 2 * n, n == vector >> 6 ? ~(1ull << (vector & 63)) : ~0ull);
    VREG(0xb0) = 0x55; regs[RDI] = (u64)page_b + 0xb0; regs[RCX] = 0x80b; regs[RAX] = regs[RDX] = 0;
    u32 r = go(x2 ? v_wrmsr : v_eoi);
    check(r == (exits ? 45u : 18u), "EOI exit by the bitmap", vector);
    if (exits) { check(rd(QUAL) == vector, "qualification", rd(QUAL)); EQ(rd(G_RIP), (u64)(x2 ? v_wrmsr + 2 : v_eoi + 6), "after the instruction"); }
    check(!has_vector(0x100, vector), "VISR", vector); EQ(rd(INT_STATUS), 0x300, "SVI is the next"); EQ(VREG(0xb0), 0, "VEOI"); EQ(VREG(0xa0), 0, "VPPR");
  }
  /* EOI lets the next one in; with an exit it is recognised at the next entry. */
  virtual_apic(P2_VID | P2_APIC); set_vector(0x100, 0x71); request(0x42); wr(INT_STATUS, 0x7142); wr(G_RFLAGS, 0x202); vector_count[0x42] = 0; EQ(go(v_eoi), 18, "EOI"); EQ(vector_count[0x42], 1, "the next is delivered"); EQ(ex_rip, (u64)v_eoi + 6, "right after it");
  virtual_apic(P2_VID | P2_APIC); set_vector(0x100, 0x71); request(0x42); wr(INT_STATUS, 0x7142); wr(G_RFLAGS, 0x202); wr(EOI_BITMAP + 2, ~0ull); vector_count[0x42] = 0; EQ(go(v_eoi), 45, "EOI with exit"); EQ(vector_count[0x42], 0, "not delivered yet"); EQ(rd(INT_STATUS), 0x42, "RVI"); EQ(enter(), 18, "next entry"); EQ(vector_count[0x42], 1, "delivered");
  /* The whole way with the handler's own EOI through the APIC-access page. */
  virtual_apic(P2_VID | P2_APIC); wr(APIC_ACCESS, 0xfee00000); set_vector(0x200, 0x33); set_vector(0x200, 0x57); request(0x99); wr(G_RFLAGS, 0x202); vector_count[0x33] = vector_count[0x57] = vector_count[0x99] = 0; EQ(go(v_nop), 18, "three in a row"); EQ(vector_count[0x33] * 100 + vector_count[0x57] * 10 + vector_count[0x99], 111, "each once"); EQ(rd(INT_STATUS), 0, "all done"); EQ(VREG(0xa0), 0, "VPPR");
  /* Without virtual-interrupt delivery it is an APIC access or write. */
  virtual_apic(P2_APIC | P2_REG); EQ(go(v_eoi), 56, "register virtualisation only"); EQ(rd(QUAL), 0xb0, "qualification");
  /* A second exit of the same kind does not come by itself. */
  virtual_apic(P2_VID | P2_APIC); wr(EOI_BITMAP, ~0ull); set_vector(0x100, 0x31); wr(INT_STATUS, 0x3100); EQ(go(v_eoi), 45, "EOI"); EQ(enter(), 18, "goes on");
  group_end();
}

/* --- 30.1.5: self-IPI --- */
static void self_ipi(void) {
  group("virtual interrupts: self-IPI by ICR");
  static const struct { u32 icr; int virtualised; } icrs[] = {
    { 0x40031, 1 }, { 0x400ff, 1 }, { 0x40010, 1 }, { 0x4000f, 0 }, { 0x40000, 0 }, { 0x44031, 1 }, { 0x40831, 1 }, { 0x00031, 0 }, { 0x80031, 0 }, { 0xc0031, 0 }, { 0x40131, 0 }, { 0x40231, 0 }, { 0x40431, 0 }, { 0x40531, 0 }, { 0x40631, 0 }, { 0x40731, 0 },
    { 0x41031, 0 }, { 0x42031, 0 }, { 0x48031, 0 }, { 0x50031, 0 }, { 0x60031, 0 }, { 0x140031, 0 }, { 0x240031, 0 }, { 0x80040031, 0 },
  };
  for (u32 reg = 0; reg < 2; reg++) for (u32 n = 0; n < LENGTH(icrs); n++) {
    virtual_apic(P2_VID | P2_APIC | (reg ? P2_REG : 0));
    u32 vector = icrs[n].icr & 0xff;
    regs[RDI] = (u64)page_b + 0x300; regs[RAX] = icrs[n].icr;
    u32 r = go(v_write);
    check(r == (icrs[n].virtualised ? 18u : 56u), "ICR", icrs[n].icr);
    EQ(VREG(0x300), icrs[n].icr, "VICR");
    if (icrs[n].virtualised) { EQ(rd(INT_STATUS), vector, "RVI"); check(has_vector(0x200, vector), "VIRR", vector); } else { EQ(rd(QUAL), 0x300, "qualification"); EQ(rd(INT_STATUS), 0, "RVI"); }
  }
  virtual_apic(P2_VID | P2_APIC); wr(G_RFLAGS, 0x202); regs[RDI] = (u64)page_b + 0x300; regs[RAX] = 0x40081; vector_count[0x81] = 0; EQ(go(v_write), 18, "delivered"); EQ(vector_count[0x81], 1, "once"); EQ(ex_rip, (u64)v_write + 2, "right after the write");
  virtual_apic(P2_VID | P2_APIC); request(0x91); regs[RDI] = (u64)page_b + 0x300; regs[RAX] = 0x40081; EQ(go(v_write), 18, "below RVI"); EQ(rd(INT_STATUS), 0x91, "RVI is the maximum"); check(has_vector(0x200, 0x81), "VIRR", 0);
  virtual_apic(P2_APIC | P2_REG); regs[RDI] = (u64)page_b + 0x300; EQ(go(v_write), 56, "without virtual-interrupt delivery"); EQ(rd(QUAL), 0x300, "qualification");
  /* MSR 83Fh. */
  for (u32 v = 0; v < 256; v += 5) {
    virtual_apic(P2_VID | P2_X2APIC); set_bits(PROC, P_MSRBM); regs[RCX] = 0x83f; regs[RAX] = v; regs[RDX] = 0;
    u32 r = go(v_wrmsr);
    check(r == (v < 16 ? 56u : 18u), "self-IPI register", v);
    EQ(VREG(0x3f0), v, "value");
    if (v < 16) { EQ(rd(QUAL), 0x3f0, "qualification"); EQ(rd(G_RIP), (u64)v_wrmsr + 2, "after the instruction"); } else EQ(rd(INT_STATUS), v, "RVI");
  }
  group_end();
}

/* --- 30.5: MSRs --- */
static void msrs(void) {
  group("virtual x2APIC mode");
  u64 base = rdmsr(0x1b);
  for (u32 mode = 0; mode < 2; mode++) {
    if (mode) wrmsr(0x1b, base | 0x400);
    for (u32 c = 0; c < 4; c++) {
      u32 controls = P2_X2APIC | (c & 1 ? P2_REG : 0) | (c & 2 ? P2_VID : 0);
      for (u32 n = 0x800; n < 0x900; n++) {
        static const u16 real[] = { 0x802, 0x803, 0x808, 0x80a, 0x80d, 0x80f, 0x828, 0x830, 0x832, 0x833, 0x834, 0x835, 0x836, 0x837, 0x838, 0x839, 0x83e };
        int exists = in(n, real, LENGTH(real)) || (n >= 0x810 && n < 0x828);
        virtual_apic(controls); set_bits(PROC, P_MSRBM); clear_bits(PIN, 0);
        *(u64 *)(va + (n & 0xff) * 16) = 0xfedcba9800000078ull + (n == 0x80a ? 0 : n << 8);
        if (n != 0x808) VREG(0x80) = 0x78;
        regs[RCX] = n; regs[RAX] = regs[RDX] = 0;
        u32 r = go_catch(v_rdmsr);
        int from_page = c & 1 || n == 0x808;
        check(r == 18, "RDMSR exit", n << 8 | r);
        int fault = !from_page && !(mode && exists);
        check(fault == (ex_vector == 13), "RDMSR #GP", n << 8 | mode << 4 | c);
        if (from_page) check((u32)regs[RAX] == (u32)(0x78 + (n == 0x80a ? 0 : n << 8)) && (n == 0x80a || (u32)regs[RDX] == 0xfedcba98), "value of the page", regs[RAX]);
        /* WRMSR of 0. */
        if (mode && n != 0x808 && n != 0x80b && n != 0x83f) continue;
        int to_page = n == 0x808 || (c & 2 && (n == 0x80b || n == 0x83f));
        virtual_apic(controls); set_bits(PROC, P_MSRBM); regs[RCX] = n; regs[RAX] = regs[RDX] = 0; VREG((n & 0xff) * 16) = 0x77;
        r = go_catch(v_wrmsr);
        check(r == (n == 0x83f && to_page ? 56u : 18u), "WRMSR exit", n << 8 | r);
        if (r == 18) check((ex_vector == 13) == (!to_page && !mode), "WRMSR #GP", n << 8 | mode << 4 | c);
        check(VREG((n & 0xff) * 16) == (to_page ? 0u : n == 0x80a && c & 2 ? 0u : 0x77u), "page", n << 8 | mode << 4 | c);
      }
      /* Reserved bits. */
      static const struct { u32 msr; u64 allowed; } writes[] = { { 0x808, 0xff }, { 0x80b, 0 }, { 0x83f, 0xff } };
      for (u32 w = 0; w < LENGTH(writes); w++) for (u32 bit = 0; bit < 64; bit++) {
        if (w > 0 && !(c & 2)) continue;
        virtual_apic(controls); set_bits(PROC, P_MSRBM); regs[RCX] = writes[w].msr; u64 value = 1ull << bit; regs[RAX] = (u32)value; regs[RDX] = value >> 32;
        u32 r = go_catch(v_wrmsr);
        int good = (value & ~writes[w].allowed) == 0;
        check(good ? ex_vector == ~0ull : r == 18 && ex_vector == 13, "reserved bits", writes[w].msr << 8 | bit);
        u64 stored = *(u64 *)(va + (writes[w].msr & 0xff) * 16);
        check(stored == (good ? value : 0), "stored", stored);
      }
    }
    /* The bitmap and the unconditional exit go first. */
    virtual_apic(P2_X2APIC | P2_REG | P2_VID); regs[RCX] = 0x808; regs[RDX] = 0; EQ(go(v_rdmsr), 31, "no bitmap"); EQ(go(v_wrmsr), 32, "no bitmap");
    set_bits(PROC, P_MSRBM); msr_bitmap[0x808 / 8] = 1; EQ(go(v_rdmsr), 31, "bitmap"); EQ(go(v_wrmsr) == 32, 0, "write bitmap clear"); msr_bitmap[2048 + 0x808 / 8] = 1; EQ(go(v_wrmsr), 32, "write bitmap");
    msr_bitmap[0x808 / 8] = msr_bitmap[2048 + 0x808 / 8] = 0;
    /* MSRs around are not concerned. */
    virtual_apic(P2_X2APIC | P2_REG | P2_VID); set_bits(PROC, P_MSRBM); regs[RCX] = 0x174; EQ(go_catch(v_rdmsr), 18, "another MSR"); EQ(ex_vector, ~0ull, "no fault");
    regs[RCX] = 0x900; EQ(go_catch(v_rdmsr), 18, "900h"); EQ(ex_vector, 13, "#GP");
    /* Memory is not concerned. */
    regs[RDI] = (u64)page_b + 0x80; EQ(go(v_read), 18, "memory");
  }
  wrmsr(0x1b, base & ~0xc00ull); wrmsr(0x1b, base); apic_write(0xf0, 0x1ff);
  group_end();
}

/* --- 30.6: posted interrupts --- */
#define NOTIFICATION 0xf2
static void posted_guest(void) {
  virtual_apic(P2_VID | P2_APIC);
  set_bits(PIN, PIN_POSTED); wr(PI_VECTOR, NOTIFICATION); wr(PI_DESC, (u64)pi);
  wr(APIC_ACCESS, 0xfee00000);
}
static void post(u32 vector) { pi[vector >> 5] |= 1u << (vector & 31); pi[8] |= 1; }
static int in_service(void) { for (u32 n = 0; n < 8; n++) if (apic_read(0x100 + 16 * n)) return 1; return 0; }

static void posted(void) {
  group("posted interrupts");
  for (u32 v = 0x20; v < 256; v += 13) {
    posted_guest(); post(v); pi[9] = 0x12345678; pi[8] |= 0xff00; SELF_INT(NOTIFICATION); wr(G_RFLAGS, 0x202); vector_count[v] = 0;
    EQ(go(v_nop), 18, "no exit"); check(vector_count[v] == 1, "delivered", v); EQ(ex_rip, (u64)v_nop, "before the first instruction"); EQ(pi[v >> 5], 0, "request taken"); EQ(pi[8], 0xff00, "outstanding notification cleared, the rest kept"); EQ(pi[9], 0x12345678, "the rest kept"); EQ(in_service(), 0, "dismissed"); EQ(rd(INT_STATUS), 0, "ended by the handler");
  }
  posted_guest(); post(0x41); post(0x82); post(0xc3); SELF_INT(NOTIFICATION); wr(G_RFLAGS, 0x202); vector_count[0x41] = vector_count[0x82] = vector_count[0xc3] = 0; EQ(go(v_nop), 18, "several"); EQ(vector_count[0x41] + vector_count[0x82] + vector_count[0xc3], 3, "all");
  posted_guest(); post(0x41); SELF_INT(NOTIFICATION); vector_count[0x41] = 0; EQ(go(v_nop), 18, "IF = 0"); EQ(vector_count[0x41], 0, "not delivered"); EQ(rd(INT_STATUS), 0x41, "RVI"); check(has_vector(0x200, 0x41), "VIRR", 0); EQ(pi[8], 0, "outstanding notification"); EQ(in_service(), 0, "dismissed");
  posted_guest(); request(0x99); post(0x41); set_vector(0x200, 0x40); SELF_INT(NOTIFICATION); EQ(go(v_nop), 18, "RVI is the maximum"); EQ(rd(INT_STATUS), 0x99, "RVI"); check(has_vector(0x200, 0x41) && has_vector(0x200, 0x40) && has_vector(0x200, 0x99), "VIRR", 0);
  posted_guest(); pi[8] = 1; SELF_INT(NOTIFICATION); EQ(go(v_nop), 18, "nothing posted"); EQ(rd(INT_STATUS), 0, "RVI"); EQ(pi[8], 0, "outstanding notification");
  posted_guest(); post(0x41); VREG(0x80) = 0x50; SELF_INT(NOTIFICATION); wr(G_RFLAGS, 0x202); vector_count[0x41] = 0; EQ(go(v_nop), 18, "below VPPR"); EQ(vector_count[0x41], 0, "not delivered");
  posted_guest(); post(0x41); SELF_INT(0x51); wr(G_RFLAGS, 0x202); EQ(go(v_nop), 1, "another vector exits"); EQ((u32)rd(X_INFO), T_EXT | 0x51, "information"); EQ(pi[2], 2, "nothing taken"); apic_write(0xb0, 0);
  posted_guest(); post(0x41); SELF_INT(NOTIFICATION); SELF_INT(0xf8); vector_count[0x41] = 0; EQ(go(v_nop), 1, "a higher vector first"); EQ((u32)rd(X_INFO), T_EXT | 0xf8, "information"); EQ(pi[8], 1, "not processed"); apic_write(0xb0, 0); wr(G_RFLAGS, 0x202); EQ(go(v_nop), 18, "then the notification"); EQ(vector_count[0x41], 1, "delivered");
  /* HLT. */
  posted_guest(); post(0x41); SELF_INT(NOTIFICATION); wr(G_RFLAGS, 0x202); wr(G_ACT, 1); vector_count[0x41] = 0; EQ(go(v_nop), 18, "in HLT"); EQ(vector_count[0x41], 1, "woken"); EQ(rd(G_ACT), 0, "active");
  posted_guest(); post(0x41); VREG(0x80) = 0x50; SELF_INT(NOTIFICATION); wr(G_RFLAGS, 0x202); wr(G_ACT, 1); set_bits(PIN, PIN_TIMER); wr(TIMER, 50); EQ(go(v_nop), 52, "not deliverable: HLT goes on"); EQ(rd(G_ACT), 1, "activity"); EQ(rd(INT_STATUS), 0x41, "RVI");
  posted_guest(); post(0x41); SELF_INT(NOTIFICATION); wr(G_ACT, 1); set_bits(PIN, PIN_TIMER); wr(TIMER, 50); EQ(go(v_nop), 52, "IF = 0: HLT goes on"); EQ(rd(INT_STATUS), 0x41, "RVI"); EQ(pi[8], 0, "but processed");
  posted_guest(); post(0x41); SELF_INT(NOTIFICATION); wr(G_ACT, 2); set_bits(PIN, PIN_TIMER); wr(TIMER, 50); EQ(go(v_nop), 52, "shutdown"); EQ(pi[8], 1, "not processed"); wr(G_ACT, 0); wr(TIMER, 5000); EQ(go(v_nop), 18, "later"); EQ(pi[8], 0, "processed");
  /* The interrupt window. */
  posted_guest(); post(0x41); SELF_INT(NOTIFICATION); wr(G_RFLAGS, 0x202); set_bits(PROC, P_INTWIN); EQ(go(v_nop), 7, "the interrupt window goes first"); EQ(pi[8], 1, "not processed"); clear_bits(PROC, P_INTWIN); EQ(go(v_nop), 18, "then"); EQ(pi[8], 0, "processed");
  /* In the host the vector is an ordinary one. */
  posted_guest(); post(0x41); SELF_INT(NOTIFICATION); vector_count[NOTIFICATION] = 0; asm volatile("sti; nop; cli"); EQ(vector_count[NOTIFICATION], 1, "the host's handler"); EQ(pi[8], 1, "not processed");
  /* Without the control. */
  posted_guest(); post(0x41); clear_bits(PIN, PIN_POSTED); SELF_INT(NOTIFICATION); EQ(go(v_nop), 1, "without the control"); EQ((u32)rd(X_INFO), T_EXT | NOTIFICATION, "information"); apic_write(0xb0, 0);
  group_end();
}

void test_apic(void) {
  checks();
  threshold();
  registers();
  physical();
  delivery();
  end_of_interrupt();
  self_ipi();
  msrs();
  posted();
}
