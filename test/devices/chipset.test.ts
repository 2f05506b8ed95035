import { describe, it, expect } from 'vitest';
import { AcpiPm } from '../../src/devices/acpi-pm';
import { Dma8237 } from '../../src/devices/dma8237';
import { FwCfg } from '../../src/devices/fw-cfg';
import { addChipset } from '../../src/devices/i440fx';
import { PciBus } from '../../src/devices/pci';
import { PortSpace } from '../../src/machine/ports';
import { advance, Line, newClock } from './bench';

const PM = 0xb000;

describe('ACPI power management', () => {
  function bench() {
    const clock = newClock();
    const sci = new Line();
    let off = 0;
    const pm = new AcpiPm(clock, sci.drive, () => off++);
    return { clock, sci, pm, off: () => off };
  }

  it('counts at 3.579545 MHz in 24 bits', () => {
    const { clock, pm } = bench();
    advance(clock, clock.hz);
    expect(pm.read(PM + 8, 4)).toBe(3_579_545);
    advance(clock, clock.hz * 4);
    expect(pm.read(PM + 8, 4)).toBe((5 * 3_579_545) % 0x1000000);
    expect(pm.read(PM + 8, 2)).toBe((5 * 3_579_545) & 0xffff);
  });

  it('enters ACPI mode through SMI_CMD and raises SCI when the timer turns over', () => {
    const { clock, sci, pm } = bench();
    pm.write(0xb2, 1, 0xf1);
    expect(pm.read(PM + 4, 2)).toBe(1);
    pm.write(PM + 2, 2, 1);
    advance(clock, Math.floor((0x7ffffe / 3_579_545) * clock.hz));
    expect(sci.level).toBe(false);
    advance(clock, 2000);
    expect(sci.level).toBe(true);
    expect(pm.read(PM, 2)).toBe(1);
    pm.write(PM, 2, 1);
    expect(sci.level).toBe(false);
    pm.write(0xb2, 1, 0xf0);
    expect(pm.read(PM + 4, 2)).toBe(0);
  });

  it('reports the power button and turns off', () => {
    const { sci, pm, off } = bench();
    pm.write(0xb2, 1, 0xf1);
    pm.write(PM, 4, 0x0100ffff);
    expect(pm.read(PM + 2, 2)).toBe(0x100);
    pm.pressPowerButton();
    expect(sci.level).toBe(true);
    expect(pm.read(PM + 1, 1)).toBe(1);
    pm.write(PM + 1, 1, 1);
    expect(sci.level).toBe(false);
    pm.write(PM + 4, 2, 0x0001);
    pm.write(PM + 4, 2, 0x2401); // another sleep type
    expect(off()).toBe(0);
    pm.write(PM + 4, 2, 0x2001);
    expect(off()).toBe(1);
  });
});

describe('PCI', () => {
  function bench() {
    const ports = new PortSpace();
    const bus = new PciBus();
    const routes = [-2, -2, -2, -2];
    addChipset(bus, { routed: (pirq, irq) => (routes[pirq] = irq), memoryAttributes: () => undefined, powerManagement: () => undefined });
    bus.attach(ports);
    const config = (slot: number, number: number, offset: number): void => {
      ports.write(0xcf8, 4, 0x80000000 | (slot << 11) | (number << 8) | (offset & 0xfc));
    };
    return { ports, bus, routes, config };
  }

  it('answers the probe for configuration mechanism 1', () => {
    const { ports } = bench();
    ports.write(0xcfb, 1, 1);
    const saved = ports.read(0xcf8, 4);
    ports.write(0xcf8, 4, 0x80000000 | 0);
    expect(ports.read(0xcf8, 4)).toBe(0x80000000 | 0);
    ports.write(0xcf8, 4, saved);
    expect(ports.read(0xcf8, 1)).toBe(0xff);
  });

  it('shows the three chipset functions and nothing else', () => {
    const { ports, config } = bench();
    const found: string[] = [];
    for (let slot = 0; slot < 32; slot++) {
      for (let number = 0; number < 8; number++) {
        config(slot, number, 0);
        const id = ports.read(0xcfc, 4) >>> 0;
        if (id !== 0xffffffff) found.push(`${slot}.${number} ${id.toString(16)}`);
      }
    }
    expect(found).toEqual(['0.0 12378086', '1.0 70008086', '1.3 71138086']);
    config(1, 0, 0x0c);
    expect(ports.read(0xcfe, 1)).toBe(0x80);
    config(1, 3, 0x40);
    expect(ports.read(0xcfc, 4)).toBe(0xb001);
    config(1, 3, 8);
    expect(ports.read(0xcfe, 2)).toBe(0x0680);
  });

  it('routes PCI interrupts and lets only writable bits change', () => {
    const { ports, routes, config, bus } = bench();
    expect(routes).toEqual([10, 10, 11, 11]);
    config(1, 0, 0x60);
    ports.write(0xcfd, 1, 0x05);
    ports.write(0xcfe, 1, 0x80);
    expect(routes).toEqual([10, 5, -1, 11]);
    config(0, 0, 0);
    ports.write(0xcfc, 4, 0);
    expect(ports.read(0xcfc, 2)).toBe(0x8086);
    bus.reset();
    expect(routes).toEqual([10, 10, 11, 11]);
  });
});

