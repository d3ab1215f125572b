/**
 * Wall clocks that jump by years, in both directions, at the device and at the collector, while it runs and over
 * restarts: records are told apart and ordered by epoch and number alone, so all arrive, once, in their order.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Collector, collectorTopics } from '../../../agent/fleet/collector/collector.ts';
import { Drain } from '../../../agent/fleet/records/drain.ts';
import { controlOf, topicsOf } from '../../../agent/fleet/topics.ts';
import { SqliteArchive } from '../../../agent/store/collector/archive.ts';
import { SqliteArchiveReader } from '../../../agent/store/collector/reader.ts';
import { resident, Story, stateOf } from '../../store/made.ts';
import { Place } from '../../store/place.ts';
import { fair, Network } from './network.ts';

const topics = topicsOf('t', 'pi');
const control = controlOf('t');
const year = (number: number): number => Date.UTC(number, 5);
/** Of one process each: what its clock says at the start, and to what it jumps while it runs. */
const lives = [
  [year(2026), year(2031)],
  [year(1970), year(2026)],
  [year(2099), year(1970)],
  [year(2026), year(2026)],
  [year(1970), year(2099)],
] as const;
const requests = 20;

test('clocks that jump by years lose nothing, repeat nothing and do not stop the delivery', async (context) => {
  const place = new Place(context);
  const { clock } = place;
  let nowMs = year(2026);
  context.mock.method(Date, 'now', () => nowMs);
  const network = new Network(clock, () => 0.5);
  const device = network.end([topics.ack, control.status]);
  const center = network.end(collectorTopics('t'));
  const path = join(place.directory, 'fleet.db');
  const archive = new SqliteArchive({ path, nowMs });
  const report = ({ message }: { readonly message: string }) => assert.fail(message);
  const collector = new Collector({ root: 't', link: center, archive, clock, report });
  collector.start();
  context.after(() => {
    collector.stop();
    archive.close();
  });
  center.up();
  const wait = async (ms: number): Promise<void> => {
    for (let step = 0; step < 20; step += 1) {
      clock.advance(ms / 20);
      for (let n = 0; n < 5; n += 1) await turn();
    }
  };

  let bd = 0;
  for (const [index, [startMs, laterMs]] of lives.entries()) {
    nowMs = startMs;
    const store = place.store({ outbox: { maxRows: 10_000, maxBytes: 4_000_000, clockSynced: () => true } });
    store.start();
    const outbox = store.outbox();
    assert.ok(outbox !== null);
    const drain = new Drain({
      outbox,
      link: device,
      clock,
      topics: { rec: topics.rec, ack: topics.ack, collector: control.status },
      report,
    });
    drain.start();
    device.up();
    // Every other process is cut off before it is through.
    network.weather = index % 2 === 0 ? { lost: 1, twice: 0, delayMs: 5 } : fair;
    for (const [half, wallMs] of [startMs, laterMs].entries()) {
      nowMs = wallMs;
      bd += 1;
      network.carry({ topic: control.status, payload: Buffer.from(collector.birth(bd)) }, true);
      const story = new Story(stateOf({ embedder: resident }));
      for (let n = 0; n < requests / 2; n += 1)
        story.granted(`${index}-${half}-${n}`).released(`${index}-${half}-${n}`);
      store.append(story.entries);
      await store.flush();
      await wait(3_000);
    }
    if (index === lives.length - 1) {
      network.weather = fair;
      for (let n = 0; n < 40 && drain.health().waiting > 0; n += 1) await wait(30_000);
      assert.equal(drain.health().waiting, 0);
    }
    drain.stop();
    device.down();
    await store.stop();
  }

  const reader = new SqliteArchiveReader(path, nowMs);
  const [row] = reader.devices();
  const rows = reader.records({ device: 'pi', sinceMs: null, limit: 10_000 });
  reader.close();
  assert.deepEqual(
    [row?.records, row?.conflicts, row?.lost, row?.missing, row?.refused],
    [lives.length * requests * 2, 0, 0, 0, 0],
  );
  const inOrder = rows
    .toReversed()
    .map(({ body }): { request: string; event: string } => JSON.parse(body))
    .filter(({ event }) => event === 'released')
    .map(({ request }) => request);
  const expected = lives.flatMap((_, index) =>
    [0, 1].flatMap((half) => Array.from({ length: requests / 2 }, (_, n) => `${index}-${half}-${n}`)),
  );
  assert.deepEqual(inOrder, expected);
});
