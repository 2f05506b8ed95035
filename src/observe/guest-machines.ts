/**
 * Guest machines: which of L1's guest processors (VMCSs) make up one machine, and whether it still exists. Processors that share an EPT
 * pointer are one machine; without EPT each is taken as a machine of its own. A machine keeps its number when its hypervisor changes the pointer.
 *
 * A machine is over when all its VMCSs were cleared (SDM 3C 25.11.3: VMCLEAR makes the launch state "clear") or their memory was used for
 * something else, and none was entered again. Nothing here is visible to any guest.
 */
import { physRead32 } from '../cpu/mmu/physical';
import { vcpuCount, vcpuWords } from '../cpu/vcpus';
import { REGION_GUEST, REGION_LAUNCHED } from '../vmx/fields';
import { CURRENT_VALID, CURRENT_VMCS } from '../vmx/state';
import { allGuests } from './guests';
import type { Guest } from './guests';

export interface GuestMachine {
  /** From 1, in the order of first entry. */
  readonly number: number;
  /** 2 for guests of L1, 3 for guests of those. */
  readonly level: number;
  /** Its processors. */
  readonly guests: Guest[];
}

/** Pages and pointers are below 2^40 here. */
function physical(words: Int32Array): number {
  return (words[CURRENT_VMCS] >>> 0) + words[CURRENT_VMCS + 1] * 0x100000000;
}

/** The VMCS of this guest processor is no more: cleared, or its region holds something else. */
function isOver(guest: Guest): boolean {
  // A current VMCS may live in the processor only.
  for (let vcpu = vcpuCount() - 1; vcpu >= 0; vcpu--) {
    const words = vcpuWords(vcpu);
    if (words[CURRENT_VALID] !== 0 && physical(words) === guest.vmcsPointer) return false;
  }
  return physRead32(guest.vmcsPointer + 4 * REGION_LAUNCHED) === 0 || physRead32(guest.vmcsPointer + 4 * REGION_GUEST) !== guest.id;
}

export class GuestMachines {
  private readonly machines: GuestMachine[] = [];
  private readonly byGuest = new Map<number, GuestMachine>();

  /** All machines seen, the first to run first. */
  all(): readonly GuestMachine[] {
    for (const guest of allGuests().slice(this.byGuest.size)) this.place(guest);
    return this.machines;
  }

  /** The machine of a guest processor. */
  ofGuest(guestId: number): GuestMachine | undefined {
    return this.byGuest.get(guestId) ?? (this.all(), this.byGuest.get(guestId));
  }

  stopped(machine: GuestMachine): boolean {
    return machine.guests.every(isOver);
  }

  private place(guest: Guest): void {
    let machine = guest.eptp === 0 ? undefined : this.machines.find((known) => (
      known.level === guest.level && known.guests.some((other) => other.eptp === guest.eptp && !isOver(other))
    ));
    if (machine === undefined) {
      machine = { number: this.machines.length + 1, level: guest.level, guests: [] };
      this.machines.push(machine);
    }
    machine.guests.push(guest);
    this.byGuest.set(guest.id, machine);
  }
}
