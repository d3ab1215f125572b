import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import Sqlite from 'better-sqlite3';
import type { Disk } from '../../agent/store/sync.ts';
import { resident, Story, stateOf } from './made.ts';
import { Place } from './place.ts';

const all = { limit: 1_000, before: null, expert: null };

function requests(count: number): Story {
  const story = new Story(stateOf({ embedder: resident })).configured();
  for (let n = 0; n < count; n += 1) story.granted(`r${n}`).released(`r${n}`);
  return story;
}

/** A disk whose calls wait until the test ends them. */
class HeldDisk implements Disk {
  readonly calls: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  total = 0;

  fdatasync(): Promise<void> {
    this.total += 1;
    return new Promise((resolve, reject) => this.calls.push({ resolve, reject }));
  }

  /** Ends the oldest call and lets what follows from it happen. */
  async end(error: Error | null = null): Promise<void> {
    const call = this.calls.shift();
    assert.ok(call !== undefined, 'nothing is being synced');
    if (error === null) call.resolve();
    else call.reject(error);
    await new Promise(setImmediate);
  }
}

test('a row of the first version, which knew nothing of heat, is still explained', async (context) => {
  const place = new Place(context);
  const first = place.store();
  first.start();
  first.append(requests(1).entries);
  await first.stop();
  const database = new Sqlite(place.database);
  database.prepare('UPDATE events SET memory = ?').run('[300,70,null,"ok"]');
  database.close();
  const second = place.store();
  second.start();
  const memory = { budgetBytes: 300, committedBytes: 70, availableBytes: null, pressure: 'ok' };
  assert.deepEqual(second.explain(2)?.memory, memory);
  await second.stop();
});

// ---- across restarts ------------------------------------------------------------------------------------------

test('what was recorded is there after a restart; each start is a run of its own', async (context) => {
  const place = new Place(context);
  const first = place.store();
  first.start();
  first.append(requests(2).entries);
  first.keepProfile('d', { residentBytes: 1, loadBytes: 2, loadMs: 3, measured: true });
  const rows = first.decisions(all);
  const told = first.explain(2);
  await first.stop();

  const second = place.store();
  second.start();
  assert.deepEqual(second.decisions(all), rows);
  assert.deepEqual(second.explain(2), told);
  assert.equal(second.profile('d')?.loadMs, 3);
  assert.deepEqual(second.append(requests(1).entries.slice(0, 1)), [6]);
  const [one, two] = second.runs();
  assert.equal(second.runs().length, 2);
  assert.deepEqual([one?.firstSequence, two?.firstSequence, two?.version], [1, 6, '1.2.3']);
  assert.ok((two?.epoch ?? 0) > (one?.epoch ?? 0));
  const starts = [...second.replay(0)].filter((item) => item.kind === 'state' && !item.continues);
  assert.deepEqual(
    starts.map(({ sequence }) => sequence),
    [0, 5],
  );
  await second.stop();
});

// ---- bringing rows to the disk --------------------------------------------------------------------------------

test('rows that come within syncMs share one sync; an idle log has none', async (context) => {
  const place = new Place(context);
  const disk = new HeldDisk();
  const store = place.store({ disk });
  store.start();
  const { entries } = requests(3);
  for (const entry of entries) store.append([entry]);
  place.clock.advance(249);
  assert.equal(disk.total, 0);
  place.clock.advance(1);
  assert.equal(disk.total, 1);
  assert.equal(store.synced(), 0);
  await disk.end();
  assert.equal(store.synced(), 7);
  place.clock.advance(3_600_000);
  assert.equal(disk.total, 1);
  assert.equal(place.clock.pending, 0);
  await store.stop();
});

test('there is never a second sync under way, and rows that came meanwhile are not called synced', async (context) => {
  const place = new Place(context);
  const disk = new HeldDisk();
  const store = place.store({ disk });
  store.start();
  const { entries } = requests(1);
  store.append(entries.slice(0, 1));
  place.clock.advance(250);
  store.append(entries.slice(1));
  place.clock.advance(10_000);
  assert.equal(disk.calls.length, 1);
  await disk.end();
  assert.equal(store.synced(), 1);
  assert.equal(disk.calls.length, 1);
  await disk.end();
  assert.equal(store.synced(), 3);
  await store.stop();
});

