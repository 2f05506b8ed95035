/* VM-entry checks of host state (error 8) and guest state (exit 33), SDM 3C 27.2.2-27.2.4 and 27.3.1. */
#include "vmx.h"
#define BAD_HOST (FAILED | 8)
#define BAD_GUEST 0x80000021u

static u32 try(u32 field, u64 value) {
  u64 old = rd(field);
  wr(field, value);
  wr(G_RIP, (u64)guest_done);
  u32 r = enter();
  wr(field, old);
  return r;
}
static void bad(const char *what, u32 field, u64 value) { u32 r = try(field, value); check(r == BAD_HOST, what, r); }
static void good(const char *what, u32 field, u64 value) { u32 r = try(field, value); check(r == 18, what, r); }

/* An entry that must fail with exit 33 and leave guest state, launch state and the rest of the exit information alone. */
static void bad_guest_q(const char *what, u32 field, u64 value, u64 qualification) {
  u32 was = launched;
  u64 length = rd(X_LEN), info = rd(X_INFO);
  u64 old = rd(field), rip = rd(G_RIP);
  wr(field, value);
  u32 r = enter();
  check(r == BAD_GUEST, what, r);
  if (r == BAD_GUEST) {
    check(rd(QUAL) == qualification, what, rd(QUAL));
    u64 now = rd(field);
    if (field >= G_AR && field <= AR_OF(TR)) { now &= 0x1f0ff; value &= 0x1f0ff; }
    check(now == (field < 0x2000 ? value & 0xffff : field >= 0x4000 && field < 0x6000 ? value & 0xffffffff : value), "guest field changed by a failed entry", field);
    check(rd(X_LEN) == length && rd(X_INFO) == info, "exit information changed by a failed entry", field);
    check(rd(G_RIP) == rip || field == G_RIP, "guest RIP changed by a failed entry", field);
    check(launched == (int)was, "launch state", launched);
  }
  wr(field, old);
}
static void bad_guest(const char *what, u32 field, u64 value) { bad_guest_q(what, field, value, 0); }

static const u64 bad_addresses[] = { 1ull << 47, 1ull << 63, 0x7fffull << 48, 0x8000ull << 48, 0xffff7fffffffffffull, 0x800000000000ull };
static const u64 good_addresses[] = { 0, 0x7fffffffffffull, 0xffff800000000000ull, ~0ull };

static void addresses(const char *what, u32 field, int guest) {
  for (u32 n = 0; n < 6; n++) { if (guest) bad_guest(what, field, bad_addresses[n]); else bad(what, field, bad_addresses[n]); }
  for (u32 n = 0; n < 4; n++) good(what, field, good_addresses[n]);
}

static void pat(const char *what, u32 field, u32 control_field, u32 control, int guest) {
  for (u32 byte = 0; byte < 8; byte++) for (u32 v = 0; v < 256; v += v < 9 ? 1 : 41) {
    u64 value = (0x0007040600070406ull & ~(0xffull << 8 * byte)) | (u64)v << 8 * byte;
    int ok = v == 0 || v == 1 || (v >= 4 && v <= 7);
    if (ok) good(what, field, value);
    else if (guest) bad_guest(what, field, value);
    else bad(what, field, value);
  }
  clear_bits(control_field, control);
  good("PAT ignored", field, ~0ull);
  set_bits(control_field, control);
}

