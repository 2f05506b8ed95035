/* Harness of the VMX conformance kernel: serial output, checks, VMX instructions, a guest that shares the host's address space. */
#pragma once
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;

/* --- Checks --- */
void group(const char *name);
void group_end(void);
/* One check: nothing if it holds, else a FAIL line with the value. */
void check(int holds, const char *what, u64 value);
#define EQ(actual, expected, what) do { u64 a_ = (u64)(actual); check(a_ == (u64)(expected), what, a_); } while (0)

/* --- CPU --- */
static inline void outb(u16 port, u8 v) { asm volatile("outb %0, %1" :: "a"(v), "Nd"(port)); }
static inline u8 inb(u16 port) { u8 v; asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline u64 rdmsr(u32 n) { u32 a, d; asm volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(n)); return a | (u64)d << 32; }
static inline void wrmsr(u32 n, u64 v) { asm volatile("wrmsr" :: "c"(n), "a"((u32)v), "d"((u32)(v >> 32)) : "memory"); }
static inline u64 rdtsc(void) { u32 a, d; asm volatile("rdtsc" : "=a"(a), "=d"(d)); return a | (u64)d << 32; }
#define READ_CR(n) ({ u64 v_; asm volatile("mov %%cr" #n ", %0" : "=r"(v_)); v_; })
#define WRITE_CR(n, v) asm volatile("mov %0, %%cr" #n :: "r"((u64)(v)) : "memory")

/* What on_exception saw last; a non-zero ex_fixup is where it returns to, once. */
extern volatile u64 ex_vector, ex_error, ex_rip, ex_rflags, ex_fixup, ex_count, ex_rsp;
extern volatile u32 vector_count[256];
/* With several processors: handlers run, by APIC id and vector. */
extern volatile u32 processor_vectors[8][256];
extern u32 processors;
/* The host's handlers use the x2APIC. */
extern int use_x2apic;
/* Vector of the fault that the statement raises, or -1. */
#define FAULT_OF(...) ({ \
  ex_vector = ~0ull; ex_error = 0; \
  asm volatile("movq $1f, ex_fixup\n\t" __VA_ARGS__); \
  ex_fixup = 0; (long)ex_vector; })

/* --- VMX instructions: 0, or the flags CF and ZF --- */
#define FLAGS_RESULT(f) ((f) & 0x41)
static inline u32 vmx_pointer_ok(u64 f) { return FLAGS_RESULT(f); }
#define VMX1(insn, p) ({ u64 f_; asm volatile(insn " %1; pushf; pop %0" : "=r"(f_) : "m"(p) : "cc", "memory"); (u32)(f_ & 0x8d5); })
static inline u32 vmxon(u64 p) { return VMX1("vmxon", p); }
static inline u32 vmclear(u64 p) { return VMX1("vmclear", p); }
static inline u32 vmptrld(u64 p) { return VMX1("vmptrld", p); }
static inline u64 vmptrst(void) { u64 p = 0; asm volatile("vmptrst %0" : "=m"(p) :: "cc", "memory"); return p; }
static inline u32 vmxoff(void) { u64 f; asm volatile("vmxoff; pushf; pop %0" : "=r"(f) :: "cc", "memory"); return f & 0x8d5; }
static inline u32 vmwrite(u64 field, u64 v) { u64 f; asm volatile("vmwrite %1, %2; pushf; pop %0" : "=r"(f) : "rm"(v), "r"(field) : "cc"); return f & 0x8d5; }
static inline u32 vmread_to(u64 field, u64 *v) { u64 f, x = 0x5a5a5a5a5a5a5a5aull; asm volatile("vmread %2, %1; pushf; pop %0" : "=r"(f), "+r"(x) : "r"(field) : "cc"); *v = x; return f & 0x8d5; }
static inline u64 rd(u64 field) { u64 v; vmread_to(field, &v); return v; }
static inline void wr(u64 field, u64 v) { if (vmwrite(field, v)) check(0, "vmwrite of field", field); }
typedef struct { u64 a, b; } pair;
static inline u32 invept(u64 type, u64 a, u64 b) { pair d = { a, b }; u64 f; asm volatile("invept %1, %2; pushf; pop %0" : "=r"(f) : "m"(d), "r"(type) : "cc", "memory"); return f & 0x8d5; }
static inline u32 invvpid(u64 type, u64 a, u64 b) { pair d = { a, b }; u64 f; asm volatile("invvpid %1, %2; pushf; pop %0" : "=r"(f) : "m"(d), "r"(type) : "cc", "memory"); return f & 0x8d5; }
#define CF 1
#define ZF 0x40
#define INSTRUCTION_ERROR 0x4400

