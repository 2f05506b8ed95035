/*
 * 3000 different small functions called in turn, n times over: code as in a boot, where nothing is hot. flat.h is generated
 * (flat-functions.mjs) and defines them.
 */
#include "base.h"

typedef u64 (*flat_function)(u64 a, u64 *h, u32 n);
#include "flat.h"

u64 run_flat(u32 n, u32 size)
{
    u64 sum = 1;
    (void)size;
    memset(heap, 0, 8192);
    for (u32 pass = 0; pass < n; pass++)
        for (u32 i = 0; i < sizeof flat_functions / sizeof *flat_functions; i++)
            sum = flat_functions[i](sum + i, (u64 *)heap, i);
    return sum;
}
