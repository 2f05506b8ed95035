/*
 * What hypervisors do in sequence: windows around shadows and injections (SDM 3C 26.2, 27.7), MSR lists of every length (27.4, 28.4), flags of EPT entries
 * that are cleared again and again (29.3.5, 29.3.6), large EPT pages at high guest-physical addresses (29.3.2), the order of checks of INVEPT and INVVPID (31.3).
 */
#include "vmx.h"

typedef struct { u32 index, reserved; u64 value; } entry;
#define VALID 0x80000000u
#define LONGEST 512
static entry __attribute__((aligned(4096))) list_entry[LONGEST + 1], list_exit[LONGEST + 1], list_store[LONGEST + 1];

GUEST(w_sti, "vmcall; nop; sti; sti; nop");
/* Each row enters with what is given and must find the window at RIP. */
static void windows(void) {
  group("sequences: windows");
  u64 nop = (u64)w_sti + 3, handler = (u64)stubs + 16;
  static const struct { u32 nmi, activity, interruptibility, rflags, inject; int at; } rows[] = {
    { 0, 0, 0, 0x202, 0, 0 }, { 0, 0, 2, 0x202, 0, 1 }, { 0, 0, 1, 0x202, 0, 1 }, { 0, 0, 0, 2, 0, 3 }, { 0, 1, 0, 0x202, 0, 0 }, { 0, 0, 0, 0x202, VALID | 0x301, -1 }, { 0, 1, 0, 0x202, VALID | 0x301, -1 },
    { 1, 0, 0, 2, 0, 0 }, { 1, 0, 2, 2, 0, 1 }, { 1, 0, 0, 0x202, 0, 0 }, { 1, 1, 0, 2, 0, 0 }, { 1, 0, 0, 2, VALID | 0x301, -1 }, { 1, 1, 0, 2, VALID | 0x301, -1 },
  };
  fresh(); set_bits(PIN, PIN_NMI | PIN_VNMI);
  u64 gate = idt[2];
  idt[2] |= 1ull << 40; /* a trap gate: IF stays */
  for (u32 n = 0; n < sizeof rows / sizeof *rows; n++) {
    set_bits(PROC, rows[n].nmi ? P_NMIWIN : P_INTWIN);
    wr(G_RIP, nop); wr(G_RSP, GUEST_STACK_TOP); wr(G_ACT, rows[n].activity); wr(G_INT, rows[n].interruptibility); wr(G_RFLAGS, rows[n].rflags); wr(E_INFO, rows[n].inject);
    u32 r = enter(); check(r == (rows[n].nmi ? 8 : 7), "window", r << 8 | n);
    u64 at = rows[n].at < 0 ? handler : nop + rows[n].at; check(rd(G_RIP) == at, "RIP", rd(G_RIP) << 8 | n);
    EQ(rd(G_ACT), rows[n].activity && !rows[n].inject ? 1 : 0, "activity");
    clear_bits(PROC, P_NMIWIN | P_INTWIN); wr(G_ACT, 0); wr(G_INT, 0);
  }
  /* Blocked by NMI until the handler's IRET. */
  set_bits(PROC, P_NMIWIN); wr(G_RIP, nop); wr(G_RSP, GUEST_STACK_TOP); wr(G_RFLAGS, 2); wr(E_INFO, VALID | 0x301); wr(G_INT, 8); ex_count = 0;
  EQ(enter(), 8, "NMI window after IRET"); EQ(rd(G_RIP), nop, "RIP"); EQ(ex_count, 1, "handler has run"); EQ(rd(G_INT), 0, "not blocked");
  idt[2] = gate;
  /* An interrupt that waits for the host goes before the guest's first instruction, in HLT too. */
  fresh(); set_bits(PIN, PIN_EXT);
  for (u32 halt = 0; halt < 2; halt++) {
    SELF_INT(0x61); wr(G_ACT, halt); vector_count[0x61] = 0;
    EQ(go(guest_done), 1, "interrupt at entry"); EQ(rd(G_RIP), (u64)guest_done, "RIP"); EQ(rd(G_ACT), halt, "activity"); asm volatile("sti; nop; cli"); EQ(vector_count[0x61], 1, "the host's");
    wr(G_ACT, 0); EQ(go(guest_done), 18, "then the guest runs");
  }
  group_end();
}

