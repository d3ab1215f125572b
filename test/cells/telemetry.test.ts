/**
 * Linux builds of ONNX Runtime since 1.29 report by default: a device id and a database under the user's cache, and
 * a thread that uploads from it, for the first time some nine seconds later. Here a cell with an empty home loads and
 * runs a model: nothing is written, and that thread is not there.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { writeTinyLm } from '../experts-made/tiny-lm.ts';
import { packageOf, runScripted, StartedCells, scriptedCommand } from './started.ts';

const root = mkdtempSync(join(tmpdir(), 'expertd-telemetry-'));
after(() => rmSync(root, { recursive: true }));

/** Cells of a user whose home, cache and folder for temporary files are empty. */
function cellsOfNobody(home: string): StartedCells {
  const folders = ['HOME', 'XDG_CACHE_HOME', 'TMPDIR'].map((name) => [name, join(home, name)] as const);
  for (const [, folder] of folders) mkdirSync(folder, { recursive: true });
  const directory = join(root, 'expert');
  const manifest = { ...writeTinyLm(directory, { id: 'good' }), summary: 'session' };
  const command = { ...scriptedCommand, env: Object.fromEntries(folders) };
  return new StartedCells(new Map([['good', packageOf(directory, manifest)]]), { command });
}

/** Names of the threads of a process; a library's threads inherit the name of the one that starts them. */
function threadNames(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).map((id) =>
    readFileSync(`/proc/${pid}/task/${id}/comm`, 'utf8').trim(),
  );
}

test('a cell that has run a model has written nothing and uploads nothing', {
  timeout: 60_000,
}, async (t) => {
  if (process.platform !== 'linux') return t.skip('needs /proc');
  const home = join(root, 'home');
  await using started = cellsOfNobody(home);
  await started.cells.load('fast-1', 'fast', 'good');
  await runScripted(started, 'say x');
  const pid = started.pid('fast-1');
  const main = readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  assert.deepEqual(
    threadNames(pid).filter((name) => name === main),
    [main],
  );
  await started[Symbol.asyncDispose]();
  const files = readdirSync(home, { recursive: true, withFileTypes: true }).filter(
    (one) => !one.isDirectory(),
  );
  assert.deepEqual(
    files.map((file) => join(file.parentPath, file.name)),
    [],
  );
});
