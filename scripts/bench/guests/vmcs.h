/* VMX as the monitor uses it (SDM 3C; field encodings 3D appendix B, exit reasons appendix C). */
#ifndef VMCS_H
#define VMCS_H
#include "base.h"

enum {
    MSR_FEATURE_CONTROL = 0x3a,
    MSR_VMX_BASIC = 0x480,
    MSR_VMX_PIN = 0x481,
    MSR_VMX_PROC = 0x482,
    MSR_VMX_EXIT = 0x483,
    MSR_VMX_ENTRY = 0x484,
    MSR_VMX_CR4_FIXED0 = 0x488,
    MSR_VMX_PROC2 = 0x48b,
    MSR_VMX_TRUE_PIN = 0x48d,
    MSR_EFER = 0xc0000080,
};

/* Controls. */
#define PROC_HLT (1u << 7)
#define PROC_INVLPG (1u << 9)
#define PROC_CR3_LOAD (1u << 15)
#define PROC_CR3_STORE (1u << 16)
#define PROC_IO_BITMAPS (1u << 25)
#define PROC_MSR_BITMAPS (1u << 28)
#define PROC_SECONDARY (1u << 31)
#define PROC2_EPT (1u << 1)
#define PROC2_RDTSCP (1u << 3)
#define PROC2_VPID (1u << 5)
#define PROC2_UNRESTRICTED (1u << 7)
#define EXIT_HOST64 (1u << 9)
#define EXIT_SAVE_EFER (1u << 20)
#define EXIT_LOAD_EFER (1u << 21)
#define ENTRY_GUEST64 (1u << 9)
#define ENTRY_LOAD_EFER (1u << 15)

/* Fields. Segments follow in steps of two: ES, CS, SS, DS, FS, GS, LDTR, TR. */
enum {
    VPID = 0x0000,
    GUEST_SELECTORS = 0x0800,
    HOST_SELECTORS = 0x0c00,
    IO_BITMAP_A = 0x2000,
    IO_BITMAP_B = 0x2002,
    MSR_BITMAP = 0x2004,
    EPT_POINTER = 0x201a,
    GUEST_PHYSICAL_ADDRESS = 0x2400,
    VMCS_LINK = 0x2800,
    GUEST_EFER = 0x2806,
    HOST_EFER = 0x2c02,
    PIN_CONTROLS = 0x4000,
    PROC_CONTROLS = 0x4002,
    EXCEPTION_BITMAP = 0x4004,
    PAGE_FAULT_MASK = 0x4006,
    PAGE_FAULT_MATCH = 0x4008,
    EXIT_CONTROLS = 0x400c,
    ENTRY_CONTROLS = 0x4012,
    ENTRY_EVENT = 0x4016,
    ENTRY_ERROR_CODE = 0x4018,
    PROC2_CONTROLS = 0x401e,
    INSTRUCTION_ERROR = 0x4400,
    EXIT_REASON = 0x4402,
    EXIT_EVENT = 0x4404,
    EXIT_ERROR_CODE = 0x4406,
    EXIT_LENGTH = 0x440c,
    GUEST_LIMITS = 0x4800,
    GUEST_GDTR_LIMIT = 0x4810,
    GUEST_IDTR_LIMIT = 0x4812,
    GUEST_RIGHTS = 0x4814,
    EXIT_QUALIFICATION = 0x6400,
    GUEST_CR0 = 0x6800,
    GUEST_CR3 = 0x6802,
    GUEST_CR4 = 0x6804,
    GUEST_BASES = 0x6806,
    GUEST_DR7 = 0x681a,
    GUEST_RSP = 0x681c,
    GUEST_RIP = 0x681e,
    GUEST_RFLAGS = 0x6820,
    HOST_CR0 = 0x6c00,
    HOST_CR3 = 0x6c02,
    HOST_CR4 = 0x6c04,
    HOST_TR_BASE = 0x6c0a,
    HOST_GDTR_BASE = 0x6c0c,
    HOST_RSP = 0x6c14,
    HOST_RIP = 0x6c16,
};

enum {
    REASON_EXCEPTION = 0,
    REASON_CPUID = 10,
    REASON_HLT = 12,
    REASON_INVLPG = 14,
    REASON_VMCALL = 18,
    REASON_CR = 28,
    REASON_IO = 30,
    REASON_RDMSR = 31,
    REASON_EPT_VIOLATION = 48,
};

static inline u64 read_msr(u32 index)
{
    u32 low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
    return low | (u64)high << 32;
}

static inline void write_msr(u32 index, u64 value)
{
    __asm__ volatile("wrmsr" : : "c"(index), "a"((u32)value), "d"((u32)(value >> 32)));
}

static inline u64 vm_read(u64 field)
{
    u64 value;
    __asm__ volatile("vmread %1, %0" : "=r"(value) : "r"(field) : "cc");
    return value;
}

static inline void vm_write(u64 field, u64 value)
{
    __asm__ volatile("vmwrite %1, %0" : : "r"(field), "r"(value) : "cc");
}

#endif
