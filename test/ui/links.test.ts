/**
 * Links: round trips, refusals, and the collection in links/*.txt, which holds for ever: each file is a link that some version made, then an empty line,
 * then what it means as JSON. Never change these files; add new ones.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeDemo } from '../../src/ui/demos';
import { describeLink, linkOf } from '../../src/ui/links/description';
import { EMPTY_LINK, fromBase64url, isEmbedded, readLink, toBase64url, writeLink } from '../../src/ui/links/link';
import type { Link } from '../../src/ui/links/link';

const COLLECTION = join(import.meta.dirname, 'links');

/** A link as plain data. */
function plain(link: Link): unknown {
  return { ...link, files: link.files.map(({ name, bytes }) => ({ name, text: String.fromCharCode(...bytes) })) };
}

function read(hash: string): Link {
  const result = readLink(hash);
  if (!result.ok) throw new Error(result.reason);
  return result.link;
}

describe('the collection', () => {
  const names = readdirSync(COLLECTION);
  it('is not empty', () => {
    expect(names.length).toBeGreaterThanOrEqual(14);
  });
  it.each(names)('%s means what it always meant', (name) => {
    const [hash, ...meaning] = readFileSync(join(COLLECTION, name), 'utf8').split('\n\n');
    const wanted: unknown = JSON.parse(meaning.join('\n\n'));
    const result = readLink(hash.trim());
    expect(result.ok ? plain(result.link) : { ok: false, newer: result.newer }).toEqual(wanted);
  });
});

describe('links', () => {
  it('come back as they were', async () => {
    const word = fc.string({ unit: 'grapheme' });
    const link: fc.Arbitrary<Link> = fc.record({
      demo: fc.option(word), changes: word, config: fc.option(word), lesson: fc.option(word), paused: fc.boolean(),
      sources: fc.record({ l1: word, l2: word }, { requiredKeys: [] }),
      files: fc.array(fc.record({ name: word, bytes: fc.uint8Array().map((bytes) => Uint8Array.from(bytes)) }), { maxLength: 3 }),
      open: fc.array(fc.stringMatching(/^[a-z]+$/), { maxLength: 3 }),
    });
    await fc.assert(fc.asyncProperty(link, async (one) => {
      expect(read(await writeLink(one))).toEqual(one);
    }));
    expect(read('')).toEqual(EMPTY_LINK);
  });

  it('are short', async () => {
    expect(await writeLink({ ...EMPTY_LINK, demo: 'builtin' })).toBe('#demo=builtin');
    expect(await writeLink({ ...EMPTY_LINK, demo: 'builtin', paused: true, open: ['inspector', 'log'] })).toBe('#v=1&demo=builtin&paused=1&open=inspector,log');
    expect((await writeLink({ ...EMPTY_LINK, demo: 'kvm-amd64', changes: 'memory = 512' })).length).toBeLessThan(80);
    expect(toBase64url(Uint8Array.of(251, 255, 254))).toBe('-__-');
    expect([...fromBase64url('-__-')]).toEqual([251, 255, 254]);
  });

  it('that are newer or damaged say so', async () => {
    expect(readLink('#v=2&demo=builtin')).toMatchObject({ ok: false, newer: true, reason: expect.stringContaining('version 2') as string });
    expect(readLink('#v=x')).toMatchObject({ ok: false, newer: false, reason: expect.stringContaining('no number') as string });
    expect(readLink('#demo=builtin&colour=red')).toMatchObject({ ok: false, reason: expect.stringContaining('“colour”') as string });
    const whole = await writeLink({ ...EMPTY_LINK, config: 'kernel = "builtin"\n'.repeat(20), demo: null });
    for (const cut of [whole.slice(0, -5), whole.slice(0, 20), `${whole}!`, '#x=AAAA', '#x=']) {
      expect(readLink(cut), cut).toMatchObject({ ok: false, newer: false, reason: expect.stringContaining('cannot be read') as string });
    }
  });

  it('cannot unfold to more than memory holds', async () => {
    const bomb = await writeLink({ ...EMPTY_LINK, config: ' '.repeat(9 << 20) });
    expect(bomb.length).toBeLessThan(20_000);
    expect(readLink(bomb)).toMatchObject({ ok: false, reason: expect.stringContaining('too much') as string });
  });

  it('know when they are embedded', () => {
    expect([isEmbedded('?embed'), isEmbedded('?embed=1&x'), isEmbedded(''), isEmbedded('?x=embed')]).toEqual([true, true, false, false]);
  });
});

describe('machines of links', () => {
  const builtin = makeDemo('builtin', 'kernel = "builtin"\nmemory = 64\n'), other = makeDemo('other', 'kernel = "k"\ntype = "hvm"\n');
  const demos = [builtin, other];
  const describe1 = (link: Partial<Link>) => describeLink({ ...EMPTY_LINK, ...link }, demos, builtin);

  it('are demos, changed demos, or their own', () => {
    expect(describe1({})).toMatchObject({ ok: true, description: { demo: builtin, base: builtin } });
    expect(describe1({ demo: 'other' })).toMatchObject({ ok: true, description: { demo: other } });
    expect(describe1({ demo: 'builtin', changes: 'memory = 32' })).toMatchObject({ ok: true, description: { demo: { name: 'builtin', config: 'kernel = "builtin"\nmemory = 32\n' }, base: builtin } });
    expect(describe1({ config: 'kernel = "x"' })).toMatchObject({ ok: true, description: { demo: { config: 'kernel = "x"' }, base: null } });
  });

  it('that cannot be say why', () => {
    expect(describe1({ demo: 'none' })).toMatchObject({ ok: false, why: expect.stringContaining('“none”') as string });
    expect(describe1({ demo: 'builtin', changes: 'memory' })).toMatchObject({ ok: false, why: expect.stringContaining('changes:1') as string });
  });

  it('come back from their own link', async () => {
    for (const link of [{ demo: 'other' }, { demo: 'builtin', changes: 'memory = 32', lesson: 'first-exit', sources: { l2: 'hlt' } }, { config: 'kernel = "k"' }, { config: 'not a configuration' }]) {
      const first = describe1(link);
      if (!first.ok) throw new Error(first.why);
      expect(describe1(read(await writeLink(linkOf(first.description))))).toEqual(first);
    }
  });
});
