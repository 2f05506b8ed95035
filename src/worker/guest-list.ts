/** Keeps the list of guest machines that the page shows: which there are, and when each was first seen and first seen to be over. */
import type { GuestMachine, GuestMachines } from '../observe/guest-machines';
import type { GuestMachineReport } from './protocol';

export class GuestList {
  private readonly reports: GuestMachineReport[] = [];

  /** The list if it has changed since the last look, else null. `now`: virtual seconds. */
  look(guests: Pick<GuestMachines, 'all' | 'stopped'>, now: number): GuestMachineReport[] | null {
    let changed = false;
    guests.all().forEach((machine: GuestMachine, index) => {
      let report = this.reports.at(index);
      if (report === undefined) {
        report = { number: machine.number, level: machine.level, since: now, stoppedAt: null };
        this.reports.push(report);
        changed = true;
      }
      const stopped = guests.stopped(machine);
      if (stopped === (report.stoppedAt !== null)) return;
      report.stoppedAt = stopped ? now : null;
      changed = true;
    });
    return changed ? this.reports.map((report) => ({ ...report })) : null;
  }

  /** Level of a guest machine; 2 before it is seen. */
  levelOf(number: number): number {
    return this.reports.find((report) => report.number === number)?.level ?? 2;
  }

  isStopped(number: number): boolean {
    return this.reports.some((report) => report.number === number && report.stoppedAt !== null);
  }
}
