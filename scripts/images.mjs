/**
 * `npm run images`: builds the images of the KVM and Xen demos from Debian packages into public/images/.
 * What it makes and how: docs/images.md. Stages depend on each other as the code below says; one that fails is told,
 * those that need it are skipped, the others go on. Exit code 1 if anything is missing in the end.
 */
import { copyFileSync, constants, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bootDisk, kernelEntry } from './images/boot-disk.mjs';
import { AptRoot, LISTS_STAY_FRESH } from './images/apt.mjs';
import { StepCache, cacheKey, hashFiles, sha256 } from './images/cache.mjs';
import { dom0Initramfs, l1Initramfs, l2Initramfs } from './images/initramfs.mjs';
import { takeLock } from './images/lock.mjs';
import { KVM_MODULES, KVM_MODULES_SVM, busyboxStep, filesStep, gnumachStep, kernelStep, qemuPackages, qemuStep } from './images/packages.mjs';
import { Progress, megabytes } from './images/progress.mjs';
import { ImageError } from './images/tools.mjs';
import { compileVmm } from './images/vmm.mjs';
import { DOM0_MODULES, dom0Packages, dom0Step, hypervisorPackage, hypervisorStep } from './images/xen.mjs';
import { xzUnpacker } from './images/xz.mjs';

/** @typedef {import('./images/packages.mjs').Step} Step */
/** @typedef {{ name: string, bytes: number, sha256: string, purpose: string, guests: string[] }} ManifestEntry */
/** @typedef {import('./images/apt.mjs').Package} Package */

const PROJECT = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const CACHE = join(PROJECT, '.cache', 'images');
const CHOICES = ['mini', 'qemu', 'nested', 'xen', 'xen-hvm'];
/** Package lists (2), guest kernels, busyboxes and file systems (6), firmware and memtest86+ (2). */
const STAGES_SHARED = 10;
/** L1's kernel and the small VMM for KVM; Xen and dom0's kernel, from packages and into place. */
const STAGES_KVM = 2;
const STAGES_XEN = 4;
/** @type {Record<string, string[][]>} guests as the manifest names them: files that make one, or other files that do */
const GUESTS = {
  amd64: [['initramfs-amd64.cpio']],
  i386: [['initramfs-i386.cpio', 'vmlinux-686'], ['initramfs-i386.cpio', 'vmlinuz-686']],
  'i386-pae': [['initramfs-i386.cpio', 'vmlinux-686-pae']],
  kvm: [['initramfs-kvm.cpio']],
  memtest: [['memtest86+.bin']],
  memtest32: [['memtest86+ia32.bin']],
  grub: [['grub.img'], ['grub-pvh']],
  ipxe: [['ipxe.lkrn']],
  gnumach: [['gnumach']],
};
/** @type {Record<string, number>} and for each choice */
const STAGES = { mini: 1, qemu: 5, nested: 2, xen: 3, 'xen-hvm': 6 };
const USAGE = `usage: npm run images -- [options]
  --out DIR    where the images go (default public/images)
  --only LIST  which, with commas (default all): mini, qemu (KVM with the small VMM, with QEMU),
               nested (KVM in KVM), xen, xen-hvm (Xen for PVH guests, for HVM guests)
  --refresh    fetch the package lists even if they are less than a day old
  --amd        also put the modules for CPUs with SVM into L1 (to try the images under QEMU without VT-x)`;

/** @param {string[]} args */
function parseArguments(args) {
  const options = { out: join(PROJECT, 'public', 'images'), only: CHOICES, refresh: false, amd: false };
  for (let i = 0; i < args.length; i++) {
    const value = args[i + 1];
    if (args[i] === '--refresh') options.refresh = true;
    else if (args[i] === '--amd') options.amd = true;
    else if (args[i] === '--out' && value !== undefined) {
      options.out = resolve(value);
      i++;
    } else if (args[i] === '--only' && value !== undefined && value.split(',').every((name) => CHOICES.includes(name))) {
      options.only = value.split(',');
      i++;
    } else return null;
  }
  return options;
}

