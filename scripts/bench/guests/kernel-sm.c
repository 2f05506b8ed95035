/* A scanner for numbers as a state machine in a switch, over 4096 characters n times. A jump table taken for every character. */
#include "base.h"

#define TEXT_BYTES 4096

enum state { START, DIGITS, SIGN, FRACTION, EXPONENT, EXPONENT_SIGN, EXPONENT_DIGITS, OTHER };

static void make_text(u8 *text)
{
    static const u8 others[] = {'.', 'e', '-', '+', ',', ' '};
    for (int i = 0; i < TEXT_BYTES; i++) {
        u32 choice = next_random() % 20;
        text[i] = choice < 10 ? '0' + choice : choice < 16 ? others[choice - 10] : 'a' + choice;
    }
}

#define IS_DIGIT(c) ((c) >= '0' && (c) <= '9')

u64 run_sm(u32 n, u32 size)
{
    u8 *text = heap;
    u64 counts[8] = {0}, value = 0, sum = 0;
    enum state state = START;
    (void)size;
    make_text(text);
    for (u32 pass = 0; pass < n; pass++) {
        for (int i = 0; i < TEXT_BYTES; i++) {
            u8 c = text[i];
            switch (state) {
            case START:
                if (IS_DIGIT(c)) {
                    state = DIGITS;
                    value = c - '0';
                } else if (c == '-' || c == '+') {
                    state = SIGN;
                } else if (c == '.') {
                    state = FRACTION;
                } else if (c != ' ') {
                    state = OTHER;
                }
                break;
            case DIGITS:
                if (IS_DIGIT(c)) {
                    value = value * 10 + (c - '0');
                } else if (c == '.') {
                    state = FRACTION;
                } else if (c == 'e') {
                    state = EXPONENT;
                } else {
                    counts[DIGITS] += value;
                    state = START;
                }
                break;
            case SIGN:
                if (IS_DIGIT(c)) {
                    state = DIGITS;
                    value = -(u64)(c - '0');
                } else {
                    counts[SIGN]++;
                    state = START;
                }
                break;
            case FRACTION:
                if (IS_DIGIT(c)) {
                    value += c;
                } else if (c == 'e') {
                    state = EXPONENT;
                } else {
                    counts[FRACTION] ^= value;
                    state = START;
                }
                break;
            case EXPONENT:
                if (c == '-' || c == '+') {
                    state = EXPONENT_SIGN;
                } else if (IS_DIGIT(c)) {
                    state = EXPONENT_DIGITS;
                } else {
                    counts[EXPONENT]++;
                    state = START;
                }
                break;
            case EXPONENT_SIGN:
                if (IS_DIGIT(c)) {
                    state = EXPONENT_DIGITS;
                } else {
                    counts[EXPONENT_SIGN]++;
                    state = START;
                }
                break;
            case EXPONENT_DIGITS:
                if (IS_DIGIT(c)) {
                    value = value << 1 ^ c;
                } else {
                    counts[EXPONENT_DIGITS] += value & 0xffff;
                    state = START;
                }
                break;
            case OTHER:
                if (c == ',' || c == ' ')
                    state = START;
                counts[OTHER]++;
                break;
            }
        }
        text[pass % TEXT_BYTES] ^= pass & 1;
    }
    for (int i = 0; i < 8; i++)
        sum = sum * 31 + counts[i];
    return sum;
}
