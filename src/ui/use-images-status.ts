/** What the server has, for as long as a part of the page wants to know. */
import { useEffect, useState } from 'react';
import { fetchImagesStatus } from './images-status';
import type { ImagesStatus } from './images-status';

const POLL_MS = 2000;

/** Null until it is known. Asked again while a build is running. */
export function useImagesStatus(): ImagesStatus | null {
  const [status, setStatus] = useState<ImagesStatus | null>(null);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let live = true;
    const ask = async (): Promise<void> => {
      const answer = await fetchImagesStatus();
      if (!live) return;
      setStatus(answer);
      if (answer.build?.state === 'running') timer = setTimeout(() => void ask(), POLL_MS);
    };
    void ask();
    return () => {
      live = false;
      clearTimeout(timer);
    };
  }, []);
  return status;
}
