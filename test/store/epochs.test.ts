/** Epochs: none is given twice, whatever is lost; and a device answers for its own only. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { FleetOutbox } from '../../agent/store/outbox/outbox.ts';
import type { Store } from '../../agent/store/store.ts';
import { resident, Story, stateOf } from './made.ts';
import { Place } from './place.ts';

const bounds = { maxRows: 1_000, maxBytes: 1_000_000, clockSynced: () => false };

interface Open {
  readonly store: Store;
  readonly outbox: FleetOutbox;
  readonly epoch: number;
}

function open(place: Place): Open {
  const store = place.store({ outbox: bounds });
  store.start();
  const outbox = store.outbox();
  const epoch = outbox?.epoch() ?? null;
  assert.ok(outbox !== null && epoch !== null);
  return { store, outbox, epoch };
}

/** Two records a request, on the disk. */
async function decide(store: Store, requests: number, name: string): Promise<void> {
  const story = new Story(stateOf({ embedder: resident }));
  for (let n = 0; n < requests; n += 1) story.granted(`${name}${n}`).released(`${name}${n}`);
  store.append(story.entries);
  await store.flush();
}

/** One start, which decides something. */
async function live(place: Place, name: string): Promise<number> {
  const { store, epoch } = open(place);
  await decide(store, 1, name);
  await store.stop();
  return epoch;
}

function fileOf(place: Place): string {
  return join(place.directory, 'fleet-epochs.json');
}

function loseLog(place: Place): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(place.database + suffix, { force: true });
}

/** Nobody sets its clock: each start is at the same second. */
function withoutClock(context: TestContext): Place {
  context.mock.method(Date, 'now', () => 5_000_000);
  return new Place(context);
}

test('a device without a clock gives no epoch twice when its log is lost', async (context) => {
  const place = withoutClock(context);
  const epochs = [await live(place, 'a'), await live(place, 'b')];
  loseLog(place);
  epochs.push(await live(place, 'c'));
  writeFileSync(place.database, 'this is no database, whatever its name says'.repeat(100));
  epochs.push(await live(place, 'd'), await live(place, 'e'));
  assert.deepEqual(epochs, [5_000, 5_001, 5_002, 5_003, 5_004]);
});

test('a list of epochs that is missing or damaged leaves what the log knows', async (context) => {
  const place = withoutClock(context);
  let last = await live(place, 'first');
  const whole = readFileSync(fileOf(place));
  const damaged = ['', '[', '{}', '[]', '[5000,"x"]', '[5001,5000]', '[99999999999]', '[-1]', '[0.5]'];
  for (const content of [null, whole.subarray(0, 3), ...damaged]) {
    if (content === null) rmSync(fileOf(place));
    else writeFileSync(fileOf(place), content);
    const epoch = await live(place, 'next');
    assert.equal(epoch, last + 1, `after ${content}`);
    assert.equal(JSON.parse(readFileSync(fileOf(place), 'utf8')).at(-1), epoch);
    last = epoch;
  }
  assert.deepEqual(place.codes(), []);
});

test('without a fleet there is no list of epochs', async (context) => {
  const place = new Place(context);
  const store = place.store();
  store.start();
  await decide(store, 1, 'r');
  await store.stop();
  assert.ok(!existsSync(fileOf(place)));
});

test('starts without a fleet count: the next one with a fleet has a later epoch', async (context) => {
  const place = withoutClock(context);
  const first = await live(place, 'with');
  for (let n = 0; n < 3; n += 1) {
    const store = place.store();
    store.start();
    await store.stop();
  }
  assert.equal(await live(place, 'with again'), first + 4);
});

test('nothing is offered before the epochs are on the disk', async (context) => {
  const place = new Place(context);
  const former = await live(place, 'former');
  rmSync(fileOf(place));
  mkdirSync(join(fileOf(place), 'in the way'), { recursive: true });
  const { store, outbox, epoch } = open(place);
  await decide(store, 2, 'r');
  await decide(store, 1, 's');
  assert.deepEqual(outbox.pending(), []);
  assert.deepEqual(place.codes(), ['epoch_not_kept'], 'it is told once');
  rmSync(fileOf(place), { recursive: true });
  await decide(store, 1, 't');
  assert.deepEqual(outbox.pending(), [
    { epoch: former, first: 1, last: 2 },
    { epoch, first: 1, last: 8 },
  ]);
  assert.deepEqual(JSON.parse(readFileSync(fileOf(place), 'utf8')), [former, epoch]);
  await store.stop();
});

test('holes are explained in the epochs of this device, and in no others', async (context) => {
  const place = withoutClock(context);
  const former = await live(place, 'former');
  loseLog(place);
  const { store, outbox, epoch } = open(place);
  await decide(store, 3, 'r');
  outbox.acknowledge(epoch, 4);
  const gone = (of: number, from: number, to: number): unknown =>
    outbox.read({ epoch: of, first: from, last: to }, 1e9)?.tombstones;
  assert.deepEqual(gone(epoch, 2, 4), [{ from: 2, to: 4, reason: 'not_kept', count: 3 }]);
  assert.deepEqual(gone(former, 1, 9), [{ from: 1, to: 9, reason: 'not_kept', count: 9 }]);
  for (const foreign of [former - 1, epoch + 1, 1])
    assert.equal(outbox.read({ epoch: foreign, first: 1, last: 9 }, 1e9), null);
  await store.stop();
});

