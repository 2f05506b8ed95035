/** Debian's Bochs: VT-x by its Ivy Bridge model, disks of our own making, consoles through named pipes, no display. */
import { spawnSync } from 'node:child_process';
import { constants, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BenchError } from '../errors.mjs';
import { writeDisk } from './bochs-disk.mjs';
import { isInstalled, runExternal } from './external.mjs';

const PROGRAM = 'bochs-bin';
const SHARE = '/usr/share/bochs';

/** Null, or why it cannot be used. */
export function bochsProblem() {
  if (!isInstalled(PROGRAM)) return 'not installed (Debian: bochs, bochs-term)';
  return null;
}

/** @param {string} folder @param {number} cylinders @param {number} memoryMb */
const configuration = (folder, cylinders, memoryMb) => `cpu: model=corei7_ivy_bridge_3770k, ips=50000000, count=1
memory: guest=${memoryMb}, host=${memoryMb}
romimage: file=${SHARE}/BIOS-bochs-latest
vgaromimage: file=${SHARE}/VGABIOS-lgpl-latest
display_library: term
ata0-master: type=disk, path=${folder}/disk, mode=flat, cylinders=${cylinders}, heads=16, spt=63
boot: disk
clock: sync=none, time0=1767225600
port_e9_hack: enabled=1
speaker: enabled=0
sound: waveoutdrv=dummy
com1: enabled=1, mode=file, dev=${folder}/com1
com2: enabled=1, mode=file, dev=${folder}/com2
log: ${folder}/log
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
`;

/**
 * @param {{ loader: Uint8Array, image: import('./bochs-disk.mjs').MemoryImage, memoryMb: number, waits: import('./external.mjs').Wait[], timeoutSeconds: number }} run
 */
export async function runBochs({ loader, image, memoryMb, waits, timeoutSeconds }) {
  const folder = mkdtempSync(join(tmpdir(), 'nestbox-bochs-'));
  try {
    const cylinders = writeDisk(join(folder, 'disk'), loader, image);
    writeFileSync(join(folder, 'bochsrc'), configuration(folder, cylinders, memoryMb));
    // Debian's build stops in its debugger first.
    writeFileSync(join(folder, 'commands'), 'c\n');
    for (const name of ['com1', 'com2']) {
      if (spawnSync('mkfifo', [join(folder, name)]).status !== 0) throw new BenchError('mkfifo failed');
    }
    /** Opened for both directions, so that neither side waits for the other. @param {string} name */
    const pipe = (name) => new Socket({ fd: openSync(join(folder, name), constants.O_RDWR | constants.O_NONBLOCK), readable: true, writable: false });
    const com1 = pipe('com1'), com2 = pipe('com2');
    try {
      return await runExternal({
        program: PROGRAM, args: ['-q', '-f', 'bochsrc', '-rc', 'commands'], cwd: folder, waits, timeoutSeconds,
        consoles: () => ({ l1: com1, l2: com2 }),
        // The loader writes @ to port E9h, which comes out here, as the last thing before the guest's entry.
        started: (child, started) => child.stdout?.on('data', (/** @type {Buffer} */ bytes) => {
          if (bytes.includes('@')) started();
        }),
      });
    } finally {
      com1.destroy();
      com2.destroy();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
