/**
 * Several vCPUs on one clock. They take turns by virtual time, so that a run is the same every time however the caller cuts it into portions.
 *
 * The rotation gives each vCPU that is not asleep a quantum. A vCPU that is signalled (interprocessor interrupt, device, timer) gets a short turn at
 * once, out of the quantum of whose turn it was; so an interprocessor interrupt is taken after the instruction that sent it. Idle time is skipped
 * when all are asleep. All vCPUs see the same TSC; each executes one instruction per cycle of its own turns.
 */
import { clockNow, skipIdle } from './clock';
import { RUN_ASLEEP, RUN_BUDGET, RUN_IDLE, RUN_STOPPED, runSlice } from './run';
import type { Runnable } from './run';
import { WAIT_FOR_SIPI } from './reset';
import { ACTIVITY, PENDING_DB, R, SIGNALS, VCPU, VMX_MODE, VMX_NON_ROOT } from './state';
import { QUANTUM_END, ROTATION, TURN, TURN_END, URGENT } from './turn';
import { switchVcpu, vcpuCount, vcpuDoubles, vcpuWords } from './vcpus';
import { TIMER_DEADLINE } from '../vmx/state';

/** Cycles of a turn in the rotation, and of one out of turn. */
const QUANTUM = 20_000, URGENT_QUANTUM = 2_000;

/** vCPUs that were found asleep at clock value `triedAt` although something waits for them (bit mask): an interrupt that they do not take now. */
let tried = 0, triedAt = -1;

/** Runs the machine for up to `cycles` cycles of virtual time: RUN_BUDGET, RUN_STOPPED or RUN_IDLE. */
export function runMachine(machine: Runnable, cycles: number): number {
  if (vcpuCount() === 1) return runSlice(machine, cycles);
  const end = clockNow() + cycles;
  for (;;) {
    if (machine.stopped) return RUN_STOPPED;
    const now = clockNow();
    if (machine.nextDeadline() <= now) {
      machine.runDue(now);
      tried = 0;
      continue;
    }
    if (now >= end) return RUN_BUDGET;
    if ((now >= TURN[TURN_END] || !mayRun(R[VCPU], now)) && !nextTurn(now)) {
      const until = Math.min(machine.nextDeadline(), earliestTimer());
      if (until === Infinity) return RUN_IDLE;
      skipIdle(Math.min(until, end));
      tried = 0;
      continue;
    }
    if (runSlice(machine, end - now) !== RUN_ASLEEP) continue;
    endTurn();
    if (clockNow() !== triedAt) tried = 0;
    triedAt = clockNow();
    tried |= 1 << R[VCPU];
  }
}

/** The running vCPU gives up the rest of its turn. */
function endTurn(): void {
  TURN[TURN_END] = 0;
  if (R[VCPU] === TURN[ROTATION]) TURN[QUANTUM_END] = 0;
}

/** Makes the vCPU whose turn is next the running one; false if all are asleep. */
function nextTurn(now: number): boolean {
  const count = vcpuCount();
  const rotation = TURN[ROTATION];
  for (let n = 1; n <= count && TURN[URGENT] !== 0; n++) {
    const vcpu = (rotation + n) % count;
    if ((TURN[URGENT] & (1 << vcpu)) === 0) continue;
    TURN[URGENT] &= ~(1 << vcpu);
    tried &= ~(1 << vcpu);
    if (!mayRun(vcpu, now)) continue;
    TURN[TURN_END] = now + URGENT_QUANTUM;
    switchVcpu(vcpu);
    return true;
  }
  if (now < TURN[QUANTUM_END] && mayRun(rotation, now)) {
    TURN[TURN_END] = TURN[QUANTUM_END];
    switchVcpu(rotation);
    return true;
  }
  for (let n = 1; n <= count; n++) {
    const vcpu = (rotation + n) % count;
    if (!mayRun(vcpu, now)) continue;
    TURN[ROTATION] = vcpu;
    TURN[TURN_END] = TURN[QUANTUM_END] = now + QUANTUM;
    switchVcpu(vcpu);
    return true;
  }
  return false;
}

/** The vCPU is active, or something has come that may wake it. */
function mayRun(vcpu: number, now: number): boolean {
  const words = vcpuWords(vcpu);
  if (words[ACTIVITY] === 0) return true;
  if (triedAt === now && tried & (1 << vcpu)) return false;
  return (words[SIGNALS] | words[PENDING_DB]) !== 0 || timerOf(vcpu) <= now;
}

/** Clock value at which the VMX-preemption timer of a sleeping guest ends its sleep. */
function timerOf(vcpu: number): number {
  const words = vcpuWords(vcpu);
  if (words[VMX_MODE] !== VMX_NON_ROOT || words[ACTIVITY] === WAIT_FOR_SIPI) return Infinity;
  return vcpuDoubles(vcpu)[TIMER_DEADLINE >> 1];
}

function earliestTimer(): number {
  let earliest = Infinity;
  for (let vcpu = vcpuCount() - 1; vcpu >= 0; vcpu--) earliest = Math.min(earliest, timerOf(vcpu));
  return earliest;
}
