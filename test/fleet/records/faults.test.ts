/**
 * Records on their way through a real broker, over a network that is cut between either end and the broker, in either
 * direction, in the middle of packets, and with a broker that is killed: exactly once in effect, whatever happens.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TestBroker, urlOf } from '../brokers/broker.ts';
import { mosquitto } from '../brokers/mosquitto.ts';
import { Cut, type Direction } from '../cut.ts';
import { FastClock } from '../fast-clock.ts';
import { seeded } from '../seeded.ts';
import { scratch } from '../session/live.ts';
import { CollectorEnd, DeviceEnd, until, up } from './ends.ts';

/** Keepalives of 10 s are a quarter of a second. */
const speed = 40;

/** One end with the network before it. */
interface Way {
  readonly cut: Cut;
  readonly end: DeviceEnd | CollectorEnd;
}

interface Moment {
  readonly way: Way;
  readonly direction: Direction;
  readonly device: DeviceEnd;
  readonly broker: TestBroker;
  readonly random: () => number;
}

type Fault = (moment: Moment) => Promise<void>;

async function fallen({ end }: Way): Promise<void> {
  await until(
    () => !end.session.isUp,
    () => 'down',
  );
}

/** Each returns when it has had its effect; `heal` comes after it. */
const faults: Readonly<Record<string, Fault>> = {
  reset: async ({ way }) => {
    way.cut.reset();
    await fallen(way);
  },
  // Nobody is told: a PUBACK, an acknowledgement or a batch is gone, and the keepalive has to notice.
  drop: async ({ way, direction }) => {
    way.cut.drop(direction);
    await fallen(way);
  },
  halfClose: async ({ way, direction }) => {
    way.cut.halfClose(direction);
    await fallen(way);
  },
  tear: async ({ way, direction, device, random }) => {
    way.cut.cutAfter(direction, Math.floor(random() * 300));
    await until(
      () => {
        device.decide(1);
        return !way.end.session.isUp;
      },
      () => 'torn',
    );
  },
  refuse: async ({ way }) => {
    const { attempts } = way.end.session.health();
    way.cut.refuse(true);
    way.cut.reset();
    await until(
      () => way.end.session.health().attempts >= attempts + 3,
      () => 'refused',
    );
  },
  delay: async ({ way, random }) => {
    way.cut.delay(Math.floor(random() * 40));
  },
  kill: async ({ way, broker }) => {
    await broker.stop('killed');
    await fallen(way);
    await broker.start();
  },
};

test('cut, dropped, torn and slow, at either end and either way, and a broker that is killed: all records, once', {
  skip: mosquitto.missing ?? false,
}, async (context) => {
  const place = scratch();
  context.after(() => place.remove());
  const broker = await mosquitto.open({ folder: place.folder });
  context.after(() => broker.stop('killed'));
  const cuts = { device: await Cut.open(broker.port), collector: await Cut.open(broker.port) };
  const random = seeded(8);
  const clock = new FastClock(speed);
  const soon = () => random() * 0.01;
  const device = new DeviceEnd('pi', { url: urlOf(cuts.device.port), clock, random: soon });
  const collector = new CollectorEnd(place.folder, { url: urlOf(cuts.collector.port), clock, random: soon });
  context.after(async () => {
    for (const cut of Object.values(cuts)) cut.heal();
    await Promise.all([device.stop(), collector.stop()]);
    await Promise.all([cuts.device.close(), cuts.collector.close()]);
  });
  const ways = [
    { cut: cuts.device, end: device },
    { cut: cuts.collector, end: collector },
  ];
  for (const direction of ['up', 'down'] as const)
    for (const way of ways)
      for (const fault of Object.values(faults)) {
        await up(device, collector);
        device.decide(1 + Math.floor(random() * 60));
        await fault({ way, direction, device, broker, random });
        way.cut.heal();
      }
  await until(
    () => device.isThrough(),
    () => `delivered: ${JSON.stringify(device.drain.health())}`,
  );
  collector.checkAll(new Map([['pi', [device]]]));
  const { batchesSent, batchesRepeated, refused } = device.drain.health();
  context.diagnostic(`${batchesSent} batches, ${batchesRepeated} of them once more`);
  assert.deepEqual(refused, {}, 'every acknowledgement was of what had been sent');
  for (const { end } of ways) assert.ok(end.session.health().attempts >= 13, 'hardly anything was cut');
});
