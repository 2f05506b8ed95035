/*
 * Runs user-mode code sequences on this machine's processor, from a complete register state to a complete register state, and
 * reports the exceptions they raise. Driven by native.ts over stdin and stdout; the layouts here and there must agree.
 *
 * Freestanding (no C library): nothing of this program may live below 4 GiB, where sequences with computed addresses wander,
 * and nothing may depend on FS, which they may load. Linked as a static position-independent executable, the kernel puts it high.
 *
 * A sequence ends by a jump to the exit stub, whose page is followed by the save page. 64-bit sequences leave at +0, 32-bit ones
 * (compatibility mode, selector 23h) at +800h, 16-bit ones (LDT segments) by a far jump to +0. Signals are taken on a stack of their own; their handler never returns to the sequence.
 */
#include <stdint.h>
#include <stddef.h>
#include <linux/signal.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>
#include <asm/ldt.h>

#define PAGE 4096ull
#define MAX_AREAS 16
#define MAX_LDT 8
#define ALL_ONES 0xffffffffu

/* --- Protocol --- */

struct area { uint64_t linear; uint32_t first_page, pages, protection, compare; };

struct ldt_entry { uint32_t base, limit, code, big; };

struct setup {
  uint32_t bits, areas, pool_pages, pattern_pages;
  uint64_t stub, gs_base;       /* base of GS in 64-bit code */
  uint16_t selector[6];         /* CS SS DS ES FS GS */
  uint16_t ldt_entries, unused;
  struct ldt_entry ldt[MAX_LDT];
  struct area area[MAX_AREAS];
};

struct batch { uint32_t count, padding[3]; }; /* followed by pattern_pages pages, then the cases */

struct patch { uint32_t offset, length, padding[2]; uint8_t bytes[16]; };

struct test {
  uint64_t target;
  uint32_t code_offset, code_length, patches, reload_segments;
  uint64_t gpr[16], flags;
  uint8_t padding[8];
  struct patch patch[8];
  uint8_t code[160];
  uint8_t fx[512];
};

struct reply {
  uint64_t gpr[16], rip, flags;
  uint32_t kind, error;
  uint64_t cr2;
  uint16_t selector[6]; /* CS SS DS ES FS GS */
  uint32_t differences;
  uint64_t padding[2];
  uint8_t fx[512];
};

struct difference { uint32_t offset, value; };

enum { INT3 = 0xcc };
enum { KIND_EXIT = 0x100, KIND_TIMEOUT = 0x101 };

/* The page after the stub. */
struct save {
  uint64_t gpr[16], flags, target; /* 0, 128, 136 */
  uint32_t far_offset;             /* 144 */
  uint16_t far_selector, stack_selector; /* 148, 150 */
  uint64_t clean_flags, stack;     /* 152, 160 */
  uint8_t padding[344];
  uint8_t fx[512];                 /* 512 */
  uint64_t out_gpr[16], out_flags; /* 1024, 1152 */
  uint16_t out_selector[8];        /* 1160 */
  uint8_t out_padding[360];
  uint8_t out_fx[512];             /* 1536 */
};
_Static_assert(offsetof(struct save, fx) == 512 && offsetof(struct save, out_gpr) == 1024 && offsetof(struct save, out_selector) == 1160
               && offsetof(struct save, out_fx) == 1536, "the stub knows these offsets");

/* --- The stub: copied to its page, reaches the save page relative to RIP --- */

extern char stub_begin[], stub_end[];
enum { EXIT32 = 0x800, ENTER64 = 0x900, ENTER32 = 0xa00, LEAVE = 0xb00 };