const parsed = parseArguments(process.argv.slice(2));
if (parsed === null) {
  console.error(USAGE);
  process.exit(2);
}
const options = parsed;
const cache = new StepCache(join(CACHE, 'steps'));
/** Results depend on the code that makes them. */
const sources = hashFiles(['packages', 'elf', 'bzimage', 'lz4', 'initramfs', 'cpio', 'xen', 'boot-disk'].map((name) => join(PROJECT, 'scripts/images', `${name}.mjs`)));
/** L1's and L2's scripts. */
const scripts = {
  l1Init: join(PROJECT, 'images/l1-init'), l1Starter: join(PROJECT, 'images/l1-l2'), l2Init: join(PROJECT, 'images/l2-init'),
  dom0Init: join(PROJECT, 'images/dom0-init'), dom0Starter: join(PROJECT, 'images/dom0-l2'),
};
mkdirSync(options.out, { recursive: true });
const releaseLock = takeLock(join(CACHE, 'lock'));
const kvm = ['mini', 'qemu', 'nested'].some((name) => options.only.includes(name));
const xen = options.only.includes('xen') || options.only.includes('xen-hvm');
const stages = STAGES_SHARED + (kvm ? STAGES_KVM : 0) + (xen ? STAGES_XEN : 0) + options.only.reduce((sum, name) => sum + (STAGES[name] ?? 0), 0);
const progress = new Progress(join(options.out, 'progress.json'), stages);
/** @type {string[]} stages that failed */
const failures = [];

/**
 * Runs one stage.
 * @template T
 * @template {unknown[]} N
 * @param {string} name
 * @param {{ [K in keyof N]: N[K] | null }} needs results of stages it depends on: null where one failed
 * @param {(...needed: N) => Promise<{ value: T, cached?: boolean, bytes?: number, message?: string }>} work gets them
 * @returns {Promise<T | null>}
 */
async function stage(name, needs, work) {
  progress.begin(name);
  if (needs.includes(null)) {
    progress.end('skipped');
    return null;
  }
  try {
    const { value, cached = false, bytes = 0, message = '' } = await work(.../** @type {N} */ (needs));
    progress.end(cached ? 'cached' : 'done', bytes, message);
    return value;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    failures.push(name);
    progress.end('failed', 0, error.message);
    if (!(error instanceof ImageError)) console.error(error.stack);
    return null;
  }
}

/** @param {string} architecture */
function packageLists(architecture) {
  return stage(`package lists, ${architecture}`, [], async () => {
    const root = new AptRoot(CACHE, architecture);
    const { cached, warning } = await root.update(options.refresh);
    return { value: root, cached, message: warning === null ? '' : `not all came: ${warning}` };
  });
}

/**
 * Finds and downloads packages; once more with new lists if that fails, since lists may name what the mirror no longer has.
 * @param {AptRoot} root
 * @param {() => Promise<Package[]>} find
 * @returns {Promise<{ packages: Package[], debs: string[], bytes: number, cached: boolean }>}
 */
async function fetchPackages(root, find) {
  try {
    return await fetchOnce(root, find);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    const { warning } = await root.update(true);
    if (warning !== null) throw error;
    return fetchOnce(root, find);
  }
}

/** @param {AptRoot} root @param {() => Promise<Package[]>} find */
async function fetchOnce(root, find) {
  const packages = await find();
  const bytes = packages.reduce((sum, item) => sum + item.bytes, 0);
  const debs = [];
  let before = 0;
  let cached = true;
  for (const item of packages) {
    const deb = await root.download(item, (arrived) => progress.advance(before + arrived, bytes));
    debs.push(deb.path);
    cached &&= deb.cached;
    before += item.bytes;
    progress.advance(before, bytes);
  }
  return { packages, debs, bytes, cached };
}

