/*
 * A minimal hypervisor for one guest, the workloads: VMXON, one VMCS, and as few VM exits as possible: CPUID, one port, one MSR,
 * HLT, VMCALL, and EPT violations in a window; COM1 and everything else are the guest's own. With EPT and unrestricted guest the guest
 * starts as from a boot loader; without, in 64-bit mode, with shadow page tables (shadow.c).
 */
#include "monitor.h"
#include "exits.h"
#include "port.h"
#include "vmcs.h"

#define PAYLOAD 0x400000
/* Page tables that a guest starts with in 64-bit mode; in its memory, below its heap. */
#define START_TABLES 0xf00000
#define GUEST_STACK 0x7000
#define TSS_SELECTOR 0x40

int launch_guest(void);
void vm_exit_entry(void);
extern u64 gdt[], tss_descriptor[];
extern u8 monitor_stack_top[];

u64 guest_registers[16];

static u8 vmxon_region[4096] __attribute__((aligned(4096)));
static u8 vmcs_region[4096] __attribute__((aligned(4096)));
static u8 io_bitmaps[8192] __attribute__((aligned(4096)));
static u8 msr_bitmap[4096] __attribute__((aligned(4096)));
static u32 tss[26];
static int nested_paging;

void fail(const char *what, u64 value)
{
    print("\nmonitor: ");
    print(what);
    print(" ");
    print_number(value, 16);
    print("\n");
    out32(0xf4, 1);
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* Wanted bits, as far as a capability MSR allows, with those that it demands. */
static u32 allowed(u32 msr, u32 wanted)
{
    u64 capability = read_msr(msr);
    return (wanted | (u32)capability) & (u32)(capability >> 32);
}

static void enter_vmx_operation(void)
{
    u64 control = read_msr(MSR_FEATURE_CONTROL), cr4, region = (u64)vmxon_region;
    u8 failed;
    if (!(control & 1))
        write_msr(MSR_FEATURE_CONTROL, control | 5);
    else if (!(control & 4))
        fail("VMX is switched off", control);
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | read_msr(MSR_VMX_CR4_FIXED0)));
    *(u32 *)vmxon_region = *(u32 *)vmcs_region = read_msr(MSR_VMX_BASIC) & 0x7fffffff;
    __asm__ volatile("vmxon %1; setbe %0" : "=qm"(failed) : "m"(region) : "cc", "memory");
    if (failed)
        fail("VMXON failed", 0);
    region = (u64)vmcs_region;
    __asm__ volatile("vmclear %1; setbe %0" : "=qm"(failed) : "m"(region) : "cc", "memory");
    if (!failed)
        __asm__ volatile("vmptrld %1; setbe %0" : "=qm"(failed) : "m"(region) : "cc", "memory");
    if (failed)
        fail("no VMCS", 0);
}

