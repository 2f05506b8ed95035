import { describe, it, expect } from 'vitest';
import { skipIdle, clockNow } from '../../src/cpu/clock';
import { platform } from '../../src/cpu/platform';
import { physRead32, physRead8, physWrite32, physWrite8 } from '../../src/cpu/mmu/physical';
import { ACTIVITY, R, SIGNALS, SIG_INIT, SIG_INTR, SIG_SIPI, SIPI_VECTOR, VCPU } from '../../src/cpu/state';
import { saveVcpus, switchVcpu, vcpuWords } from '../../src/cpu/vcpus';
import { createMachine, type Machine, type MachineOptions, type MachineState } from '../../src/machine/machine';
import { advance } from '../devices/bench';

const LAPIC = 0xfee00000, IOAPIC = 0xfec00000;

interface Bench {
  machine: Machine;
  events: string[];
}

function bench(options: Partial<MachineOptions> = {}): Bench {
  const events: string[] = [];
  const machine = createMachine({ memoryMb: 16, ...options }, {
    serialOutput: (index, byte) => events.push(`serial${index}:${String.fromCharCode(byte)}`),
    debugText: (byte) => events.push(`text:${String.fromCharCode(byte)}`),
    debugExit: (value) => events.push(`exit:${value}`),
    poweredOff: (reason) => events.push(`off:${reason}`),
    log: (text) => events.push(`log:${text}`),
  });
  return { machine, events };
}

function out(port: number, value: number, size = 1): void {
  platform.writePort(port, size, value);
}

function initPics(): void {
  for (const [port, value] of [[0x20, 0x11], [0x21, 0x30], [0x21, 4], [0x21, 1], [0xa0, 0x11], [0xa1, 0x38], [0xa1, 2], [0xa1, 1]]) out(port, value);
}

function ioapic(register: number, value: number): void {
  physWrite32(IOAPIC, register);
  physWrite32(IOAPIC + 0x10, value);
}

const intr = (): boolean => (R[SIGNALS] & SIG_INTR) !== 0;

