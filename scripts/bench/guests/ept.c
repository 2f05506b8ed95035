/*
 * EPT (SDM 3C, Extended Page Tables): the first 128 MiB one to one in 2 MiB pages, and a window of 4 KiB pages that are mapped
 * when they are touched.
 */
#include "monitor.h"
#include "exits.h"

#define GUEST_BYTES 0x8000000ULL
#define BACKING 0x6000000ULL
#define ALL_ACCESS 7
#define WRITE_BACK (6 << 3)
#define LARGE (1 << 7)

static u64 root[512] __attribute__((aligned(4096)));
static u64 directory_pointers[512] __attribute__((aligned(4096)));
static u64 low_directory[512] __attribute__((aligned(4096)));
static u64 window_directory[512] __attribute__((aligned(4096)));
static u64 window[WINDOW_PAGES] __attribute__((aligned(4096)));
static u64 pointer;

u64 make_ept(void)
{
    root[0] = (u64)directory_pointers | ALL_ACCESS;
    directory_pointers[0] = (u64)low_directory | ALL_ACCESS;
    directory_pointers[WINDOW >> 30] = (u64)window_directory | ALL_ACCESS;
    window_directory[0] = (u64)window | ALL_ACCESS;
    for (u64 at = 0; at < GUEST_BYTES; at += 1 << 21)
        low_directory[at >> 21] = at | LARGE | WRITE_BACK | ALL_ACCESS;
    pointer = (u64)root | 3 << 3 | 6;
    return pointer;
}

void on_ept_violation(u64 guest_physical)
{
    u64 page = (guest_physical - WINDOW) >> 12;
    if (page >= WINDOW_PAGES)
        fail("guest-physical address without memory", guest_physical);
    window[page] = (BACKING + (page << 12)) | WRITE_BACK | ALL_ACCESS;
}

void empty_window(void)
{
    struct {
        u64 pointer, zero;
    } descriptor = {pointer, 0};
    memset(window, 0, sizeof window);
    __asm__ volatile("invept %0, %1" : : "m"(descriptor), "r"(1ULL) : "cc", "memory");
}