/**
 * A stage that fetches one package and unpacks from it.
 * @param {string} name of the stage
 * @param {AptRoot | null} root
 * @param {(root: AptRoot) => Promise<string>} packageName
 * @param {(item: Package, deb: string) => Promise<Step>} use
 */
function packageStage(name, root, packageName, use) {
  return stage(name, [root], async (source) => {
    const { packages, debs, bytes } = await fetchPackages(source, async () => source.find([await packageName(source)]));
    const [item] = packages;
    const [deb] = debs;
    if (item === undefined || deb === undefined) throw new ImageError(`${name}: no package`);
    const step = await use(item, deb);
    return { value: step, cached: step.cached, bytes, message: item.file };
  });
}

/** Images in place, those of earlier builds included: a failure of this one takes nothing away. */
const manifest = readManifest();

/** @returns {Map<string, ManifestEntry>} */
function readManifest() {
  const path = join(options.out, 'manifest.json');
  /** @type {{ images: ManifestEntry[] }} */
  const { images } = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : { images: [] };
  return new Map(images.filter(isInPlace).map((image) => [image.name, image]));
}

/** @param {ManifestEntry} image */
function isInPlace({ name, bytes }) {
  const path = join(options.out, name);
  return existsSync(path) && statSync(path).size === bytes;
}

/**
 * Puts a finished image into place and into the manifest, so that the page can offer its demos at once.
 * @param {string} name
 * @param {string} from
 * @param {string} purpose
 * @param {string[]} guests architectures of the L2 guests in it
 */
function publish(name, from, purpose, guests = []) {
  const content = readFileSync(from);
  const target = join(options.out, name);
  const hash = sha256(content);
  if (!existsSync(target) || statSync(target).size !== content.length || sha256(readFileSync(target)) !== hash) {
    copyFileSync(from, `${target}.new`, constants.COPYFILE_FICLONE);
    renameSync(`${target}.new`, target);
  }
  manifest.set(name, { name, bytes: content.length, sha256: hash, purpose, guests });
  writeManifest();
  return content.length;
}

function writeManifest() {
  const path = join(options.out, 'manifest.json');
  writeFileSync(`${path}.new`, JSON.stringify({ version: 1, images: [...manifest.values()] }, null, 2) + '\n');
  renameSync(`${path}.new`, path);
}

/**
 * @param {Record<string, Step | null>} files maps `STEP:FILE` descriptions to steps
 * @returns {{ paths: Record<string, string>, guests: string[], keys: string[] }}
 */
function guestFiles(files) {
  /** @type {Record<string, string>} */
  const paths = {};
  const keys = [];
  for (const [name, step] of Object.entries(files)) {
    if (step === null) continue;
    const [target, file] = name.split('=');
    paths[target ?? ''] = join(step.directory, file ?? '');
    keys.push(step.key);
  }
  const guests = Object.keys(GUESTS).filter((guest) => GUESTS[guest]?.some((needed) => needed.every((file) => file in paths)));
  return { paths, guests, keys };
}

/**
 * @param {string} name of the image
 * @param {'mini' | 'qemu'} vmm
 * @param {string | null} purpose null if it is only a part of another image
 * @param {{ kernel: Step | null, busybox: Step | null, l2: Step | null, tree: Step | null, files: Record<string, Step | null> }} parts
 */
