/** Whether the screen is too narrow for panes beside each other; the same width as in page.css. */
import { useSyncExternalStore } from 'react';

const query = '(max-width: 760px)';

export function useNarrow(): boolean {
  return useSyncExternalStore(
    (changed) => {
      const media = matchMedia(query);
      media.addEventListener('change', changed);
      return () => media.removeEventListener('change', changed);
    },
    () => matchMedia(query).matches,
  );
}
