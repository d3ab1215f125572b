import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import Sqlite from 'better-sqlite3';
import { Place } from './place.ts';

const writer = join(import.meta.dirname, 'writer.ts');

/** Kills a writer after `lines` appends; resolves with the highest number whose append had returned. */
async function killAfter(lines: number, directory: string): Promise<number> {
  const child = spawn(process.execPath, [writer, directory, '1000000'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  let last = 0;
  let seen = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    last = Number(line.split(' ')[0]);
    seen += 1;
    if (seen === lines) child.kill('SIGKILL');
  }
  const [, signal] = await exited;
  assert.equal(signal, 'SIGKILL', `the writer ended by itself: ${String(child.stderr.read() ?? '')}`);
  return last;
}

test('25 times kill -9 under load: every row whose append returned is there, and numbers go on', async (context) => {
  const place = new Place(context);
  let before = 0;
  for (let round = 0; round < 25; round += 1) {
    const acknowledged = await killAfter(1 + ((round * 37) % 120), place.directory);
    assert.ok(acknowledged > before);
    const database = new Sqlite(place.database, { readonly: true });
    const rows = database.prepare('SELECT count(*), max(seq) FROM events').raw().get() as [number, number];
    const first = database.prepare('SELECT max(first_seq) FROM runs').pluck().get();
    assert.equal(database.pragma('integrity_check', { simple: true }), 'ok');
    database.close();
    assert.equal(rows[0], rows[1], 'a number is missing');
    assert.ok(rows[1] >= acknowledged, `row ${acknowledged} was acknowledged, the last is ${rows[1]}`);
    assert.equal(first, before + 1);
    before = rows[1];
  }
});