test('samples on which nothing was decided do not wake the disk every time', async (context) => {
  const place = new Place(context);
  const disk = new HeldDisk();
  const store = place.store({ disk });
  store.start();
  place.clock.advance(250);
  const story = new Story(stateOf());
  for (let n = 0; n < 14; n += 1) {
    store.append(story.sample().entries.splice(0));
    place.clock.advance(2_000);
  }
  assert.equal(disk.total, 0);
  store.append(story.granted('r').entries.splice(0));
  place.clock.advance(250);
  assert.equal(disk.total, 1);
  await disk.end();
  assert.equal(store.synced(), 15);
  await store.stop();
});

test('a failed sync is reported once, moves nothing, and is made good by a checkpoint', async (context) => {
  const place = new Place(context);
  const disk = new HeldDisk();
  const store = place.store({ disk });
  store.start();
  store.append(requests(1).entries);
  place.clock.advance(250);
  await disk.end(new Error('EIO'));
  assert.equal(store.synced(), 0);
  assert.equal(store.health().state, 'degraded');
  assert.match(store.health().reason ?? '', /EIO/);
  place.clock.advance(2_000);
  await disk.end(new Error('EIO'));
  assert.deepEqual(place.codes(), ['log_not_durable']);
  assert.equal(store.health().dropped, 0);
  const rows = (): unknown =>
    new Sqlite(place.database, { readonly: true }).prepare('SELECT count(*) FROM events').pluck().get();
  assert.equal(rows(), 3);
  place.clock.advance(2_000);
  // The kernel may have dropped what it could not write: the rows are in the database itself by now.
  const wal = new Sqlite(place.database).pragma('wal_checkpoint(NOOP)') as {
    log: number;
    checkpointed: number;
  }[];
  assert.equal(wal[0]?.checkpointed, wal[0]?.log);
  await disk.end();
  assert.equal(store.synced(), 3);
  assert.equal(store.health().state, 'ok');
  assert.deepEqual(place.codes(), ['log_not_durable', 'log_recovered']);
  await store.stop();
});

test('a database that failed to sync never lets go of its WAL', async (context) => {
  const place = new Place(context);
  const disk = new HeldDisk();
  const store = place.store({ disk, checkpointBytes: 4_096 });
  store.start();
  store.append(requests(20).entries);
  place.clock.advance(250);
  await disk.end();
  assert.equal(disk.calls.length, 1, 'the WAL was synced, now the database is');
  await disk.end(new Error('EIO'));
  const before = statSync(`${place.database}-wal`).size;
  store.append(requests(20).entries);
  place.clock.advance(2_000);
  await disk.end();
  assert.equal(store.synced(), 82, 'the WAL itself is good');
  assert.equal(disk.calls.length, 0);
  assert.ok(statSync(`${place.database}-wal`).size > before, 'the WAL was begun anew');
  assert.equal(store.health().state, 'degraded');
  assert.deepEqual(place.codes(), ['log_not_durable']);
  await store.stop();
  assert.ok(statSync(`${place.database}-wal`).size > before, 'the WAL was removed');
  const again = new Sqlite(place.database);
  assert.equal(again.prepare('SELECT count(*) FROM events').pluck().get(), 82);
  again.close();
});

test('under load the WAL does not grow for ever', async (context) => {
  const place = new Place(context);
  const store = place.store({ checkpointBytes: 65_536 });
  store.start();
  const story = new Story(stateOf());
  for (let n = 0; n < 1_000; n += 5) {
    const turn = store.flush();
    for (let k = n; k < n + 5; k += 1)
      store.append(story.granted(`r${k}`).released(`r${k}`).entries.splice(0));
    await turn;
  }
  assert.ok(statSync(`${place.database}-wal`).size < 6 * 65_536, `${statSync(`${place.database}-wal`).size}`);
  await store.stop();
});

