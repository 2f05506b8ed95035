/**
 * `npm test`: lint, types, builds, images, then every test under test/ (units, the CPU against the host CPU, real systems, the page in
 * Chromium). Each step counts; the last line is `N passed, N failed`. What a machine cannot run (no apt-get for the images, no
 * Chromium) is named and counts as failed, so that nothing is skipped silently.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let passed = 0;
let failed = 0;

/** Runs a command as one step; its output is shown as it comes. */
function step(name, command, args) {
  console.log(`\n== ${name}`);
  const started = Date.now();
  const { status } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  if (status === 0) passed++;
  else failed++;
  console.log(`== ${name}: ${status === 0 ? 'ok' : 'FAILED'} (${seconds} s)`);
}

/** Runs vitest and adds its counts. */
function tests() {
  console.log('\n== tests');
  const folder = mkdtempSync(join(tmpdir(), 'nestbox-tests-'));
  const report = join(folder, 'report.json');
  const { status } = spawnSync('npx', ['vitest', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  try {
    const result = JSON.parse(readFileSync(report, 'utf8'));
    passed += result.numPassedTests;
    failed += result.numFailedTests;
    // A file that does not even load has no tests to count.
    const broken = result.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length;
    failed += broken;
    if (status !== 0 && result.numFailedTests === 0 && broken === 0) failed++;
  } catch (error) {
    console.log(`no report from vitest: ${error}`);
    failed++;
  }
  rmSync(folder, { recursive: true, force: true });
}

step('lint', 'npx', ['oxlint']);
step('types', 'npx', ['tsc', '-p', '.']);
step('command line build', 'npm', ['run', '-s', 'build:cli']);
step('page build', 'npm', ['run', '-s', 'build:page']);
step('images', 'npm', ['run', '-s', 'images']);
tests();
console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
