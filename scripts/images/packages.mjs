/** What the image build takes from packages: fetching, unpacking, picking the files, all through the step cache. */
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { unpack } from './apt.mjs';
import { extractKernel, uncompressedBzImage } from './bzimage.mjs';
import { neededLibraries, trimElf } from './elf.mjs';
import { ImageError, findTool, run } from './tools.mjs';

/** @typedef {import('./apt.mjs').AptRoot} AptRoot */
/** @typedef {import('./apt.mjs').Package} Package */
/** @typedef {import('./cache.mjs').StepCache} StepCache */
/** @typedef {{ directory: string, key: string, cached: boolean }} Step */

/** Modules L1 needs for KVM, in the order of loading; kvm-amd for tests on a CPU with SVM. */
const MODULES_INTEL = ['virt/lib/irqbypass.ko', 'arch/x86/kvm/kvm.ko', 'arch/x86/kvm/kvm-intel.ko'];
const MODULES_AMD = [...MODULES_INTEL, 'arch/x86/kvm/kvm-amd.ko'];

/** QEMU's program and what it loads at run time for the machines pc and microvm. */
const QEMU_PROGRAM = 'usr/bin/qemu-system-x86_64';
const QEMU_FIRMWARE = ['bios-256k.bin', 'bios-microvm.bin', 'vgabios-stdvga.bin', 'linuxboot_dma.bin', 'kvmvapic.bin', 'pvh.bin', 'qboot.rom'];
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
async function withUnpacked(debs, result, take) {
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
 * @param {{ modules: 'none' | 'intel' | 'amd', unpackXz: (payload: Buffer) => Promise<Buffer>, sources: string }} options
 * `sources` is a hash of the build's own code
 * @returns {Promise<Step>}
 */
export function kernelStep(cache, item, deb, { modules, unpackXz, sources }) {
  return cache.step(`kernel-${item.architecture}${modules === 'amd' ? '-svm' : ''}`, { package: item.checksum, modules, strip: findTool('strip') !== null, sources }, (result) =>
    withUnpacked([deb], result, async (unpacked) => {
      const boot = join(unpacked, 'boot');
      const name = readdirSync(boot).find((entry) => entry.startsWith('vmlinuz-'));
      if (name === undefined) throw new ImageError(`${item.file} holds no kernel`);
      const image = readFileSync(join(boot, name));
      const kernel = await extractKernel(image, unpackXz);
      writeFileSync(join(result, 'vmlinux'), trimElf(kernel));
      writeFileSync(join(result, 'vmlinuz'), kernel[4] === 1 ? uncompressedBzImage(image, kernel) : image);
      writeFileSync(join(result, 'version'), name.slice('vmlinuz-'.length));
      if (modules === 'none') return;
      const tree = join(unpacked, 'lib/modules', name.slice('vmlinuz-'.length), 'kernel');
      mkdirSync(join(result, 'modules'));
      for (const module of modules === 'amd' ? MODULES_AMD : MODULES_INTEL) await takeModule(join(tree, module), join(result, 'modules', basename(module)), unpackXz);
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
  return cache.step('qemu', { packages: packages.map(({ checksum }) => checksum), sources }, (result) =>
    withUnpacked(debs, result, (unpacked) => {
      const take = (/** @type {string} */ from, /** @type {string} */ to) => {
        mkdirSync(dirname(join(result, to)), { recursive: true });
        cpSync(realpathSync(from), join(result, to));
      };
      const program = join(unpacked, QEMU_PROGRAM);
      take(program, 'bin/qemu-system-x86_64');
      const { interpreter, libraries } = libraryClosure(program, unpacked);
      for (const [name, path] of libraries) take(path, `lib/x86_64-linux-gnu/${name}`);
      take(findLibrary(basename(interpreter), unpacked), interpreter.slice(1));
      for (const firmware of QEMU_FIRMWARE) {
        const path = FIRMWARE_DIRECTORIES.map((directory) => join(unpacked, directory, firmware)).find((candidate) => existsSync(candidate) && statSync(candidate).isFile());
        if (path === undefined) throw new ImageError(`the packages of QEMU hold no ${firmware}`);
        take(path, `usr/share/qemu/${firmware}`);
      }
    }),
  );
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
  if (path === undefined) throw new ImageError(`no package that QEMU depends on holds the library ${name}`);
  return path;
}
