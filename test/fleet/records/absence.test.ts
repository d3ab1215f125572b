/** A device that was away for so long that its broker has forgotten its session, or everything. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { topicsOf } from '../../../agent/fleet/topics.ts';
import { aedes } from '../brokers/aedes.ts';
import type { BrokerKind, TestBroker } from '../brokers/broker.ts';
import { mosquitto } from '../brokers/mosquitto.ts';
import { FastClock } from '../fast-clock.ts';
import { Live, scratch } from '../session/live.ts';
import { CollectorEnd, DeviceEnd, root, until, up } from './ends.ts';

const { cmd } = topicsOf(root, 'pi');

interface Forgetting {
  readonly kind: BrokerKind;
  readonly what: string;
  readonly forget: (broker: TestBroker) => Promise<void>;
}

const forgettings: readonly Forgetting[] = [
  {
    kind: mosquitto,
    what: 'its session',
    // Who comes once without wanting a session ends it, as the broker itself does after its expiry.
    forget: async ({ url }) => {
      const other = await new Live(url, 'pi', [], { persistent: false }).start();
      await other.session.stop();
    },
  },
  {
    kind: aedes,
    what: 'everything',
    forget: async (broker) => {
      await broker.stop('killed');
      await broker.start();
    },
  },
];

for (const { kind, what, forget } of forgettings) {
  test(`${kind.name} has forgotten ${what}: who comes back delivers what it kept, explains the rest, and is reached`, {
    skip: kind.missing ?? false,
  }, async (context) => {
    const place = scratch();
    context.after(() => place.remove());
    const broker = await kind.open({ folder: place.folder });
    context.after(() => broker.stop('killed'));
    const options = { url: broker.url, clock: new FastClock(40), random: () => 0.02 };
    const collector = new CollectorEnd(place.folder, options);
    const device = new DeviceEnd('pi', options);
    const heard: string[] = [];
    const sessions: boolean[] = [];
    device.session.onMessage(async (topic, payload) => {
      if (topic === cmd) heard.push(Buffer.from(payload).toString());
    });
    device.session.onUp((sessionPresent) => sessions.push(sessionPresent));
    context.after(() => Promise.all([device.stop(), collector.stop()]));
    await up(device, collector);
    device.decide(200);
    await until(
      () => device.isThrough(),
      () => 'delivered',
    );

    await device.session.stop();
    // Months: it starts again and again, and its bounds take what is oldest.
    device.decide(400);
    for (let start = 0; start < 5; start += 1) {
      device.outbox.begin();
      device.decide(300);
    }
    device.outbox.retain(950);
    await collector.session.publish(cmd, 'while it was away', { qos: 1 });
    await forget(broker);
    await up(collector);
    device.session.start();
    await up(device);
    await collector.session.publish(cmd, 'when it is back', { qos: 1 });
    await until(
      () => device.isThrough() && heard.length > 0,
      () => `delivered: ${JSON.stringify([device.drain.health(), heard])}`,
    );
    assert.deepEqual(sessions, [false, false]);
    assert.deepEqual(heard, ['when it is back'], 'it waited in the session, and is gone with it');
    assert.equal(device.keys('pi', 'dropped').length, 950);
    collector.checkAll(new Map([['pi', [device]]]));
  });
}
