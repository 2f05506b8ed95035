/* Several processors in VMX operation (SDM 3A 8.4, 10.6, 10.12; 3C 25.2, 28.2, 30.6): guests on all of them, interrupts between them, INIT, SIPI and NMI. */
#include "vmx.h"

#define PAGE __attribute__((aligned(4096)))
#define MOST 8
#define NOTIFICATION 0xf2
#define T_EXT 0x80000000u
/* Longer than any reaction takes, in TSC cycles. */
#define PATIENCE 20000000

struct processor {
  u64 registers[16];
  u32 id, vmx;
  int launched;
  volatile u32 ready, stop, reason, exits, info, activity, failures;
  volatile u64 qualification;
};
static struct processor processor[MOST];
static u8 PAGE vmxon_pages[MOST][4096], PAGE vmcs_pages[MOST][4096], PAGE apic_pages[MOST][4096], PAGE stacks[MOST][4096];
static u32 __attribute__((aligned(64))) descriptors[MOST][16];
extern char trampoline[], trampoline_end[], vm_enter_exit[];
u64 vm_enter(u64 *registers, int resume);
void prepare_vmcs(u8 *region, u64 guest_rsp, const char *host_rip);
void load_idt(void);

static volatile u32 started, finished, generation;
static void (*volatile job)(struct processor *);
static u32 others;

static void pause(void) { asm volatile("pause" ::: "memory"); }
static u32 own_id(void) { return use_x2apic ? rdmsr(0x802) : apic_read(0x20) >> 24; }
static int wait_for(volatile u32 *word, u32 value) {
  u64 start = rdtsc();
  while (*word != value) { if (rdtsc() - start > PATIENCE) return 0; pause(); }
  return 1;
}
static void wait_cycles(u64 cycles) { u64 start = rdtsc(); while (rdtsc() - start < cycles) pause(); }
static void send(u32 id, u32 icr) {
  if (use_x2apic) wrmsr(0x830, (u64)id << 32 | icr);
  else { apic_write(0x310, id << 24); apic_write(0x300, icr); }
}

static void enter_vmx(struct processor *p) {
  if (!(rdmsr(0x3a) & 1)) wrmsr(0x3a, 5);
  WRITE_CR(4, READ_CR(4) | 0x2000);
  *(u32 *)vmxon_pages[p->id] = (u32)rdmsr(0x480);
  p->vmx = vmxon((u64)vmxon_pages[p->id]) == 0;
}

/* Where the other processors arrive. */
void processor_main(void) {
  load_idt();
  apic_write(0xf0, 0x1ff);
  struct processor *p = &processor[own_id()];
  p->id = own_id();
  enter_vmx(p);
  u32 seen = generation;
  __atomic_fetch_add(&started, 1, __ATOMIC_SEQ_CST);
  for (;;) {
    while (generation == seen) pause();
    seen = generation;
    job(p);
    __atomic_fetch_add(&finished, 1, __ATOMIC_SEQ_CST);
  }
}

/* All others do the job; they have finished when `done` returns true. */
static void begin(void (*what)(struct processor *)) {
  for (u32 n = 1; n <= others; n++) processor[n].ready = processor[n].stop = processor[n].exits = processor[n].failures = 0;
  finished = 0; job = what;
  __atomic_fetch_add(&generation, 1, __ATOMIC_SEQ_CST);
}
static void ready(void) { for (u32 n = 1; n <= others; n++) check(wait_for(&processor[n].ready, 1), "ready", n); wait_cycles(200000); }
static void end(void) { check(wait_for(&finished, others), "all have finished", finished); }
static void stop_all(void) { for (u32 n = 1; n <= others; n++) processor[n].stop = 1; }

GUEST(s_spin, "1: pause; cmpl $0, (%rdi); je 1b"); GUEST(s_halt, "1: sti; hlt; cli; cmpl $0, (%rdi); je 1b"); GUEST(s_send, "mov $0xfee00000, %edx; mov %ebx, 0x310(%rdx); mov %eax, 0x300(%rdx); nop; nop"); GUEST(s_halt_once, "hlt"); GUEST(s_count, "1: lock; incl (%rdi); loop 1b");

