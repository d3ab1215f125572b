/** A broker that is real, behind a network that fails. Which broker hardly matters: it is the device's side that counts. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import type { SessionOptions } from '../../../agent/fleet/session/session.ts';
import { type TestBroker, urlOf } from '../brokers/broker.ts';
import { mosquitto } from '../brokers/mosquitto.ts';
import { Cut } from '../cut.ts';
import { seeded } from '../seeded.ts';
import { Live, scratch } from './live.ts';
import { greetingOf } from './set-up.ts';

/** So that a dead link is noticed in a second and a half. */
const keepaliveSeconds = 1;

describe('a network that fails', { skip: mosquitto.missing ?? false }, () => {
  let place: ReturnType<typeof scratch>;
  let broker: TestBroker;
  let cut: Cut;
  let near: Live;
  const open: Live[] = [];

  /** Behind the failing network. */
  const far = (id: string, topics: readonly string[], more: Partial<SessionOptions> = {}): Live => {
    const one = new Live(urlOf(cut.port), id, topics, more);
    open.push(one);
    return one;
  };

  before(async () => {
    place = scratch();
    broker = await mosquitto.open({ folder: place.folder });
  });
  beforeEach(async () => {
    cut = await Cut.open(broker.port);
    near = await new Live(broker.url, 'near', []).start();
    open.push(near);
  });
  afterEach(async () => {
    cut.heal();
    await Promise.all(open.splice(0).map(({ session }) => session.stop()));
    await cut.close();
  });
  after(async () => {
    await broker.stop('killed');
    place.remove();
  });

  test('a PUBACK that is lost: the message is rejected, and sent again it arrives twice', async () => {
    const topic = 'f/v1/puback/rec';
    await near.session.subscribe([topic]);
    const device = await far('puback', []).start();
    cut.drop('down');
    const sent = device.publish(topic, 'once or twice');
    await near.until(() => near.texts(topic).length === 1, 'served');
    const [result] = await Promise.allSettled([sent, Promise.resolve(cut.reset())]);
    assert.equal(result.status === 'rejected' && result.reason.code, 'link_lost');
    cut.heal();
    await device.until(() => device.session.isUp, 'up again');
    await device.publish(topic, 'once or twice');
    await near.until(() => near.texts(topic).length === 2, 'served twice');
  });

  test('a PUBACK of ours that is lost: the broker delivers again, marked as a duplicate', async () => {
    const topic = 'f/v1/dup/cmd';
    const device = await far('dup', [topic]).start();
    cut.drop('up');
    await near.publish(topic, 'do it');
    await device.until(() => device.heard.length === 1, 'served');
    cut.reset();
    cut.heal();
    await device.until(() => device.heard.length === 2, 'served twice');
    assert.deepEqual(device.heard, [
      { topic, text: 'do it', retain: false, dup: false },
      { topic, text: 'do it', retain: false, dup: true },
    ]);
  });

  test('a link that is dead towards the broker, or from it, is noticed by keepalive', async () => {
    const notices = async (direction: 'up' | 'down'): Promise<void> => {
      const way = await Cut.open(broker.port);
      const device = new Live(urlOf(way.port), `dead-${direction}`, [], { keepaliveSeconds });
      open.push(device);
      await device.start();
      way.drop(direction);
      await device.until(() => device.downs.length === 1, `down (${direction})`);
      assert.equal(device.downs[0], 'the broker no longer answers');
      way.heal();
      await device.until(() => device.session.isUp, `up again (${direction})`);
      await device.session.stop();
      await way.close();
    };
    // Each is a wait of a second and a half.
    await Promise.all([notices('up'), notices('down')]);
  });

  for (const direction of ['up', 'down'] as const)
    test(`a close of half the connection (${direction}) ends it whole`, async () => {
      const device = await far(`half-${direction}`, []).start();
      cut.halfClose(direction);
      await device.until(() => device.downs.length === 1, 'down');
      await device.until(() => device.session.isUp, 'up again');
    });

  test('a network that resets everybody, then one that is slow', async () => {
    cut.refuse(true);
    const device = far('reset', []);
    device.session.start();
    await device.until(() => device.waits.length >= 3, 'refused');
    assert.match(device.session.health().reason?.code ?? '', /^(closed_unheard|link_lost)$/);
    cut.heal();
    cut.delay(20);
    await device.until(() => device.session.isUp, 'up');
    await device.publish('f/v1/slow', 'x');
  });

  test('cut in the middle of any packet, fifty times, either way: what was acknowledged arrived, nothing hangs', async () => {
    const topic = 'f/v1/torn/rec';
    const random = seeded(11);
    await near.session.subscribe([topic]);
    const device = await far('torn', ['f/v1/torn/cmd'], {
      greeting: greetingOf('f/v1/torn/status'),
      random: () => 0.00001,
    }).start();
    const acknowledged: string[] = [];
    let next = 0;
    for (let round = 0; round < 50; round += 1) {
      await device.until(() => device.session.isUp, 'up');
      cut.cutAfter(random() < 0.5 ? 'up' : 'down', Math.floor(random() * 400));
      while (device.session.isUp) {
        next += 1;
        const text = String(next);
        const results = await Promise.allSettled([
          device.publish(topic, text),
          near.publish('f/v1/torn/cmd', text),
        ]);
        if (results[0].status === 'fulfilled') acknowledged.push(text);
        else assert.match(results[0].reason.code, /^(link_lost|not_connected)$/);
      }
      cut.heal();
    }
    await device.until(() => device.session.isUp, 'up');
    await device.publish(topic, 'end');
    await near.until(() => near.texts(topic).includes('end'), 'at the end');
    const arrived = new Set(near.texts(topic));
    assert.deepEqual(
      acknowledged.filter((text) => !arrived.has(text)),
      [],
    );
    // What was sent to the device waited for it, and came at least once.
    await device.until(() => new Set(device.texts('f/v1/torn/cmd')).size === next, 'served');
    assert.ok(device.downs.length >= 50);
  });
});
