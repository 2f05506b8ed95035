/** Terminal colours of the light and the dark theme; contrast is at least 4.5:1 throughout (xterm corrects what falls short). */
import type { ITheme, Terminal } from '@xterm/xterm';
import { followTheme } from './theme';

const DARK: ITheme = {
  background: '#0d1517', foreground: '#d5dfe0', cursor: '#f0b429', cursorAccent: '#0d1517', selectionBackground: '#2c5560',
  black: '#22303a', red: '#f0716b', green: '#7cc47f', yellow: '#e5b84f', blue: '#6fb0f0', magenta: '#cf93e0', cyan: '#58c4b8', white: '#d5dfe0',
  brightBlack: '#71858c', brightRed: '#ff938c', brightGreen: '#9ddf9f', brightYellow: '#ffd675', brightBlue: '#98c8ff', brightMagenta: '#e4b4f0',
  brightCyan: '#86e0d5', brightWhite: '#ffffff',
};

const LIGHT: ITheme = {
  background: '#fcfdfc', foreground: '#1d2b2e', cursor: '#a86500', cursorAccent: '#fcfdfc', selectionBackground: '#bfe0dc',
  black: '#1d2b2e', red: '#b3261e', green: '#27692b', yellow: '#7d5700', blue: '#1a5fa8', magenta: '#86359c', cyan: '#0b6e66', white: '#8d9a9c',
  brightBlack: '#5a6a6e', brightRed: '#c93f37', brightGreen: '#317d36', brightYellow: '#8f6400', brightBlue: '#2a72c2', brightMagenta: '#9a45b2',
  brightCyan: '#128078', brightWhite: '#1d2b2e',
};

/** Gives the terminal the page's theme, now and whenever it changes; returns how to stop. */
export function followTerminalTheme(terminal: Terminal): () => void {
  return followTheme((dark) => {
    terminal.options.theme = dark ? DARK : LIGHT;
  });
}
