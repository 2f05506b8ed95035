/**
 * VMX state that is not in R: the decoded current VMCS of each vCPU, and who is a guest of whom. Follows the running vCPU, power-on and
 * snapshots.
 */
import { R, VCPU } from '../cpu/state';
import { updateMode } from '../cpu/modes';
import { onVcpuSwitch } from '../cpu/vcpus';
import { noteVcpuSwitch, resetGuests, restoreGuests, saveGuests } from '../observe/guests';
import type { GuestsState } from '../observe/guests';
import { V } from './vmcs';
import { VMCS_WORDS } from './fields';
import { prepareVmx } from './capabilities';
import { resumeTranslation } from './translation';

/** Decoded VMCSs by vCPU; that of the running one is stale. */
const banks: Int32Array[] = [];
/** [0] the vCPU whose VMCS is in V. */
const owner = new Int32Array(1);
const attached = { done: false };

function bank(vcpu: number): Int32Array {
  banks[vcpu] ??= new Int32Array(VMCS_WORDS);
  return banks[vcpu];
}

/** The decoded current VMCS of a vCPU, running or not; all zero if it never had one. For observers. */
export function vmcsOfVcpu(vcpu: number): Int32Array {
  return vcpu === owner[0] ? V : bank(vcpu);
}

/** Brings V and the address translation in line with the vCPU whose state is in R. */
function followRunningVcpu(): void {
  const vcpu = R[VCPU];
  if (owner[0] !== vcpu) {
    bank(owner[0]).set(V);
    V.set(bank(vcpu));
    owner[0] = vcpu;
    noteVcpuSwitch();
  }
  resumeTranslation();
}

/** Power-on: no vCPU has a current VMCS. Call after the vCPUs were reset, with the running one in R. */
export function resetVmx(): void {
  if (!attached.done) onVcpuSwitch(followRunningVcpu);
  attached.done = true;
  banks.length = 0;
  owner[0] = R[VCPU];
  V.fill(0);
  resetGuests();
  resumeTranslation();
  updateMode();
}

export interface VmxState {
  /** Decoded VMCS of each vCPU that ever had one. */
  vmcs: { vcpu: number; words: Int32Array }[];
  guests: GuestsState;
}

export function saveVmx(): VmxState {
  bank(owner[0]).set(V);
  return { vmcs: Object.entries(banks).map(([vcpu, words]) => ({ vcpu: Number(vcpu), words: words.slice() })), guests: saveGuests() };
}

/** Takes over a saved state. Call after the state words of the vCPUs were restored. */
export function restoreVmx(state: VmxState): void {
  banks.length = 0;
  for (const { vcpu, words } of state.vmcs) bank(vcpu).set(words);
  owner[0] = R[VCPU];
  V.set(bank(owner[0]));
  restoreGuests(state.guests);
  prepareVmx();
  resumeTranslation();
  updateMode();
}
