/* VM functions with EPTP switching, and virtualization exceptions (SDM 3C 26.5.6, 26.5.7). */
#include "vmx.h"
#define AT (1ull << 39)
#define PAGE __attribute__((aligned(4096)))
static u64 PAGE other_pml4[512], PAGE pdpt_a[512], PAGE pdpt_b[512], PAGE pd_a[512], PAGE pd_b[512], PAGE pt_a[512], PAGE pt_b[512];
static u64 PAGE linear_pdpt[512], PAGE list[512];
static u32 PAGE area[1024];

GUEST(f_switch, "vmfunc; mov (%rdi), %rbx"); GUEST(f_plain, "vmfunc"); GUEST(f_prefix, ".byte 0x40; vmfunc"); GUEST(f_read, "mov (%rdi), %rbx"); GUEST(f_write, "mov %rbx, (%rdi)"); GUEST(f_fetch, "call *%rdi");
GUEST(f_twice, "vmfunc; mov (%rdi), %rbx; mov $0, %ecx; vmfunc; mov (%rdi), %rsi");

/* EPT hierarchies A (the list's entry 0) and B (entry 5): the same but for the page at AT, which holds page_b or page_c. */
static void setup(void) {
  fresh(); ept_on();
  pml4[1] = (u64)linear_pdpt | 7; linear_pdpt[0] = AT | 0x87;
  fill(pt_a, 0, 4096); fill(pt_b, 0, 4096);
  ept_pml4[1] = (u64)pdpt_a | 7; pdpt_a[0] = (u64)pd_a | 7; pd_a[0] = (u64)pt_a | 7; pt_a[0] = (u64)page_b | 0x37;
  copy(other_pml4, ept_pml4, 4096);
  other_pml4[1] = (u64)pdpt_b | 7; pdpt_b[0] = (u64)pd_b | 7; pd_b[0] = (u64)pt_b | 7; pt_b[0] = (u64)page_c | 0x37;
  *(u64 *)page_b = 0xaaaa; *(u64 *)page_c = 0xbbbb;
  fill(list, 0, 4096); list[0] = (u64)ept_pml4 | 0x1e; list[5] = (u64)other_pml4 | 0x1e; list[511] = list[5];
  secondary(P2_VMFUNC); wr(FUNCTIONS, 1); wr(EPTP_LIST, (u64)list);
  regs[RDI] = AT; regs[RAX] = 0; regs[RCX] = 5;
  invept(2, 0, 0);
}
static void exits(const char *what, u64 rax, u64 rcx) {
  regs[RAX] = rax; regs[RCX] = rcx;
  EQ(go(f_plain), 59, what); EQ(rd(X_LEN), 3, "length"); EQ(rd(QUAL), 0, "qualification"); EQ(rd(G_RIP), (u64)f_plain, "RIP"); EQ(rd(EPTP), list[0], "EPT pointer unchanged");
}

