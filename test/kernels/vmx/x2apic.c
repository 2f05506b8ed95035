/* The local APIC in x2APIC mode (SDM 3A 10.12): IA32_APIC_BASE, registers as MSRs, reserved bits, the TSC deadline. */
#include "vmx.h"

#define BASE 0x1b
#define LENGTH(a) (sizeof(a) / sizeof *(a))

static long fault_of_wrmsr(u32 n, u64 v) {
  ex_vector = ~0ull;
  asm volatile("lea 1f(%%rip), %%rbx; mov %%rbx, ex_fixup; wrmsr; 1:" :: "c"(n), "a"((u32)v), "d"((u32)(v >> 32)) : "rbx", "memory");
  ex_fixup = 0;
  return ex_vector;
}
static long fault_of_rdmsr(u32 n, u64 *v) {
  u32 a = 0, d = 0;
  ex_vector = ~0ull;
  asm volatile("lea 1f(%%rip), %%rbx; mov %%rbx, ex_fixup; rdmsr; 1:" : "+a"(a), "+d"(d) : "c"(n) : "rbx", "memory");
  ex_fixup = 0;
  *v = a | (u64)d << 32;
  return ex_vector;
}

/* Attributes of MSR 800h + n. */
#define R 1
#define W 2
static u32 attributes(u32 n) {
  static const struct { u8 n, a; } list[] = { { 0x02, R }, { 0x03, R }, { 0x08, R | W }, { 0x0a, R }, { 0x0b, W }, { 0x0d, R }, { 0x0f, R | W }, { 0x28, R | W }, { 0x30, R | W }, { 0x32, R | W }, { 0x33, R | W }, { 0x34, R | W }, { 0x35, R | W }, { 0x36, R | W }, { 0x37, R | W }, { 0x38, R | W }, { 0x39, R }, { 0x3e, R | W }, { 0x3f, W } };
  if (n >= 0x10 && n < 0x28) return R;
  for (u32 k = 0; k < LENGTH(list); k++) if (list[k].n == n) return list[k].a;
  return 0;
}

