import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Outbox, Portion } from '../../agent/outbox.ts';
import type { FleetOutbox } from '../../agent/store/outbox/outbox.ts';
import type { Store, StoreOptions } from '../../agent/store/store.ts';
import { loading, resident, Story, stateOf } from './made.ts';
import { Place } from './place.ts';

/** A page of the log and what SQLite puts before it in the WAL. */
const walFrameBytes = 1_048;
const bounds = { maxRows: 1_000, maxBytes: 1_000_000, clockSynced: () => true };

function open(place: Place, options: Partial<StoreOptions> = {}): { store: Store; outbox: FleetOutbox } {
  const store = place.store({ outbox: bounds, ...options });
  store.start();
  const outbox = store.outbox();
  assert.ok(outbox !== null);
  return { store, outbox };
}

/** Requests for embeddings: two records each, and a sample that is none. */
function append(store: Store, requests: number, name = 'r'): void {
  const story = new Story(stateOf({ embedder: resident }));
  for (let n = 0; n < requests; n += 1) story.granted(`${name}${n}`).wait(5).released(`${name}${n}`).sample();
  store.append(story.entries);
}

function epochOf(outbox: Outbox): number {
  const epoch = outbox.epoch();
  assert.ok(epoch !== null);
  return epoch;
}

function all(outbox: Outbox, epoch: number, first = 1, last = 1_000_000, maxBytes = 1e9): Portion {
  const portion = outbox.read({ epoch, first, last }, maxBytes);
  assert.ok(portion !== null);
  return portion;
}

function seqs({ records }: Portion): readonly number[] {
  return records.map((text) => JSON.parse(text).seq);
}

test('a decision is offered once it is on the disk, with what a fleet needs and no text', async (context) => {
  const place = new Place(context);
  const { store, outbox } = open(place);
  append(store, 2);
  assert.deepEqual(outbox.pending(), [], 'nothing is synced yet');
  let calls = 0;
  outbox.onMore(() => {
    calls += 1;
  });
  await store.flush();
  assert.equal(calls, 1);
  const epoch = epochOf(outbox);
  assert.deepEqual(outbox.pending(), [{ epoch, first: 1, last: 4 }]);
  const { records, tombstones } = all(outbox, epoch, 1, 4);
  assert.deepEqual(tombstones, []);
  const [chosen, released] = records.map((text) => JSON.parse(text));
  assert.deepEqual(
    { ...chosen, wallMs: 0, monotonicMs: 0 },
    {
      seq: 1,
      row: 1,
      wallMs: 0,
      monotonicMs: 0,
      clock: 'synced',
      event: 'request',
      request: 'r0',
      expert: 'embedder',
      choice: {
        expert: 'embedder',
        router: 'task',
        confidence: 0.9,
        candidates: [['embedder', 0.9, 0.81]],
        residency: 'resident',
        predictedLoadMs: 0,
        language: null,
      },
      steps: ['grant embedder'],
      reasons: ['embedder: chosen by task'],
    },
  );
  assert.equal(released.event, 'released');
  assert.equal(released.request, 'r0');
  assert.equal(released.outcome.ok, true);
  assert.equal(released.row, 2);
  await store.stop();
});

test('samples and questions to the embedder are no records; changes of state are', async (context) => {
  const place = new Place(context);
  const { store, outbox } = open(place);
  const story = new Story(stateOf({ embedder: resident, medical: loading }));
  story.sample().embedding('q').routed('q', 'medical').released('q');
  store.append(story.entries);
  await store.flush();
  const events = all(outbox, epochOf(outbox), 1, 9).records.map((text) => JSON.parse(text).event);
  assert.deepEqual(events, ['features', 'released']);
  await store.stop();
});

test('without a fleet nothing of it is written', async (context) => {
  const place = new Place(context);
  const store = place.store();
  store.start();
  append(store, 3);
  assert.equal(store.outbox(), null);
  await store.stop();
  const { store: later, outbox } = open(place);
  await later.flush();
  assert.deepEqual(outbox.pending(), []);
  await later.stop();
});