static void fill_list(entry *list, u32 count) {
  for (u32 n = 0; n < count; n++) list[n] = (entry){ 0xc0000102, 0, 0x4000 + n };
  for (u32 n = count; n <= LONGEST; n++) list[n] = (entry){ ~0u, ~0u, ~0ull };
}
GUEST(m_read, "mov $0xc0000102, %ecx; rdmsr"); GUEST(m_tsc, "rdtsc");
static void long_lists(void) {
  group("sequences: MSR lists");
  static const u32 counts[] = { 0, 1, 2, 255, 511, LONGEST, LONGEST + 1 };
  for (u32 n = 0; n < sizeof counts / 4; n++) {
    u32 count = counts[n], at_exit = count > LONGEST ? LONGEST : count;
    fresh(); set_bits(PROC, P_MSRBM);
    fill_list(list_entry, count); fill_list(list_exit, at_exit); fill_list(list_store, at_exit);
    wr(E_LOAD, (u64)list_entry); wr(X_LOAD, (u64)list_exit); wr(X_STORE, (u64)list_store); wr(E_LOAD_N, count); wr(X_LOAD_N, at_exit); wr(X_STORE_N, at_exit);
    wrmsr(0xc0000102, 0x77);
    u32 r = go(m_read);
    if (count > LONGEST) {
      EQ(r, 0x80000022, "one too many"); EQ(rd(QUAL), LONGEST + 1, "its number"); EQ(list_store[0].value, 0x4000, "nothing stored"); EQ(rdmsr(0xc0000102), 0x4000 + LONGEST - 1, "but loaded for the host");
      continue;
    }
    EQ(r, 18, "entry"); EQ(regs[RAX], count ? 0x4000 + count - 1 : 0x77, "the last entry is in force");
    if (count) { EQ(list_store[0].value, 0x4000 + count - 1, "stored first"); EQ(list_store[count - 1].value, 0x4000 + count - 1, "stored last"); EQ(rdmsr(0xc0000102), 0x4000 + count - 1, "loaded for the host"); }
  }
  /* The TSC may be in the lists: values far ahead. */
  u64 before = rdtsc();
  fresh(); list_entry[0] = list_exit[0] = list_store[0] = (entry){ 0x10, 0, 0x1234567890abcdefull }; wr(E_LOAD, (u64)list_entry); wr(X_LOAD, (u64)list_exit); wr(X_STORE, (u64)list_store); wr(E_LOAD_N, 1); wr(X_LOAD_N, 1); wr(X_STORE_N, 1);
  EQ(go(m_tsc), 18, "entry"); u64 inside = (regs[RAX] & 0xffffffff) | regs[RDX] << 32, after = rdtsc();
  check(inside - 0x1234567890abcdefull < 1000, "TSC in the guest", inside); check(list_store[0].value - inside < 1000, "TSC stored", list_store[0].value); check(after - 0x1234567890abcdefull < 10000, "TSC of the host", after);
  wrmsr(0x10, before);
  /* Zeroes are no list: the machine-check address of the Pentium cannot be written. */
  fresh(); list_entry[0] = (entry){ 0, 0, 0 }; wr(E_LOAD, (u64)list_entry); wr(E_LOAD_N, 1); EQ(go(guest_done), 0x80000022, "all zero"); EQ(rd(QUAL), 1, "its number");
  wrmsr(0xc0000102, 0);
  group_end();
}

GUEST(f_dr7, "mov %dr7, %rax; mov %rax, %rbx"); GUEST(f_rdpmc, "rdpmc");
static void registers(void) {
  group("sequences: DR7, RDPMC");
  fresh(); set_bits(ENTRYC, E_DEBUG); set_bits(EXITC, X_DEBUG);
  static const u32 bits[] = { 10, 11, 12, 14, 15 };
  for (u32 n = 0; n < 5; n++) { wr(G_DR7, 1u << bits[n]); EQ(go(f_dr7), 18, "DR7"); EQ(regs[RAX], 0x400, "fixed bits in the guest"); EQ(rd(G_DR7), 0x400, "fixed bits saved"); }
  for (u32 n = 0; n < 32; n++) if (n < 10 || n > 15) { wr(G_DR7, 1u << n); EQ(go(f_dr7), 18, "DR7"); EQ(regs[RAX], 0x400 | 1u << n, "value in the guest"); }
  fresh();
  for (u32 n = 0; n < 8; n++) { regs[RCX] = n; EQ(go_catch(f_rdpmc), 18, "RDPMC"); EQ(ex_vector, ~0ull, "no fault"); }
  regs[RCX] = 0x12345; EQ(go_catch(f_rdpmc), 18, "RDPMC"); EQ(ex_vector, 13, "no such counter");
  set_bits(PROC, P_RDPMC); regs[RCX] = 0; EQ(go(f_rdpmc), 15, "RDPMC exiting"); regs[RCX] = 0x12345; EQ(go(f_rdpmc), 15, "before the check of the counter");
  group_end();
}