void test_x2apic(void) {
  group("local APIC: x2APIC mode");
  u64 base = rdmsr(BASE), value;
  u32 ecx = 1, edx, eax = 1, ebx; asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx)); EQ(ecx >> 21 & 1, 1, "CPUID bit");
  eax = 0xb; ecx = 0; asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx)); EQ(edx, 0, "x2APIC id of leaf 0Bh");
  /* Reserved bits and transitions of IA32_APIC_BASE. */
  for (u32 n = 0; n < 64; n++) if (n != 8 && n != 10 && n != 11 && (n < 12 || n > 39)) EQ(fault_of_wrmsr(BASE, base | 1ull << n), 13, "reserved bit");
  for (u32 n = 0x800; n < 0x900; n++) { EQ(fault_of_rdmsr(n, &value), 13, "RDMSR in xAPIC mode"); EQ(fault_of_wrmsr(n, 0), 13, "WRMSR in xAPIC mode"); }
  u64 disabled = base & ~0xc00ull, xapic = disabled | 0x800, x2 = disabled | 0xc00, invalid = disabled | 0x400;
  EQ(fault_of_wrmsr(BASE, invalid), 13, "xAPIC to EXTD without EN");
  EQ(fault_of_wrmsr(BASE, disabled), -1, "xAPIC to disabled"); EQ(fault_of_wrmsr(BASE, x2), 13, "disabled to x2APIC"); EQ(fault_of_wrmsr(BASE, invalid), 13, "disabled to EXTD without EN");
  eax = 1; ecx = 0; asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx)); EQ(edx >> 9 & 1, 0, "CPUID APIC bit while disabled");
  EQ(fault_of_wrmsr(BASE, xapic), -1, "disabled to xAPIC"); EQ(fault_of_wrmsr(BASE, x2), -1, "xAPIC to x2APIC"); EQ(rdmsr(BASE), x2, "value");
  EQ(fault_of_wrmsr(BASE, xapic), 13, "x2APIC to xAPIC"); EQ(fault_of_wrmsr(BASE, invalid), 13, "x2APIC to EXTD without EN"); EQ(fault_of_wrmsr(BASE, x2), -1, "x2APIC to itself");
  /* Which registers there are. */
  wrmsr(0x80f, 0x1ff); wrmsr(0x808, 0);
  for (u32 n = 0; n < 0x100; n++) {
    check((fault_of_rdmsr(0x800 + n, &value) == 13) == !(attributes(n) & R), "RDMSR", n);
    if (n == 0x30) continue; /* would send */
    u64 keep = attributes(n) & R && n != 0x28 && n != 0x39 ? value : 0;
    check((fault_of_wrmsr(0x800 + n, n == 0x3f ? 0x30 : keep) == 13) == !(attributes(n) & W), "WRMSR", n);
  }
  asm volatile("sti; nop; cli");
  EQ(rdmsr(0x802), 0, "id"); EQ(rdmsr(0x80d), 1, "logical id"); EQ(rdmsr(0x803) & 0xff, 0x14, "version");
  /* Reserved bits: each one of 64. */
  static const struct { u16 msr; u64 allowed; } registers[] = {
    { 0x808, 0xff }, { 0x80b, 0 }, { 0x80f, 0x3ff }, { 0x828, 0 }, { 0x832, 0x750ff }, { 0x833, 0x157ff }, { 0x834, 0x157ff }, { 0x835, 0x1f7ff }, { 0x836, 0x1f7ff }, { 0x837, 0x150ff }, { 0x838, 0xffffffff }, { 0x83e, 0xb }, { 0x83f, 0xff },
  };
  for (u32 k = 0; k < LENGTH(registers); k++) for (u32 n = 0; n < 64; n++) {
    u64 bit = 1ull << n;
    /* Bits that may be either way are left out: reserved, or a status that ignores writes. */
    if (registers[k].allowed & bit & 0x5000 && registers[k].msr != 0x838) continue;
    long f = fault_of_wrmsr(registers[k].msr, registers[k].msr == 0x83f && n < 4 ? bit | 0x30 : bit);
    check((f == 13) == !(registers[k].allowed & bit), "reserved bit", registers[k].msr << 8 | n);
  }
  for (u32 n = 0x832; n <= 0x837; n++) wrmsr(n, 0x10000);
  wrmsr(0x838, 0); wrmsr(0x808, 0); wrmsr(0x80f, 0x1ff);
  static const u32 icr_reserved[] = { 13, 16, 17, 20, 21, 24, 31 };
  for (u32 k = 0; k < LENGTH(icr_reserved); k++) EQ(fault_of_wrmsr(0x830, 0x44031 | 1u << icr_reserved[k]), 13, "ICR reserved bit");
  asm volatile("sti; nop; nop; cli");
  /* ICR in one write of 64 bits; interrupts to self; EOI. */
  use_x2apic = 1; vector_count[0x91] = vector_count[0x92] = 0;
  wrmsr(0x830, 0x4091); EQ(rdmsr(0x824), 1u << 0x11, "IRR"); EQ(rdmsr(0x830), 0x4091, "ICR reads back"); wrmsr(0x83f, 0x92); asm volatile("sti; nop; nop; cli"); EQ(vector_count[0x91], 1, "by the ICR"); EQ(vector_count[0x92], 1, "by the self-IPI register"); EQ(rdmsr(0x814), 0, "ISR after the EOIs");
  u64 far = 5ull << 32 | 0x4093; wrmsr(0x830, far); EQ(rdmsr(0x830), far, "32-bit destination"); EQ(rdmsr(0x824), 0, "not for this processor");
  wrmsr(0x808, 0xa0); vector_count[0x94] = 0; wrmsr(0x83f, 0x94); asm volatile("sti; nop; nop; cli"); EQ(vector_count[0x94], 0, "held by the TPR"); EQ(rdmsr(0x80a), 0xa0, "PPR"); EQ(READ_CR(8), 10, "CR8"); WRITE_CR(8, 0); EQ(rdmsr(0x808), 0, "TPR follows CR8"); asm volatile("sti; nop; nop; cli"); EQ(vector_count[0x94], 1, "released");
  /* The page in memory is not the APIC's any more. */
  EQ(apic_read(0x20), 0xffffffff, "memory"); apic_write(0x80, 0xf0); EQ(rdmsr(0x808), 0, "memory write");
  /* Timer: counts and deadlines. */
  wrmsr(0x83e, 0xb); wrmsr(0x832, 0x95); vector_count[0x95] = 0; wrmsr(0x838, 1000); check(rdmsr(0x839) - 1 < 1000, "counting", rdmsr(0x839)); asm volatile("sti; hlt; cli"); EQ(vector_count[0x95], 1, "one-shot"); EQ(rdmsr(0x839), 0, "over");
  wrmsr(0x832, 0x40096); vector_count[0x96] = 0; EQ(rdmsr(0x838), 0, "initial count in deadline mode"); wrmsr(0x838, 5); EQ(rdmsr(0x839), 0, "which cannot be set"); u64 when = rdtsc() + 3000; wrmsr(0x6e0, when); EQ(rdmsr(0x6e0), when, "armed"); asm volatile("sti; hlt; cli"); EQ(vector_count[0x96], 1, "deadline"); check(rdtsc() >= when, "not before", when - rdtsc()); EQ(rdmsr(0x6e0), 0, "disarmed");
  wrmsr(0x6e0, 1); asm volatile("sti; nop; nop; cli"); EQ(vector_count[0x96], 2, "a past deadline is due at once"); wrmsr(0x6e0, rdtsc() + 3000); wrmsr(0x6e0, 0); wrmsr(0x832, 0x10096);
  /* Disabling resets; the lists of MSRs may not name the registers. */
  fresh(); wr(E_LOAD, (u64)msr_list); wr(E_LOAD_N, 1); msr_list[0] = 0x808; msr_list[1] = 0; EQ(go(guest_done), 0x80000022, "MSR-load list in x2APIC mode"); EQ(rd(QUAL), 1, "first entry");
  wrmsr(0x80f, 0x1ee); wrmsr(BASE, disabled); wrmsr(BASE, xapic); EQ(apic_read(0xf0), 0xff, "spurious-interrupt register after disabling"); apic_write(0xf0, 0x1ff);
  EQ(go(guest_done), 0x80000022, "MSR-load list in xAPIC mode: #GP of the MSR"); use_x2apic = 0;
  group_end();
}
