/** QEMU's emulation (TCG) of a PC. */
import { isInstalled, runExternal } from './external.mjs';

const PROGRAM = 'qemu-system-x86_64';

/** Null, or why it cannot be used. */
export function tcgProblem() {
  return isInstalled(PROGRAM) ? null : 'not installed (Debian: qemu-system-x86)';
}

/**
 * @param {{ kernel: string, initrd?: string, cmdline: string, memoryMb: number, waits: import('./external.mjs').Wait[], timeoutSeconds: number }} run
 */
export function runTcg({ kernel, initrd, cmdline, memoryMb, waits, timeoutSeconds }) {
  const args = [
    '-accel', 'tcg', '-cpu', 'max', '-m', String(memoryMb), '-display', 'none', '-nodefaults', '-no-reboot', '-serial', 'stdio',
    '-kernel', kernel, '-append', cmdline, ...(initrd === undefined ? [] : ['-initrd', initrd]),
  ];
  return runExternal({ program: PROGRAM, args, cwd: '/', waits, timeoutSeconds, consoles: (child) => (child.stdout === null ? {} : { l1: child.stdout }) });
}