static u64 __attribute__((aligned(4096))) log_page[512];
GUEST(d_write, "1: movl $1, (%rdi); vmcall; jmp 1b"); GUEST(d_touch, "mov (%rdi), %rax; vmcall; mov %rax, (%rdi)");
#define DATA 0x8000000ull
static void flags(void) {
  group("sequences: EPT flags cleared without INVEPT, no VPID");
  fresh(); ept_on(); wr(EPTP, (u64)ept_pml4 | 0x5e);
  fill(ept_pt, 0, 4096);
  for (u32 n = 0; n < 512; n++) ept_pt[n] = DATA + 4096ull * n + 0x37;
  ept_pd[DATA >> 21] = (u64)ept_pt | 7; invept(2, 0, 0);
  regs[RDI] = DATA;
  for (u32 n = 0; n < 4; n++) { EQ(go(d_touch), 18, "read"); EQ(ept_pt[0] >> 8 & 3, 1, "accessed"); EQ(cont(), 18, "write"); EQ(ept_pt[0] >> 8 & 3, 3, "dirty"); ept_pt[0] &= ~0x300ull; }
  /* The log fills although nobody says that the flags were cleared. */
  secondary(P2_PML); wr(PML_ADDRESS, (u64)log_page); wr(PML_INDEX, 511); fill(log_page, 0, 4096);
  /* The guest's own paging structures are logged first. */
  u32 r = go(d_write), writes = 0; EQ(r, 18, "first write"); u32 left = rd(PML_INDEX);
  u32 found = 0; for (u32 n = left + 1; n < 512; n++) found |= log_page[n] == DATA;
  EQ(found, 1, "logged");
  wr(PML_INDEX, 511);
  for (; writes < 600; writes++) { ept_pt[0] &= ~0x200ull; r = writes ? cont() : go(d_write); if (r != 18) break; wr(G_RIP, (u64)d_write - 3); }
  EQ(r, 62, "full"); EQ(writes, 512, "writes"); EQ(log_page[0], DATA, "entry"); EQ(log_page[511], DATA, "entry"); EQ(rd(PML_INDEX), 0xffff, "index");
  group_end();
}

