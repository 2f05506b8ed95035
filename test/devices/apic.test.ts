import { describe, it, expect } from 'vitest';
import { SIG_INIT, SIG_NMI, SIG_SIPI } from '../../src/cpu/state';
import { ApicBus } from '../../src/devices/apic-bus';
import { IoApic } from '../../src/devices/ioapic';
import { Lapic } from '../../src/devices/lapic';
import { advance, newClock } from './bench';
import type { Clock } from '../../src/machine/clock';

interface Bench {
  clock: Clock;
  bus: ApicBus;
  lapics: Lapic[];
  io: IoApic;
  intr: boolean[];
  signals: [vcpu: number, bits: number, vector: number][];
}

function bench(vcpus = 1): Bench {
  const clock = newClock();
  const intr: boolean[] = [];
  const signals: Bench['signals'] = [];
  const bus = new ApicBus({
    setIntr: (vcpu, level) => (intr[vcpu] = level),
    signal: (vcpu, bits, vector) => signals.push([vcpu, bits, vector]),
    acknowledge8259: () => 0x77,
  });
  const lapics = Array.from({ length: vcpus }, (_, vcpu) => new Lapic(vcpu, clock, bus));
  const io = new IoApic(bus);
  for (const lapic of lapics) write(lapic, 0xf0, 0x1ff);
  return { clock, bus, lapics, io, intr, signals };
}

function write(lapic: Lapic, offset: number, value: number): void {
  lapic.writeMemory(offset, 4, value);
}

function read(lapic: Lapic, offset: number): number {
  return lapic.readMemory(offset, 4);
}

function ioWrite(io: IoApic, register: number, value: number): void {
  io.write(0, 4, register);
  io.write(0x10, 4, value);
}

function ioRead(io: IoApic, register: number): number {
  io.write(0, 4, register);
  return io.read(0x10, 4);
}

