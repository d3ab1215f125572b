import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AgentError } from '../../../agent/errors.ts';
import { settled } from './fake-clock.ts';
import { ANONYMOUS, STATUS, setUp } from './set-up.ts';

const code = (expected: string) => (error: unknown) => error instanceof AgentError && error.code === expected;

describe('a session', () => {
  test('connects at once, keeps its session, and is up when the broker has answered its birth', async () => {
    const { session, wires, start } = setUp();
    const ups: boolean[] = [];
    session.onUp((present) => ups.push(present));
    await start();
    const wire = wires.last.reach();
    const [connect] = wire.of('connect');
    assert.equal(connect?.clientId, 'edge-1');
    assert.equal(connect.clean, false);
    assert.equal(connect.keepalive, 60);
    assert.equal(connect.protocolVersion, 4);
    assert.equal(connect.will?.topic, STATUS);
    assert.equal(connect.will.qos, 1);
    assert.equal(connect.will.retain, true);
    assert.equal(String(connect.will.payload), '{"online":false,"bd":100}');
    await wire.send({ cmd: 'connack', returnCode: 0, sessionPresent: true });
    assert.equal(session.isUp, false, 'it was accepted, but nothing else');
    const [birth] = wire.of('publish');
    assert.equal(String(birth?.payload), '{"online":true,"bd":100}');
    assert.equal(birth?.retain, true);
    assert.deepEqual(
      wire.of('subscribe').map(({ subscriptions }) => subscriptions),
      [[{ topic: 'expertd/v1/edge-1/cmd', qos: 1 }]],
    );
    await wire.answer();
    assert.equal(session.isUp, true);
    assert.deepEqual(ups, [true]);
    assert.equal(session.health().protocol, '3.1.1');
  });

  test('asks for at most 8 topics at once', async () => {
    const topics = Array.from({ length: 19 }, (_, index) => `t/${index}`);
    const { session, wires, startUp } = setUp({ topics });
    await startUp();
    assert.deepEqual(
      wires.last.of('subscribe').map(({ subscriptions }) => subscriptions.length),
      [8, 8, 3],
    );
    assert.equal(session.isUp, true);
  });

  test('each attempt has the next bd, in will and birth alike', async () => {
    const { session, wires, clock, startUp } = setUp();
    await startUp();
    await wires.last.close();
    await clock.advance(30_000);
    await wires.last.close();
    await clock.advance(60_000);
    await wires.last.accept();
    assert.equal(session.bd, 102);
    assert.deepEqual(
      wires.all.map((wire) => JSON.parse(String(wire.of('connect')[0]?.will?.payload)).bd),
      [100, 101, 102],
    );
    assert.equal(String(wires.last.of('publish')[0]?.payload), '{"online":true,"bd":102}');
  });

  test('a link that is lost is tried again within 30 s, then in windows that double up to 5 minutes', async () => {
    const { session, wires, clock, startUp } = setUp();
    const downs: string[] = [];
    session.onDown((reason) => downs.push(reason));
    await startUp();
    const waits = [];
    for (let round = 0; round < 6; round += 1) {
      await wires.last.close();
      const [waitMs = 0] = clock.aheadMs;
      waits.push(Math.round(waitMs));
      await clock.advance(waitMs);
    }
    assert.deepEqual(waits, [30_000, 60_000, 120_000, 240_000, 300_000, 300_000]);
    assert.equal(downs.length, 1, 'only a link that was up goes down');
    assert.equal(wires.all.length, 7);
  });

  test('a link that lasts begins anew with the first window; one that is short does not', async () => {
    const { wires, clock, startUp } = setUp();
    await startUp();
    await wires.last.close();
    await clock.advance(30_000);
    await wires.last.accept();
    await clock.advance(10_000);
    await wires.last.close();
    assert.equal(Math.round(clock.aheadMs[0] ?? 0), 60_000);
    await clock.advance(60_000);
    await wires.last.accept();
    // 121 s of pings, answered.
    for (let second = 0; second < 121; second += 1) {
      await clock.advance(1_000);
      await wires.last.answer();
    }
    await wires.last.close();
    assert.equal(Math.round(clock.aheadMs[0] ?? 0), 30_000);
  });

  test('a broker that takes the connection and says nothing is given up after 30 s', async () => {
    const { session, wires, clock, start } = setUp();
    await start();
    wires.last.reach();
    await clock.advance(29_999);
    assert.equal(wires.last.isClosed, false);
    await clock.advance(1);
    assert.equal(wires.last.isClosed, true);
    assert.equal(session.health().reason?.code, 'no_answer');
    assert.equal(session.health().state, 'waiting');
  });

  test('so is one that accepts and never answers the birth', async () => {
    const { session, wires, clock, start } = setUp();
    await start();
    await wires.last.reach().send({ cmd: 'connack', returnCode: 0, sessionPresent: false });
    await clock.advance(30_000);
    assert.equal(session.health().reason?.code, 'no_answer');
    assert.equal(session.isUp, false);
  });

  test('a link that is half open is noticed by its pings, within one and a half keepalives', async () => {
    const { session, wires, clock, startUp } = setUp();
    await startUp();
    await clock.advance(89_000);
    assert.equal(wires.last.of('pingreq').length, 1);
    assert.equal(session.isUp, true);
    await clock.advance(1_000);
    assert.equal(session.isUp, false);
    assert.equal(session.health().reason?.message, 'the broker no longer answers');
    assert.equal(wires.last.isClosed, true);
  });

  test('starts without a way to the broker, and finds it later', async () => {
    const { session, wires, clock, start } = setUp();
    wires.error = Object.assign(new Error('getaddrinfo ENOTFOUND broker.test'), { code: 'ENOTFOUND' });
    await start();
    assert.equal(session.health().reason?.code, 'unknown_host');
    wires.error = null;
    await clock.advance(30_000);
    await wires.last.accept();
    assert.equal(session.isUp, true);
    assert.equal(session.health().reason, null);
  });

  test('reads its credentials at every attempt: what is mended is used', async () => {
    let isThere = false;
    const { session, wires, clock, start } = setUp({
      credentials: () => {
        if (isThere) return { ...ANONYMOUS, user: 'u', password: 'p' };
        throw new AgentError('credentials_unreadable', 'the file is missing');
      },
    });
    await start();
    assert.equal(session.health().reason?.code, 'credentials_unreadable');
    isThere = true;
    await clock.advance(30_000);
    await settled();
    assert.equal(wires.last.of('connect')[0]?.username, 'u');
  });

  test('what it says of a broker that is away is one line, and of each change one more', async () => {
    const { log, wires, clock, start } = setUp();
    await start();
    const refuse = async (error: string): Promise<void> => {
      await wires.last.close(Object.assign(new Error(error), { code: error }));
      await clock.advance(clock.aheadMs[0] ?? 0);
    };
    for (let round = 0; round < 5; round += 1) await refuse('ECONNREFUSED');
    await refuse('EHOSTUNREACH');
    await wires.last.accept();
    assert.deepEqual(
      log.lines.map(({ message }) => message),
      ['fleet: nothing listens there', 'fleet: no route to the host', 'connected to the fleet'],
    );
  });

  test('a topic that the broker refuses is told, and the link is up all the same', async () => {
    const { session, wires, log, startUp } = setUp();
    await startUp({ granted: 0x80 });
    assert.equal(session.isUp, true);
    assert.deepEqual(log.warnings, ['fleet: the broker does not let this client hear expertd/v1/edge-1/cmd']);
    const [late] = await Promise.allSettled([session.subscribe(['secret']), wires.last.answerNext(0x80)]);
    assert.ok(late?.status === 'rejected' && code('subscription_refused')(late.reason));
  });

  test('topics that are wanted later are asked for now and at every later connection; unwanted ones are not', async () => {
    const { session, wires, clock, startUp } = setUp();
    await startUp();
    const subscribed = session.subscribe(['more']);
    await settled();
    await wires.last.answer();
    await subscribed;
    const unsubscribed = session.unsubscribe(['expertd/v1/edge-1/cmd']);
    await settled();
    await wires.last.answer();
    await unsubscribed;
    await wires.last.close();
    await session.subscribe(['late']);
    await clock.advance(30_000);
    await wires.last.accept();
    assert.deepEqual(
      wires.last.of('subscribe').flatMap(({ subscriptions }) => subscriptions.map(({ topic }) => topic)),
      ['more', 'late'],
    );
  });

  test('a subscription under way when the link is lost is rejected, and made at the next one', async () => {
    const { session, wires, clock, startUp } = setUp();
    await startUp();
    const subscribed = session.subscribe(['more']);
    await settled();
    await Promise.all([assert.rejects(subscribed, code('link_lost')), wires.last.close()]);
    await clock.advance(30_000);
    await wires.last.accept();
    assert.equal(wires.last.of('subscribe')[0]?.subscriptions.length, 2);
  });
});