static void host(void) {
  group("host state: registers");
  fresh();
  u64 cr0 = READ_CR(0), cr4 = READ_CR(4), cr3 = READ_CR(3);
  for (int n = 0; n < 64; n++) {
    u64 bit = 1ull << n;
    if (rdmsr(0x486) & bit) bad("CR0 bit must be 1", H_CR0, cr0 & ~bit);
    else if (!(rdmsr(0x487) & bit)) bad("CR0 bit must be 0", H_CR0, cr0 | bit);
    if (rdmsr(0x488) & bit) bad("CR4 bit must be 1", H_CR4, cr4 & ~bit);
    else if (!(rdmsr(0x489) & bit)) bad("CR4 bit must be 0", H_CR4, cr4 | bit);
    if (n >= 40) bad("CR3 beyond the physical width", H_CR3, cr3 | bit);
  }
  bad("CR4.PAE of a 64-bit host", H_CR4, cr4 & ~0x20ull);
  for (int n = 0; n < 7; n++) {
    static const u32 selectors[7] = { H_ES, H_CS, H_SS, H_DS, H_FS, H_GS, H_TR };
    u64 old = rd(selectors[n]);
    for (int b = 0; b < 3; b++) bad("selector RPL or TI", selectors[n], old | 1 << b);
    if (selectors[n] == H_CS || selectors[n] == H_TR) bad("null selector", selectors[n], 0);
    else good("null selector", selectors[n], 0);
  }
  addresses("SYSENTER_ESP", H_SYSESP, 0); addresses("SYSENTER_EIP", H_SYSEIP, 0);
  addresses("FS base", H_FSB, 0); addresses("GS base", H_GSB, 0);
  static const u32 bases[] = { H_TRB, H_GDTR, H_IDTR, H_RIP };
  for (int f = 0; f < 4; f++) for (int n = 0; n < 6; n++) bad("base or RIP", bases[f], bad_addresses[n]);
  group_end();

  group("host state: PAT, EFER, address-space size");
  fresh(); set_bits(EXITC, X_LOAD_PAT);
  pat("host PAT", H_PAT, EXITC, X_LOAD_PAT, 0);
  fresh(); set_bits(EXITC, X_LOAD_EFER);
  u64 efer = rdmsr(0xc0000080);
  good("EFER", H_EFER, efer);
  bad("EFER without LMA", H_EFER, efer & ~0x400ull); bad("EFER without LME", H_EFER, efer & ~0x100ull); bad("EFER without both", H_EFER, efer & ~0x500ull);
  for (int n = 1; n < 64; n++) if (n != 8 && n != 10 && n != 11) bad("EFER reserved bit", H_EFER, efer | 1ull << n);
  clear_bits(EXITC, X_LOAD_EFER); good("EFER ignored", H_EFER, ~0ull);
  fresh(); clear_bits(EXITC, X_HOST64); EQ(enter(), BAD_HOST, "32-bit host from long mode");
  fresh(); clear_bits(EXITC, X_HOST64); clear_bits(ENTRYC, E_64); EQ(enter(), BAD_HOST, "32-bit host and guest from long mode");
  group_end();
}

static void guest_registers(void) {
  group("guest state: control registers and MSRs");
  fresh(); set_bits(ENTRYC, E_DEBUG);
  bad_guest_q("first entry fails: VMCS stays clear", G_CR0, 0, 0);
  EQ(launched, 0, "not launched"); EQ(vm_run(1) & 0x8d5, ZF, "VMRESUME after it"); EQ(rd(INSTRUCTION_ERROR), 5, "its error");
  EQ(go(guest_done), 18, "VMLAUNCH after it");
  u64 cr0 = READ_CR(0), cr4 = READ_CR(4), cr3 = READ_CR(3);
  for (int n = 0; n < 64; n++) {
    u64 bit = 1ull << n;
    if (rdmsr(0x486) & bit) bad_guest("CR0 bit must be 1", G_CR0, cr0 & ~bit);
    else if (!(rdmsr(0x487) & bit)) bad_guest("CR0 bit must be 0", G_CR0, cr0 | bit);
    if (rdmsr(0x488) & bit) bad_guest("CR4 bit must be 1", G_CR4, cr4 & ~bit);
    else if (!(rdmsr(0x489) & bit)) bad_guest("CR4 bit must be 0", G_CR4, cr4 | bit);
    if (n >= 40) bad_guest("CR3 beyond the physical width", G_CR3, cr3 | bit);
    if (n >= 32) bad_guest("DR7 high bits", G_DR7, 0x400 | bit);
    if (n >= 15 || n == 2 || n == 3 || n == 4 || n == 5) bad_guest("DEBUGCTL reserved bits", G_DEBUGCTL, bit);
  }
  good("CR0.WP clear and set", G_CR0, cr0 ^ 0x10000);
  bad_guest("CR4.PAE in IA-32e mode", G_CR4, cr4 & ~0x20ull);
  clear_bits(ENTRYC, E_DEBUG);
  good("DR7 ignored", G_DR7, ~0ull); good("DEBUGCTL ignored", G_DEBUGCTL, ~0ull);
  addresses("SYSENTER_ESP", G_SYSESP, 1); addresses("SYSENTER_EIP", G_SYSEIP, 1);
  fresh(); set_bits(ENTRYC, E_PAT); EQ(enter(), 18, "entry"); pat("guest PAT", G_PAT, ENTRYC, E_PAT, 1);
  fresh(); set_bits(ENTRYC, E_EFER); EQ(enter(), 18, "entry");
  u64 efer = rdmsr(0xc0000080);
  bad_guest("EFER without LMA", G_EFER, efer & ~0x400ull); bad_guest("EFER without LME", G_EFER, efer & ~0x100ull);
  for (int n = 1; n < 64; n++) if (n != 8 && n != 10 && n != 11) bad_guest("EFER reserved bit", G_EFER, efer | 1ull << n);
  clear_bits(ENTRYC, E_EFER); good("EFER ignored", G_EFER, ~0ull);
  group_end();
}

