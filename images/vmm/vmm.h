/*
 * minivmm: a small virtual machine monitor over Linux KVM. It runs as a program of L1 and boots one Linux guest (L2)
 * without firmware: one vCPU, KVM's own interrupt controllers and timer, a serial port on standard input and output,
 * and a second one if asked for.
 *
 * One thread does everything. Input and timer signals make KVM_RUN return; so nothing needs a lock.
 */
#ifndef VMM_H
#define VMM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit codes of the program. A guest's own code comes through the debug-exit port (ports.c). */
enum {
    EXIT_RESET = 0,        /* the guest asked for a reset: the usual end */
    EXIT_HOST_ERROR = 1,   /* wrong usage, unreadable file, or KVM refused something */
    EXIT_TRIPLE_FAULT = 2, /* also what Linux does for a reset with reboot=t */
    EXIT_KVM_STOPPED = 3,  /* KVM could not go on with the guest */
};

/* The guest's physical address space (guest-physical addresses, bytes). */
enum {
    LAYOUT_GDT = 0x1000,
    LAYOUT_PVH_START_INFO = 0x7000,
    LAYOUT_PVH_MODULES = 0x7100,
    LAYOUT_PVH_MEMORY_MAP = 0x7200,
    LAYOUT_PAGE_TABLES = 0x8000, /* six pages */
    LAYOUT_BOOT_PARAMS = 0x10000,
    LAYOUT_COMMAND_LINE = 0x20000,
    LAYOUT_COMMAND_LINE_END = 0x21000,
    LAYOUT_LOW_RAM_END = 0x9fc00, /* a kilobyte for the firmware follows */
    LAYOUT_VGA = 0xa0000,
    LAYOUT_ACPI = 0xe0000,
    LAYOUT_ACPI_END = 0x100000,
    LAYOUT_HIGH_RAM = 0x100000,
};
#define LAYOUT_KVM_PRIVATE 0xfffbc000u /* four pages for KVM on Intel CPUs without unrestricted guest */
#define LAYOUT_IOAPIC 0xfec00000u
#define LAYOUT_LAPIC 0xfee00000u

/* Guest RAM: starts at guest-physical 0, no hole. */
extern uint8_t *guest_ram;
extern uint64_t guest_ram_size;

/* How a guest starts: filled in by the loader, turned into registers by kvm.c. */
struct start_state {
    bool long_mode;   /* 64-bit with an identity map, else 32-bit flat without paging */
    uint32_t entry;   /* guest-physical */
    uint32_t rsi;     /* boot_params, Linux protocol */
    uint32_t rbx;     /* hvm_start_info, PVH protocol */
};

struct boot_request {
    const char *kernel_path;
    const char *initrd_path; /* NULL: none */
    const char *command_line;
};

/* host.c */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void fail_errno(const char *what) __attribute__((noreturn));
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* loader.c */
struct start_state load_guest(const struct boot_request *request);

/* acpi.c */
uint32_t build_acpi_tables(void); /* returns the guest-physical address of the RSDP */

/* kvm.c */
void kvm_open(void);
void kvm_create_machine(void);
void kvm_create_vcpu(const struct start_state *start);
void kvm_set_irq(unsigned line, bool level);
void kvm_interrupt_run(void); /* async-signal-safe: the current or next KVM_RUN returns at once */
int kvm_run_guest(void);      /* until the guest ends; returns the program's exit code */

/* ports.c */
void port_write(uint16_t port, unsigned size, uint32_t value);
uint32_t port_read(uint16_t port, unsigned size);
bool guest_ended(int *exit_code);

/* uart.c */
enum { UARTS = 2 }; /* port 0 is COM1 */
void uart_connect(unsigned port, int descriptor);
bool uart_exists(unsigned port);
void uart_start(void);
void uart_write(unsigned port, unsigned offset, uint8_t value);
uint8_t uart_read(unsigned port, unsigned offset);
void uart_service(void); /* after a signal: moves waiting input and output */
void uart_flush(void);

#endif
