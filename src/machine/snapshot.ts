/**
 * A machine as it was at an instruction boundary, to go back to in the same realm: RAM, processors, VMX state, devices, clock. Decoded and compiled code is kept
 * as far as its bytes are the same. Not in it: ROM (nothing changes it), the configuration, and observers, who see what happens twice.
 */
import { mem32, ramPages } from '../cpu/mmu/memory';
import { invalidateCode, PAGE_HAS_CODE } from '../cpu/engine/blocks';
import { flushEverything } from '../cpu/mmu/tlb';
import { CURP, R } from '../cpu/state';
import { restoreVcpus, saveVcpus } from '../cpu/vcpus';
import type { VcpusState } from '../cpu/vcpus';
import { restoreVmx, saveVmx } from '../vmx/vcpu';
import type { VmxState } from '../vmx/vcpu';
import type { Machine, MachineState } from './machine';

const PAGE_WORDS = 1024, PAGE_BYTES = 4096;

export interface MachineSnapshot {
  ram: Int32Array;
  devices: MachineState;
  vcpus: VcpusState;
  vmx: VmxState;
}

/** Only at an instruction boundary. */
export function takeSnapshot(machine: Machine): MachineSnapshot {
  return { ram: mem32.slice(0, ramPages * PAGE_WORDS), devices: machine.save(), vcpus: saveVcpus(), vmx: saveVmx() };
}

/** Only at an instruction boundary of the machine that the snapshot is of. */
export function rewind(machine: Machine, { ram, devices, vcpus, vmx }: MachineSnapshot): void {
  R[CURP] = 0;
  for (let page = 0; page < ramPages; page++) rewindPage(page, ram);
  machine.restore(devices);
  restoreVcpus(vcpus);
  restoreVmx(vmx);
  flushEverything();
}

function rewindPage(page: number, ram: Int32Array): void {
  const from = page * PAGE_WORDS, to = from + PAGE_WORDS;
  for (let w = from; w < to; w++) {
    if (mem32[w] === ram[w]) continue;
    if (PAGE_HAS_CODE[page]) invalidateCode(page * PAGE_BYTES, PAGE_BYTES);
    mem32.set(ram.subarray(from, to), from);
    return;
  }
}
