import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AgentError } from '../../../agent/errors.ts';
import { settled } from './fake-clock.ts';
import { setUp } from './set-up.ts';

const code = (expected: string) => (error: unknown) => error instanceof AgentError && error.code === expected;

/** Whether a promise has settled, and how. */
function watch(promise: Promise<void>): { state: string } {
  const watched = { state: 'pending' };
  promise.then(
    () => {
      watched.state = 'resolved';
    },
    (error: AgentError) => {
      watched.state = error.code;
    },
  );
  return watched;
}

describe('publish', () => {
  test('is refused at once while there is no link, in every phase', async () => {
    const { session, wires, start } = setUp();
    await assert.rejects(session.publish('t', '1', { qos: 1 }), code('not_connected'));
    await start();
    await assert.rejects(session.publish('t', '1', { qos: 0 }), code('not_connected'));
    await wires.last.reach().send({ cmd: 'connack', returnCode: 0, sessionPresent: false });
    await assert.rejects(session.publish('t', '1', { qos: 1 }), code('not_connected'));
    await wires.last.close();
    await assert.rejects(session.publish('t', '1', { qos: 1 }), code('not_connected'));
    assert.equal(wires.all.length, 1);
  });

  test('resolves at PUBACK, not before', async () => {
    const { session, wires, startUp } = setUp();
    await startUp();
    const sent = watch(session.publish('t', Buffer.from([0, 255]), { qos: 1, retain: true }));
    await settled();
    const packet = wires.last.of('publish').at(-1);
    assert.deepEqual(packet?.payload, Buffer.from([0, 255]));
    assert.equal(packet.retain, true);
    assert.equal(sent.state, 'pending');
    await wires.last.answer();
    assert.equal(sent.state, 'resolved');
  });

  test('keeps at most 16 in flight, the rest in order', async () => {
    const { session, wires, startUp } = setUp();
    await startUp();
    const births = wires.last.of('publish').length;
    const all = Array.from({ length: 40 }, (_, index) => session.publish('t', String(index), { qos: 1 }));
    await settled();
    assert.equal(wires.last.of('publish').length - births, 16);
    for (let round = 0; round < 3; round += 1) await wires.last.answer();
    await Promise.all(all);
    assert.deepEqual(
      wires.last
        .of('publish')
        .slice(births)
        .map(({ payload }) => Number(String(payload))),
      Array.from({ length: 40 }, (_, index) => index),
    );
  });

  test('a thousand at QoS 0 in one go resolve without a PUBACK', async () => {
    const { session, startUp } = setUp();
    await startUp();
    await Promise.all(Array.from({ length: 1_000 }, () => session.publish('t', 'x', { qos: 0 })));
  });

  test('a lost link rejects what is in flight and what waits, and the next link sends none of it', async () => {
    const { session, wires, clock, startUp } = setUp();
    await startUp();
    const all = Array.from({ length: 20 }, () => watch(session.publish('t', 'x', { qos: 1 })));
    await settled();
    await wires.last.close();
    assert.deepEqual([...new Set(all.map(({ state }) => state))], ['link_lost']);
    await clock.advance(30_000);
    await wires.last.accept();
    assert.deepEqual(
      wires.last.of('publish').map(({ topic }) => topic),
      ['expertd/v1/edge-1/status'],
    );
  });

  test('what a listener of onDown or onUp publishes is judged by the state it is told of', async () => {
    const { session, wires, clock, startUp } = setUp();
    const results: string[] = [];
    const attempt = () =>
      session.publish('t', 'x', { qos: 1 }).then(
        () => results.push('sent'),
        (error: AgentError) => results.push(error.code),
      );
    session.onUp(attempt);
    session.onDown(attempt);
    await startUp();
    await wires.last.answerNext();
    await wires.last.close();
    await clock.advance(30_000);
    await wires.last.accept();
    await wires.last.answerNext();
    assert.deepEqual(results, ['sent', 'not_connected', 'sent']);
  });

  test('MQTT 5: minds the limits that the broker names, and why it refuses a message', async () => {
    const { session, wires, start } = setUp({ protocol: '5' });
    wires.speaks = 5;
    await start();
    const wire = wires.last.reach();
    const properties = { receiveMaximum: 2, maximumPacketSize: 1_000 };
    await wire.send({ cmd: 'connack', reasonCode: 0, sessionPresent: false, properties });
    await wire.answer();
    assert.equal(session.isUp, true);
    await assert.rejects(session.publish('t', 'x'.repeat(1_000), { qos: 1 }), code('too_large'));
    const all = ['a', 'b', 'c'].map((payload) => watch(session.publish('t', payload, { qos: 1 })));
    await settled();
    const sent = wire.of('publish').filter(({ topic }) => topic === 't');
    assert.equal(sent.length, 2);
    await wire.send({ cmd: 'puback', messageId: sent[0]?.messageId ?? 0, reasonCode: 0x97 });
    assert.equal(all[0]?.state, 'publish_refused');
    assert.equal(wire.of('publish').filter(({ topic }) => topic === 't').length, 3);
    assert.equal(session.isUp, true);
  });

  test('correlation data travels with MQTT 5 and is left out of 3.1.1', async () => {
    for (const protocol of ['5', '3.1.1'] as const) {
      const { session, wires, startUp } = setUp({ protocol });
      wires.speaks = protocol === '5' ? 5 : 4;
      await startUp();
      const correlationData = Uint8Array.of(1, 2);
      const sent = session.publish('t', 'x', { qos: 1, correlationData });
      await wires.last.answerNext();
      await sent;
      const properties = wires.last.of('publish').at(-1)?.properties;
      assert.deepEqual(properties?.correlationData, protocol === '5' ? Buffer.of(1, 2) : undefined);
    }
  });
});
