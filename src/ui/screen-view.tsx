/**
 * A VGA screen: the picture on a canvas in whole multiples of its pixels, the text of text modes over it for selection, keys by position, the mouse while it is
 * captured. Keys go to the machine's keyboard only while the screen has the focus; Ctrl+Shift+. leaves it.
 */
import { useEffect, useRef, useState } from 'react';
import type { KeyboardEvent, MouseEvent, WheelEvent } from 'react';
import { CP437 } from '../devices/vga/cp437';
import type { TextScreen } from '../devices/vga/text-screen';
import { Icon } from './icons';
import { KeyBar } from './key-bar';
import { isLeaveChord } from './leave-chord';
import type { MachineClient, MachineSnapshot } from './machine-client';
import { keysOfText } from './screen-keys';
import type { ScreenId } from '../worker/protocol';
import './screen-view.css';

interface Props {
  client: MachineClient;
  machine: MachineSnapshot;
  screen: ScreenId;
  title: string;
  /** Shown while there is no picture. */
  empty: string;
  visible: boolean;
}

interface Size {
  width: number;
  height: number;
}

/** What the canvas shows, in pixels of the picture and of the page. */
interface Picture extends Size {
  scale: number;
}

const CTRL_ALT_DELETE = ['ControlLeft', 'AltLeft', 'Delete'];

/** The largest whole multiple in device pixels that fits; less than 1 only where the picture does not fit at all. */
function scaleFor(picture: Size, room: Size): number {
  const ratio = devicePixelRatio;
  const fits = Math.min((room.width * ratio) / picture.width, (room.height * ratio) / picture.height);
  return fits >= 1 ? Math.floor(fits) / ratio : Math.max(fits, 0.1) / ratio;
}

function linesOf(text: TextScreen): string {
  let lines = '';
  for (let row = 0; row < text.rows; row++) {
    let line = '';
    for (let column = 0; column < text.columns; column++) line += CP437[text.cells[row * text.columns + column] & 0xff];
    lines += `${line.trimEnd()}\n`;
  }
  return lines;
}

