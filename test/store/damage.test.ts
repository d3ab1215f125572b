import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import Sqlite from 'better-sqlite3';
import fc from 'fast-check';
import { AgentError } from '../../agent/errors.ts';
import type { Store } from '../../agent/store/store.ts';
import { resident, Story, stateOf } from './made.ts';
import { Place } from './place.ts';

const all = { limit: 100, before: null, expert: null };

function requests(from: number, count: number): Story {
  const story = new Story(stateOf({ embedder: resident, medical: resident }));
  for (let n = from; n < from + count; n += 1)
    story.embedding(`r${n}`).routed(`r${n}`, 'medical').released(`r${n}`);
  return story;
}

/** A log as a killed process leaves it: some rows in the database, some in the WAL only. */
async function template(place: Place): Promise<void> {
  const store = place.store();
  store.start();
  store.append(requests(0, 40).entries);
  store.keepProfile('d', { residentBytes: 1, loadBytes: 2, loadMs: 3, measured: true });
  await store.stop();
  const again = place.store();
  again.start();
  again.append(requests(40, 20).entries);
  for (const suffix of ['', '-wal'])
    copyFileSync(place.database + suffix, join(place.directory, `kept${suffix}`));
  await again.stop();
}

/** Uses all of a store; nothing but a replay may say that it cannot, and that cleanly. */
function useAll(store: Store): void {
  const [number = 0] = store.append(requests(100, 1).entries);
  assert.ok(number > 0);
  for (const { id } of store.decisions(all)) store.explain(id);
  store.decisions({ ...all, expert: 'medical' });
  store.profile('d');
  store.prototypes('d', 'e');
  store.runs();
  store.maintain();
  try {
    for (const item of store.replay(0)) assert.ok(item.sequence >= 0);
  } catch (error) {
    assert.ok(error instanceof AgentError || error instanceof Sqlite.SqliteError, String(error));
  }
  store.append(requests(200, 1).entries);
}

/** A place in a file: anywhere, or where the header and the schema are. */
const somewhere = fc
  .oneof(fc.integer({ min: 0, max: 9_999 }), fc.integer({ min: 0, max: 300 }))
  .map((n) => n / 10_000);
const wound = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ at: somewhere, bytes: fc.uint8Array({ minLength: 1, maxLength: 64 }) }),
  },
  { weight: 1, arbitrary: fc.record({ cut: somewhere }) },
);

function injure(path: string, injury: { cut: number } | { at: number; bytes: Uint8Array }): void {
  const content = readFileSync(path);
  if ('cut' in injury) return truncateSync(path, Math.floor(content.length * injury.cut));
  const at = Math.floor(content.length * injury.at);
  content.set(injury.bytes.subarray(0, content.length - at), at);
  writeFileSync(path, content);
}

test('a log that is damaged anywhere is opened or replaced, and never throws', async (context) => {
  const source = new Place(context);
  await template(source);
  let replaced = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(wound, { minLength: 1, maxLength: 6 }),
      fc.constantFrom('', '-wal'),
      fc.boolean(),
      async (wounds, suffix, withWal) => {
        const place = new Place(null);
        try {
          for (const kept of ['', '-wal'])
            copyFileSync(join(source.directory, `kept${kept}`), place.database + kept);
          for (const injury of wounds) injure(place.database + (withWal ? suffix : ''), injury);
          const store = place.store();
          store.start();
          useAll(store);
          await store.stop();
          if (place.codes().includes('log_corrupt')) replaced += 1;
          const check = new Sqlite(place.database, { readonly: true });
          assert.ok(Number(check.prepare('SELECT count(*) FROM events').pluck().get()) > 0);
          check.close();
        } finally {
          place.remove();
        }
      },
    ),
    { numRuns: 60 },
  );
  assert.ok(replaced > 0, 'nothing was ever found damaged: the test proves nothing');
});

