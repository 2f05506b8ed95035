/*
 * Puts a Linux kernel, its initramfs and its boot information into guest memory. Four forms of kernel:
 *   - bzImage with a 64-bit entry, bzImage with the 32-bit one only (Documentation/x86/boot.rst in Linux),
 *   - ELF with a PVH entry note (Xen's docs/misc/pvh.pandoc),
 *   - 32-bit ELF without one, entered as a bzImage's decompressor would enter it.
 */
#include "vmm.h"

#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096ull
/* Linux wants its initramfs below this on 32-bit kernels without high memory, which 64-bit ones accept too. */
#define INITRD_LIMIT 0x37ffffffull
#define PVH_NOTE_TYPE 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
#define PVH_MAGIC 0x336ec578u
#define E820_RAM 1
#define E820_RESERVED 2
#define MEMORY_REGIONS 4
/* Where a 32-bit x86 Linux runs in linear memory, minus where it lies in physical memory. */
#define LINUX32_PAGE_OFFSET 0xc0000000u

struct file {
    const char *path;
    int descriptor;
    uint64_t size;
};

struct region {
    uint64_t start, size;
    uint32_t type;
};

static struct file open_file(const char *path)
{
    struct file file = { .path = path, .descriptor = open(path, O_RDONLY) };
    struct stat status;
    if (file.descriptor < 0 || fstat(file.descriptor, &status) < 0)
        fail_errno(path);
    file.size = (uint64_t)status.st_size;
    return file;
}

