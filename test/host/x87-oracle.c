/*
 * Executes single x87 and MMX instructions on this machine's processor. Reads records from stdin, writes results to
 * stdout, until end of file. Memory operands are addressed by RAX and RDI. Exceptions that an instruction leaves
 * pending are never taken: the state is read by FNSAVE.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct request {
  uint8_t length, code[15];
  uint8_t image[108], padding[4];
  uint64_t rcx, rflags;
  uint8_t memory[64];
};

struct reply {
  uint8_t image[108], padding[4];
  uint64_t rcx, rflags, rax;
  uint8_t memory[64];
};

static void execute(const struct request *in, struct reply *out, uint8_t *code) {
  memcpy(code, in->code, in->length);
  code[in->length] = 0xc3;
  memcpy(out->memory, in->memory, sizeof out->memory);
  register const struct request *r8 __asm__("r8") = in;
  register struct reply *r9 __asm__("r9") = out;
  register uint8_t *r10 __asm__("r10") = code;
  __asm__ volatile(
      "frstor 16(%%r8)\n\t"
      "movq 128(%%r8), %%rcx\n\t"
      "leaq 136(%%r9), %%rax\n\t"
      "movq %%rax, %%rdi\n\t"
      "pushq 136(%%r8)\n\t"
      "popfq\n\t"
      "call *%%r10\n\t"
      "fnsave (%%r9)\n\t"
      "movq %%rcx, 112(%%r9)\n\t"
      "pushfq\n\t"
      "popq 120(%%r9)\n\t"
      "movq %%rax, 128(%%r9)\n\t"
      :
      : "r"(r8), "r"(r9), "r"(r10)
      : "rax", "rcx", "rdi", "memory", "cc");
}

int main(void) {
  static struct request in;
  static struct reply out;
  uint8_t *code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED) return 1;
  while (fread(&in, sizeof in, 1, stdin) == 1) {
    execute(&in, &out, code);
    if (fwrite(&out, sizeof out, 1, stdout) != 1) return 1;
  }
  return 0;
}
