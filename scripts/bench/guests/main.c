/*
 * Runs the workloads that the command line names: tokens NAME[/SIZE]:N:ROUNDS. Before and after each round it says so on COM1
 * ("@b NAME ROUND", "@e NAME ROUND CHECKSUM"), where the host takes the time. At the end the machine is left through the
 * debug-exit port; where there is none it halts.
 */
#include "base.h"
#include "port.h"
#include "workloads.h"

static u32 parse_number(const char **text)
{
    u32 value = 0;
    while (**text >= '0' && **text <= '9')
        value = value * 10 + (*(*text)++ - '0');
    return value;
}

static const struct workload_entry *find_workload(const char *name, word length)
{
    for (const struct workload_entry *entry = workloads; entry->name; entry++) {
        word at = 0;
        while (at < length && entry->name[at] == name[at])
            at++;
        if (at == length && !entry->name[at])
            return entry;
    }
    return 0;
}

static void say(const char *mark, const char *token, word length, u32 round)
{
    char name[32];
    word at;
    for (at = 0; at < length && at < sizeof name - 1; at++)
        name[at] = token[at];
    name[at] = 0;
    print(mark);
    print(name);
    print(" ");
    print_number(round, 10);
}

static void run_token(const char *token)
{
    const char *at = token;
    while (*at && *at != ' ' && *at != ':' && *at != '/')
        at++;
    const struct workload_entry *entry = find_workload(token, at - token);
    if (!entry)
        return;
    u32 size = 0;
    if (*at == '/') {
        at++;
        size = parse_number(&at);
    }
    word length = at - token;
    if (*at++ != ':')
        return;
    u32 n = parse_number(&at), rounds = 1;
    if (*at == ':') {
        at++;
        rounds = parse_number(&at);
    }
    for (u32 round = 0; round < rounds; round++) {
        say("@b ", token, length, round);
        print("\n");
        seed_random();
        u64 checksum = entry->run(n, size);
        say("@e ", token, length, round);
        print(" ");
        print_number(checksum, 16);
        print("\n");
    }
}

void run_command_line(const char *text)
{
    prepare_console();
    print("\n@start\n");
    while (*text) {
        run_token(text);
        while (*text && *text != ' ')
            text++;
        while (*text == ' ')
            text++;
    }
    print("@done\n");
    out32(0xf4, 0);
    for (;;)
        __asm__ volatile("cli; hlt");
}