__asm__(
  ".text\n.balign 16\n"
  ".set S, stub_begin + 4096\n"
  "stub_begin:\n"
  "  mov %rax, S+1024(%rip)\n  mov %rcx, S+1032(%rip)\n  mov %rdx, S+1040(%rip)\n  mov %rbx, S+1048(%rip)\n"
  "  mov %rsp, S+1056(%rip)\n  mov %rbp, S+1064(%rip)\n  mov %rsi, S+1072(%rip)\n  mov %rdi, S+1080(%rip)\n"
  "  mov %r8, S+1088(%rip)\n   mov %r9, S+1096(%rip)\n   mov %r10, S+1104(%rip)\n  mov %r11, S+1112(%rip)\n"
  "  mov %r12, S+1120(%rip)\n  mov %r13, S+1128(%rip)\n  mov %r14, S+1136(%rip)\n  mov %r15, S+1144(%rip)\n"
  "  lea S+1160(%rip), %rsp\n  pushfq\n"
  "  lea S+152(%rip), %rsp\n  popfq\n"
  "  mov %cs, S+1160(%rip)\n  mov %ss, S+1162(%rip)\n  mov %ds, S+1164(%rip)\n  mov %es, S+1166(%rip)\n"
  "  mov %fs, S+1168(%rip)\n  mov %gs, S+1170(%rip)\n"
  "  fxsave64 S+1536(%rip)\n"
  "  jmp stub_leave\n"
  ".org stub_begin + 0x800, 0xcc\n"
  "  .byte 0xea\n  .long 0\n  .word 0x33\n"
  ".macro load_state\n"
  "  push %rbx\n  push %rbp\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
  "  mov %rsp, S+160(%rip)\n"
  "  fxrstor64 S+512(%rip)\n"
  "  lea S+128(%rip), %rsp\n  popfq\n"
  "  mov S+0(%rip), %rax\n   mov S+8(%rip), %rcx\n   mov S+16(%rip), %rdx\n  mov S+24(%rip), %rbx\n"
  "  mov S+32(%rip), %rsp\n  mov S+40(%rip), %rbp\n  mov S+48(%rip), %rsi\n  mov S+56(%rip), %rdi\n"
  "  mov S+64(%rip), %r8\n   mov S+72(%rip), %r9\n   mov S+80(%rip), %r10\n  mov S+88(%rip), %r11\n"
  "  mov S+96(%rip), %r12\n  mov S+104(%rip), %r13\n mov S+112(%rip), %r14\n mov S+120(%rip), %r15\n"
  ".endm\n"
  ".org stub_begin + 0x900, 0xcc\n"
  "  load_state\n  jmp *S+136(%rip)\n"
  ".org stub_begin + 0xa00, 0xcc\n"
  "  mov S+150(%rip), %ss\n  load_state\n  ljmp *S+144(%rip)\n"
  ".org stub_begin + 0xb00, 0xcc\n"
  "stub_leave:\n"
  "  mov S+160(%rip), %rsp\n"
  "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbp\n  pop %rbx\n  ret\n"
  "stub_end:\n"
  /* Signals may arrive with AC and TF set. */
  "signal_entry:\n  push $0x202\n  popfq\n  jmp on_signal\n"
  "signal_return:\n  mov $15, %eax\n  syscall\n"
  ".globl _start\n_start:\n  xor %ebp, %ebp\n  and $-16, %rsp\n  call run\n"
);
extern char signal_entry[], signal_return[];

/* --- System calls --- */

static long call6(long n, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
  __asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return result;
}
enum { SYS_read = 0, SYS_write = 1, SYS_mmap = 9, SYS_sigaction = 13, SYS_setitimer = 38, SYS_sigaltstack = 131, SYS_modify_ldt = 154,
  SYS_arch_prctl = 158, SYS_exit_group = 231, SYS_memfd = 319, SYS_ftruncate = 77 };
enum { PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4, MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_FIXED = 16, MAP_ANONYMOUS = 32, MAP_POPULATE = 0x8000, ARCH_SET_GS = 0x1001, ARCH_GET_GS = 0x1004 };

static __attribute__((noreturn)) void die(const char *why) {
  size_t length = 0;
  while (why[length] != 0) length++;
  call6(SYS_write, 2, (long)why, (long)length, 0, 0, 0);
  for (;;) call6(SYS_exit_group, 3, 0, 0, 0, 0, 0);
}