static void read_at(const struct file *file, uint64_t offset, void *target, uint64_t size)
{
    if (offset > file->size || size > file->size - offset)
        fail("%s: truncated", file->path);
    for (uint8_t *next = target; size > 0;) {
        ssize_t got = pread(file->descriptor, next, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            fail("%s: cannot be read", file->path);
        next += got;
        offset += (uint64_t)got;
        size -= (uint64_t)got;
    }
}

/* Reads part of a file straight into guest memory. */
static void read_to_guest(const struct file *file, uint64_t offset, uint64_t guest_physical, uint64_t size)
{
    if (guest_physical > guest_ram_size || size > guest_ram_size - guest_physical)
        fail("%s does not fit into the guest's %llu MB", file->path, (unsigned long long)(guest_ram_size >> 20));
    read_at(file, offset, guest_ram + guest_physical, size);
}

/* The guest's memory map; both boot protocols carry it. */
static void memory_map(struct region map[MEMORY_REGIONS])
{
    map[0] = (struct region){ 0, LAYOUT_LOW_RAM_END, E820_RAM };
    map[1] = (struct region){ LAYOUT_LOW_RAM_END, LAYOUT_VGA - LAYOUT_LOW_RAM_END, E820_RESERVED };
    map[2] = (struct region){ LAYOUT_ACPI, LAYOUT_ACPI_END - LAYOUT_ACPI, E820_RESERVED };
    map[3] = (struct region){ LAYOUT_HIGH_RAM, guest_ram_size - LAYOUT_HIGH_RAM, E820_RAM };
}

/* As high as it may lie, out of the way of the kernel. */
static struct region load_initrd(const char *path)
{
    if (path == NULL)
        return (struct region){ 0 };
    struct file file = open_file(path);
    uint64_t top = guest_ram_size < INITRD_LIMIT ? guest_ram_size : INITRD_LIMIT;
    if (file.size > top - LAYOUT_HIGH_RAM)
        fail("%s does not fit into the guest's %llu MB", path, (unsigned long long)(guest_ram_size >> 20));
    struct region initrd = { (top - file.size) & ~(PAGE - 1), file.size, 0 };
    read_to_guest(&file, 0, initrd.start, initrd.size);
    close(file.descriptor);
    return initrd;
}

static void write_command_line(const char *text)
{
    size_t size = strlen(text) + 1;
    if (size > LAYOUT_COMMAND_LINE_END - LAYOUT_COMMAND_LINE)
        fail("the guest's command line is longer than %d bytes", LAYOUT_COMMAND_LINE_END - LAYOUT_COMMAND_LINE - 1);
    memcpy(guest_ram + LAYOUT_COMMAND_LINE, text, size);
}

/* boot_params ("zero page") of the Linux boot protocol around a setup header. */
static uint32_t write_boot_params(const struct setup_header *header, struct region initrd)
{
    struct boot_params *params = (void *)(guest_ram + LAYOUT_BOOT_PARAMS);
    memset(params, 0, sizeof *params);
    params->hdr = *header;
    params->hdr.type_of_loader = 0xff; /* none of the registered ones */
    params->hdr.cmd_line_ptr = LAYOUT_COMMAND_LINE;
    params->hdr.ramdisk_image = (uint32_t)initrd.start;
    params->hdr.ramdisk_size = (uint32_t)initrd.size;
    params->acpi_rsdp_addr = build_acpi_tables();

    struct region map[MEMORY_REGIONS];
    memory_map(map);
    params->e820_entries = MEMORY_REGIONS;
    for (int i = 0; i < MEMORY_REGIONS; i++)
        params->e820_table[i] = (struct boot_e820_entry){ map[i].start, map[i].size, map[i].type };
    return LAYOUT_BOOT_PARAMS;
}

static struct start_state load_bzimage(const struct file *file, struct region initrd)
{
    struct setup_header header;
    uint8_t jump_offset;
    memset(&header, 0, sizeof header);
    read_at(file, 0x201, &jump_offset, 1);
    size_t header_size = 0x202u + jump_offset - 0x1f1u;
    read_at(file, 0x1f1, &header, header_size < sizeof header ? header_size : sizeof header);
    if (header.boot_flag != 0xaa55 || header.header != 0x53726448)
        fail("%s: neither an ELF file nor a bzImage", file->path);
    if (header.version < 0x0206 || !(header.loadflags & LOADED_HIGH))
        fail("%s: boot protocol %x is too old", file->path, header.version);

    uint64_t setup_size = ((header.setup_sects ? header.setup_sects : 4) + 1) * 512ull;
    if (setup_size > file->size)
        fail("%s: truncated", file->path);
    read_to_guest(file, setup_size, LAYOUT_HIGH_RAM, file->size - setup_size);

    struct start_state start = { .entry = LAYOUT_HIGH_RAM, .rsi = write_boot_params(&header, initrd) };
    if (header.version >= 0x020c && (header.xloadflags & XLF_KERNEL_64)) {
        start.long_mode = true;
        start.entry += 0x200;
    }
    return start;
}

/* hvm_start_info and what it points to, as 32-bit words: every field is naturally aligned. */
static uint32_t write_pvh_start_info(struct region initrd)
{
    struct __attribute__((packed)) {
        uint32_t magic, version, flags, module_count;
        uint64_t modules, command_line, rsdp, memory_map;
        uint32_t memory_map_entries, reserved;
    } info = { .magic = PVH_MAGIC,
               .version = 1,
               .module_count = initrd.size != 0,
               .modules = LAYOUT_PVH_MODULES,
               .command_line = LAYOUT_COMMAND_LINE,
               .rsdp = build_acpi_tables(),
               .memory_map = LAYOUT_PVH_MEMORY_MAP,
               .memory_map_entries = MEMORY_REGIONS };
    struct {
        uint64_t start, size, command_line, reserved;
    } module = { .start = initrd.start, .size = initrd.size };
    struct {
        uint64_t start, size;
        uint32_t type, reserved;
    } entries[MEMORY_REGIONS] = { 0 };
    struct region map[MEMORY_REGIONS];
    memory_map(map);
    for (int i = 0; i < MEMORY_REGIONS; i++) {
        entries[i].start = map[i].start;
        entries[i].size = map[i].size;
        entries[i].type = map[i].type;
    }
    memcpy(guest_ram + LAYOUT_PVH_START_INFO, &info, sizeof info);
    memcpy(guest_ram + LAYOUT_PVH_MODULES, &module, sizeof module);
    memcpy(guest_ram + LAYOUT_PVH_MEMORY_MAP, entries, sizeof entries);
    return LAYOUT_PVH_START_INFO;
}

/* Returns the entry in a segment of ELF notes, or 0. Names and descriptors are padded to 4 bytes. */
static uint32_t pvh_entry(const struct file *file, uint64_t offset, uint64_t size)
{
    uint8_t notes[4096];
    if (size > sizeof notes)
        size = sizeof notes;
    read_at(file, offset, notes, size);
    for (uint64_t at = 0; at + sizeof(Elf64_Nhdr) <= size;) {
        Elf64_Nhdr header;
        memcpy(&header, notes + at, sizeof header);
        uint64_t name = at + sizeof header;
        uint64_t descriptor = name + ((header.n_namesz + 3ull) & ~3ull);
        at = descriptor + ((header.n_descsz + 3ull) & ~3ull);
        if (at > size)
            break;
        if (header.n_type == PVH_NOTE_TYPE && header.n_namesz == 4 && memcmp(notes + name, "Xen", 4) == 0) {
            uint32_t entry;
            memcpy(&entry, notes + descriptor, sizeof entry);
            return entry;
        }
    }
    return 0;
}

/* Program header `index` of either class, in the wide form. */
static Elf64_Phdr program_header(const struct file *file, bool wide, uint64_t table, unsigned index)
{
    Elf64_Phdr result;
    if (wide) {
        read_at(file, table + index * sizeof result, &result, sizeof result);
        return result;
    }
    Elf32_Phdr narrow;
    read_at(file, table + index * sizeof narrow, &narrow, sizeof narrow);
    return (Elf64_Phdr){ .p_type = narrow.p_type,
                         .p_offset = narrow.p_offset,
                         .p_paddr = narrow.p_paddr,
                         .p_filesz = narrow.p_filesz,
                         .p_memsz = narrow.p_memsz };
}

static struct start_state load_elf(const struct file *file, bool wide, struct region initrd)
{
    uint64_t table;
    uint32_t entry, pvh = 0;
    unsigned count;
    if (wide) {
        Elf64_Ehdr header;
        read_at(file, 0, &header, sizeof header);
        table = header.e_phoff, count = header.e_phnum, entry = (uint32_t)header.e_entry;
    } else {
        Elf32_Ehdr header;
        read_at(file, 0, &header, sizeof header);
        table = header.e_phoff, count = header.e_phnum, entry = header.e_entry;
    }
    for (unsigned i = 0; i < count; i++) {
        Elf64_Phdr segment = program_header(file, wide, table, i);
        /* Guest memory is fresh, so what a segment has beyond its file content is zero already. */
        if (segment.p_type == PT_LOAD)
            read_to_guest(file, segment.p_offset, segment.p_paddr, segment.p_filesz);
        else if (segment.p_type == PT_NOTE && pvh == 0)
            pvh = pvh_entry(file, segment.p_offset, segment.p_filesz);
    }
    if (pvh != 0)
        return (struct start_state){ .entry = pvh, .rbx = write_pvh_start_info(initrd) };
    if (wide)
        fail("%s: a 64-bit ELF kernel without a PVH entry", file->path);
    struct setup_header header = { .boot_flag = 0xaa55,
                                   .header = 0x53726448,
                                   .version = 0x020d,
                                   .loadflags = LOADED_HIGH,
                                   .kernel_alignment = 0x1000000 };
    if (entry >= LINUX32_PAGE_OFFSET)
        entry -= LINUX32_PAGE_OFFSET;
    return (struct start_state){ .entry = entry, .rsi = write_boot_params(&header, initrd) };
}

struct start_state load_guest(const struct boot_request *request)
{
    write_command_line(request->command_line);
    struct region initrd = load_initrd(request->initrd_path);
    struct file kernel = open_file(request->kernel_path);
    uint8_t identity[EI_NIDENT];
    read_at(&kernel, 0, identity, sizeof identity);
    struct start_state start = memcmp(identity, ELFMAG, SELFMAG) == 0
                                   ? load_elf(&kernel, identity[EI_CLASS] == ELFCLASS64, initrd)
                                   : load_bzimage(&kernel, initrd);
    close(kernel.descriptor);
    return start;
}
