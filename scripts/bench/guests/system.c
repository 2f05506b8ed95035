/*
 * What operating systems do, one thing at a time: address space switches (each touches 32 pages), system calls by SYSCALL and
 * SYSRET, page faults that map a page, and reads that miss the TLB and walk four levels. n of each.
 */
#include "system.h"
#include "paging64.h"
#include "workloads.h"

#define SWITCH_PAGES 32
#define FAULT_PAGES 512
#define WALK_PAGES (SPARE_BYTES / PAGE)

#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_FMASK 0xc0000084

void system_call_entry(void);
void page_fault_entry(void);
/* Executes SYSCALL n times in ring 3. */
void user_calls(u64 n);

/* For page_fault_entry: the entries of the fault region, and what to write there. */
u64 *fault_entries;
u64 fault_physical = (SPARE_PHYSICAL) | PTE_PRESENT | PTE_WRITABLE;
u64 system_calls;

static u64 *spaces[2];

struct gate {
    u16 offset_low, selector;
    u8 stack, attributes;
    u16 offset_middle;
    u32 offset_high, reserved;
};
static struct gate idt[32] __attribute__((aligned(16)));

static void write_msr(u32 index, u64 value)
{
    __asm__ volatile("wrmsr" : : "c"(index), "a"((u32)value), "d"((u32)(value >> 32)));
}

void prepare_system(void)
{
    u64 handler = (u64)page_fault_entry;
    idt[14] = (struct gate){handler, 0x18, 0, 0x8e, handler >> 16, handler >> 32, 0};
    struct __attribute__((packed)) {
        u16 limit;
        u64 base;
    } pointer = {sizeof idt - 1, (u64)idt};
    __asm__ volatile("lidt %0" : : "m"(pointer));

    write_msr(MSR_STAR, 0x2bULL << 48 | 0x18ULL << 32);
    write_msr(MSR_LSTAR, (u64)system_call_entry);
    write_msr(MSR_FMASK, 0x600);

    fault_entries = entry_of(kernel_root, FAULT_LINEAR);
    map_pages(kernel_root, WALK_LINEAR, SPARE_PHYSICAL, SPARE_BYTES);
    for (int i = 0; i < 2; i++) {
        spaces[i] = new_table();
        memcpy(spaces[i], kernel_root, PAGE);
        map_pages(spaces[i], SWITCH_LINEAR, SPARE_PHYSICAL + i * SWITCH_PAGES * PAGE, SWITCH_PAGES * PAGE);
    }
}

u64 run_switch(u32 n, u32 size)
{
    u64 sum = 0;
    (void)size;
    for (u32 i = 0; i < n; i++) {
        load_cr3(spaces[i & 1]);
        for (u64 page = 0; page < SWITCH_PAGES; page++) {
            volatile u64 *at = (volatile u64 *)(SWITCH_LINEAR + page * PAGE);
            *at = page + i;
            sum += *at;
        }
    }
    load_cr3(kernel_root);
    return sum;
}

u64 run_syscall(u32 n, u32 size)
{
    (void)size;
    system_calls = 0;
    user_calls(n);
    return system_calls;
}

u64 run_fault(u32 n, u32 size)
{
    u64 sum = 0;
    (void)size;
    for (u32 i = 0; i < n; i++) {
        if (i % FAULT_PAGES == 0) {
            memset(fault_entries, 0, PAGE);
            load_cr3(kernel_root);
        }
        *(volatile u64 *)(FAULT_LINEAR + i % FAULT_PAGES * PAGE) = i;
        sum += i;
    }
    return sum;
}

u64 run_walk(u32 n, u32 size)
{
    u64 at = 1, sum = 0;
    (void)size;
    for (u32 i = 0; i < n; i++) {
        at = (at * 1664525 + 1013904223) % WALK_PAGES;
        sum += *(volatile u64 *)(WALK_LINEAR + at * PAGE + (i & 63) * 8);
    }
    return n + (sum & 0);
}
