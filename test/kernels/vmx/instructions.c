/* VMX instructions in root operation, capability MSRs, VM entry as an instruction (SDM 3C chapter 31, 3D appendix A). */
#include "vmx.h"

static const u64 bad_pointers[] = { 1, 0x10, 0x800, 1ull << 40, 1ull << 52, 1ull << 63 };

static void test_vmxon(void) {
  u64 region = (u64)vmxon_region;
  group("VMXON, VMXOFF");
  EQ(FAULT_OF("vmxoff; 1:"), 6, "VMXOFF outside VMX operation");
  EQ(FAULT_OF("vmclear vmcs_region; 1:"), 6, "VMCLEAR outside VMX operation");
  EQ(FAULT_OF("vmxon vmxon_region; 1:"), 6, "VMXON with CR4.VMXE = 0");
  WRITE_CR(4, READ_CR(4) | 0x2000);
  u64 control = rdmsr(0x3a);
  if (!(control & 1)) {
    EQ(FAULT_OF("vmxon vmxon_region; 1:"), 13, "VMXON with feature control unlocked");
    wrmsr(0x3a, 5);
  }
  check((rdmsr(0x3a) & 5) == 5, "feature control", rdmsr(0x3a));
  EQ(FAULT_OF("mov $0x3a, %%ecx; xor %%eax, %%eax; xor %%edx, %%edx; wrmsr; 1:" ::: "eax", "ecx", "edx", "memory"), 13, "write to locked feature control");
  *(u32 *)vmxon_region = (u32)rdmsr(0x480) + 1;
  EQ(vmxon(region), CF, "VMXON with a wrong revision");
  *(u32 *)vmxon_region = (u32)rdmsr(0x480) | 1u << 31;
  EQ(vmxon(region), CF, "VMXON with bit 31");
  *(u32 *)vmxon_region = (u32)rdmsr(0x480);
  for (u32 n = 0; n < sizeof bad_pointers / 8; n++) EQ(vmxon(region | bad_pointers[n]), CF, "VMXON with a bad pointer");
  WRITE_CR(0, READ_CR(0) & ~0x20ull);
  EQ(FAULT_OF("vmxon vmxon_pointer; 1:"), 13, "VMXON with CR0.NE = 0");
  WRITE_CR(0, READ_CR(0) | 0x20);
  EQ(FAULT_OF("vmxon (%0); 1:" :: "r"(1ull << 47) : "memory"), 13, "VMXON, operand address not canonical");
  EQ(vmxon(region), 0, "VMXON");
  EQ(vmxon(region), CF, "VMXON in root operation, no current VMCS");
  EQ(FAULT_OF("mov %%cr4, %%rax; btr $13, %%rax; mov %%rax, %%cr4; 1:" ::: "rax", "memory"), 13, "CR4.VMXE is fixed");
  EQ(FAULT_OF("mov %%cr0, %%rax; btr $5, %%rax; mov %%rax, %%cr0; 1:" ::: "rax", "memory"), 13, "CR0.NE is fixed");
  EQ(FAULT_OF("mov %%cr0, %%rax; btr $31, %%rax; mov %%rax, %%cr0; 1:" ::: "rax", "memory"), 13, "CR0.PG is fixed");
  EQ(vmptrst(), ~0ull, "VMPTRST without a current VMCS");
  EQ(vmxoff(), 0, "VMXOFF");
  EQ(vmxon(region), 0, "VMXON again");
  group_end();
}
u64 vmxon_pointer;

