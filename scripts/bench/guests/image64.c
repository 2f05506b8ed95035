/* The 64-bit workloads' start: heap and stack at high linear addresses, in 4 KiB pages as in a process, then the command line. */
#include "paging64.h"
#include "system.h"

void run_command_line(const char *text);

u64 *kernel_root;
static const char *command_line;

static void on_high_stack(void)
{
    run_command_line(command_line);
}

void image_main(u32 info)
{
    command_line = (const char *)(u64)((const u32 *)(u64)info)[4];
    __asm__ volatile("mov %%cr3, %0" : "=r"(kernel_root));
    map_pages(kernel_root, HEAP_LINEAR, HEAP_PHYSICAL, HEAP_BYTES);
    map_pages(kernel_root, STACK_TOP_LINEAR - STACK_BYTES, STACK_PHYSICAL, STACK_BYTES);
    load_cr3(kernel_root);
    heap = (u8 *)HEAP_LINEAR;
    prepare_system();
    __asm__ volatile("mov %0, %%rsp; call *%1" : : "r"(STACK_TOP_LINEAR), "r"(on_high_stack) : "memory");
}
