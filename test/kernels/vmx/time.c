/* TSC scaling, PAUSE-loop exiting (SDM 3C 26.1.3, 26.3). */
#include "vmx.h"

GUEST(c_tsc, "rdtsc; shl $32, %rdx; or %rdx, %rax; mov %rax, %rsi; mov $0x10, %ecx; rdmsr; shl $32, %rdx; or %rdx, %rax; mov %rax, %rdi; rdtscp; shl $32, %rdx; or %rdx, %rax");
GUEST(c_pauses, "1: pause; dec %rcx; jnz 1b"); GUEST(c_slow, "1: pause; mov %rdi, %rdx; 2: dec %rdx; jnz 2b; dec %rcx; jnz 1b");
static u64 PAGE_LIST[2] __attribute__((aligned(4096)));

static u64 scaled(u64 tsc, u64 multiplier) { unsigned __int128 p = (unsigned __int128)tsc * multiplier; return (u64)(p >> 48); }

static void scaling(void) {
  group("TSC scaling");
  static const u64 multipliers[] = { 1ull << 48, 1ull << 49, 1ull << 47, 3ull << 47, 0x0001234500006789ull, 1, 0xffffffffffffffffull, 1ull << 63, 0x8000ffff7fff0001ull };
  static const u64 offsets[] = { 0, 0x123456789abcull, ~0ull, 0x8000000000000000ull };
  for (u32 m = 0; m < sizeof multipliers / 8; m++) for (u32 o = 0; o < 4; o++) {
    fresh(); secondary(P2_TSC | P2_RDTSCP); set_bits(PROC, P_TSCOFF | P_MSRBM); wr(TSC_MULTIPLIER, multipliers[m]); wr(TSC_OFFSET, offsets[o]);
    u64 before = rdtsc();
    EQ(go(c_tsc), 18, "RDTSC");
    u64 after = rdtsc(), least = scaled(before, multipliers[m]) + offsets[o], span = scaled(after, multipliers[m]) - scaled(before, multipliers[m]);
    check(regs[RSI] - least <= span, "RDTSC", regs[RSI]); check(regs[RDI] - least <= span, "RDMSR", regs[RDI]); check(regs[RAX] - least <= span, "RDTSCP", regs[RAX]);
    check(multipliers[m] < 1ull << 47 || (regs[RSI] - least <= regs[RDI] - least && regs[RDI] - least <= regs[RAX] - least), "order", regs[RDI]);
  }
  /* It is part of TSC offsetting. */
  fresh(); secondary(P2_TSC | P2_RDTSCP); set_bits(PROC, P_MSRBM); wr(TSC_MULTIPLIER, 1ull << 52);
  u64 before = rdtsc(); EQ(go(c_tsc), 18, "without TSC offsetting"); check(regs[RSI] >= before && regs[RAX] <= rdtsc(), "not scaled", regs[RSI]);
  /* The MSR lists and the preemption timer have the processor's own time. */
  fresh(); secondary(P2_TSC); set_bits(PROC, P_TSCOFF); wr(TSC_MULTIPLIER, 1ull << 52); wr(TSC_OFFSET, 1ull << 60);
  PAGE_LIST[0] = 0x10; wr(X_STORE, (u64)PAGE_LIST); wr(X_STORE_N, 1);
  before = rdtsc(); EQ(go(guest_done), 18, "MSR store"); check(PAGE_LIST[1] >= before && PAGE_LIST[1] <= rdtsc(), "TSC in the list", PAGE_LIST[1]);
  group_end();
}

static void pause_loops(void) {
  group("PAUSE-loop exiting");
  fresh(); secondary(P2_PLE); wr(PLE_GAP, 100); wr(PLE_WINDOW, 1000);
  regs[RCX] = 100000; EQ(go(c_pauses), 40, "long loop"); EQ(rd(QUAL), 0, "qualification"); EQ(rd(X_LEN), 2, "length"); EQ(rd(G_RIP), (u64)c_pauses, "RIP");
  check(regs[RCX] < 100000 && regs[RCX] > 0, "after some rounds", regs[RCX]);
  regs[RCX] = 3; EQ(go(c_pauses), 18, "short loop");
  regs[RCX] = 50; regs[RDI] = 1000; EQ(go(c_slow), 18, "rounds longer than the gap");
  wr(PLE_GAP, 0xffffffff); regs[RCX] = 50; EQ(go(c_slow), 40, "longer gap");
  wr(PLE_WINDOW, 0xffffffff); regs[RCX] = 50; EQ(go(c_slow), 18, "longer window");
  wr(PLE_GAP, 100); wr(PLE_WINDOW, 1000); user_guest(); regs[RCX] = 20000; EQ(go(c_pauses), 18, "CPL 3 does not count");
  fresh(); secondary(P2_PLE); set_bits(PROC, P_PAUSE); wr(PLE_GAP, 0); wr(PLE_WINDOW, ~0u); regs[RCX] = 9; EQ(go(c_pauses), 40, "PAUSE exiting goes first"); EQ(regs[RCX], 9, "at once");
  fresh(); regs[RCX] = 20000; EQ(go(c_pauses), 18, "without the control");
  group_end();
}

void test_time(void) {
  if (may(P2_TSC)) scaling();
  if (may(P2_PLE)) pause_loops();
}