static void set_controls(void)
{
    int has_true = read_msr(MSR_VMX_BASIC) >> 55 & 1;
    u32 step = has_true ? MSR_VMX_TRUE_PIN - MSR_VMX_PIN : 0;
    u32 proc2 = allowed(MSR_VMX_PROC2, PROC2_EPT | PROC2_RDTSCP | PROC2_VPID | PROC2_UNRESTRICTED);
    nested_paging = (proc2 & PROC2_EPT) && (proc2 & PROC2_UNRESTRICTED);
    if (!nested_paging)
        proc2 &= ~(PROC2_EPT | PROC2_UNRESTRICTED);
    u32 proc = PROC_HLT | PROC_IO_BITMAPS | PROC_MSR_BITMAPS | PROC_SECONDARY;
    if (!nested_paging)
        proc |= PROC_CR3_LOAD | PROC_CR3_STORE | PROC_INVLPG;
    proc = allowed(MSR_VMX_PROC + step, proc);
    if (nested_paging)
        proc &= ~(PROC_CR3_LOAD | PROC_CR3_STORE);
    vm_write(PIN_CONTROLS, allowed(MSR_VMX_PIN + step, 0));
    vm_write(PROC_CONTROLS, proc);
    vm_write(PROC2_CONTROLS, proc2);
    vm_write(EXIT_CONTROLS, allowed(MSR_VMX_EXIT + step, EXIT_HOST64 | EXIT_SAVE_EFER | EXIT_LOAD_EFER));
    vm_write(ENTRY_CONTROLS, allowed(MSR_VMX_ENTRY + step, ENTRY_LOAD_EFER | (nested_paging ? 0 : ENTRY_GUEST64)));
    if (proc2 & PROC2_VPID)
        vm_write(VPID, 1);
    /* Page faults are the guest's own where it has its own page tables. */
    vm_write(EXCEPTION_BITMAP, nested_paging ? 0 : 1 << 14);
    vm_write(PAGE_FAULT_MASK, 0);
    vm_write(PAGE_FAULT_MATCH, 0);
    io_bitmaps[MONITOR_PORT / 8] = 1 << MONITOR_PORT % 8;
    vm_write(IO_BITMAP_A, (u64)io_bitmaps);
    vm_write(IO_BITMAP_B, (u64)io_bitmaps + 4096);
    msr_bitmap[MONITOR_MSR / 8] = 1 << MONITOR_MSR % 8;
    vm_write(MSR_BITMAP, (u64)msr_bitmap);
    vm_write(VMCS_LINK, ~0ULL);
}

static void set_host_state(void)
{
    u64 cr0, cr3, cr4, base = (u64)tss;
    tss_descriptor[0] = (sizeof tss - 1) | (base & 0xffffff) << 16 | 0x89ULL << 40 | (base >> 24 & 0xff) << 56;
    tss_descriptor[1] = base >> 32;
    __asm__ volatile("ltr %w0" : : "r"(TSS_SELECTOR));
    __asm__ volatile("mov %%cr0, %0; mov %%cr3, %1; mov %%cr4, %2" : "=r"(cr0), "=r"(cr3), "=r"(cr4));
    static const u16 selectors[] = {0x20, 0x18, 0x20, 0x20, 0, 0, TSS_SELECTOR};
    for (int n = 0; n < 7; n++)
        vm_write(HOST_SELECTORS + 2 * n, selectors[n]);
    vm_write(HOST_CR0, cr0);
    vm_write(HOST_CR3, cr3);
    vm_write(HOST_CR4, cr4);
    vm_write(HOST_EFER, read_msr(MSR_EFER));
    vm_write(HOST_TR_BASE, base);
    vm_write(HOST_GDTR_BASE, (u64)gdt);
    vm_write(HOST_RSP, (u64)monitor_stack_top);
    vm_write(HOST_RIP, (u64)vm_exit_entry);
}

static void set_segment(int n, u16 selector, u32 limit, u32 rights)
{
    vm_write(GUEST_SELECTORS + 2 * n, selector);
    vm_write(GUEST_LIMITS + 2 * n, limit);
    vm_write(GUEST_RIGHTS + 2 * n, rights);
    vm_write(GUEST_BASES + 2 * n, 0);
}

/* The first 4 GiB one to one, for a guest that starts in 64-bit mode. */
static u64 make_start_tables(void)
{
    u64 *tables = (u64 *)START_TABLES;
    memset(tables, 0, 2 * TABLE_BYTES);
    tables[0] = START_TABLES + TABLE_BYTES + 7;
    for (u64 n = 0; n < 4; n++)
        tables[512 + n] = START_TABLES + (2 + n) * TABLE_BYTES + 7;
    for (u64 n = 0; n < 2048; n++)
        tables[1024 + n] = n << 21 | 0x87;
    return START_TABLES;
}

