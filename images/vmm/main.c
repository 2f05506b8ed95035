/* The command line, guest memory, and the order in which a machine comes to life. */
#define _GNU_SOURCE
#include "vmm.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB (1ull << 20)
#define HUGE_PAGE (2 * MIB)
/* RAM has no hole, so it ends below the interrupt controllers. */
#define RAM_LIMIT_MIB 3072

uint8_t *guest_ram;
uint64_t guest_ram_size;

static void usage(void)
{
    fputs("usage: minivmm [-m MEGABYTES] [-i INITRD] [-c COMMAND_LINE] [-2 DEVICE] KERNEL\n"
          "KERNEL: bzImage, ELF with a PVH entry, or 32-bit ELF. The guest's COM1 is standard input and output,\n"
          "its COM2 the device, if one is given.\n"
          "exit code: 0 guest reset, 1 error, 2 triple fault (reboot=t), 3 KVM could not go on, or what the guest\n"
          "wrote to port F4h\n",
          stderr);
    exit(EXIT_HOST_ERROR);
}

/*
 * Guest memory starts on a 2 MiB boundary of this process, so that L1 can back it with huge pages and KVM can map it
 * with large EPT entries: some 50 EPT violations during a boot instead of 22,000.
 */
static void allocate_guest_ram(unsigned long megabytes)
{
    if (megabytes < 16 || megabytes > RAM_LIMIT_MIB)
        fail("-m %lu: a guest has 16 to %d MB", megabytes, RAM_LIMIT_MIB);
    guest_ram_size = megabytes * MIB;
    uint8_t *area = mmap(NULL, guest_ram_size + HUGE_PAGE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED)
        fail_errno("guest memory");
    guest_ram = (uint8_t *)(((uintptr_t)area + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
    madvise(guest_ram, guest_ram_size, MADV_HUGEPAGE); /* a kernel without huge pages is slower, not wrong */
}

static void connect_second_port(const char *path)
{
    int device = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (device < 0)
        fail_errno(path);
    uart_connect(1, device);
}

int main(int count, char **arguments)
{
    struct boot_request request = { .command_line = "console=ttyS0" };
    unsigned long megabytes = 128;
    for (int option; (option = getopt(count, arguments, "m:i:c:2:")) != -1;) {
        switch (option) {
        case 'm': megabytes = strtoul(optarg, NULL, 10); break;
        case 'i': request.initrd_path = optarg; break;
        case 'c': request.command_line = optarg; break;
        case '2': connect_second_port(optarg); break;
        default: usage();
        }
    }
    if (optind != count - 1)
        usage();
    request.kernel_path = arguments[optind];

    kvm_open();
    allocate_guest_ram(megabytes);
    struct start_state start = load_guest(&request);
    kvm_create_machine();
    kvm_create_vcpu(&start);
    uart_start();
    int code = kvm_run_guest();
    uart_flush();
    return code;
}
