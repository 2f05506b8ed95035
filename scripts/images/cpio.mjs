/**
 * Writes cpio archives in the "newc" format, the one Linux unpacks as an initramfs
 * (Documentation/driver-api/early-userspace/buffer-format.rst in Linux).
 *
 * The bytes depend on the entries alone: times are 0, owners are root, inode numbers count up. Nothing is compressed,
 * since the guest would pay for unpacking in emulated instructions. Left out: hard links and checksums ("070702").
 */

const TYPE_DIRECTORY = 0o040000;
const TYPE_CHARACTER_DEVICE = 0o020000;
const TYPE_FILE = 0o100000;
const TYPE_SYMLINK = 0o120000;
const ALIGNMENT = 4;
/** Archives are padded to whole blocks, as cpio does. */
const BLOCK = 512;

export class CpioWriter {
  /** @type {Buffer[]} */
  #chunks = [];
  #length = 0;
  #inode = 0;
  /** @type {Set<string>} paths written so far */
  #paths = new Set();

  /**
   * Adds a directory and the directories above it, where they are not in the archive yet.
   * @param {string} path relative to the root, without a leading slash
   */
  directory(path) {
    if (path === '' || path === '.' || this.#paths.has(path)) return;
    this.#parent(path);
    this.#entry(path, TYPE_DIRECTORY | 0o755, Buffer.alloc(0), 2);
  }

  /**
   * @param {string} path
   * @param {Uint8Array | string} content
   * @param {number} permissions the low 9 mode bits
   */
  file(path, content, permissions = 0o644) {
    this.#parent(path);
    this.#entry(path, TYPE_FILE | permissions, typeof content === 'string' ? Buffer.from(content) : content);
  }

  /**
   * @param {string} path
   * @param {string} target as the link holds it
   */
  symlink(path, target) {
    this.#parent(path);
    this.#entry(path, TYPE_SYMLINK | 0o777, Buffer.from(target));
  }

  /**
   * Adds a character device: needs no privilege, unlike mknod.
   * @param {string} path
   * @param {number} major
   * @param {number} minor
   * @param {number} permissions
   */
  characterDevice(path, major, minor, permissions = 0o600) {
    this.#parent(path);
    this.#entry(path, TYPE_CHARACTER_DEVICE | permissions, Buffer.alloc(0), 1, major, minor);
  }

  /** Ends the archive. @returns {Buffer} the whole of it */
  finish() {
    this.#entry('TRAILER!!!', 0, Buffer.alloc(0));
    this.#pad(BLOCK);
    return Buffer.concat(this.#chunks, this.#length);
  }

  /** @param {string} path */
  #parent(path) {
    const slash = path.lastIndexOf('/');
    if (slash > 0) this.directory(path.slice(0, slash));
  }

  /**
   * @param {string} path
   * @param {number} mode
   * @param {Uint8Array} content
   */
  #entry(path, mode, content, links = 1, major = 0, minor = 0) {
    if (this.#paths.has(path)) throw new Error(`cpio: ${path} is in the archive twice`);
    if (path.startsWith('/')) throw new Error(`cpio: ${path} is not a relative path`);
    this.#paths.add(path);
    const isTrailer = mode === 0;
    const name = Buffer.from(path + '\0');
    const fields = [isTrailer ? 0 : ++this.#inode, mode, 0, 0, links, 0, content.length, 0, 0, major, minor, name.length, 0];
    this.#append(Buffer.from('070701' + fields.map((field) => field.toString(16).padStart(8, '0').toUpperCase()).join('')));
    this.#append(name);
    this.#pad(ALIGNMENT);
    this.#append(content);
    this.#pad(ALIGNMENT);
  }

  /** @param {Uint8Array} bytes */
  #append(bytes) {
    const { buffer, byteOffset, byteLength } = bytes;
    this.#chunks.push(Buffer.from(buffer, byteOffset, byteLength));
    this.#length += byteLength;
  }

  /** @param {number} unit */
  #pad(unit) {
    this.#append(Buffer.alloc((unit - (this.#length % unit)) % unit));
  }
}
