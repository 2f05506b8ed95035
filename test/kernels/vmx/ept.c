/*
 * EPT (SDM 3C 29.3): rights, misconfigurations and ignored bits at every level and page size, for reads, writes, fetches and accesses to guest paging
 * structures; accessed and dirty flags; page-modification logging; mode-based execute control.
 */
#include "vmx.h"

/* The page under test has a PML4 entry of its own. Linear AT maps to it, user-mode; linear AT + 1 GiB too, supervisor-mode. */
#define AT (1ull << 39)
#define SUPERVISOR (1ull << 30)
#define BACKING 0x10000000ull
#define PAGE __attribute__((aligned(4096)))
static u64 PAGE t_pdpt[512], PAGE t_pd[512], PAGE t_pt[512], PAGE x_pdpt[512];
static u64 PAGE g4[512], PAGE g3[512], PAGE g2[512], PAGE g1[512], PAGE log_page[512];
/* EPT entries of the page by level, 1 to 4. */
static u64 *const entry_at[5] = { 0, t_pt, t_pd, t_pdpt, &ept_pml4[1] };
/* Where in the page the accesses go: the backing memory is the same for all sizes. */
static u64 inside;

GUEST(t_read, "mov (%rdi), %rax"); GUEST(t_write, "mov %rax, (%rdi)"); GUEST(t_fetch, "call *%rdi"); GUEST(t_rmw, "lock incl (%rdi)");
GUEST(t_far_read, "mov (%rsi), %rax"); GUEST(t_split, "mov %rax, 0xffc(%rdi)");
static const char *const access_code[3] = { t_read, t_write, t_fetch };

/* Identity map of 4 GiB, and the page with its leaf at `level`. */
static void map(u32 level) {
  fresh(); ept_on();
  fill(t_pdpt, 0, 4096); fill(t_pd, 0, 4096); fill(t_pt, 0, 4096); fill(x_pdpt, 0, 4096);
  ept_pml4[1] = (u64)t_pdpt | 7; t_pdpt[0] = (u64)t_pd | 7; t_pd[0] = (u64)t_pt | 7;
  *entry_at[level] = (level == 3 ? 0 : BACKING) | (level > 1 ? 0x80 : 0) | 0x37;
  inside = level == 3 ? BACKING : 0;
  x_pdpt[0] = AT | 0x87; x_pdpt[1] = AT | 0x83;
  pml4[1] = (u64)x_pdpt | 7;
  wr(G_CR3, (u64)pml4);
  *(u32 *)BACKING = 0xc3;
  regs[RDI] = AT + inside; regs[RAX] = 0xc3;
}
static void flush(void) { invept(2, 0, 0); }
static u64 advanced(void) { return rdmsr(0x48c) >> 22 & 1 ? 0x600 : 0; }
static u64 full_mask(void) { return advanced() ? 0xfbf : 0x1bf; }

