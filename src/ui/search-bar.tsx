/** Search in a console: Enter finds the next hit upwards, Shift+Enter the one below, Escape closes. */
import { useEffect, useRef, useState } from 'react';
import type { ISearchOptions, SearchAddon } from '@xterm/addon-search';
import { Icon } from './icons';

interface Props {
  title: string;
  search: SearchAddon;
  close(): void;
}

const OPTIONS: ISearchOptions = {
  decorations: {
    matchBackground: '#8a6d1f', activeMatchBackground: '#c98a00', matchOverviewRuler: '#8a6d1f', activeMatchColorOverviewRuler: '#c98a00',
  },
};

export function SearchBar({ title, search, close }: Props) {
  const field = useRef<HTMLInputElement>(null);
  const [text, setText] = useState('');
  const [result, setResult] = useState('');
  useEffect(() => {
    field.current?.focus();
    const listener = search.onDidChangeResults(({ resultIndex, resultCount }) => setResult(resultCount === 0 ? 'none' : `${resultIndex + 1} of ${resultCount}`));
    return () => listener.dispose();
  }, [search]);
  const find = (what: string, forward: boolean): void => {
    if (what === '') search.clearDecorations();
    else if (forward) search.findNext(what, OPTIONS);
    else search.findPrevious(what, OPTIONS);
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
          setText(event.target.value);
          find(event.target.value, false);
        }}
      />
      <span role="status">{text === '' ? '' : result}</span>
      <button type="button" className="tool" aria-label="Previous" title="Previous (Enter)" onClick={() => find(text, false)}><Icon name="up" /></button>
      <button type="button" className="tool" aria-label="Next" title="Next (Shift+Enter)" onClick={() => find(text, true)}><Icon name="down" /></button>
      <button type="button" className="tool" aria-label="Close search" title="Close (Escape)" onClick={close}><Icon name="close" /></button>
    </div>
  );
}