function l1Stage(name, vmm, purpose, { files, ...parts }) {
  return stage(name, [parts.kernel, parts.busybox, parts.l2, parts.tree], async (kernel, busybox, l2, tree) => {
    const { paths, guests, keys } = guestFiles(files);
    const inputs = { kernel: kernel.key, busybox: busybox.key, l2: l2.key, tree: tree.key, keys, names: Object.keys(paths), scripts: hashFiles([scripts.l1Init, scripts.l1Starter]), sources };
    const step = await cache.step(`${name.replace('.cpio', '')}${options.amd ? '-svm' : ''}`, inputs, (directory) => {
      const archive = l1Initramfs({ busybox: join(busybox.directory, 'busybox'), init: scripts.l1Init, starter: scripts.l1Starter, vmm, modules: join(kernel.directory, 'modules'), vmmTree: tree.directory, guests: paths });
      writeFileSync(join(directory, name), archive);
    });
    const path = join(step.directory, name);
    const bytes = purpose === null ? statSync(path).size : publish(name, path, purpose, guests);
    return { value: step, cached: step.cached, bytes, message: Object.keys(files).some((file) => file.includes('-686')) && !guests.includes('i386') ? 'without the i386 guest' : '' };
  });
}

/** @param {'amd64' | 'i386'} architecture @param {Step | null} packed */
function l2Stage(architecture, packed) {
  return stage(`L2 initramfs, ${architecture}`, [packed], async (busybox) => {
    const name = `initramfs-${architecture}.cpio`;
    const step = await cache.step(`l2-${architecture}`, { busybox: busybox.key, init: hashFiles([scripts.l2Init]), sources }, (directory) => {
      writeFileSync(join(directory, name), l2Initramfs({ busybox: join(busybox.directory, 'busybox'), init: scripts.l2Init }));
    });
    return { value: step, cached: step.cached, bytes: statSync(join(step.directory, name)).size };
  });
}

/**
 * @param {string} name of the image
 * @param {Step | null} from
 * @param {string} file of that step
 * @param {string} purpose
 */
function publishStage(name, from, file, purpose) {
  return stage(name, [from], async (step) => ({ value: step, cached: step.cached, bytes: publish(name, join(step.directory, file), purpose) }));
}

/**
 * Dom0 with Xen's tools and L2 guests.
 * @param {string} name of the image
 * @param {boolean} hvm with the device model
 * @param {AptRoot | null} amd64
 * @param {{ xen: Step | null, kernel: Step | null, busybox: Step | null, guests: Record<string, Step | null> }} parts
 */
async function dom0Stages(name, hvm, amd64, { xen, kernel, busybox, guests }) {
  const tools = await stage(`Xen's tools${hvm ? ' and QEMU' : ''}`, [amd64, xen], async (root) => {
    const hypervisor = await hypervisorPackage(root);
    const { packages, debs, bytes } = await fetchPackages(root, async () => root.find(await dom0Packages(root, hypervisor, hvm)));
    const step = await dom0Step(cache, packages, debs, { hypervisor, hvm, sources });
    return { value: step, cached: step.cached, bytes };
  });
  await stage(name, [kernel, busybox, tools, ...Object.values(guests)], async (dom0, box, tree) => {
    const { paths, guests: architectures, keys } = guestFiles(guests);
    const inputs = { dom0: dom0.key, box: box.key, tree: tree.key, keys, names: Object.keys(paths), scripts: hashFiles([scripts.dom0Init, scripts.dom0Starter]), sources };
    const step = await cache.step(name.replace('.cpio', ''), inputs, (directory) => {
      writeFileSync(join(directory, name), dom0Initramfs({
        busybox: join(box.directory, 'busybox'), init: scripts.dom0Init, starter: scripts.dom0Starter, modules: join(dom0.directory, 'modules'), tools: tree.directory, guests: paths,
      }));
    });
    const bytes = publish(name, join(step.directory, name), `L1: dom0 with Xen's tools${hvm ? ' and QEMU as device model' : ''}`, architectures);
    return { value: step, cached: step.cached, bytes };
  });
}

/**
 * @param {string} architecture in the words of the guests' files
 * @param {Step | null} guestKernel
 * @param {Step | null} initramfs
 * @param {string} initrd its file
 */