static void rights(void) {
  group("EPT: rights at every level");
  u32 execute_only = rdmsr(0x48c) & 1;
  for (u32 leaf = 1; leaf <= 3; leaf++) for (u32 level = leaf; level <= 4; level++) {
    map(leaf);
    u64 good = *entry_at[level];
    for (u32 r = 0; r < 8; r++) for (u32 access = 0; access < 3; access++) {
      u64 id = leaf << 12 | level << 8 | r << 4 | access;
      *entry_at[level] = (good & ~7ull) | r; flush();
      *(u32 *)BACKING = 0xc3; regs[RAX] = 0xc3;
      u32 reason = go(access_code[access]), need = 1u << access;
      if ((r & 3) == 2 || (r == 4 && !execute_only)) {
        check(reason == 49, "misconfiguration", (u64)reason << 32 | id);
        EQ(rd(GPA), AT + inside, "guest-physical address of a misconfiguration"); EQ(rd(QUAL), 0, "no qualification");
      } else if (r & need) check(reason == 18, "allowed", (u64)reason << 32 | id);
      else {
        check(reason == 48, "violation", (u64)reason << 32 | id);
        EQ(rd(QUAL) & full_mask(), need | r << 3 | 0x180 | advanced(), "qualification");
        EQ(rd(GPA), AT + inside, "guest-physical address"); EQ(rd(LINEAR), AT + inside, "linear address"); EQ(rd(IDT_INFO) >> 31, 0, "no vectoring");
        if (access < 2) EQ(rd(G_RIP), (u64)access_code[access], "RIP");
        /* Mended without INVEPT: more rights are seen at once. */
        *entry_at[level] = good;
        if (access < 2) EQ(go(access_code[access]), 18, "after more rights");
      }
      *entry_at[level] = good; flush();
    }
    *entry_at[level] = good & ~2ull; flush();
    EQ(go(t_rmw), 48, "read-modify-write"); check((rd(QUAL) & 2) != 0, "is a write", rd(QUAL));
    *entry_at[level] = good;
  }
  /* Rights of two levels are combined. */
  map(1); t_pd[0] &= ~2ull; t_pt[0] &= ~4ull; flush();
  EQ(go(t_write), 48, "write"); EQ(rd(QUAL) & 0x3f, 2 | 1 << 3, "rights of all levels"); EQ(go(t_fetch), 48, "fetch"); EQ(rd(QUAL) & 0x3f, 4 | 1 << 3, "rights of all levels"); EQ(go(t_read), 18, "read");
  map(1); t_pd[0] &= ~2ull; t_pt[0] = 0; flush();
  EQ(go(t_read), 48, "not present"); EQ(rd(QUAL) & 0x3f, 1, "no rights in the end");
  /* Each page of an access across the boundary. */
  map(1); regs[RDI] = AT; EQ(go(t_split), 48, "next page not present"); EQ(rd(GPA), AT + 4096, "guest-physical address"); EQ(rd(LINEAR), AT + 4096, "linear address");
  t_pt[1] = BACKING + 0x1000 + 0x37; t_pt[0] &= ~2ull; flush();
  EQ(go(t_split), 48, "first page read-only"); EQ(rd(GPA), AT + 0xffc, "guest-physical address");
  group_end();
}

/* A bit that makes a present entry a misconfiguration, and nothing of one that is not present. */
static void reserved(u32 level, u32 bit, const char *what) {
  u64 *e = entry_at[level], good = *e;
  for (u32 access = 0; access < 3; access++) {
    *e = good | 1ull << bit; flush();
    u32 reason = go(access_code[access]);
    check(reason == 49, what, (u64)reason << 32 | level << 16 | bit << 4 | access);
  }
  *e = (good & ~7ull) | 1ull << bit; flush();
  u32 reason = go(t_read);
  check(reason == 48 && (rd(QUAL) & 0x3f) == 1, "not present: reserved bits do not count", (u64)reason << 32 | level << 16 | bit << 4);
  *e = good; flush();
}

