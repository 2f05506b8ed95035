/* What the monitor and the workloads that make it work agree on. */
#ifndef EXITS_H
#define EXITS_H

/* CPUID leaf at which the monitor answers, and its answer in EAX. */
#define MONITOR_LEAF 0x40000000
#define MONITOR_ANSWER 0x6e627562
/* The only port and the only MSR that exit. */
#define MONITOR_PORT 0x80
#define MONITOR_MSR 0x1b
/* Guest-physical window that has no memory until it is touched; VMCALL takes it all away again. */
#define WINDOW 0x40000000
#define WINDOW_PAGES 512

#endif