static void rights(int s, u32 ar, int ok) {
  static char what[] = "access rights ... of segment ..";
  for (int n = 0; n < 3; n++) what[14 + n] = "0123456789abcdef"[ar >> (8 - 4 * n) & 15];
  what[30] = '0' + s;
  if (ok) good(what, AR_OF(s), ar);
  else bad_guest(what, AR_OF(s), ar);
}

static void segments(void) {
  group("guest state: segments");
  fresh();
  bad_guest("TR selector TI", G_TR, 0x2c);
  wr(AR_OF(LDTR), 0x82); wr(G_LDTR, 0x28); wr(LIMIT_OF(LDTR), 0xff);
  good("LDTR", G_LDTR, 0x30); bad_guest("LDTR selector TI", G_LDTR, 0x2c);
  for (u32 t = 0; t < 16; t++) rights(LDTR, 0x80 | t, t == 2);
  rights(LDTR, 0x02, 0); rights(LDTR, 0x92, 0);
  for (int n = 0; n < 4; n++) bad_guest("LDTR base", BASE_OF(LDTR), bad_addresses[n]);
  bad_guest("LDTR limit and G", LIMIT_OF(LDTR), 0x100000);
  wr(AR_OF(LDTR), 0x10000);
  good("unusable LDTR selector TI", G_LDTR, 0x2c); good("unusable LDTR base", BASE_OF(LDTR), 1ull << 63);
  for (u32 t = 0; t < 16; t++) rights(TR, 0x80 | t, t == 11);
  rights(TR, 0x0b, 0); rights(TR, 0x9b, 0); rights(TR, 0x1008b, 0);
  bad_guest("TR limit and G", LIMIT_OF(TR), 0x100000);
  wr(AR_OF(TR), 0x808b); bad_guest("TR limit and G", LIMIT_OF(TR), 0x67); good("TR limit with G", LIMIT_OF(TR), 0xfff); wr(AR_OF(TR), 0x8b);
  addresses("FS base", BASE_OF(FS), 1); addresses("GS base", BASE_OF(GS), 1);
  for (int n = 0; n < 6; n++) bad_guest("TR base", BASE_OF(TR), bad_addresses[n]);
  bad_guest("SS RPL against CS RPL", G_SS, 0x13); bad_guest("CS RPL against SS RPL", G_CS, 0xb);
  bad_guest("CS base above 4 GiB", BASE_OF(CS), 1ull << 32);
  for (int s = ES; s <= DS; s++) if (s != CS) { bad_guest("base above 4 GiB", BASE_OF(s), 1ull << 32); wr(AR_OF(s), 0x10000); good("unusable segment's base", BASE_OF(s), 1ull << 32); wr(AR_OF(s), 0xc093); }
  for (u32 t = 0; t < 16; t++) {
    rights(CS, 0xa090 | t, t == 9 || t == 11 || t == 13 || t == 15);
    rights(SS, 0xc090 | t, t == 3 || t == 7);
    for (int s = 0; s < 6; s++) if (s != CS && s != SS) rights(s, 0xc090 | t, (t & 1) && (!(t & 8) || (t & 2)));
  }
  for (int s = 0; s < 6; s++) {
    u32 ar = s == CS ? 0xa09b : 0xc093;
    rights(s, ar & ~0x10, 0); rights(s, ar & ~0x80, 0);
    /* Bits of this CPU's access rights that a VMCS may not be able to hold are not tried: 11:8 and 31:17. */
    u64 old = rd(AR_OF(s)), limit = rd(LIMIT_OF(s));
    wr(AR_OF(s), ar); wr(LIMIT_OF(s), 0xffffffff);
    bad_guest("limit and G = 1", LIMIT_OF(s), 0xfffffffe); bad_guest("limit and G = 1", LIMIT_OF(s), 0);
    wr(AR_OF(s), ar & ~0x8000);
    bad_guest("limit and G = 0", LIMIT_OF(s), 0x100000); good("limit and G = 0", LIMIT_OF(s), 0xfffff);
    wr(AR_OF(s), old); wr(LIMIT_OF(s), limit);
  }
  bad_guest("CS unusable", AR_OF(CS), 0x10000);
  rights(CS, 0xe09b, 0);
  rights(CS, 0xa0fb, 0); rights(CS, 0xa0ff, 0); rights(CS, 0xa0fd, 0); rights(SS, 0xc0f3, 0);
  bad_guest("DS RPL above DPL", G_DS, 0x13); bad_guest("ES RPL above DPL", G_ES, 0x13);
  rights(CS, 0xa093, 0);
  for (int n = 0; n < 6; n++) { bad_guest("GDTR base", G_GDTR, bad_addresses[n]); bad_guest("IDTR base", G_IDTR, bad_addresses[n]); }
  for (int n = 16; n < 32; n++) { bad_guest("GDTR limit", G_GDTR_LIMIT, 1u << n); bad_guest("IDTR limit", G_IDTR_LIMIT, 1u << n); }
  group_end();
}

