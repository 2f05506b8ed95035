import '../support/bare-cpu';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resetClock } from '../../src/cpu/clock';
import { physWrite16, physWrite32, physWrite64, physWriteBytes, setUpRam } from '../../src/cpu/mmu/physical';
import { AR_DB, CS, R, RAX, RCX, RDI, RIP, SEG_AR } from '../../src/cpu/state';
import { Screen } from '../../src/devices/vga/screen';
import { screenLines, textScreen } from '../../src/devices/vga/text-screen';
import type { Vga } from '../../src/devices/vga/vga';
import { entryObserver, exitObserver, ioObserver } from '../../src/observe/exit-log';
import { GuestMachines } from '../../src/observe/guest-machines';
import { GuestScreens } from '../../src/observe/guest-screens';
import { noteEntry, noteExit, resetGuests } from '../../src/observe/guests';
import { EXIT_REASON_EPT_MISCONFIG, EXIT_REASON_IO } from '../../src/vmx/exit-reasons';
import { GUEST_PHYSICAL_ADDRESS, REGION_GUEST, REGION_LAUNCHED } from '../../src/vmx/fields';
import { GUEST_ID } from '../../src/vmx/state';
import { V } from '../../src/vmx/vmcs';

const VMCS = 0x80000, EPT = 0x10000, EPTP = EPT | 0x1e;
/** The guest's pages in this machine's memory. */
const TEXT_PAGE = 0x20000, FRAME_PAGE = 0x40000;
const FRAME_BUFFER = 0xfd000000;
let machines: GuestMachines, screens: GuestScreens, mark = 0;

function enter(): void {
  mark = noteEntry(VMCS, EPTP, mark);
  physWrite32(VMCS + 4 * REGION_LAUNCHED, 1);
  physWrite32(VMCS + 4 * REGION_GUEST, mark);
  entryObserver?.();
}

function out(port: number, value: number, size: number): void {
  enter();
  ioObserver?.(R[GUEST_ID], port, size, false, value, false, false);
  noteExit(EXIT_REASON_IO);
}

/** An IN whose value the hypervisor provides. */
function input(port: number, value: number): void {
  enter();
  ioObserver?.(R[GUEST_ID], port, 4, true, 0, false, false);
  noteExit(EXIT_REASON_IO);
  R[RAX] = value;
}

/** An instruction that leaves because nothing is mapped at `guestPhysical`. */
function touch(guestPhysical: number, ...code: number[]): void {
  enter();
  physWriteBytes(0x1000, Uint8Array.from(code));
  R[RIP] = 0x1000;
  V[GUEST_PHYSICAL_ADDRESS] = guestPhysical;
  V[GUEST_PHYSICAL_ADDRESS + 1] = 0;
  exitObserver?.(EXIT_REASON_EPT_MISCONFIG, 0, R[RIP], 0);
  noteExit(EXIT_REASON_EPT_MISCONFIG);
}

/** Maps one guest-physical page. */
function map(guestPhysical: number, hostPhysical: number, table: number): void {
  const gib = Math.floor(guestPhysical / 0x40000000), mib2 = (guestPhysical >>> 21) & 511, page = (guestPhysical >>> 12) & 511;
  physWrite64(EPT, (EPT + 0x1000) | 7, 0);
  physWrite64(EPT + 0x1000 + 8 * gib, table | 7, 0);
  physWrite64(table + 8 * mib2, (table + 0x1000) | 7, 0);
  physWrite64(table + 0x1000 + 8 * page, hostPhysical | 0x37, 0);
}

function vga(): Vga | null {
  const [machine] = machines.all();
  return screens.of(machine);
}

describe('screens of guests', () => {
  beforeEach(() => {
    setUpRam(1 << 20, 0xc0000000);
    R.fill(0);
    R[SEG_AR + CS] = AR_DB;
    mark = 0;
    resetClock();
    resetGuests();
    machines = new GuestMachines();
    screens = new GuestScreens(machines);
    screens.attach();
    enter();
  });

  afterEach(() => {
    screens.detach();
    expect([ioObserver, exitObserver, entryObserver]).toEqual([null, null, null]);
  });

  it('there is none before the guest uses one', () => {
    expect(vga()).toBeNull();
    out(0x80, 1, 1);
    expect(vga()).toBeNull();
  });

  it('follows ports and accesses that exit', () => {
    R[RAX] = 0x1741;
    R[RDI] = 0xb80a0;
    R[RCX] = 3;
    touch(0xb80a0, 0xf3, 0x66, 0xab); // rep stosw
    out(0x3d4, 0x510f, 2);
    expect(screenLines(textScreen(vga()!)!)[1]).toBe('AAA');
    expect(textScreen(vga()!)!.cursor).toBe(0x51);
  });

  it('reads text memory that the hypervisor mapped', () => {
    map(0xb8000, TEXT_PAGE, EPT + 0x2000);
    expect(vga()).toBeNull();
    [...'hello'].forEach((character, n) => physWrite16(TEXT_PAGE + 2 * n, character.charCodeAt(0) | 0x700));
    expect(screenLines(textScreen(vga()!)!)[0]).toBe('hello');
    physWrite16(TEXT_PAGE, 0x7000 + 0x4a);
    expect(screenLines(textScreen(vga()!)!)[0]).toBe('Jello');
  });

  it('finds the frame buffer by the guest’s accesses to configuration space, and reads it through EPT', () => {
    out(0xcf8, 0x80001000 | 0, 4);
    input(0xcfc, 0x11111234);
    out(0xcf8, 0x80001010 | 0, 4);
    out(0xcfc, -1, 4);
    input(0xcfc, 0xff000008 | 0);
    out(0xcfc, FRAME_BUFFER | 0, 4);
    // Another device's range is none of ours.
    out(0xcf8, 0x80001810 | 0, 4);
    out(0xcfc, 0xfe000000 | 0, 4);
    for (const [index, value] of [[1, 640], [2, 480], [3, 32], [4, 0x41]]) {
      out(0x1ce, index, 2);
      out(0x1cf, value, 2);
    }
    map(FRAME_BUFFER + 0x1000, FRAME_PAGE, EPT + 0x2000);
    physWrite32(FRAME_PAGE + 4, 0x00123456);
    const seen = vga()!;
    const screen = new Screen(seen);
    screen.update({ cursor: true, text: true });
    expect([screen.width, screen.height]).toEqual([640, 480]);
    expect(screen.pixels[1025]).toBe(0xff563412 | 0);
    // What changes later is seen as well.
    physWrite32(FRAME_PAGE + 8, 0xff);
    vga();
    const change = screen.update({ cursor: true, text: true })!;
    expect([change.top, change.bottom]).toEqual([1, 4]);
    expect(screen.pixels[1026]).toBe(0xffff0000 | 0);
  });
});
