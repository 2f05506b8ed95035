/* Messages to the user, on standard error: standard output is the guest's serial port. */
#include "vmm.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void message(const char *format, va_list arguments)
{
    fputs("minivmm: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    message(format, arguments);
    va_end(arguments);
    exit(EXIT_HOST_ERROR);
}

void fail_errno(const char *what)
{
    fail("%s: %s", what, strerror(errno));
}

void note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    message(format, arguments);
    va_end(arguments);
}