static void reserved_bits(void) {
  group("EPT: reserved and ignored bits at every level");
  u32 leaf1_eax; asm volatile("cpuid" : "=a"(leaf1_eax) : "a"(0x80000008) : "ebx", "ecx", "edx");
  u32 width = leaf1_eax & 0xff;
  EQ(width, 40, "MAXPHYADDR");
  for (u32 leaf = 1; leaf <= 3; leaf++) {
    map(leaf);
    for (u32 level = leaf; level <= 4; level++) {
      for (u32 b = width; b < 52; b++) reserved(level, b, "address beyond the physical width");
      if (level > leaf) for (u32 b = 3; b < 7; b++) reserved(level, b, "reserved bits of a directory entry");
      if (level == 4) reserved(level, 7, "bit 7 of a PML4 entry");
      for (u32 b = 8; b < 64; b++) {
        if (b >= 12 && b < 52) continue;
        u64 *e = entry_at[level], good = *e;
        *e = good | 1ull << b; flush(); *(u32 *)BACKING = 0xc3; regs[RAX] = 0xc3;
        for (u32 access = 0; access < 3; access++) { u32 reason = go(access_code[access]); check(reason == 18, "ignored bit", (u64)reason << 32 | level << 16 | b << 4 | access); }
        *e = good;
      }
    }
    if (leaf > 1) for (u32 b = 12; b < (leaf == 2 ? 21 : 30); b++) reserved(leaf, b, "low address bits of a large page");
    for (u32 type = 0; type < 8; type++) {
      u64 *e = entry_at[leaf], good = *e;
      for (u32 ignore_pat = 0; ignore_pat < 2; ignore_pat++) {
        *e = (good & ~0x78ull) | type << 3 | ignore_pat << 6; flush();
        u32 reason = go(t_read);
        check(reason == (type == 2 || type == 3 || type == 7 ? 49 : 18), "memory type", (u64)reason << 32 | leaf << 8 | type << 4 | ignore_pat);
      }
      *e = good;
    }
  }
  map(1); t_pt[0] |= 0x80; flush(); EQ(go(t_read), 18, "bit 7 of a page-table entry");
  /* Precedence at one entry: misconfiguration before violation; an upper violation before a lower misconfiguration. */
  map(1); t_pt[0] = (t_pt[0] & ~0x3full) | 1 | 7 << 3; flush(); EQ(go(t_write), 49, "misconfiguration goes before violation");
  t_pd[0] = 0; flush(); EQ(go(t_write), 48, "an entry not present ends the walk");
  t_pd[0] = (u64)t_pt | 1; flush(); EQ(go(t_write), 49, "rights are looked at after the walk");
  map(1); t_pt[0] = (BACKING | 0x37) ^ 1ull << 12; flush(); *(u32 *)(BACKING + 0x1000) = 0x1234; EQ(go(t_read), 18, "address"); EQ((u32)regs[RAX], 0x1234, "of the page");
  group_end();
}

/* Guest tables g4..g1 for linear 1 << 40, the one at `level` in the page under test. */
#define WALKED (1ull << 40)
static u64 *tables[5];
static void map_tables(u32 level, u64 flags) {
  map(1);
  tables[4] = g4; tables[3] = g3; tables[2] = g2; tables[1] = g1;
  u64 guest_physical[5] = { (u64)page_b, (u64)g1, (u64)g2, (u64)g3, (u64)g4 };
  tables[level] = (u64 *)BACKING; guest_physical[level] = AT;
  for (u32 n = 1; n <= 4; n++) fill(tables[n], 0, 4096);
  tables[4][2] = guest_physical[3] | 7 | flags;
  for (u32 n = 3; n > 0; n--) tables[n][0] = guest_physical[n - 1] | 7 | flags;
  tables[4][0] = pml4[0] | 0x20;
  wr(G_CR3, guest_physical[4]);
  regs[RDI] = WALKED;
}