test('what is acknowledged goes, what is not outlives the process in an epoch of its own', async (context) => {
  const place = new Place(context);
  const first = open(place);
  append(first.store, 3);
  await first.store.flush();
  const epoch = epochOf(first.outbox);
  first.outbox.acknowledge(epoch, 2);
  assert.deepEqual(first.outbox.pending(), [{ epoch, first: 3, last: 6 }]);
  await first.store.stop();

  const second = open(place);
  const later = epochOf(second.outbox);
  assert.ok(later > epoch);
  append(second.store, 1);
  assert.deepEqual(second.outbox.pending(), [], 'not before this process has synced what it found');
  await second.store.flush();
  assert.deepEqual(second.outbox.pending(), [
    { epoch, first: 3, last: 6 },
    { epoch: later, first: 1, last: 2 },
  ]);
  assert.deepEqual(seqs(all(second.outbox, epoch, 3, 6)), [3, 4, 5, 6]);
  second.outbox.acknowledge(epoch, 6);
  second.outbox.acknowledge(later, 2);
  assert.equal(second.outbox.head(), 2);
  assert.deepEqual(second.outbox.pending(), []);
  append(second.store, 1);
  await second.store.flush();
  assert.deepEqual(second.outbox.pending(), [{ epoch: later, first: 3, last: 4 }]);
  await second.store.stop();
});

test('a portion ends where it is full, and holds one record at least', async (context) => {
  const place = new Place(context);
  const { store, outbox } = open(place);
  append(store, 3);
  await store.flush();
  const epoch = epochOf(outbox);
  const one = all(outbox, epoch, 1, 6, 1);
  assert.deepEqual([one.first, one.last, seqs(one)], [1, 1, [1]]);
  const some = all(outbox, epoch, 2, 6, 900);
  assert.ok(some.last > 2 && some.last < 6);
  assert.equal(some.records.length, some.last - 1);
  await store.stop();
});

test('numbers that are gone are explained', async (context) => {
  const place = new Place(context);
  const { store, outbox } = open(place);
  append(store, 3);
  await store.flush();
  const epoch = epochOf(outbox);
  outbox.acknowledge(epoch, 4);
  const portion = all(outbox, epoch, 2, 6);
  assert.deepEqual(portion.tombstones, [{ from: 2, to: 4, reason: 'not_kept', count: 3 }]);
  assert.deepEqual(seqs(portion), [5, 6]);
  assert.equal(outbox.read({ epoch: epoch + 1, first: 1, last: 2 }, 1e6), null);
  await store.stop();
});

test('retention keeps the newest and leaves one tombstone, which is delivered like a record', async (context) => {
  const place = new Place(context);
  const { store, outbox } = open(place, { outbox: { ...bounds, maxRows: 100 } });
  for (let n = 0; n < 30; n += 1) append(store, 10, `r${n}-`);
  await store.flush();
  const epoch = epochOf(outbox);
  assert.deepEqual(outbox.pending(), [{ epoch, first: 1, last: 600 }]);
  const { tombstones, records, last } = all(outbox, epoch, 1, 600);
  assert.equal(last, 600);
  assert.ok(records.length <= 100 && records.length >= 80, `${records.length} records are kept`);
  const lost = 600 - records.length;
  assert.deepEqual(tombstones, [{ from: 1, to: lost, reason: 'retention', count: lost }]);
  outbox.acknowledge(epoch, 100);
  assert.deepEqual(all(outbox, epoch, 101, 600).tombstones[0]?.from, 101);
  outbox.acknowledge(epoch, 600);
  assert.deepEqual(outbox.pending(), []);
  await store.stop();
});

