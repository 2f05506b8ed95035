/* VM exits, n of one kind: the shortest way out of the guest and back. They need the monitor, and return 0 without it. */
#include "exits.h"
#include "port.h"
#include "workloads.h"

static u32 cpuid(u32 leaf)
{
    u32 a = leaf, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return a;
}

static int has_monitor(void)
{
    return cpuid(MONITOR_LEAF) == MONITOR_ANSWER;
}

u64 run_cpuid(u32 n, u32 size)
{
    (void)size;
    if (!has_monitor())
        return 0;
    for (u32 i = 0; i < n; i++)
        cpuid(MONITOR_LEAF);
    return n;
}

u64 run_port(u32 n, u32 size)
{
    (void)size;
    if (!has_monitor())
        return 0;
    for (u32 i = 0; i < n; i++)
        out8(MONITOR_PORT, i);
    return n;
}

u64 run_msr(u32 n, u32 size)
{
    u64 sum = 0;
    (void)size;
    if (!has_monitor())
        return 0;
    for (u32 i = 0; i < n; i++) {
        u32 low, high;
        __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MONITOR_MSR));
        sum += low & 1;
    }
    return n + sum;
}

u64 run_ept(u32 n, u32 size)
{
    (void)size;
    if (!has_monitor())
        return 0;
    for (u32 i = 0; i < n; i++) {
        if (i % WINDOW_PAGES == 0)
            __asm__ volatile("vmcall" : : : "memory");
        *(volatile u32 *)((u64)WINDOW + i % WINDOW_PAGES * 4096) = i;
    }
    return n;
}

u64 run_hlt(u32 n, u32 size)
{
    (void)size;
    if (!has_monitor())
        return 0;
    for (u32 i = 0; i < n; i++)
        __asm__ volatile("hlt");
    return n;
}