describe('local APIC', () => {
  it('has the reset values of the SDM', () => {
    const { lapics: [lapic] } = bench();
    lapic.reset();
    expect(read(lapic, 0x30)).toBe(0x50014);
    expect(read(lapic, 0xf0)).toBe(0xff);
    expect(read(lapic, 0xe0)).toBe(-1);
    for (const lvt of [0x320, 0x330, 0x340, 0x350, 0x360, 0x370]) expect(read(lapic, lvt)).toBe(0x10000);
    // Disabled by software: masks cannot be cleared.
    write(lapic, 0x350, 0x700);
    expect(read(lapic, 0x350)).toBe(0x10700);
  });

  it('delivers by priority class, nests and ends', () => {
    const { lapics: [lapic], intr } = bench();
    lapic.accept(0x41, false);
    lapic.accept(0x52, false);
    expect(lapic.acknowledge()).toBe(0x52);
    expect(read(lapic, 0xa0)).toBe(0x50);
    expect(intr[0]).toBe(false);
    lapic.accept(0x5f, false); // same class waits
    expect(intr[0]).toBe(false);
    lapic.accept(0x60, false);
    expect(intr[0]).toBe(true);
    expect(lapic.acknowledge()).toBe(0x60);
    write(lapic, 0xb0, 0);
    write(lapic, 0xb0, 0);
    expect(lapic.acknowledge()).toBe(0x5f);
    write(lapic, 0xb0, 0);
    expect(lapic.acknowledge()).toBe(0x41);
    write(lapic, 0xb0, 0);
    expect(lapic.acknowledge()).toBe(0xff); // spurious
  });

  it('honours TPR and CR8', () => {
    const { lapics: [lapic], intr } = bench();
    lapic.cr8 = 5;
    expect(read(lapic, 0x80)).toBe(0x50);
    lapic.accept(0x51, false);
    expect(intr[0]).toBe(false);
    lapic.cr8 = 4;
    expect(intr[0]).toBe(true);
  });

  it('runs a one-shot timer through its divider', () => {
    const { lapics: [lapic], intr, clock } = bench();
    write(lapic, 0x320, 0xec);
    write(lapic, 0x3e0, 3); // divide by 16
    write(lapic, 0x380, 1000);
    advance(clock, 8000);
    expect(read(lapic, 0x390)).toBe(500);
    expect(intr[0]).toBe(false);
    advance(clock, 8000);
    expect(intr[0]).toBe(true);
    expect(read(lapic, 0x390)).toBe(0);
    expect(lapic.acknowledge()).toBe(0xec);
    write(lapic, 0xb0, 0);
    advance(clock, 100_000);
    expect(intr[0]).toBe(false);
  });

  it('runs a periodic timer without drift', () => {
    const { lapics: [lapic], intr, clock } = bench();
    write(lapic, 0x3e0, 0xb); // divide by 1
    write(lapic, 0x320, 0x200ec);
    write(lapic, 0x380, 4_000_000);
    let ticks = 0;
    for (let i = 0; i < 10_000; i++) {
      advance(clock, 100_003);
      if (!intr[0]) continue;
      ticks++;
      lapic.acknowledge();
      write(lapic, 0xb0, 0);
    }
    expect(ticks).toBe(Math.floor((10_000 * 100_003) / 4_000_000));
    write(lapic, 0x380, 0);
    expect(clock.nextDeadline()).toBe(Infinity);
  });

  it('keeps counting when the mode changes, but a count that ran out stays at zero', () => {
    const { clock, lapics: [lapic] } = bench();
    write(lapic, 0x3e0, 0xb);
    write(lapic, 0x320, 0x10030);
    write(lapic, 0x380, 1000);
    advance(clock, 700);
    expect(read(lapic, 0x390)).toBe(300);
    write(lapic, 0x320, 0x30030);
    expect(read(lapic, 0x390)).toBe(300);
    advance(clock, 400);
    expect(read(lapic, 0x390)).toBe(900);
    write(lapic, 0x320, 0x10030);
    expect(read(lapic, 0x390)).toBe(900);
    advance(clock, 900);
    expect(read(lapic, 0x390)).toBe(0);
    write(lapic, 0x320, 0x30030);
    advance(clock, 10);
    expect(read(lapic, 0x390)).toBe(0);
    expect(read(lapic, 0x380)).toBe(1000);
    write(lapic, 0x380, 1000);
    advance(clock, 1100);
    expect(read(lapic, 0x390)).toBe(900);
  });

  it('fires at the TSC deadline, once', () => {
    const { lapics: [lapic], intr, clock } = bench();
    const deadline = (): number[] => {
      const value = new Int32Array(2);
      lapic.readTscDeadline(value);
      return [...value];
    };
    lapic.writeTscDeadline(5000, 0, 0, 0); // not in deadline mode: ignored
    expect(deadline()).toEqual([0, 0]);
    write(lapic, 0x320, 0x400ec);
    lapic.writeTscDeadline(1_005_000, 1, 1_000_000, 1);
    expect(deadline()).toEqual([1_005_000, 1]);
    write(lapic, 0x380, 77);
    expect(read(lapic, 0x390)).toBe(0);
    expect(clock.nextDeadline()).toBe(5000);
    advance(clock, 5000);
    expect(intr[0]).toBe(true);
    expect(deadline()).toEqual([0, 0]);
    lapic.acknowledge();
    lapic.writeTscDeadline(1, 0, 1, 0); // in the past: at once
    clock.runDue(clock.now());
    write(lapic, 0xb0, 0);
    expect(intr[0]).toBe(true);
  });

  it('keeps the TSC deadline when the TSC is written, and compares 64 bits without sign', () => {
    const { lapics: [lapic], clock } = bench();
    write(lapic, 0x320, 0x400ec);
    lapic.writeTscDeadline(5000, 0, 0, 0);
    expect(clock.nextDeadline()).toBe(5000);
    advance(clock, 1000);
    lapic.tscWritten(4000, 0);
    expect(clock.nextDeadline()).toBe(2000);
    lapic.tscWritten(0, 0);
    expect(clock.nextDeadline()).toBe(6000);
    // The TSC has passed it: at once.
    lapic.tscWritten(0, -1);
    expect(clock.nextDeadline()).toBe(1000);
    clock.runDue(clock.now());
    lapic.writeTscDeadline(100, -1, -100, -2);
    expect(clock.nextDeadline()).toBe(1200);
    lapic.writeTscDeadline(0, 0, 0, 0);
    expect(clock.nextDeadline()).toBe(Infinity);
    // Disarmed, the TSC has no hold on it.
    lapic.tscWritten(7, 7);
    expect(clock.nextDeadline()).toBe(Infinity);
  });

  it('passes the 8259 through LINT0 in ExtINT mode, and when it is disabled', () => {
    const { lapics: [lapic], intr } = bench();
    lapic.setLint0(true);
    expect(intr[0]).toBe(false);
    write(lapic, 0x350, 0x700);
    expect(intr[0]).toBe(true);
    expect(lapic.acknowledge()).toBe(0x77);
    write(lapic, 0x350, 0x10700);
    expect(intr[0]).toBe(false);
    lapic.setBase(0xfee00100 | 0, 0);
    expect(intr[0]).toBe(true);
    expect(lapic.registerPage).toBe(-1);
    lapic.setBase(0xfed10900 | 0, 0);
    expect(lapic.registerPage).toBe(0xfed10000);
    expect(read(lapic, 0xf0)).toBe(0xff);
  });

  it('sends IPIs: INIT, SIPI, NMI, fixed, to one, to all, by logical address', () => {
    const { lapics, signals, intr } = bench(3);
    write(lapics[0], 0x310, 1 << 24);
    write(lapics[0], 0x300, 0xc500);
    write(lapics[0], 0x300, 0x8500); // level de-assert does nothing
    write(lapics[0], 0x300, 0x4699);
    expect(signals).toEqual([[1, SIG_INIT, 0], [1, SIG_SIPI, 0x99]]);
    signals.length = 0;
    write(lapics[1], 0x300, 0xc4400);
    expect(signals).toEqual([[0, SIG_NMI, 0], [2, SIG_NMI, 0]]);
    write(lapics[2], 0x300, 0x840f0); // all including self
    expect(intr).toEqual([true, true, true]);
    for (const lapic of lapics) {
      expect(lapic.acknowledge()).toBe(0xf0);
      write(lapic, 0xb0, 0);
    }
    write(lapics[0], 0xd0, 1 << 24);
    write(lapics[2], 0xd0, 4 << 24);
    write(lapics[1], 0x310, 5 << 24);
    write(lapics[1], 0x300, 0x0831);
    expect(intr).toEqual([true, false, true]);
  });

  it('matches cluster destinations', () => {
    const { lapics: [lapic] } = bench();
    write(lapic, 0xe0, 0x0fffffff);
    write(lapic, 0xd0, 0x24 << 24);
    expect(lapic.matches(0x26, true)).toBe(true);
    expect(lapic.matches(0x22, true)).toBe(false);
    expect(lapic.matches(0x14, true)).toBe(false);
    expect(lapic.matches(0xf4, true)).toBe(true);
  });

  it('gives lowest-priority messages to the least busy processor', () => {
    const { lapics, bus } = bench(2);
    lapics[0].cr8 = 8;
    bus.send(0xff, false, 1, 0x91, false);
    expect(lapics[1].acknowledge()).toBe(0x91);
    bus.send(0xff, false, 1, 0xa1, false);
    expect(lapics[0].acknowledge()).toBe(0xa1);
  });

  it('reports illegal vectors through ESR', () => {
    const { lapics: [lapic], intr } = bench();
    write(lapic, 0x370, 0xfe);
    write(lapic, 0x300, 0x40003);
    expect(read(lapic, 0x280)).toBe(0);
    write(lapic, 0x280, 0);
    expect(read(lapic, 0x280)).toBe(0x20);
    expect(intr[0]).toBe(true);
    expect(lapic.acknowledge()).toBe(0xfe);
  });

  it('offers the same registers as x2APIC MSRs once switched', () => {
    const { lapics, intr, signals } = bench(2);
    const value = new Int32Array(2);
    expect(lapics[1].readMsr(0x02, value)).toBe(false);
    for (const lapic of lapics) lapic.setBase(0xfee00c00 | 0, 0);
    expect(lapics[1].registerPage).toBe(-1);
    expect(lapics[1].readMsr(0x02, value)).toBe(true);
    expect(value[0]).toBe(1);
    lapics[1].readMsr(0x0d, value);
    expect(value[0]).toBe(2);
    expect(lapics[0].readMsr(0x0e, value)).toBe(false); // no DFR
    expect(lapics[0].writeMsr(0x0b, 1, 0)).toBe(false);
    expect(lapics[0].writeMsr(0x30, 0x4400, 1)).toBe(true);
    expect(signals).toEqual([[1, SIG_NMI, 0]]);
    expect(lapics[0].writeMsr(0x3f, 0x44, 0)).toBe(true);
    expect(intr[0]).toBe(true);
  });

  it('refuses reserved bits in x2APIC mode', () => {
    const { lapics: [lapic] } = bench();
    lapic.setBase(0xfee00c00 | 0, 0);
    for (const [register, bad] of [[0x08, 0x100], [0x0b, 1], [0x0f, 0x400], [0x28, 1], [0x30, 0x2000], [0x32, 0x100], [0x37, 0x700], [0x3e, 4], [0x3f, 0x100]]) {
      expect(lapic.writeMsr(register, bad, 0), register.toString(16)).toBe(false);
      expect(lapic.writeMsr(register, register === 0x30 ? 0x4031 : register === 0x3f ? 0x30 : 0, 0), register.toString(16)).toBe(true);
      if (register !== 0x30) expect(lapic.writeMsr(register, 0, 1), register.toString(16)).toBe(false);
    }
  });

  it('takes FFh for one processor among others in x2APIC mode, FFFFFFFFh for all', () => {
    const { lapics } = bench(2);
    const value = new Int32Array(2);
    for (const lapic of lapics) lapic.setBase(0xfee00c00 | 0, 0);
    lapics[0].writeMsr(0x30, 0x4031, 0xff);
    expect(lapics.map((lapic) => (lapic.readMsr(0x21, value), value[0]))).toEqual([0, 0]);
    lapics[0].writeMsr(0x30, 0x4031, -1);
    expect(lapics.map((lapic) => (lapic.readMsr(0x21, value), value[0]))).toEqual([0x20000, 0x20000]);
  });

  it('survives a save and restore', () => {
    const { lapics: [lapic], clock } = bench();
    write(lapic, 0x320, 0x200ec);
    write(lapic, 0x380, 1000);
    lapic.accept(0x33, true);
    lapic.acknowledge();
    advance(clock, 700);
    const copy = bench().lapics[0];
    copy.restore(JSON.parse(JSON.stringify(lapic.save())) as ReturnType<Lapic['save']>);
    expect(copy.save()).toEqual(lapic.save());
  });
});