static void virtual8086(void) {
  group("guest state: virtual-8086 mode");
  fresh();
  clear_bits(ENTRYC, E_64); wr(G_RFLAGS, 0x20002); wr(G_CR4, (READ_CR(4) & ~0x20ull) | 0x10);
  /* Not long mode, so the page tables are 32-bit: a directory of 4 MiB pages. */
  for (u32 n = 0; n < 1024; n++) ((u32 *)page_b)[n] = n << 22 | 0x87;
  wr(G_CR3, (u64)page_b);
  for (int s = 0; s < 6; s++) { wr(SEL_OF(s), 0); wr(BASE_OF(s), 0); wr(LIMIT_OF(s), 0xffff); wr(AR_OF(s), 0xf3); }
  copy((void *)0x8000, "\x0f\xa2", 2);
  wr(G_RSP, 0x7000);
  wr(G_RIP, 0x8000);
  EQ(enter(), 10, "CPUID in virtual-8086 mode");
  wr(G_RIP, 0x8000);
  for (int s = 0; s < 6; s++) {
    bad_guest("base", BASE_OF(s), 0x10); bad_guest("selector", SEL_OF(s), 1);
    bad_guest("limit", LIMIT_OF(s), 0xffffffff); bad_guest("limit", LIMIT_OF(s), 0xfffe);
    bad_guest("access rights", AR_OF(s), 0x93); bad_guest("access rights", AR_OF(s), 0xf7); bad_guest("access rights", AR_OF(s), 0x100f3);
  }
  bad_guest("RIP above 4 GiB", G_RIP, 0x100008000ull);
  EQ(enter(), 10, "still fine");
  group_end();
}

