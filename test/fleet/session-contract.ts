/** What a session must be able to rely on with every broker; each runs it as a real process. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { SessionOptions } from '../../agent/fleet/session/session.ts';
import { type BrokerKind, type TestBroker, urlOf } from './brokers/broker.ts';
import { Cut } from './cut.ts';
import { Live, scratch } from './session/live.ts';
import { greetingOf } from './session/set-up.ts';

type More = Partial<SessionOptions>;

export function sessionContract(kind: BrokerKind): void {
  describe(`a session with ${kind.name}`, { skip: kind.missing ?? false }, () => {
    let place: ReturnType<typeof scratch>;
    let broker: TestBroker;
    const open: Live[] = [];
    const live = (id: string, topics: readonly string[], more: More = {}): Live => {
      const one = new Live(broker.url, id, topics, more);
      open.push(one);
      return one;
    };

    before(async () => {
      place = scratch();
      broker = await kind.open({ folder: place.folder });
    });
    after(async () => {
      await Promise.all(open.map(({ session }) => session.stop()));
      await broker.stop('killed');
      place.remove();
    });

    test(`connects, and speaks MQTT ${kind.speaks5 ? '5' : '3.1.1'}, which it found out`, async () => {
      const device = await live('negotiates', []).start();
      assert.equal(device.session.health().protocol, kind.speaks5 ? '5' : '3.1.1');
      assert.deepEqual(device.ups, [false]);
      assert.deepEqual(device.log.warnings, []);
    });

    test('MQTT 3.1.1 is enough', async () => {
      const device = await live('old', [], { protocol: '3.1.1' }).start();
      assert.equal(device.session.health().protocol, '3.1.1');
    });

    test('QoS 1 is acknowledged, there and back, in order', async () => {
      const device = await live('orders', ['o/v1/orders/cmd']).start();
      const sent = Array.from({ length: 50 }, (_, index) => String(index));
      await Promise.all(sent.map((text) => device.publish('o/v1/orders/cmd', text)));
      await device.until(() => device.heard.length === sent.length, 'all there');
      assert.deepEqual(device.texts('o/v1/orders/cmd'), sent);
      assert.ok(device.heard.every(({ retain, dup }) => !retain && !dup));
    });

    test('a retained message waits for who comes later, marked so; an empty one clears it', async () => {
      const server = await live('server', []).start();
      await server.publish('r/v1/late/desired', 'first', { retain: true });
      await server.publish('r/v1/late/desired', 'second', { retain: true });
      const late = await live('late', ['r/v1/late/desired']).start();
      await late.until(() => late.heard.length > 0, 'there');
      assert.deepEqual(late.heard, [
        { topic: 'r/v1/late/desired', text: 'second', retain: true, dup: false },
      ]);
      await server.publish('r/v1/late/desired', '', { retain: true });
      await server.publish('r/v1/late/marker', 'end', { retain: true });
      const later = await live('later', ['r/v1/late/desired', 'r/v1/late/marker']).start();
      await later.until(() => later.texts('r/v1/late/marker').length > 0, 'at the marker');
      assert.deepEqual(later.texts('r/v1/late/desired'), []);
    });

    test('birth and will are retained and carry one bd, which rises; a stop says goodbye itself', async () => {
      const topic = 'w/v1/born/status';
      const cut = await Cut.open(broker.port);
      const watcher = await live('watcher', [topic]).start();
      const more = { greeting: greetingOf(topic), firstBd: 40 };
      const device = new Live(urlOf(cut.port), 'born', [], more);
      open.push(device);
      await device.start();
      const first = device.session.bd;
      await watcher.until(() => watcher.heard.length === 1, 'aware of the birth');
      cut.reset();
      await watcher.until(() => watcher.heard.length === 3, 'aware of the will and the second birth');
      await device.until(() => device.session.isUp, 'up again');
      const last = device.session.bd;
      await device.session.stop();
      await watcher.until(() => watcher.heard.length === 4, 'aware of the goodbye');
      const says = (online: boolean, bd: number) => JSON.stringify({ online, bd });
      assert.deepEqual(watcher.texts(topic).slice(0, 3).toSorted(), [
        says(false, first),
        says(true, first),
        says(true, last),
      ]);
      assert.equal(watcher.texts(topic)[0], says(true, first));
      assert.equal(watcher.texts(topic)[3], says(false, last));
      const late = await live('late-watcher', [topic]).start();
      await late.until(() => late.heard.length === 1, 'told');
      assert.deepEqual(late.heard, [{ topic, text: says(false, last), retain: true, dup: false }]);
      await cut.close();
    });

    test('what is sent to a device that is away waits in its session, which is said to be there', async () => {
      const topic = 'a/v1/away/cmd';
      const device = await live('away', [topic]).start();
      await device.session.stop();
      const server = await live('sender', []).start();
      for (const text of ['one', 'two', 'three']) await server.publish(topic, text);
      await device.start();
      await device.until(() => device.heard.length === 3, 'served');
      assert.deepEqual(device.texts(topic), ['one', 'two', 'three']);
      assert.deepEqual(device.ups, [false, true]);
    });

    test('a clean session leaves nothing behind', async () => {
      const device = await live('clean', ['c/v1/clean/cmd'], { persistent: false }).start();
      await device.session.stop();
      const server = await live('to-clean', []).start();
      await server.publish('c/v1/clean/cmd', 'lost');
      await device.start();
      await server.publish('c/v1/clean/cmd', 'seen');
      await device.until(() => device.heard.length > 0, 'served');
      assert.deepEqual(device.ups, [false, false]);
      assert.deepEqual(device.texts('c/v1/clean/cmd'), ['seen']);
    });

    test('128 KB come whole; what is larger than we take is passed over, and the link lives', async () => {
      const topic = 'b/v1/big/cmd';
      const server = await live('sends-big', []).start();
      const device = await live('big', [topic], { maxPacketBytes: 150_000 }).start();
      await server.publish(topic, Buffer.alloc(131_072, 7));
      await server.publish(topic, Buffer.alloc(1_000_000, 7));
      await server.publish(topic, 'small');
      await device.until(() => device.heard.length === 2, 'served');
      assert.deepEqual(device.texts(topic), ['131072 bytes', 'small']);
      assert.deepEqual(device.downs, []);
      // An MQTT 5 broker was told the limit and does not send it.
      assert.equal(device.session.health().skipped, kind.speaks5 ? 0 : 1);
    });

    test('topics can be dropped and wanted again while it runs', async () => {
      const device = await live('changes', ['u/v1/a']).start();
      await device.session.unsubscribe(['u/v1/a']);
      await device.session.subscribe(['u/v1/b']);
      await device.publish('u/v1/a', 'unwanted');
      await device.publish('u/v1/b', 'wanted');
      await device.until(() => device.heard.length > 0, 'served');
      await device.session.subscribe(['u/v1/a']);
      await device.publish('u/v1/a', 'wanted again');
      await device.until(() => device.heard.length > 1, 'served again');
      assert.deepEqual(
        device.heard.map(({ text }) => text),
        ['wanted', 'wanted again'],
      );
    });

    test('two agents with one name throw each other out, slower each time', async () => {
      const [elder, younger] = [live('twin', []), live('twin', [])];
      await elder.start();
      await younger.start();
      await elder.until(() => elder.waits.length >= 4 && elder.downs.length >= 3, 'thrown out for some time');
      for (const { waits } of [elder, younger])
        waits.forEach((waitMs, round) => {
          const windowMs = Math.min(30_000 * 2 ** round, 300_000);
          assert.ok(
            Math.abs(waitMs - windowMs / 1_000) <= 1,
            `${waits}: the windows, a thousand times shorter`,
          );
        });
      assert.match(
        JSON.stringify(elder.log.lines.map(({ fields }) => fields['hint'])),
        /called .+twin.+ too\?/,
      );
    });

    test('a wrong password is named once, without the password, and tried again', async () => {
      const stranger = new Live(urlOf(broker.port, 'device', 'not it'), 'stranger', []);
      open.push(stranger);
      stranger.session.start();
      await stranger.until(() => stranger.waits.length >= 3, 'tried again');
      const { reason, broker: shown } = stranger.session.health();
      assert.match(reason?.code ?? '', /^(wrong_password|not_authorized)$/);
      assert.match(reason?.hint ?? '', /fleet\.passwordFile/);
      assert.equal(stranger.log.warnings.length, 1);
      assert.doesNotMatch(JSON.stringify([stranger.log.lines, reason, shown]), /not(%20| )it/);
    });

    test(`outlives the end of its broker${kind.keeps ? ', with its session and what is retained' : ''}`, async () => {
      const topic = 'k/v1/kept/cmd';
      const device = await live('kept', [topic], { greeting: greetingOf('k/v1/kept/status') }).start();
      await device.publish('k/v1/kept/desired', 'still here', { retain: true });
      await broker.stop('ended');
      await device.until(() => device.downs.length === 1, 'down');
      await assert.rejects(device.publish(topic, 'x'), { code: 'not_connected' });
      await broker.start();
      await device.until(() => device.session.isUp, 'up again', 30_000);
      assert.equal(device.ups.at(-1), kind.keeps);
      await device.publish(topic, 'after');
      await device.until(() => device.texts(topic).length === 1, 'served');
      const late = await live('after-restart', ['k/v1/kept/desired', topic]).start();
      await late.publish(topic, 'marker');
      await late.until(() => late.texts(topic).length > 0, 'at the marker');
      assert.deepEqual(late.texts('k/v1/kept/desired'), kind.keeps ? ['still here'] : []);
    });
  });
}
