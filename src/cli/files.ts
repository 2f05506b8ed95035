/** Files by the names that configurations and command lines use, and errors that say what to do. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A file that cannot be read. */
export class FileError extends Error {}

/** The directory that holds package.json: the bundle lies in dist/cli, the sources in src/cli. */
export const PACKAGE_ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');
const PUBLIC = join(PACKAGE_ROOT, 'public');

function describe(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'permission denied';
  if (code === 'EISDIR') return 'a directory';
  return error instanceof Error ? error.message : String(error);
}

export function readBytes(path: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    throw new FileError(`${path}: ${describe(error)}`);
  }
}

/** A machine description by demo name or path. */
export function readConfigFile(name: string): { path: string; text: string } {
  const demo = join(PUBLIC, 'demos', `${name}.cfg`);
  const isPath = existsSync(name) && statSync(name).isFile();
  const path = !isPath && /^[\w.-]+$/.test(name) && existsSync(demo) ? demo : name;
  if (path === name && !existsSync(name)) throw new FileError(`${name}: neither a configuration file nor a demo`);
  return { path, text: new TextDecoder().decode(readBytes(path)) };
}

/**
 * Image files: relative names are looked for from the current directory (as xl does), beside the configuration, and in public/,
 * where the demos' images are.
 */
export function imageSource(configPath: string | null): (name: string) => Promise<Uint8Array> {
  return async (name) => {
    const places = [resolve(name)];
    if (configPath !== null) places.push(resolve(dirname(configPath), name));
    if (name.startsWith('images/')) places.push(join(PUBLIC, name));
    const path = places.find((place) => existsSync(place));
    if (path === undefined) {
      const advice = name.startsWith('images/') ? '; `npm run images` builds the images of the demos' : '';
      throw new FileError(`${name}: there is no such file${advice}`);
    }
    return readBytes(path);
  };
}
