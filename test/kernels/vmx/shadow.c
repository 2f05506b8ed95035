/* VMCS shadowing (SDM 3C 25.10, 26.1, 31.3): VMREAD and VMWRITE of a guest on the VMCS that the link pointer names. */
#include "vmx.h"
#define PAGE __attribute__((aligned(4096)))
static u8 PAGE read_bitmap[4096], PAGE write_bitmap[4096], PAGE shadow_region[4096];
static u64 PAGE operand[512];

GUEST(s_read, "mov $0x7777, %ebx; vmread %rcx, %rbx; pushf; pop %rdx"); GUEST(s_write, "vmwrite %rbx, %rcx; pushf; pop %rdx");
GUEST(s_read_mem, "vmread %rcx, 8(%rdi,%rsi,2); pushf; pop %rdx"); GUEST(s_write_mem, "vmwrite 8(%rdi,%rsi,2), %rcx; pushf; pop %rdx");
static u32 flags_of(void) { return regs[RDX] & 0x8d5; }
static void allow(u8 *bitmap, u32 e, u32 on) { bitmap[e >> 3] = on ? bitmap[e >> 3] & ~(1 << (e & 7)) : bitmap[e >> 3] | 1 << (e & 7); }

/* A field of the shadow, from outside. */
static u64 of_shadow(u32 e) { vmptrld((u64)shadow_region); u64 v = rd(e); vmptrld((u64)vmcs_region); return v; }
static void set_shadow(u32 e, u64 v) { vmptrld((u64)shadow_region); wr(e, v); vmptrld((u64)vmcs_region); }

static void setup(void) {
  fresh();
  fill(shadow_region, 0, 4096); *(u32 *)shadow_region = (u32)rdmsr(0x480) | 1u << 31;
  vmclear((u64)shadow_region);
  fill(read_bitmap, 0xff, 4096); fill(write_bitmap, 0xff, 4096);
  secondary(P2_SHADOW); wr(VMREAD_BITMAP, (u64)read_bitmap); wr(VMWRITE_BITMAP, (u64)write_bitmap); wr(LINK, (u64)shadow_region);
}

static u32 access(const char *code, u64 e, u64 value) { regs[RCX] = e; regs[RBX] = value; regs[RDX] = ~0ull; return go_catch(code); }

/* Every encoding up to the highest index: bitmap set, clear, and what the field holds. */
static void fields(void) {
  group("VMCS shadowing: fields");
  setup();
  u32 highest = rdmsr(0x48a);
  for (u32 base = 0; base < 0x8000; base += 0x400) for (u32 index = 0; index <= highest; index++) {
    u32 e = base | index;
    u64 v;
    u32 known = vmread_to(e, &v) == 0;
    u32 width = e >> 13 & 3;
    u64 mask = width == 0 ? 0xffff : width == 2 || e & 1 ? 0xffffffff : ~0ull;
    if (e >= G_AR && e <= AR_OF(TR)) mask = 0x1f0ff;
    u64 pattern = (0x123456789abcdef0ull + e) & mask;
    if (access(s_read, e, 0) != 23) check(0, "VMREAD, bit set", e);
    if (access(s_write, e, pattern) != 25) check(0, "VMWRITE, bit set", e);
    allow(read_bitmap, e, 1); allow(write_bitmap, e, 1);
    if (known) {
      set_shadow(e, pattern);
      if (access(s_read, e, 0) != 18 || flags_of() != 0 || regs[RBX] != pattern) check(0, "VMREAD of the shadow", e);
      if (access(s_write, e, 0x55) != 18 || flags_of() != 0) check(0, "VMWRITE of the shadow", e);
      if (of_shadow(e) != (0x55 & mask)) check(0, "value in the shadow", e);
    } else {
      wr(INSTRUCTION_ERROR, 0);
      if (access(s_read, e, 0) != 18 || flags_of() != ZF || regs[RBX] != 0x7777) check(0, "VMREAD of an unsupported field", e);
      if (rd(INSTRUCTION_ERROR) != 12) check(0, "its error", e);
      wr(INSTRUCTION_ERROR, 0);
      if (access(s_write, e, 1) != 18 || flags_of() != ZF || rd(INSTRUCTION_ERROR) != 12) check(0, "VMWRITE of an unsupported field", e);
    }
    allow(read_bitmap, e, 0);
    if (access(s_read, e, 0) != 23) check(0, "VMREAD, bit set again", e);
    if (access(s_write, e, 1) != 18) check(0, "VMWRITE, bit still clear", e);
    allow(write_bitmap, e, 0);
    check(1, "", 0);
  }
  group_end();
}

