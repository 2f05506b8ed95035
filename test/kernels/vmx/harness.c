#include "vmx.h"

volatile u64 ex_vector, ex_error, ex_rip, ex_rflags, ex_fixup, ex_count, ex_rsp;
volatile u32 vector_count[256], processor_vectors[8][256];
u32 processors;
int use_x2apic;
#define PAGE __attribute__((aligned(4096)))
u8 PAGE vmxon_region[4096], PAGE vmcs_region[4096], PAGE vmcs2_region[4096], PAGE io_bitmap_a[4096], PAGE io_bitmap_b[4096], PAGE msr_bitmap[4096];
u8 PAGE guest_stack[4096], PAGE scratch_page[4096], PAGE page_b[4096], PAGE page_c[4096];
u64 PAGE msr_list[512], PAGE msr_list2[512];
u64 PAGE ept_pml4[512], PAGE ept_pdpt[512], PAGE ept_pd[2048], PAGE ept_pt[512];
u64 PAGE idt[512];
int launched;

GUEST(guest_done, "nop");

static const char *group_name;
static int group_checks, group_failures, total_failures;

static void put(char c) { while (!(inb(0x3fd) & 0x20)); outb(0x3f8, c); }
static void puts(const char *s) { while (*s) put(*s++); }
static void put_number(u32 v) { if (v >= 10) put_number(v / 10); put('0' + v % 10); }
static void put_hex(u64 v) { int shift = 60; while (shift > 0 && !(v >> shift)) shift -= 4; for (; shift >= 0; shift -= 4) put("0123456789abcdef"[v >> shift & 15]); }

void group(const char *name) { group_name = name; group_checks = group_failures = 0; }

void group_end(void) {
  if (group_failures == 0) { puts("PASS "); puts(group_name); puts(" ("); put_number(group_checks); puts(")\n"); }
  else { puts("DONE "); puts(group_name); puts(": "); put_number(group_failures); puts(" of "); put_number(group_checks); puts(" failed\n"); }
  total_failures += group_failures;
}

void check(int holds, const char *what, u64 value) {
  group_checks++;
  if (holds) return;
  group_failures++;
  if (group_failures > 40) return;
  puts("FAIL "); puts(group_name); puts(": "); puts(what); puts(" = "); put_hex(value); put('\n');
}

/* frame: vector, error, RIP, CS, RFLAGS, RSP, SS */
void on_exception(u64 *frame) {
  ex_vector = frame[0]; ex_error = frame[1]; ex_rip = frame[2]; ex_rflags = frame[4]; ex_rsp = frame[5];
  ex_count++;
  __atomic_fetch_add(&vector_count[frame[0]], 1, __ATOMIC_SEQ_CST);
  if (processors > 1) __atomic_fetch_add(&processor_vectors[(use_x2apic ? rdmsr(0x802) : apic_read(0x20) >> 24) & 7][frame[0]], 1, __ATOMIC_SEQ_CST);
  if (ex_fixup != 0 && frame[0] != 2) { frame[2] = ex_fixup; ex_fixup = 0; return; }
  if (frame[0] >= 32) { if (use_x2apic) wrmsr(0x80b, 0); else apic_write(0xb0, 0); return; }
  if (frame[0] == 1 || frame[0] == 2 || frame[0] == 3 || frame[0] == 4) return;
  puts("\nFAIL unexpected exception "); put_number(frame[0]); puts(" at "); put_hex(frame[2]); puts(" error "); put_hex(frame[1]);
  puts(" in "); puts(group_name); put('\n');
  outb(0xf4, 2);
  for (;;) asm("hlt");
}

void copy(void *to, const void *from, u32 bytes) { u8 *t = to; const u8 *f = from; while (bytes--) *t++ = *f++; }
void fill(void *to, u8 value, u32 bytes) {
  u64 *words = to, word = value * 0x0101010101010101ull;
  for (; bytes >= 8; bytes -= 8) *words++ = word;
  u8 *t = (u8 *)words; while (bytes--) *t++ = value;
}
void *memset(void *to, int v, unsigned long n) { u8 *t = to; while (n--) *t++ = v; return to; }
void *memcpy(void *to, const void *from, unsigned long n) { u8 *t = to; const u8 *f = from; while (n--) *t++ = *f++; return to; }
void set_bits(u32 field, u64 bits) { wr(field, rd(field) | bits); }
void clear_bits(u32 field, u64 bits) { wr(field, rd(field) & ~bits); }
void secondary(u32 bits) { set_bits(PROC, P_2); set_bits(PROC2, bits); }

