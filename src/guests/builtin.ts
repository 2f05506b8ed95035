/** The built-in demo: the L1 hypervisor and its L2 guest, assembled from (possibly edited) source. */
import { assemble } from './assembler/assembler';
import type { AssemblyError, AssemblyResult } from './assembler/assembler';
import { BUILTIN_L1_SOURCE } from './builtin-l1.asm';
import { BUILTIN_L2_SOURCE } from './builtin-l2.asm';
import { VMX_INC_SOURCE } from './lessons/vmx-inc.asm';

export { BUILTIN_L1_SOURCE, BUILTIN_L2_SOURCE };

/** Files that %include finds in both. */
export const INCLUDES: Readonly<Record<string, string>> = { 'vmx.inc': VMX_INC_SOURCE };

export interface BuiltinSources {
  readonly l1: string;
  readonly l2: string;
}

export type BuiltinImages =
  | {
    readonly ok: true;
    /** A multiboot 1 kernel. */
    readonly kernel: Uint8Array;
    /** Its module: the guest's image. */
    readonly module: Uint8Array;
    /** Symbols and listing of both, for the inspector. */
    readonly l1: Extract<AssemblyResult, { ok: true }>;
    readonly l2: Extract<AssemblyResult, { ok: true }>;
  }
  | { readonly ok: false; readonly errors: readonly (AssemblyError & { readonly source: keyof BuiltinSources })[] };

/** Assembles the demo; without arguments the sources as they come with the program. */
export function buildBuiltin(sources: Partial<BuiltinSources> = {}): BuiltinImages {
  const l1 = assemble(sources.l1 ?? BUILTIN_L1_SOURCE, { includes: INCLUDES });
  const l2 = assemble(sources.l2 ?? BUILTIN_L2_SOURCE, { includes: INCLUDES });
  if (l1.ok && l2.ok) return { ok: true, kernel: l1.bytes, module: l2.bytes, l1, l2 };
  return {
    ok: false,
    errors: [
      ...(l1.ok ? [] : l1.errors.map((error) => ({ ...error, source: 'l1' as const }))),
      ...(l2.ok ? [] : l2.errors.map((error) => ({ ...error, source: 'l2' as const }))),
    ],
  };
}