static void non_register(void) {
  group("guest state: RIP, RFLAGS, activity, interruptibility");
  fresh();
  EQ(go(guest_done), 18, "entry");
  /* Bits 63:48 must be equal, bit 47 may differ (27.3.1.4): what follows is a fault of the fetch. */
  static const u64 bad_rips[] = { 1ull << 48, 1ull << 63, 0x7fffull << 48, 0xfffeull << 48, 0xfffe800000000000ull };
  for (u32 n = 0; n < sizeof bad_rips / 8; n++) bad_guest("RIP", G_RIP, bad_rips[n]);
  wr(EXC, 1 << 13);
  static const u64 not_canonical[] = { 1ull << 47, 0xffffull << 48, 0xffff7fffffffffffull };
  for (u32 n = 0; n < sizeof not_canonical / 8; n++) { EQ(go((void *)not_canonical[n]), 0, "RIP not canonical: entry succeeds"); EQ((u32)rd(X_INFO), 0x80000b0d, "#GP of the fetch"); EQ(rd(G_RIP), not_canonical[n], "RIP saved"); }
  wr(EXC, 0); wr(G_RFLAGS, 2); wr(G_RIP, (u64)guest_done);
  for (int n = 0; n < 64; n++) if (n >= 22 || n == 3 || n == 5 || n == 15) bad_guest("RFLAGS reserved", G_RFLAGS, 2 | 1ull << n);
  bad_guest("RFLAGS bit 1", G_RFLAGS, 0); bad_guest("RFLAGS.VM in IA-32e mode", G_RFLAGS, 0x20002);
  for (u32 n = 4; n < 32; n++) bad_guest("activity", G_ACT, 1u << n);
  for (u32 n = 4; n < 9; n++) bad_guest("activity", G_ACT, n);
  for (int n = 4; n < 32; n++) bad_guest("interruptibility reserved", G_INT, 1u << n);
  bad_guest("STI and MOV SS", G_INT, 3); bad_guest("STI with IF = 0", G_INT, 1); bad_guest("SMI", G_INT, 4);
  bad_guest("enclave interruption", G_INT, 16);
  good("MOV SS", G_INT, 2); good("NMI", G_INT, 8);
  wr(G_RFLAGS, 0x202); good("STI", G_INT, 1); bad_guest("STI and MOV SS with IF", G_INT, 3);
  wr(G_INT, 1); bad_guest("HLT with STI blocking", G_ACT, 1); bad_guest("shutdown with STI blocking", G_ACT, 2);
  wr(G_INT, 2); bad_guest("HLT with MOV SS blocking", G_ACT, 1);
  wr(G_INT, 1); bad_guest("external interrupt with STI blocking", E_INFO, 0x80000020);
  wr(G_INT, 2); bad_guest("external interrupt with MOV SS blocking", E_INFO, 0x80000020); bad_guest("NMI with MOV SS blocking", E_INFO, 0x80000202);
  wr(G_INT, 0); wr(G_RFLAGS, 2); bad_guest("external interrupt with IF = 0", E_INFO, 0x80000020);
  set_bits(PIN, PIN_NMI | PIN_VNMI); wr(G_INT, 8); bad_guest("NMI with virtual-NMI blocking", E_INFO, 0x80000202);
  fresh(); EQ(go(guest_done), 18, "entry");
  wr(G_ACT, 1);
  for (u32 v = 0; v < 32; v++) if (v != 1 && v != 18) bad_guest("hardware exception into HLT", E_INFO, 0x80000300 | v | (0x27d00 >> v & 1) << 11);
  wr(E_LEN, 1);
  bad_guest("software interrupt into HLT", E_INFO, 0x80000420); bad_guest("INT1 into HLT", E_INFO, 0x80000501); bad_guest("INT3 into HLT", E_INFO, 0x80000603);
  wr(G_ACT, 2); wr(G_RFLAGS, 0x202);
  bad_guest("external interrupt into shutdown", E_INFO, 0x80000020); bad_guest("#DB into shutdown", E_INFO, 0x80000301); bad_guest("MTF into shutdown", E_INFO, 0x80000700);
  wr(G_ACT, 3);
  bad_guest("NMI into wait-for-SIPI", E_INFO, 0x80000202); bad_guest("#MC into wait-for-SIPI", E_INFO, 0x80000312);
  wr(G_ACT, 0); wr(G_RFLAGS, 2);
  group_end();

  group("guest state: HLT with SS.DPL, pending debug exceptions, link pointer");
  fresh(); EQ(go(guest_done), 18, "entry");
  wr(G_CS, 0x23); wr(AR_OF(CS), 0xa0fb); wr(G_SS, 0x1b); wr(AR_OF(SS), 0xc0f3);
  bad_guest("HLT at CPL 3", G_ACT, 1);
  fresh(); EQ(go(guest_done), 18, "entry");
  for (int n = 4; n < 64; n++) if (n != 12 && n != 14 && n != 16) bad_guest("pending debug reserved", G_PDBG, 1ull << n);
  bad_guest("RTM", G_PDBG, 0x11000);
  wr(G_INT, 2); bad_guest("BS without TF in a shadow", G_PDBG, 0x4000);
  wr(G_RFLAGS, 0x102); bad_guest("no BS with TF in a shadow", G_PDBG, 0);
  wr(G_DEBUGCTL, 2); bad_guest("BS with TF and BTF in a shadow", G_PDBG, 0x4000);
  wr(G_DEBUGCTL, 0); wr(G_INT, 0); wr(G_ACT, 1); bad_guest("no BS with TF in HLT", G_PDBG, 0);
  wr(G_ACT, 0); wr(G_RFLAGS, 2);
  bad_guest_q("link pointer unaligned", LINK, (u64)vmcs2_region | 1, 4); bad_guest_q("link pointer unaligned", LINK, (u64)vmcs2_region | 0x800, 4);
  for (int n = 40; n < 64; n++) bad_guest_q("link pointer beyond the physical width", LINK, (u64)vmcs2_region | 1ull << n, 4);
  bad_guest_q("link pointer to the current VMCS", LINK, (u64)vmcs_region, 4);
  vmclear((u64)vmcs2_region);
  *(u32 *)vmcs2_region = (u32)rdmsr(0x480) + 1; bad_guest_q("link pointer to a wrong revision", LINK, (u64)vmcs2_region, 4);
  *(u32 *)vmcs2_region = (u32)rdmsr(0x480) | 1u << 31; bad_guest_q("link pointer to a shadow VMCS", LINK, (u64)vmcs2_region, 4);
  *(u32 *)vmcs2_region = (u32)rdmsr(0x480); good("link pointer", LINK, (u64)vmcs2_region);
  group_end();
}