/* --- Fields --- */
enum {
  F_VPID = 0, PI_VECTOR = 2, INT_STATUS = 0x810, PI_DESC = 0x2016, EOI_BITMAP = 0x201c, EPTP_INDEX = 4, PML_INDEX = 0x812, PML_ADDRESS = 0x200e, FUNCTIONS = 0x2018, EPTP_LIST = 0x2024, VMREAD_BITMAP = 0x2026,
  VMWRITE_BITMAP = 0x2028, VE_AREA = 0x202a, TSC_MULTIPLIER = 0x2032, PLE_GAP = 0x4020, PLE_WINDOW = 0x4022, G_ES = 0x800, G_CS = 0x802, G_SS = 0x804, G_DS = 0x806, G_FS = 0x808, G_GS = 0x80a, G_LDTR = 0x80c, G_TR = 0x80e,
  H_ES = 0xc00, H_CS = 0xc02, H_SS = 0xc04, H_DS = 0xc06, H_FS = 0xc08, H_GS = 0xc0a, H_TR = 0xc0c,
  IO_A = 0x2000, IO_B = 0x2002, MSR_BITMAP = 0x2004, X_STORE = 0x2006, X_LOAD = 0x2008, E_LOAD = 0x200a, TSC_OFFSET = 0x2010,
  VAPIC = 0x2012, APIC_ACCESS = 0x2014, EPTP = 0x201a, GPA = 0x2400, LINK = 0x2800, G_DEBUGCTL = 0x2802, G_PAT = 0x2804,
  G_EFER = 0x2806, G_PDPTE0 = 0x280a, H_PAT = 0x2c00, H_EFER = 0x2c02,
  PIN = 0x4000, PROC = 0x4002, EXC = 0x4004, PF_MASK = 0x4006, PF_MATCH = 0x4008, CR3_COUNT = 0x400a, EXITC = 0x400c,
  X_STORE_N = 0x400e, X_LOAD_N = 0x4010, ENTRYC = 0x4012, E_LOAD_N = 0x4014, E_INFO = 0x4016, E_ERROR = 0x4018, E_LEN = 0x401a,
  TPR_T = 0x401c, PROC2 = 0x401e, REASON = 0x4402, X_INFO = 0x4404, X_ERROR = 0x4406, IDT_INFO = 0x4408, IDT_ERROR = 0x440a,
  X_LEN = 0x440c, X_INSN = 0x440e, G_LIMIT = 0x4800, G_GDTR_LIMIT = 0x4810, G_IDTR_LIMIT = 0x4812, G_AR = 0x4814, G_INT = 0x4824,
  G_ACT = 0x4826, G_SYSCS = 0x482a, TIMER = 0x482e, H_SYSCS = 0x4c00, CR0_MASK = 0x6000, CR4_MASK = 0x6002, CR0_SHADOW = 0x6004,
  CR4_SHADOW = 0x6006, CR3_T0 = 0x6008, QUAL = 0x6400, LINEAR = 0x640a, G_CR0 = 0x6800, G_CR3 = 0x6802, G_CR4 = 0x6804,
  G_BASE = 0x6806, G_GDTR = 0x6816, G_IDTR = 0x6818, G_DR7 = 0x681a, G_RSP = 0x681c, G_RIP = 0x681e, G_RFLAGS = 0x6820,
  G_PDBG = 0x6822, G_SYSESP = 0x6824, G_SYSEIP = 0x6826, H_CR0 = 0x6c00, H_CR3 = 0x6c02, H_CR4 = 0x6c04, H_FSB = 0x6c06,
  H_GSB = 0x6c08, H_TRB = 0x6c0a, H_GDTR = 0x6c0c, H_IDTR = 0x6c0e, H_SYSESP = 0x6c10, H_SYSEIP = 0x6c12, H_RSP = 0x6c14, H_RIP = 0x6c16,
};
/* Guest segments by number: ES CS SS DS FS GS LDTR TR. */
enum { ES, CS, SS, DS, FS, GS, LDTR, TR };
#define LIMIT_OF(s) (G_LIMIT + 2 * (s))
#define AR_OF(s) (G_AR + 2 * (s))
#define BASE_OF(s) (G_BASE + 2 * (s))
#define SEL_OF(s) (G_ES + 2 * (s))

