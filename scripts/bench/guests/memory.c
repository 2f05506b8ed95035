/* Copying and filling: size bytes, n times, between the two halves of the heap; by REP instructions and by plain loops of words. */
#include "base.h"

#define HALF 0x800000
/* Where copies go: not a power of two away, which direct-mapped caches dislike. */
#define COPY (heap + HALF - 0x5000)

#define AT_MOST(size) ((size) > HALF / 2 ? HALF / 2 : (size))

u64 run_movsb(u32 n, u32 size)
{
    for (u32 i = 0; i < n; i++) {
        void *to = COPY, *from = heap;
        word count = AT_MOST(size);
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    }
    return n;
}

u64 run_movsw(u32 n, u32 size)
{
    for (u32 i = 0; i < n; i++) {
        void *to = COPY, *from = heap;
        word count = AT_MOST(size) / sizeof(word);
#ifdef __x86_64__
        __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
#else
        __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
#endif
    }
    return n;
}

u64 run_stosb(u32 n, u32 size)
{
    for (u32 i = 0; i < n; i++) {
        void *to = heap;
        word count = AT_MOST(size);
        __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(i) : "memory");
    }
    return n;
}

u64 run_stosw(u32 n, u32 size)
{
    for (u32 i = 0; i < n; i++) {
        void *to = heap;
        word count = AT_MOST(size) / sizeof(word);
#ifdef __x86_64__
        __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"((word)i) : "memory");
#else
        __asm__ volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(i) : "memory");
#endif
    }
    return n;
}

u64 run_copyloop(u32 n, u32 size)
{
    for (u32 i = 0; i < n; i++)
        memcpy(COPY, heap, AT_MOST(size));
    return n;
}

u64 run_fillloop(u32 n, u32 size)
{
    for (u32 i = 0; i < n; i++)
        memset(heap, i, AT_MOST(size));
    return n;
}
