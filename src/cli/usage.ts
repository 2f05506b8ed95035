/** The help text, exit codes, and the error for a command line that cannot be understood. */

export const EXIT_MATCHED = 0, EXIT_DIFFERENT = 1, EXIT_USAGE = 2, EXIT_LIMIT = 3, EXIT_CRASHED = 4, EXIT_STOPPED = 5, EXIT_DEBUG_VALUE = 6, EXIT_BREAKPOINT = 7;

export class UsageError extends Error {}

export const HELP = `nestbox: a PC with Intel VT-x, headless

Usage:
  nestbox run DEMO|CONFIG [options]           run a demo (a file of public/demos, by name)
                                              or an xl.cfg file
  nestbox run --kernel FILE [options]         load a kernel directly
  nestbox run --bios FILE [options]           start a ROM image at the reset vector
  nestbox matrix [options]                    boot every guest on every hypervisor that the
                                              images allow, and write the table
  nestbox --help | --version

Machine:
  --set KEY=VALUE        override a key of the configuration (docs/config.md); KEY+=VALUE
                         appends; repeatable. VALUE is a number, a list [...], or a string
  --kernel FILE          Linux bzImage, ELF with PVH entry, ELF Linux kernel, or multiboot 1
                         or 2 kernel; gzip is unpacked
  --append STRING        its command line
  --initrd FILE          Linux initrd; the first module for other kernels
  --module "FILE ARGS"   a module with its arguments; repeatable
  --bios FILE            ROM image that ends at 1 MiB and at 4 GiB
  --memory MB            RAM (default 512)
  --vcpus N              processors (default 1)
                         Without a configuration, VMX and EPT are offered; switch them off
                         with --set nestedhvm=0 and --set hap=0.

  --engine interpreter|jit|both
                         jit (default): hot code is compiled to JavaScript; interpreter:
                         nothing is. What guests see is the same to the instruction.
                         both: two machines, one with each, in lockstep; stops at the first
                         difference and tells the instruction that made it

Consoles:
  --serial N=stdio       connect COM1 (N=0) to COM4 (N=3) to this terminal; leave with
                         Ctrl-A x. Without any --serial, COM1 is
  --serial N=file:PATH   write what the port sends to a file
  --serial l2=file:PATH  write what L0 observes on the guests' first serial port; l3: on that
                         of guests of guests
  --send LEVEL:TEXT@REGEX
                         once the console of LEVEL (l1, l2, l3) shows REGEX, type TEXT there;
                         repeatable, done in the order given. In TEXT: \\n \\r \\t \\e \\\\ \\@ \\xHH.
                         l2 and l3 are typed through the ports that nestbox_l2_serial and
                         nestbox_l3_serial name
  --until LEVEL:REGEX    stop with exit code 0 once the console of LEVEL shows REGEX; with
                         --send, after the last text was typed, and in what came since
                         REGEX is a JavaScript regular expression, ^ and $ match at lines

  LEVEL may also be com2 to com4 (the machine's other serial ports), vga (the text on its screen, and its keyboard) or
  l2vga (its guest's screen as L0 sees it, and its keyboard through QEMU's monitor, the port that nestbox_l2_monitor
  names). --send INTO/LEVEL:TEXT@REGEX types into one console when another shows REGEX.

Limits:
  --max-instructions N   stop after N instructions (k, M and G are understood)
  --timeout SECONDS      stop after this much real time

Results:
  --stats FILE           JSON: instructions per level, exits by reason, MIPS, guest, wall and
                         processor time, debug-exit value, console sizes and hashes
  --screenshot [l2=]FILE PNG of the machine's screen (vga = "stdvga"), or of its guest's, at the end; repeatable
  --screen-text [l2=]FILE
                         the same as text, one line per row; empty in graphics modes
  --trace exits|instructions|io
                         one line per VM exit, instruction or port access, on standard error
  --exits                at the end, VM exits by reason: how many, and how many instructions the
                         hypervisor spent on one on average (of the last 32768)
  --break WHERE          stop with exit code 7 and print the processor's state: at a linear address
                         (0x1000, 0x1000@L2), exit or exit:REASON, port:NUMBER, msr:NUMBER; repeatable
  --dump-state FILE      JSON: registers, segments, control registers, x87, MMX and SSE state
                         at the end
  --dump-memory START:LEN
                         beside it, physical memory as FILE.START.bin; repeatable

Matrix (results are kept in public/matrix.json; a cell that is not run keeps its last one):
  --only L1[,L1...]      the cells of these hypervisors: builtin, kvm, kvm-qemu, xen-pvh,
                         xen-hvm, kvm-kvm; without EPT, the same with -hap0 behind the name
  --cell L1/L2           one cell; repeatable. L2 is builtin, linux-amd64, grub, ... (docs/matrix.md)
  --timeout SECONDS      real time for one boot (default 3600); retired instructions are limited, too
  --json FILE            where results are read from and written to
  --table FILE           where the table goes (default docs/matrix.md)
  --table-only           boot nothing, write the table
                         Exit code 1 if a cell that was to boot did not

Exit codes:
  0  the --until text appeared, or the guest wrote 0 to the debug-exit port F4h
  1  the engines differ (--engine both)
  2  wrong usage, configuration or file
  3  a limit was reached
  4  the guest crashed (triple fault); its state is printed
  5  the guest powered off, reset (on_reboot="destroy") or halted for good before the match
  6  the guest wrote another value to the debug-exit port
  7  a --break was met
`;
