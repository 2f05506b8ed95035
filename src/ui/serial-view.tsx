/**
 * A serial console: xterm.js between the machine client's bytes and the keyboard, with search, copy, paste, and keys that a touch keyboard
 * lacks. The terminal lives as long as the view is mounted, whether or not it is visible, so that its scrollback survives.
 */
import { useEffect, useRef, useState } from 'react';
import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';
import { Icon } from './icons';
import { KeyBar } from './key-bar';
import { isLeaveChord } from './leave-chord';
import type { MachineClient, MachineSnapshot } from './machine-client';
import { changeSettings, clamp, FONT_SIZES, getSettings, subscribeSettings } from './settings';
import { SearchBar } from './search-bar';
import { TerminalSearch } from './terminal-search';
import { followTerminalTheme } from './terminal-theme';
import type { ConsoleName } from '../worker/protocol';

interface Props {
  client: MachineClient;
  machine: MachineSnapshot;
  name: ConsoleName;
  title: string;
  /** Shown until the first output. */
  empty: string;
  visible: boolean;
}

const SCROLLBACK_LINES = 8000;
const FONT = 'ui-monospace, "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace';
const encoder = new TextEncoder();

/** Bytes of a binary string (mouse reports). */
function fromBinary(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff);
}

function createTerminal(): Terminal {
  const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)').matches;
  return new Terminal({
    fontFamily: FONT, fontSize: getSettings().fontSize, lineHeight: 1.1, scrollback: SCROLLBACK_LINES, cursorBlink: !reducedMotion,
    cursorInactiveStyle: 'outline', minimumContrastRatio: 4.5, macOptionIsMeta: true,
    screenReaderMode: getSettings().screenReader,
  });
}

interface Attached {
  terminal: Terminal;
  search: TerminalSearch;
}

export function SerialView({ client, machine, name, title, empty, visible }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const after = useRef<HTMLParagraphElement>(null);
  const [silent, setSilent] = useState(true);
  const [attached, setAttached] = useState<Attached | null>(null);
  const [searching, setSearching] = useState(false);
  const [remark, setRemark] = useState('');

  useEffect(() => {
    const element = frame.current;
    if (element === null) return undefined;
    const terminal = createTerminal();
    const fit = new FitAddon(), search = new TerminalSearch(terminal);
    terminal.loadAddon(fit);
    terminal.open(element);
    terminal.textarea?.setAttribute('aria-label', `${title}. Ctrl+Shift+period leaves this console.`);
    terminal.attachCustomKeyEventHandler((event) => {
      // Ctrl+Shift+C and V are the terminal's, Ctrl+C is the guest's.
      if (event.type === 'keydown' && event.ctrlKey && event.shiftKey && event.code === 'KeyC' && terminal.hasSelection()) {
        event.preventDefault();
        void navigator.clipboard?.writeText(terminal.getSelection());
        return false;
      }
      if (event.ctrlKey && event.shiftKey && (event.code === 'KeyV' || event.code === 'KeyF')) {
        if (event.code === 'KeyF') {
          event.preventDefault();
          if (event.type === 'keydown') setSearching(true);
        }
        return false;
      }
      return !isLeaveChord(event);
    });
    terminal.onData((text) => client.type(name, encoder.encode(text)));
    terminal.onBinary((text) => client.type(name, fromBinary(text)));
    const forgetTheme = followTerminalTheme(terminal);

    let disposed = false;
    const refit = (): void => {
      // A hidden pane has no size.
      if (!disposed && element.clientWidth > 0 && element.clientHeight > 0) fit.fit();
    };
    const resize = new ResizeObserver(refit);
    resize.observe(element);
    const forgetSettings = subscribeSettings(() => {
      terminal.options.screenReaderMode = getSettings().screenReader;
      if (terminal.options.fontSize === getSettings().fontSize) return;
      terminal.options.fontSize = getSettings().fontSize;
      refit();
    });
    const detach = client.attachConsole(name, {
      write(bytes, displayed) {
        setSilent(false);
        terminal.write(bytes, displayed);
      },
      clear() {
        setSilent(true);
        terminal.reset();
      },
    });
    setAttached({ terminal, search });
    return () => {
      disposed = true;
      setAttached(null);
      detach();
      resize.disconnect();
      forgetTheme();
      forgetSettings();
      terminal.dispose();
    };
  }, [client, name, title]);

  /** The selection, or everything. */
  const copy = async (): Promise<void> => {
    if (attached === null) return;
    const { terminal } = attached;
    const chosen = terminal.hasSelection();
    try {
      await navigator.clipboard.writeText(chosen ? terminal.getSelection() : wholeText(terminal));
      setRemark(chosen ? 'Selection copied' : 'All text copied');
    } catch {
      setRemark('Copying is not allowed here: select, then Ctrl+C in the browser’s menu');
    }
  };
  const paste = async (): Promise<void> => {
    try {
      attached?.terminal.paste(await navigator.clipboard.readText());
      attached?.terminal.focus();
    } catch {
      setRemark('Pasting by button is not allowed here: use Ctrl+Shift+V');
    }
  };
  const resizeFont = (by: number): void => changeSettings({ fontSize: clamp(getSettings().fontSize + by, FONT_SIZES.least, FONT_SIZES.most) });
  const type = (text: string): void => {
    client.type(name, encoder.encode(text));
    attached?.terminal.focus();
  };

  return (
    <div
      className="serial"
      onKeyDown={(event) => {
        if (!isLeaveChord(event.nativeEvent)) return;
        event.preventDefault();
        after.current?.focus();
      }}
    >
      <div className="screen">
        <div className="terminal" ref={frame} data-console={name} />
        {silent && empty !== '' && machine.status !== 'failed' && <p className="empty">{empty}</p>}
      </div>
      <p className="after" ref={after} tabIndex={-1}>Left the {title} console. Tab goes on, Shift+Tab returns.</p>
      {searching && attached !== null && visible && (
        <SearchBar
          title={title} search={attached.search}
          close={() => {
            setSearching(false);
            attached.search.clear();
            attached.terminal.focus();
          }}
        />
      )}
      <div className="view-tools" role="group" aria-label={`Tools of ${title}`}>
        <span role="status" className="remark">{remark}</span>
        <button type="button" className="tool" aria-label={`Search in ${title}`} title="Search (Ctrl+Shift+F)" aria-expanded={searching} onClick={() => setSearching(!searching)}><Icon name="search" /></button>
        <button type="button" className="tool" aria-label={`Copy from ${title}`} title="Copy the selection, or everything" onClick={() => void copy()}><Icon name="copy" /></button>
        <button type="button" className="tool" aria-label={`Paste into ${title}`} title="Paste (Ctrl+Shift+V); typed as fast as the serial line takes it" onClick={() => void paste()}><Icon name="paste" /></button>
        <button type="button" className="tool" aria-label="Smaller text" title="Smaller text" onClick={() => resizeFont(-1)}><Icon name="smaller" /></button>
        <button type="button" className="tool" aria-label="Larger text" title="Larger text" onClick={() => resizeFont(1)}><Icon name="larger" /></button>
      </div>
      <KeyBar title={title} type={type} />
    </div>
  );
}

/** What the terminal holds, scrollback included, without empty lines at the end. */
function wholeText(terminal: Terminal): string {
  const buffer = terminal.buffer.active;
  let text = '';
  for (let row = 0; row < buffer.length; row++) {
    const line = buffer.getLine(row);
    text += `${line?.isWrapped === true || row === 0 ? '' : '\n'}${line?.translateToString(true) ?? ''}`;
  }
  return text.trimEnd();
}