function bootDiskStage(architecture, guestKernel, initramfs, initrd) {
  return stage(`boot disk for an HVM guest, ${architecture}`, [guestKernel, initramfs], async (kernel, files) => {
    const step = await cache.step(`boot-${architecture}`, { kernel: kernel.key, initramfs: files.key, sources }, (directory) => {
      writeFileSync(join(directory, 'disk'), bootDisk(readFileSync(join(kernel.directory, 'vmlinuz')), statSync(join(files.directory, initrd)).size));
      writeFileSync(join(directory, 'entry'), kernelEntry(readFileSync(join(kernel.directory, 'vmlinux'))));
    });
    return { value: step, cached: step.cached };
  });
}

/**
 * Xen, dom0 and its guests.
 * @param {AptRoot | null} amd64
 * @param {AptRoot | null} i386
 * @param {(packed: Buffer) => Promise<Buffer>} unpackXz
 * @param {{ busybox: Step | null, l2Amd64: Step | null, l2I386: Step | null, kernel64: Step | null, kernel32: Step | null }} shared
 */
async function buildXen(amd64, i386, unpackXz, { busybox, l2Amd64, l2I386, kernel64, kernel32 }) {
  const xenPackage = await packageStage('Xen', amd64, hypervisorPackage, (item, deb) => hypervisorStep(cache, item, deb, sources));
  const xen = await publishStage('xen', xenPackage, 'xen', 'L1: the hypervisor Xen');
  const kernelPackage = await packageStage('kernel for dom0', amd64, (root) => root.dependencyOf('linux-image-amd64', /^linux-image-\d/), (item, deb) =>
    kernelStep(cache, item, deb, { name: 'kernel-dom0', modules: DOM0_MODULES, unpackXz, sources }));
  const kernel = await publishStage('vmlinux-amd64', kernelPackage, 'vmlinux', "L1: Debian's kernel for dom0, ELF");
  const guests64 = { 'initramfs-amd64.cpio=initramfs-amd64.cpio': l2Amd64, 'vmlinux-amd64=vmlinux': kernel64 };
  if (options.only.includes('xen')) {
    const grub = await packageStage('GRUB for PVH guests', amd64, async () => 'grub-xen-host', (item, deb) => filesStep(cache, item, deb, 'grub-pvh', { 'grub-pvh': 'usr/lib/grub-xen/grub-i386-xen_pvh.bin' }));
    await dom0Stages('dom0-pvh.cpio', false, amd64, { xen, kernel, busybox, guests: { ...guests64, 'grub-pvh=grub-pvh': grub } });
  }
  if (!options.only.includes('xen-hvm')) return;
  const pae = await packageStage('kernel for L2, i386 with PAE', i386, (root) => root.dependencyOf('linux-image-686-pae', /^linux-image-\d/), (item, deb) =>
    kernelStep(cache, item, deb, { name: 'kernel-i386-pae', modules: [], unpackXz, sources }));
  const disk64 = await bootDiskStage('amd64', kernel64, l2Amd64, 'initramfs-amd64.cpio');
  const disk32 = await bootDiskStage('686', kernel32, l2I386, 'initramfs-i386.cpio');
  const diskPae = await bootDiskStage('686-pae', pae, l2I386, 'initramfs-i386.cpio');
  await dom0Stages('dom0-hvm.cpio', true, amd64, { xen, kernel, busybox, guests: {
    ...guests64, 'boot-amd64.img=disk': disk64, 'entry-amd64=entry': disk64,
    'initramfs-i386.cpio=initramfs-i386.cpio': l2I386, 'vmlinux-686=vmlinux': kernel32, 'boot-686.img=disk': disk32, 'entry-686=entry': disk32,
    'vmlinux-686-pae=vmlinux': pae, 'boot-686-pae.img=disk': diskPae, 'entry-686-pae=entry': diskPae,
  } });
}

/**
 * What else Debian has that boots on a bare PC, some hundred kilobytes each.
 * @param {AptRoot | null} amd64
 * @param {AptRoot | null} i386
 * @returns {Promise<Record<string, Step | null>>} for guestFiles
 */
