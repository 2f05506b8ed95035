/** Memory in hexadecimal and as text: by linear, guest-physical or host-physical address. */
import { useState } from 'react';
import type { AddressSpace } from '../../observe/memory-view';
import { AddressField, ContextPicker, Nothing, isAddress } from './shared';
import type { TabProps } from './shared';
import { useInspection } from './use-inspection';

const ROWS = 32, ROW_BYTES = 16, PAGE_BYTES = ROWS * ROW_BYTES;
const SPACES: { value: AddressSpace; text: string }[] = [
  { value: 'linear', text: 'linear' }, { value: 'guestPhysical', text: 'guest-physical' }, { value: 'hostPhysical', text: 'host-physical' },
];
const WRAP = 1n << 64n;

function parse(text: string): bigint {
  return BigInt(`0x${text.replace(/^0x/i, '').replaceAll(/[_`\s]/g, '')}`);
}

function digits(value: bigint): string {
  return (((value % WRAP) + WRAP) % WRAP).toString(16).padStart(16, '0');
}

export function MemoryTab(props: TabProps) {
  const { client, machine, visible, subject, change } = props;
  const [space, setSpace] = useState<AddressSpace>('linear');
  const address = subject.memoryAddress;
  const valid = isAddress(address, false);
  const start = valid ? parse(address) - (parse(address) % BigInt(ROW_BYTES)) : 0n;
  const answer = useInspection(client, machine, visible && valid ? { ask: 'memory', context: subject.context, space, address: digits(start), length: PAGE_BYTES } : null);
  const bytes = answer?.bytes ?? null;
  const move = (by: number): void => change({ memoryAddress: digits(start + BigInt(by)) });
  return (
    <div className="sheet">
      <div className="fields">
        <ContextPicker {...props} />
        <label className="field">Space{' '}
          <select value={space} onChange={(event) => setSpace(event.target.value as AddressSpace)}>{SPACES.map(({ value, text }) => <option key={value} value={value}>{text}</option>)}</select>
        </label>
        <AddressField label="Address" value={address} allowEmpty={false} take={(text) => change({ memoryAddress: text })} />
        <button type="button" className="small" disabled={!valid} onClick={() => move(-PAGE_BYTES)} aria-label="512 bytes back">◂ 200h</button>
        <button type="button" className="small" disabled={!valid} onClick={() => move(PAGE_BYTES)} aria-label="512 bytes on">200h ▸</button>
      </div>
      {!valid || bytes === null ? <Nothing>{valid ? 'There is no such context at this moment.' : 'Hexadecimal digits, please: 1 to 16 of them.'}</Nothing> : (
        <div className="scroll memory" tabIndex={0} role="group" aria-label="Memory">
          {Array.from({ length: ROWS }, (_, row) => <Row key={row} place={digits(start + BigInt(row * ROW_BYTES))} bytes={bytes.subarray(row * ROW_BYTES, (row + 1) * ROW_BYTES)} />)}
        </div>
      )}
    </div>
  );
}

function Row({ place, bytes }: { place: string; bytes: Int16Array }) {
  const list = [...bytes];
  const hex = list.map((byte) => (byte < 0 ? '··' : byte.toString(16).padStart(2, '0')));
  return (
    <div className="memory-row">
      <code className="place">{place}</code>
      <code className="half">{hex.slice(0, 8).join(' ')}</code>
      <code className="half">{hex.slice(8).join(' ')}</code>
      <code className="text">{list.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : byte < 0 ? ' ' : '.')).join('')}</code>
    </div>
  );
}
