/*
 * ACPI tables: RSDP, XSDT and MADT (ACPI 6.4, 5.2.5, 5.2.8, 5.2.12), which tell Linux of the local and the I/O APIC.
 * Left out: FADT and DSDT. Linux then does without the ACPI interpreter, which a guest without power button and PCI
 * does not need and which would cost more than a hundred million instructions. Interrupt lines keep their numbers:
 * without a FADT, an override of IRQ 0 would leave Linux without its timer.
 *
 * Beside them lies the pointer structure of the older MultiProcessor Specification (1.4, 4.1). Nobody follows it, but a
 * 32-bit Linux looks for it in every 16 bytes of the BIOS area, mapping the rest of that each time: 70,000 INVLPG, each
 * an exit where there is no EPT. Finding it at the first place ends the search.
 */
#include "vmm.h"

#include <string.h>

struct __attribute__((packed)) rsdp {
    char signature[8];
    uint8_t checksum; /* over the first 20 bytes */
    char oem[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
    uint8_t extended_checksum;
    uint8_t reserved[3];
};

struct __attribute__((packed)) table_header {
    char signature[4];
    uint32_t length;
    uint8_t revision;
    uint8_t checksum;
    char oem[6];
    char oem_table[8];
    uint32_t oem_revision;
    char creator[4];
    uint32_t creator_revision;
};

struct __attribute__((packed)) xsdt {
    struct table_header header;
    uint64_t tables[1];
};

struct __attribute__((packed)) madt {
    struct table_header header;
    uint32_t lapic_address;
    uint32_t flags; /* bit 0: there are 8259s as well */
    struct __attribute__((packed)) {
        uint8_t type, length, processor, apic_id;
        uint32_t flags; /* bit 0: enabled */
    } lapic;
    struct __attribute__((packed)) {
        uint8_t type, length, apic_id, reserved;
        uint32_t address, first_interrupt;
    } ioapic;
};

struct __attribute__((packed)) mp_pointer {
    char signature[4];
    uint32_t table;
    uint8_t length; /* in 16 bytes */
    uint8_t revision;
    uint8_t checksum;
    uint8_t default_configuration; /* where there is no table; 5: PCI and ISA, local APICs built in */
    uint8_t features[4];
};

/* The value that makes the bytes add up to zero. */
static uint8_t checksum(const void *start, size_t bytes)
{
    const uint8_t *byte = start;
    uint8_t sum = 0;
    while (bytes-- > 0)
        sum += *byte++;
    return (uint8_t)-sum;
}

static void finish_table(struct table_header *header, const char *signature, uint32_t length)
{
    memcpy(header->signature, signature, 4);
    header->length = length;
    header->revision = 1;
    memcpy(header->oem, "NESTBX", 6);
    memcpy(header->oem_table, "MINIVMM ", 8);
    header->oem_revision = 1;
    memcpy(header->creator, "NSTB", 4);
    header->creator_revision = 1;
    header->checksum = checksum(header, length);
}

static void write_mp_pointer(void)
{
    struct mp_pointer *pointer = (void *)(guest_ram + LAYOUT_LOW_RAM_END);
    *pointer = (struct mp_pointer){ .length = sizeof *pointer / 16, .revision = 4, .default_configuration = 5 };
    memcpy(pointer->signature, "_MP_", 4);
    pointer->checksum = checksum(pointer, sizeof *pointer);
}

uint32_t build_acpi_tables(void)
{
    write_mp_pointer();

    enum { RSDP = LAYOUT_ACPI, XSDT = LAYOUT_ACPI + 0x40, MADT = LAYOUT_ACPI + 0x80 };

    struct madt *madt = (void *)(guest_ram + MADT);
    *madt = (struct madt){ .lapic_address = LAYOUT_LAPIC,
                           .flags = 1,
                           .lapic = { .type = 0, .length = sizeof madt->lapic, .flags = 1 },
                           .ioapic = { .type = 1, .length = sizeof madt->ioapic, .apic_id = 1, .address = LAYOUT_IOAPIC } };
    finish_table(&madt->header, "APIC", sizeof *madt);

    struct xsdt *xsdt = (void *)(guest_ram + XSDT);
    *xsdt = (struct xsdt){ .tables = { MADT } };
    finish_table(&xsdt->header, "XSDT", sizeof *xsdt);

    struct rsdp *rsdp = (void *)(guest_ram + RSDP);
    *rsdp = (struct rsdp){ .revision = 2, .length = sizeof *rsdp, .xsdt = XSDT };
    memcpy(rsdp->signature, "RSD PTR ", 8);
    memcpy(rsdp->oem, "NESTBX", 6);
    rsdp->checksum = checksum(rsdp, 20);
    rsdp->extended_checksum = checksum(rsdp, sizeof *rsdp);
    return RSDP;
}
