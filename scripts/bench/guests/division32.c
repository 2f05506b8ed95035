/* 64-bit division for the 32-bit build, where the compiler calls it by these names; there is no libgcc for 32 bits everywhere. */
#include "base.h"

#ifndef __x86_64__
static u64 divide(u64 dividend, u64 divisor, u64 *remainder)
{
    if (!(divisor >> 32)) {
        /* Two steps of 64 by 32 bits. */
        u32 low = dividend, high = dividend >> 32, by = divisor, rest = high % by;
        u32 quotient_high = high / by, quotient_low;
        __asm__("divl %4" : "=a"(quotient_low), "=d"(rest) : "a"(low), "d"(rest), "r"(by));
        *remainder = rest;
        return (u64)quotient_high << 32 | quotient_low;
    }
    u64 quotient = 0;
    int shift = __builtin_clz((u32)(divisor >> 32)) - (dividend >> 32 ? __builtin_clz((u32)(dividend >> 32)) : 32);
    for (; shift >= 0; shift--)
        if (dividend >> shift >= divisor) {
            dividend -= divisor << shift;
            quotient |= 1ULL << shift;
        }
    *remainder = dividend;
    return quotient;
}

u64 __udivdi3(u64 dividend, u64 divisor)
{
    u64 rest;
    return divide(dividend, divisor, &rest);
}

u64 __umoddi3(u64 dividend, u64 divisor)
{
    u64 rest;
    divide(dividend, divisor, &rest);
    return rest;
}

s64 __divdi3(s64 dividend, s64 divisor)
{
    u64 rest;
    u64 quotient = divide(dividend < 0 ? -(u64)dividend : (u64)dividend, divisor < 0 ? -(u64)divisor : (u64)divisor, &rest);
    return (dividend < 0) != (divisor < 0) ? -quotient : quotient;
}
#endif
