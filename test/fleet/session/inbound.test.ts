import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { IPublishPacket } from 'mqtt-packet';
import { AgentError } from '../../../agent/errors.ts';
import { settled } from './fake-clock.ts';
import { setUp } from './set-up.ts';

const CMD = 'expertd/v1/edge-1/cmd';

function message(messageId: number, payload = String(messageId), qos: 0 | 1 = 1): IPublishPacket {
  return { cmd: 'publish', topic: CMD, payload, qos, messageId, dup: false, retain: false };
}

/** A promise and what settles it. */
function gate() {
  return Promise.withResolvers<void>();
}

describe('a message', () => {
  test('is acknowledged once all its listeners have settled, not before', async () => {
    const { session, wires, startUp } = setUp();
    await startUp();
    const [first, second] = [gate(), gate()];
    session.onMessage(() => first.promise);
    session.onMessage(() => second.promise);
    await wires.last.send(message(7));
    first.resolve();
    await settled();
    assert.equal(wires.last.of('puback').length, 0);
    second.resolve();
    await settled();
    assert.deepEqual(
      wires.last.of('puback').map(({ messageId }) => messageId),
      [7],
    );
  });

  test('comes with what MQTT says of it', async () => {
    const { session, wires, startUp } = setUp({ protocol: '5' });
    wires.speaks = 5;
    await startUp();
    const seen: unknown[] = [];
    session.onMessage((topic, payload, received) => void seen.push([topic, String(payload), received]));
    const properties = { responseTopic: 'answers', correlationData: Buffer.of(9) };
    await wires.last.send({ ...message(300), retain: true, dup: true, properties });
    assert.deepEqual(seen, [
      [
        CMD,
        '300',
        { retain: true, dup: true, qos: 1, responseTopic: 'answers', correlationData: Buffer.of(9) },
      ],
    ]);
    assert.equal(wires.last.of('puback')[0]?.messageId, 300);
  });

  test('waits for the one before: order is kept, in listeners and acknowledgements', async () => {
    const { session, wires, startUp } = setUp();
    await startUp();
    const gates = [gate(), gate(), gate()];
    const seen: number[] = [];
    session.onMessage((_topic, payload) => {
      seen.push(Number(String(payload)));
      return gates[Number(String(payload))]?.promise;
    });
    for (const id of [0, 1, 2]) await wires.last.send(message(id + 1, String(id)));
    assert.deepEqual(seen, [0]);
    for (const { resolve } of gates.toReversed()) resolve();
    await settled();
    assert.deepEqual(seen, [0, 1, 2]);
    assert.deepEqual(
      wires.last.of('puback').map(({ messageId }) => messageId),
      [1, 2, 3],
    );
  });

  test('whose listener fails for good is acknowledged: it would fail for ever', async () => {
    const { session, wires, log, startUp } = setUp();
    await startUp();
    session.onMessage(() => {
      throw new AgentError('bad_signature', 'no');
    });
    await wires.last.send(message(1));
    await wires.last.send(message(2));
    assert.equal(wires.last.of('puback').length, 2);
    assert.deepEqual(log.warnings, ['fleet: a message could not be dealt with'], 'and told once');
  });

  test('whose listener could not for now is not: the broker sends it again', async () => {
    const { session, wires, startUp } = setUp();
    await startUp();
    session.onMessage(() => Promise.reject(new AgentError('disk_full', 'no', { retryable: true })));
    await wires.last.send(message(1));
    assert.equal(wires.last.of('puback').length, 0);
    assert.equal(session.isUp, true);
  });

  test('a listener may wait for what it publishes itself', async () => {
    const { session, wires, startUp } = setUp();
    await startUp();
    session.onMessage(() => session.publish('res', 'done', { qos: 1 }));
    await wires.last.send(message(1));
    await wires.last.answer();
    assert.equal(wires.last.of('puback').length, 1);
  });

  test('64 may wait; then the stream is left standing until there is room', async () => {
    const { session, wires, startUp } = setUp();
    await startUp();
    const first = gate();
    let seen = 0;
    session.onMessage(() => {
      seen += 1;
      return seen === 1 ? first.promise : undefined;
    });
    for (let id = 1; id <= 200; id += 1) await wires.last.send(message(id));
    const sent = session.publish('t', 'x', { qos: 1 });
    await wires.last.answerNext();
    let isAcknowledged = false;
    void sent.then(() => {
      isAcknowledged = true;
    });
    await settled();
    assert.equal(isAcknowledged, false, 'its PUBACK is behind what there is no room for');
    first.resolve();
    await sent;
    for (let turn = 0; turn < 20; turn += 1) await settled();
    assert.equal(seen, 200);
    assert.equal(wires.last.of('puback').length, 200);
  });

  test('that nobody has begun with when the link is lost is forgotten, and not acknowledged to the next', async () => {
    const { session, wires, clock, startUp } = setUp();
    await startUp();
    const first = gate();
    const seen: string[] = [];
    session.onMessage((_topic, payload) => {
      seen.push(String(payload));
      return seen.length === 1 ? first.promise : undefined;
    });
    await wires.last.send(message(1, 'begun'));
    await wires.last.send(message(2, 'waiting'));
    await wires.last.close();
    await clock.advance(30_000);
    await wires.last.accept({ sessionPresent: true });
    first.resolve();
    await settled();
    assert.deepEqual(seen, ['begun']);
    assert.deepEqual(wires.last.of('puback'), []);
    await wires.last.send({ ...message(2, 'waiting'), dup: true });
    assert.deepEqual(seen, ['begun', 'waiting']);
    assert.equal(wires.last.of('puback').length, 1);
  });

  test('a listener that was taken away hears no more', async () => {
    const { session, wires, startUp } = setUp();
    await startUp();
    const seen: string[] = [];
    const off = session.onMessage((_topic, payload) => void seen.push(String(payload)));
    await wires.last.send(message(1));
    off();
    await wires.last.send(message(2));
    assert.deepEqual(seen, ['1']);
    assert.equal(wires.last.of('puback').length, 2);
  });
});

