/**
 * A disk that takes no more: the limit of the process for the size of a file stands for it, since it can be set and
 * lifted without being root. In a file of its own, because the limit is the whole process's.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import Sqlite from 'better-sqlite3';
import { resident, Story, stateOf } from './made.ts';
import { Place } from './place.ts';

const all = { limit: 10_000, before: null, expert: null };

function limitFiles(bytes: number | 'unlimited'): boolean {
  return spawnSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`]).status === 0;
}

const skip = limitFiles('unlimited')
  ? false
  : 'prlimit (util-linux) is not installed or may not be used here';

/** Entries of requests, one by one. */
function* endless(): Generator<Story['entries'], never> {
  const story = new Story(stateOf({ embedder: resident }));
  for (let n = 0; ; n += 1) yield story.granted(`r${n}`).released(`r${n}`).entries.splice(0);
}

// Without a listener the signal that comes with the error would end the process.
process.on('SIGXFSZ', () => {});

test('a full disk: numbers go on, entries are counted, and the log goes on when there is room', {
  skip,
}, async (context) => {
  const place = new Place(context);
  const store = place.store();
  store.start();
  const entries = endless();
  context.after(() => limitFiles('unlimited'));
  limitFiles(300_000);
  let appended = 0;
  while (store.health().state === 'ok') {
    const numbers = store.append(entries.next().value);
    assert.deepEqual(numbers, [appended + 1, appended + 2]);
    appended += 2;
    assert.ok(appended < 5_000, 'the limit has no effect');
  }
  const recorded = appended - 2;
  assert.equal(store.health().dropped, 2);
  assert.deepEqual(place.codes(), ['log_degraded']);

  limitFiles(1);
  // Before the back-off is over nothing is tried, then it is tried again, and reported once only.
  for (let n = 0; n < 20; n += 1) {
    assert.equal(store.append(entries.next().value).length, 2);
    appended += 2;
    place.clock.advance(500);
  }
  assert.equal(store.health().dropped, 42);
  assert.deepEqual(place.codes(), ['log_degraded']);
  assert.equal(store.decisions(all).length, recorded / 2, 'what was recorded can still be read');
  store.keepProfile('d', { residentBytes: 1, loadBytes: 1, loadMs: 1, measured: true });
  assert.equal(store.maintain(), 'done');

  limitFiles('unlimited');
  place.clock.advance(60_000);
  const [next] = store.append(entries.next().value);
  assert.equal(next, appended + 1);
  assert.deepEqual(place.codes(), ['log_degraded', 'log_recovered']);
  assert.deepEqual(store.health(), {
    state: 'ok',
    reason: null,
    lastSequence: appended + 2,
    syncedSequence: 0,
    dropped: 42,
  });
  const after = [...store.replay(next ?? 0)];
  assert.deepEqual([after[0]?.kind, after[0]?.sequence], ['state', appended]);
  assert.equal(after.length, 3, 'a replay goes on behind the gap');
  await store.flush();
  assert.equal(store.synced(), appended + 2);
  await store.stop();
});

test('on a full disk the WAL is begun anew in the space that it has', { skip }, async (context) => {
  const place = new Place(context);
  const store = place.store();
  store.start();
  const entries = endless();
  context.after(() => limitFiles('unlimited'));
  limitFiles(300_000);
  while (store.health().state === 'ok') store.append(entries.next().value);
  place.clock.advance(1_000);
  store.append(entries.next().value);
  assert.equal(store.health().state, 'ok');
  assert.equal(store.health().dropped, 2);
  limitFiles('unlimited');
  await store.stop();
});

test('a disk that is full at the start leaves an agent that decides without a log', {
  skip,
}, async (context) => {
  const place = new Place(context);
  const first = place.store();
  first.start();
  first.append(endless().next().value);
  await first.stop();

  context.after(() => limitFiles('unlimited'));
  limitFiles(1);
  const store = place.store();
  store.start();
  assert.equal(store.health().state, 'degraded');
  assert.deepEqual(store.decisions(all), []);
  assert.equal(store.explain(1), null);
  assert.deepEqual([...store.replay(0)], []);
  assert.equal(store.append(endless().next().value).length, 2);
  assert.equal(store.synced(), 0);

  limitFiles('unlimited');
  place.clock.advance(60_000);
  assert.deepEqual(store.append(endless().next().value), [3, 4]);
  assert.deepEqual(
    store.decisions(all).map(({ id }) => id),
    [3, 1],
  );
  assert.equal(store.health().state, 'ok');
  await store.stop();
});

test('a log that another program holds is tried again', async (context) => {
  const place = new Place(context);
  const store = place.store();
  store.start();
  const entries = endless();
  store.append(entries.next().value);
  const other = new Sqlite(place.database);
  other.exec('BEGIN IMMEDIATE');
  assert.deepEqual(store.append(entries.next().value), [3, 4]);
  assert.equal(store.health().state, 'degraded');
  other.exec('ROLLBACK');
  other.close();
  place.clock.advance(1_000);
  assert.deepEqual(store.append(entries.next().value), [5, 6]);
  assert.equal(store.health().state, 'ok');
  await store.stop();
});

test('a full disk: what could not be recorded is explained to the fleet', { skip }, async (context) => {
  const place = new Place(context);
  const store = place.store({ outbox: { maxRows: 100_000, maxBytes: 64_000_000, clockSynced: () => true } });
  store.start();
  const entries = endless();
  context.after(() => limitFiles('unlimited'));
  limitFiles(300_000);
  let appended = 0;
  for (; store.health().state === 'ok'; appended += 2) store.append(entries.next().value);
  for (let n = 0; n < 5; n += 1, appended += 2) store.append(entries.next().value);
  limitFiles('unlimited');
  place.clock.advance(60_000);
  store.append(entries.next().value);
  await store.flush();
  const outbox = store.outbox();
  const epoch = outbox?.epoch() ?? 0;
  assert.deepEqual(outbox?.pending(), [{ epoch, first: 1, last: appended + 2 }]);
  const portion = outbox?.read({ epoch, first: 1, last: appended + 2 }, 1e9);
  const [from, to] = [appended - 11, appended];
  assert.deepEqual(portion?.tombstones, [{ from, to, reason: 'log_degraded', count: 12 }]);
  assert.equal(portion?.records.length, appended + 2 - 12);
  await store.stop();
});
