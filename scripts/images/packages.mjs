/** What the image build takes from packages: fetching, unpacking, picking the files, all through the step cache. */
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { unpack } from './apt.mjs';
import { extractKernel, uncompressedBzImage } from './bzimage.mjs';
import { neededLibraries, trimElf } from './elf.mjs';
import { ImageError, findTool, run } from './tools.mjs';

/** @typedef {import('./apt.mjs').AptRoot} AptRoot */
/** @typedef {import('./apt.mjs').Package} Package */
/** @typedef {import('./cache.mjs').StepCache} StepCache */
/** @typedef {{ directory: string, key: string, cached: boolean }} Step */

/** Modules L1 needs for KVM, in the order of loading; kvm-amd for tests on a CPU with SVM. */
export const KVM_MODULES = ['virt/lib/irqbypass.ko', 'arch/x86/kvm/kvm.ko', 'arch/x86/kvm/kvm-intel.ko'];
export const KVM_MODULES_SVM = [...KVM_MODULES, 'arch/x86/kvm/kvm-amd.ko'];

/** QEMU's program and what it loads at run time for the machines pc and microvm. */
const QEMU_PROGRAM = 'usr/bin/qemu-system-x86_64';
const QEMU_FIRMWARE = ['bios-256k.bin', 'bios-microvm.bin', 'vgabios-stdvga.bin', 'linuxboot_dma.bin', 'multiboot_dma.bin', 'kvmvapic.bin', 'pvh.bin', 'qboot.rom'];
const FIRMWARE_DIRECTORIES = ['usr/share/qemu', 'usr/share/seabios'];
const LIBRARY_DIRECTORIES = ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu', 'lib64', 'usr/lib'];
/** Of the packages apt would install with QEMU, those that can hold libraries or firmware. */
const QEMU_PACKAGES = /^(lib|zlib1g$|qemu-system-(x86|common|data)$|seabios$)/;

/**
 * Unpacks packages into a scratch directory, and takes from it.
 * @param {string[]} debs
 * @param {string} result directory of the step
 * @param {(unpacked: string) => void | Promise<void>} take
 */