static void *map(uint64_t at, uint64_t bytes, int protection, int flags, int file, uint64_t offset) {
  long result = call6(SYS_mmap, (long)at, (long)bytes, protection, flags, file, (long)offset);
  if (result < 0 && result > -4096) die("native-runner: cannot map memory\n");
  return (void *)result;
}

/* 0 at end of file before the first byte. */
static int read_all(void *target, size_t bytes) {
  size_t done = 0;
  while (done < bytes) {
    long n = call6(SYS_read, 0, (long)((char *)target + done), (long)(bytes - done), 0, 0, 0);
    if (n == -4) continue;
    if (n <= 0) {
      if (done == 0) return 0;
      die("native-runner: input ended early\n");
    }
    done += (size_t)n;
  }
  return 1;
}

static void write_all(const void *source, size_t bytes) {
  size_t done = 0;
  while (done < bytes) {
    long n = call6(SYS_write, 1, (long)((const char *)source + done), (long)(bytes - done), 0, 0, 0);
    if (n == -4) continue;
    if (n <= 0) die("native-runner: cannot write\n");
    done += (size_t)n;
  }
}

static void copy(void *target, const void *source, size_t bytes) {
  __asm__ volatile("rep movsb" : "+D"(target), "+S"(source), "+c"(bytes) : : "memory");
}

/* The compiler may call these for structure copies. */
void *memcpy(void *target, const void *source, size_t bytes) { copy(target, source, bytes); return target; }
void *memset(void *target, int value, size_t bytes) {
  void *at = target;
  __asm__ volatile("rep stosb" : "+D"(at), "+c"(bytes) : "a"(value) : "memory");
  return target;
}

/* --- State --- */

static struct setup setup;
static struct save *save;
static struct reply *reply;
static uint8_t *pool, *pattern;
static volatile int running, ticks;

static void read_selectors(uint16_t *selector) {
  __asm__ volatile("mov %%ds, %0" : "=m"(selector[2]));
  __asm__ volatile("mov %%es, %0" : "=m"(selector[3]));
  __asm__ volatile("mov %%fs, %0" : "=m"(selector[4]));
  __asm__ volatile("mov %%gs, %0" : "=m"(selector[5]));
}

static void load_selectors(void) {
  const uint16_t data = 0x2b;
  __asm__ volatile("mov %0, %%ss" : : "m"(data));
  __asm__ volatile("mov %0, %%ds" : : "m"(setup.selector[2]));
  __asm__ volatile("mov %0, %%es" : : "m"(setup.selector[3]));
  __asm__ volatile("mov %0, %%fs" : : "m"(setup.selector[4]));
  __asm__ volatile("mov %0, %%gs" : : "m"(setup.selector[5]));
  if (setup.bits == 64 && call6(SYS_arch_prctl, ARCH_SET_GS, (long)setup.gs_base, 0, 0, 0, 0) != 0) die("native-runner: cannot set the base of GS\n");
}

static int selectors_changed(void) {
  uint16_t now[6], ss;
  read_selectors(now);
  __asm__ volatile("mov %%ss, %0" : "=m"(ss));
  return ss != 0x2b || now[2] != setup.selector[2] || now[3] != setup.selector[3] || now[4] != setup.selector[4] || now[5] != setup.selector[5];
}

/* A load of a null selector may have cleared it. */
static int gs_base_changed(void) {
  uint64_t base;
  return setup.bits == 64 && (call6(SYS_arch_prctl, ARCH_GET_GS, (long)&base, 0, 0, 0, 0) != 0 || base != setup.gs_base);
}

