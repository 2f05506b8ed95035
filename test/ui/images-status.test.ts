import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { parseManifest, parseProgress } from '../../src/ui/images-status';
import { Progress } from '../../scripts/images/progress.mjs';

describe('parseManifest', () => {
  it('lists images by the names that configurations use', () => {
    expect(parseManifest('{"version":1,"images":[{"name":"a.cpio","bytes":1,"sha256":"ab"},{"name":"b"}]}'))
      .toEqual(new Map([['images/a.cpio', { bytes: 1, hash: 'ab' }], ['images/b', { bytes: 0, hash: '' }]]));
  });
  it('takes anything else for nothing', () => {
    for (const text of ['', '{', 'null', '[]', '{"images":{}}', '{"images":[1,{"name":2}]}']) expect(parseManifest(text)).toEqual(new Map());
  });
});

describe('parseProgress', () => {
  it('reads what the image build writes', () => {
    const folder = mkdtempSync(join(tmpdir(), 'nestbox-progress-'));
    const path = join(folder, 'progress.json');
    const read = () => parseProgress(readFileSync(path, 'utf8'));
    vi.spyOn(console, 'log').mockImplementation(() => undefined);
    const progress = new Progress(path, 3);
    expect(read()).toBeNull();
    progress.begin('kernel', 2_000_000);
    progress.advance(500_000, 2_000_000);
    expect(read()).toMatchObject({ state: 'running', n: 1, m: 3, stage: 'kernel', bytes: 500_000, total: 2_000_000 });
    progress.end('done', 2_000_000);
    expect(read()).toMatchObject({ state: 'running' });
    progress.finish(false, 'QEMU failed');
    expect(read()).toMatchObject({ state: 'failed', message: 'QEMU failed' });
    progress.finish(true, 'all there');
    expect(read()).toMatchObject({ state: 'done' });
    rmSync(folder, { recursive: true });
  });
  it('leaves out a line that is being written', () => {
    expect(parseProgress('{"n":1,"m":2,"stage":"a","state":"running"}\n{"n":2,"m"')).toMatchObject({ n: 1, stage: 'a' });
    expect(parseProgress('{"n":1')).toBeNull();
  });
});