test('while another program keeps the WAL from being emptied, it is bounded all the same', async (context) => {
  const place = new Place(context);
  const store = place.store({ checkpointBytes: 16_384 });
  store.start();
  const story = new Story(stateOf());
  const append = (): void => {
    store.append(story.granted('r').released('r').entries.splice(0));
  };
  append();
  const other = new Sqlite(place.database, { readonly: true });
  other.exec('BEGIN');
  other.prepare('SELECT * FROM events').all();
  for (let n = 0; n < 100 && store.health().state === 'ok'; n += 1) {
    append();
    await store.flush();
  }
  assert.match(store.health().reason ?? '', /another program/);
  assert.ok(statSync(`${place.database}-wal`).size < 11 * 16_384);
  other.close();
  place.clock.advance(1_000);
  append();
  assert.equal(store.health().state, 'ok');
  assert.deepEqual(place.codes(), ['log_degraded', 'log_recovered']);
  await store.stop();
});

// ---- bounds ---------------------------------------------------------------------------------------------------

test('rows are bounded without an idle moment, and the rest can be replayed', async (context) => {
  const place = new Place(context);
  const store = place.store({ maxRows: 400 });
  store.start();
  const story = new Story(stateOf()).configured();
  for (let n = 0; n < 1_500; n += 1) store.append(story.granted(`r${n}`).released(`r${n}`).entries.splice(0));
  const database = new Sqlite(place.database, { readonly: true });
  const count = (table: string): number =>
    Number(database.prepare(`SELECT count(*) FROM ${table}`).pluck().get());
  assert.ok(count('events') <= 400 + 64, `${count('events')} rows`);
  while (store.maintain() === 'more');
  assert.ok(count('events') <= 400, `${count('events')} rows`);
  assert.ok(count('events') > 250, `${count('events')} rows: too many went`);
  assert.ok(count('snapshots') <= 6, `${count('snapshots')} states`);
  assert.equal(count('policies'), 1);
  assert.equal(count('runs'), 1);
  database.close();
  const items = [...store.replay(0)];
  assert.equal(items[0]?.kind, 'state');
  const entries = items.filter((item) => item.kind === 'entry');
  assert.equal(entries.at(-1)?.sequence, 3_001);
  assert.equal(entries[0]?.sequence, (items[0]?.sequence ?? 0) + 1);
  assert.deepEqual(store.explain(3_000)?.policies?.residency, 'gdsf');
  await store.stop();
});

test('bytes are bounded: freed pages are used again', async (context) => {
  const place = new Place(context);
  const maxBytes = 1_048_576;
  const store = place.store({ maxBytes });
  store.start();
  const story = new Story(stateOf());
  let largest = 0;
  for (let n = 0; n < 3_000; n += 1) {
    store.append(story.granted(`r${n}`).released(`r${n}`).entries.splice(0));
    if (n % 8 !== 0) continue;
    await store.flush();
    largest = Math.max(largest, statSync(place.database).size + statSync(`${place.database}-wal`).size);
  }
  assert.ok(largest <= maxBytes, `${largest} bytes`);
  assert.ok(store.decisions(all).length > 100);
  await store.stop();
});

test('a piece of housekeeping is small', async (context) => {
  const place = new Place(context);
  const first = place.store();
  first.start();
  first.append(requests(1_000).entries);
  await first.stop();
  const store = place.store({ maxRows: 100 });
  store.start();
  store.append(new Story(stateOf()).sample().entries);
  let steps = 0;
  while (store.maintain() === 'more') steps += 1;
  assert.ok(steps >= 7, `${steps} steps`);
  await store.stop();
});

test('an entry that cannot be encoded costs itself and is reported', async (context) => {
  const place = new Place(context);
  const store = place.store();
  store.start();
  const story = new Story(stateOf());
  const [good] = story.granted('r').entries;
  assert.ok(good !== undefined);
  const stages = { total: undefined as unknown as number };
  const outcome = { ok: true, error: null, stages, keptBytes: 0, sources: 0 };
  const bad = { ...good, event: { type: 'released', atMs: 1, lease: 1, outcome } } as const;
  assert.deepEqual(store.append([bad]), [1]);
  assert.deepEqual(store.append([good]), [2]);
  assert.deepEqual(place.codes(), ['not_encodable']);
  assert.deepEqual(store.health(), {
    state: 'ok',
    reason: null,
    lastSequence: 2,
    syncedSequence: 0,
    dropped: 1,
  });
  await store.stop();
});
