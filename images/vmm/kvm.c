/*
 * The KVM side (Documentation/virt/kvm/api.rst in Linux): makes the virtual machine and its vCPU, runs it, and hands
 * port accesses to ports.c.
 */
#define _GNU_SOURCE
#include "vmm.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define CPUID_ENTRIES 256
#define CPUID_1_ECX_TSC_DEADLINE (1u << 24)
#define CPUID_1_ECX_HYPERVISOR (1u << 31)
#define CPUID_NAME_FIRST 0x80000002u
#define CPUID_NAME_LAST 0x80000004u
#define CR0_PE 1u
#define CR0_PG (1u << 31)
#define CR4_PAE (1u << 5)
#define EFER_LME_LMA 0x500u
/* Descriptors of the boot protocols' segments: flat, 32-bit or 64-bit code at 10h, data at 18h. */
#define SELECTOR_CODE 0x10
#define SELECTOR_DATA 0x18
#define DESCRIPTOR_CODE32 0x00cf9b000000ffffull
#define DESCRIPTOR_CODE64 0x00af9b000000ffffull
#define DESCRIPTOR_DATA 0x00cf93000000ffffull
#define PAGE_PRESENT_WRITABLE 3ull
#define PAGE_LARGE 0x80ull
#define MSR_IA32_MISC_ENABLE 0x1a0
#define MISC_ENABLE_FAST_STRINGS 1u

static int kvm, machine, vcpu;
static struct kvm_run *run;

void kvm_open(void)
{
    kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0)
        fail_errno("/dev/kvm (are the kvm modules loaded, and has the CPU VT-x?)");
    if (ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        fail("/dev/kvm speaks another API version");
}

void kvm_create_machine(void)
{
    machine = ioctl(kvm, KVM_CREATE_VM, 0);
    if (machine < 0)
        fail_errno("KVM_CREATE_VM");
    uint64_t identity_map = LAYOUT_KVM_PRIVATE;
    if (ioctl(machine, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) < 0)
        fail_errno("KVM_SET_IDENTITY_MAP_ADDR");
    if (ioctl(machine, KVM_SET_TSS_ADDR, LAYOUT_KVM_PRIVATE + 0x1000ul) < 0)
        fail_errno("KVM_SET_TSS_ADDR");
    if (ioctl(machine, KVM_CREATE_IRQCHIP, 0) < 0)
        fail_errno("KVM_CREATE_IRQCHIP");
    /* With KVM's own port 61h: guests poll it to calibrate their clocks. */
    struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
    if (ioctl(machine, KVM_CREATE_PIT2, &pit) < 0)
        fail_errno("KVM_CREATE_PIT2");
    struct kvm_userspace_memory_region ram = { .memory_size = guest_ram_size, .userspace_addr = (uintptr_t)guest_ram };
    if (ioctl(machine, KVM_SET_USER_MEMORY_REGION, &ram) < 0)
        fail_errno("KVM_SET_USER_MEMORY_REGION");
}

/* All that KVM can give, VMX included, so that the guest may be a hypervisor too. */
static void set_cpuid(void)
{
    static struct {
        struct kvm_cpuid2 header;
        struct kvm_cpuid_entry2 entries[CPUID_ENTRIES];
    } cpuid = { .header = { .nent = CPUID_ENTRIES } };
    if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) < 0)
        fail_errno("KVM_GET_SUPPORTED_CPUID");
    bool deadline = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
    for (unsigned i = 0; i < cpuid.header.nent; i++) {
        struct kvm_cpuid_entry2 *entry = &cpuid.entries[i];
        /* KVM leaves these two to its user: Linux looks for the paravirtual clock only under a hypervisor. */
        if (entry->function == 1)
            entry->ecx |= CPUID_1_ECX_HYPERVISOR | (deadline ? CPUID_1_ECX_TSC_DEADLINE : 0);
        /* So it does the CPU's name. */
        if (entry->function >= CPUID_NAME_FIRST && entry->function <= CPUID_NAME_LAST)
            __cpuid(entry->function, entry->eax, entry->ebx, entry->ecx, entry->edx);
    }
    if (ioctl(vcpu, KVM_SET_CPUID2, &cpuid) < 0)
        fail_errno("KVM_SET_CPUID2");
}

/* Identity map of the first 4 GiB with 2 MiB pages, as the 64-bit entry of Linux wants it. */
static void build_page_tables(void)
{
    uint64_t *table = (void *)(guest_ram + LAYOUT_PAGE_TABLES);
    uint64_t *directory_pointers = table + 512, *directories = table + 1024;
    memset(table, 0, 2 * 4096);
    table[0] = (LAYOUT_PAGE_TABLES + 0x1000) | PAGE_PRESENT_WRITABLE;
    for (unsigned i = 0; i < 4; i++)
        directory_pointers[i] = (LAYOUT_PAGE_TABLES + 0x2000 + i * 0x1000u) | PAGE_PRESENT_WRITABLE;
    for (uint64_t i = 0; i < 4 * 512; i++)
        directories[i] = i << 21 | PAGE_LARGE | PAGE_PRESENT_WRITABLE;
}