/* Signal numbers and trap numbers go with each other except for the timer. */
__attribute__((used)) void on_signal(int number, siginfo_t *info, struct ucontext *context) {
  (void)info;
  if (number == SIGALRM) {
    if (!running || ++ticks < 3) return;
  } else if (!running) die("native-runner: signal outside a sequence\n");
  const struct sigcontext *at = &context->uc_mcontext;
  const uint64_t gpr[16] = {
    at->rax, at->rcx, at->rdx, at->rbx, at->rsp, at->rbp, at->rsi, at->rdi, at->r8, at->r9, at->r10, at->r11, at->r12, at->r13, at->r14, at->r15,
  };
  for (int n = 0; n < 16; n++) reply->gpr[n] = gpr[n];
  reply->rip = at->rip;
  reply->flags = at->eflags;
  reply->kind = number == SIGALRM ? KIND_TIMEOUT : (uint32_t)at->trapno;
  reply->error = (uint32_t)at->err;
  reply->cr2 = at->cr2;
  reply->selector[0] = at->cs;
  reply->selector[1] = at->ss;
  read_selectors(reply->selector);
  copy(reply->fx, (void *)at->fpstate, 512);
  ((void (*)(void))(setup.stub + LEAVE))();
}

static void install_signals(void) {
  static const int numbers[] = { SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGTRAP, SIGALRM };
  static uint8_t stack[65536] __attribute__((aligned(16)));
  stack_t alternate = { .ss_sp = stack, .ss_flags = 0, .ss_size = sizeof stack };
  call6(SYS_sigaltstack, (long)&alternate, 0, 0, 0, 0, 0);
  for (size_t n = 0; n < sizeof numbers / sizeof numbers[0]; n++) {
    struct { void *handler; unsigned long flags; void *restorer; uint64_t mask; } action = {
      signal_entry, SA_SIGINFO | SA_ONSTACK | SA_NODEFER | 0x04000000, signal_return, 0,
    };
    if (call6(SYS_sigaction, numbers[n], (long)&action, 0, 8, 0, 0) != 0) die("native-runner: cannot install handlers\n");
  }
  const uint64_t timer[4] = { 0, 100000, 0, 100000 };
  call6(SYS_setitimer, 0, (long)timer, 0, 0, 0, 0);
}