static void pdptes(void) {
  group("guest state: PDPTEs");
  fresh();
  clear_bits(ENTRYC, E_64); wr(AR_OF(CS), 0xc09b); wr(G_CS, 0x38);
  u64 *table = (u64 *)page_b;
  fill(page_b, 0, 4096);
  for (int n = 0; n < 4; n++) table[n] = ((u64)pd + 4096 * n) | 1;
  wr(G_CR3, (u64)page_b);
  EQ(go(guest_done), 18, "PAE guest");
  EQ(rd(ENTRYC) >> 9 & 1, 0, "not IA-32e mode");
  for (int n = 0; n < 4; n++) for (int b = 1; b < 64; b++) if (b == 1 || b == 2 || (b >= 5 && b <= 8) || b >= 40) {
    table[n] |= 1ull << b;
    bad_guest_q("reserved bit", G_CR3, (u64)page_b, 2);
    table[n] &= ~(1ull << b);
  }
  table[3] = ~1ull; EQ(enter(), 18, "not present: nothing is checked");
  bad_guest("SS base does not matter, RIP above 4 GiB does", G_RIP, 1ull << 32);
  ept_on();
  table[0] = ~0ull;
  for (int n = 0; n < 4; n++) wr(G_PDPTE0 + 2 * n, ((u64)pd + 4096 * n) | 1);
  EQ(go(guest_done), 18, "PAE guest with EPT: PDPTEs from the VMCS");
  for (int n = 0; n < 4; n++) for (int b = 1; b < 64; b++) if (b == 1 || b == 2 || (b >= 5 && b <= 8) || b >= 40) bad_guest_q("PDPTE field", G_PDPTE0 + 2 * n, (u64)pd | 1 | 1ull << b, 2);
  group_end();
}

static void unrestricted(void) {
  group("guest state: unrestricted guest");
  fresh(); ept_on(); secondary(P2_UG);
  EQ(go(guest_done), 18, "long mode");
  bad_guest("PG without PE", G_CR0, READ_CR(0) & ~1ull);
  bad_guest("no paging in IA-32e mode", G_CR0, READ_CR(0) & ~0x80000000ull);
  bad_guest("NE", G_CR0, READ_CR(0) & ~0x20ull);
  clear_bits(ENTRYC, E_64); wr(AR_OF(CS), 0xc09b); wr(G_CR0, 0x21); wr(G_CR4, 0x2000);
  EQ(go(guest_done), 18, "protected mode without paging");
  good("CS type 3", AR_OF(CS), 0xc093); bad_guest("CS type 3 with DPL 3", AR_OF(CS), 0xc0f3); bad_guest("CS type 1", AR_OF(CS), 0xc091);
  good("SS RPL and DPL", G_SS, 0x13); good("DS RPL above DPL", G_DS, 0x13); good("CS RPL differs", G_CS, 0x3b);
  wr(G_CR0, 0x20);
  bad_guest("SS DPL in real mode", AR_OF(SS), 0xc0f3);
  bad_guest("VM flag in real mode", G_RFLAGS, 0x20002);
  group_end();
}

void test_state(void) {
  host();
  guest_registers();
  segments();
  virtual8086();
  non_register();
  pdptes();
  unrestricted();
}
