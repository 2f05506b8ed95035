/* A generic quicksort over 5000 records of 16 bytes, compared through a function pointer; n times. Indirect calls, recursion. */
#include "base.h"

#define RECORDS 5000

struct record {
    u64 key;
    u32 value;
    u32 position;
};

typedef int (*comparison)(const void *, const void *);

static NOINLINE int compare_records(const void *a, const void *b)
{
    const struct record *x = a, *y = b;
    if (x->key < y->key)
        return -1;
    if (x->key > y->key)
        return 1;
    return x->value < y->value ? -1 : x->value > y->value;
}

static void swap(u8 *a, u8 *b, word bytes)
{
    for (; bytes >= sizeof(word); bytes -= sizeof(word), a += sizeof(word), b += sizeof(word)) {
        word kept = *(word *)a;
        *(word *)a = *(word *)b;
        *(word *)b = kept;
    }
}

static NOINLINE void sort(u8 *base, s32 low, s32 high, word bytes, comparison compare)
{
    while (low < high) {
        word pivot[8];
        memcpy(pivot, base + (word)((low + high) / 2) * bytes, bytes);
        s32 i = low, j = high;
        while (i <= j) {
            while (compare(base + (word)i * bytes, pivot) < 0)
                i++;
            while (compare(base + (word)j * bytes, pivot) > 0)
                j--;
            if (i <= j) {
                swap(base + (word)i * bytes, base + (word)j * bytes, bytes);
                i++;
                j--;
            }
        }
        if (j - low < high - i) {
            sort(base, low, j, bytes, compare);
            low = i;
        } else {
            sort(base, i, high, bytes, compare);
            high = j;
        }
    }
}

u64 run_qsort(u32 n, u32 size)
{
    struct record *records = (struct record *)heap;
    u64 sum = 0;
    (void)size;
    for (u32 pass = 0; pass < n; pass++) {
        for (int i = 0; i < RECORDS; i++) {
            u64 high = next_random();
            records[i].key = high << 8 ^ next_random();
            records[i].value = next_random();
            records[i].position = i;
        }
        sort((u8 *)records, 0, RECORDS - 1, sizeof(struct record), compare_records);
        for (int i = 0; i < RECORDS; i += 7)
            sum = sum * 33 + records[i].key + records[i].position;
        for (int i = 1; i < RECORDS; i++)
            if (records[i - 1].key > records[i].key)
                return 0xbad;
    }
    return sum;
}
