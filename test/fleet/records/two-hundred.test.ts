/** 200 devices with records, whose broker is killed: they come back spread over time, and nothing is lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Dial, dial } from '../../../agent/fleet/session/dial.ts';
import { mosquitto } from '../brokers/mosquitto.ts';
import { FastClock } from '../fast-clock.ts';
import { peakPerSecond, seeded } from '../seeded.ts';
import { scratch } from '../session/live.ts';
import { CollectorEnd, DeviceEnd, until, up } from './ends.ts';

const size = 200;
const recordsEach = 30;

test(`${size} devices with records on their way when the broker is killed: at most 20 in a second, and all records, once`, {
  skip: mosquitto.missing ?? false,
}, async (context) => {
  const place = scratch();
  context.after(() => place.remove());
  const broker = await mosquitto.open({ folder: place.folder });
  context.after(() => broker.stop('killed'));
  const clock = new FastClock(20);
  const random = seeded(200);
  const attemptsMs: number[] = [];
  /** An attempt is noted for when it was due: by the clock of its own device, since those of others ring in between. */
  const noted =
    (own: FastClock): Dial =>
    (...to) => {
      attemptsMs.push(own.dueMs);
      return dial(...to);
    };
  const collector = new CollectorEnd(place.folder, { url: broker.url, clock, random: () => 0.01 });
  context.after(() => collector.stop());
  await up(collector);
  const devices: DeviceEnd[] = [];
  context.after(() => Promise.all(devices.map((device) => device.stop())));
  // Ten at a time: how they come the first time is not what is looked at.
  while (devices.length < size) {
    const next = Array.from({ length: 10 }, (_, index) => {
      const id = `edge-${devices.length + index}`;
      const own = clock.another();
      const ways = { url: broker.url, random, keepaliveSeconds: 3_600 };
      return new DeviceEnd(id, { ...ways, clock: own, dial: noted(own) });
    });
    devices.push(...next);
    await up(...next);
  }
  attemptsMs.length = 0;

  for (const device of devices) device.decide(recordsEach);
  await until(
    () => devices.some((device) => device.isThrough()),
    () => 'on their way',
  );
  await broker.stop('killed');
  await until(
    () => devices.every(({ session }) => !session.isUp),
    () => 'down',
  );
  for (const device of devices) device.decide(recordsEach);
  await broker.start();
  await until(
    () => devices.every((device) => device.isThrough()),
    () => `delivered: ${devices.filter((device) => !device.isThrough()).length} are not through`,
    60_000,
  );
  const peak = peakPerSecond(attemptsMs);
  context.diagnostic(`${attemptsMs.length} attempts, ${peak} of them in the busiest second`);
  assert.ok(peak <= 20, `a peak of ${peak}`);
  assert.ok(attemptsMs.length >= size, 'everybody was thrown out');
  collector.checkAll(new Map(devices.map((device, index) => [`edge-${index}`, [device]])));
});
