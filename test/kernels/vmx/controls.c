/* VM-entry checks of the control fields (SDM 3C 27.2.1): VMfailValid with error 7. */
#include "vmx.h"
#define BAD (FAILED | 7)

/* Each bit of a control word: allowed settings enter, others fail. Bits in `skip` have rules of their own. */
static void bits(const char *what, u32 field, u64 allowed, u32 skip) {
  u32 must = allowed, may = allowed >> 32;
  for (int n = 0; n < 32; n++) {
    u32 bit = 1u << n;
    if (skip & bit) continue;
    fresh();
    if (field == PROC2) { set_bits(PROC, P_2); }
    if (must & bit) { clear_bits(field, bit); EQ(enter(), BAD, what); }
    else if (!(may & bit)) { set_bits(field, bit); EQ(enter(), BAD, what); }
  }
}

static u32 with(u32 field, u64 value) { wr(field, value); return go(guest_done); }

static void pages(const char *what, u32 field, u32 proc_bit, u32 proc2_bit) {
  static const u64 bad[] = { 1, 0x10, 0x800, 1ull << 40, 1ull << 51, 1ull << 63 };
  u64 page = (u64)scratch_page;
  fresh();
  set_bits(PROC, proc_bit);
  if (proc2_bit) secondary(proc2_bit);
  EQ(with(field, page), 18, what);
  for (u32 n = 0; n < sizeof bad / 8; n++) EQ(with(field, page | bad[n]), BAD, what);
  EQ(with(field, page), 18, what);
  if (!proc2_bit || proc2_bit == P2_APIC) {
    if (proc_bit) clear_bits(PROC, proc_bit);
    if (proc2_bit) clear_bits(PROC2, proc2_bit);
    EQ(with(field, page | 1), 18, "ignored without its control");
  }
}

static void lists(const char *what, u32 address, u32 number) {
  fresh();
  wr(address, 0xffff000000000001ull);
  EQ(go(guest_done), 18, "address ignored with count 0");
  fill(msr_list, 0, 4096);
  *(u32 *)msr_list = 0x174;
  wr(number, 1);
  static const u64 bad[] = { 1, 2, 4, 8, 1ull << 40, 1ull << 63 };
  for (u32 n = 0; n < 6; n++) EQ(with(address, (u64)msr_list | bad[n]), BAD, what);
  wr(number, 2);
  EQ(with(address, (1ull << 40) - 16), BAD, "list runs past the physical width");
  wr(number, 1);
  EQ(with(address, (u64)msr_list), 18, what);
}

static u32 inject(u32 info, u32 error, u32 length) {
  wr(E_INFO, info); wr(E_ERROR, error); wr(E_LEN, length);
  u32 r = enter();
  wr(E_INFO, 0);
  return r;
}

static void injection(void) {
  group("controls: event injection");
  fresh();
  wr(EXC, ~0u); wr(PF_MASK, 0); wr(PF_MATCH, 0);
  /* Exits or not, the entry itself must be refused with 7 or not. */
  EQ(inject(0x80000120, 0, 0), BAD, "type 1");
  for (u32 n = 12; n < 31; n++) EQ(inject(0x80000306 | 1u << n, 0, 0), BAD, "reserved bits");
  for (u32 v = 0; v < 256; v += v < 40 ? 1 : 36) {
    if (v != 2) EQ(inject(0x80000200 | v, 0, 0), BAD, "NMI with another vector");
    if (v > 31) EQ(inject(0x80000300 | v, 0, 0), BAD, "hardware exception above 31");
    if (v != 0) EQ(inject(0x80000700 | v, 0, 0), BAD, "MTF with a vector");
  }
  u32 with_error = 1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17;
  for (u32 v = 0; v < 32; v++) {
    u32 has = with_error >> v & 1;
    EQ(inject(0x80000300 | v | (has ? 0 : 0x800), 0, 0), BAD, "error code against the vector");
  }
  for (u32 type = 0; type < 7; type++) if (type != 3 && type != 1) EQ(inject(0x80000800 | type << 8 | 2, 0, 1), BAD, "error code with another type");
  for (u32 n = 16; n < 32; n++) EQ(inject(0x80000b0d, 1u << n, 0), BAD, "error code above 15 bits");
  for (u32 type = 4; type < 7; type++) {
    u32 r = inject(0x80000000 | type << 8 | 3, 0, 0);
    if (rdmsr(0x485) >> 30 & 1) check(r != BAD, "instruction length 0", r); else EQ(r, BAD, "instruction length 0");
    EQ(inject(0x80000000 | type << 8 | 3, 0, 16), BAD, "instruction length 16");
    EQ(inject(0x80000000 | type << 8 | 3, 0, 0x80000001), BAD, "instruction length with bit 31");
  }
  EQ(inject(0x7fffffff, ~0u, ~0u), 18, "not valid: nothing is checked");
  if (rdmsr(0x485) >> 30 & 1) {
    /* Length 0: the event returns to the guest's RIP itself. */
    static const u32 events[] = { 0x80000603, 0x80000604, 0x80000501, 0x80000403 };
    for (u32 n = 0; n < 4; n++) { fresh(); wr(E_INFO, events[n]); wr(E_LEN, 0); ex_rip = 0; ex_vector = ~0ull; EQ(go(guest_done), 18, "delivery with length 0"); EQ(ex_vector, events[n] & 0xff, "vector"); EQ(ex_rip, (u64)guest_done, "RIP in the frame"); }
    fresh(); ept_on(); wr(G_IDTR, 0x80000000); ept_pd[0x80000000 >> 21] = 0; invept(2, 0, 0); wr(E_INFO, 0x80000603); wr(E_LEN, 0); wr(X_LEN, 9);
    EQ(go(guest_done), 48, "exit in the delivery"); EQ((u32)rd(IDT_INFO), 0x80000603, "vectoring"); EQ(rd(X_LEN), 0, "length"); EQ(rd(G_RIP), (u64)guest_done, "RIP");
  }
  fresh(); ept_on(); secondary(P2_UG);
  EQ(inject(0x8000030d, 0, 0), BAD, "unrestricted, PE = 1, error code missing");
  wr(G_CR0, 0x20); clear_bits(ENTRYC, E_64);
  EQ(inject(0x80000b0d, 0, 0), BAD, "unrestricted, PE = 0, error code");
  wr(G_IDTR_LIMIT, 0); wr(EXC, ~0u);
  EQ(inject(0x8000030d, 0, 0), 0, "unrestricted, PE = 0, no error code: delivery is tried");
  group_end();
}

