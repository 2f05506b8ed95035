/* Page tables of the 64-bit workloads, and where things are. */
#ifndef PAGING64_H
#define PAGING64_H
#include "base.h"

#define PAGE 4096ULL
#define PTE_PRESENT 1
#define PTE_WRITABLE 2
#define PTE_USER 4

/* Physical memory. The image is at 4 MiB; the monitor, if there is one, keeps what is above 128 MiB. */
#define TABLE_POOL 0x800000
#define TABLE_POOL_END 0xf00000
#define HEAP_PHYSICAL 0x1000000
#define HEAP_BYTES 0x1000000
#define STACK_PHYSICAL 0x2000000
#define STACK_BYTES 0x100000
#define SPARE_PHYSICAL 0x4000000
#define SPARE_BYTES 0x4000000

/* Linear addresses, as far apart as in a 64-bit process. */
#define HEAP_LINEAR 0x7f0000000000ULL
#define STACK_TOP_LINEAR 0x7ffe00000000ULL
#define SWITCH_LINEAR 0x10000000000ULL
#define FAULT_LINEAR 0x18000000000ULL
#define WALK_LINEAR 0x20000000000ULL

/* An empty page table. */
u64 *new_table(void);
/* Entry of the lowest level for a linear address, with tables made as needed. */
u64 *entry_of(u64 *root, u64 linear);
void map_pages(u64 *root, u64 linear, u64 physical, u64 bytes);

/* The tables that were in use at the start, with everything one to one. */
extern u64 *kernel_root;

static inline void load_cr3(const void *root)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"(root) : "memory");
}

#endif