async function smallGuests(amd64, i386) {
  const grub = await packageStage('GRUB', amd64, async () => 'grub-rescue-pc', (item, deb) => filesStep(cache, item, deb, 'grub', { 'grub.img': 'usr/lib/grub-rescue/grub-rescue-floppy.img' }));
  const ipxe = await packageStage('iPXE', amd64, async () => 'ipxe', (item, deb) => filesStep(cache, item, deb, 'ipxe', { 'ipxe.lkrn': 'boot/ipxe.lkrn' }));
  const gnumach = await packageStage('GNU Mach', i386, (root) => root.dependencyOf('gnumach-image-1-486', /^gnumach-image-[\d.]+-486$/), (item, deb) => gnumachStep(cache, item, deb));
  return { 'grub.img=grub.img': grub, 'ipxe.lkrn=ipxe.lkrn': ipxe, 'gnumach=gnumach': gnumach };
}

async function build() {
  const started = Date.now();
  const amd64 = await packageLists('amd64');
  const i386 = await packageLists('i386');
  const unpackXz = xzUnpacker(amd64, CACHE);

  const kernel64 = await packageStage('kernel for L1 and L2, amd64', amd64, (root) => root.dependencyOf('linux-image-cloud-amd64', /^linux-image-\d/), (item, deb) =>
    kernelStep(cache, item, deb, { name: `kernel-amd64${options.amd ? '-svm' : ''}`, modules: options.amd ? KVM_MODULES_SVM : KVM_MODULES, unpackXz, sources }));
  const busybox64 = await packageStage('busybox, amd64', amd64, async () => 'busybox-static', (item, deb) => busyboxStep(cache, item, deb));
  const l2Amd64 = await l2Stage('amd64', busybox64);
  const kernel = !kvm ? null : await publishStage('vmlinux-cloud-amd64', kernel64, 'vmlinux', 'L1: Debian cloud kernel, ELF with PVH entry');

  const kernel32 = await packageStage('kernel for L2, i386', i386, (root) => root.dependencyOf('linux-image-686', /^linux-image-\d/), (item, deb) =>
    kernelStep(cache, item, deb, { name: 'kernel-i386', modules: [], unpackXz, sources }));
  const busybox32 = await packageStage('busybox, i386', i386, async () => 'busybox-static', (item, deb) => busyboxStep(cache, item, deb));
  const l2I386 = await l2Stage('i386', busybox32);

  const firmware = await packageStage('firmware', amd64, async () => 'seabios', (item, deb) =>
    filesStep(cache, item, deb, 'firmware', { 'seabios.bin': 'usr/share/seabios/bios-256k.bin', 'vgabios-stdvga.bin': 'usr/share/seabios/vgabios-stdvga.bin' }));
  if (firmware !== null) {
    publish('seabios.bin', join(firmware.directory, 'seabios.bin'), 'L1: SeaBIOS, a ROM image');
    publish('vgabios-stdvga.bin', join(firmware.directory, 'vgabios-stdvga.bin'), 'the VGA BIOS for it, an option ROM');
  }
  const memtest = await packageStage('memtest86+', amd64, async () => 'memtest86+', (item, deb) =>
    filesStep(cache, item, deb, 'memtest', { 'memtest86+.bin': 'boot/memtest86+x64.bin', 'memtest86+ia32.bin': 'boot/memtest86+ia32.bin' }));
  if (memtest !== null) publish('memtest86+.bin', join(memtest.directory, 'memtest86+.bin'), 'L1: memtest86+, a bzImage');

  const initramfs = { 'initramfs-amd64.cpio=initramfs-amd64.cpio': l2Amd64, 'initramfs-i386.cpio=initramfs-i386.cpio': kernel32 && l2I386 };
  const mini = options.only.includes('mini');
  const minivmm = !kvm ? null : await stage('minivmm', [], async () => {
    const step = await compileVmm(cache, join(PROJECT, 'images/vmm'));
    return { value: step, cached: step.cached, bytes: statSync(join(step.directory, 'bin/minivmm')).size };
  });
  if (mini) {
    await l1Stage('l1-mini.cpio', 'mini', 'L1 with KVM and the small VMM', {
      kernel, busybox: busybox64, l2: l2Amd64, tree: minivmm, files: { ...initramfs, 'vmlinux-amd64=vmlinux': kernel64, 'vmlinux-686=vmlinux': l2I386 && kernel32 },
    });
  }
  if (options.only.includes('nested')) {
    const files = { 'vmlinux-amd64=vmlinux': kernel64, 'initramfs-amd64.cpio=initramfs-amd64.cpio': l2Amd64 };
    const inner = await l1Stage('initramfs-kvm.cpio', 'mini', null, { kernel, busybox: busybox64, l2: l2Amd64, tree: minivmm, files });
    await l1Stage('l1-nested.cpio', 'mini', 'L1 with KVM and the small VMM, for an L2 with the same', {
      kernel, busybox: busybox64, l2: l2Amd64, tree: minivmm, files: { ...files, 'initramfs-kvm.cpio=initramfs-kvm.cpio': inner },
    });
  }
  const qemu = !options.only.includes('qemu') ? null : await stage('QEMU and its libraries', [amd64], async (root) => {
    const { packages, debs, bytes } = await fetchPackages(root, async () => root.find(qemuPackages(await root.closure('qemu-system-x86'))));
    const step = await qemuStep(cache, packages, debs, sources);
    return { value: step, cached: step.cached, bytes };
  });
  if (options.only.includes('qemu')) {
    const small = await smallGuests(amd64, i386);
    await l1Stage('l1-qemu.cpio', 'qemu', "L1 with KVM and Debian's QEMU", {
      kernel, busybox: busybox64, l2: l2Amd64, tree: qemu, files: {
        ...initramfs, 'vmlinux-amd64=vmlinux': kernel64, 'vmlinuz-686=vmlinuz': l2I386 && kernel32,
        'memtest86+.bin=memtest86+.bin': memtest, 'memtest86+ia32.bin=memtest86+ia32.bin': memtest, ...small,
      },
    });
  }

  if (xen) await buildXen(amd64, i386, unpackXz, { busybox: busybox64, l2Amd64, l2I386, kernel64, kernel32 });

  const total = [...manifest.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  const seconds = ((Date.now() - started) / 1000).toFixed(0);
  const summary = `${manifest.size} images, ${megabytes(total)}, in ${options.out} after ${seconds} s.`;
  progress.finish(failures.length === 0, failures.length === 0 ? summary : `${summary} Failed: ${failures.join('; ')}.`);
}

/** Changes with everything on this machine that a build depends on; packages change with their lists. */
function buildKey() {
  const vmm = join(PROJECT, 'images/vmm');
  const files = [fileURLToPath(import.meta.url), ...Object.values(scripts), ...readdirSync(vmm).sort().map((name) => join(vmm, name))];
  return cacheKey({ sources, files: hashFiles(files), out: options.out, amd: options.amd, only: options.only });
}

const LAST_BUILD = join(CACHE, 'last-build.json');

/** Whether the last build made all that this one would make, from lists that are still fresh. */
function isUpToDate() {
  if (options.refresh || !existsSync(LAST_BUILD)) return false;
  /** @type {{ key: string, time: number, images: number }} */
  const last = JSON.parse(readFileSync(LAST_BUILD, 'utf8'));
  return last.key === buildKey() && Date.now() - last.time < LISTS_STAY_FRESH && manifest.size >= last.images;
}

try {
  if (isUpToDate()) {
    progress.finish(true, `The images in ${options.out} are up to date.`);
  } else {
    await build();
    if (failures.length === 0) writeFileSync(LAST_BUILD, JSON.stringify({ key: buildKey(), time: Date.now(), images: manifest.size }));
  }
} finally {
  releaseLock();
}
process.exitCode = failures.length === 0 ? 0 : 1;
