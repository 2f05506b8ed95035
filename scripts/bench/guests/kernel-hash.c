/* A chained hash table of strings: n look-ups of 4000 different decimal names. Byte strings, 32-bit division, pointers. */
#include "base.h"

#define BUCKETS 2048

struct node {
    struct node *next;
    u32 hash;
    u32 count;
    char text[24];
};

static NOINLINE word length_of(const char *text)
{
    word length = 0;
    while (text[length])
        length++;
    return length;
}

static NOINLINE int compare(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (u8)*a - (u8)*b;
}

static char *put_decimal(char *out, u32 value)
{
    char digits[12];
    int count = 0;
    do {
        digits[count++] = '0' + value % 10;
        value /= 10;
    } while (value);
    while (count)
        *out++ = digits[--count];
    *out = 0;
    return out;
}

u64 run_hash(u32 n, u32 size)
{
    struct node **table = (struct node **)heap, *pool = (struct node *)(heap + 0x10000);
    u32 used = 0;
    u64 sum = 0;
    (void)size;
    memset(table, 0, BUCKETS * sizeof *table);
    for (u32 i = 0; i < n; i++) {
        char name[32] = "k_";
        put_decimal(name + 2, next_random() % 4000);
        u32 hash = 5381;
        for (word j = 0, length = length_of(name); j < length; j++)
            hash = hash * 33 ^ (u8)name[j];
        struct node *node = table[hash % BUCKETS];
        while (node && (node->hash != hash || compare(node->text, name)))
            node = node->next;
        if (!node) {
            node = pool + used++;
            node->hash = hash;
            node->count = 0;
            memcpy(node->text, name, sizeof node->text);
            node->next = table[hash % BUCKETS];
            table[hash % BUCKETS] = node;
        }
        node->count++;
        sum += node->count * hash;
    }
    return sum ^ used;
}
