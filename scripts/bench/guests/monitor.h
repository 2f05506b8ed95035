/* Between the parts of the monitor. */
#ifndef MONITOR_H
#define MONITOR_H
#include "base.h"

#define TABLE_BYTES 4096

/* The guest's general registers, in the order of their numbers; RSP (4) is in the VMCS. */
extern u64 guest_registers[16];

/* Prints and stops the machine. */
void fail(const char *what, u64 value);

/* ept.c: guest-physical memory where there is EPT. Returns the EPT pointer. */
u64 make_ept(void);
void on_ept_violation(u64 guest_physical);
void empty_window(void);

/* shadow.c: where there is none, page tables that follow the guest's own. */
u64 make_shadow(u64 guest_cr3);
void load_guest_cr3(u64 value);
u64 guest_cr3(void);
void on_page_fault(u64 linear, u32 error_code);
void on_invlpg(u64 linear);

#endif
