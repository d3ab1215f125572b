/** Two agents with one name and one collector: they throw each other out, and hear each other's acknowledgements. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aedes } from '../brokers/aedes.ts';
import { mosquitto } from '../brokers/mosquitto.ts';
import { FastClock } from '../fast-clock.ts';
import { scratch } from '../session/live.ts';
import { CollectorEnd, DeviceEnd, until } from './ends.ts';

const records = 300;

for (const kind of [mosquitto, aedes]) {
  test(`${kind.name}: two agents with one name lose no record of either, though each hears what the other is told`, {
    skip: kind.missing ?? false,
  }, async (context) => {
    const place = scratch();
    context.after(() => place.remove());
    const broker = await kind.open({ folder: place.folder });
    context.after(() => broker.stop('killed'));
    const options = { url: broker.url, clock: new FastClock(40), random: () => 0.02 };
    const collector = new CollectorEnd(place.folder, options);
    context.after(() => collector.stop());
    const twins = [new DeviceEnd('twin', options), new DeviceEnd('twin', options)];
    context.after(() => Promise.all(twins.map((twin) => twin.stop())));
    // They were not started in the same second.
    twins[1]?.outbox.begin();
    for (let n = 0; n < 5; n += 1) {
      for (const twin of twins) twin.decide(records / 5);
      const attempts = twins.map(({ session }) => session.health().attempts);
      await until(
        () => twins.every(({ session }, index) => session.health().attempts > (attempts[index] ?? 0)),
        () => 'thrown out',
      );
    }
    await until(
      () => twins.every((twin) => twin.isThrough()),
      () => JSON.stringify(twins.map(({ drain, session }) => [drain.health(), session.health()])),
    );
    collector.checkAll(new Map([['twin', twins]]));
    assert.equal(collector.rows().length, 2 * records);
    const told = twins.map(({ reports }) => reports.map(({ code }) => code));
    assert.ok((told[0] ?? []).length > 0, 'the elder is told of an epoch that it never began, and says so');
    for (const code of told.flat()) assert.match(code, /^(ack_refused|epoch_renewed)$/);
  });
}
