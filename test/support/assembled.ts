/** Assembly text for tests: assembles with the in-tree assembler, loads at a physical address and points RIP at it. */
import { assemble } from '../../src/guests/assembler/assembler';
import { R, RIP } from '../../src/cpu/state';
import { physWriteBytes } from '../../src/cpu/mmu/physical';

/** Assembles `source` for `origin`; throws with the assembler's messages. Returns the addresses of its labels. */
export function loadAssembly(bits: 16 | 32 | 64, origin: number, source: string): (label: string) => number {
  const result = assemble(source, { bits, origin: BigInt(origin) });
  if (!result.ok) throw new Error(result.errors.map((error) => `${JSON.stringify(error)}`).join('\n'));
  // Through the physical map, so that code decoded from there before is forgotten.
  physWriteBytes(origin, result.bytes);
  R[RIP] = origin;
  R[RIP + 1] = 0;
  return (label) => {
    const address = result.symbols.get(label);
    if (address === undefined) throw new Error(`no label ${label}`);
    return Number(address);
  };
}