describe('stopping', () => {
  test('says goodbye in the words of the will, and leaves in order', async () => {
    const { session, wires, startUp, clock } = setUp();
    await startUp();
    const downs: string[] = [];
    session.onDown((reason) => downs.push(reason));
    const stopped = session.stop();
    await settled();
    await wires.last.answer();
    await clock.advance(500);
    await stopped;
    assert.equal(String(wires.last.of('publish').at(-1)?.payload), '{"online":false,"bd":100}');
    assert.equal(wires.last.received.at(-1)?.cmd, 'disconnect');
    assert.equal(downs.length, 1);
    assert.equal(session.health().state, 'stopped');
    assert.deepEqual(clock.aheadMs, [], 'nothing is left to come');
  });

  test('waits at most two and a half seconds for a broker that does not answer', async () => {
    const { session, startUp, clock } = setUp();
    await startUp();
    const stopped = session.stop();
    await clock.advance(2_500);
    await stopped;
    assert.deepEqual(clock.aheadMs, []);
  });

  test('ends an attempt and a wait, and a start begins anew', async () => {
    const { session, wires, clock, start } = setUp();
    await start();
    await session.stop();
    await settled();
    assert.equal(wires.last.isClosed, true);
    assert.deepEqual(clock.aheadMs, []);
    await start();
    assert.equal(wires.all.length, 2);
    await wires.last.close();
    assert.equal(session.health().state, 'waiting');
    await session.stop();
    assert.deepEqual(clock.aheadMs, []);
    await clock.advance(600_000);
    assert.equal(wires.all.length, 2);
  });
});
