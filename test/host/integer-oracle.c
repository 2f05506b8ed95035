/*
 * Executes single integer instructions on the host CPU for the tests: reads cases from stdin, runs each, writes them
 * back as the instruction left them. Protected-mode-only instructions run in a 32-bit code segment.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define MEMORY_BYTES 256

/* One case; the offsets are known to integer-host.test.ts. */
struct test {
  uint8_t code[16];    /* 0: machine code, padded with NOPs */
  uint64_t gpr[8];     /* 16: rax rcx rdx rbx - - rsi - ; rdi is the middle of the memory */
  uint64_t flags;      /* 80: status flags in, status flags out */
  uint32_t mode;       /* 88: 32 or 64 */
  uint32_t signal;     /* 92: out */
  uint8_t memory[MEMORY_BYTES]; /* 96 */
};

static sigjmp_buf escape;

static void caught(int number) { siglongjmp(escape, number); }

/* What the assembly part loads and stores: rax rcx rdx rbx rsi rdi flags entry. */
static struct { uint64_t rax, rcx, rdx, rbx, rsi, rdi, flags, entry; } *frame;

static void execute(void) {
  asm volatile(
      "push %%rbp\n mov %0, %%r15\n push 48(%%r15)\n"
      "mov (%%r15), %%rax\n mov 8(%%r15), %%rcx\n mov 16(%%r15), %%rdx\n mov 24(%%r15), %%rbx\n"
      "mov 32(%%r15), %%rsi\n mov 40(%%r15), %%rdi\n popfq\n call *56(%%r15)\n pushfq\n"
      "mov %%rax, (%%r15)\n mov %%rcx, 8(%%r15)\n mov %%rdx, 16(%%r15)\n mov %%rbx, 24(%%r15)\n"
      "mov %%rsi, 32(%%r15)\n pop 48(%%r15)\n cld\n pop %%rbp\n"
      :
      : "r"(frame)
      : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
}

int main(void) {
  /* Everything below 4 GiB, so that 32-bit code reaches it. */
  uint8_t *page = mmap(0, 0x4000, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  if (page == MAP_FAILED) return 1;
  uint8_t *stack = page + 0x3000, *memory = page + 0x1000, *far_code = page + 0x800;
  frame = (void *)(page + 0x1800);
  static uint8_t signal_stack[65536];
  stack_t alternate = {.ss_sp = signal_stack, .ss_size = sizeof signal_stack};
  sigaltstack(&alternate, 0);
  struct sigaction action = {.sa_handler = caught, .sa_flags = SA_ONSTACK | SA_NODEFER};
  sigaction(SIGFPE, &action, 0);
  sigaction(SIGSEGV, &action, 0);
  sigaction(SIGILL, &action, 0);
  sigaction(SIGBUS, &action, 0);
  struct test t;
  while (fread(&t, sizeof t, 1, stdin) == 1) {
    memcpy(page, t.code, 16);
    page[16] = t.mode == 32 ? 0xcb : 0xc3; /* far or near return */
    /* 64-bit side of the far call: switch to a low stack, lcall *pointer, switch back, ret. */
    static const uint8_t template[] = {
        0x49, 0x89, 0xe4,                               /* mov r12, rsp */
        0x49, 0x89, 0xc5,                               /* mov r13, rax */
        0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0,             /* mov rax, stack */
        0x48, 0x94,                                     /* xchg rsp, rax */
        0x4c, 0x89, 0xe8,                               /* mov rax, r13 */
        0xff, 0x1c, 0x25, 0, 0, 0, 0,                   /* lcall *[pointer] */
        0x4c, 0x89, 0xe4,                               /* mov rsp, r12 */
        0xc3};
    memcpy(far_code, template, sizeof template);
    uint64_t top = (uint64_t)stack;
    memcpy(far_code + 8, &top, 8);
    uint32_t pointer = (uint32_t)(uint64_t)(page + 0x900);
    memcpy(far_code + 24, &pointer, 4);
    uint32_t target = (uint32_t)(uint64_t)page;
    memcpy(page + 0x900, &target, 4);
    page[0x904] = 0x23;
    page[0x905] = 0;
    memcpy(memory, t.memory, MEMORY_BYTES);
    frame->rax = t.gpr[0];
    frame->rcx = t.gpr[1];
    frame->rdx = t.gpr[2];
    frame->rbx = t.gpr[3];
    frame->rsi = t.gpr[6];
    frame->rdi = (uint64_t)(memory + MEMORY_BYTES / 2);
    frame->flags = (t.flags & 0x8d5) | 0x202;
    frame->entry = (uint64_t)(t.mode == 32 ? far_code : page);
    t.signal = sigsetjmp(escape, 0);
    if (t.signal == 0) {
      execute();
      t.gpr[0] = frame->rax;
      t.gpr[1] = frame->rcx;
      t.gpr[2] = frame->rdx;
      t.gpr[3] = frame->rbx;
      t.gpr[6] = frame->rsi;
      t.flags = frame->flags & 0x8d5;
      memcpy(t.memory, memory, MEMORY_BYTES);
    }
    fwrite(&t, sizeof t, 1, stdout);
  }
  return 0;
}