static void rules(void) {
  group("VMCS shadowing: exits, operands, link pointer");
  setup();
  fill(read_bitmap, 0, 4096); fill(write_bitmap, 0, 4096);
  /* Bits 63:15 of the encoding exit whatever the bitmap says. */
  for (u32 b = 15; b < 64; b++) { EQ(access(s_read, 1ull << b | G_RIP, 0), 23, "VMREAD, high bit"); EQ(access(s_write, 1ull << b | G_RIP, 0), 25, "VMWRITE, high bit"); }
  /* Information of the exits. */
  allow(read_bitmap, G_RIP, 0); allow(write_bitmap, G_RIP, 0);
  EQ(access(s_read, G_RIP, 0), 23, "VMREAD"); EQ(rd(X_LEN), 3, "length"); EQ(rd(X_INSN), 1u << 28 | 1 << 10 | 3 << 3, "information"); EQ(rd(G_RIP), (u64)s_read + 5, "RIP"); EQ(rd(QUAL), 0, "qualification");
  EQ(access(s_write, G_RIP, 0), 25, "VMWRITE"); EQ(rd(X_INSN), 1u << 28 | 1 << 10 | 3 << 3, "information");
  EQ(access(s_read_mem, G_RIP, 0), 23, "VMREAD to memory"); EQ(rd(QUAL), 8, "displacement"); EQ(rd(X_INSN) & 0xf7fff803, 1u << 28 | 7u << 23 | 6 << 18 | 3 << 15 | 1, "information");
  EQ(access(s_write_mem, G_RIP, 0), 25, "VMWRITE from memory"); EQ(rd(QUAL), 8, "displacement");
  /* Memory operands. */
  regs[RDI] = (u64)operand; regs[RSI] = 4; set_shadow(G_RSP, 0x1122334455667788ull); operand[2] = 0;
  EQ(access(s_read_mem, G_RSP, 0), 18, "VMREAD to memory"); EQ(flags_of(), 0, "flags"); EQ(operand[2], 0x1122334455667788ull, "value");
  operand[2] = 0xabcdef; EQ(access(s_write_mem, G_RSP, 0), 18, "VMWRITE from memory"); EQ(of_shadow(G_RSP), 0xabcdef, "value");
  operand[2] = 3; EQ(access(s_read_mem, 0x7ffe, 0), 18, "unsupported field"); EQ(flags_of(), ZF, "flags"); EQ(operand[2], 3, "memory unchanged");
  regs[RDI] = 1ull << 45; EQ(access(s_read_mem, G_RSP, 0), 18, "destination not mapped"); EQ(ex_vector, 14, "#PF"); regs[RDI] = 1ull << 50; EQ(access(s_write_mem, G_RSP, 0), 18, "source not canonical"); EQ(ex_vector, 13, "#GP");
  /* The guest's own fields are untouched. */
  set_shadow(G_RIP, 0x4242); allow(read_bitmap, G_RIP, 1); EQ(access(s_read, G_RIP, 0), 18, "VMREAD"); EQ(regs[RBX], 0x4242, "of the shadow, not of the guest");
  /* Halves. */
  set_shadow(TSC_OFFSET, 0x1111111122222222ull); EQ(access(s_read, TSC_OFFSET | 1, 0), 18, "high half"); EQ(regs[RBX], 0x11111111, "value"); EQ(access(s_write, TSC_OFFSET | 1, 0x3333333344444444ull), 18, "high half"); EQ(of_shadow(TSC_OFFSET), 0x4444444422222222ull, "value");
  /* No shadow. */
  wr(LINK, ~0ull);
  EQ(access(s_read, G_RSP, 0), 18, "VMREAD without a shadow"); EQ(flags_of(), CF, "VMfailInvalid"); EQ(access(s_write, G_RSP, 0), 18, "VMWRITE without a shadow"); EQ(flags_of(), CF, "VMfailInvalid");
  EQ(access(s_read, 0x7ffe, 0), 18, "unsupported field without a shadow"); EQ(flags_of(), CF, "VMfailInvalid");
  /* Privilege. */
  setup(); fill(read_bitmap, 0, 4096); fill(write_bitmap, 0, 4096); user_guest();
  EQ(access(s_read, G_RSP, 0), 18, "VMREAD at CPL 3"); EQ(ex_vector, 13, "#GP"); user_guest(); EQ(access(s_write, G_RSP, 0), 18, "VMWRITE at CPL 3"); EQ(ex_vector, 13, "#GP");
  fill(read_bitmap, 0xff, 4096); user_guest(); EQ(access(s_read, G_RSP, 0), 23, "the exit comes before the privilege check");
  /* Without the control the bitmaps do not count. */
  setup(); fill(read_bitmap, 0, 4096); clear_bits(PROC2, P2_SHADOW); wr(LINK, ~0ull); EQ(access(s_read, G_RSP, 0), 23, "control off");
  group_end();
}

static void link(void) {
  group("VMCS shadowing: link pointer at VM entry");
  setup();
  EQ(go(guest_done), 18, "shadow VMCS");
  u32 *revision = (u32 *)shadow_region;
  u64 bad = FAILED;
  (void)bad;
  *revision = (u32)rdmsr(0x480); EQ(go(guest_done), 0x80000021, "ordinary VMCS with shadowing"); EQ(rd(QUAL), 4, "qualification");
  for (u32 b = 0; b < 31; b++) { *revision = ((u32)rdmsr(0x480) | 1u << 31) ^ 1u << b; EQ(go(guest_done), 0x80000021, "wrong revision"); EQ(rd(QUAL), 4, "qualification"); }
  *revision = (u32)rdmsr(0x480) | 1u << 31;
  clear_bits(PROC2, P2_SHADOW); EQ(go(guest_done), 0x80000021, "shadow VMCS without shadowing"); EQ(rd(QUAL), 4, "qualification");
  *revision = (u32)rdmsr(0x480); EQ(go(guest_done), 18, "ordinary VMCS without shadowing");
  setup();
  for (u32 b = 0; b < 12; b++) { wr(LINK, (u64)shadow_region | 1ull << b); EQ(go(guest_done), 0x80000021, "link pointer not aligned"); EQ(rd(QUAL), 4, "qualification"); }
  for (u32 b = 40; b < 64; b++) { wr(LINK, (u64)shadow_region | 1ull << b); EQ(go(guest_done), 0x80000021, "link pointer beyond the physical width"); EQ(rd(QUAL), 4, "qualification"); }
  wr(LINK, (u64)vmcs_region); EQ(go(guest_done), 0x80000021, "link pointer to the current VMCS"); EQ(rd(QUAL), 4, "qualification");
  wr(LINK, ~0ull); EQ(go(guest_done), 18, "no shadow");
  group_end();
}

void test_shadow(void) {
  if (!may(P2_SHADOW)) return;
  fields();
  rules();
  link();
}
