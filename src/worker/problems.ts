/** Turns what went wrong into what people read: what happened, why, and what they can do. */
import { ConfigError } from '../machine/config/config-error';
import { LoadError } from '../machine/loaders/load-error';
import type { Outcome } from '../machine/session';
import type { GuestTrouble } from '../observe/guest-trouble';
import type { Problem } from './protocol';

/** A file could not be downloaded. `missing`: the server does not have it; `refused`: it will not give it; `network`: no answer. */
export class DownloadError extends Error {
  readonly file: string;
  readonly url: string;
  readonly kind: 'missing' | 'refused' | 'network';
  readonly reason: string;
  /** It is on another host than the page. */
  readonly elsewhere: boolean;

  constructor(file: string, url: string, kind: 'missing' | 'refused' | 'network', reason: string, elsewhere = false) {
    super(`${file}: ${reason}`);
    this.name = 'DownloadError';
    this.file = file;
    this.url = url;
    this.kind = kind;
    this.reason = reason;
    this.elsewhere = elsewhere;
  }
}

const CHOOSE_ANOTHER = 'Choose another demo. The built-in one needs no images.';
const REPORT = 'This is a fault in Nestbox. Reset starts the machine again; please report it with the details below.';

export function makeProblem(title: string, why: string, remedies: string[], details = ''): Problem {
  return { title, why, remedies, details, waiting: false };
}

/** Why the machine of configuration `name` could not be started. */
export function startProblem(name: string, error: unknown): Problem {
  if (error instanceof ConfigError) {
    const where = error.line > 0 ? ` in line ${error.line}` : '', key = error.key === '' ? '' : `${error.key}: `;
    return makeProblem(`The configuration of “${name}” is refused`, `${key}${error.reason}${where} (${error.file}).`, [
      'Correct that line; docs/config.md describes every key.', CHOOSE_ANOTHER,
    ]);
  }
  if (error instanceof DownloadError) return downloadProblem(name, error);
  if (error instanceof LoadError) {
    return makeProblem(`“${error.file}” cannot be booted`, `${sentence(error.reason)}`, [
      'The file may be damaged or of another kind: build the images again with “npm run images” and reload.', CHOOSE_ANOTHER,
    ]);
  }
  if (error instanceof RangeError && /alloc|array buffer|array length/i.test(error.message)) {
    return makeProblem('There is not enough memory for this machine', sentence(error.message), [
      'Close other tabs, or choose a demo with less memory.', CHOOSE_ANOTHER,
    ]);
  }
  return workerProblem(error);
}

function downloadProblem(name: string, error: DownloadError): Problem {
  if (error.file.startsWith('local:')) {
    return makeProblem(`“${name}” needs the file ${error.file.slice('local:'.length)}`, 'It was on the computer of whoever made this machine, and no link can carry a file of its size.', [
      'Open the machine editor and drop the file on it.', CHOOSE_ANOTHER,
    ]);
  }
  if (error.kind === 'missing') {
    return makeProblem(`“${name}” needs an image that is not here`, `${error.url} does not exist: the images of this demo have not been built on this server.`, [
      'Build them with “npm run images” (Debian or Ubuntu with apt; no root needed), then press Reset.', CHOOSE_ANOTHER,
    ]);
  }
  // Browsers do not say whether another host is down or does not let pages of others read it.
  const cors = error.kind === 'network' && error.elsewhere ? ['That host must allow other pages to read the file (CORS): download it yourself, and drop it on the machine editor.'] : [];
  return makeProblem(`“${error.file}” could not be downloaded`, `${sentence(error.reason)} (${error.url})`, [
    ...cors, 'Check that the server still runs and that you are online, then press Reset.', CHOOSE_ANOTHER,
  ]);
}

/** An unexpected exception while the machine was being built or ran. */
export function workerProblem(error: unknown): Problem {
  const message = error instanceof Error ? error.message : String(error);
  return makeProblem('Nestbox itself failed', sentence(message), [REPORT], error instanceof Error ? error.stack ?? '' : '');
}

/** Why a machine that ran has stopped. `lastLog`: the machine's last word on it; `state`: the processor. */
export function stopProblem(outcome: Exclude<Outcome, 'running'>, level: number, debugExit: number | null, lastLog: string, state: string): Problem {
  switch (outcome) {
    case 'crash':
      return makeProblem(`L${level} crashed`, `${lastLog === '' ? 'Triple fault' : capital(lastLog)}. The processor shut down and cannot go on.`, [
        'Reset starts the machine again.', 'If it crashes each time, its kernel or configuration is at fault, or Nestbox is: the processor’s state is below.',
      ], state);
    case 'halted':
      return makeProblem('The machine has halted for good', 'Its processor waits with interrupts off, so nothing can wake it.', ['Reset starts the machine again.'], state);
    case 'power-off':
      return makeProblem('The machine was switched off', 'Its operating system turned the power off.', ['Reset switches it on again.']);
    case 'reset':
      return makeProblem('The machine was reset and stays off', 'Its operating system asked for a reset, and the configuration says on_reboot = "destroy".', ['Reset starts it again.']);
    case 'debug-exit':
      return makeProblem('The guest has ended the run', `It wrote ${debugExit ?? 0} to the debug-exit port.`, ['Reset starts the machine again.']);
  }
}

/** Trouble of a guest: the machine runs on, and what becomes of the guest is its hypervisor's business. */
export function guestProblem({ kind, level, rip, cause }: GuestTrouble, state: string): Problem {
  const at = `RIP 0x${rip}`, below = level - 1;
  const look = `Open the inspector: its VM exits and VMCS show what L${kind === 'entry-refused' ? level : below} was told, and what it set.`;
  switch (kind) {
    case 'triple-fault':
      return makeProblem(`L${level} crashed: triple fault`, `At ${at} it could not handle an exception, nor the failure to handle it. L${below} was told (${cause}) and decides what becomes of it.`, [
        look, 'Reset starts the machine again.',
      ], state);
    case 'entry-failed':
      return makeProblem(`L${below} could not enter L${level}`, `The VM entry at guest ${at} failed: ${cause}. The guest state in the VMCS is not one that a processor can have.`, [look, 'Reset starts the machine again.'], state);
    case 'entry-refused':
      return makeProblem(`L${level} tries in vain to enter its guest`, `VMLAUNCH or VMRESUME before ${at} failed repeatedly: ${cause}.`, [look, 'Reset starts the machine again.'], state);
  }
}

function capital(text: string): string {
  return text === '' ? text : text[0].toUpperCase() + text.slice(1);
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? capital(text) : `${capital(text)}.`;
}
