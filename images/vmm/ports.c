/*
 * The machine's I/O ports other than those KVM emulates itself (8259s, 8254, port 61h): the serial ports, the clock and
 * CMOS memory, ways to reset, and a debug-exit port. What is not there reads as ones, as on an ISA bus.
 */
#include "vmm.h"

#include <time.h>

#define PORT_CMOS_INDEX 0x70
#define PORT_CMOS_DATA 0x71
#define PORT_KEYBOARD_COMMAND 0x64
#define KEYBOARD_PULSE_RESET 0xfe
#define PORT_DEBUG_EXIT 0xf4
#define PORT_COM1 0x3f8
#define PORT_COM2 0x2f8
#define UART_REGISTERS 8
#define PORT_RESET_CONTROL 0xcf9
#define RESET_CONTROL_CPU 0x04

static uint8_t cmos_index;
static bool ended;
static int end_code;

static void end_guest(int code)
{
    ended = true;
    end_code = code;
}

bool guest_ended(int *exit_code)
{
    *exit_code = end_code;
    return ended;
}

static uint8_t bcd(int value)
{
    return (uint8_t)(value / 10 * 16 + value % 10);
}

/* MC146818A: the time of L1 in UTC, 24-hour, BCD; an update is never in progress. Alarms and interrupts are left out. */
static uint8_t cmos_read(uint8_t index)
{
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    switch (index) {
    case 0x00: return bcd(utc.tm_sec);
    case 0x02: return bcd(utc.tm_min);
    case 0x04: return bcd(utc.tm_hour);
    case 0x06: return bcd(utc.tm_wday + 1);
    case 0x07: return bcd(utc.tm_mday);
    case 0x08: return bcd(utc.tm_mon + 1);
    case 0x09: return bcd(utc.tm_year % 100);
    case 0x0a: return 0x26; /* register A: 32.768 kHz time base, 1024 Hz rate */
    case 0x0b: return 0x02; /* register B: 24-hour mode */
    case 0x0d: return 0x80; /* register D: the battery is good */
    case 0x32: return bcd(19 + utc.tm_year / 100);
    default: return 0;
    }
}

/* Index of the serial port that has this I/O port, or -1. */
static int uart_at(uint16_t port)
{
    uint16_t base = port & ~(UART_REGISTERS - 1);
    int index = base == PORT_COM1 ? 0 : base == PORT_COM2 ? 1 : -1;
    return index >= 0 && uart_exists((unsigned)index) ? index : -1;
}

void port_write(uint16_t port, unsigned size, uint32_t value)
{
    (void)size; /* every device here has 8-bit registers */
    uint8_t byte = (uint8_t)value;
    int uart = uart_at(port);
    if (uart >= 0)
        uart_write((unsigned)uart, port % UART_REGISTERS, byte);
    else if (port == PORT_CMOS_INDEX)
        cmos_index = byte & 0x7f; /* bit 7 masks NMI */
    else if (port == PORT_KEYBOARD_COMMAND && byte == KEYBOARD_PULSE_RESET)
        end_guest(EXIT_RESET);
    else if (port == PORT_RESET_CONTROL && (byte & RESET_CONTROL_CPU))
        end_guest(EXIT_RESET);
    else if (port == PORT_DEBUG_EXIT)
        end_guest(byte);
}

uint32_t port_read(uint16_t port, unsigned size)
{
    if (size == 1) {
        int uart = uart_at(port);
        if (uart >= 0)
            return uart_read((unsigned)uart, port % UART_REGISTERS);
        if (port == PORT_CMOS_DATA)
            return cmos_read(cmos_index);
    }
    return 0xffffffffu;
}