test('a file that is no database is moved aside with its WAL, reported, and a new log begun', async (context) => {
  const place = new Place(context);
  writeFileSync(place.database, 'not a database, just some text that somebody left here'.repeat(100));
  writeFileSync(`${place.database}-wal`, 'nor is this');
  const store = place.store();
  store.start();
  assert.deepEqual(store.append(requests(0, 1).entries), [1, 2, 3]);
  assert.equal(store.health().state, 'ok');
  assert.deepEqual(place.codes(), ['log_corrupt']);
  const aside = readdirSync(place.directory).filter((name) =>
    /^decisions\.db\.corrupt-.*Z(-wal)?$/.test(name),
  );
  assert.equal(aside.length, 2, aside.join(' '));
  assert.match(place.reports[0]?.message ?? '', /decisions\.db\.corrupt-\d{8}T/);
  await store.stop();
});

test('damage that shows itself while running is met the same way, and numbers go on', async (context) => {
  const place = new Place(context);
  const first = place.store();
  first.start();
  first.append(requests(0, 200).entries);
  await first.stop();
  const database = new Sqlite(place.database);
  const pages =
    "SELECT pgoffset, pgsize FROM dbstat WHERE name = 'events' AND pagetype = 'leaf' ORDER BY path";
  const leaves = database.prepare<[], { pgoffset: number; pgsize: number }>(pages).all();
  database.close();
  const leaf = leaves[Math.floor(leaves.length / 2)];
  assert.ok(leaf !== undefined);
  const content = readFileSync(place.database);
  writeFileSync(place.database, content.fill(0xff, leaf.pgoffset, leaf.pgoffset + leaf.pgsize));

  const store = place.store();
  store.start();
  assert.deepEqual(place.codes(), []);
  for (let id = 1; id <= 600 && place.codes().length === 0; id += 1) store.explain(id);
  assert.deepEqual(place.codes(), ['log_corrupt']);
  assert.deepEqual(store.append(requests(0, 1).entries), [601, 602, 603]);
  assert.deepEqual(
    store.decisions(all).map(({ id }) => id),
    [602],
  );
  const [item] = store.replay(0);
  assert.equal(item?.kind, 'state');
  await store.stop();
});

test('only the two newest damaged files are kept', async (context) => {
  const place = new Place(context);
  for (let n = 0; n < 4; n += 1) {
    place.clock.advance(1_000);
    writeFileSync(place.database, 'no database'.repeat(100));
    const store = place.store();
    store.start();
    await store.stop();
  }
  const aside = readdirSync(place.directory).filter((name) => name.includes('corrupt'));
  assert.equal(aside.length, 2, aside.join(' '));
});

test('a log that somebody deletes is begun anew', async (context) => {
  const place = new Place(context);
  const store = place.store();
  store.start();
  store.append(requests(0, 1).entries);
  for (const suffix of ['', '-wal', '-shm']) unlinkSync(place.database + suffix);
  store.maintain();
  assert.deepEqual(place.codes(), ['log_deleted']);
  assert.deepEqual(store.append(requests(1, 1).entries), [4, 5, 6]);
  assert.ok(existsSync(place.database));
  assert.equal(store.decisions(all)[0]?.id, 5);
  await store.stop();
});

test('a log of a newer expertd is refused and not touched', (context) => {
  const place = new Place(context);
  const database = new Sqlite(place.database);
  database.exec('CREATE TABLE migrations(version INTEGER PRIMARY KEY, at_ms REAL NOT NULL)');
  database.exec('INSERT INTO migrations VALUES (1, 0), (999, 0)');
  database.pragma('user_version = 999');
  database.close();
  assert.throws(() => place.store().start(), { code: 'store_newer' });
  const again = new Sqlite(place.database);
  assert.equal(again.pragma('user_version', { simple: true }), 999);
  again.close();
  assert.throws(() => place.store().start(), { code: 'store_newer' }, 'the lock was given back');
});