static void test_pointers(void) {
  group("VMCLEAR, VMPTRLD, VMPTRST");
  u64 a = (u64)vmcs_region, b = (u64)vmcs2_region, region = (u64)vmxon_region;
  u32 revision = rdmsr(0x480);
  *(u32 *)a = *(u32 *)b = revision;
  EQ(vmclear(a | 1), CF, "VMCLEAR bad, no current VMCS");
  EQ(vmclear(region), CF, "VMCLEAR VMXON pointer, no current VMCS");
  EQ(vmptrld(region), CF, "VMPTRLD VMXON pointer, no current VMCS");
  u64 v;
  EQ(vmread_to(G_RIP, &v), CF, "VMREAD without a current VMCS");
  EQ(vmwrite(G_RIP, 0), CF, "VMWRITE without a current VMCS");
  EQ(vm_run(0) & 0x8d5, CF, "VMLAUNCH without a current VMCS");
  EQ(vm_run(1) & 0x8d5, CF, "VMRESUME without a current VMCS");
  EQ(vmclear(a), 0, "VMCLEAR"); EQ(vmclear(b), 0, "VMCLEAR of another");
  EQ(vmptrld(a), 0, "VMPTRLD");
  EQ(vmptrst(), a, "VMPTRST");
  for (u32 n = 0; n < sizeof bad_pointers / 8; n++) {
    EQ(vmclear(b | bad_pointers[n]), ZF, "VMCLEAR bad pointer"); EQ(rd(INSTRUCTION_ERROR), 2, "its error");
    EQ(vmptrld(b | bad_pointers[n]), ZF, "VMPTRLD bad pointer"); EQ(rd(INSTRUCTION_ERROR), 9, "its error");
  }
  EQ(vmclear(region), ZF, "VMCLEAR VMXON pointer"); EQ(rd(INSTRUCTION_ERROR), 3, "its error");
  EQ(vmptrld(region), ZF, "VMPTRLD VMXON pointer"); EQ(rd(INSTRUCTION_ERROR), 10, "its error");
  *(u32 *)b = revision + 1;
  EQ(vmptrld(b), ZF, "VMPTRLD wrong revision"); EQ(rd(INSTRUCTION_ERROR), 11, "its error");
  *(u32 *)b = (revision + 1) | 1u << 31;
  EQ(vmptrld(b), ZF, "VMPTRLD shadow VMCS, wrong revision"); EQ(rd(INSTRUCTION_ERROR), 11, "its error");
  *(u32 *)b = revision | 1u << 31;
  if (rdmsr(0x48b) >> 46 & 1) {
    EQ(vmptrld(b), 0, "VMPTRLD shadow VMCS"); EQ(vmptrst(), b, "it is current");
    EQ(vmwrite(G_RIP, 0x77), 0, "VMWRITE to it"); EQ(rd(G_RIP), 0x77, "VMREAD from it");
    EQ(FLAGS_RESULT(({ u64 f; asm volatile("vmlaunch; pushf; pop %0" : "=r"(f) :: "cc", "memory"); f; })), CF, "VMLAUNCH of it");
    EQ(FLAGS_RESULT(({ u64 f; asm volatile("vmresume; pushf; pop %0" : "=r"(f) :: "cc", "memory"); f; })), CF, "VMRESUME of it");
    EQ(vmclear(b), 0, "VMCLEAR"); EQ(*(u32 *)b, revision | 1u << 31, "revision word"); EQ(vmptrld(a), 0, "VMPTRLD back");
  } else {
    EQ(vmptrld(b), ZF, "VMPTRLD shadow VMCS without VMCS shadowing"); EQ(rd(INSTRUCTION_ERROR), 11, "its error");
  }
  *(u32 *)b = revision;
  EQ(vmptrst(), a, "VMPTRST after failures");
  EQ(vmxon(region), ZF, "VMXON in root operation"); EQ(rd(INSTRUCTION_ERROR), 15, "its error");
  EQ(FLAGS_RESULT(({ u64 f; asm volatile("vmcall; pushf; pop %0" : "=r"(f)); f; })), ZF, "VMCALL in root operation"); EQ(rd(INSTRUCTION_ERROR), 1, "its error");
  EQ(vmwrite(G_RIP, 0x123456789abcull), 0, "VMWRITE");
  EQ(vmptrld(b), 0, "VMPTRLD of another"); EQ(vmwrite(G_RIP, 0x42), 0, "VMWRITE there");
  EQ(vmptrld(a), 0, "VMPTRLD back"); EQ(rd(G_RIP), 0x123456789abcull, "field of the first");
  EQ(vmclear(b), 0, "VMCLEAR of one that is not current"); EQ(vmptrst(), a, "the current stays");
  EQ(vmptrld(b), 0, "VMPTRLD after VMCLEAR"); EQ(rd(G_RIP), 0x42, "field survives VMCLEAR");
  EQ(vmclear(b), 0, "VMCLEAR of the current"); EQ(vmptrst(), ~0ull, "no current VMCS after it");
  EQ(vmclear(b), 0, "VMCLEAR twice");
  EQ(FAULT_OF("vmptrst (%0); 1:" :: "r"(1ull << 50) : "memory"), 13, "VMPTRST, operand address not canonical");
  EQ(FAULT_OF("vmptrld (%0); 1:" :: "r"(1ull << 45) : "memory"), 14, "VMPTRLD, operand not mapped");
  vmptrld(a);
  EQ(FAULT_OF("vmread %0, (%1); 1:" :: "r"((u64)G_RIP), "r"(1ull << 45) : "memory"), 14, "VMREAD, operand not mapped");
  EQ(ex_error, 2, "its error code");
  EQ(FAULT_OF("vmwrite (%1), %0; 1:" :: "r"((u64)G_RIP), "r"(1ull << 45) : "memory"), 14, "VMWRITE, operand not mapped");
  group_end();
}

