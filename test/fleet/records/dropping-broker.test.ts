/** A broker that says PUBACK and drops: what it cannot queue for a collector that takes nothing is gone for it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Archive } from '../../../agent/archive.ts';
import { AgentError } from '../../../agent/errors.ts';
import { topicsOf } from '../../../agent/fleet/topics.ts';
import { mosquitto } from '../brokers/mosquitto.ts';
import { FastClock } from '../fast-clock.ts';
import { scratch } from '../session/live.ts';
import { CollectorEnd, DeviceEnd, root, until, up } from './ends.ts';

/** One batch each, so that there are more than the broker keeps for a client: 32 in flight, and those it may queue. */
const epochs = 120;
const recordsEach = 3;

/** A database whose disk is full while `isFull`. */
function fillable(state: { isFull: boolean }, onBirth: () => void): (real: Archive) => Archive {
  return (real) => ({
    keep: (...all) => {
      if (state.isFull) throw new AgentError('disk_full', 'no room');
      return real.keep(...all);
    },
    born: (...all) => {
      onBirth();
      return real.born(...all);
    },
    died: (...all) => real.died(...all),
    reported: (...all) => real.reported(...all),
    refused: (...all) => real.refused(...all),
  });
}

test('a broker that drops what it has acknowledged: the device sends it again, and all is there once', {
  skip: mosquitto.missing ?? false,
}, async (context) => {
  const place = scratch();
  context.after(() => place.remove());
  const broker = await mosquitto.open({ folder: place.folder, maxQueued: 5 });
  context.after(() => broker.stop('killed'));
  const state = { isFull: true };
  let births = 0;
  const clock = new FastClock(20);
  const random = () => 0.001;
  const through = fillable(state, () => {
    births += 1;
  });
  const collector = new CollectorEnd(place.folder, { url: broker.url, clock, random, through });
  context.after(() => collector.stop());
  await up(collector);

  // Its patience is for ever: what it sends again it sends because a hole is named, or because of a new collector.
  const window = { maxBatches: epochs, firstPatienceMs: 1e8, lastPatienceMs: 1e8 };
  const device = new DeviceEnd('pi', { url: broker.url, clock, random, window });
  context.after(() => device.stop());
  for (let n = 0; n < epochs; n += 1) {
    if (n > 0) device.outbox.begin();
    device.decide(recordsEach);
  }
  await until(
    () => device.drain.health().batchesSent === epochs,
    () => `sent: ${JSON.stringify(device.drain.health())}`,
  );
  // Messages have their turn in order: with this one the broker has acknowledged all batches.
  await device.session.publish(`${root}/v1/after`, '', { qos: 1 });
  const { status } = topicsOf(root, 'marker');
  const birth = { online: true, bd: 1, boot: 'b', epoch: 1, head: 0, agent: '1', schema: 1, caps: [] };
  const before = births;
  state.isFull = false;
  await until(
    () => collector.collector.health().commits > 0,
    () => 'kept',
  );
  // What comes to the collector now is behind all that the broker kept for it.
  for (let n = 0; births === before; n += 1) {
    assert.ok(n < 1_000, 'the marker was never let through');
    await device.session.publish(status, JSON.stringify(birth), { qos: 1 });
  }
  await until(
    () => device.drain.health().acknowledged === collector.rows().length,
    () => 'acknowledged',
  );
  const kept = collector.rows().length;
  context.diagnostic(`the broker dropped ${epochs - kept / recordsEach} of ${epochs} batches`);
  assert.ok(kept > 0 && kept < epochs * recordsEach, `${kept} records came: the broker dropped nothing`);
  assert.equal(device.isThrough(), false, 'what was dropped is still held');

  // A new collector connection, as every five minutes of silence would do it.
  await collector.session.stop();
  collector.session.start();
  await until(
    () => device.isThrough(),
    () => `delivered: ${JSON.stringify(device.drain.health())}`,
  );
  collector.checkAll(new Map([['pi', [device]]]));
});
