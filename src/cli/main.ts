/** The command `nestbox`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { ConfigError } from '../machine/config';
import { LoadError } from '../machine/loaders/load-error';
import { parseArguments } from './arguments';
import { FileError, PACKAGE_ROOT } from './files';
import { Realm, serveRealm } from './lockstep/realm';
import type { RealmData } from './lockstep/protocol';
import { matrixCommand } from './matrix/matrix';
import { runCommand } from './run';
import { EXIT_USAGE, HELP, UsageError } from './usage';

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : 'unknown';
}

async function main(args: readonly string[]): Promise<number> {
  const command = parseArguments(args);
  switch (command.kind) {
    case 'help': process.stdout.write(HELP); return 0;
    case 'version': process.stdout.write(`nestbox ${version()}\n`); return 0;
    case 'run': return runCommand(command.run);
    case 'matrix': return matrixCommand(command.matrix, process.argv[1]);
  }
}

async function commandLine(): Promise<void> {
  // Whoever reads our output may go away first, as `head` does.
  process.stdout.on('error', () => process.exit(EXIT_USAGE));
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`nestbox: ${error.message}\nTry \`nestbox --help\`.\n`);
    } else if (error instanceof ConfigError || error instanceof LoadError || error instanceof FileError) {
      process.stderr.write(`nestbox: ${error.message}\n`);
    } else {
      throw error;
    }
    process.exitCode = EXIT_USAGE;
  }
}

// As a thread of `--engine both`, this module is one of the two machines.
if (parentPort === null) await commandLine();
else serveRealm(parentPort, new Realm(workerData as RealmData));

