/**
 * The hypervisors and guests of the matrix, and how a pair is booted: by a demo, in whose configuration the words that choose the guest are
 * replaced. What is not here has a reason instead.
 */
import type { MediaRow, NamedSystem } from '../../matrix/results';

export const HYPERVISORS: readonly NamedSystem[] = [
  { id: 'builtin', title: 'Built-in hypervisor' },
  { id: 'kvm', title: 'KVM, small VMM' },
  { id: 'kvm-qemu', title: 'KVM, QEMU' },
  { id: 'xen-pvh', title: 'Xen, PVH guest' },
  { id: 'xen-hvm', title: 'Xen, HVM guest' },
  { id: 'kvm-kvm', title: 'KVM in KVM, guest is L3' },
];

export const GUESTS: readonly NamedSystem[] = [
  { id: 'builtin', title: 'Built-in guest' },
  { id: 'linux-amd64', title: 'Linux amd64' },
  { id: 'linux-686', title: 'Linux 686' },
  { id: 'linux-686-pae', title: 'Linux 686-pae' },
  { id: 'memtest-x64', title: 'memtest86+ x64' },
  { id: 'memtest-ia32', title: 'memtest86+ ia32' },
  { id: 'grub', title: 'GRUB' },
  { id: 'seabios', title: 'SeaBIOS' },
  { id: 'ipxe', title: 'iPXE' },
  { id: 'gnumach', title: 'GNU Mach' },
  { id: 'di-amd64', title: 'Debian installer amd64' },
  { id: 'di-i386', title: 'Debian installer i386' },
];

/** Where the wiki page that Nestbox implements lists what cannot be had here. */
export const MEDIA: readonly MediaRow[] = [
  { hypervisor: 'Xen', guests: 'Windows XP, Windows 7, Windows 8, RHEL 6', needs: 'the guest’s medium' },
  { hypervisor: 'KVM', guests: 'Windows XP, Windows 7, Windows 8, RHEL 6', needs: 'the guest’s medium' },
  { hypervisor: 'VMware ESX', guests: 'Windows XP, Windows 7, Windows 8, RHEL 6', needs: 'ESX’s medium and the guest’s' },
  { hypervisor: 'VMware Workstation', guests: 'Windows XP, Windows 7, Windows 8, RHEL 6', needs: 'a host system, Workstation, and the guest’s medium' },
  { hypervisor: 'Hyper-V (Windows 8)', guests: 'Windows XP, Windows 7, Windows 8, RHEL 6', needs: 'Windows 8’s medium and the guest’s' },
  { hypervisor: 'Windows 7, Virtual PC', guests: 'Windows XP Mode', needs: 'Windows 7’s medium and XP Mode' },
];

/** How a pair is booted. */
export interface Recipe {
  demo: string;
  /** In place of the demo's words `l2=` and `l2...=` behind it; null: the demo as it is. */
  words: string | null;
  /** What --until waits for: text that only a finished boot shows. */
  until: string;
  /** Retired instructions that no boot should need, with EPT and without. */
  limit: { ept: number; shadow: number };
  /** An image of the demo that holds the guest, and the guest's name in the images' manifest; null: always there. */
  holds: { image: string; guest: string } | null;
}

export type Pair = { recipe: Recipe } | { state: 'impossible' | 'no image'; why: string };

const L2_PROMPT = 'l2:^l2# ', L3_PROMPT = 'l3:^l3# ';
const G = 1e9;
const KVM_LIMIT = { ept: 12 * G, shadow: 60 * G }, XEN_LIMIT = { ept: 25 * G, shadow: 90 * G }, NESTED_LIMIT = { ept: 25 * G, shadow: 120 * G };