void prepare_vmcs(u8 *region, u64 guest_rsp, const char *host_rip) {
  static const u16 selectors[8] = { 0x10, 8, 0x10, 0x10, 0, 0, 0, 0x28 };
  static const u32 rights[8] = { 0xc093, 0xa09b, 0xc093, 0xc093, 0x10000, 0x10000, 0x10000, 0x8b };
  fill(region, 0, 4096);
  *(u32 *)region = (u32)rdmsr(0x480);
  check(vmclear((u64)region) == 0, "vmclear", 0);
  fill(region, 0, 4096);
  *(u32 *)region = (u32)rdmsr(0x480);
  vmclear((u64)region);
  check(vmptrld((u64)region) == 0, "vmptrld", 0);
  wr(PIN, (u32)rdmsr(0x48d));
  wr(PROC, (u32)rdmsr(0x48e));
  wr(PROC2, 0);
  wr(EXITC, (u32)rdmsr(0x48f) | X_HOST64);
  wr(ENTRYC, (u32)rdmsr(0x490) | E_64);
  wr(LINK, ~0ull);
  wr(IO_A, (u64)io_bitmap_a); wr(IO_B, (u64)io_bitmap_b); wr(MSR_BITMAP, (u64)msr_bitmap);
  wr(H_CR0, READ_CR(0)); wr(H_CR3, READ_CR(3)); wr(H_CR4, READ_CR(4));
  wr(H_CS, 8); wr(H_SS, 0x10); wr(H_DS, 0x10); wr(H_ES, 0x10); wr(H_TR, 0x28);
  wr(H_TRB, (u64)tss); wr(H_GDTR, (u64)gdt); wr(H_IDTR, (u64)idt);
  wr(H_RIP, (u64)host_rip);
  wr(H_EFER, rdmsr(0xc0000080)); wr(H_PAT, rdmsr(0x277));
  wr(G_EFER, rdmsr(0xc0000080)); wr(G_PAT, rdmsr(0x277));
  wr(G_CR0, READ_CR(0)); wr(G_CR3, READ_CR(3)); wr(G_CR4, READ_CR(4));
  wr(CR0_SHADOW, READ_CR(0)); wr(CR4_SHADOW, READ_CR(4));
  for (int s = 0; s < 8; s++) { wr(SEL_OF(s), selectors[s]); wr(AR_OF(s), rights[s]); wr(LIMIT_OF(s), s < 6 ? 0xffffffff : 0x67); wr(BASE_OF(s), 0); }
  wr(BASE_OF(TR), (u64)tss);
  wr(G_GDTR, (u64)gdt); wr(G_GDTR_LIMIT, 0xff); wr(G_IDTR, (u64)idt); wr(G_IDTR_LIMIT, 0xfff);
  wr(G_DR7, 0x400); wr(G_RFLAGS, 2); wr(G_RSP, guest_rsp); wr(G_RIP, (u64)guest_done);
}

void fresh(void) {
  fill(io_bitmap_a, 0, 4096); fill(io_bitmap_b, 0, 4096); fill(msr_bitmap, 0, 4096);
  prepare_vmcs(vmcs_region, GUEST_STACK_TOP, vm_exit_entry);
  launched = 0;
  for (int n = 0; n < 16; n++) regs[n] = 0x1111111111111111ull * n;
}

u32 enter(void) {
  int flags = vm_run(launched);
  if (flags & CF) return FAILED | 0xff;
  if (flags & ZF) return FAILED | (u32)rd(INSTRUCTION_ERROR);
  if (flags) { check(0, "flags after failed entry", flags); return FAILED; }
  u32 reason = rd(REASON);
  if (!(reason >> 31)) launched = 1;
  return reason;
}

u32 go(const void *code) { wr(G_RIP, (u64)code); wr(G_RSP, GUEST_STACK_TOP); return enter(); }
u32 cont(void) { wr(G_RIP, rd(G_RIP) + rd(X_LEN)); return enter(); }
u32 go_catch(const void *code) {
  ex_vector = ~0ull; ex_error = ~0ull; ex_fixup = (u64)guest_done;
  u32 r = go(code);
  ex_fixup = 0;
  return r;
}

void user_guest(void) { wr(G_CS, 0x23); wr(AR_OF(CS), 0xa0fb); wr(G_SS, 0x1b); wr(AR_OF(SS), 0xc0f3); }

void ept_on(void) {
  fill(ept_pml4, 0, 4096); fill(ept_pdpt, 0, 4096);
  ept_pml4[0] = (u64)ept_pdpt | 7;
  for (int n = 0; n < 4; n++) ept_pdpt[n] = (u64)&ept_pd[512 * n] | 7;
  for (u64 n = 0; n < 2048; n++) ept_pd[n] = n << 21 | 0xb7;
  wr(EPTP, (u64)ept_pml4 | 0x1e);
  secondary(P2_EPT);
  invept(2, 0, 0);
}

void load_idt(void) {
  struct __attribute__((packed)) { u16 limit; u64 base; } p = { 0xfff, (u64)idt };
  asm volatile("lidt %0" :: "m"(p));
}

/* One processor tests VMX, several test what several do. */
void main(void) {
  for (int n = 0; n < 256; n++) {
    u64 at = (u64)stubs + 16 * n;
    idt[2 * n] = (at & 0xffff) | 8 << 16 | (n == 3 || n == 4 || n == 1 || n >= 0x80 ? 0xeeull : 0x8eull) << 40 | (at >> 16 & 0xffff) << 48;
    idt[2 * n + 1] = 0;
  }
  load_idt();
  *(u16 *)((u8 *)tss + 102) = 0x68;                        /* no I/O permission bitmap */
  *(u64 *)((u8 *)tss + 4) = (u64)stack_top - 8192;
  outb(0x3fb, 3);                                          /* 8 data bits */
  outb(0x21, 0xff); outb(0xa1, 0xff);
  apic_write(0xf0, 0x1ff);
  u32 unused, ebx;
  asm volatile("cpuid" : "=b"(ebx), "=a"(unused) : "a"(1) : "ecx", "edx");
  processors = ebx >> 16 & 0xff;
  if (processors > 1) test_smp();
  else {
    test_instructions();
    test_controls();
    test_state();
    test_intercepts();
    test_events();
    test_memory();
    test_ept();
    test_shadow();
    test_functions();
    test_time();
    test_paging();
    test_apic();
    test_x2apic();
    test_sequences();
  }
  puts("END "); put_number(total_failures); puts(" failures\n");
  outb(0xf4, total_failures ? 1 : 0);
  for (;;) asm("hlt");
}
