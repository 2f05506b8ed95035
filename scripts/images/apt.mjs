/**
 * Debian packages by name, through apt's own client: apt-get finds, downloads and verifies them, dpkg-deb unpacks
 * them. Each architecture has a private apt root (state, lists, caches) beside the build, so that neither root rights
 * nor changes to the system are needed, and a broken index of one architecture does not spoil the other's. Only the
 * system's package sources and their keys are read.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { ImageError, requireTools, run } from './tools.mjs';

/** Package lists are fetched again when older than this, in milliseconds. */
export const LISTS_STAY_FRESH = 24 * 3600 * 1000;
/** How often a download's size is looked at, in milliseconds. */
const SIZE_POLL = 300;
/** What apt-get prints for a package: URI, file name, bytes, checksum (`install` leaves it out if it is not an MD5 one). */
const URI_LINE = /^'[^']*' (\S+) (\d+) (\S*)$/gm;

/** @typedef {{ name: string, architecture: string, file: string, bytes: number, checksum: string }} Package */

export class AptRoot {
  #root;
  #debs;
  #architecture;

  /**
   * @param {string} cache directory of the build's cache
   * @param {string} architecture in Debian's words
   */
  constructor(cache, architecture) {
    requireTools('apt-get', 'apt-cache', 'dpkg-deb', 'tar');
    this.#architecture = architecture;
    this.#root = join(cache, 'apt', architecture);
    this.#debs = join(cache, 'debs');
    for (const directory of ['state/lists/partial', 'cache/archives/partial']) mkdirSync(join(this.#root, directory), { recursive: true });
    mkdirSync(this.#debs, { recursive: true });
    writeFileSync(join(this.#root, 'status'), ''); // nothing counts as installed
    writeFileSync(this.#configuration, configurationText(this.#root, architecture));
  }

  get #configuration() {
    return join(this.#root, 'apt.conf');
  }

  /**
   * Fetches the package lists where they are missing or old.
   * @param {boolean} always even if they are fresh
   * @returns {Promise<{ cached: boolean, warning: string | null }>} a warning where some index did not come: packages
   * may still be found in the others
   */
  async update(always = false) {
    const stamp = join(this.#root, 'updated');
    const age = existsSync(stamp) ? Date.now() - statSync(stamp).mtimeMs : Infinity;
    if (!always && age < LISTS_STAY_FRESH) return { cached: true, warning: null };
    const { code, stderr } = await run('apt-get', ['-c', this.#configuration, 'update'], { allowFailure: true });
    if (code === 0) {
      writeFileSync(stamp, '');
      return { cached: false, warning: null };
    }
    const lists = readdirSync(join(this.#root, 'state', 'lists')).filter((name) => name.includes('Packages'));
    const reason = stderr.trim().split('\n').find((line) => line.startsWith('E:')) ?? stderr.trim();
    if (lists.length === 0) throw new ImageError(`no package lists for ${this.#architecture} (is there a network, and are Debian's sources in /etc/apt?): ${reason}`);
    return { cached: false, warning: reason };
  }

  /**
   * @param {string} name of a meta package
   * @param {RegExp} wanted
   * @returns {Promise<string>} its first dependency of that form: `linux-image-686` names the current kernel so
   */
  async dependencyOf(name, wanted) {
    const { stdout } = await this.#apt('apt-cache', ['show', '--no-all-versions', name]);
    const depends = /^Depends: (.*)$/m.exec(stdout.toString())?.[1] ?? '';
    const found = depends.split(',').map((entry) => entry.trim().split(' ')[0] ?? '').find((entry) => wanted.test(entry));
    if (found === undefined) throw new ImageError(`package ${name}:${this.#architecture} names no ${wanted.source}`);
    return found;
  }

  /** @param {string[]} names @returns {Promise<Package[]>} */
  async find(names) {
    const { stdout } = await this.#apt('apt-get', ['--print-uris', 'download', ...names]);
    const packages = [];
    for (const [, file, bytes, checksum] of stdout.toString().matchAll(URI_LINE)) {
      packages.push({ name: nameIn(file ?? ''), architecture: this.#architecture, file: file ?? '', bytes: Number(bytes), checksum: checksum ?? '' });
    }
    if (packages.length !== names.length) throw new ImageError(`apt found ${packages.length} of ${names.length} packages for ${this.#architecture}: ${names.join(' ')}`);
    return packages;
  }

  /** @param {string} name @returns {Promise<string[]>} names of all packages apt would install for it, itself among them */
  async closure(name) {
    const { stdout } = await this.#apt('apt-get', ['--print-uris', '--yes', '--no-install-recommends', 'install', name]);
    return [...stdout.toString().matchAll(URI_LINE)].map(([, file]) => nameIn(file ?? ''));
  }

  /**
   * Downloads a package, or takes it from the cache; apt checks what it downloads against the signed lists.
   * @param {Package} item
   * @param {(bytes: number) => void} onBytes called with how much has come
   * @returns {Promise<{ path: string, cached: boolean }>}
   */
  async download(item, onBytes = () => {}) {
    const path = join(this.#debs, item.file.replaceAll('%3a', '.'));
    if (existsSync(path) && matches(path, item.checksum)) return { path, cached: true };
    const inbox = join(this.#root, 'inbox');
    rmSync(inbox, { recursive: true, force: true });
    mkdirSync(inbox);
    const poll = setInterval(() => onBytes(bytesIn(inbox)), SIZE_POLL);
    try {
      await this.#apt('apt-get', ['download', item.name], inbox);
    } finally {
      clearInterval(poll);
    }
    const file = readdirSync(inbox).find((entry) => entry.endsWith('.deb'));
    if (file === undefined || !matches(join(inbox, file), item.checksum)) throw new ImageError(`${item.file} changed while it was fetched: try again`);
    renameSync(join(inbox, file), path);
    const now = new Date();
    utimesSync(path, now, now);
    return { path, cached: false };
  }

  /**
   * @param {'apt-get' | 'apt-cache'} tool
   * @param {string[]} args
   * @param {string} [cwd]
   */
  #apt(tool, args, cwd) {
    return run(tool, ['-c', this.#configuration, ...args], { cwd: cwd ?? this.#root });
  }
}

/**
 * Unpacks a package's files.
 * @param {string} deb
 * @param {string} directory
 */
export async function unpack(deb, directory) {
  await run('dpkg-deb', ['-x', deb, directory]);
}

/**
 * @param {string} root
 * @param {string} architecture
 */
function configurationText(root, architecture) {
  return `#clear APT::Architectures;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
APT::Architecture "${architecture}";
APT::Architectures { "${architecture}"; };
APT::Sandbox::User "";
APT::Get::List-Cleanup "false";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::State "${join(root, 'state')}";
Dir::State::status "${join(root, 'status')}";
Dir::Cache "${join(root, 'cache')}";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
Dir::Log "${join(root, 'state')}";
Dpkg::Use-Pty "false";
`;
}

/** @param {string} path @param {string} checksum as apt prints it, "SHA256:..." */
function matches(path, checksum) {
  const [algorithm, expected] = checksum.split(':');
  return createHash((algorithm ?? '').toLowerCase()).update(readFileSync(path)).digest('hex') === expected;
}

/** @param {string} directory */
function bytesIn(directory) {
  let bytes = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    try {
      bytes += statSync(join(entry.path, entry.name)).size;
    } catch {
      // renamed between the listing and now
    }
  }
  return bytes;
}

/** @param {string} file name of a package's file @returns {string} the package's name */
function nameIn(file) {
  return file.slice(0, file.indexOf('_'));
}