export async function withUnpacked(debs, result, take) {
  const scratch = `${result}.packages`;
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch);
  try {
    for (const deb of debs) await unpack(deb, scratch);
    await take(scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/**
 * A Debian kernel: `vmlinux` (ELF without zeros and section headers), `vmlinuz` (its bzImage, or for a 32-bit kernel
 * one with the kernel uncompressed), and modules, without debug information.
 * @param {StepCache} cache
 * @param {Package} item
 * @param {string} deb
 * @param {{ name: string, modules: string[], unpackXz: (payload: Buffer) => Promise<Buffer>, sources: string }} options
 * `name` of the step; `modules` are paths in the kernel's module tree, `sources` is a hash of the build's own code
 * @returns {Promise<Step>}
 */
export function kernelStep(cache, item, deb, { name: step, modules, unpackXz, sources }) {
  return cache.step(step, { package: item.checksum, modules, strip: findTool('strip') !== null, sources }, (result) =>
    withUnpacked([deb], result, async (unpacked) => {
      const boot = join(unpacked, 'boot');
      const name = readdirSync(boot).find((entry) => entry.startsWith('vmlinuz-'));
      if (name === undefined) throw new ImageError(`${item.file} holds no kernel`);
      const image = readFileSync(join(boot, name));
      const kernel = await extractKernel(image, unpackXz);
      writeFileSync(join(result, 'vmlinux'), trimElf(kernel));
      writeFileSync(join(result, 'vmlinuz'), kernel[4] === 1 ? uncompressedBzImage(image, kernel) : image);
      writeFileSync(join(result, 'version'), name.slice('vmlinuz-'.length));
      if (modules.length === 0) return;
      const tree = join(unpacked, 'lib/modules', name.slice('vmlinuz-'.length), 'kernel');
      mkdirSync(join(result, 'modules'));
      for (const module of modules) await takeModule(join(tree, module), join(result, 'modules', basename(module)), unpackXz);
    }),
  );
}

/**
 * @param {string} source path of the module, which newer packages hold compressed
 * @param {string} target
 * @param {(packed: Buffer) => Promise<Buffer>} unpackXz
 */
async function takeModule(source, target, unpackXz) {
  if (existsSync(source)) writeFileSync(target, readFileSync(source));
  else if (existsSync(`${source}.xz`)) writeFileSync(target, await unpackXz(readFileSync(`${source}.xz`)));
  else throw new ImageError(`the kernel package has no module ${basename(source)}`);
  if (findTool('strip') !== null) await run('strip', ['--strip-unneeded', '--remove-section=.BTF', '--remove-section=.BTF_ids', target]);
}

/**
 * @param {StepCache} cache
 * @param {Package} item
 * @param {string} deb
 * @returns {Promise<Step>} with the file `busybox`, statically linked
 */
export function busyboxStep(cache, item, deb) {
  return cache.step(`busybox-${item.architecture}`, { package: item.checksum }, (result) =>
    withUnpacked([deb], result, (unpacked) => {
      const path = ['bin/busybox', 'usr/bin/busybox'].map((file) => join(unpacked, file)).find((file) => existsSync(file));
      if (path === undefined) throw new ImageError(`${item.file} holds no busybox`);
      cpSync(path, join(result, 'busybox'));
    }),
  );
}

/**
 * Some files of a package as they are.
 * @param {StepCache} cache
 * @param {Package} item
 * @param {string} deb
 * @param {string} name of the step
 * @param {Record<string, string>} files name in the step to path in the package
 * @returns {Promise<Step>}
 */
export function filesStep(cache, item, deb, name, files) {
  return cache.step(name, { package: item.checksum, files: Object.entries(files).flat() }, (result) =>
    withUnpacked([deb], result, (unpacked) => {
      for (const [target, path] of Object.entries(files)) {
        const from = join(unpacked, path);
        if (!existsSync(from)) throw new ImageError(`${item.file} holds no ${path}`);
        cpSync(realpathSync(from), join(result, target));
      }
    }),
  );
}

/**
 * @param {StepCache} cache
 * @param {Package} item
 * @param {string} deb
 * @returns {Promise<Step>} with the file `gnumach`, a multiboot kernel, unpacked
 */
export function gnumachStep(cache, item, deb) {
  return cache.step('gnumach', { package: item.checksum }, (result) =>
    withUnpacked([deb], result, (unpacked) => {
      const boot = join(unpacked, 'boot');
      const name = readdirSync(boot).find((entry) => /^gnumach-.*\.gz$/.test(entry));
      if (name === undefined) throw new ImageError(`${item.file} holds no kernel`);
      writeFileSync(join(result, 'gnumach'), gunzipSync(readFileSync(join(boot, name))));
    }),
  );
}

/** @param {string[]} closure names of the packages apt would install @returns {string[]} those worth fetching */
export function qemuPackages(closure) {
  return closure.filter((name) => QEMU_PACKAGES.test(name));
}

/**
 * QEMU with the libraries it is linked to, found in the packages themselves, not on this machine.
 * @param {StepCache} cache
 * @param {Package[]} packages
 * @param {string[]} debs
 * @param {string} sources hash of the build's own code
 * @returns {Promise<Step>} with the tree to put into an initramfs
 */
export function qemuStep(cache, packages, debs, sources) {
  const firmware = QEMU_FIRMWARE.map((file) => ({ from: FIRMWARE_DIRECTORIES.map((directory) => `${directory}/${file}`), to: `usr/share/qemu/${file}` }));
  return treeStep(cache, 'qemu', packages, debs, sources, { programs: [{ from: [QEMU_PROGRAM], to: 'bin/qemu-system-x86_64' }], files: firmware });
}

/**
 * A file to take from packages.
 * @typedef {{ from: string[], to: string }} Taken
 * the paths it may have in the packages, the first that exists counts; and where it goes
 */

/**
 * Programs with the libraries they are linked to, and other files, as the tree to put into an initramfs.
 * @param {StepCache} cache
 * @param {string} name of the step
 * @param {Package[]} packages
 * @param {string[]} debs
 * @param {string} sources hash of the build's own code
 * @param {{ programs: Taken[], files: Taken[] }} wanted
 * @returns {Promise<Step>}
 */
export function treeStep(cache, name, packages, debs, sources, { programs, files }) {
  return cache.step(name, { packages: packages.map(({ checksum }) => checksum), wanted: { programs, files }, sources }, (result) =>
    withUnpacked(debs, result, (unpacked) => {
      const take = (/** @type {string} */ from, /** @type {string} */ to) => {
        if (existsSync(join(result, to))) return;
        mkdirSync(dirname(join(result, to)), { recursive: true });
        cpSync(realpathSync(from), join(result, to));
      };
      for (const file of files) take(findFile(file, unpacked), file.to);
      for (const file of programs) {
        const program = findFile(file, unpacked);
        take(program, file.to);
        const { interpreter, libraries } = libraryClosure(program, unpacked);
        for (const [library, path] of libraries) take(path, `lib/x86_64-linux-gnu/${library}`);
        take(findLibrary(basename(interpreter), unpacked), interpreter.slice(1));
      }
    }),
  );
}

/** @param {Taken} file @param {string} root where packages are unpacked @returns {string} */
function findFile({ from }, root) {
  const path = from.map((candidate) => join(root, candidate)).find((candidate) => existsSync(candidate) && statSync(candidate).isFile());
  if (path === undefined) throw new ImageError(`the packages hold no ${from[0]}`);
  return path;
}

/**
 * @param {string} program
 * @param {string} root where packages are unpacked
 * @returns {{ interpreter: string, libraries: Map<string, string> }} all libraries that the dynamic linker would load:
 * name to path
 */
function libraryClosure(program, root) {
  /** @type {Map<string, string>} */
  const libraries = new Map();
  const { interpreter, libraries: first } = neededLibraries(readFileSync(program));
  if (interpreter === null) throw new ImageError(`${program} is not a dynamically linked program`);
  const queue = [...first];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (libraries.has(name)) continue;
    const path = findLibrary(name, root);
    libraries.set(name, path);
    queue.push(...neededLibraries(readFileSync(path)).libraries);
  }
  return { interpreter, libraries };
}

/** @param {string} name @param {string} root @returns {string} */
function findLibrary(name, root) {
  const path = LIBRARY_DIRECTORIES.map((directory) => join(root, directory, name)).find((candidate) => existsSync(candidate));
  if (path === undefined) throw new ImageError(`no package holds the library ${name}`);
  return path;
}