/* Every encoding of 15 bits: what can be read, what can be written and keeps its value, halves. */
static void test_fields(void) {
  group("VMCS fields");
  vmptrld((u64)vmcs_region);
  u32 highest = 0, count = 0, read_only = 0;
  for (u32 e = 0; e < 0x8000; e++) {
    u64 v, w;
    u32 result = vmread_to(e, &v);
    if (result == ZF) {
      if (rd(INSTRUCTION_ERROR) != 12) check(0, "error of an unsupported read", e);
      if (v != 0x5a5a5a5a5a5a5a5aull) check(0, "destination of a failed read changed", e);
      if (vmwrite(e, 0) != ZF || rd(INSTRUCTION_ERROR) != 12) check(0, "unsupported write", e);
      continue;
    }
    if (result != 0) { check(0, "flags of VMREAD", e); continue; }
    u32 width = e >> 13 & 3, type = e >> 10 & 3, high = e & 1;
    if (high && width != 1) check(0, "high half of a field that has none", e);
    count++;
    if ((e >> 1 & 0x1ff) > highest) highest = e >> 1 & 0x1ff;
    if (type == 1) {
      read_only++;
      if (!(rdmsr(0x485) >> 29 & 1)) {
        if (vmwrite(e, v) != ZF || rd(INSTRUCTION_ERROR) != 13) check(0, "write of a read-only field", e);
        continue;
      }
    }
    u64 mask = width == 0 ? 0xffff : width == 2 || high ? 0xffffffff : ~0ull;
    /* Segment access rights may drop reserved bits. */
    u32 rights = e >= G_AR && e <= AR_OF(TR);
    if (rights) mask = 0x1f0ff;
    u64 patterns[] = { 0x123456789abcdef0ull, ~0ull, 0, 0xa5a5a5a55a5a5a5aull };
    for (int n = 0; n < 4; n++) {
      if (vmwrite(e, patterns[n] & (rights ? mask : ~0ull)) != 0) check(0, "VMWRITE", e);
      vmread_to(e, &w);
      if (w != (patterns[n] & mask)) check(0, "value read back", e);
    }
    if (width == 1 && !high) {
      vmwrite(e, 0x1122334455667788ull);
      if (rd(e | 1) != 0x11223344) check(0, "high half", e);
      vmwrite(e | 1, 0xffffffff99aabbccull);
      if (rd(e) != 0x99aabbcc55667788ull) check(0, "after a write of the high half", e);
    }
  }
  EQ(rdmsr(0x48a), 2 * highest, "VMCS_ENUM");
  check(count > 130, "number of fields", count);
  check(read_only >= 15, "number of read-only fields", read_only);
  u64 v;
  EQ(vmread_to(0x100000000ull | G_RIP, &v), ZF, "VMREAD with bit 32 of the encoding"); EQ(rd(INSTRUCTION_ERROR), 12, "its error");
  EQ(vmread_to(0x8000 | G_RIP, &v), ZF, "VMREAD with bit 15 of the encoding");
  EQ(vmwrite(0xffffffffffffffffull, 0), ZF, "VMWRITE of ~0");
  u64 memory = 0;
  wr(G_RSP, 0xfedcba9876543210ull);
  asm volatile("vmread %1, %0" : "=m"(memory) : "r"((u64)G_RSP));
  EQ(memory, 0xfedcba9876543210ull, "VMREAD to memory");
  memory = ~0ull;
  wr(G_CS, 0x1234);
  asm volatile("vmread %1, %0" : "=m"(memory) : "r"((u64)G_CS));
  EQ(memory, 0x1234, "VMREAD of 16 bits to memory");
  /* All fields survive VMCLEAR and VMPTRLD. */
  for (u32 e = 0; e < 0x8000; e += 2) if ((e >> 10 & 3) != 1 && vmread_to(e, &v) == 0) vmwrite(e, (0x9e3779b97f4a7c15ull * (e + 1)) & (e >= G_AR && e <= AR_OF(TR) ? 0x1f0ff : ~0ull));
  vmclear((u64)vmcs_region);
  vmptrld((u64)vmcs_region);
  for (u32 e = 0; e < 0x8000; e += 2) {
    if ((e >> 10 & 3) == 1 || vmread_to(e, &v) != 0) continue;
    u32 width = e >> 13 & 3;
    u64 mask = e >= G_AR && e <= AR_OF(TR) ? 0x1f0ff : width == 0 ? 0xffff : width == 2 ? 0xffffffff : ~0ull;
    if (v != ((0x9e3779b97f4a7c15ull * (e + 1)) & mask)) check(0, "after VMCLEAR", e);
  }
  group_end();
}

