/** The VMCS for people: complete, grouped, decoded, compared. */
import { describe, expect, it } from 'vitest';
import '../support/bare-cpu';
import * as F from '../../src/vmx/fields';
import { VMCS_GROUPS, groupOf, viewVmcs } from '../../src/observe/vmcs-view';
import type { VmcsFieldView, VmcsView } from '../../src/observe/vmcs-view';

function find(view: VmcsView, name: string): VmcsFieldView {
  const field = view.groups.flatMap((group) => group.fields).find((each) => each.name === name);
  if (field === undefined) throw new Error(`no field ${name}`);
  return field;
}

describe('viewVmcs', () => {
  it('shows every field of the list once, in a group that is not empty', () => {
    const view = viewVmcs(new Int32Array(F.VMCS_WORDS), null);
    const shown = view.groups.flatMap((group) => group.fields.map((field) => field.encoding));
    expect(new Set(shown).size).toBe(shown.length);
    expect(shown.toSorted()).toEqual(F.VMCS_FIELDS.map((field) => field.encoding.toString(16).padStart(4, '0')).toSorted());
    expect(view.groups.map((group) => group.title)).toEqual([...VMCS_GROUPS]);
    for (const group of view.groups) expect(group.fields.length).toBeGreaterThan(2);
  });

  it('groups by area as the SDM does', () => {
    for (const field of F.VMCS_FIELDS) {
      const group = groupOf(field);
      if (field.area === 'host') expect(group).toBe('Host state');
      else if (field.area === 'guest') expect(group).toMatch(/^Guest /);
      else if (field.area === 'information') expect(group).toContain('read-only');
      else expect(group).toMatch(/controls$/);
    }
    const named = (name: string): string => groupOf(F.VMCS_FIELDS.find((field) => field.name === name) ?? F.VMCS_FIELDS[0]);
    expect(named('guest CS access rights')).toBe('Guest segments and tables');
    expect(named('guest activity state')).toBe('Guest non-register state');
    expect(named('guest RIP')).toBe('Guest registers');
    expect(named('VM-exit MSR-load count')).toBe('VM-exit controls');
    expect(named('VM-entry interruption information')).toBe('VM-entry controls');
    expect(named('EPT pointer')).toBe('VM-execution controls');
  });

  it('decodes controls, rights and events', () => {
    const image = new Int32Array(F.VMCS_WORDS);
    image[F.PIN_CONTROLS] = 0x1 | 0x40;
    image[F.PROCESSOR_CONTROLS] = 0x80000080 | 0;
    image[F.SECONDARY_CONTROLS] = 0x82;
    image[F.GUEST_ES_ACCESS_RIGHTS + 2] = 0xa09b;
    image[F.EXIT_REASON] = 30;
    image[F.EXIT_QUALIFICATION] = (0x3f8 << 16) | 8;
    image[F.EXIT_INTERRUPTION_INFO] = 0x80000b0e | 0;
    image[F.EPT_POINTER] = 0x5e;
    image[F.GUEST_CR0] = 0x80000031 | 0;
    image[F.VMCS_LINK_POINTER] = image[F.VMCS_LINK_POINTER + 1] = -1;
    const view = viewVmcs(image, null);
    expect(find(view, 'pin-based VM-execution controls').decoded).toEqual(['external-interrupt exiting', 'activate VMX-preemption timer']);
    expect(find(view, 'primary processor-based VM-execution controls').decoded).toEqual(['HLT exiting', 'activate secondary controls']);
    expect(find(view, 'secondary processor-based VM-execution controls').decoded).toEqual(['enable EPT', 'unrestricted guest']);
    expect(find(view, 'guest CS access rights')).toMatchObject({ value: '0000a09b', decoded: ['code readable, DPL 0, 64-bit, 4 KiB units'] });
    expect(find(view, 'exit reason').decoded).toEqual(['io']);
    expect(find(view, 'exit qualification').decoded).toEqual(['IN port 0x3f8, 8 bits']);
    expect(find(view, 'VM-exit interruption information').decoded).toEqual(['hardware exception', '#PF', 'error code']);
    expect(find(view, 'EPT pointer').decoded).toEqual(['write-back', '4 levels', 'accessed and dirty flags']);
    expect(find(view, 'guest CR0').decoded).toEqual(['PE', 'ET', 'NE', 'PG']);
    expect(find(view, 'VMCS link pointer').decoded).toEqual(['none']);
    // As wide as the field: 16, 32 and 64 bits.
    expect(find(view, 'guest CS selector').value).toBe('0000');
    expect(find(view, 'guest CR0').value).toBe('0000000080000031');
    expect(find(view, 'guest CR0').encoding).toBe('6800');
  });

  it('marks what changed', () => {
    const before = new Int32Array(F.VMCS_WORDS), after = before.slice();
    after[F.GUEST_RIP] = 0x1003;
    after[F.GUEST_RIP + 1] = -1;
    after[F.EXIT_INSTRUCTION_LENGTH] = 3;
    const view = viewVmcs(after, before);
    expect(view.changed).toBe(2);
    expect(find(view, 'guest RIP')).toMatchObject({ value: 'ffffffff00001003', previous: '0000000000000000' });
    expect(find(view, 'guest RSP').previous).toBeNull();
  });
});