describe('machine', () => {
  it('delivers the 8254 through the 8259 in virtual-wire mode', () => {
    const { machine } = bench();
    initPics();
    out(0x43, 0x34);
    out(0x40, 0);
    out(0x40, 0x10);
    expect(intr()).toBe(false);
    advance(machine.clock, 4_000_000);
    expect(intr()).toBe(true);
    expect(platform.acknowledgeInterrupt()).toBe(0x30);
    expect(intr()).toBe(false);
  });

  it('delivers the 8254 through IOAPIC pin 2, as Linux wires it', () => {
    const { machine } = bench();
    initPics();
    out(0x21, 0xff);
    physWrite32(LAPIC + 0x350, 0x10700);
    ioapic(0x14, 0x30);
    out(0x43, 0x34);
    out(0x40, 0);
    out(0x40, 0x10);
    advance(machine.clock, 4_000_000);
    expect(platform.acknowledgeInterrupt()).toBe(0x30);
    physWrite32(LAPIC + 0xb0, 0);
    expect(intr()).toBe(false);
  });

  it('moves the local APIC page', () => {
    bench();
    expect(physRead32(LAPIC + 0x30)).toBe(0x50014);
    platform.apicBaseWritten(0xe0000900 | 0, 0);
    expect(physRead32(LAPIC + 0x30)).toBe(-1);
    expect(physRead32(0xe0000030)).toBe(0x50014);
    platform.apicBaseWritten(0xfee00100 | 0, 0);
    expect(physRead32(0xe0000030)).toBe(-1);
    expect(physRead32(LAPIC + 0x30)).toBe(-1);
  });

  it('starts a second processor by INIT and SIPI', () => {
    bench({ vcpus: 2 });
    expect(R[ACTIVITY]).toBe(0);
    expect(vcpuWords(1)[ACTIVITY]).toBe(3);
    physWrite32(LAPIC + 0x310, 1 << 24);
    physWrite32(LAPIC + 0x300, 0x4500);
    physWrite32(LAPIC + 0x300, 0x4699);
    expect(R[SIGNALS] & (SIG_INIT | SIG_SIPI)).toBe(0);
    switchVcpu(1);
    expect(R[VCPU]).toBe(1);
    expect(R[SIGNALS] & (SIG_INIT | SIG_SIPI)).toBe(SIG_INIT | SIG_SIPI);
    expect(R[SIPI_VECTOR]).toBe(0x99);
    expect(physRead32(LAPIC + 0x20)).toBe(1 << 24);
    switchVcpu(0);
    expect(physRead32(LAPIC + 0x20)).toBe(0);
    const saved = saveVcpus();
    expect([saved.running, saved.states.length]).toEqual([0, 2]);
  });

  it('lays out memory with holes', () => {
    const { machine } = bench();
    physWrite8(0x9ffff, 0x11);
    physWrite8(0xa0000, 0x22);
    physWrite8(0xf0000, 0x33);
    physWrite8(16 * 1024 * 1024, 0x44);
    expect([physRead8(0x9ffff), physRead8(0xa0000), physRead8(0xf0000), physRead8(16 * 1024 * 1024)]).toEqual([0x11, 0xff, 0x33, 0xff]);
    let end = 0;
    for (const { start, length } of machine.e820) {
      expect(start).toBeGreaterThanOrEqual(end);
      expect(length).toBeGreaterThan(0);
      end = start + length;
    }
    // 15 MiB of extended memory in CMOS.
    out(0x70, 0x30);
    const low = platform.readPort(0x71, 1);
    out(0x70, 0x31);
    expect(low | (platform.readPort(0x71, 1) << 8)).toBe(15 * 1024);
  });

  it('talks to the outside and stops when told to', () => {
    const { machine, events } = bench();
    out(0x3f8, 0x48);
    out(0x2e8, 0x49);
    out(0xe9, 0x4a);
    expect(platform.readPort(0x402, 1)).toBe(0xe9);
    out(0xf4, 0xdeadbeef | 0, 4);
    expect(machine.stopped).toBe(true);
    expect(events).toEqual(['serial0:H', 'serial3:I', 'text:J', 'exit:3735928559']);
    const second = bench();
    out(0xb004, 0x2001, 2);
    expect(second.events).toEqual(['off:power-off']);
  });

  it('resets at the next boundary by every road, and loads again', () => {
    const { machine, events } = bench();
    let loads = 0;
    machine.loader = () => loads++;
    for (const reset of [() => out(0x64, 0xfe), () => out(0xcf9, 6), () => out(0x92, 1)]) {
      initPics();
      reset();
      const before = loads;
      skipIdle(clockNow() + 1);
      machine.runDue(clockNow());
      expect(loads).toBe(before + 1);
      expect(machine.pic.save().master.mask).toBe(0xff);
    }
    expect(events).toEqual(['log:reset by keyboard controller', 'log:reset by port CF9h', 'log:reset by port 92h']);
    platform.shutdown('triple fault');
    expect(machine.reason).toBe('crash');
  });

  it('stops instead of resetting when asked to', () => {
    const { machine, events } = bench({ onReboot: 'stop' });
    out(0x64, 0xfe);
    expect(machine.stopped).toBe(true);
    expect(events.at(-1)).toBe('off:reset');
  });

  it('works without APICs, HPET and ACPI', () => {
    const { machine } = bench({ apic: false, hpet: false, acpi: false });
    expect(physRead32(LAPIC + 0x30)).toBe(-1);
    expect(physRead32(IOAPIC)).toBe(-1);
    expect(physRead32(0xfed00000)).toBe(-1);
    expect(platform.readPort(0xb008, 4)).toBe(-1);
    initPics();
    machine.serialInput(0, [0x41]);
    out(0x3fc, 8);
    out(0x3f9, 1);
    expect(intr()).toBe(true);
    expect(platform.acknowledgeInterrupt()).toBe(0x34);
    expect(platform.readPort(0x3f8, 1)).toBe(0x41);
  });

  it('hands IRQ 0 to the HPET and back', () => {
    const { machine } = bench();
    initPics();
    out(0x21, 0xfe);
    out(0x43, 0x34);
    out(0x40, 0);
    out(0x40, 0x10);
    physWrite32(0xfed00010, 3);
    advance(machine.clock, 10_000_000);
    expect(intr()).toBe(false);
    physWrite32(0xfed00100, 0x104);
    physWrite32(0xfed00108, physRead32(0xfed000f0) + 1000);
    advance(machine.clock, 100_000);
    expect(intr()).toBe(true);
    platform.acknowledgeInterrupt();
    out(0x20, 0x20);
    physWrite32(0xfed00010, 1);
    advance(machine.clock, 4_000_000);
    expect(intr()).toBe(true);
  });

  it('routes PCI interrupts as level-triggered ISA interrupts', () => {
    const { machine } = bench();
    initPics();
    const line = machine.irq.pciLine(3, 1); // slot 3 INTA# = PIRQC
    line(true);
    expect(platform.acknowledgeInterrupt()).toBe(0x3b);
    out(0xa0, 0x20);
    out(0x20, 0x20);
    expect(intr()).toBe(true);
    line(false);
    expect(intr()).toBe(false);
  });

  it('saves and restores all devices', () => {
    const { machine } = bench();
    initPics();
    out(0x43, 0x34);
    out(0x40, 0);
    out(0x40, 0x10);
    physWrite32(LAPIC + 0x320, 0x200ec);
    physWrite32(LAPIC + 0x380, 1_000_000);
    physWrite32(0xfed00010, 1);
    machine.serialInput(1, [1, 2, 3]);
    advance(machine.clock, 12_345_678);
    const saved = JSON.stringify(machine.save());
    advance(machine.clock, 30_000_000);
    const later = JSON.stringify(machine.save());
    const { machine: other } = bench();
    other.restore(JSON.parse(saved) as MachineState);
    expect(JSON.stringify(other.save())).toBe(saved);
    advance(other.clock, 30_000_000);
    expect(JSON.stringify(other.save())).toBe(later);
  });
});