describe('IOAPIC', () => {
  it('has 24 entries, masked after reset', () => {
    const { io } = bench();
    expect(ioRead(io, 1)).toBe(0x00170020);
    for (let pin = 0; pin < 24; pin++) expect(ioRead(io, 0x10 + 2 * pin)).toBe(0x10000);
    ioWrite(io, 0, 0x05000000);
    expect(ioRead(io, 0)).toBe(0x05000000);
  });

  it('sends edges once and loses those that come while masked', () => {
    const { io, lapics: [lapic], intr } = bench();
    io.setLine(4, true);
    ioWrite(io, 0x18, 0x24);
    expect(intr[0]).toBe(false);
    io.setLine(4, false);
    io.setLine(4, true);
    expect(lapic.acknowledge()).toBe(0x24);
    write(lapic, 0xb0, 0);
    expect(intr[0]).toBe(false);
  });

  it('holds level interrupts by remote IRR until EOI, and repeats them while the line is high', () => {
    const { io, lapics: [lapic], intr } = bench();
    ioWrite(io, 0x22, 0x8029);
    io.setLine(9, true);
    expect(ioRead(io, 0x22)).toBe(0xc029);
    expect(lapic.acknowledge()).toBe(0x29);
    expect(read(lapic, 0x190) & (1 << 9)).toBe(1 << 9); // TMR
    write(lapic, 0xb0, 0);
    expect(intr[0]).toBe(true); // still asserted: again
    expect(lapic.acknowledge()).toBe(0x29);
    io.setLine(9, false);
    write(lapic, 0xb0, 0);
    expect(intr[0]).toBe(false);
    expect(ioRead(io, 0x22)).toBe(0x8029);
  });

  it('delivers a level interrupt when it is unmasked with the line high', () => {
    const { io, intr } = bench();
    ioWrite(io, 0x22, 0x18029);
    io.setLine(9, true);
    expect(intr[0]).toBeFalsy();
    ioWrite(io, 0x22, 0x8029);
    expect(intr[0]).toBe(true);
  });

  it('clears remote IRR through the EOI register and by switching to edge', () => {
    const { io } = bench();
    ioWrite(io, 0x22, 0x8029);
    io.setLine(9, true);
    io.setLine(9, false);
    io.write(0x40, 4, 0x29);
    expect(ioRead(io, 0x22)).toBe(0x8029);
    io.setLine(9, true);
    ioWrite(io, 0x22, 0x10029);
    ioWrite(io, 0x22, 0x18029);
    expect(ioRead(io, 0x22)).toBe(0x18029);
  });

  it('passes the 8259 through an ExtINT entry', () => {
    const { io, lapics: [lapic], intr } = bench();
    ioWrite(io, 0x10, 0x700);
    io.setLine(0, true);
    expect(intr[0]).toBe(true);
    expect(lapic.acknowledge()).toBe(0x77);
    io.setLine(0, false);
    expect(intr[0]).toBe(false);
  });
});
