/** Retained words that arrive after newer ones: an older acknowledgement, an older word on whether a collector is there. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { Collector, collectorTopics } from '../../../agent/fleet/collector/collector.ts';
import { Drain } from '../../../agent/fleet/records/drain.ts';
import { controlOf, topicsOf } from '../../../agent/fleet/topics.ts';
import type { Portion } from '../../../agent/outbox.ts';
import type { Failure } from '../../../agent/types.ts';
import { ManualClock } from '../../store/clock.ts';
import { encodeAtOnce } from './encode.ts';
import { FakeOutbox } from './fake-outbox.ts';
import { Network } from './network.ts';

const topics = topicsOf('t', 'pi');
const control = controlOf('t');

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
    encode: encodeAtOnce,
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
  const { acknowledged, refused, waiting } = drain.health();
  assert.deepEqual({ acknowledged, refused, waiting }, { acknowledged: 60, refused: {}, waiting: 0 });
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
  assert.deepEqual(drain.health().refused, {});
});

test('an acknowledgement of what an earlier process never sent changes nothing of this one', async (context) => {
  const { outbox, drain, say, decide } = setUp(context);
  decide(5);
  const earlier = outbox.epoch();
  outbox.begin();
  const current = outbox.epoch();
  decide(5);
  say(topics.ack, { epoch: earlier, hw: 500, missing: [] });
  assert.equal(outbox.epoch(), current);
  assert.deepEqual(drain.health().refused, { ack_refused: 1 });
});

test('a batch that is being packed when its epoch turns out to be known goes under the later one', async (context) => {
  const { clock, center, outbox, say, wait, decide } = setUp(context);
  const epoch = outbox.epoch() ?? 0;
  const arrived: Portion[] = [];
  center.onMessage(async (_, payload) => void arrived.push(JSON.parse(String(gunzipSync(payload)))));
  say(control.status, { online: true, sinceMs: 5 });
  await wait(1_000);
  decide(10);
  clock.advance(2_000);
  say(topics.ack, { epoch, hw: 500, missing: [] });
  await wait(5_000);
  assert.deepEqual(
    arrived.map((one) => [one.epoch, one.first, one.last]),
    [[epoch + 1, 1, 10]],
  );
});

test('a hole in the epoch of another device is not explained here, and holds nothing up', async (context) => {
  const { outbox, drain, say, wait, decide, batches } = setUp(context);
  say(control.status, { online: true, sinceMs: 5 });
  decide(10);
  for (let n = 0; n < 5; n += 1) {
    say(topics.ack, { epoch: 50, hw: 1, missing: [[2, 3 + n]] });
    await wait(500);
  }
  assert.equal(batches(), 1);
  assert.deepEqual(outbox.pending(), [{ epoch: outbox.epoch(), first: 1, last: 10 }]);
  assert.deepEqual(drain.health().refused, {});
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

test('a goodbye that comes after the birth of the next connection takes nothing back, but for who connects meanwhile', async (context) => {
  // Both connections begin in the same millisecond.
  context.mock.method(Date, 'now', () => 1_790_000_000_000);
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
  const tell = (word: string): void =>
    network.carry({ topic: control.status, payload: Buffer.from(word) }, true);
  const gone = collector.will(1);
  tell(collector.birth(1));
  await wait(1_000);
  tell(collector.birth(2));
  await wait(1_000);
  tell(gone);
  decide(10);
  await wait(5_000);
  assert.deepEqual([drain.health().state, drain.health().batchesSent], ['sending', 1]);
  // For the broker it is the newest word: who connects now hears only that, until the reminder.
  device.down();
  device.up();
  await wait(5_000);
  assert.equal(drain.health().state, 'paused');
  await wait(360_000);
  assert.equal(drain.health().state, 'sending');
  // A will is handed over before the birth that it takes back. That of an older collector names no connection.
  for (const will of [collector.will(3), JSON.stringify({ online: false })]) {
    tell(collector.birth(3));
    await wait(1_000);
    tell(will);
    await wait(1_000);
    assert.equal(drain.health().state, 'paused', `not after ${will}`);
  }
  tell(collector.birth(4));
  await wait(1_000);
  device.down();
  device.up();
  assert.equal(drain.health().state, 'idle', 'the reminder is what the broker keeps');
});