static void prepare(struct processor *p, const void *code) {
  prepare_vmcs(vmcs_pages[p->id], (u64)stacks[p->id] + 4096, vm_enter_exit);
  p->launched = 0;
  wr(G_RIP, (u64)code);
  p->registers[RDI] = (u64)&p->stop;
}
static u32 run(struct processor *p) {
  p->ready = 1;
  if (vm_enter(p->registers, p->launched)) { p->reason = FAILED | (u32)rd(INSTRUCTION_ERROR); return p->reason; }
  p->launched = 1; p->exits++;
  p->reason = rd(REASON); p->qualification = rd(QUAL); p->info = rd(X_INFO); p->activity = rd(G_ACT);
  return p->reason;
}

static void start(void) {
  group("processors: start");
  copy((void *)0x8000, trampoline, trampoline_end - trampoline);
  started = 0;
  apic_write(0x300, 0xc4500); wait_cycles(20000); EQ(started, 0, "INIT alone starts nobody");
  apic_write(0x300, 0xc4608); check(wait_for(&started, others), "started", started);
  apic_write(0x300, 0xc4608); wait_cycles(100000); EQ(started, others, "a second SIPI is not looked at");
  for (u32 n = 1; n <= others; n++) { EQ(processor[n].id, n, "APIC id"); EQ(processor[n].vmx, 1, "in VMX operation"); }
  group_end();
}

/* Each guest counts without a VM exit while the others do the same. */
static volatile u32 shared_count;
static void count_job(struct processor *p) { prepare(p, s_count); p->registers[RDI] = (u64)&shared_count; p->registers[RCX] = 5000; run(p); }
static void parallel(void) {
  group("processors: guests side by side");
  for (u32 round = 0; round < 3; round++) {
    shared_count = 0; begin(count_job); end();
    EQ(shared_count, 5000 * others, "locked increments");
    for (u32 n = 1; n <= others; n++) { EQ(processor[n].reason, 18, "VMCALL"); EQ(processor[n].exits, 1, "one exit"); }
  }
  group_end();
}

static void posted_job(struct processor *p, const void *code) {
  prepare(p, code);
  u8 *page = apic_pages[p->id]; u32 *pi = descriptors[p->id];
  fill(page, 0, 4096); fill(pi, 0, 64);
  *(u32 *)(page + 0x20) = p->id << 24;
  set_bits(PROC, P_TPR); secondary(P2_VID | P2_APIC | P2_REG); set_bits(PIN, PIN_EXT | PIN_POSTED); set_bits(EXITC, X_ACK);
  wr(VAPIC, (u64)page); wr(APIC_ACCESS, 0xfee00000); wr(PI_VECTOR, NOTIFICATION); wr(PI_DESC, (u64)pi); wr(INT_STATUS, 0); wr(G_RFLAGS, 0x202);
  for (u32 n = 0; n < 4; n++) wr(EOI_BITMAP + 2 * n, 0);
  run(p);
}
static void posted_spin(struct processor *p) { posted_job(p, s_spin); }
static void posted_halt(struct processor *p) { posted_job(p, s_halt); }
static void post(u32 n, u32 vector) {
  __atomic_fetch_or(&descriptors[n][vector >> 5], 1u << (vector & 31), __ATOMIC_SEQ_CST);
  if (!(__atomic_fetch_or(&descriptors[n][8], 1, __ATOMIC_SEQ_CST) & 1)) send(n, 0x4000 | NOTIFICATION);
}