test('a device that had no list yet answers for the epochs of its log', async (context) => {
  const place = withoutClock(context);
  const former = await live(place, 'former');
  rmSync(fileOf(place));
  const { store, outbox } = open(place);
  assert.notEqual(outbox.read({ epoch: former, first: 5, last: 9 }, 1e9), null);
  await store.stop();
});

test('the list does not grow without end', async (context) => {
  const place = withoutClock(context);
  writeFileSync(fileOf(place), JSON.stringify(Array.from({ length: 256 }, (_, n) => 6_000 + n)));
  const epoch = await live(place, 'r');
  const kept = JSON.parse(readFileSync(fileOf(place), 'utf8'));
  assert.deepEqual([kept.length, kept[0], kept.at(-1), epoch], [256, 6_001, 6_256, 6_256]);
});

test('an epoch that is somebody else’s is given up: all that waits of it has another name, also after a start', async (context) => {
  const place = withoutClock(context);
  const former = await live(place, 'former');
  const { store, outbox, epoch } = open(place);
  await decide(store, 3, 'r');
  const before = outbox.read({ epoch, first: 1, last: 6 }, 1e9);
  assert.equal(outbox.renew(7_000), true);
  const name = outbox.epoch();
  assert.equal(name, 7_001);
  assert.deepEqual(outbox.pending(), [
    { epoch: former, first: 1, last: 2 },
    { epoch: 7_001, first: 1, last: 6 },
  ]);
  assert.deepEqual(outbox.read({ epoch: 7_001, first: 1, last: 6 }, 1e9)?.records, before?.records);
  assert.equal(outbox.read({ epoch, first: 1, last: 6 }, 1e9), null, 'it answers for it no more');
  await decide(store, 1, 's');
  assert.deepEqual(outbox.pending().at(-1), { epoch: 7_001, first: 1, last: 8 });
  await store.stop();

  const later = open(place);
  assert.equal(later.epoch, 7_002);
  assert.equal(later.outbox.read({ epoch, first: 1, last: 6 }, 1e9), null);
  await decide(later.store, 1, 't');
  assert.deepEqual(later.outbox.pending(), [
    { epoch: former, first: 1, last: 2 },
    { epoch: 7_001, first: 1, last: 8 },
    { epoch: 7_002, first: 1, last: 2 },
  ]);
  assert.deepEqual(
    later.store.runs().map((run) => run.epoch),
    [former, epoch, 7_001, 7_002],
  );
  await later.store.stop();
});

test('an epoch is given up once, not after something of it was acknowledged, and not for any number', async (context) => {
  const place = withoutClock(context);
  const { store, outbox, epoch } = open(place);
  await decide(store, 3, 'r');
  for (const absurd of [4_294_967_296, Number.MAX_SAFE_INTEGER]) assert.equal(outbox.renew(absurd), false);
  assert.equal(outbox.renew(epoch), true);
  assert.equal(outbox.renew(epoch + 1), false, 'once a process');
  assert.equal(outbox.epoch(), epoch + 1);
  await store.stop();

  const next = open(place);
  await decide(next.store, 2, 's');
  next.outbox.acknowledge(next.epoch, 1);
  assert.equal(next.outbox.renew(next.epoch), false, 'the collector took it as its own');
  assert.deepEqual(next.outbox.epoch(), next.epoch);
  await next.store.stop();
});

test('an epoch is not given up where the disk does not take the new one', async (context) => {
  const place = withoutClock(context);
  const { store, outbox, epoch } = open(place);
  await decide(store, 1, 'r');
  const kept = readFileSync(fileOf(place));
  rmSync(fileOf(place));
  mkdirSync(join(fileOf(place), 'in the way'), { recursive: true });
  assert.equal(outbox.renew(epoch), false);
  assert.deepEqual(outbox.pending(), [{ epoch, first: 1, last: 2 }]);
  rmSync(fileOf(place), { recursive: true });
  writeFileSync(fileOf(place), kept);
  assert.equal(outbox.renew(epoch), true, 'it may be tried again');
  await store.stop();
});

test('what was in a file that is lost has the new name as well', async (context) => {
  const place = withoutClock(context);
  const { store, outbox, epoch } = open(place);
  await decide(store, 2, 'r');
  loseLog(place);
  store.maintain();
  assert.equal(outbox.renew(epoch), true);
  await decide(store, 1, 's');
  const [span, ...others] = outbox.pending();
  assert.deepEqual([span, others], [{ epoch: epoch + 1, first: 1, last: 6 }, []]);
  const portion = outbox.read({ epoch: epoch + 1, first: 1, last: 6 }, 1e9);
  assert.deepEqual(portion?.tombstones, [{ from: 1, to: 4, reason: 'log_lost', count: 4 }]);
  assert.equal(portion?.records.length, 2);
  await store.stop();
});