/* Guest-physical addresses of 40 bits, in pages of each size; the host's memory wherever there is some. */
static u64 __attribute__((aligned(4096))) high_pdpt[512], high_pd[512], high_pt[512], guest_pdpt[512], guest_pd[512];
GUEST(h_access, "mov (%rdi), %rax; mov %rbx, 8(%rdi); mov 8(%rdi), %rcx");
static void high(void) {
  group("sequences: high addresses");
  u32 unused = 0, width = 0x80000008; asm volatile("cpuid" : "+a"(width), "=b"(unused) :: "ecx", "edx"); width &= 0xff;
  EQ(width, 40, "physical-address width");
  u64 old = pml4[1];
  for (u32 size = 0; size < 3; size++) for (u32 top = 32; top < 40; top++) {
    u64 address = 1ull << top, backing = 0x8000000ull;
    fresh(); ept_on();
    fill(high_pdpt, 0, 4096); fill(high_pd, 0, 4096); fill(high_pt, 0, 4096); fill(guest_pdpt, 0, 4096); fill(guest_pd, 0, 4096);
    u64 *level3 = address >> 39 ? high_pdpt : ept_pdpt;
    ept_pml4[address >> 39] = (u64)level3 | 7;
    if (size == 2) level3[address >> 30 & 511] = 0xb7; /* of 1 GiB: host 0 */
    else { level3[address >> 30 & 511] = (u64)high_pd | 7; if (size == 1) high_pd[0] = backing | 0xb7; else { high_pd[0] = (u64)high_pt | 7; high_pt[0] = backing | 0x37; } }
    /* Guest linear 8000000000h. */
    pml4[1] = (u64)guest_pdpt | 7; guest_pdpt[0] = (u64)guest_pd | 7; guest_pd[0] = address | (size == 2 ? backing : 0) | 0x87;
    if (size == 2) guest_pd[0] = (address + backing) | 0x87;
    *(u64 *)backing = address | size; regs[RDI] = 0x8000000000ull; regs[RBX] = ~address;
    EQ(go(h_access), 18, "access"); EQ(regs[RAX], address | size, "read"); EQ(regs[RCX], ~address, "read back"); EQ(*(u64 *)(backing + 8), ~address, "written");
    level3[address >> 30 & 511] &= ~2ull; invept(1, rd(EPTP), 0);
    EQ(go(h_access), 48, "not writable"); EQ(rd(GPA), address + (size == 2 ? backing : 0) + 8, "guest-physical address"); EQ(rd(LINEAR), 0x8000000008ull, "linear address"); EQ(rd(QUAL) & 0x1bf, 0x1aa, "qualification");
    level3[address >> 30 & 511] = 0; invept(1, rd(EPTP), 0);
    EQ(go(h_access), 48, "not present"); EQ(rd(GPA), address + (size == 2 ? backing : 0), "guest-physical address"); EQ(rd(QUAL) & 0x1bf, 0x181, "qualification");
    /* VMCS addresses up there are allowed too. */
    wr(X_STORE, address); wr(X_STORE_N, 0); wr(IO_A, address); EQ(go(guest_done), 18, "not looked at");
  }
  pml4[1] = old; asm volatile("mov %%cr3, %%rax; mov %%rax, %%cr3" ::: "rax", "memory");
  /* Host memory from 1 GiB on: a VMCS, its bitmaps and lists there. */
  for (u64 page = 0x40000000; page < 0xc0000000; page += 0x20000000) {
    volatile u64 *probe = (volatile u64 *)page;
    *probe = ~page; if (*probe != ~page) continue; /* no memory */
    fresh();
    fill((void *)(page + 0x1000), 0xff, 0x2000); fill((void *)(page + 0x4000), 0, 4096);
    entry *list = (entry *)(page + 0x3000); list[0] = (entry){ 0xc0000102, 0, page };
    set_bits(PROC, P_MSRBM); wr(MSR_BITMAP, page + 0x1000); EQ(go(m_read), 31, "MSR bitmap"); wr(MSR_BITMAP, page + 0x4000); wr(E_LOAD, (u64)list); wr(E_LOAD_N, 1); EQ(go(m_read), 18, "MSR list"); EQ(regs[RAX], page, "its value");
    vmclear((u64)vmcs_region); copy((void *)page, vmcs_region, 4096); EQ(vmclear(page), 0, "VMCLEAR"); EQ(vmptrld(page), 0, "VMPTRLD"); EQ(vmptrst(), page, "VMPTRST"); launched = 0; EQ(go(m_read), 18, "VMLAUNCH"); EQ(vmclear(page), 0, "VMCLEAR"); launched = 0;
  }
  wrmsr(0xc0000102, 0);
  group_end();
}

static void invalidation_order(void) {
  group("sequences: INVEPT and INVVPID, order of checks");
  fresh();
  static const u64 nowhere[] = { 1ull << 45, 1ull << 50, 0xaaaaaaaaaaaaaaaaull };
  static const long fault[] = { 14, 13, 13 };
  for (u32 n = 0; n < 3; n++) for (s64 type = -3; type < 8; type++) {
    long f = FAULT_OF("invept (%0), %1; 1:" :: "r"(nowhere[n]), "r"(type) : "memory"); EQ(f, type == 1 || type == 2 ? fault[n] : -1, "INVEPT: the type goes first");
    f = FAULT_OF("invvpid (%0), %1; 1:" :: "r"(nowhere[n]), "r"(type) : "memory"); EQ(f, type >= 0 && type < 4 ? fault[n] : -1, "INVVPID: the type goes first");
  }
  EQ(FAULT_OF("mov %0, %%rax; sub %%rsp, %%rax; invvpid (%%rsp, %%rax), %1; 1:" :: "r"(nowhere[2]), "r"(2ull) : "rax", "memory"), 12, "stack segment");
  EQ(FAULT_OF("mov %0, %%rax; sub %%rsp, %%rax; invept (%%rsp, %%rax), %1; 1:" :: "r"(nowhere[2]), "r"(2ull) : "rax", "memory"), 12, "stack segment");
  for (s64 type = -127; type < 128; type++) { u64 v; vmread_to(~0ull, &v); EQ(rd(INSTRUCTION_ERROR), 12, "error before"); u32 f = invvpid(type, 0xffff, 0); EQ(f, type >= 0 && type < 4 ? 0 : ZF, "type"); EQ(rd(INSTRUCTION_ERROR), f ? 28 : 12, "error after"); }
  group_end();
}

void test_sequences(void) {
  windows();
  long_lists();
  registers();
  flags();
  high();
  invalidation_order();
}
