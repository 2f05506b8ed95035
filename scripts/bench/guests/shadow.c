/*
 * Shadow paging as a virtual TLB (SDM 3C, Memory Virtualization): page tables of the monitor's that start empty at each load of CR3, and
 * get an entry from the guest's tables with each page fault. Guest-physical addresses are host-physical ones. A page that the guest has
 * not written yet is entered read-only, so that its dirty flag follows.
 */
#include "monitor.h"
#include "vmcs.h"

#define POOL_TABLES 512
#define ADDRESS 0xffffffffff000ULL
#define PRESENT 1
#define WRITABLE 2
#define USER 4
#define ACCESSED (1 << 5)
#define DIRTY (1 << 6)
#define LARGE (1 << 7)
#define ERROR_WRITE 2
#define ERROR_USER 4
#define INJECT_PAGE_FAULT (1u << 31 | 1 << 11 | 3 << 8 | 14)

static u64 pool[POOL_TABLES][512] __attribute__((aligned(4096)));
static u32 used;
static u64 cr3;

static u64 *new_table(void)
{
    if (used == POOL_TABLES)
        fail("no more shadow tables", used);
    u64 *table = pool[used++];
    memset(table, 0, TABLE_BYTES);
    return table;
}

static void forget_translations(void)
{
    struct {
        u64 vpid, linear;
    } descriptor = {1, 0};
    if (vm_read(PROC2_CONTROLS) & PROC2_VPID)
        __asm__ volatile("invvpid %0, %1" : : "m"(descriptor), "r"(1ULL) : "cc", "memory");
}

u64 make_shadow(u64 value)
{
    cr3 = value;
    used = 0;
    return (u64)new_table();
}

u64 guest_cr3(void)
{
    return cr3;
}

void load_guest_cr3(u64 value)
{
    vm_write(GUEST_CR3, make_shadow(value));
    forget_translations();
}

static void enter(u64 linear, u64 entry)
{
    u64 *table = pool[0];
    for (int shift = 39; shift > 12; shift -= 9) {
        u64 *link = table + (linear >> shift & 511);
        if (!(*link & PRESENT))
            *link = (u64)new_table() | PRESENT | WRITABLE | USER;
        table = (u64 *)(*link & ADDRESS);
    }
    table[linear >> 12 & 511] = entry;
}

static void inject_page_fault(u64 linear, u32 error_code)
{
    __asm__ volatile("mov %0, %%cr2" : : "r"(linear));
    vm_write(ENTRY_ERROR_CODE, error_code);
    vm_write(ENTRY_EVENT, INJECT_PAGE_FAULT);
}

void on_page_fault(u64 linear, u32 error_code)
{
    u64 *table = (u64 *)(cr3 & ADDRESS), *entry = 0;
    u64 rights = WRITABLE | USER, offset_mask = 0;
    for (int shift = 39; shift >= 12; shift -= 9) {
        entry = table + (linear >> shift & 511);
        if (!(*entry & PRESENT)) {
            inject_page_fault(linear, error_code & ~1);
            return;
        }
        rights &= *entry;
        *entry |= ACCESSED;
        offset_mask = (1ULL << shift) - 1;
        if (shift == 12 || *entry & LARGE)
            break;
        table = (u64 *)(*entry & ADDRESS);
    }
    /* CR0.WP is set in the guest. */
    if (((error_code & ERROR_WRITE) && !(rights & WRITABLE)) || ((error_code & ERROR_USER) && !(rights & USER))) {
        inject_page_fault(linear, error_code | 1);
        return;
    }
    if (error_code & ERROR_WRITE)
        *entry |= DIRTY;
    if (!(*entry & DIRTY))
        rights &= ~WRITABLE;
    u64 physical = (*entry & ADDRESS & ~offset_mask) | (linear & offset_mask & ADDRESS);
    enter(linear, physical | rights | PRESENT);
}

void on_invlpg(u64 linear)
{
    u64 *table = pool[0];
    for (int shift = 39; shift > 12; shift -= 9) {
        u64 link = table[linear >> shift & 511];
        if (!(link & PRESENT))
            return;
        table = (u64 *)(link & ADDRESS);
    }
    table[linear >> 12 & 511] = 0;
    forget_translations();
}