static void test_capabilities(void) {
  group("capability MSRs");
  u64 basic = rdmsr(0x480);
  EQ(basic >> 31 & 1, 0, "BASIC bit 31");
  check((basic >> 32 & 0x1fff) > 0 && (basic >> 32 & 0x1fff) <= 4096, "region size", basic >> 32 & 0x1fff);
  EQ(basic >> 50 & 15, 6, "memory type");
  EQ(basic >> 48 & 1, 0, "32-bit physical addresses only");
  EQ(basic >> 56, 0, "BASIC reserved bits");
  EQ(basic >> 45 & 7, 0, "BASIC bits 47:45");
  check(basic >> 55 & 1, "TRUE MSRs", basic);
  for (int n = 0; n < 4; n++) {
    static const u32 ones[4] = { 0x16, 0x401e172, 0x36dff, 0x11ff };
    u64 old = rdmsr(0x481 + n), new = rdmsr(0x48d + n);
    EQ((u32)old & ones[n], ones[n], "default-1 class of the old MSR");
    EQ(~(u32)(old >> 32) & (u32)old, 0, "bits that must be 1 may be 1");
    EQ(~(u32)(new >> 32) & (u32)new, 0, "TRUE: bits that must be 1 may be 1");
    EQ(new >> 32, old >> 32, "allowed-1 alike");
    EQ((u32)new & ~(u32)old, 0, "TRUE requires nothing more");
    EQ(((u32)old & ~(u32)new) & ~ones[n], 0, "differences are in the default-1 class");
  }
  EQ((u32)rdmsr(0x48b), 0, "secondary controls: none must be 1");
  u64 misc = rdmsr(0x485);
  EQ(misc >> 9 & 0x1f, 0, "MISC bits 13:9");
  check((misc >> 16 & 0x1ff) <= 256, "CR3 targets", misc >> 16 & 0x1ff);
  if (rdmsr(0x48b) >> (32 + 7) & 1) check(misc >> 5 & 1, "LMA stored with unrestricted guest", misc);
  for (u32 n = 0; n < 2; n++) {
    u64 fixed0 = rdmsr(0x486 + 2 * n), fixed1 = rdmsr(0x487 + 2 * n);
    EQ(fixed0 & ~fixed1, 0, "FIXED0 without FIXED1");
    u64 value = n ? READ_CR(4) : READ_CR(0);
    EQ(fixed0 & ~value, 0, "own register has FIXED0");
    EQ(value & ~fixed1, 0, "own register within FIXED1");
  }
  EQ(rdmsr(0x486), 0x80000021, "CR0_FIXED0"); EQ(rdmsr(0x487), 0xffffffff, "CR0_FIXED1"); EQ(rdmsr(0x488), 0x2000, "CR4_FIXED0");
  u64 e = rdmsr(0x48a);
  EQ(e & ~0x3feull, 0, "VMCS_ENUM reserved bits");
  u64 ept = rdmsr(0x48c);
  EQ(ept & ~0x3f0f0106f341c1ull, 0, "EPT_VPID reserved bits");
  if (ept >> 20 & 1) check(ept >> 25 & 3, "INVEPT types", ept);
  for (u32 n = 0x480; n < 0x491; n++) {
    EQ(FAULT_OF("mov %0, %%ecx; xor %%eax, %%eax; xor %%edx, %%edx; wrmsr; 1:" :: "r"(n) : "eax", "ecx", "edx", "memory"), 13, "write to a capability MSR");
  }
  group_end();
}

