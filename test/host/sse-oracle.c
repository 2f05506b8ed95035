/*
 * Runs single instructions on the host CPU with given registers and reports what became of them.
 *
 * Standard input is a sequence of cases, standard output the same sequence after execution. The code of a case
 * is one instruction followed by RET; it finds its memory operand at [rdi]. A signal ends the case with the registers as
 * they were at the fault, and its number in `signal`.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

struct state {
  uint8_t code[16];                  /* 0 */
  uint8_t xmm[3][16];                /* 16 */
  uint8_t memory[16];                /* 64 */
  uint64_t rax, rcx, rdx;            /* 80 */
  uint64_t mm1, mm2;                 /* 104 */
  uint32_t mxcsr, signal;            /* 120 */
  uint64_t flags;                    /* 128 */
  uint64_t reserved;                 /* 136: a case is 144 bytes, so that `memory` stays 16-byte aligned */
} __attribute__((aligned(16)));

void *code_page;

/* void run(struct state *s, void *code) */
__asm__(
  ".intel_syntax noprefix\n"
  ".text\n"
  "run:\n"
  "  push rbx\n"
  "  mov rbx, rdi\n"
  "  mov r11, rsi\n"
  "  movdqu xmm0, [rbx + 16]\n"
  "  movdqu xmm1, [rbx + 32]\n"
  "  movdqu xmm2, [rbx + 48]\n"
  "  movq mm1, [rbx + 104]\n"
  "  movq mm2, [rbx + 112]\n"
  "  lea rdi, [rbx + 64]\n"
  "  ldmxcsr [rbx + 120]\n"
  "  mov rax, [rbx + 80]\n"
  "  mov rcx, [rbx + 88]\n"
  "  mov rdx, [rbx + 96]\n"
  "  push [rbx + 128]\n"
  "  popfq\n"
  "  call r11\n"
  "  pushfq\n"
  "  pop [rbx + 128]\n"
  "  stmxcsr [rbx + 120]\n"
  "  movdqu [rbx + 16], xmm0\n"
  "  movdqu [rbx + 32], xmm1\n"
  "  movdqu [rbx + 48], xmm2\n"
  "  movq [rbx + 104], mm1\n"
  "  movq [rbx + 112], mm2\n"
  "  mov [rbx + 80], rax\n"
  "  mov [rbx + 88], rcx\n"
  "  mov [rbx + 96], rdx\n"
  "  emms\n"
  "  push 0x1f80\n"
  "  ldmxcsr [rsp]\n"
  "  pop rax\n"
  "  cld\n"
  "  pop rbx\n"
  "  ret\n"
  ".att_syntax\n");
void run(struct state *s, void *code);

static volatile int caught;

/* Returns from the instruction under test as if it had completed. */
static void on_signal(int number, siginfo_t *info, void *context) {
  ucontext_t *uc = context;
  (void)info;
  if ((void *)uc->uc_mcontext.gregs[REG_RIP] != code_page) _exit(3);
  caught = number;
  uint64_t *stack = (uint64_t *)uc->uc_mcontext.gregs[REG_RSP];
  uc->uc_mcontext.gregs[REG_RIP] = stack[0];
  uc->uc_mcontext.gregs[REG_RSP] += 8;
}

int main(void) {
  static struct state s;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGFPE, &action, 0);
  sigaction(SIGILL, &action, 0);
  sigaction(SIGSEGV, &action, 0);
  code_page = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code_page == MAP_FAILED) return 2;
  while (fread(&s, sizeof s, 1, stdin) == 1) {
    memcpy(code_page, s.code, sizeof s.code);
    caught = 0;
    run(&s, code_page);
    s.signal = caught;
    if (fwrite(&s, sizeof s, 1, stdout) != 1) return 1;
  }
  return 0;
}
