/** The build of the images behind the page: how far it is, that it failed, or what can be started now that it is done. */
import { useEffect, useState } from 'react';
import { defaultDemo } from './demos';
import type { Demo } from './demos';
import { DEMOS } from './gallery';
import type { ImagesStatus } from './images-status';

interface Props {
  status: ImagesStatus;
  running: Demo | null;
  choose(demo: Demo): void;
}

export function BuildNotice({ status, running, choose }: Props) {
  const build = status.build;
  /** The build was running while this page was open: only then its end is news. */
  const [followed, setFollowed] = useState(false);
  const isRunning = build?.state === 'running';
  useEffect(() => {
    if (isRunning) setFollowed(true);
  }, [isRunning]);
  if (build === null) return null;
  if (build.state === 'running') {
    const step = build.total > 0 ? ` ${(build.bytes / 1e6).toFixed(1)}/${(build.total / 1e6).toFixed(1)} MB` : '';
    const done = build.n - 1 + (build.total > 0 ? Math.min(1, build.bytes / build.total) : 0);
    return (
      <div className="notice build">
        <p>Building the Linux images, step {build.n} of {build.m}: {build.stage}{step}. Their demos appear in the list when they are ready.</p>
        <progress aria-label="Image build" value={done} max={build.m} />
      </div>
    );
  }
  if (build.state === 'failed') {
    return <div className="notice build"><p>The images could not all be built: {build.message === '' ? 'see the terminal of npm start' : build.message}</p></div>;
  }
  const best = defaultDemo(DEMOS, status.images);
  if (!followed || running === null || best.name === running.name || best.files.length === 0) return null;
  return (
    <div className="notice build">
      <p>The Linux images are ready.</p>
      <button type="button" onClick={() => choose(best)}>Start “{best.title}”</button>
    </div>
  );
}
