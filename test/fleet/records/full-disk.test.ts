/**
 * A device whose disk is full when it starts, or fills while records flow: what it could not record is explained to the
 * collector, by the real outbox and the real drain. The limit of the process for the size of a file stands for the disk.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { decodeBatch } from '../../../agent/fleet/records/batch.ts';
import { Drain } from '../../../agent/fleet/records/drain.ts';
import { controlOf, topicsOf } from '../../../agent/fleet/topics.ts';
import { nothing, type Progress, withRange } from '../../../agent/store/collector/spans.ts';
import type { Store } from '../../../agent/store/store.ts';
import { resident, Story, stateOf } from '../../store/made.ts';
import { Place } from '../../store/place.ts';
import { Network } from './network.ts';

function limitFiles(bytes: number | 'unlimited'): boolean {
  return spawnSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`]).status === 0;
}

const skip = limitFiles('unlimited')
  ? false
  : 'prlimit (util-linux) is not installed or may not be used here';

// Without a listener the signal that comes with the error would end the process.
process.on('SIGXFSZ', () => {});

const topics = topicsOf('t', 'pi');
const control = controlOf('t');

/** Takes everything and acknowledges it: how many records and explanations came of each epoch. */
class Received {
  readonly progress = new Map<number, Progress>();
  readonly reasons = new Map<string, number>();
  records = 0;

  take(payload: Uint8Array): { epoch: number; hw: number; missing: [] } {
    const { epoch, first, last, records, tombstones } = decodeBatch(payload);
    const before = this.progress.get(epoch) ?? nothing;
    if (before.high < last) {
      this.records += records.length;
      for (const { reason, count } of tombstones)
        this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + (count ?? 0));
    }
    const after = withRange(before, [first, last]);
    this.progress.set(epoch, after);
    return { epoch, hw: after.high, missing: [] };
  }
}

function setUp(context: TestContext) {
  const place = new Place(context);
  context.after(() => limitFiles('unlimited'));
  const network = new Network(place.clock, () => 0.5);
  const device = network.end([topics.ack, control.status]);
  const center = network.end([topics.rec]);
  const received = new Received();
  center.onMessage(async (_topic, payload) => {
    const ack = received.take(payload);
    await center.publish(topics.ack, JSON.stringify(ack), { qos: 1, retain: true });
  });
  center.up();
  network.carry({ topic: control.status, payload: Buffer.from('{"online":true}') }, true);
  const begin = (): { store: Store; drain: Drain } => {
    const store = place.store({ outbox: { maxRows: 10_000, maxBytes: 4_000_000, clockSynced: () => true } });
    store.start();
    const outbox = store.outbox();
    assert.ok(outbox !== null);
    const drain = new Drain({
      outbox,
      link: device,
      clock: place.clock,
      topics: { rec: topics.rec, ack: topics.ack, collector: control.status },
      report: ({ message }) => assert.fail(message),
    });
    drain.start();
    // Another connection of another process.
    device.down();
    device.up();
    return { store, drain };
  };
  const through = async ({ store, drain }: { store: Store; drain: Drain }): Promise<void> => {
    for (let n = 0; n < 200 && (n < 3 || drain.health().waiting > 0); n += 1) {
      await store.flush();
      place.clock.advance(500);
      for (let steps = 0; steps < 20; steps += 1) await turn();
    }
    assert.equal(drain.health().waiting, 0, 'something still waits');
  };
  return { place, received, begin, through };
}

/** Two records each. */
function decide(store: Store, requests: number): void {
  for (let n = 0; n < requests; n += 1) {
    const story = new Story(stateOf({ embedder: resident }));
    store.append(story.granted(`r${n}`).released(`r${n}`).entries);
  }
}

test('a disk that is full at the start: decisions are counted, and explained when there is room', {
  skip,
}, async (context) => {
  const { place, received, begin, through } = setUp(context);
  const first = begin();
  decide(first.store, 5);
  await through(first);
  first.drain.stop();
  await first.store.stop();
  assert.equal(received.records, 10);

  limitFiles(1);
  const device = begin();
  decide(device.store, 7);
  assert.equal(device.drain.health().waiting, 0);
  assert.equal(device.store.health().state, 'degraded');
  limitFiles('unlimited');
  place.clock.advance(60_000);
  decide(device.store, 3);
  await through(device);
  assert.equal(received.records, 10 + 6);
  assert.deepEqual([...received.reasons], [['log_degraded', 14]]);
  device.drain.stop();
  await device.store.stop();
});

test('a disk that fills up while records flow, again and again: each is delivered or explained', {
  skip,
}, async (context) => {
  const { place, received, begin, through } = setUp(context);
  const device = begin();
  let decided = 0;
  for (let round = 0; round < 6; round += 1) {
    const limited = round % 2 === 1;
    limitFiles(limited ? 1 : 'unlimited');
    decide(device.store, 20);
    decided += 40;
    await device.store.flush();
    place.clock.advance(60_000);
    for (let steps = 0; steps < 20; steps += 1) await turn();
  }
  limitFiles('unlimited');
  place.clock.advance(60_000);
  decide(device.store, 1);
  decided += 2;
  await through(device);
  const explained = received.reasons.get('log_degraded') ?? 0;
  assert.equal(received.records + explained, decided);
  assert.equal(explained, device.store.health().dropped);
  assert.ok(explained >= 3 * 40, 'the limit had no effect');
  assert.deepEqual([...received.reasons.keys()], ['log_degraded']);
  device.drain.stop();
  await device.store.stop();
});
