/** How the page looks, and what its keys are. */
import { changeSettings, clamp, FONT_SIZES, useSettings } from '../settings';
import type { Theme } from '../settings';
import { Dialog } from './dialog';

const THEMES: readonly (readonly [Theme, string])[] = [['system', 'as the system'], ['light', 'light'], ['dark', 'dark']];
const KEYS: readonly (readonly [string, string])[] = [
  ['Ctrl+Shift+.', 'leave a console or an editor'],
  ['Ctrl+Shift+F', 'search in the console that has the focus'],
  ['Ctrl+Shift+C, Ctrl+Shift+V', 'copy and paste in a console; Ctrl+C goes to the guest'],
  ['Ctrl+Enter, Ctrl+S', 'run what is in the editor'],
  ['arrows on a bar between panes', 'move it; Enter puts it back'],
];

export function SettingsDialog({ open, close }: { open: boolean; close(): void }) {
  const settings = useSettings();
  return (
    <Dialog title="Settings and keys" open={open} close={close} className="settings">
      <fieldset>
        <legend>Theme</legend>
        {THEMES.map(([theme, name]) => (
          <label key={theme} className="option"><input type="radio" name="theme" checked={settings.theme === theme} onChange={() => changeSettings({ theme })} /> {name}</label>
        ))}
      </fieldset>
      <label className="option">
        Font size of consoles and editors <input
          type="number" min={FONT_SIZES.least} max={FONT_SIZES.most} value={settings.fontSize}
          onChange={(event) => {
            const size = Number(event.currentTarget.value);
            if (size >= FONT_SIZES.least && size <= FONT_SIZES.most) changeSettings({ fontSize: clamp(size, FONT_SIZES.least, FONT_SIZES.most) });
          }}
        />
      </label>
      <label className="option">
        <input type="checkbox" checked={settings.screenReader} onChange={(event) => changeSettings({ screenReader: event.currentTarget.checked })} /> consoles for screen readers
      </label>
      <h3>Keys</h3>
      <dl className="key-list">{KEYS.map(([key, what]) => <div key={key}><dt><kbd>{key}</kbd></dt><dd>{what}</dd></div>)}</dl>
    </Dialog>
  );
}
