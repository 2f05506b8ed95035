/** Light, dark, or as the system has it: an attribute of the document, which the colours of page.css follow. */
import { getSettings, subscribeSettings } from './settings';

const systemDark = matchMedia('(prefers-color-scheme: dark)');

export function isDark(): boolean {
  const { theme } = getSettings();
  return theme === 'dark' || (theme === 'system' && systemDark.matches);
}

/** Calls back now, and whenever the theme changes; returns how to stop. */
export function followTheme(apply: (dark: boolean) => void): () => void {
  const changed = (): void => apply(isDark());
  changed();
  systemDark.addEventListener('change', changed);
  const forget = subscribeSettings(changed);
  return () => {
    systemDark.removeEventListener('change', changed);
    forget();
  };
}

/** Keeps the document's colours and the size of code in line with the setting, for as long as the page lives. */
export function applyTheme(): void {
  followTheme(() => {
    const { theme, fontSize } = getSettings();
    document.documentElement.dataset.theme = theme;
    document.documentElement.style.setProperty('--code-size', `${fontSize}px`);
  });
}
