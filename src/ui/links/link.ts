/**
 * Links: a machine and the state of the page in the address's fragment, version 1. Links live for ever: what is read here must always be read
 * (test/ui/links holds a collection), and whatever a later version adds gets a new number.
 *
 *   #demo=NAME              a demo as it comes
 *   &v=1                    version of the format; 1 if it is missing
 *   &lesson=ID              the playground's lesson whose programs run
 *   &paused=1               loaded, but not started
 *   &open=PANEL,PANEL       panels that are open
 *   &x=DATA                 the rest as JSON, deflated, in base64url: see `Extra`
 */
import { inflateSync } from 'fflate';
import type { BuiltinSources } from '../../guests/builtin';

export const LINK_VERSION = 1;

export interface LinkedFile {
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
}

export interface Link {
  /** Demo it starts from; null: `config` is the whole configuration, or the visitor asked for nothing. */
  demo: string | null;
  /** What differs from the demo's configuration (machine/config/xl-edit.ts); empty: nothing. */
  changes: string;
  /** A whole configuration, without a demo. */
  config: string | null;
  lesson: string | null;
  /** Sources of the built-in guests that differ from the lesson's or the program's own. */
  sources: Partial<BuiltinSources>;
  /** Small files of the visitor's, by the names the configuration uses. */
  files: readonly LinkedFile[];
  paused: boolean;
  open: readonly string[];
}

export type LinkResult = { ok: true; link: Link } | { ok: false; newer: boolean; reason: string };

/** What stands behind `x`. */
interface Extra {
  set?: string;
  config?: string;
  l1?: string;
  l2?: string;
  files?: [name: string, base64url: string][];
}

export const EMPTY_LINK: Link = {
  demo: null, changes: '', config: null, lesson: null, sources: {}, files: [], paused: false, open: [],
};

/** Most bytes that DATA may unfold to. */
const MOST_BYTES = 8 << 20;
const KNOWN = ['v', 'demo', 'lesson', 'paused', 'open', 'x'];
const encoder = new TextEncoder(), decoder = new TextDecoder('utf-8', { fatal: true });

export function toBase64url(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** Throws if the text is none. */
export function fromBase64url(text: string): Uint8Array<ArrayBuffer> {
  if (!/^[\w-]*$/.test(text)) throw new Error('it is not base64url');
  return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (character) => character.charCodeAt(0));
}

/** Packs with what the browser has for it. */
async function deflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream('deflate-raw'))).arrayBuffer());
}

/** Unpacks at once, with a bound: a short link must not fill the memory. What does not fit the room it is given is lost, so one byte more than allowed tells. */
function inflate(bytes: Uint8Array): Uint8Array {
  const whole = inflateSync(bytes, { out: new Uint8Array(MOST_BYTES + 1) });
  if (whole.length > MOST_BYTES) throw new Error('it unfolds to too much');
  return whole;
}

/** The fragment, with its #; what is as it comes is left out. */
export async function writeLink(link: Link): Promise<string> {
  const parameters = new URLSearchParams();
  const extra: Extra = {
    ...(link.changes === '' ? {} : { set: link.changes }),
    ...(link.config === null ? {} : { config: link.config }),
    ...link.sources,
    ...(link.files.length === 0 ? {} : { files: link.files.map(({ name, bytes }): [string, string] => [name, toBase64url(bytes)]) }),
  };
  if (link.demo !== null) parameters.set('demo', link.demo);
  if (link.lesson !== null) parameters.set('lesson', link.lesson);
  if (link.paused) parameters.set('paused', '1');
  if (link.open.length > 0) parameters.set('open', link.open.join(','));
  if (Object.keys(extra).length > 0) parameters.set('x', toBase64url(await deflate(encoder.encode(JSON.stringify(extra)))));
  const text = parameters.toString().replaceAll('%2C', ',');
  // A plain demo needs no version: its link is as old as the page.
  const plain = text === '' || (parameters.size === 1 && link.demo !== null);
  return `#${plain ? '' : `v=${LINK_VERSION}&`}${text}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readExtra(data: string): Extra {
  const value: unknown = JSON.parse(decoder.decode(inflate(fromBase64url(data))));
  if (!isRecord(value)) throw new Error('it holds no record');
  const extra: Extra = {};
  for (const key of ['set', 'config', 'l1', 'l2'] as const) {
    const text = value[key];
    if (text === undefined) continue;
    if (typeof text !== 'string') throw new Error(`${key} is no text`);
    extra[key] = text;
  }
  if (value.files !== undefined) {
    if (!Array.isArray(value.files)) throw new Error('files is no list');
    extra.files = value.files.map((file: unknown): [string, string] => {
      if (!Array.isArray(file) || typeof file[0] !== 'string' || typeof file[1] !== 'string') throw new Error('a file has no name or no data');
      return [file[0], file[1]];
    });
  }
  return extra;
}

/** Reads a fragment, with or without its #. */
export function readLink(hash: string): LinkResult {
  const bad = (reason: string): LinkResult => ({ ok: false, newer: false, reason });
  const parameters = new URLSearchParams(hash.replace(/^#/, ''));
  const version = parameters.get('v') ?? '1';
  if (!/^\d+$/.test(version) || Number(version) === 0) return bad(`its version, “${version}”, is no number`);
  if (Number(version) > LINK_VERSION) return { ok: false, newer: true, reason: `it has version ${version}, and this page knows versions up to ${LINK_VERSION}` };
  const unknown = [...parameters.keys()].filter((key) => !KNOWN.includes(key));
  if (unknown.length > 0) return bad(`it says “${unknown[0]}”, which means nothing here`);
  let extra: Extra = {};
  const data = parameters.get('x');
  try {
    if (data !== null) extra = readExtra(data);
    const sources = { ...(extra.l1 === undefined ? {} : { l1: extra.l1 }), ...(extra.l2 === undefined ? {} : { l2: extra.l2 }) };
    return {
      ok: true,
      link: {
        demo: parameters.get('demo'), changes: extra.set ?? '', config: extra.config ?? null, lesson: parameters.get('lesson'), sources,
        files: (extra.files ?? []).map(([name, text]) => ({ name, bytes: fromBase64url(text) })), paused: parameters.get('paused') === '1',
        open: (parameters.get('open') ?? '').split(',').filter((panel) => panel !== ''),
      },
    };
  } catch (error) {
    return bad(`its data cannot be read (${error instanceof Error ? error.message : String(error)}): a part of it may be cut off`);
  }
}

/** The page is shown inside another: `?embed`. */
export function isEmbedded(search: string): boolean {
  return new URLSearchParams(search).has('embed');
}