static void walks(void) {
  group("EPT: accesses to guest paging structures");
  for (u32 ad = 0; ad < 2; ad++) for (u32 level = 1; level <= 4; level++) for (u32 flags = 0; flags < 3; flags++) for (u32 r = 0; r < 8; r++) for (u32 access = 0; access < 3; access++) {
    if (level == 4 && access) continue;
    u64 id = ad << 20 | level << 16 | flags << 12 | r << 4 | access;
    u64 bits = flags == 0 ? 0 : flags == 1 ? 0x20 : 0x60;
    map_tables(level, bits);
    if (level == 4) { tables[4][0] = (pml4[0] & ~0x60ull) | bits; }
    *(u32 *)page_b = 0xc3; regs[RAX] = 0xc3;
    t_pt[0] = (t_pt[0] & ~7ull) | r; if (ad) wr(EPTP, rd(EPTP) | 0x40);
    flush();
    u32 reason = go(access_code[access]);
    u64 wanted = flags == 0 ? 0x20 : 0;
    if (level == 1 && access == 1 && flags < 2) wanted |= 0x40;
    u32 write = ad || wanted;
    u64 first = level == 4 ? (u64)t_read : WALKED;
    if ((r & 3) == 2) { check(reason == 49, "misconfiguration", (u64)reason << 32 | id); continue; }
    if (!(r & 1) || (write && !(r & 2))) {
      u32 qualification = 0x80 | r << 3 | 1 | (ad || r & 1 ? 2 : 0);
      check(reason == 48, "violation", (u64)reason << 32 | id);
      check((rd(QUAL) & 0x1bf) == qualification, "qualification", rd(QUAL) << 32 | id);
      EQ(rd(GPA), AT, "guest-physical address of the entry"); EQ(rd(LINEAR), first, "linear address");
      continue;
    }
    check(reason == 18, "allowed", (u64)reason << 32 | id);
    if (level != 4) EQ(tables[level][0] & 0x60, bits | wanted, "flags of the guest's entry");
    EQ(t_pt[0] & 0x300, ad ? 0x300 : 0, "EPT flags of the table's page");
    EQ(t_pd[0] & 0x300, ad ? 0x100 : 0, "EPT flags above it");
  }
  /* A guest page fault goes before the violation of the final page, and leaves its flags alone. */
  map(1); x_pdpt[0] &= ~2ull; t_pt[0] = 0; flush(); wr(EXC, 1 << 14);
  EQ(go(t_write), 48, "supervisor write with WP = 0"); wr(G_CR0, rd(G_CR0) | 0x10000); x_pdpt[0] &= ~0x60ull; EQ(go(t_write), 0, "page fault"); EQ((u32)rd(X_INFO), 0x80000b0e, "#PF"); EQ(rd(X_ERROR), 3, "error code"); EQ(rd(QUAL), AT, "its address"); EQ(x_pdpt[0] & 0x60, 0, "flags");
  group_end();
}

static void flags(void) {
  group("EPT: accessed and dirty flags");
  for (u32 leaf = 1; leaf <= 3; leaf++) {
    map(leaf); wr(EPTP, rd(EPTP) | 0x40);
    u64 *e = entry_at[leaf];
    static const struct { const char *code; u32 set; } steps[] = { { t_read, 0x100 }, { t_fetch, 0x100 }, { t_write, 0x300 }, { t_rmw, 0x300 } };
    for (u32 n = 0; n < 4; n++) {
      for (u32 level = leaf; level <= 4; level++) *entry_at[level] &= ~0x300ull;
      flush(); *(u32 *)BACKING = 0xc3; regs[RAX] = 0xc3; regs[RDI] = AT + inside;
      EQ(go(guest_done), 18, "no access"); EQ(*e & 0x300, 0, "no flags");
      EQ(go(steps[n].code), 18, "access"); EQ(*e & 0x300, steps[n].set, "flags of the leaf");
      for (u32 level = leaf + 1; level <= 4; level++) EQ(*entry_at[level] & 0x300, 0x100, "flags of a directory entry");
    }
    /* Read, then write without a flush between. */
    *e &= ~0x300ull; flush(); EQ(go(t_read), 18, "read"); EQ(go(t_write), 18, "write"); EQ(*e & 0x300, 0x300, "dirty after a cached read");
    wr(EPTP, rd(EPTP) & ~0x40ull); *e &= ~0x300ull; flush(); EQ(go(t_write), 18, "flags off"); EQ(*e & 0x300, 0, "untouched");
    wr(EPTP, rd(EPTP) | 0x40); *e &= ~2ull; flush(); EQ(go(t_write), 48, "violation"); EQ(*e & 0x200, 0, "sets no dirty flag");
  }
  /* Loads of PDPTEs are reads. */
  map(1); wr(EPTP, rd(EPTP) | 0x40); ept_pd[0x8000000 >> 21] &= ~2ull; flush();
  group_end();
}