static void functions(void) {
  group("VMFUNC: EPTP switching");
  setup();
  EQ(go(f_switch), 18, "switch"); EQ(regs[RBX], 0xbbbb, "the other page"); EQ(rd(EPTP), list[5], "EPT pointer");
  regs[RCX] = 0; EQ(go(f_switch), 18, "and back"); EQ(regs[RBX], 0xaaaa, "page"); EQ(rd(EPTP), list[0], "EPT pointer");
  regs[RCX] = 511; EQ(go(f_twice), 18, "twice in one run"); EQ(regs[RBX], 0xbbbb, "page"); EQ(regs[RSI], 0xaaaa, "page");
  regs[RCX] = 0xffffffff00000005ull; regs[RAX] = 0xffffffff00000000ull; EQ(go(f_switch), 18, "only EAX and ECX count"); EQ(regs[RBX], 0xbbbb, "page");
  setup(); user_guest(); EQ(go(f_switch), 18, "at CPL 3"); EQ(regs[RBX], 0xbbbb, "page");
  setup(); secondary(P2_VPID); wr(F_VPID, 3); EQ(go(f_twice), 18, "with VPID"); EQ(regs[RBX], 0xbbbb, "page"); EQ(regs[RSI], 0xaaaa, "page");
  setup();
  exits("index 512", 0, 512); exits("index 2^31", 0, 1u << 31); exits("entry 0", 0, 1);
  for (u64 f = 1; f < 64; f += f < 4 ? 1 : 15) exits("function not enabled", f, 5);
  static const u32 beyond[] = { 64, 65, 0x80000000, 0xffffffff };
  for (u32 n = 0; n < 4; n++) { regs[RAX] = beyond[n]; regs[RCX] = 5; EQ(go_catch(f_plain), 18, "function above 63"); EQ(ex_vector, 6, "#UD"); }
  list[5] |= 0x40; regs[RCX] = 5; regs[RAX] = 0; EQ(go(f_plain), rdmsr(0x48c) >> 21 & 1 ? 18u : 59u, "accessed and dirty flags"); wr(EPTP, list[0]); list[5] &= ~0x40ull;
  static const u64 bad[] = { 1, 2, 8, 0x20, 0x80, 0x100, 0x200, 0x400, 0x800, 1ull << 40, 1ull << 51, 1ull << 52, 1ull << 63 };
  for (u32 n = 0; n < sizeof bad / 8; n++) { u64 good = list[5]; list[5] ^= bad[n]; exits("entry that VM entry would refuse", 0, 5); list[5] = good; }
  wr(FUNCTIONS, 0); exits("no function enabled", 0, 5);
  EQ(go(f_prefix), 59, "with a prefix"); EQ(rd(X_LEN), 4, "length");
  clear_bits(PROC2, P2_VMFUNC); EQ(go_catch(f_plain), 18, "without the control"); EQ(ex_vector, 6, "#UD");
  EQ(FAULT_OF("xor %%eax, %%eax; xor %%ecx, %%ecx; vmfunc; 1:" ::: "rax", "rcx"), 6, "in root operation");
  group_end();

  group("controls: VM functions, #VE, PML, shadowing, TSC scaling");
  setup(); EQ(go(guest_done), 18, "good");
  for (u32 b = 1; b < 64; b++) { wr(FUNCTIONS, 1ull << b); EQ(go(guest_done), FAILED | 7, "reserved VM function"); }
  wr(FUNCTIONS, 1);
  static const struct { u32 control, field; } pages[] = { { P2_VMFUNC, EPTP_LIST }, { P2_SHADOW, VMREAD_BITMAP }, { P2_SHADOW, VMWRITE_BITMAP }, { P2_PML, PML_ADDRESS }, { P2_VE, VE_AREA } };
  for (u32 n = 0; n < 5; n++) {
    if (!may(pages[n].control)) continue;
    setup(); secondary(pages[n].control); EQ(go(guest_done), 18, "address 0");
    for (u32 b = 0; b < 64; b++) {
      if (b >= 12 && b < 40) continue;
      wr(pages[n].field, 1ull << b); EQ(go(guest_done), FAILED | 7, "address");
    }
    clear_bits(PROC2, pages[n].control); EQ(go(guest_done), 18, "ignored without the control");
  }
  setup(); wr(FUNCTIONS, 0); wr(EPTP_LIST, ~0ull); EQ(go(guest_done), 18, "list ignored without EPTP switching");
  setup(); clear_bits(PROC2, P2_EPT); EQ(go(guest_done), FAILED | 7, "EPTP switching without EPT"); wr(FUNCTIONS, 0); EQ(go(guest_done), 18, "no function without EPT");
  if (may(P2_PML)) { fresh(); secondary(P2_PML); EQ(go(guest_done), FAILED | 7, "PML without EPT"); }
  if (may(P2_MBEC)) { fresh(); secondary(P2_MBEC); EQ(go(guest_done), FAILED | 7, "mode-based execute control without EPT"); }
  if (may(P2_VE)) { fresh(); secondary(P2_VE); EQ(go(guest_done), 18, "#VE without EPT"); }
  if (may(P2_TSC)) { fresh(); secondary(P2_TSC); EQ(go(guest_done), FAILED | 7, "TSC multiplier 0"); wr(TSC_MULTIPLIER, 1); EQ(go(guest_done), 18, "TSC multiplier"); wr(TSC_MULTIPLIER, 1ull << 63); EQ(go(guest_done), 18, "TSC multiplier"); }
  group_end();
}

