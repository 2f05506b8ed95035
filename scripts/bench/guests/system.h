#ifndef SYSTEM_H
#define SYSTEM_H
/* Exceptions, system calls and the address spaces of the system workloads; once, before any of them. */
void prepare_system(void);
#endif