/* --- Controls --- */
#define PIN_EXT 1u
#define PIN_NMI 8u
#define PIN_VNMI 0x20u
#define PIN_TIMER 0x40u
#define PIN_POSTED 0x80u
#define P_INTWIN (1u << 2)
#define P_TSCOFF (1u << 3)
#define P_HLT (1u << 7)
#define P_INVLPG (1u << 9)
#define P_MWAIT (1u << 10)
#define P_RDPMC (1u << 11)
#define P_RDTSC (1u << 12)
#define P_CR3LD (1u << 15)
#define P_CR3ST (1u << 16)
#define P_CR8LD (1u << 19)
#define P_CR8ST (1u << 20)
#define P_TPR (1u << 21)
#define P_NMIWIN (1u << 22)
#define P_DR (1u << 23)
#define P_IO (1u << 24)
#define P_IOBM (1u << 25)
#define P_MTF (1u << 27)
#define P_MSRBM (1u << 28)
#define P_MONITOR (1u << 29)
#define P_PAUSE (1u << 30)
#define P_2 (1u << 31)
#define P2_APIC 1u
#define P2_EPT 2u
#define P2_DT 4u
#define P2_RDTSCP 8u
#define P2_VPID 32u
#define P2_WBINVD 64u
#define P2_UG 128u
#define P2_PLE 0x400u
#define P2_INVPCID 0x1000u
#define P2_VMFUNC 0x2000u
#define P2_SHADOW 0x4000u
#define P2_PML 0x20000u
#define P2_VE 0x40000u
#define P2_MBEC 0x400000u
#define P2_TSC 0x2000000u
#define P2_X2APIC 16u
#define P2_REG 0x100u
#define P2_VID 0x200u
#define X_DEBUG 4u
#define X_HOST64 0x200u
#define X_ACK 0x8000u
#define X_SAVE_PAT (1u << 18)
#define X_LOAD_PAT (1u << 19)
#define X_SAVE_EFER (1u << 20)
#define X_LOAD_EFER (1u << 21)
#define X_SAVE_TIMER (1u << 22)
#define E_DEBUG 4u
#define E_64 0x200u
#define E_PAT 0x4000u
#define E_EFER 0x8000u

/* --- Guest --- */
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };
extern u64 regs[16];
extern u64 vm_flags;
extern u64 gdt[], pml4[], pdpt[], pd[], tss[];
extern char stack_top[], stubs[], vm_exit_entry[];
extern u64 idt[512];
extern u8 vmxon_region[], vmcs_region[], vmcs2_region[], io_bitmap_a[], io_bitmap_b[], msr_bitmap[], guest_stack[], scratch_page[], page_b[], page_c[];
#define GUEST_STACK_TOP ((u64)guest_stack + 4096)
extern int launched;
extern u64 msr_list[], msr_list2[];

/* A new VMCS with a 64-bit guest in the host's address space, no optional control. */
void fresh(void);
int vm_run(int resume);
u32 launch_after_mov_ss(void);
/* Enters where the VMCS says. The exit reason, or FAILED | VM-instruction error (0xff with VMfailInvalid). */
#define FAILED 0x10000u
u32 enter(void);
/* Sets RIP and a fresh stack, then enters. */
u32 go(const void *code);
/* Steps over the instruction that exited, then enters. */
u32 cont(void);
void set_bits(u32 field, u64 bits);
void clear_bits(u32 field, u64 bits);
/* Turns on secondary controls. */
void secondary(u32 bits);
/* EPT identity map of 4 GiB in 2 MiB pages, and the control. */
void ept_on(void);
extern u64 ept_pml4[], ept_pdpt[], ept_pd[], ept_pt[];
/* Mnemonic pieces in the guest: ends with VMCALL. */
#define GUEST(name, text) extern const char name[]; \
  asm(".pushsection .text\n.balign 16\n.globl " #name "\n" #name ":\n" text "\n vmcall\n1: jmp 1b\n.popsection")
extern const char guest_done[];
/* The guest at CPL 3, in the 64-bit user segments. */
void user_guest(void);
/* The machine may set these secondary controls. */
static inline int may(u32 secondary_bits) { return (rdmsr(0x48b) >> 32 & secondary_bits) == secondary_bits; }
/* Runs code; a fault in it ends in VMCALL with ex_vector set. The exit reason. */
u32 go_catch(const void *code);
void copy(void *to, const void *from, u32 bytes);
void fill(void *to, u8 value, u32 bytes);

/* Local APIC */
static inline void apic_write(u32 r, u32 v) { *(volatile u32 *)(0xfee00000ull + r) = v; }
static inline u32 apic_read(u32 r) { return *(volatile u32 *)(0xfee00000ull + r); }
#define SELF_INT(vector) apic_write(0x300, 0x44000 | (vector))
#define SELF_NMI() (apic_write(0x310, apic_read(0x20)), apic_write(0x300, 0x4400))

void test_instructions(void);
void test_controls(void);
void test_state(void);
void test_intercepts(void);
void test_events(void);
void test_memory(void);
void test_ept(void);
void test_shadow(void);
void test_functions(void);
void test_time(void);
void test_paging(void);
void test_apic(void);
void test_x2apic(void);
void test_sequences(void);
void test_smp(void);