static void posted(void) {
  for (u32 halt = 0; halt < 2; halt++) {
    group(halt ? "processors: posted interrupts to guests in HLT" : "processors: posted interrupts");
    begin(halt ? posted_halt : posted_spin); ready();
    for (u32 round = 0; round < 20; round++) for (u32 n = 1; n <= others; n++) {
      u32 vector = 0x20 + (round * 11 + n * 3) % 0xd0;
      u32 before = processor_vectors[n][vector];
      post(n, vector);
      check(wait_for(&processor_vectors[n][vector], before + 1), "delivered", n << 8 | vector);
    }
    /* Several at once, one notification. */
    for (u32 n = 1; n <= others; n++) { u32 a = processor_vectors[n][0x41], b = processor_vectors[n][0xc1]; descriptors[n][2] |= 2; post(n, 0xc1); check(wait_for(&processor_vectors[n][0xc1], b + 1) && wait_for(&processor_vectors[n][0x41], a + 1), "both", n); }
    /* Sent by the guest of this processor. */
    fresh(); for (u32 n = 1; n <= others; n++) { u32 before = processor_vectors[n][0x55]; descriptors[n][2] |= 1u << (0x55 & 31); descriptors[n][8] |= 1; regs[RAX] = 0x4000 | NOTIFICATION; regs[RBX] = n << 24; EQ(go(s_send), 18, "the sender does not exit"); check(wait_for(&processor_vectors[n][0x55], before + 1), "from guest to guest", n); }
    stop_all(); for (u32 n = 1; n <= others; n++) post(n, 0x20);
    end();
    for (u32 n = 1; n <= others; n++) { EQ(processor[n].reason, 18, "ended by VMCALL"); EQ(processor[n].exits, 1, "no other exit"); EQ(descriptors[n][8] & 1, 0, "no outstanding notification"); }
    group_end();
  }
}

static void exit_job(struct processor *p) {
  prepare(p, s_spin); set_bits(PIN, PIN_EXT | PIN_NMI); set_bits(EXITC, X_ACK);
  while (run(p) == 1) { apic_write(0xb0, 0); __atomic_fetch_add(&processor_vectors[p->id][p->info & 0xff], 1, __ATOMIC_SEQ_CST); }
}
static void through_job(struct processor *p) { prepare(p, s_halt); run(p); }

static void interrupts(void) {
  group("processors: interrupts between guests");
  begin(exit_job); ready();
  fresh();
  for (u32 n = 1; n <= others; n++) { u32 before = processor_vectors[n][0x66]; regs[RAX] = 0x4066; regs[RBX] = n << 24; EQ(go(s_send), 18, "sent by a guest"); check(wait_for(&processor_vectors[n][0x66], before + 1), "external-interrupt exit", n); }
  regs[RAX] = 0xc4067; u32 before[MOST]; for (u32 n = 1; n <= others; n++) before[n] = processor_vectors[n][0x67]; EQ(go(s_send), 18, "to all others"); for (u32 n = 1; n <= others; n++) check(wait_for(&processor_vectors[n][0x67], before[n] + 1), "each one", n);
  for (u32 n = 1; n <= others; n++) { regs[RAX] = 0x4400; regs[RBX] = n << 24; EQ(go(s_send), 18, "NMI"); }
  end();
  for (u32 n = 1; n <= others; n++) { EQ(processor[n].reason, 0, "NMI exit"); EQ(processor[n].info, 0x80000202, "information"); }
  /* Straight to the guests, which sleep. */
  begin(through_job); ready();
  for (u32 n = 1; n <= others; n++) { u32 now = processor_vectors[n][0x68]; send(n, 0x4068); check(wait_for(&processor_vectors[n][0x68], now + 1), "the guest's own handler", n); }
  stop_all(); for (u32 n = 1; n <= others; n++) send(n, 0x4068);
  end();
  for (u32 n = 1; n <= others; n++) { EQ(processor[n].reason, 18, "VMCALL"); EQ(processor[n].exits, 1, "no other exit"); }
  group_end();
}