export function ScreenView({ client, machine, screen, title, empty, visible }: Props) {
  const room = useRef<HTMLDivElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const after = useRef<HTMLParagraphElement>(null);
  const [picture, setPicture] = useState<Picture | null>(null);
  const [text, setText] = useState<{ lines: string; columns: number; rows: number } | null>(null);
  const [captured, setCaptured] = useState(false);
  const [remark, setRemark] = useState('');
  const held = useRef(new Set<string>());

  // Pictures come only while the screen is visible.
  useEffect(() => {
    const target = canvas.current, frame = room.current;
    if (target === null || frame === null || !visible) return undefined;
    const context = target.getContext('2d');
    const steady = matchMedia('(prefers-reduced-motion: reduce)').matches;
    const size: Size = { width: 0, height: 0 };
    const fit = (): void => {
      if (size.width > 0 && frame.clientWidth > 0) setPicture({ ...size, scale: scaleFor(size, { width: frame.clientWidth, height: frame.clientHeight }) });
    };
    const stop = client.watchScreen(screen, {
      show({ width, height, top, pixels, text: shown }) {
        if (width !== size.width || height !== size.height) {
          target.width = size.width = width;
          target.height = size.height = height;
          fit();
        }
        const rows = pixels.length / width;
        context?.putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), width, rows), 0, top);
        // A selection would be lost with the text under it.
        if (document.getSelection()?.containsNode(target.parentElement ?? target, true) === true && document.getSelection()?.isCollapsed === false) return;
        const lines = shown === null ? '' : linesOf(shown);
        setText((before) => (shown === null ? null : before?.lines === lines ? before : { lines, columns: shown.columns, rows: shown.rows }));
      },
      clear() {
        size.width = size.height = 0;
        setPicture(null);
        setText(null);
      },
    }, steady);
    const resize = new ResizeObserver(fit);
    resize.observe(frame);
    return () => {
      stop();
      resize.disconnect();
    };
  }, [client, screen, visible]);

  useEffect(() => {
    const changed = (): void => setCaptured(document.pointerLockElement === box.current && box.current !== null);
    document.addEventListener('pointerlockchange', changed);
    return () => document.removeEventListener('pointerlockchange', changed);
  }, []);

  const press = (codes: readonly string[]): void => {
    for (const code of codes) client.key(screen, code, true);
    for (const code of codes.toReversed()) client.key(screen, code, false);
  };
  const release = (): void => {
    for (const code of held.current) client.key(screen, code, false);
    held.current.clear();
  };
  const key = (event: KeyboardEvent, down: boolean): void => {
    if (isLeaveChord(event.nativeEvent)) {
      event.preventDefault();
      release();
      if (document.pointerLockElement !== null) document.exitPointerLock();
      after.current?.focus();
      return;
    }
    if (event.code === '' || (event.ctrlKey && event.shiftKey && event.code === 'KeyC')) return;
    event.preventDefault();
    event.stopPropagation();
    if (down) held.current.add(event.code);
    else if (!held.current.delete(event.code)) return;
    client.key(screen, event.code, down);
  };
  const mouse = (event: MouseEvent, dz: number): void => {
    if (!captured) return;
    event.preventDefault();
    client.mouse(screen, dz === 0 ? event.movementX : 0, dz === 0 ? -event.movementY : 0, dz, event.buttons & 7);
  };

  const capture = async (): Promise<void> => {
    try {
      await box.current?.requestPointerLock();
      box.current?.focus();
      setRemark('The mouse is the machine’s: Esc gives it back');
    } catch {
      setRemark('This browser does not let the mouse be captured');
    }
  };
  const fullscreen = async (): Promise<void> => {
    try {
      await (document.fullscreenElement === null ? room.current?.requestFullscreen() : document.exitFullscreen());
      box.current?.focus();
    } catch {
      setRemark('This browser does not allow full screen here');
    }
  };
  const screenshot = (): void => {
    canvas.current?.toBlob((blob) => {
      if (blob === null) return;
      const link = document.createElement('a');
      link.href = URL.createObjectURL(blob);
      link.download = `${machine.demo?.name ?? 'nestbox'}-${screen === 0 ? 'l1' : `guest-${screen}`}.png`;
      link.click();
      URL.revokeObjectURL(link.href);
    });
  };
  const copy = async (): Promise<void> => {
    const selection = document.getSelection()?.toString() ?? '';
    try {
      await navigator.clipboard.writeText(selection === '' ? text?.lines ?? '' : selection);
      setRemark(selection === '' ? 'All text copied' : 'Selection copied');
    } catch {
      setRemark('Copying is not allowed here');
    }
  };

  const style = picture === null ? {} : { width: picture.width * picture.scale, height: picture.height * picture.scale };
  return (
    <div className="vga" data-screen={screen}>
      <div className="vga-room" ref={room}>
        <div
          ref={box} className="vga-box" style={style} tabIndex={0} role="application" hidden={picture === null}
          aria-label={`${title}. Keys go to its keyboard; Ctrl+Shift+period leaves this screen.`} data-captured={captured} data-shrunk={picture !== null && picture.scale * devicePixelRatio < 1}
          onKeyDown={(event) => key(event, true)} onKeyUp={(event) => key(event, false)} onBlur={release}
          onMouseMove={(event) => mouse(event, 0)} onMouseDown={(event) => mouse(event, 0)} onMouseUp={(event) => mouse(event, 0)}
          onWheel={(event: WheelEvent) => mouse(event, Math.sign(event.deltaY))} onContextMenu={(event) => captured && event.preventDefault()}
        >
          <canvas ref={canvas} className="vga-canvas" />
          {text !== null && picture !== null && <TextLayer lines={text.lines} columns={text.columns} rows={text.rows} picture={picture} title={title} />}
        </div>
        {picture === null && machine.status !== 'failed' && <p className="empty">{empty}</p>}
      </div>
      <p className="after" ref={after} tabIndex={-1}>Left {title}. Tab goes on, Shift+Tab returns.</p>
      <div className="view-tools" role="group" aria-label={`Tools of ${title}`}>
        <span role="status" className="remark">{remark}</span>
        <button type="button" className="tool wide" aria-label={`Ctrl-Alt-Delete on ${title}`} title="Press Ctrl-Alt-Delete" onClick={() => press(CTRL_ALT_DELETE)}>C-A-D</button>
        <button type="button" className="tool" aria-label={`Copy text of ${title}`} title="Copy the selection, or all text" disabled={text === null} onClick={() => void copy()}><Icon name="copy" /></button>
        <button type="button" className="tool" aria-label={`Screenshot of ${title}`} title="Save the picture" disabled={picture === null} onClick={screenshot}><Icon name="camera" /></button>
        <button type="button" className="tool" aria-label={`Mouse of ${title}`} title="Capture the mouse (Esc gives it back)" disabled={picture === null} onClick={() => void capture()}><Icon name="mouse" /></button>
        <button type="button" className="tool" aria-label={`Full screen for ${title}`} title="Full screen" disabled={picture === null} onClick={() => void fullscreen()}><Icon name="expand" /></button>
      </div>
      <KeyBar title={title} type={(typed) => keysOfText(typed).forEach(press)} />
    </div>
  );
}

/** The text of a text mode, invisible, character over character on its picture. */
function TextLayer({ lines, columns, rows, picture, title }: { lines: string; columns: number; rows: number; picture: Picture; title: string }) {
  const cellWidth = (picture.width * picture.scale) / columns, cellHeight = (picture.height * picture.scale) / rows;
  const fontSize = cellHeight * 0.8;
  return (
    <pre
      className="vga-text" aria-label={`Text on ${title}`}
      style={{ fontSize, lineHeight: `${cellHeight}px`, letterSpacing: cellWidth - characterWidth() * fontSize }}
    >{lines}</pre>
  );
}

const TEXT_FONT = 'monospace';
let measured = 0;

/** Width of a character of the text layer's font, as a part of the font's size. */
function characterWidth(): number {
  if (measured === 0) {
    const context = document.createElement('canvas').getContext('2d');
    if (context === null) return 0.6;
    context.font = `100px ${TEXT_FONT}`;
    measured = context.measureText('0').width / 100;
  }
  return measured;
}