static void take(const char *what, const char *code, u32 qualification) {
  fill(area, 0, 4096); area[9] = 0x5a5a5a5a;
  wr(EPTP_INDEX, 0xfff7);
  EQ(go_catch(code), 18, what); EQ(ex_vector, 20, "#VE"); EQ(ex_error, 0, "no error code"); if (code != f_fetch) EQ(ex_rip, (u64)code, "RIP"); EQ(ex_rflags >> 16 & 1, 1, "RF in the frame");
  EQ(area[0], 48, "reason"); EQ(area[1], 0xffffffff, "busy"); EQ(*(u64 *)(area + 2) & 0x1bf, qualification, "qualification"); EQ(*(u64 *)(area + 4), AT, "linear address"); EQ(*(u64 *)(area + 6), AT, "guest-physical address"); EQ(area[8] & 0xffff, 0xfff7, "EPTP index"); EQ(area[9], 0x5a5a5a5a, "nothing beyond");
}

static void exceptions(void) {
  group("virtualization exceptions");
  u64 *const entries[] = { pt_a, pd_a, pdpt_a, &ept_pml4[1] };
  for (u32 level = 0; level < 4; level++) {
    setup(); clear_bits(PROC2, P2_VMFUNC); secondary(P2_VE); wr(VE_AREA, (u64)area);
    u64 *e = entries[level], good = *e;
    *e = 0; invept(2, 0, 0);
    take("read, not present", f_read, 0x181); take("write, not present", f_write, 0x182); take("fetch, not present", f_fetch, 0x184);
    EQ(go(f_read), 48, "second violation while the area is busy"); area[1] = 1; EQ(go(f_read), 48, "busy with any value"); area[1] = 0; EQ(go_catch(f_read), 18, "free again"); EQ(ex_vector, 20, "#VE");
    *e = 1ull << 63; invept(2, 0, 0); area[1] = 0; EQ(go(f_read), 48, "suppressed"); EQ(area[1], 0, "area untouched"); EQ(rd(QUAL) & 0x1bf, 0x181, "qualification");
    /* For rights the entry that maps the page decides. */
    *e = good & ~2ull; invept(2, 0, 0); take("read-only", f_write, 0x182 | 5 << 3);
    *e = (good & ~2ull) | 1ull << 63; invept(2, 0, 0); area[1] = 0; EQ(go_catch(f_write), level ? 18 : 48, "suppressed at one level"); if (level) EQ(ex_vector, 20, "#VE by the last entry");
    *e = good;
  }
  setup(); clear_bits(PROC2, P2_VMFUNC); secondary(P2_VE); wr(VE_AREA, (u64)area); fill(area, 0, 4096);
  pt_a[0] = (pt_a[0] & ~7ull) | 2; invept(2, 0, 0); EQ(go(f_read), 49, "a misconfiguration is never converted"); EQ(area[1], 0, "area untouched");
  pt_a[0] = 0; invept(2, 0, 0);
  wr(EXC, 1 << 20); EQ(go(f_read), 0, "exception bitmap"); EQ((u32)rd(X_INFO), 0x80000314, "interruption information"); EQ(rd(G_RIP), (u64)f_read, "RIP"); wr(EXC, 0); area[1] = 0;
  /* Not while an event is delivered. */
  wr(G_RSP, AT + 0x800); wr(G_RIP, (u64)guest_done); wr(E_INFO, 0x80000306); EQ(enter(), 48, "during event delivery"); EQ((u32)rd(IDT_INFO), 0x80000306, "vectoring"); EQ(area[1], 0, "area untouched");
  wr(E_INFO, 0x80000314); wr(G_RSP, GUEST_STACK_TOP); ex_vector = ~0ull; ex_fixup = (u64)guest_done; EQ(go(guest_done), 18, "injected"); EQ(ex_vector, 20, "#VE"); ex_fixup = 0;
  area[1] = 0;
  clear_bits(PROC2, P2_VE); EQ(go(f_read), 48, "without the control");
  /* EPTP switching names the view in force. */
  if (may(P2_VMFUNC)) { setup(); secondary(P2_VE); wr(VE_AREA, (u64)area); wr(EPTP_INDEX, 0x99); EQ(go(f_switch), 18, "switch"); EQ(rd(EPTP_INDEX), 5, "EPTP index"); }
  if (may(P2_VMFUNC)) { setup(); wr(EPTP_INDEX, 0x99); EQ(go(f_switch), 18, "switch without #VE"); EQ(rd(EPTP_INDEX), 0x99, "EPTP index untouched"); }
  group_end();
}

void test_functions(void) {
  u64 first = pml4[1];
  if (may(P2_VMFUNC)) functions();
  if (may(P2_VE)) exceptions();
  pml4[1] = first;
}