static void install(void) {
  const uint64_t bytes = setup.pool_pages * PAGE;
  const int file = (int)call6(SYS_memfd, (long)"pool", 0, 0, 0, 0, 0);
  if (file < 0 || call6(SYS_ftruncate, file, (long)bytes, 0, 0, 0, 0) != 0) die("native-runner: cannot make memory\n");
  pool = map(0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  memset(pool, INT3, bytes);
  pattern = map(0, setup.pattern_pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (uint32_t n = 0; n < setup.areas; n++) {
    const struct area *area = &setup.area[n];
    map(area->linear, area->pages * PAGE, (int)area->protection, MAP_SHARED | MAP_FIXED | MAP_POPULATE, file, area->first_page * PAGE);
  }
  uint8_t *stub = map(setup.stub, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  copy(stub, stub_begin, (size_t)(stub_end - stub_begin));
  *(uint32_t *)(stub + EXIT32 + 1) = (uint32_t)setup.stub;
  save = (struct save *)(stub + PAGE);
  save->clean_flags = 0x202;
  for (unsigned n = 0; n < setup.ldt_entries; n++) {
    const struct ldt_entry *entry = &setup.ldt[n];
    struct user_desc segment = {
      .entry_number = n, .base_addr = entry->base, .limit = entry->limit, .seg_32bit = entry->big, .contents = entry->code ? 2 : 0, .useable = 1,
    };
    if (call6(SYS_modify_ldt, 1, (long)&segment, sizeof segment, 0, 0, 0) != 0) die("native-runner: cannot make an LDT\n");
  }
  load_selectors();
  install_signals();
}

/* Where memory no longer equals the pattern: reported, and restored. */
static uint8_t *collect_differences(uint8_t *out) {
  uint32_t count = 0;
  for (uint32_t n = 0; n < setup.areas; n++) {
    const struct area *area = &setup.area[n];
    if (!area->compare) continue;
    const uint64_t first = area->first_page * PAGE, end = first + area->pages * PAGE;
    for (uint64_t offset = first; offset < end; offset += 8) {
      uint64_t *now = (uint64_t *)(pool + offset);
      const uint64_t before = *(const uint64_t *)(pattern + offset);
      const uint64_t changed = *now ^ before;
      if (changed == 0) continue;
      for (int half = 0; half < 2; half++) {
        if ((uint32_t)(changed >> (32 * half)) == 0) continue;
        struct difference *d = (struct difference *)out;
        d->offset = (uint32_t)offset + 4 * half;
        d->value = (uint32_t)(*now >> (32 * half));
        out += sizeof *d;
        count++;
      }
      *now = before;
    }
  }
  reply->differences = count;
  return out;
}

static uint8_t *run_case(const struct test *test, uint8_t *out) {
  reply = (struct reply *)out;
  copy(pool + test->code_offset, test->code, test->code_length);
  for (uint32_t n = 0; n < test->patches; n++) copy(pool + test->patch[n].offset, test->patch[n].bytes, test->patch[n].length);
  copy(save->gpr, test->gpr, sizeof save->gpr);
  copy(save->fx, test->fx, sizeof save->fx);
  save->flags = test->flags;
  save->target = test->target;
  save->far_offset = (uint32_t)test->target;
  save->far_selector = setup.selector[0];
  save->stack_selector = setup.selector[1];
  reply->kind = ALL_ONES;
  ticks = 0;
  running = 1;
  ((void (*)(void))(setup.stub + (setup.bits == 64 ? ENTER64 : ENTER32)))();
  running = 0;
  if (reply->kind == ALL_ONES) {
    reply->kind = KIND_EXIT;
    reply->error = 0;
    reply->cr2 = 0;
    copy(reply->gpr, save->out_gpr, sizeof reply->gpr);
    reply->rip = setup.stub;
    reply->flags = save->out_flags;
    copy(reply->selector, save->out_selector, sizeof reply->selector);
    copy(reply->fx, save->out_fx, sizeof reply->fx);
  }
  if (test->reload_segments || gs_base_changed() || selectors_changed()) load_selectors();
  if (test->code_offset >= setup.pattern_pages * PAGE) memset(pool + test->code_offset, INT3, test->code_length);
  out = collect_differences(out + sizeof *reply);
  for (uint32_t n = 0; n < test->patches; n++) {
    const struct patch *patch = &test->patch[n];
    copy(pool + patch->offset, pattern + patch->offset, patch->length);
  }
  return (uint8_t *)(((uintptr_t)out + 15) & ~(uintptr_t)15);
}

__attribute__((used, noreturn)) void run(void) {
  if (!read_all(&setup, sizeof setup)) die("native-runner: no input\n");
  if (setup.areas > MAX_AREAS) die("native-runner: too many areas\n");
  install();
  const uint64_t reply_bytes = 1ull << 30;
  uint8_t *replies = map(0, reply_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | 0x4000, -1, 0);
  struct batch batch;
  while (read_all(&batch, sizeof batch)) {
    uint8_t *cases = map(0, batch.count * sizeof(struct test), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    read_all(pattern, setup.pattern_pages * PAGE);
    read_all(cases, batch.count * sizeof(struct test));
    copy(pool, pattern, setup.pattern_pages * PAGE);
    uint8_t *out = replies + 16;
    for (uint32_t n = 0; n < batch.count; n++) {
      out = run_case((const struct test *)cases + n, out);
      if (out > replies + reply_bytes - (4 << 20)) die("native-runner: batch too large\n");
    }
    *(uint64_t *)replies = (uint64_t)(out - replies);
    write_all(replies, (size_t)(out - replies));
    call6(11, (long)cases, (long)(batch.count * sizeof(struct test)), 0, 0, 0, 0);
  }
  for (;;) call6(SYS_exit_group, 0, 0, 0, 0, 0, 0);
}
