/** Stand-ins for the engine's block cache and the VMX modules, with a record of how they were called. */
import { abandon, FK_RETRY, FK_VM_EXIT } from '../../../src/cpu/fault';

export const log = {
  invalidated: [] as [number, number][],
  exits: [] as number[][],
  apic: [] as unknown[][],
  blockEnds: 0,
  refuseBlockEnd: false,
};

export const blocks = {
  PAGE_HAS_CODE: new Uint8Array(1 << 20),
  invalidateCode(offset: number, bytes: number): void {
    log.invalidated.push([offset, bytes]);
  },
  requireBlockEnd(): void {
    log.blockEnds++;
    if (log.refuseBlockEnd) abandon(FK_RETRY);
  },
};

export const intercepts = {
  setPendingEptExit(...exit: number[]): void {
    log.exits.push(exit);
  },
};

export const apicVirtualization = {
  APIC_ACCESS_READ: 0,
  APIC_ACCESS_WRITE: 1,
  APIC_ACCESS_FETCH: 2,
  exitForApicAccess(offset: number, type: number): never {
    log.apic.push(['exit', offset, type]);
    abandon(FK_VM_EXIT);
  },
  checkVirtualApicRmw(offset: number, size: number): void {
    log.apic.push(['rmw', offset, size]);
  },
  virtualApicRead(offset: number, size: number): number {
    log.apic.push(['read', offset, size]);
    return 0x12345678;
  },
  virtualApicWrite(offset: number, size: number, value: number): void {
    log.apic.push(['write', offset, size, value]);
  },
};

export function clearLog(): void {
  log.invalidated.length = 0;
  log.exits.length = 0;
  log.apic.length = 0;
  log.blockEnds = 0;
  log.refuseBlockEnd = false;
  blocks.PAGE_HAS_CODE.fill(0);
}
