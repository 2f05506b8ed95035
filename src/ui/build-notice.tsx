/** The build of the images behind the page: how far it is, that it failed, or what can be started now that it is done. */
import { useEffect, useState } from 'react';
import { defaultDemo } from './demos';
import type { Demo } from './demos';
import { DEMOS } from './gallery';
import type { BuildProgress, ImagesStatus } from './images-status';

interface Props {
  status: ImagesStatus;
  running: Demo | null;
  choose(demo: Demo): void;
}

export function BuildNotice({ status, running, choose }: Props) {
  const build = status.build;
  /** The build was running while this page was open: only then what it made is news. */
  const [followed, setFollowed] = useState(false);
  const [hidden, setHidden] = useState(false);
  const isRunning = build?.state === 'running';
  useEffect(() => {
    if (isRunning) setFollowed(true);
  }, [isRunning]);
  if (build === null) return null;
  const best = defaultDemo(DEMOS, status.images);
  const news = followed && running !== null && running.files.length === 0 && best.files.length > 0 ? best : null;
  if ((build.state === 'done' && news === null) || (build.state === 'failed' && hidden)) return null;
  return (
    <section className="notice build" aria-label="Images">
      {build.state === 'running' && <p>{runningText(build)}</p>}
      {build.state === 'running' && <progress aria-label="Image build" value={stepsDone(build)} max={build.m} />}
      {build.state === 'failed' && <p>The images could not all be built: {build.message === '' ? 'see the terminal of npm start' : build.message}</p>}
      {build.state === 'failed' && <button type="button" onClick={() => setHidden(true)}>Dismiss</button>}
      {build.state === 'done' && <p>The Linux images are ready.</p>}
      {news !== null && <button type="button" onClick={() => choose(news)}>Start “{news.title}”</button>}
    </section>
  );
}

function runningText(build: BuildProgress): string {
  const size = build.total > 0 ? ` ${(build.bytes / 1e6).toFixed(1)}/${(build.total / 1e6).toFixed(1)} MB` : '';
  return `Building the Linux images, step ${build.n} of ${build.m}: ${build.stage}${size}. Their demos appear in the list when they are ready.`;
}

/** Steps, with the part of the present one that is done. */
function stepsDone(build: BuildProgress): number {
  return build.n - 1 + (build.total > 0 ? Math.min(1, build.bytes / build.total) : 0);
}