static void set_registers(const struct start_state *start)
{
    uint64_t *gdt = (void *)(guest_ram + LAYOUT_GDT);
    gdt[0] = gdt[1] = 0;
    gdt[SELECTOR_CODE / 8] = start->long_mode ? DESCRIPTOR_CODE64 : DESCRIPTOR_CODE32;
    gdt[SELECTOR_DATA / 8] = DESCRIPTOR_DATA;

    struct kvm_sregs system;
    if (ioctl(vcpu, KVM_GET_SREGS, &system) < 0)
        fail_errno("KVM_GET_SREGS");
    struct kvm_segment data = { .limit = 0xffffffff, .selector = SELECTOR_DATA, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1 };
    /* FS and GS too: 32-bit Linux reads through FS before it has loaded it. */
    system.ds = system.es = system.fs = system.gs = system.ss = data;
    system.cs = data;
    system.cs.selector = SELECTOR_CODE;
    system.cs.type = 11;
    system.cs.db = !start->long_mode;
    system.cs.l = start->long_mode;
    system.gdt.base = LAYOUT_GDT;
    system.gdt.limit = SELECTOR_DATA + 7;
    system.cr0 |= CR0_PE;
    if (start->long_mode) {
        build_page_tables();
        system.cr3 = LAYOUT_PAGE_TABLES;
        system.cr4 |= CR4_PAE;
        system.efer |= EFER_LME_LMA;
        system.cr0 |= CR0_PG;
    }
    if (ioctl(vcpu, KVM_SET_SREGS, &system) < 0)
        fail_errno("KVM_SET_SREGS");
    struct kvm_regs general = { .rip = start->entry, .rsi = start->rsi, .rbx = start->rbx, .rflags = 2 };
    if (ioctl(vcpu, KVM_SET_REGS, &general) < 0)
        fail_errno("KVM_SET_REGS");
}

/*
 * KVM starts with "fast strings" off in IA32_MISC_ENABLE; firmware turns it on. Linux would otherwise clear and copy
 * pages word by word.
 */
static void enable_fast_strings(void)
{
    struct {
        struct kvm_msrs header;
        struct kvm_msr_entry entry;
    } misc_enable = { .header = { .nmsrs = 1 }, .entry = { .index = MSR_IA32_MISC_ENABLE } };
    if (ioctl(vcpu, KVM_GET_MSRS, &misc_enable) != 1)
        return; /* not an Intel CPU: it has no such switch */
    misc_enable.entry.data |= MISC_ENABLE_FAST_STRINGS;
    ioctl(vcpu, KVM_SET_MSRS, &misc_enable); /* without it the guest is slower, not wrong */
}

void kvm_create_vcpu(const struct start_state *start)
{
    vcpu = ioctl(machine, KVM_CREATE_VCPU, 0);
    if (vcpu < 0)
        fail_errno("KVM_CREATE_VCPU");
    int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    run = size < 0 ? MAP_FAILED : mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (run == MAP_FAILED)
        fail_errno("the vCPU's shared page");
    set_cpuid();
    enable_fast_strings();
    set_registers(start);
}

void kvm_set_irq(unsigned line, bool level)
{
    struct kvm_irq_level request = { .irq = line, .level = level };
    if (ioctl(machine, KVM_IRQ_LINE, &request) < 0)
        fail_errno("KVM_IRQ_LINE");
}

void kvm_interrupt_run(void)
{
    if (run != NULL)
        run->immediate_exit = 1;
}

static void handle_io(void)
{
    uint8_t *data = (uint8_t *)run + run->io.data_offset;
    unsigned size = run->io.size;
    for (unsigned i = 0; i < run->io.count; i++, data += size) {
        uint32_t value = 0;
        if (run->io.direction == KVM_EXIT_IO_OUT) {
            memcpy(&value, data, size);
            port_write(run->io.port, size, value);
        } else {
            value = port_read(run->io.port, size);
            memcpy(data, &value, size);
        }
    }
}

static int stopped(void)
{
    struct kvm_regs general = { 0 };
    ioctl(vcpu, KVM_GET_REGS, &general);
    if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
        note("KVM internal error %u at RIP %llx", run->internal.suberror, general.rip);
    else if (run->exit_reason == KVM_EXIT_FAIL_ENTRY)
        note("the CPU refused to enter the guest: hardware reason %llx at RIP %llx",
             (unsigned long long)run->fail_entry.hardware_entry_failure_reason, general.rip);
    else
        note("unexpected exit %u at RIP %llx", run->exit_reason, general.rip);
    return EXIT_KVM_STOPPED;
}

int kvm_run_guest(void)
{
    int exit_code;
    for (;;) {
        if (ioctl(vcpu, KVM_RUN, 0) < 0) {
            if (errno != EINTR && errno != EAGAIN)
                fail_errno("KVM_RUN");
            run->immediate_exit = 0; /* before looking: what comes later sets it again */
            uart_service();
            continue;
        }
        switch (run->exit_reason) {
        case KVM_EXIT_IO:
            handle_io();
            if (guest_ended(&exit_code))
                return exit_code;
            break;
        case KVM_EXIT_MMIO: /* nothing is there */
            if (!run->mmio.is_write)
                memset(run->mmio.data, 0xff, sizeof run->mmio.data);
            break;
        case KVM_EXIT_INTR: break;
        case KVM_EXIT_SHUTDOWN: return EXIT_TRIPLE_FAULT;
        default: return stopped();
        }
    }
}