test('a power cut within an acknowledgement undoes all of it or nothing', async (context) => {
  const place = new Place(context);
  const { store, outbox } = open(place, { outbox: { ...bounds, maxRows: 100 } });
  for (let n = 0; n < 12; n += 1) append(store, 10, `r${n}-`);
  await store.flush();
  const epoch = epochOf(outbox);
  const [stone] = all(outbox, epoch, 1, 240).tombstones;
  assert.ok(
    stone !== undefined && stone.to > 100 && stone.to < 200,
    'the first ends within it, the second after it',
  );
  const before = readFileSync(`${place.database}-wal`).length;
  outbox.acknowledge(epoch, 70);
  outbox.acknowledge(epoch, 200);
  const wal = readFileSync(`${place.database}-wal`);

  const begins: number[] = [];
  for (let length = before; length <= wal.length; length += walFrameBytes) {
    const after = new Place(context);
    copyFileSync(place.database, after.database);
    writeFileSync(`${after.database}-wal`, wal.subarray(0, length));
    const again = open(after);
    await again.store.flush();
    const [span] = again.outbox.pending();
    assert.deepEqual({ ...span, first: 0 }, { epoch, first: 0, last: 240 });
    begins.push(span?.first ?? 0);
    await again.store.stop();
  }
  assert.ok(begins.length > 3, 'the second takes more than one frame');
  assert.deepEqual([...new Set(begins)], [1, 71, 201], `the outbox began at ${begins}`);
  await store.stop();
});

test('retention by bytes, over several epochs', async (context) => {
  const place = new Place(context);
  const epochs: number[] = [];
  for (let run = 0; run < 4; run += 1) {
    const { store, outbox } = open(place, { outbox: { ...bounds, maxBytes: 12_000 } });
    for (let n = 0; n < 8; n += 1) append(store, 2, `${run}-${n}-`);
    await store.flush();
    epochs.push(epochOf(outbox));
    if (run === 3) {
      const spans = outbox.pending();
      assert.deepEqual(
        spans,
        epochs.map((epoch) => ({ epoch, first: 1, last: 32 })),
      );
      const portions = spans.map((span) => all(outbox, span.epoch, span.first, span.last));
      const bytes = portions.flatMap(({ records }) => records).join('').length;
      assert.ok(bytes <= 12_000 && bytes > 8_000, `${bytes} bytes are kept`);
      assert.deepEqual(portions[0]?.tombstones, [{ from: 1, to: 32, reason: 'retention', count: 32 }]);
    }
    await store.stop();
  }
});

test('a log that is deleted under the agent leaves tombstones for all that was not acknowledged', async (context) => {
  const place = new Place(context);
  const first = open(place);
  append(first.store, 2);
  await first.store.stop();
  const former = epochOf(first.outbox);

  const { store, outbox } = open(place);
  append(store, 3);
  await store.flush();
  const epoch = epochOf(outbox);
  outbox.acknowledge(epoch, 2);
  for (const suffix of ['', '-wal', '-shm']) rmSync(place.database + suffix);
  store.maintain();
  append(store, 1);
  await store.flush();
  assert.deepEqual(outbox.pending(), [
    { epoch: former, first: 1, last: 4 },
    { epoch, first: 3, last: 8 },
  ]);
  assert.deepEqual(all(outbox, former, 1, 4).tombstones, [{ from: 1, to: 4, reason: 'log_lost', count: 4 }]);
  const portion = all(outbox, epoch, 3, 8);
  assert.deepEqual(portion.tombstones, [{ from: 3, to: 6, reason: 'log_lost', count: 4 }]);
  assert.deepEqual(seqs(portion), [7, 8]);
  await store.stop();
});

test('a log that was damaged before the start: the epoch begins with the word that something is missing', async (context) => {
  const place = new Place(context);
  writeFileSync(place.database, 'this is no database, whatever its name says'.repeat(100));
  const { store, outbox } = open(place);
  append(store, 1);
  await store.flush();
  const portion = all(outbox, epochOf(outbox), 1, 3);
  assert.deepEqual(portion.tombstones, [{ from: 1, to: 1, reason: 'log_lost', count: null }]);
  assert.deepEqual(seqs(portion), [2, 3]);
  await store.stop();
});
