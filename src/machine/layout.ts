/**
 * Where things are on this PC: port numbers, physical addresses, interrupt numbers and clock rates shared by the devices,
 * the memory map and the ACPI tables. An i440FX / PIIX4 board.
 */

// --- Physical address space ---
/** First byte of the hole that VGA memory occupies on a PC. */
export const VGA_HOLE_START = 0xa0000;
/** End of the VGA hole: from here to 1 MiB is RAM used as shadow for ROM images and tables. */
export const VGA_HOLE_END = 0xc0000;
export const ONE_MIB = 0x100000;
/** RAM below 4 GiB ends here at the latest (3 GiB); the rest continues at 4 GiB. */
export const PCI_HOLE_START = 0xc0000000;
export const FOUR_GIB = 0x100000000;
export const IOAPIC_BASE = 0xfec00000;
export const IOAPIC_SIZE = 0x1000;
export const HPET_BASE = 0xfed00000;
export const HPET_SIZE = 0x400;
/** Local APIC page after reset (IA32_APIC_BASE moves it). */
export const LAPIC_BASE = 0xfee00000;
export const LAPIC_SIZE = 0x1000;

// --- Clocks ---
export const DEFAULT_TSC_HZ = 1_000_000_000;
/** 8254 input clock. */
export const PIT_HZ = 1_193_182;
/** ACPI power-management timer. */
export const PM_TIMER_HZ = 3_579_545;
/** HPET main counter: a period of 100 ns. */
export const HPET_HZ = 10_000_000;
/** RTC crystal. */
export const RTC_HZ = 32_768;
/** 2026-01-01 00:00:00 UTC, in seconds since 1970: where the RTC starts unless configured otherwise. */
export const DEFAULT_RTC_START = 1_767_225_600;

// --- Interrupts ---
export const IRQ_TIMER = 0, IRQ_KEYBOARD = 1, IRQ_CASCADE = 2, IRQ_RTC = 8, IRQ_SCI = 9, IRQ_MOUSE = 12, IRQ_FPU = 13;
/** IOAPIC pin of ISA interrupt 0 (the 8254 or HPET timer 0); the others map one to one. */
export const IOAPIC_TIMER_PIN = 2;
export const IOAPIC_PINS = 24;
/** IOAPIC id programmed at reset by the machine; above the largest vCPU number. */
export const IOAPIC_ID = 0xe;

// --- ACPI power management (PIIX4 function 3) ---
export const PM_BASE = 0xb000;
export const PM1A_EVENT_BLOCK = PM_BASE;
export const PM1A_EVENT_LENGTH = 4;
export const PM1A_CONTROL_BLOCK = PM_BASE + 4;
export const PM1A_CONTROL_LENGTH = 2;
export const PM_TIMER_BLOCK = PM_BASE + 8;
export const PM_TIMER_LENGTH = 4;
export const GPE0_BLOCK = PM_BASE + 0xc;
/** Two status bytes followed by two enable bytes. */
export const GPE0_LENGTH = 4;
export const PM_BLOCK_SIZE = 0x40;
/** SMI command port and the values that turn ACPI mode (PM1_CNT.SCI_EN) on and off. */
export const SMI_COMMAND_PORT = 0xb2;
export const ACPI_ENABLE_VALUE = 0xf1;
export const ACPI_DISABLE_VALUE = 0xf0;
/** PM1_CNT.SLP_TYP that means soft off (S5) on PIIX4. */
export const S5_SLEEP_TYPE = 0;
/** CMOS byte that holds the century, for the FADT. */
export const RTC_CENTURY_INDEX = 0x32;
/** Reset register named by the FADT: port and value. */
export const RESET_PORT = 0xcf9;
export const RESET_VALUE = 6;

// --- Serial ports ---
export const SERIAL_PORTS: readonly { readonly base: number; readonly irq: number }[] = [
  { base: 0x3f8, irq: 4 },
  { base: 0x2f8, irq: 3 },
  { base: 0x3e8, irq: 4 },
  { base: 0x2e8, irq: 3 },
];

// --- Debug ports ---
/** A write ends the run with the written value. */
export const DEBUG_EXIT_PORT = 0xf4;
/** Characters for the debug log; both read as E9h. */
export const DEBUG_TEXT_PORTS: readonly number[] = [0xe9, 0x402];
export const POST_PORT = 0x80;

// --- PCI ---
/** PCI device numbers on bus 0. */
export const PCI_HOST_BRIDGE_SLOT = 0, PCI_PIIX_SLOT = 1, PCI_VGA_SLOT = 2;
/** Where firmware puts the display adapter's memory (up to 256 MiB) and its registers. */
export const VGA_FRAME_BUFFER = 0xe0000000, VGA_REGISTERS = 0xfebf0000;
/** ISA interrupts that INTA#-INTD# (PIIX3 registers 60h-63h) are routed to at reset, as firmware would. */
export const PIRQ_DEFAULT_ROUTE: readonly number[] = [10, 10, 11, 11];
