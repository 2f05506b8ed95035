/* Four-level page tables of 4 KiB pages (SDM 3A, 4-Level Paging), from a pool in memory that is mapped one to one. */
#include "paging64.h"

static u64 next_table = TABLE_POOL;

u64 *new_table(void)
{
    u64 *table = (u64 *)next_table;
    next_table += PAGE;
    memset(table, 0, PAGE);
    return table;
}

u64 *entry_of(u64 *root, u64 linear)
{
    u64 *table = root;
    for (int shift = 39; shift > 12; shift -= 9) {
        u64 *entry = table + (linear >> shift & 511);
        if (!(*entry & PTE_PRESENT))
            *entry = (u64)new_table() | PTE_PRESENT | PTE_WRITABLE | PTE_USER;
        table = (u64 *)(*entry & ~(PAGE - 1));
    }
    return table + (linear >> 12 & 511);
}

void map_pages(u64 *root, u64 linear, u64 physical, u64 bytes)
{
    for (u64 at = 0; at < bytes; at += PAGE)
        *entry_of(root, linear + at) = (physical + at) | PTE_PRESENT | PTE_WRITABLE | PTE_USER;
}