static u32 given_activity, given_code;
static void signal_job(struct processor *p) {
  static const char *const codes[] = { s_spin, s_halt_once };
  /* The NMI exits of the group before have left NMIs blocked. */
  asm volatile("mov %%rsp, %%rcx; push $0x10; push %%rcx; pushf; push $8; push $1f; iretq; 1: nop" ::: "rcx", "memory", "cc");
  prepare(p, codes[given_code]); set_bits(PIN, PIN_NMI); wr(G_ACT, given_activity);
  run(p);
}
static void signals(void) {
  group("processors: INIT, SIPI and NMI to guests");
  static const struct { const char *name; u32 code, activity, icr, reason; u64 qualification; u32 saved; } table[] = {
    { "INIT, active", 0, 0, 0x4500, 3, 0, 0 }, { "INIT, HLT", 1, 0, 0x4500, 3, 0, 1 }, { "INIT, entered in HLT", 0, 1, 0x4500, 3, 0, 1 }, { "INIT, shutdown", 0, 2, 0x4500, 3, 0, 2 },
    { "SIPI, waiting", 0, 3, 0x469a, 4, 0x9a, 3 }, { "SIPI 0, waiting", 0, 3, 0x4600, 4, 0, 3 },
    { "NMI, active", 0, 0, 0x4400, 0, 0, 0 }, { "NMI, HLT", 1, 0, 0x4400, 0, 0, 1 }, { "NMI, shutdown", 0, 2, 0x4400, 0, 0, 2 },
  };
  for (u32 k = 0; k < sizeof table / sizeof *table; k++) {
    given_code = table[k].code; given_activity = table[k].activity;
    begin(signal_job); ready();
    for (u32 n = 1; n <= others; n++) {
      /* A SIPI that nobody waits for is dropped. */
      if (table[k].activity != 3) { send(n, 0x4655); wait_cycles(30000); EQ(processor[n].exits, 0, "SIPI dropped"); }
      send(n, table[k].icr);
    }
    end();
    for (u32 n = 1; n <= others; n++) { check(processor[n].reason == table[k].reason, table[k].name, processor[n].reason); check(processor[n].qualification == table[k].qualification, table[k].name, processor[n].qualification); check(processor[n].activity == table[k].saved, table[k].name, processor[n].activity); }
  }
  /* A waiting guest does not see INIT and NMI; they wait. */
  given_code = 0; given_activity = 3;
  begin(signal_job); ready();
  for (u32 n = 1; n <= others; n++) { send(n, 0x4500); send(n, 0x4400); send(n, 0x4077); }
  wait_cycles(100000);
  for (u32 n = 1; n <= others; n++) { EQ(processor[n].exits, 0, "blocked"); send(n, 0x4611); }
  end();
  for (u32 n = 1; n <= others; n++) { EQ(processor[n].reason, 4, "SIPI"); EQ(processor[n].qualification, 0x11, "vector"); }
  given_activity = 0; begin(signal_job); end();
  for (u32 n = 1; n <= others; n++) EQ(processor[n].reason, 3, "the INIT comes at the next entry");
  group_end();
}

/* INIT in root operation waits for VMXOFF. */
static void off_job(struct processor *p) { p->ready = 1; while (!p->stop) pause(); __atomic_fetch_add(&finished, 1, __ATOMIC_SEQ_CST); vmxoff(); for (;;) pause(); }
static void off(void) {
  group("processors: INIT in VMX root operation");
  begin(off_job); ready();
  started = 0;
  for (u32 n = 1; n <= others; n++) send(n, 0x4500);
  wait_cycles(100000); EQ(finished, 0, "INIT is held");
  apic_write(0x300, 0xc4608); wait_cycles(100000); EQ(started, 0, "and a SIPI before it takes effect is lost");
  stop_all(); check(wait_for(&finished, others), "VMXOFF", finished); wait_cycles(50000);
  apic_write(0x300, 0xc4608); check(wait_for(&started, others), "reset and started again", started);
  group_end();
}

static void x2apic_job(struct processor *p) { wrmsr(0x1b, rdmsr(0x1b) | 0x400); p->ready = 1; asm volatile("sti"); while (!p->stop) pause(); asm volatile("cli"); u64 base = rdmsr(0x1b); wrmsr(0x1b, base & ~0xc00ull); wrmsr(0x1b, base & ~0x400ull); apic_write(0xf0, 0x1ff); }
static void arrived(u32 vector, u32 set, const char *what) {
  wait_cycles(60000);
  for (u32 n = 0; n <= others; n++) check(processor_vectors[n][vector] == (set >> n & 1), what, n << 8 | processor_vectors[n][vector]);
  for (u32 n = 0; n <= others; n++) processor_vectors[n][vector] = 0;
}
static void x2apic(void) {
  group("processors: x2APIC mode");
  u64 base = rdmsr(0x1b);
  u32 all = (2u << others) - 1;
  for (u32 n = 0; n <= others; n++) for (u32 v = 0; v < 256; v++) processor_vectors[n][v] = 0;
  use_x2apic = 1; wrmsr(0x1b, base | 0x400); begin(x2apic_job); ready(); asm volatile("sti");
  EQ(rdmsr(0x802), 0, "id"); EQ(rdmsr(0x80d), 1, "logical id");
  for (u32 n = 1; n <= others; n++) { send(n, 0x4071); arrived(0x71, 1u << n, "physical"); send(1u << n, 0x4872); arrived(0x72, 1u << n, "logical"); }
  send(all & 6, 0x4873); arrived(0x73, all & 6, "logical, two of them"); send(0x10000 | all, 0x4874); arrived(0x74, 0, "another cluster");
  send(~0u, 0x4075); arrived(0x75, all, "broadcast"); send(~0u, 0x4875); arrived(0x75, all, "logical broadcast"); send(0xff, 0x4075); arrived(0x75, 0, "FFh is no broadcast");
  send(0, 0xc4076); arrived(0x76, all & ~1u, "all others"); send(0, 0x84077); arrived(0x77, all, "all"); send(0, 0x44078); arrived(0x78, 1, "self"); wrmsr(0x83f, 0x79); arrived(0x79, 1, "self-IPI register");
  asm volatile("cli"); stop_all(); end();
  wrmsr(0x1b, base & ~0xc00ull); wrmsr(0x1b, base); apic_write(0xf0, 0x1ff); use_x2apic = 0;
  group_end();
}

