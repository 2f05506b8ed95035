/** A page walk, entry by entry: guest tables, EPT under each of them, and host memory at the end, or why the access faults. */
import { useState } from 'react';
import type { AccessKind, WalkEntry, WalkResult } from '../../observe/page-walk';
import { AddressField, Chips, ContextPicker, Hex, Nothing, isAddress } from './shared';
import type { TabProps } from './shared';
import { useInspection } from './use-inspection';

export function WalkTab(props: TabProps) {
  const { client, machine, visible, subject, change, goTo } = props;
  const [access, setAccess] = useState<AccessKind>('read');
  const [user, setUser] = useState(false);
  // RIP, where no address is given.
  const code = useInspection(client, machine, visible && subject.walkAddress === '' ? { ask: 'code', context: subject.context, linear: null, before: 0, after: 1, bits: null } : null);
  const linear = subject.walkAddress === '' ? code?.code?.lines[0]?.linear ?? null : subject.walkAddress;
  const valid = linear !== null && isAddress(linear, false);
  const answer = useInspection(client, machine, visible && valid ? { ask: 'walk', context: subject.context, linear, access, user } : null);
  const walk = answer?.walk ?? null;
  return (
    <div className="sheet">
      <div className="fields">
        <ContextPicker {...props} />
        <AddressField label="Linear address" value={subject.walkAddress} allowEmpty take={(text) => change({ walkAddress: text })} />
        <label className="field">Access{' '}
          <select value={access} onChange={(event) => setAccess(event.target.value as AccessKind)}>{(['read', 'write', 'fetch'] as const).map((one) => <option key={one}>{one}</option>)}</select>
        </label>
        <label className="field"><input type="checkbox" checked={user} onChange={(event) => setUser(event.target.checked)} /> by user mode</label>
      </div>
      {!valid || walk === null ? <Nothing>{valid ? 'There is no such context at this moment.' : 'Hexadecimal digits, please: 1 to 16 of them.'}</Nothing> : (
        <div className="scroll walk" tabIndex={0} role="group" aria-label="Page walk">
          <Walk walk={walk} access={access} />
          {walk.hostPhysical !== null && walk.memory !== 'nothing' && (
            <p><button type="button" className="small" onClick={() => goTo('memory', { memoryAddress: walk.linear })}>Show this memory</button></p>
          )}
        </div>
      )}
    </div>
  );
}

function Walk({ walk, access }: { walk: WalkResult; access: AccessKind }) {
  return (
    <ol className="walk-steps">
      <li className="walk-end"><span className="name">linear</span> <Hex value={walk.linear} /> <Chips list={[`paging: ${walk.paging}`]} /></li>
      {walk.entries.map((entry) => <Entry key={entry.name} entry={entry} />)}
      {walk.guestPhysical !== null && <li className="walk-end"><span className="name">guest-physical</span> <Hex value={walk.guestPhysical} /> {walk.rights !== '' && <Chips list={[walk.rights]} />}</li>}
      {walk.ept.map((entry) => <Entry key={entry.name} entry={entry} />)}
      {walk.hostPhysical !== null && <li className="walk-end"><span className="name">host-physical</span> <Hex value={walk.hostPhysical} /> <Chips list={[walk.memory ?? '']} /></li>}
      {walk.fault !== null
        ? <li className="walk-fault"><strong>{walk.fault.kind}</strong> {walk.fault.text}{walk.fault.kind === 'EPT violation' && <> (qualification 0x{walk.fault.code.toString(16)})</>}</li>
        : <li className="walk-good">The {access} is permitted.</li>}
    </ol>
  );
}

function Entry({ entry }: { entry: WalkEntry }) {
  return (
    <li className={entry.problem === null ? '' : 'bad'}>
      {entry.through.length > 0 && (
        <details open={entry.through.some((one) => one.problem !== null)}>
          <summary>EPT: guest-physical <code>{entry.address}</code>, {entry.through.length} entries</summary>
          <ol className="walk-steps nested">{entry.through.map((one) => <Entry key={one.name} entry={one} />)}</ol>
        </details>
      )}
      <span className="name">{entry.name}</span> <code>[{entry.index}]</code> {entry.address !== '' && <small>at <code>{entry.address}</code></small>}{' '}
      <Hex value={entry.value} /> <Chips list={[...entry.flags, ...(entry.maps === '' ? [] : [entry.maps])]} />
      {entry.problem !== null && <strong className="problem"> {entry.problem}</strong>}
    </li>
  );
}
