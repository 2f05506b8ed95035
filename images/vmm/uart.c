/*
 * The guest's COM1 and COM2: a 16550A each (National Semiconductor PC16550D), on IRQ 4 and IRQ 3, with file descriptors
 * behind them: standard input and output for COM1. COM2 is there if it was given some.
 *
 * Sending takes no time, so the transmitter is always empty; what the guest sends is collected and written in one go
 * when a line is complete, when the guest looks at something else than "may I send", or after a few milliseconds.
 * The receive FIFO holds 16 bytes; more input stays with L1 until the guest has read these.
 * Left out: baud rate, parity and line errors; FIFO trigger levels (any byte raises the interrupt); modem signals,
 * which always say that someone is there.
 */
#define _GNU_SOURCE
#include "vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define FIFO_SIZE 16
#define FLUSH_AFTER_MICROSECONDS 2000

enum { DATA, INTERRUPT_ENABLE, INTERRUPT_ID, LINE_CONTROL, MODEM_CONTROL, LINE_STATUS, MODEM_STATUS, SCRATCH };

enum {
    IER_RECEIVED = 1 << 0,
    IER_TRANSMIT_EMPTY = 1 << 1,
    IER_MASK = 0x0f,
    IIR_NONE = 1,
    IIR_TRANSMIT_EMPTY = 2,
    IIR_RECEIVED = 4,
    IIR_FIFOS = 0xc0,
    FCR_ENABLE = 1 << 0,
    FCR_CLEAR_RECEIVER = 1 << 1,
    LCR_DIVISOR_LATCH = 1 << 7,
    MCR_INTERRUPT = 1 << 3, /* OUT2: on a PC it connects the interrupt line */
    MCR_LOOPBACK = 1 << 4,
    MCR_MASK = 0x1f,
    LSR_RECEIVED = 1 << 0,
    LSR_TRANSMITTER_EMPTY = 0x60, /* holding and shift register */
    MSR_CONNECTED = 0xb0,         /* CTS, DSR, DCD */
};

struct uart {
    unsigned irq;
    int input_descriptor, output_descriptor;
    uint8_t interrupt_enable, line_control, modem_control, scratch;
    uint8_t divisor[2];
    bool fifos;
    bool transmit_empty_pending; /* the "transmitter empty" interrupt: reading its identification takes it back */
    uint8_t fifo[FIFO_SIZE];
    unsigned fifo_first, fifo_count;
    bool line;
    uint8_t output[512];
    size_t output_size;
    bool status_was_read; /* the previous access read the line status */
    bool input_ended;
};

static struct uart uarts[UARTS] = {
    { .irq = 4, .input_descriptor = STDIN_FILENO, .output_descriptor = STDOUT_FILENO, .divisor = { 1, 0 } },
    { .irq = 3, .input_descriptor = -1, .output_descriptor = -1, .divisor = { 1, 0 } },
};

static void on_signal(int number)
{
    (void)number;
    kvm_interrupt_run();
}

void uart_connect(unsigned port, int descriptor)
{
    uarts[port].input_descriptor = uarts[port].output_descriptor = descriptor;
}

bool uart_exists(unsigned port)
{
    return uarts[port].output_descriptor >= 0;
}

/* Input arriving and the flush timer are signals, which end KVM_RUN. */
void uart_start(void)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    sigaction(SIGIO, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    for (unsigned port = 0; port < UARTS; port++) {
        int input = uarts[port].input_descriptor;
        if (input < 0)
            continue;
        fcntl(input, F_SETOWN, getpid());
        fcntl(input, F_SETFL, fcntl(input, F_GETFL) | O_ASYNC);
    }
    uart_service(); /* what came before the signal was set up */
}

static uint8_t interrupt_id(const struct uart *uart)
{
    if ((uart->interrupt_enable & IER_RECEIVED) && uart->fifo_count > 0)
        return IIR_RECEIVED;
    if ((uart->interrupt_enable & IER_TRANSMIT_EMPTY) && uart->transmit_empty_pending)
        return IIR_TRANSMIT_EMPTY;
    return IIR_NONE;
}

static void update_line(struct uart *uart)
{
    bool level = interrupt_id(uart) != IIR_NONE && (uart->modem_control & (MCR_INTERRUPT | MCR_LOOPBACK)) == MCR_INTERRUPT;
    if (level != uart->line)
        kvm_set_irq(uart->irq, uart->line = level);
}

static void set_flush_timer(long microseconds)
{
    struct itimerval timer = { .it_value = { .tv_usec = microseconds } };
    setitimer(ITIMER_REAL, &timer, NULL);
}

static bool output_waits(void)
{
    for (unsigned port = 0; port < UARTS; port++)
        if (uarts[port].output_size > 0)
            return true;
    return false;
}

static void flush(struct uart *uart)
{
    if (uart->output_size == 0)
        return;
    for (size_t written = 0; written < uart->output_size;) {
        ssize_t count = write(uart->output_descriptor, uart->output + written, uart->output_size - written);
        if (count > 0)
            written += (size_t)count;
        else if (errno == EAGAIN)
            poll(&(struct pollfd){ .fd = uart->output_descriptor, .events = POLLOUT }, 1, -1);
        else if (errno != EINTR)
            break; /* nobody reads any more */
    }
    uart->output_size = 0;
    if (!output_waits())
        set_flush_timer(0);
}

