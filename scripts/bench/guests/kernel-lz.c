/*
 * A byte-oriented LZ77 (literal count, match length, literals, offset), 60,000 bytes compressed and decompressed n times. Byte
 * loads and stores, a hash table, short copies, badly predictable branches.
 */
#include "base.h"

#define INPUT_BYTES 60000
#define HASH_ENTRIES 4096
#define MIN_MATCH 4
#define MAX_LITERALS 255

static u8 *put_literals(u8 *out, const u8 *from, word count, word match)
{
    *out++ = count;
    *out++ = match;
    memcpy(out, from, count);
    return out + count;
}

static word compress(const u8 *in, word length, u8 *out, u32 *table)
{
    u8 *start = out;
    word at = 0, literals = 0;
    for (int i = 0; i < HASH_ENTRIES; i++)
        table[i] = 0;
    while (at + 8 < length) {
        u32 value = *(const u32 *)(in + at);
        u32 hash = value * 2654435761u >> 20;
        word candidate = table[hash];
        table[hash] = at;
        if (!candidate || at - candidate >= 65535 || *(const u32 *)(in + candidate) != value) {
            at++;
            continue;
        }
        word match = MIN_MATCH;
        while (at + match < length && in[candidate + match] == in[at + match] && match < 258)
            match++;
        word count = at - literals;
        for (; count > MAX_LITERALS; count -= MAX_LITERALS, literals += MAX_LITERALS) {
            out = put_literals(out, in + literals, MAX_LITERALS, 0);
            *(u16 *)out = 0;
            out += 2;
        }
        out = put_literals(out, in + literals, count, match - 3);
        *(u16 *)out = at - candidate;
        out += 2;
        at += match;
        literals = at;
    }
    while (literals < length) {
        word count = length - literals > MAX_LITERALS ? MAX_LITERALS : length - literals;
        out = put_literals(out, in + literals, count, 0);
        *(u16 *)out = 0;
        out += 2;
        literals += count;
    }
    return out - start;
}

static word decompress(const u8 *in, word length, u8 *out)
{
    u8 *start = out;
    const u8 *end = in + length;
    while (in < end) {
        u32 count = *in++, match = *in++;
        while (count--)
            *out++ = *in++;
        u32 offset = *(const u16 *)in;
        in += 2;
        if (!offset)
            continue;
        match += 3;
        const u8 *copy = out - offset;
        while (match--)
            *out++ = *copy++;
    }
    return out - start;
}

/* Bytes that repeat what stood up to 190 bytes before, with some random ones between. */
static void make_input(u8 *bytes)
{
    for (word i = 0; i < INPUT_BYTES; i++) {
        if (i > 256 && next_random() & 15) {
            u32 far = next_random() & 63;
            bytes[i] = bytes[i - 1 - ((next_random() & 7) ? 0 : far) - (i >> 3 & 127)];
        } else {
            bytes[i] = next_random();
        }
    }
}

u64 run_lz(u32 n, u32 size)
{
    u8 *input = heap, *packed = heap + 0x100000, *output = heap + 0x200000;
    u32 *table = (u32 *)(heap + 0x300000);
    u64 sum = 0;
    (void)size;
    make_input(input);
    for (u32 i = 0; i < n; i++) {
        input[i % INPUT_BYTES] ^= i;
        word packed_bytes = compress(input, INPUT_BYTES, packed, table);
        word bytes = decompress(packed, packed_bytes, output);
        sum = sum * 31 + packed_bytes + bytes;
        for (word j = 0; j < INPUT_BYTES; j += sizeof(word))
            if (*(word *)(input + j) != *(word *)(output + j))
                return 0xbad;
        for (word j = 0; j < INPUT_BYTES; j += 997)
            sum = sum * 31 + output[j];
    }
    return sum;
}