/* All dirty flags of the identity map set, so that only the page under test is logged. */
static void logging(u32 index) {
  map(1);
  for (u32 n = 0; n < 2048; n++) ept_pd[n] |= 0x300;
  wr(EPTP, rd(EPTP) | 0x40); secondary(P2_PML); wr(PML_ADDRESS, (u64)log_page); wr(PML_INDEX, index);
  t_pt[1] = (BACKING + 0x1000) | 0x37;
  fill(log_page, 0xee, 4096); flush();
}

static void page_modification_log(void) {
  group("EPT: page-modification log");
  if (!may(P2_PML)) { group_end(); return; }
  logging(511);
  EQ(go(t_read), 18, "read"); EQ(rd(PML_INDEX), 511, "not logged");
  regs[RDI] = AT + 0x123; EQ(go(t_write), 18, "write"); EQ(rd(PML_INDEX), 510, "index"); EQ(log_page[511], AT, "entry"); EQ(log_page[510], 0xeeeeeeeeeeeeeeeeull, "next entry");
  EQ(go(t_write), 18, "write again"); EQ(rd(PML_INDEX), 510, "logged once");
  t_pt[0] &= ~0x200ull; flush(); EQ(go(t_rmw), 18, "dirty flag cleared"); EQ(rd(PML_INDEX), 509, "logged again"); EQ(log_page[510], AT, "entry");
  t_pt[0] &= ~0x200ull; t_pt[1] &= ~0x200ull; flush(); regs[RDI] = AT; EQ(go(t_split), 18, "across the boundary"); EQ(rd(PML_INDEX), 507, "both pages");
  check((log_page[509] == AT && log_page[508] == AT + 0x1000) || (log_page[508] == AT && log_page[509] == AT + 0x1000), "entries", log_page[509]);
  logging(0); EQ(go(t_write), 18, "last entry"); EQ(rd(PML_INDEX), 0xffff, "index"); EQ(log_page[0], AT, "entry");
  regs[RDI] = AT + 0x1008; EQ(go(t_write), 62, "full"); EQ(rd(QUAL), 0, "qualification"); EQ(rd(G_RIP), (u64)t_write, "RIP"); EQ(rd(PML_INDEX), 0xffff, "index"); EQ(t_pt[1] & 0x200, 0, "dirty flag"); EQ(rd(IDT_INFO) >> 31, 0, "no vectoring");
  wr(PML_INDEX, 5); EQ(enter(), 18, "again"); EQ(log_page[5], AT + 0x1000, "entry");
  static const u16 full[] = { 512, 513, 0x8000, 0xffff };
  for (u32 n = 0; n < 4; n++) { logging(full[n]); t_pd[0] |= 0x100; t_pdpt[0] |= 0x100; ept_pml4[1] |= 0x100; ept_pml4[0] |= 0x100; for (u32 d = 0; d < 4; d++) ept_pdpt[d] |= 0x100; *(u64 *)BACKING = 7; t_pt[0] |= 0x100; flush(); EQ(go(t_read), 18, "read with a full log"); t_pt[0] &= ~0x100ull; flush(); EQ(go(t_read), 62, "read with a full log, accessed flag to set"); EQ(t_pt[0] & 0x300, 0, "flags"); t_pt[0] |= 0x100; flush(); EQ(go(t_write), 62, "write with a full log"); EQ(*(u64 *)BACKING, 7, "memory unchanged"); EQ(rd(PML_INDEX), full[n], "index"); }
  /* Off: with the flags off, or with the control off. */
  logging(511); wr(EPTP, rd(EPTP) & ~0x40ull); flush(); EQ(go(t_write), 18, "without dirty flags"); EQ(rd(PML_INDEX), 511, "not logged");
  logging(511); clear_bits(PROC2, P2_PML); EQ(go(t_write), 18, "without the control"); EQ(rd(PML_INDEX), 511, "not logged");
  /* A guest table counts as written by the walk. */
  map_tables(1, 0x60); for (u32 n = 0; n < 2048; n++) ept_pd[n] |= 0x300;
  wr(EPTP, rd(EPTP) | 0x40); secondary(P2_PML); wr(PML_ADDRESS, (u64)log_page); wr(PML_INDEX, 9); flush();
  EQ(go(t_read), 18, "walk"); EQ(rd(PML_INDEX), 8, "index"); EQ(log_page[9], AT, "entry");
  /* During event delivery. */
  logging(512); wr(G_RSP, AT + 0x800); wr(E_INFO, 0x80000306); wr(G_RIP, (u64)guest_done);
  EQ(enter(), 62, "push of an event"); EQ((u32)rd(IDT_INFO), 0x80000306, "vectoring");
  group_end();
}

