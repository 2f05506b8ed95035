import '../support/bare-cpu';
import { describe, expect, it } from 'vitest';
import { VMCS_FIELDS } from '../../src/vmx/fields';
import { msrValue, readVmxCapabilityMsr } from '../../src/vmx/capabilities';
import * as REASONS from '../../src/vmx/exit-reasons';
import { CONTROL_WORDS, EXIT_REASONS, OTHER_FIELDS } from '../../scripts/vmx/names';
import { vmxSupport } from '../../scripts/vmx/support';

describe('docs/vmx-support.md', () => {
  it('is what the code says (npm run docs:vmx writes it)', async () => {
    await expect(vmxSupport()).toMatchFileSnapshot('../../docs/vmx-support.md');
  });

  it('names every control bit that may be 1 and is not reserved', () => {
    for (const word of CONTROL_WORDS) {
      expect(readVmxCapabilityMsr(word.msr)).toBe(true);
      // Reserved bits that must be 1 have no names.
      const free = msrValue[1] & ~msrValue[0];
      const named = word.bits.reduce((mask, [bit]) => mask | (1 << bit), 0);
      expect(free & ~named, word.title).toBe(0);
    }
  });

  it('names every exit reason of the code, and no field twice', () => {
    const named = new Set(EXIT_REASONS.map(([reason]) => reason));
    for (const reason of Object.values(REASONS)) if (reason >= 0) expect(named.has(reason), `reason ${reason}`).toBe(true);
    const encodings = [...VMCS_FIELDS.map((field) => field.encoding), ...OTHER_FIELDS.map(([encoding]) => encoding)];
    expect(new Set(encodings).size).toBe(encodings.length);
  });
});
