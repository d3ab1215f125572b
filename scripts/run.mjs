/**
 * `npm start`, `npm run expertd -- ARGS`: bundles if the sources changed, then becomes the bundle on Node 24.
 *
 * Runs on Node 20 and later. A service should start `node_modules/.bin/node scripts/run.mjs start`: no npm and no
 * shell stay in memory, and the process that systemd started is the agent itself.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { currentBundle, markUsed, ROOT } from './bundle.mjs';
import { findNode, launch, launchArguments, launchEnvironment } from './launch.mjs';

try {
  const node = findNode(ROOT);
  const bundle = currentBundle();
  if (bundle.exists) markUsed(bundle.folder);
  else if (!buildBundle()) throw new Error('the bundle could not be built (see above)');
  launch(
    node,
    launchArguments(ROOT, bundle.file, process.argv.slice(2)),
    launchEnvironment(ROOT, process.env),
  );
} catch (error) {
  process.stderr.write(`expertd: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}

function buildBundle() {
  const script = join(ROOT, 'scripts', 'build-bundle.mjs');
  // Standard output belongs to the command that is run.
  return spawnSync(process.execPath, [script], { stdio: ['ignore', 2, 2] }).status === 0;
}
