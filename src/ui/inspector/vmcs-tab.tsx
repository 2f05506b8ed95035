/** The VMCS: all fields by name, in the SDM's groups, decoded; what changed is lit. */
import { useState } from 'react';
import type { InspectorQuery, VmcsAnswer } from '../../observe/inspector';
import type { VmcsFieldView } from '../../observe/vmcs-view';
import { Chips, Hex, Nothing } from './shared';
import type { TabProps } from './shared';
import { useInspection } from './use-inspection';

function queryFor({ visible, subject }: TabProps): Extract<InspectorQuery, { ask: 'vmcs' }> | null {
  if (!visible) return null;
  if (!subject.vmcsOfExit || subject.exit === null) return { ask: 'vmcs', of: { vcpu: subject.context.vcpu } };
  return { ask: 'vmcs', of: { exit: subject.exit, against: subject.against === subject.exit ? null : subject.against } };
}

export function VmcsTab(props: TabProps) {
  const { client, machine, overview, subject, change } = props;
  const [search, setSearch] = useState('');
  const [changedOnly, setChangedOnly] = useState(false);
  const answer = useInspection(client, machine, queryFor(props));
  const vmcs = answer?.vmcs ?? null;
  const source = subject.vmcsOfExit && subject.exit !== null ? 'exit' : String(subject.context.vcpu);
  const shows = (field: VmcsFieldView): boolean => (!changedOnly || field.previous !== null)
    && (search === '' || `${field.encoding} ${field.name} ${field.decoded.join(' ')}`.toLowerCase().includes(search.toLowerCase()));
  return (
    <div className="sheet">
      <div className="fields">
        <label className="field">VMCS{' '}
          <select
            value={source} onChange={(event) => {
              if (event.target.value === 'exit') change({ vmcsOfExit: true });
              else change({ vmcsOfExit: false, context: { vcpu: Number(event.target.value), kind: 'now' } });
            }}
          >
            {overview?.vcpus.map(({ vcpu }) => <option key={vcpu} value={String(vcpu)}>current of vCPU {vcpu}</option>)}
            {subject.exit !== null && <option value="exit">at exit {subject.exit}</option>}
          </select>
        </label>
        <label className="field">Find <input type="search" value={search} onChange={(event) => setSearch(event.target.value)} placeholder="name, encoding or bit" /></label>
        <label className="field"><input type="checkbox" checked={changedOnly} onChange={(event) => setChangedOnly(event.target.checked)} /> changed only</label>
        {vmcs !== null && <span className="legend">{describe(vmcs)}</span>}
      </div>
      {vmcs === null ? (
        <Nothing>{source === 'exit' ? 'The VMCS of that exit has not been kept.' : 'This vCPU has no current VMCS: its software has not executed VMPTRLD, or has cleared it since.'}</Nothing>
      ) : (
        <div className="scroll" tabIndex={0} role="group" aria-label="Fields of the VMCS">
          {vmcs.groups.map(({ title, fields }) => {
            const shown = fields.filter(shows);
            if (shown.length === 0) return null;
            return (
              <section key={title} className="group">
                <h3>{title}</h3>
                <div className="vmcs-fields">{shown.map((field) => <Field key={field.encoding} field={field} />)}</div>
              </section>
            );
          })}
        </div>
      )}
    </div>
  );
}

function describe(vmcs: VmcsAnswer): string {
  const parts = [vmcs.pointer === '' ? '' : `at 0x${vmcs.pointer.replace(/^0+(?=.)/, '')}`, `L${vmcs.level} guest ${vmcs.guest || ''}`.trim(), vmcs.launched ? 'launched' : 'clear'];
  parts.push(vmcs.baseline === '' ? 'compared with nothing yet' : `${vmcs.changed} changed since ${vmcs.baseline}`);
  return parts.filter((part) => part !== '').join(' · ');
}

function Field({ field }: { field: VmcsFieldView }) {
  return (
    <div className={`vmcs-field${field.previous === null ? '' : ' changed'}${field.offered ? '' : ' absent'}`} title={field.offered ? undefined : 'This processor does not offer the field'}>
      <code className="encoding">{field.encoding}</code>
      <span className="name">{field.name}</span>
      <span className="value"><Hex value={field.value} />{field.previous !== null && <small className="previous"> was <code>{field.previous}</code></small>}</span>
      <Chips list={field.decoded} />
    </div>
  );
}