static void set_guest_state(u32 info)
{
    u64 cr4;
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    for (int n = 0; n < 6; n++)
        set_segment(n, 0x10, 0xffffffff, 0xc093);
    set_segment(1, nested_paging ? 0x08 : 0x18, 0xffffffff, nested_paging ? 0xc09b : 0xa09b);
    set_segment(6, 0, 0, 0x10000); /* LDTR: unusable */
    set_segment(7, TSS_SELECTOR, sizeof tss - 1, 0x8b);
    vm_write(GUEST_GDTR_LIMIT, 0);
    vm_write(GUEST_IDTR_LIMIT, 0);
    vm_write(GUEST_RFLAGS, 2);
    vm_write(GUEST_DR7, 0x400);
    vm_write(GUEST_RSP, GUEST_STACK);
    guest_registers[3] = info;
    if (nested_paging) {
        vm_write(EPT_POINTER, make_ept());
        vm_write(GUEST_CR0, 0x31);
        vm_write(GUEST_CR4, read_msr(MSR_VMX_CR4_FIXED0));
        vm_write(GUEST_EFER, 0);
        vm_write(GUEST_RIP, PAYLOAD);
        guest_registers[0] = 0x2badb002;
    } else {
        vm_write(GUEST_CR0, 0x80010031);
        vm_write(GUEST_CR3, make_shadow(make_start_tables()));
        vm_write(GUEST_CR4, cr4);
        vm_write(GUEST_EFER, read_msr(MSR_EFER));
        vm_write(GUEST_RIP, *(const u64 *)(PAYLOAD + 8));
    }
}

static void skip_instruction(void)
{
    vm_write(GUEST_RIP, vm_read(GUEST_RIP) + vm_read(EXIT_LENGTH));
}

static void on_cpuid(void)
{
    u32 a = guest_registers[0], b, c = guest_registers[1], d;
    if (a == MONITOR_LEAF) {
        a = MONITOR_ANSWER;
        b = c = d = 0;
    } else {
        __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    }
    guest_registers[0] = a;
    guest_registers[3] = b;
    guest_registers[1] = c;
    guest_registers[2] = d;
    skip_instruction();
}

/* MOV to and from CR3, the only ones that exit. */
static void on_cr_access(u64 qualification)
{
    u64 *operand = &guest_registers[qualification >> 8 & 15];
    if ((qualification & 15) != 3)
        fail("access to a control register", qualification);
    if (qualification >> 4 & 3)
        *operand = guest_cr3();
    else
        load_guest_cr3(*operand);
    skip_instruction();
}

static void on_rdmsr(void)
{
    u64 value = read_msr(guest_registers[1]);
    guest_registers[0] = (u32)value;
    guest_registers[2] = value >> 32;
    skip_instruction();
}

void handle_exit(void)
{
    u32 reason = vm_read(EXIT_REASON);
    switch (reason) {
    case REASON_EXCEPTION:
        on_page_fault(vm_read(EXIT_QUALIFICATION), vm_read(EXIT_ERROR_CODE));
        break;
    case REASON_CPUID:
        on_cpuid();
        break;
    case REASON_HLT:
    case REASON_IO:
        skip_instruction();
        break;
    case REASON_INVLPG:
        on_invlpg(vm_read(EXIT_QUALIFICATION));
        skip_instruction();
        break;
    case REASON_VMCALL:
        empty_window();
        skip_instruction();
        break;
    case REASON_CR:
        on_cr_access(vm_read(EXIT_QUALIFICATION));
        break;
    case REASON_RDMSR:
        on_rdmsr();
        break;
    case REASON_EPT_VIOLATION:
        on_ept_violation(vm_read(GUEST_PHYSICAL_ADDRESS));
        break;
    default:
        print("\nat ");
        print_number(vm_read(GUEST_RIP), 16);
        fail("exit with reason", reason);
    }
}

void image_main(u32 info)
{
    prepare_console();
    enter_vmx_operation();
    set_controls();
    set_host_state();
    set_guest_state(info);
    launch_guest();
    fail("VM entry failed", vm_read(INSTRUCTION_ERROR));
}
