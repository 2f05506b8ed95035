/* 64-bit multiplication, division, modular powers, CRC-32, bit counts; n times. In a 32-bit build these are library calls. */
#include "base.h"

static NOINLINE u64 power(u64 base, u64 exponent, u64 modulus)
{
    u64 result = 1;
    for (base %= modulus; exponent; exponent >>= 1) {
        if (exponent & 1)
            result = result * base % modulus;
        base = base * base % modulus;
    }
    return result;
}

static u64 multiply_high(u64 a, u64 b)
{
#ifdef __x86_64__
    return (u64)((unsigned __int128)a * b >> 64);
#else
    u64 al = (u32)a, ah = a >> 32, bl = (u32)b, bh = b >> 32;
    u64 middle = ah * bl + (al * bl >> 32), other = al * bh + (u32)middle;
    return ah * bh + (middle >> 32) + (other >> 32);
#endif
}

static u32 ones(u64 x)
{
    x -= x >> 1 & 0x5555555555555555ULL;
    x = (x & 0x3333333333333333ULL) + (x >> 2 & 0x3333333333333333ULL);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
    return x * 0x0101010101010101ULL >> 56;
}

static u32 low_zeros(u64 x)
{
    u32 low = x, high = x >> 32;
    return low ? __builtin_ctz(low) : 32 + __builtin_ctz(high | 1u << 31);
}

u64 run_arith(u32 n, u32 size)
{
    u32 *table = (u32 *)heap;
    u64 sum = 0;
    (void)size;
    for (u32 i = 0; i < 256; i++) {
        u32 crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
        table[i] = crc;
    }
    for (u32 i = 0; i < n; i++) {
        u64 x = next_random();
        sum += power(x & 0xffff, (i & 0xff) | 1, 0x7ffffffb);
        u64 y = x * 0x9e3779b97f4a7c15ULL;
        y ^= y >> 29;
        y = y << 17 | y >> 47;
        u32 crc = ~0u;
        for (int k = 0; k < 8; k++)
            crc = table[(crc ^ (u32)(y >> k * 8)) & 255] ^ crc >> 8;
        sum ^= crc;
        sum += (s64)y / (s64)(x | 1);
        sum ^= multiply_high(y, sum);
        sum += low_zeros(y) + ones(x);
    }
    return sum;
}
