/**
 * What the executable holds as its program: it unpacks the files that it carries, if they are not there yet, and runs
 * the bundle among them. The bundle is run from the disk, not from inside, so that V8's compile cache serves it: without
 * that a cell holds 8 MB more and the agent 3 (measured; the cache cannot be carried, it depends on the CPU).
 */
import { createRequire, enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { getRawAsset } from 'node:sea';
import { AgentError } from './errors.ts';
import { type PackedFiles, parseIndex, unpack } from './unpack.ts';

const UNPACKED = 'EXPERTD_UNPACKED';

function packedFiles(): PackedFiles {
  const index = Buffer.from(getRawAsset('files.json')).toString('utf8');
  return { ...parseIndex(index), read: (path) => new Uint8Array(getRawAsset(path)) };
}

/**
 * Unpacking leaves tens of megabytes behind in the process, which would count against the budget for good: so the
 * program starts anew in the same process. Once: if that did not help, it runs as it is.
 */
function restart(): void {
  if (process.env[UNPACKED] === '1') return;
  const argv = [process.execPath, ...process.argv.slice(2)];
  process.execve?.(process.execPath, argv, { ...process.env, [UNPACKED]: '1' });
}

function launch(): void {
  const { directory, compileCache, wrote } = unpack(packedFiles());
  if (wrote) restart();
  delete process.env[UNPACKED];
  enableCompileCache(compileCache);
  const bundle = join(directory, 'expertd.cjs');
  createRequire(bundle)(bundle);
}

try {
  launch();
} catch (error) {
  if (!(error instanceof AgentError)) throw error;
  process.stderr.write(`expertd: ${error.message}\n${error.hint ?? ''}\n`);
  process.exitCode = 1;
}
