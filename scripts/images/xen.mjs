/** What the Xen images take from packages: the hypervisor, and dom0's tools with the libraries they are linked to. */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ImageError } from './tools.mjs';
import { treeStep, withUnpacked } from './packages.mjs';

/** @typedef {import('./apt.mjs').AptRoot} AptRoot */
/** @typedef {import('./apt.mjs').Package} Package */
/** @typedef {import('./cache.mjs').StepCache} StepCache */
/** @typedef {import('./packages.mjs').Step} Step */
/** @typedef {import('./packages.mjs').Taken} Taken */

/** Modules of dom0's kernel for the toolstack: hypercalls, event channels, grants, /proc/xen. */
export const DOM0_MODULES = ['xen-privcmd', 'xen-evtchn', 'xen-gntdev', 'xen-gntalloc', 'xenfs/xenfs'].map((name) => `drivers/xen/${name}.ko`);

const TOOLS = ['xl', 'xenstored', 'xenconsoled', 'xenconsole', 'xen-init-dom0'];
/** Of the packages apt would install with Xen's tools and QEMU, those that can hold what is taken; Python is for tools that are not. */
const PACKAGES = /^(lib(?!python)|zlib1g$|xen-utils-[\d.]+$|xenstore-utils$|qemu-system-(xen|data)$|seabios$)/;

/** @param {string} hypervisor package name, `xen-hypervisor-4.17-amd64` @returns {string} `4.17` */
function versionOf(hypervisor) {
  const version = /^xen-hypervisor-([\d.]+)-amd64$/.exec(hypervisor)?.[1];
  if (version === undefined) throw new ImageError(`cannot tell Xen's version from the package name ${hypervisor}`);
  return version;
}

/** @param {AptRoot} root @returns {Promise<string>} name of the hypervisor's package */
export function hypervisorPackage(root) {
  return root.dependencyOf('xen-system-amd64', /^xen-hypervisor-[\d.]+-amd64$/);
}

/**
 * @param {StepCache} cache
 * @param {Package} item
 * @param {string} deb
 * @param {string} sources hash of the build's own code
 * @returns {Promise<Step>} with the file `xen`, a multiboot kernel, unpacked
 */
export function hypervisorStep(cache, item, deb, sources) {
  return cache.step('xen', { package: item.checksum, sources }, (result) =>
    withUnpacked([deb], result, (unpacked) => {
      const boot = join(unpacked, 'boot');
      const name = readdirSync(boot).find((entry) => /^xen-[\d.]+-amd64\.gz$/.test(entry));
      if (name === undefined) throw new ImageError(`${item.file} holds no hypervisor`);
      writeFileSync(join(result, 'xen'), gunzipSync(readFileSync(join(boot, name))));
    }),
  );
}

/**
 * @param {AptRoot} root
 * @param {string} hypervisor name of its package
 * @param {boolean} hvm with the device model
 * @returns {Promise<string[]>} packages to fetch for dom0
 */
export async function dom0Packages(root, hypervisor, hvm) {
  const names = new Set(await root.closure(`xen-utils-${versionOf(hypervisor)}`));
  if (hvm) for (const name of await root.closure('qemu-system-xen')) names.add(name);
  return [...names].filter((name) => PACKAGES.test(name) && (hvm || name.startsWith('qemu') === false)).sort();
}

/**
 * Dom0's tools, at the paths that they were compiled for.
 * @param {StepCache} cache
 * @param {Package[]} packages
 * @param {string[]} debs
 * @param {{ hypervisor: string, hvm: boolean, sources: string }} options
 * @returns {Promise<Step>} with the tree to put into dom0's initramfs
 */
export function dom0Step(cache, packages, debs, { hypervisor, hvm, sources }) {
  const tools = `usr/lib/xen-${versionOf(hypervisor)}`;
  /** @type {Taken[]} */
  const programs = TOOLS.map((name) => ({ from: [`${tools}/bin/${name}`], to: `${tools}/bin/${name}` }));
  programs.push({ from: ['usr/bin/xenstore'], to: 'usr/bin/xenstore' });
  /** @type {Taken[]} */
  const files = [{ from: ['lib/x86_64-linux-gnu/libgcc_s.so.1'], to: 'lib/x86_64-linux-gnu/libgcc_s.so.1' }]; // libc loads it when a thread is cancelled
  if (hvm) {
    programs.push({ from: ['usr/libexec/xen-qemu-system-i386'], to: 'usr/libexec/xen-qemu-system-i386' });
    files.push(
      { from: [`${tools}/boot/hvmloader`], to: `${tools}/boot/hvmloader` },
      { from: ['usr/share/seabios/bios-256k.bin'], to: 'usr/share/seabios/bios-256k.bin' },
      { from: ['usr/share/qemu/keymaps/en-us'], to: 'usr/share/qemu/keymaps/en-us' }, // without it the device model does not start
    );
  }
  return treeStep(cache, hvm ? 'dom0-hvm-tools' : 'dom0-tools', packages, debs, sources, { programs, files });
}
