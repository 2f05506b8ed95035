import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildFirmwareTables, FIRMWARE_TABLES_START } from '../../src/machine/acpi/tables';
import type { FirmwareTables } from '../../src/machine/acpi/tables';
import { packageOf, path, integer } from '../../src/machine/acpi/aml';
import { PM_TIMER_BLOCK, RESET_PORT } from '../../src/machine/layout';

const all = { vcpus: 2, acpi: true, apic: true, hpet: true };

function sum(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => (total + byte) & 255, 0);
}

function at(tables: FirmwareTables, hostPhysical: number, length: number): Uint8Array {
  return tables.bytes.subarray(hostPhysical - tables.start, hostPhysical - tables.start + length);
}

function u32(bytes: Uint8Array, offset: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset, true);
}

/** All system description tables by signature, found the way a kernel does. */
function tablesOf(tables: FirmwareTables, viaXsdt: boolean): Map<string, Uint8Array> {
  const rsdp = at(tables, tables.rsdp, 36);
  const root = u32(rsdp, viaXsdt ? 24 : 16);
  const read = (address: number): Uint8Array => at(tables, address, u32(at(tables, address, 8), 4));
  const list = read(root);
  const found = new Map<string, Uint8Array>();
  for (let offset = 36; offset < list.length; offset += viaXsdt ? 8 : 4) {
    const table = read(u32(list, offset));
    found.set(String.fromCharCode(...table.subarray(0, 4)), table);
  }
  const facp = found.get('FACP');
  if (facp !== undefined) {
    found.set('DSDT', read(u32(facp, 40)));
    found.set('FACS', read(u32(facp, 36)));
  }
  return found;
}

function hasIasl(): boolean {
  try {
    execFileSync('iasl', ['-v'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('ACPI and MP tables', () => {
  it('have right checksums and are reachable by RSDT and XSDT alike', () => {
    const tables = buildFirmwareTables(all);
    expect(tables.start).toBe(FIRMWARE_TABLES_START);
    expect(sum(tables.rsdpBytes.subarray(0, 20))).toBe(0);
    expect(sum(tables.rsdpBytes)).toBe(0);
    const byXsdt = tablesOf(tables, true);
    expect([...tablesOf(tables, false).keys()]).toEqual([...byXsdt.keys()]);
    expect([...byXsdt.keys()].sort()).toEqual(['APIC', 'DSDT', 'FACP', 'FACS', 'HPET']);
    for (const [signature, table] of byXsdt) if (signature !== 'FACS') expect([signature, sum(table)]).toEqual([signature, 0]);
  });

  it('puts the FADT fields where revision 3 has them', () => {
    const facp = tablesOf(buildFirmwareTables(all), true).get('FACP') as Uint8Array;
    expect(facp.length).toBe(244);
    expect(u32(facp, 76)).toBe(PM_TIMER_BLOCK);
    expect(u32(facp, 120)).toBe(RESET_PORT); // address in RESET_REG
    expect(facp[128]).toBe(6);
    expect(u32(facp, 132)).toBe(u32(facp, 36)); // X_FIRMWARE_CTRL
    expect(u32(facp, 140)).toBe(u32(facp, 40)); // X_DSDT
    expect(u32(facp, 212)).toBe(PM_TIMER_BLOCK); // address in X_PM_TMR_BLK
    expect(u32(facp, 36) % 64).toBe(0);
  });

  it('leaves out what the machine does not have', () => {
    expect([...tablesOf(buildFirmwareTables({ ...all, apic: false, hpet: false }), true).keys()]).toEqual(['FACP', 'DSDT', 'FACS']);
    const none = buildFirmwareTables({ ...all, acpi: false });
    expect(none.rsdp).toBe(0);
    const text = String.fromCharCode(...none.bytes);
    expect(text).not.toContain('RSD PTR');
    expect(text.indexOf('_MP_') % 16).toBe(0);
    const pointer = none.bytes.subarray(text.indexOf('_MP_'), text.indexOf('_MP_') + 16);
    expect(sum(pointer)).toBe(0);
    const configuration = at(none, u32(pointer, 4), 4096);
    const length = configuration[4] | (configuration[5] << 8);
    expect(sum(configuration.subarray(0, length))).toBe(0);
    // Walking the entries by their sizes ends exactly at the announced length.
    let offset = 44;
    for (let n = configuration[34] | (configuration[35] << 8); n > 0; n--) offset += configuration[offset] === 0 ? 20 : 8;
    expect(offset).toBe(length);
  });

  it('encodes package lengths of one, two and three bytes', () => {
    expect(packageOf([integer(0)]).slice(0, 3)).toEqual([0x12, 3, 1]);
    const medium = packageOf(Array.from({ length: 100 }, () => integer(0)));
    expect([medium[1] >> 6, (medium[1] & 15) | (medium[2] << 4)]).toEqual([1, medium.length - 1]);
    const large = packageOf(Array.from({ length: 250 }, () => new Array<number>(20).fill(0)));
    expect([large[1] >> 6, (large[1] & 15) | (large[2] << 4) | (large[3] << 12)]).toEqual([2, large.length - 1]);
    expect(path('\\_SB.PCI0')).toEqual([0x5c, 0x2e, ...[...'_SB_PCI0'].map((c) => c.charCodeAt(0))]);
  });

  it.runIf(hasIasl())('is read without complaint by the ACPI reference disassembler and compiler', () => {
    const directory = mkdtempSync(join(tmpdir(), 'nestbox-acpi-'));
    for (const [signature, table] of tablesOf(buildFirmwareTables(all), true)) {
      const file = join(directory, `${signature.toLowerCase()}.aml`);
      writeFileSync(file, table);
      const said = execFileSync('iasl', ['-d', file], { encoding: 'utf8', stdio: 'pipe' });
      expect(said).not.toMatch(/error|invalid|incorrect/i);
    }
    const source = readFileSync(join(directory, 'dsdt.dsl'), 'utf8');
    expect(source).toContain('EisaId ("PNP0A03")');
    expect(source).toMatch(/IO \(Decode16,\s+0x03F8/);
    const compiled = execFileSync('iasl', ['-oa', '-p', join(directory, 'again'), join(directory, 'dsdt.dsl')], { encoding: 'utf8', stdio: 'pipe' });
    expect(compiled).toContain(' 0 Errors');
  });
});