/* One VMCS goes from processor to processor: VMCLEAR on one, VMPTRLD on the next. Its fields and the guest's state go along, its launch state does not. */
static u8 PAGE travelling[4096];
static volatile u64 visits;
GUEST(s_visit, "1: incq (%rdi); mov %rbx, %rax; vmcall; jmp 1b");
static void visit(struct processor *p) {
  p->ready = 1;
  u32 wrong = 0;
  wrong |= vmclear((u64)travelling) != 0;
  wrong |= (vmptrld((u64)travelling) != 0) << 1;
  wrong |= (vmptrst() != (u64)travelling) << 2;
  wrong |= (rd(G_RIP) != (u64)s_visit) << 3;
  wrong |= (rd(CR0_SHADOW) != 0x1000 + visits) << 4;
  p->registers[RDI] = (u64)&visits; p->registers[RBX] = p->id;
  wrong |= ((vm_enter(p->registers, 1) & 0x8d5) != ZF || rd(INSTRUCTION_ERROR) != 5) << 5; /* VMRESUME of a clear VMCS */
  wrong |= (vm_enter(p->registers, 0) != 0 || rd(REASON) != 18) << 6;
  wrong |= ((vm_enter(p->registers, 0) & 0x8d5) != ZF || rd(INSTRUCTION_ERROR) != 4) << 7; /* VMLAUNCH of a launched one */
  wr(G_RIP, (u64)s_visit);
  wrong |= (vm_enter(p->registers, 1) != 0 || rd(REASON) != 18) << 8;
  wr(G_RIP, (u64)s_visit); wr(CR0_SHADOW, 0x1000 + visits);
  wrong |= (vmclear((u64)travelling) != 0) << 9;
  wrong |= (vmptrst() != ~0ull) << 10;
  p->failures = wrong;
}
static volatile u32 whose_turn;
static void visit_in_turn(struct processor *p) {
  for (u32 round = 0; round < 3; round++) {
    u32 turn = round * (others + 1) + p->id;
    if (!wait_for(&whose_turn, turn)) { p->failures = 0x8000; return; }
    visit(p);
    if (p->failures) return;
    whose_turn = turn + 1;
  }
}
static void travel(void) {
  group("processors: a VMCS that moves");
  prepare_vmcs(travelling, (u64)stacks[0] + 4096, vm_enter_exit);
  wr(G_RIP, (u64)s_visit); wr(CR0_SHADOW, 0x1000); visits = 0; whose_turn = 0;
  EQ(vmclear((u64)travelling), 0, "VMCLEAR");
  begin(visit_in_turn);
  visit_in_turn(&processor[0]);
  end();
  for (u32 n = 0; n <= others; n++) EQ(processor[n].failures, 0, "what was wrong");
  EQ(visits, 6 * (others + 1), "visits");
  group_end();
}

void test_smp(void) {
  others = processors - 1;
  processor[0].id = 0;
  enter_vmx(&processor[0]);
  start();
  parallel();
  travel();
  posted();
  interrupts();
  signals();
  off();
  x2apic();
}
