/** Names of VM-exit reasons for people, in lower case with hyphens (SDM 3D appendix C). */
import * as reasons from '../vmx/exit-reasons';

const NAMES = new Map<number, string>();
for (const [constant, value] of Object.entries(reasons)) {
  if (constant.startsWith('EXIT_REASON_') && value >= 0) NAMES.set(value, constant.slice('EXIT_REASON_'.length).toLowerCase().replaceAll('_', '-'));
}

/** Name of a basic exit reason. */
export function exitReasonName(reason: number): string {
  return NAMES.get(reason) ?? `reason-${reason}`;
}

/** All basic exit reasons that have a name. */
export const EXIT_REASONS: readonly number[] = [...NAMES.keys()].sort((a, b) => a - b);