/** By hypervisor and guest. */
const RECIPES: Record<string, Record<string, Recipe>> = {
  builtin: { builtin: { demo: 'builtin', words: null, until: L2_PROMPT, limit: { ept: G, shadow: G }, holds: null } },
  kvm: {
    'linux-amd64': { demo: 'kvm-amd64', words: null, until: L2_PROMPT, limit: KVM_LIMIT, holds: { image: 'l1-mini.cpio', guest: 'amd64' } },
    'linux-686': { demo: 'kvm-i386', words: null, until: L2_PROMPT, limit: KVM_LIMIT, holds: { image: 'l1-mini.cpio', guest: 'i386' } },
  },
  'kvm-qemu': {
    'linux-amd64': { demo: 'kvm-qemu-amd64', words: null, until: L2_PROMPT, limit: KVM_LIMIT, holds: { image: 'l1-qemu.cpio', guest: 'amd64' } },
    'linux-686': { demo: 'kvm-qemu-i386', words: null, until: L2_PROMPT, limit: KVM_LIMIT, holds: { image: 'l1-qemu.cpio', guest: 'i386' } },
    'memtest-x64': onScreen(null, 'memtest', '<Enter> to start testing'),
    'memtest-ia32': onScreen('l2=memtest32 l2vga=std l2mem=16', 'memtest32', '<Enter> to start testing'),
    grub: onScreen('l2=grub l2vga=std l2mem=16', 'grub', 'before booting or .c. for a command-line'),
    // Without a disk or a network card, these say so at the end.
    seabios: onScreen('l2=seabios l2vga=std l2mem=16', 'memtest', 'No bootable device'),
    ipxe: onScreen('l2=ipxe l2vga=std l2mem=16', 'ipxe', 'No more network devices'),
    // All that the kernel does without its first program, which Debian has no package of. It is linked to 16 MiB.
    gnumach: { ...onScreen('l2=gnumach l2append=console=com0 l2vga=std l2mem=64', 'gnumach', ''), until: 'l2:No bootstrap code loaded with the kernel' },
  },
  'xen-pvh': {
    'linux-amd64': { demo: 'xen-pvh-amd64', words: null, until: L2_PROMPT, limit: XEN_LIMIT, holds: { image: 'dom0-pvh.cpio', guest: 'amd64' } },
    grub: { demo: 'xen-pvh-amd64', words: 'l2=pvh-grub', until: 'l2:grub> ', limit: XEN_LIMIT, holds: { image: 'dom0-pvh.cpio', guest: 'grub' } },
  },
  'xen-hvm': {
    'linux-amd64': { demo: 'xen-hvm-amd64', words: null, until: L2_PROMPT, limit: XEN_LIMIT, holds: { image: 'dom0-hvm.cpio', guest: 'amd64' } },
    'linux-686': { demo: 'xen-hvm-i386', words: null, until: L2_PROMPT, limit: XEN_LIMIT, holds: { image: 'dom0-hvm.cpio', guest: 'i386' } },
    'linux-686-pae': { demo: 'xen-hvm-i386', words: 'l2=hvm-i386-pae', until: L2_PROMPT, limit: XEN_LIMIT, holds: { image: 'dom0-hvm.cpio', guest: 'i386-pae' } },
  },
  'kvm-kvm': {
    'linux-amd64': { demo: 'kvm-kvm-amd64', words: null, until: L3_PROMPT, limit: NESTED_LIMIT, holds: { image: 'l1-nested.cpio', guest: 'kvm' } },
  },
};

/** A guest whose only console is the screen that QEMU shows it. */
function onScreen(words: string | null, guest: string, text: string): Recipe {
  return { demo: 'kvm-qemu-memtest', words, until: `l2vga:${text}`, limit: KVM_LIMIT, holds: { image: 'l1-qemu.cpio', guest } };
}

/** Guests that need a BIOS or its screen. */
const NEEDS_BIOS: readonly string[] = ['memtest-x64', 'memtest-ia32', 'seabios', 'ipxe', 'gnumach'];
const NO_IMAGE = 'the image build has no such guest for this hypervisor';

/** Why there is no recipe. */
function missing(hypervisor: string, guest: string): Pair {
  if (hypervisor === 'builtin' && guest === 'builtin') return { state: 'impossible', why: 'it makes no shadow page tables: it needs EPT' };
  if (hypervisor === 'builtin') return { state: 'impossible', why: 'it runs its own guest alone' };
  if (guest === 'builtin') return { state: 'impossible', why: 'it is written for the built-in hypervisor' };
  if (hypervisor === 'kvm' && (NEEDS_BIOS.includes(guest) || guest === 'grub')) return { state: 'impossible', why: 'the small VMM has neither BIOS nor VGA' };
  if (hypervisor === 'xen-pvh') {
    if (NEEDS_BIOS.includes(guest)) return { state: 'impossible', why: 'a PVH guest has neither BIOS nor VGA' };
    if (guest === 'linux-686') return { state: 'impossible', why: 'Linux for i386 without PAE cannot be a guest of Xen by PVH' };
    if (guest === 'linux-686-pae') return { state: 'impossible', why: 'its PVH entry reads through FS, which is unusable there: triple fault, as on a real processor' };
  }
  return { state: 'no image', why: NO_IMAGE };
}

/** How a pair is booted, with EPT or without, or why not. */
export function pairOf(hypervisor: string, guest: string, hap: boolean): Pair {
  const recipe = RECIPES[hypervisor]?.[guest];
  return recipe === undefined || (hypervisor === 'builtin' && !hap) ? missing(hypervisor, guest) : { recipe };
}