void test_controls(void) {
  group("controls: bits");
  bits("pin-based", PIN, rdmsr(0x48d), 0);
  bits("primary", PROC, rdmsr(0x48e), 0);
  bits("secondary", PROC2, rdmsr(0x48b), 0);
  bits("exit", EXITC, rdmsr(0x48f), 0);
  bits("entry", ENTRYC, rdmsr(0x490), 0);
  fresh(); wr(PROC2, ~0u); EQ(go(guest_done), 18, "secondary controls ignored when not activated");
  fresh(); set_bits(PIN, PIN_VNMI); EQ(enter(), BAD, "virtual NMIs without NMI exiting");
  set_bits(PIN, PIN_NMI); EQ(go(guest_done), 18, "virtual NMIs");
  fresh(); set_bits(PROC, P_NMIWIN); EQ(enter(), BAD, "NMI window without virtual NMIs");
  set_bits(PIN, PIN_NMI); EQ(enter(), BAD, "NMI window with NMI exiting only");
  set_bits(PIN, PIN_VNMI); EQ(go(guest_done), 8, "NMI window");
  fresh(); set_bits(EXITC, X_SAVE_TIMER); EQ(enter(), BAD, "save timer without the timer");
  fresh(); secondary(P2_UG); EQ(enter(), BAD, "unrestricted guest without EPT");
  fresh(); secondary(P2_VPID); EQ(enter(), BAD, "VPID 0"); EQ(with(F_VPID, 1), 18, "VPID 1"); EQ(with(F_VPID, 0xffff), 18, "VPID FFFFh");
  fresh(); set_bits(ENTRYC, 0x400); EQ(enter(), BAD, "entry to SMM");
  fresh();
  u32 targets = rdmsr(0x485) >> 16 & 0x1ff;
  for (u32 n = 0; n <= 256; n += n < 8 ? 1 : 31) EQ(with(CR3_COUNT, n), n <= targets ? 18 : BAD, "CR3-target count");
  EQ(with(CR3_COUNT, 0xffffffff), BAD, "CR3-target count");
  group_end();

  group("controls: addresses");
  pages("I/O bitmap A", IO_A, P_IOBM, 0);
  pages("I/O bitmap B", IO_B, P_IOBM, 0);
  pages("MSR bitmap", MSR_BITMAP, P_MSRBM, 0);
  pages("virtual-APIC page", VAPIC, P_TPR, 0);
  pages("APIC-access page", APIC_ACCESS, 0, P2_APIC);
  lists("VM-exit MSR store", X_STORE, X_STORE_N);
  lists("VM-exit MSR load", X_LOAD, X_LOAD_N);
  lists("VM-entry MSR load", E_LOAD, E_LOAD_N);
  fresh(); ept_on();
  u64 good = rd(EPTP);
  EQ(go(guest_done), 18, "EPT pointer");
  u64 cap = rdmsr(0x48c);
  for (u32 type = 0; type < 8; type++) {
    u32 allowed = (type == 0 && cap >> 8 & 1) || (type == 6 && cap >> 14 & 1);
    EQ(with(EPTP, (good & ~7ull) | type), allowed ? 18 : BAD, "EPTP memory type");
    EQ(with(EPTP, (good & ~0x38ull) | type << 3), type == 3 ? 18 : BAD, "EPTP walk length");
  }
  EQ(with(EPTP, good | 0x40), cap >> 21 & 1 ? 18 : BAD, "EPTP accessed and dirty flags");
  for (u32 n = 7; n < 12; n++) EQ(with(EPTP, good | 1u << n), BAD, "EPTP reserved bits");
  for (u32 n = 40; n < 64; n++) EQ(with(EPTP, good | 1ull << n), BAD, "EPTP beyond the physical width");
  group_end();

  group("controls: TPR threshold");
  fresh(); set_bits(PROC, P_TPR); wr(VAPIC, (u64)scratch_page); fill(scratch_page, 0, 4096);
  for (u32 n = 4; n < 32; n++) EQ(with(TPR_T, 1u << n), BAD, "reserved bits");
  for (u32 t = 0; t < 16; t++) for (u32 v = 0; v < 16; v += 3) { scratch_page[0x80] = v << 4; EQ(with(TPR_T, t), t > v ? BAD : 18, "threshold against virtual TPR"); }
  scratch_page[0x80] = 0x2f;
  EQ(with(TPR_T, 3), BAD, "only bits 7:4 count");
  secondary(P2_APIC); wr(APIC_ACCESS, (u64)page_b);
  EQ(with(TPR_T, 3), 43, "with an APIC-access page no check, but an exit");
  EQ(with(TPR_T, 2), 18, "not below");
  group_end();
  injection();
}
