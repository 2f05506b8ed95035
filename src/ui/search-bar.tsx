/** Search in a console: Enter finds the next hit upwards, Shift+Enter the one below, Escape closes. */
import { useEffect, useRef, useState } from 'react';
import { Icon } from './icons';
import type { TerminalSearch } from './terminal-search';

interface Props {
  title: string;
  search: TerminalSearch;
  close(): void;
}

export function SearchBar({ title, search, close }: Props) {
  const field = useRef<HTMLInputElement>(null);
  const [text, setText] = useState('');
  const [result, setResult] = useState('');
  useEffect(() => field.current?.focus(), []);
  const find = (what: string, forward: boolean): void => {
    const { index, count } = search.find(what, forward);
    setResult(what === '' ? '' : count === 0 ? 'none' : `${index + 1} of ${count}`);
  };
  return (
    <div
      className="search-bar" role="search"
      onKeyDown={(event) => {
        if (event.key === 'Escape') close();
        else if (event.key === 'Enter' && event.target === field.current) find(text, event.shiftKey);
      }}
    >
      <input
        ref={field} type="search" aria-label={`Text to find in ${title}`} placeholder="Find" value={text}
        onChange={(event) => {
          setText(event.currentTarget.value);
          find(event.currentTarget.value, false);
        }}
      />
      <span role="status">{result}</span>
      <button type="button" className="tool" aria-label="Previous" title="Previous (Enter)" onClick={() => find(text, false)}><Icon name="up" /></button>
      <button type="button" className="tool" aria-label="Next" title="Next (Shift+Enter)" onClick={() => find(text, true)}><Icon name="down" /></button>
      <button type="button" className="tool" aria-label="Close search" title="Close (Escape)" onClick={close}><Icon name="close" /></button>
    </div>
  );
}