void uart_flush(void)
{
    for (unsigned port = 0; port < UARTS; port++)
        flush(&uarts[port]);
}

static void push_received(struct uart *uart, uint8_t byte)
{
    if (uart->fifo_count < FIFO_SIZE)
        uart->fifo[(uart->fifo_first + uart->fifo_count++) % FIFO_SIZE] = byte;
}

/* Takes as much waiting input as the FIFO has room for. */
static void take_input(struct uart *uart)
{
    while (uart->input_descriptor >= 0 && !uart->input_ended && uart->fifo_count < FIFO_SIZE) {
        struct pollfd input = { .fd = uart->input_descriptor, .events = POLLIN };
        if (poll(&input, 1, 0) <= 0)
            return;
        uint8_t bytes[FIFO_SIZE];
        ssize_t count = read(uart->input_descriptor, bytes, FIFO_SIZE - uart->fifo_count);
        if (count < 0 && (errno == EINTR || errno == EAGAIN))
            return;
        if (count <= 0)
            uart->input_ended = true;
        for (ssize_t i = 0; i < count; i++)
            push_received(uart, bytes[i]);
    }
}

void uart_service(void)
{
    uart_flush();
    for (unsigned port = 0; port < UARTS; port++) {
        take_input(&uarts[port]);
        update_line(&uarts[port]);
    }
}

static void send(struct uart *uart, uint8_t byte)
{
    if (uart->modem_control & MCR_LOOPBACK) {
        push_received(uart, byte);
    } else {
        if (uart->output_size == 0)
            set_flush_timer(FLUSH_AFTER_MICROSECONDS);
        uart->output[uart->output_size++] = byte;
        if (byte == '\n' || uart->output_size == sizeof uart->output)
            flush(uart);
    }
    uart->transmit_empty_pending = true;
}

void uart_write(unsigned port, unsigned offset, uint8_t value)
{
    struct uart *uart = &uarts[port];
    bool latch = uart->line_control & LCR_DIVISOR_LATCH;
    uart->status_was_read = false;
    if (offset != DATA)
        flush(uart);
    switch (offset) {
    case DATA:
        if (latch)
            uart->divisor[0] = value;
        else
            send(uart, value);
        break;
    case INTERRUPT_ENABLE:
        if (latch) {
            uart->divisor[1] = value;
        } else {
            /* Enabling the interrupt while the transmitter is empty raises it. */
            if ((value & IER_TRANSMIT_EMPTY) && !(uart->interrupt_enable & IER_TRANSMIT_EMPTY))
                uart->transmit_empty_pending = true;
            uart->interrupt_enable = value & IER_MASK;
        }
        break;
    case INTERRUPT_ID: /* written: FIFO control */
        uart->fifos = value & FCR_ENABLE;
        if (value & FCR_CLEAR_RECEIVER)
            uart->fifo_count = 0;
        break;
    case LINE_CONTROL: uart->line_control = value; break;
    case MODEM_CONTROL: uart->modem_control = value & MCR_MASK; break;
    case SCRATCH: uart->scratch = value; break;
    default: break; /* the status registers are read-only */
    }
    update_line(uart);
}

static uint8_t modem_status(const struct uart *uart)
{
    uint8_t control = uart->modem_control;
    if (!(control & MCR_LOOPBACK))
        return MSR_CONNECTED;
    /* Looped back: RTS, DTR, OUT1, OUT2 appear as CTS, DSR, RI, DCD. */
    return (uint8_t)((control & 2) << 3 | (control & 1) << 5 | (control & 4) << 4 | (control & 8) << 4);
}

static uint8_t read_register(struct uart *uart, unsigned offset)
{
    bool latch = uart->line_control & LCR_DIVISOR_LATCH;
    uint8_t value;
    switch (offset) {
    case DATA:
        if (latch)
            return uart->divisor[0];
        if (uart->fifo_count == 0)
            return 0;
        value = uart->fifo[uart->fifo_first];
        uart->fifo_first = (uart->fifo_first + 1) % FIFO_SIZE;
        if (--uart->fifo_count == 0)
            take_input(uart);
        return value;
    case INTERRUPT_ENABLE: return latch ? uart->divisor[1] : uart->interrupt_enable;
    case INTERRUPT_ID:
        value = interrupt_id(uart);
        if (value == IIR_TRANSMIT_EMPTY)
            uart->transmit_empty_pending = false;
        return value | (uart->fifos ? IIR_FIFOS : 0);
    case LINE_CONTROL: return uart->line_control;
    case MODEM_CONTROL: return uart->modem_control;
    case LINE_STATUS: return LSR_TRANSMITTER_EMPTY | (uart->fifo_count > 0 ? LSR_RECEIVED : 0);
    case MODEM_STATUS: return modem_status(uart);
    default: return uart->scratch;
    }
}

uint8_t uart_read(unsigned port, unsigned offset)
{
    struct uart *uart = &uarts[port];
    /* One look at the line status belongs to sending the next byte; anything else means that the guest has paused. */
    if (offset != LINE_STATUS || uart->status_was_read)
        flush(uart);
    uart->status_was_read = offset == LINE_STATUS;
    uint8_t value = read_register(uart, offset);
    update_line(uart);
    return value;
}
