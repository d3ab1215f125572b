import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Protocol } from '../../../agent/fleet/session/negotiation.ts';
import { setUp } from './set-up.ts';

async function begin(protocol: Protocol) {
  const set = setUp({ protocol });
  set.wires.speaks = protocol === '3.1.1' ? 4 : 5;
  await set.start();
  return set;
}

test('auto: MQTT 5 first, and it stays where the broker takes it', async () => {
  const { session, wires, clock } = await begin('auto');
  assert.equal(wires.last.of('connect')[0]?.protocolVersion, 5);
  await wires.last.accept();
  assert.equal(session.health().protocol, '5');
  await wires.last.close();
  await clock.advance(30_000);
  await wires.last.reach().close();
  assert.equal(wires.all.length, 2, 'a bare close of a broker that is known says nothing about versions');
});

for (const [named, refuse] of [
  ['return code 1', { cmd: 'connack', reasonCode: 1, sessionPresent: false }],
  ['return code 132', { cmd: 'connack', reasonCode: 132, sessionPresent: false }],
] as const) {
  test(`auto: a broker that answers MQTT 5 with ${named} gets 3.1.1 at once, and from then on`, async () => {
    const { session, wires, clock } = await begin('auto');
    const first = wires.last.reach();
    wires.speaks = 4;
    await first.send(refuse);
    assert.equal(wires.all.length, 2);
    assert.equal(wires.last.of('connect')[0]?.protocolVersion, 4);
    await wires.last.accept();
    assert.equal(session.health().protocol, '3.1.1');
    assert.equal(session.bd, 101, 'it was an attempt of its own');
    await wires.last.close();
    await clock.advance(30_000);
    assert.equal(wires.last.of('connect')[0]?.protocolVersion, 4);
  });
}

test('auto: a broker that closes without a word is asked both ways, then left alone for a while', async () => {
  const { session, wires, clock } = await begin('auto');
  const first = wires.last.reach();
  wires.speaks = 4;
  await first.close();
  assert.equal(wires.all.length, 2);
  await wires.last.reach().close(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
  assert.equal(wires.all.length, 2);
  assert.equal(session.health().reason?.code, 'closed_unheard');
  wires.speaks = 5;
  await clock.advance(30_000);
  assert.equal(wires.last.of('connect')[0]?.protocolVersion, 5, 'nothing was learned: it may be the network');
});

test('auto: what says nothing of versions is no reason to change them', async () => {
  const { session, wires } = await begin('auto');
  await wires.last.close(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }));
  assert.equal(wires.all.length, 1);
  assert.equal(session.health().reason?.code, 'unreachable');
});

test('auto: a wrong password is one, whatever the version', async () => {
  const { session, wires } = await begin('auto');
  await wires.last.reach().send({ cmd: 'connack', reasonCode: 134, sessionPresent: false });
  assert.equal(wires.all.length, 1);
  assert.equal(session.health().reason?.code, 'wrong_password');
  assert.match(session.health().reason?.hint ?? '', /fleet\.passwordFile/);
});

test('a version that was fixed is kept, and the refusal names the setting', async () => {
  const { session, wires } = await begin('5');
  await wires.last.reach().send({ cmd: 'connack', reasonCode: 1, sessionPresent: false });
  assert.equal(wires.all.length, 1);
  assert.equal(session.health().reason?.message, 'the broker does not speak MQTT 5');
  assert.match(session.health().reason?.hint ?? '', /fleet\.protocol/);
});

test('3.1.1: the words for a wrong password, for no right, and for a second client of the name', async () => {
  for (const [returnCode, code] of [
    [2, 'client_refused'],
    [3, 'broker_busy'],
    [4, 'wrong_password'],
    [5, 'not_authorized'],
  ] as const) {
    const { session, wires } = await begin('3.1.1');
    await wires.last.reach().send({ cmd: 'connack', returnCode, sessionPresent: false });
    assert.equal(session.health().reason?.code, code);
  }
  const { session, wires } = await begin('5');
  await wires.last.accept();
  const note = { cmd: 'publish', topic: 't', payload: 'x', qos: 0, dup: false, retain: false } as const;
  await wires.last.sendAndEnd(note, note, { cmd: 'disconnect', reasonCode: 142 });
  assert.equal(session.isUp, false);
  assert.equal(session.health().reason?.code, 'taken_over');
  assert.match(session.health().reason?.hint ?? '', /fleet\.device/);
});
