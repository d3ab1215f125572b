/** Retained words that arrive after newer ones: an older acknowledgement, an older word on whether a collector is there. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { Collector, collectorGone, collectorTopics } from '../../../agent/fleet/collector/collector.ts';
import { Drain } from '../../../agent/fleet/records/drain.ts';
import { controlOf, topicsOf } from '../../../agent/fleet/topics.ts';
import type { Portion } from '../../../agent/outbox.ts';
import type { Failure } from '../../../agent/types.ts';
import { ManualClock } from '../../store/clock.ts';
import { FakeOutbox } from './fake-outbox.ts';
import { Network } from './network.ts';

const topics = topicsOf('t', 'pi');
const control = controlOf('t');

/** As `encodeBatch`, without threads. */
function encode({ epoch, first, last, records, tombstones }: Portion): Promise<Uint8Array> {
  const recs = records.map((text): unknown => JSON.parse(text));
  return Promise.resolve(gzipSync(JSON.stringify({ v: 1, epoch, first, last, recs, tombstones })));
}

function setUp(context: TestContext) {
  const clock = new ManualClock();
  const network = new Network(clock, () => 0.5);
  const device = network.end([topics.ack, control.status]);
  const center = network.end([topics.rec]);
  const outbox = new FakeOutbox();
  const reports: Failure[] = [];
  let batches = 0;
  center.onMessage(() => {
    batches += 1;
    return undefined;
  });
  device.up();
  center.up();
  outbox.begin();
  const drain = new Drain({
    outbox,
    link: device,
    clock,
    topics: { rec: topics.rec, ack: topics.ack, collector: control.status },
    report: (failure) => reports.push(failure),
    encode,
    window: { maxBatches: 4, firstPatienceMs: 1e9, lastPatienceMs: 1e9, random: () => 0 },
  });
  drain.start();
  context.after(() => drain.stop());
  const say = (topic: string, value: unknown): void =>
    device.receive({
      topic,
      payload: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
    });
  const wait = async (ms: number, steps = 20): Promise<void> => {
    for (let step = 0; step < steps; step += 1) {
      clock.advance(ms / steps);
      await turn();
      await turn();
    }
  };
  const decide = (count: number): void => {
    outbox.append(count);
    outbox.sync();
  };
  return {
    clock,
    network,
    device,
    center,
    outbox,
    drain,
    reports,
    say,
    wait,
    decide,
    batches: () => batches,
  };
}

test('an acknowledgement that is older than the last one lets go of nothing, repeats nothing, and is no offence', async (context) => {
  const { outbox, drain, reports, say, wait, decide, batches } = setUp(context);
  const released: string[] = [];
  outbox.onRelease = (epoch, first, last) => released.push(`${epoch}: ${first}-${last}`);
  say(control.status, { online: true, sinceMs: 5 });
  decide(60);
  await wait(3_000);
  const epoch = outbox.epoch();
  const ack = (hw: number, missing: readonly (readonly [number, number])[] = []) =>
    say(topics.ack, { epoch, hw, missing });
  ack(40);
  const sent = batches();
  for (const hw of [10, 40, 0, 39]) ack(hw);
  await wait(3_000);
  assert.deepEqual(released, [`${epoch}: 1-40`]);
  assert.deepEqual(outbox.pending(), [{ epoch, first: 41, last: 60 }]);
  assert.equal(batches(), sent, 'what is under way was sent again');
  ack(60);
  ack(40);
  await wait(120_000);
  assert.deepEqual(released, [`${epoch}: 1-40`, `${epoch}: 41-60`]);
  assert.equal(batches(), sent);
  const { acknowledged, acksRefused, waiting } = drain.health();
  assert.deepEqual({ acknowledged, acksRefused, waiting }, { acknowledged: 60, acksRefused: 0, waiting: 0 });
  assert.deepEqual(reports, []);
});

test('an acknowledgement of an earlier epoch that comes late touches nothing of this one', async (context) => {
  const { outbox, drain, say, wait, decide } = setUp(context);
  say(control.status, { online: true, sinceMs: 5 });
  decide(30);
  await wait(3_000);
  const earlier = outbox.epoch();
  say(topics.ack, { epoch: earlier, hw: 30, missing: [] });
  outbox.begin();
  decide(20);
  await wait(3_000);
  for (const hw of [30, 20, 5]) say(topics.ack, { epoch: earlier, hw, missing: [] });
  await wait(1_000);
  assert.deepEqual(outbox.pending(), [{ epoch: outbox.epoch(), first: 1, last: 20 }]);
  assert.equal(drain.health().acksRefused, 0);
});

test('the word of a collector that it says again is no new collector; another one is, whatever its clock says', async (context) => {
  const { say, wait, decide, batches } = setUp(context);
  say(control.status, { online: true, sinceMs: 1_790_000_000_000 });
  decide(30);
  await wait(3_000);
  assert.equal(batches(), 1);
  for (let n = 0; n < 5; n += 1) say(control.status, { online: true, sinceMs: 1_790_000_000_000 });
  await wait(1_000);
  assert.equal(batches(), 1, 'a reminder made it send everything again');
  // It started again, with a clock that nobody had set.
  say(control.status, { online: true, sinceMs: 7 });
  await wait(1_000);
  assert.equal(batches(), 2);
});

test('a goodbye that comes after the birth of the next collector holds a device up only until the reminder', async (context) => {
  const { clock, network, device, drain, wait, decide } = setUp(context);
  const end = network.end(collectorTopics('t'));
  const kept = { device: 'pi', epoch: 101, high: 0, missing: [] };
  const archive = {
    keep: () => [kept],
    born: () => true,
    died: () => true,
    reported: () => undefined,
    refused: () => undefined,
  };
  const collector = new Collector({
    root: 't',
    link: end,
    archive,
    clock,
    report: ({ message }) => assert.fail(message),
  });
  end.up();
  collector.start();
  context.after(() => collector.stop());
  network.carry({ topic: control.status, payload: Buffer.from(collector.birth()) }, true);
  await wait(1_000);
  network.carry({ topic: control.status, payload: Buffer.from(collectorGone) }, true);
  decide(10);
  await wait(5_000);
  assert.deepEqual([drain.health().state, drain.health().batchesSent], ['paused', 0]);
  // Whoever connects meanwhile believes the same.
  device.down();
  device.up();
  await wait(5_000);
  assert.equal(drain.health().state, 'paused');
  await wait(360_000);
  assert.ok(drain.health().batchesSent > 0);
  assert.equal(drain.health().state, 'sending');
  device.down();
  device.up();
  assert.equal(drain.health().state, 'idle', 'the reminder is what the broker keeps');
});