static void mode_based_execute(void) {
  group("EPT: mode-based execute control, information on the linear address");
  if (advanced()) {
    static const struct { u64 clear, set, expected; } table[] = { { 0, 0, 0x600 }, { 4, 0, 0x400 }, { 2, 0, 0x200 }, { 6, 0, 0 }, { 0, 1ull << 63, 0xe00 }, { 2, 1ull << 63, 0xa00 } };
    for (u32 n = 0; n < 6; n++) {
      map(1); t_pt[0] = 0; flush(); if (table[n].set) { wrmsr(0xc0000080, rdmsr(0xc0000080) | 0x800); wr(H_EFER, rdmsr(0xc0000080)); wr(G_EFER, rdmsr(0xc0000080)); }
      x_pdpt[0] = (x_pdpt[0] & ~table[n].clear) | table[n].set; regs[RDI] = AT;
      EQ(go(t_read), 48, "violation"); EQ(rd(QUAL) & 0xfbf, 0x181 | table[n].expected, "rights of the linear address");
    }
    wrmsr(0xc0000080, rdmsr(0xc0000080) & ~0x800ull);
    map_tables(2, 0); t_pt[0] = 0; flush(); EQ(go(t_read), 48, "walk"); EQ(rd(QUAL) & 0x1bf, 0x81, "not the final access");
  }
  if (!may(P2_MBEC)) { group_end(); return; }
  for (u32 leaf = 1; leaf <= 3; leaf++) for (u32 level = leaf; level <= 4; level++) for (u32 r = 0; r < 16; r++) for (u32 user = 0; user < 2; user++) {
    u64 id = leaf << 16 | level << 12 | r << 4 | user;
    map(leaf); secondary(P2_MBEC);
    for (u32 n = leaf; n <= 4; n++) *entry_at[n] |= 0x400;
    for (u32 n = 0; n < 2048; n++) ept_pd[n] |= 0x400;
    for (u32 n = 0; n < 4; n++) ept_pdpt[n] |= 0x400;
    ept_pml4[0] |= 0x400;
    *entry_at[level] = (*entry_at[level] & ~0x407ull) | (r & 7) | (r & 8 ? 0x400 : 0); flush();
    regs[RDI] = AT + inside + (user ? 0 : SUPERVISOR); regs[RAX] = 0xc3;
    u32 reason = go(t_fetch);
    if ((r & 3) == 2) { check(reason == 49, "misconfiguration", (u64)reason << 32 | id); continue; }
    if (r & (user ? 8 : 4)) { check(reason == 18, "allowed", (u64)reason << 32 | id); continue; }
    check(reason == 48, "violation", (u64)reason << 32 | id);
    EQ(rd(QUAL) & 0x1ff, 0x184 | r << 3, "qualification"); EQ(rd(GPA), AT + inside, "guest-physical address");
    if (r == 8) { EQ(go(t_read), 48, "read of an entry with user execution alone"); EQ(rd(QUAL) & 0x1ff, 0x181 | 8 << 3, "qualification"); }
  }
  group_end();
}

void test_ept(void) {
  u64 first = pml4[1];
  rights();
  reserved_bits();
  walks();
  flags();
  page_modification_log();
  mode_based_execute();
  pml4[1] = first;
}
