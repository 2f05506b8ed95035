/**
 * The initial file systems: L2's holds busybox and a shell, L1's the KVM modules, a virtual machine monitor and the L2
 * guests. Directories that programs expect are there; links to busybox are made when it starts.
 */
import { lstatSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CpioWriter } from './cpio.mjs';

const EXECUTABLE = 0o755;

/**
 * @param {string} busybox path of the program
 * @param {string} init path of the script that starts first
 */
function base(busybox, init) {
  const archive = new CpioWriter();
  for (const directory of ['bin', 'dev', 'etc', 'lib', 'proc', 'run', 'sys', 'tmp']) archive.directory(directory);
  archive.characterDevice('dev/console', 5, 1); // the kernel opens it for init before /dev is mounted
  archive.characterDevice('dev/null', 1, 3, 0o666);
  archive.file('bin/busybox', readFileSync(busybox), EXECUTABLE);
  archive.symlink('bin/sh', 'busybox');
  archive.file('init', readFileSync(init), EXECUTABLE);
  return archive;
}

/** @param {{ busybox: string, init: string }} parts paths @returns {Buffer} */
export function l2Initramfs({ busybox, init }) {
  return base(busybox, init).finish();
}

/**
 * @param {{ busybox: string, init: string, starter: string, vmm: 'mini' | 'qemu', modules: string, vmmTree: string, guests: Record<string, string> }} parts
 * paths; `vmmTree` is a directory whose files go in as they lie, `guests` maps names in /l2 to files
 * @returns {Buffer}
 */
export function l1Initramfs({ busybox, init, starter, vmm, modules, vmmTree, guests }) {
  const archive = base(busybox, init);
  archive.file('bin/l2', readFileSync(starter), EXECUTABLE);
  archive.file('etc/vmm', `${vmm}\n`);
  for (const module of readdirSync(modules).sort()) archive.file(`lib/${module}`, readFileSync(join(modules, module)));
  addTree(archive, vmmTree, '');
  for (const [name, path] of Object.entries(guests)) archive.file(`l2/${name}`, readFileSync(path));
  return archive.finish();
}

/**
 * @param {{ busybox: string, init: string, starter: string, modules: string, tools: string, guests: Record<string, string> }} parts
 * paths; `tools` is a directory whose files go in as they lie, `guests` maps names in /l2 to files
 * @returns {Buffer}
 */
export function dom0Initramfs({ busybox, init, starter, modules, tools, guests }) {
  const archive = base(busybox, init);
  for (const directory of ['usr/bin', 'var/lib/xen', 'var/lib/xenstored', 'var/log/xen']) archive.directory(directory);
  archive.symlink('var/run', '../run');
  archive.symlink('var/lock', '../run/lock');
  archive.file('etc/xen/xl.conf', ''); // xl warns without it
  archive.file('bin/l2', readFileSync(starter), EXECUTABLE);
  for (const module of readdirSync(modules).sort()) archive.file(`lib/${module}`, readFileSync(join(modules, module)));
  for (const name of ['ls', 'read', 'write', 'list']) archive.symlink(`usr/bin/xenstore-${name}`, 'xenstore');
  addTree(archive, tools, '');
  for (const [name, path] of Object.entries(guests)) archive.file(`l2/${name}`, readFileSync(path));
  return archive.finish();
}

/**
 * @param {CpioWriter} archive
 * @param {string} root
 * @param {string} path within it
 */
function addTree(archive, root, path) {
  for (const entry of readdirSync(join(root, path)).sort()) {
    const inner = path === '' ? entry : `${path}/${entry}`;
    const status = lstatSync(join(root, inner));
    if (status.isDirectory()) addTree(archive, root, inner);
    else archive.file(inner, readFileSync(join(root, inner)), status.mode & 0o111 ? EXECUTABLE : 0o644);
  }
}
