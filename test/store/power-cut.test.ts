import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import Sqlite from 'better-sqlite3';
import { type Said, TracedDisk } from './power-cut.ts';

const writer = join(import.meta.dirname, 'writer.ts');
/** Small, so that the WAL is copied into the database and begun anew many times. */
const options = JSON.stringify({ checkpointBytes: 65_536 });
const cuts = 150;

function straceWorks(): boolean {
  return spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;
}

/** The system calls of a writer of 600 rows, a line each. Its disk is slow, so that much happens meanwhile. */
function trace(directory: string): readonly string[] {
  const output = join(directory, 'trace');
  const calls = 'trace=pwrite64,write,fsync,fdatasync,ftruncate';
  const slow = 'inject=fdatasync:delay_enter=2000';
  const flags = [
    '-f',
    '-y',
    '-xx',
    '-s',
    '1000000',
    '-e',
    calls,
    '-e',
    slow,
    '-e',
    'signal=none',
    '-o',
    output,
  ];
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', writer];
  const done = spawnSync('strace', [...flags, ...node, join(directory, 'state'), '600', options]);
  assert.equal(done.status, 0, String(done.stderr));
  return readFileSync(output, 'latin1').split('\n');
}

interface Found {
  readonly integrity: unknown;
  readonly rows: number;
  readonly last: number;
}

function find(files: ReadonlyMap<string, Buffer>, directory: string): Found {
  mkdirSync(directory);
  for (const [name, content] of files) writeFileSync(join(directory, name), content);
  const database = new Sqlite(join(directory, 'decisions.db'));
  const integrity = database.pragma('integrity_check', { simple: true });
  const [rows, last] = database.prepare('SELECT count(*), max(seq) FROM events').raw().get() as [
    number,
    number,
  ];
  database.close();
  rmSync(directory, { recursive: true });
  return { integrity, rows, last };
}

/** mulberry32: the same cuts in each run. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 4_294_967_296;
  };
}

test(`${cuts} power cuts: the log opens unharmed and holds every row that was called synced`, {
  skip: straceWorks() ? false : 'strace is not installed or may not trace here',
}, (context) => {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'expertd-power-')));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const lines = trace(directory);
  const disk = new TracedDisk(join(directory, 'state'));
  const every = Math.floor(lines.length / cuts);
  const random = randomFrom(20_261_104);
  let said: Said = { appended: 0, synced: 0 };
  let lost = 0;
  for (const [index, line] of lines.entries()) {
    said = disk.take(line) ?? said;
    if (said.synced === 0 || index % every !== 0) continue;
    const found = find(disk.afterCut(random), join(directory, 'cut'));
    const where = `after line ${index}: ${line.slice(0, 80)}`;
    assert.equal(found.integrity, 'ok', where);
    assert.ok(
      found.last >= said.synced,
      `${said.synced} rows were synced, ${found.last} are there, ${where}`,
    );
    assert.equal(found.rows, found.last, `a row is missing, ${where}`);
    if (found.last < said.appended) lost += 1;
  }
  assert.ok(said.synced > 100, `only ${said.synced} rows were synced in the end`);
  assert.ok(lost > 0, 'these cuts cut nothing off: the test proves nothing');
});
