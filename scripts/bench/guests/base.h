/* Types and the little library of the bench guests. They are freestanding: no interrupts, no libc, the same source for 32 and 64 bits. */
#ifndef BASE_H
#define BASE_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;
/* As wide as a register. */
typedef unsigned long word;

#define NOINLINE __attribute__((noinline))

/* A workload does n portions of work and returns a checksum; size is the /SIZE of its token, or 0. */
typedef u64 (*workload)(u32 n, u32 size);
struct workload_entry {
    const char *name;
    workload run;
};

void *memcpy(void *destination, const void *source, word bytes);
void *memset(void *destination, int value, word bytes);

/* Pseudo-random numbers, the same in every run; each round starts them again. */
void seed_random(void);
u32 next_random(void);

/* Text on COM1. */
void prepare_console(void);
void print(const char *text);
void print_number(u64 value, u32 base);

/* Where workloads keep their data: 16 MiB. */
extern u8 *heap;

#endif