describe('port space', () => {
  it('floats high and splits wide accesses', () => {
    const ports = new PortSpace();
    const seen: number[][] = [];
    ports.map(0x10, 2, { read: (port) => port, write: (...access) => seen.push(access) });
    expect(ports.read(0x100, 4)).toBe(-1);
    expect(ports.read(0x10, 2)).toBe(0x1110);
    expect(ports.read(0x10, 4)).toBe(0xffff1110 | 0);
    ports.write(0x0f, 4, 0x44332211);
    expect(seen).toEqual([[0x10, 1, 0x22], [0x11, 1, 0x33]]);
    ports.unmap(0x10, 2);
    expect(ports.read(0x10, 1)).toBe(0xff);
  });
});

describe('8237', () => {
  it('keeps addresses, counts, masks and pages', () => {
    const dma = new Dma8237();
    dma.write(0x0c, 1, 0);
    dma.write(0x04, 1, 0x34);
    dma.write(0x04, 1, 0x12);
    dma.write(0xd8, 1, 0);
    dma.write(0xc6, 1, 0x78);
    dma.write(0x81, 1, 0x9a);
    dma.write(0x0c, 1, 0);
    expect([dma.read(0x04), dma.read(0x04)]).toEqual([0x34, 0x12]);
    expect(dma.read(0x81)).toBe(0x9a);
    dma.write(0x0f, 1, 0);
    dma.write(0x0a, 1, 6);
    expect(dma.read(0x0f)).toBe(4);
    const copy = new Dma8237();
    copy.restore(dma.save());
    expect(copy.save()).toEqual(dma.save());
    dma.write(0x0d, 1, 0);
    expect(dma.read(0x0f)).toBe(15);
  });
});

describe('fw_cfg', () => {
  it('answers for sizes, processors and files', () => {
    const ports = new PortSpace();
    const fwCfg = new FwCfg(0x1_2345_6000, 3, false);
    fwCfg.addFile('etc/one', Uint8Array.of(1, 2, 3));
    fwCfg.addFile('etc/two', Uint8Array.of(9));
    fwCfg.attach(ports);
    const item = (selector: number, bytes: number): number[] => {
      ports.write(0x510, 2, selector);
      return Array.from({ length: bytes }, () => ports.read(0x511, 1));
    };
    expect(String.fromCharCode(...item(0, 4))).toBe('QEMU');
    expect(item(3, 8)).toEqual([0, 0x60, 0x45, 0x23, 1, 0, 0, 0]);
    expect(item(5, 3)).toEqual([3, 0, 0]);
    const directory = item(0x19, 4 + 2 * 64);
    expect(directory.slice(0, 12)).toEqual([0, 0, 0, 2, 0, 0, 0, 3, 0, 0x20, 0, 0]);
    expect(String.fromCharCode(...directory.slice(76, 83))).toBe('etc/two');
    expect(item(0x21, 2)).toEqual([9, 0]);
  });
});
