import { beforeEach, describe, expect, it } from 'vitest';
import '../support/bare-cpu';
import { R } from '../../src/cpu/state';
import { resetClock } from '../../src/cpu/clock';
import { physRead32, physWrite32, setUpRam } from '../../src/cpu/mmu/physical';
import { noteEntry, noteExit, resetGuests } from '../../src/observe/guests';
import { GuestMachines } from '../../src/observe/guest-machines';
import { EXIT_REASON_HLT, EXIT_REASON_VMLAUNCH } from '../../src/vmx/exit-reasons';
import { REGION_GUEST, REGION_LAUNCHED } from '../../src/vmx/fields';

/** Enters the guest of this VMCS and leaves it again; the region in memory is as VMLAUNCH leaves it. */
function enter(vmcs: number, eptp: number, reason = EXIT_REASON_HLT): void {
  physWrite32(vmcs + 4 * REGION_GUEST, noteEntry(vmcs, eptp, physRead32(vmcs + 4 * REGION_GUEST)));
  physWrite32(vmcs + 4 * REGION_LAUNCHED, 1);
  noteExit(reason);
}

const clear = (vmcs: number): void => physWrite32(vmcs + 4 * REGION_LAUNCHED, 0);

describe('guest machines', () => {
  beforeEach(() => {
    R.fill(0);
    resetClock();
    resetGuests();
    setUpRam(1 << 20, 0xc0000000);
  });

  it('are processors with one EPT pointer; each is over when its VMCSs are cleared, and back when one is entered', () => {
    const machines = new GuestMachines();
    enter(0x1000, 0xa01e);
    enter(0x2000, 0xb01e);
    enter(0x3000, 0xa01e);
    expect(machines.all().map((one) => [one.number, one.level, one.guests.length])).toEqual([[1, 2, 2], [2, 2, 1]]);
    expect(machines.ofGuest(3)?.number).toBe(1);
    clear(0x1000);
    expect(machines.stopped(machines.all()[0])).toBe(false);
    clear(0x3000);
    expect(machines.all().map((one) => machines.stopped(one))).toEqual([true, false]);
    enter(0x3000, 0xa01e);
    expect(machines.stopped(machines.all()[0])).toBe(false);
  });

  it('are different ones if a later one gets the memory of one that is over', () => {
    const machines = new GuestMachines();
    enter(0x1000, 0xa01e);
    machines.all();
    clear(0x1000);
    physWrite32(0x1000 + 4 * REGION_GUEST, 0);
    enter(0x1000, 0xa01e);
    expect(machines.all().map((one) => one.number)).toEqual([1, 2]);
    expect(machines.all().map((one) => machines.stopped(one))).toEqual([true, false]);
  });

  it('know their level', () => {
    const machines = new GuestMachines();
    enter(0x1000, 0xa01e, EXIT_REASON_VMLAUNCH);
    enter(0x2000, 0xb01e);
    expect(machines.all().map((one) => one.level)).toEqual([2, 3]);
  });
});