describe('a message that is too large', () => {
  test('of 100 MB is passed over, told, acknowledged; the next one arrives', async () => {
    const { session, wires, log, startUp } = setUp({ maxPacketBytes: 128 * 1024 });
    await startUp();
    const seen: string[] = [];
    session.onMessage((_topic, payload) => void seen.push(String(payload)));
    const body = 100_000_000;
    await wires.last.sendBytes(Buffer.from([0x32, ...lengthOf(2 + CMD.length + 2 + body)]));
    await wires.last.sendBytes(Buffer.concat([Buffer.of(0, CMD.length), Buffer.from(CMD), Buffer.of(0, 9)]));
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const chunk = Buffer.alloc(1_000_000);
    for (let sent = 0; sent < body; sent += chunk.length) {
      await wires.last.sendBytes(chunk);
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
    await wires.last.send(message(10, 'small'));
    assert.ok(most < 20_000_000, `${most} bytes were held`);
    assert.deepEqual(seen, ['small']);
    assert.deepEqual(
      wires.last.of('puback').map(({ messageId }) => messageId),
      [9, 10],
    );
    assert.equal(session.health().skipped, 1);
    assert.match(
      log.warnings[0] ?? '',
      /a message of 100000030 bytes for expertd\/v1\/edge-1\/cmd was passed over/,
    );
  });

  test('and told once for each topic, whatever its size and however often', async () => {
    const { wires, log, session, startUp } = setUp({ maxPacketBytes: 1_024 });
    await startUp();
    for (let time = 0; time < 20; time += 1)
      for (const topic of [CMD, 'expertd/v1/edge-1/ack'])
        await wires.last.send({ ...message(1 + time, 'x'.repeat(2_000 + time)), topic });
    assert.equal(session.health().skipped, 40);
    assert.deepEqual(
      log.warnings.map((line) => line.replace(/of \d+ bytes/, 'of N bytes')),
      [CMD, 'expertd/v1/edge-1/ack'].map(
        (topic) => `fleet: a message of N bytes for ${topic} was passed over`,
      ),
    );
  });

  test('a broker that makes up topics does not fill the log', async () => {
    const { wires, log, startUp } = setUp({ maxPacketBytes: 1_024 });
    await startUp();
    for (let time = 0; time < 200; time += 1)
      await wires.last.send({ ...message(1 + time, 'x'.repeat(2_000)), topic: `made/up/${time}` });
    assert.equal(log.warnings.length, 64);
  });

  test('what is too large and no message ends the link, and the session comes back', async () => {
    const { session, wires, clock, startUp } = setUp();
    await startUp();
    await wires.last.sendBytes(Buffer.from([0x90, ...lengthOf(50_000_000)]));
    assert.equal(session.isUp, false);
    assert.equal(session.health().reason?.code, 'protocol_broken');
    await clock.advance(30_000);
    await wires.last.accept({ sessionPresent: true });
    assert.equal(session.isUp, true);
    const seen: string[] = [];
    session.onMessage((_topic, payload) => void seen.push(String(payload)));
    await wires.last.send(message(1, 'what waited'));
    assert.deepEqual(seen, ['what waited']);
  });

  test('MQTT 5: the broker is told the limit', async () => {
    const { wires, start } = setUp({ protocol: '5', maxPacketBytes: 4_096 });
    wires.speaks = 5;
    await start();
    const properties = wires.last.of('connect')[0]?.properties;
    assert.equal(properties?.maximumPacketSize, 4_096);
    assert.equal(properties.sessionExpiryInterval, 7 * 24 * 3_600);
  });
});

test('what is not MQTT ends the link, and the session tries again', async () => {
  for (const noise of ['HTTP/1.1 400 Bad Request\r\n\r\n', '\x00\x00\x00\x00', '\xff\xff\xff\xff\xff\xff']) {
    const { session, wires, startUp } = setUp();
    await startUp();
    await wires.last.sendBytes(Buffer.from(noise, 'latin1'));
    assert.equal(session.isUp, false, JSON.stringify(noise));
    assert.equal(session.health().state, 'waiting');
  }
});

/** MQTT 3.1.1, 2.2.3. */
function lengthOf(bytes: number): number[] {
  const digits = [];
  for (let left = bytes; digits.length === 0 || left > 0; left = Math.floor(left / 128))
    digits.push((left % 128) + (left >= 128 ? 128 : 0));
  return digits;
}
