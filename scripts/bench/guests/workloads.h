/* Every workload, by the part of the bench that it belongs to. */
#ifndef WORKLOADS_H
#define WORKLOADS_H
#include "base.h"

/* kernel-*.c: what programs compute. */
u64 run_sha(u32 n, u32 size);
u64 run_lz(u32 n, u32 size);
u64 run_qsort(u32 n, u32 size);
u64 run_hash(u32 n, u32 size);
u64 run_tree(u32 n, u32 size);
u64 run_sm(u32 n, u32 size);
u64 run_arith(u32 n, u32 size);
u64 run_flat(u32 n, u32 size);

/* memory.c: copying and filling. */
u64 run_movsb(u32 n, u32 size);
u64 run_movsw(u32 n, u32 size);
u64 run_stosb(u32 n, u32 size);
u64 run_stosw(u32 n, u32 size);
u64 run_copyloop(u32 n, u32 size);
u64 run_fillloop(u32 n, u32 size);

#ifdef __x86_64__
/* system.c: what operating systems do. */
u64 run_switch(u32 n, u32 size);
u64 run_syscall(u32 n, u32 size);
u64 run_fault(u32 n, u32 size);
u64 run_walk(u32 n, u32 size);

/* exits.c: what leaves a guest of the bench's monitor. */
u64 run_cpuid(u32 n, u32 size);
u64 run_port(u32 n, u32 size);
u64 run_msr(u32 n, u32 size);
u64 run_ept(u32 n, u32 size);
u64 run_hlt(u32 n, u32 size);
#endif

static const struct workload_entry workloads[] = {
    {"sha", run_sha}, {"lz", run_lz}, {"qsort", run_qsort}, {"hash", run_hash},
    {"tree", run_tree}, {"sm", run_sm}, {"arith", run_arith}, {"flat", run_flat},
    {"movsb", run_movsb}, {"movsw", run_movsw}, {"stosb", run_stosb}, {"stosw", run_stosw},
    {"copyloop", run_copyloop}, {"fillloop", run_fillloop},
#ifdef __x86_64__
    {"switch", run_switch}, {"syscall", run_syscall}, {"fault", run_fault}, {"walk", run_walk},
    {"cpuid", run_cpuid}, {"port", run_port}, {"msr", run_msr}, {"ept", run_ept}, {"hlt", run_hlt},
#endif
    {0, 0},
};

#endif