GUEST(g_count, "add $1, %rax; add $2, %rcx; add $3, %rdx; add $4, %rbx; add $5, %rbp; add $6, %rsi; add $7, %rdi; add $8, %r8; add $9, %r9;"
  "add $10, %r10; add $11, %r11; add $12, %r12; add $13, %r13; add $14, %r14; add $15, %r15; stc; vmcall; inc %rax");
GUEST(g_flags, "mov $0x8d7, %eax; push %rax; popf; vmcall; pushf; pop %rax");

static void test_entry(void) {
  group("VMLAUNCH, VMRESUME");
  fresh();
  EQ(vm_run(1) & 0x8d5, ZF, "VMRESUME of a clear VMCS"); EQ(rd(INSTRUCTION_ERROR), 5, "its error");
  EQ(launch_after_mov_ss() & 0x8d5, ZF, "VMLAUNCH in the shadow of MOV SS"); EQ(rd(INSTRUCTION_ERROR), 26, "its error");
  for (int n = 0; n < 16; n++) regs[n] = 0x0102030405060708ull * (n + 1);
  static const u8 added[16] = { 1, 2, 3, 4, 0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
  EQ(go(g_count), 18, "VMCALL exit");
  for (int n = 0; n < 16; n++) if (n != RSP) EQ(regs[n], 0x0102030405060708ull * (n + 1) + added[n], "register in the guest and back");
  EQ(rd(X_LEN), 3, "length of VMCALL"); EQ(rd(QUAL), 0, "qualification"); EQ(rd(X_INFO) >> 31, 0, "no interruption information");
  EQ(rd(IDT_INFO) >> 31, 0, "no vectoring information");
  EQ(rd(G_RSP), GUEST_STACK_TOP, "RSP saved"); EQ(rd(G_RFLAGS) & 1, 1, "CF saved"); EQ(rd(G_INT), 0, "interruptibility"); EQ(rd(G_ACT), 0, "activity");
  EQ(rd(G_PDBG), 0, "pending debug exceptions");
  EQ(vm_run(0) & 0x8d5, ZF, "VMLAUNCH of a launched VMCS"); EQ(rd(INSTRUCTION_ERROR), 4, "its error");
  u64 rax = regs[RAX];
  EQ(cont(), 18, "VMRESUME"); EQ(regs[RAX], rax + 1, "went on");
  /* Launch state survives another VMCS becoming current, and is reset by VMCLEAR. */
  vmptrld((u64)vmcs2_region); vmptrld((u64)vmcs_region);
  EQ(go(g_count), 18, "VMRESUME after the VMCS was away");
  vmclear((u64)vmcs_region); vmptrld((u64)vmcs_region);
  EQ(vm_run(1) & 0x8d5, ZF, "VMRESUME after VMCLEAR"); EQ(rd(INSTRUCTION_ERROR), 5, "its error");
  launched = 0;
  EQ(go(g_flags), 18, "flags"); EQ(rd(G_RFLAGS), 0x8d7, "flags saved"); EQ(cont(), 18, "flags again"); EQ(regs[RAX], 0x8d7, "flags restored");
  u64 f = rd(G_CR4);
  EQ(rd(G_CR0), READ_CR(0), "CR0 saved"); EQ(f, READ_CR(4), "CR4 saved"); EQ(rd(G_CR3), READ_CR(3), "CR3 saved");
  EQ(rd(ENTRYC) >> 9 & 1, 1, "IA-32e mode guest");
  group_end();
}

/* Changes of DR7 and the shadow in root operation are not left over by an exit. */
GUEST(g_nothing, "");
static void test_host(void) {
  group("host state after an exit");
  fresh();
  wr(H_SYSCS, 0x1234); wr(H_SYSESP, 0xffff800000001234ull); wr(H_SYSEIP, 0x7fff00001234ull);
  wr(H_FSB, 0xffff800012345678ull); wr(H_GSB, 0x7fff12345678ull); wr(H_FS, 0x18); wr(H_GS, 0);
  asm volatile("mov %0, %%dr7" :: "r"(0x600ull));
  wr(G_FS, 0x10); wr(AR_OF(FS), 0xc093);
  EQ(go(g_nothing), 18, "exit");
  EQ(rdmsr(0x174), 0x1234, "SYSENTER_CS"); EQ(rdmsr(0x175), 0xffff800000001234ull, "SYSENTER_ESP"); EQ(rdmsr(0x176), 0x7fff00001234ull, "SYSENTER_EIP");
  EQ(rdmsr(0xc0000100), 0xffff800012345678ull, "FS base"); EQ(rdmsr(0xc0000101), 0x7fff12345678ull, "GS base");
  u64 v;
  asm volatile("mov %%fs, %0" : "=r"(v)); EQ(v & 0xffff, 0x18, "FS");
  asm volatile("mov %%gs, %0" : "=r"(v)); EQ(v & 0xffff, 0, "GS");
  asm volatile("mov %%dr7, %0" : "=r"(v)); EQ(v, 0x400, "DR7");
  struct __attribute__((packed)) { u16 limit; u64 base; } d;
  asm volatile("sgdt %0" : "=m"(d)); EQ(d.limit, 0xffff, "GDTR limit"); EQ(d.base, (u64)gdt, "GDTR base");
  asm volatile("sidt %0" : "=m"(d)); EQ(d.limit, 0xffff, "IDTR limit"); EQ(d.base, (u64)idt, "IDTR base");
  u16 s;
  asm volatile("sldt %0" : "=r"(s)); EQ(s, 0, "LDTR"); asm volatile("str %0" : "=r"(s)); EQ(s, 0x28, "TR");
  asm volatile("lsl %1, %0" : "=r"(v) : "r"(0x28ull)); EQ((u32)v, 0x67, "TSS limit in the GDT");
  asm volatile("pushf; pop %0" : "=r"(v)); EQ(v & 0x200, 0, "IF");
  EQ(rd(G_FS), 0x10, "guest FS"); EQ(rd(BASE_OF(FS)), 0, "guest FS base");
  wrmsr(0xc0000100, 0); wrmsr(0xc0000101, 0); asm volatile("mov %0, %%fs" :: "r"(0));
  group_end();
}

void test_instructions(void) {
  vmxon_pointer = (u64)vmxon_region;
  test_vmxon();
  test_pointers();
  test_fields();
  test_capabilities();
  test_entry();
  test_host();
}
