/**
 * A serial console: xterm.js between the machine client's bytes and the keyboard. The terminal lives as long as the pane is mounted, whether or
 * not it is visible, so that its scrollback survives.
 */
import { useEffect, useRef, useState } from 'react';
import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';
import type { MachineClient } from './machine-client';
import { followTerminalTheme } from './terminal-theme';
import type { ConsoleName } from '../worker/protocol';

interface Props {
  client: MachineClient;
  name: ConsoleName;
  title: string;
  subtitle: string;
  /** Shown until the first output. */
  empty: string;
}

const SCROLLBACK_LINES = 8000;
const FONT = 'ui-monospace, "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace';
const FONT_SIZE = 13;
/** Keys that a touch keyboard lacks. */
const KEYS = [['Esc', '\x1b'], ['Tab', '\t'], ['Ctrl-C', '\x03'], ['Ctrl-D', '\x04'], ['↑', '\x1b[A'], ['↓', '\x1b[B']] as const;
const encoder = new TextEncoder();

/** Ctrl+Shift+. on any keyboard layout. */
function isLeaveChord(event: KeyboardEvent): boolean {
  return event.ctrlKey && event.shiftKey && !event.altKey && (event.code === 'Period' || event.key === '.');
}

/** Bytes of a binary string (mouse reports). */
function fromBinary(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff);
}

function createTerminal(): Terminal {
  const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)').matches;
  const terminal = new Terminal({
    fontFamily: FONT, fontSize: FONT_SIZE, lineHeight: 1.1, scrollback: SCROLLBACK_LINES, cursorBlink: !reducedMotion,
    cursorInactiveStyle: 'outline', minimumContrastRatio: 4.5, macOptionIsMeta: true,
  });
  terminal.attachCustomKeyEventHandler((event) => !isLeaveChord(event));
  return terminal;
}

export function ConsolePane({ client, name, title, subtitle, empty }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const after = useRef<HTMLParagraphElement>(null);
  const [silent, setSilent] = useState(true);

  useEffect(() => {
    const element = frame.current;
    if (element === null) return undefined;
    const terminal = createTerminal();
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    terminal.open(element);
    terminal.textarea?.setAttribute('aria-label', `${title}. Ctrl+Shift+period leaves this console.`);
    const forgetTheme = followTerminalTheme(terminal);
    terminal.onData((text) => client.type(name, encoder.encode(text)));
    terminal.onBinary((text) => client.type(name, fromBinary(text)));

    let disposed = false;
    const resize = new ResizeObserver(() => {
      // A hidden pane has no size.
      if (!disposed && element.clientWidth > 0 && element.clientHeight > 0) fit.fit();
    });
    resize.observe(element);
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
    return () => {
      disposed = true;
      detach();
      resize.disconnect();
      forgetTheme();
      terminal.dispose();
    };
  }, [client, name, title]);

  return (
    <section
      className={`console ${name}`} aria-label={title}
      onKeyDown={(event) => {
        if (!isLeaveChord(event.nativeEvent)) return;
        event.preventDefault();
        after.current?.focus();
      }}
    >
      <h2><span className={`dot ${name}`} aria-hidden="true" />{title} <small>({subtitle})</small></h2>
      <div className="screen">
        <div className="terminal" ref={frame} data-console={name} />
        {silent && empty !== '' && <p className="empty">{empty}</p>}
      </div>
      <p className="after" ref={after} tabIndex={-1}>Left the {title} console. Tab goes on, Shift+Tab returns.</p>
      <div className="keys" role="group" aria-label={`Keys for ${title}`}>
        {KEYS.map(([label, text]) => <button key={label} type="button" onClick={() => client.type(name, encoder.encode(text))}>{label}</button>)}
      </div>
    </section>
  );
}
