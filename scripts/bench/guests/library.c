/* memcpy and memset, random numbers, and text on COM1. */
#include "base.h"
#include "port.h"

#define COM1 0x3f8

u8 *heap;
static u64 random_state;

void *memcpy(void *destination, const void *source, word bytes)
{
    u8 *to = destination;
    const u8 *from = source;
    for (; bytes >= sizeof(word); bytes -= sizeof(word), to += sizeof(word), from += sizeof(word))
        *(word *)to = *(const word *)from;
    while (bytes--)
        *to++ = *from++;
    return destination;
}

void *memset(void *destination, int value, word bytes)
{
    u8 *to = destination;
    word pattern = (u8)value * (~(word)0 / 255);
    for (; bytes >= sizeof(word); bytes -= sizeof(word), to += sizeof(word))
        *(word *)to = pattern;
    while (bytes--)
        *to++ = value;
    return destination;
}

void seed_random(void)
{
    random_state = 42;
}

u32 next_random(void)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return random_state >> 33;
}

/* 115200 baud, 8 bits. */
void prepare_console(void)
{
    out8(COM1 + 3, 0x83);
    out8(COM1, 1);
    out8(COM1 + 1, 0);
    out8(COM1 + 3, 3);
}

static void print_byte(u8 byte)
{
    while (!(in8(COM1 + 5) & 0x20)) {
    }
    out8(COM1, byte);
}

void print(const char *text)
{
    while (*text)
        print_byte(*text++);
}

void print_number(u64 value, u32 base)
{
    char digits[65];
    u32 count = 0;
    /* Digit by digit from 32-bit pieces: a 32-bit guest has no 64-bit division. */
    do {
        u32 high = value >> 32, low = value, digit = 0;
        u64 quotient = 0;
        for (int bit = 63; bit >= 0; bit--) {
            digit = digit * 2 + (bit >= 32 ? high >> (bit - 32) & 1 : low >> bit & 1);
            quotient <<= 1;
            if (digit >= base) {
                digit -= base;
                quotient |= 1;
            }
        }
        digits[count++] = "0123456789abcdef"[digit];
        value = quotient;
    } while (value);
    while (count)
        print_byte(digits[--count]);
}
