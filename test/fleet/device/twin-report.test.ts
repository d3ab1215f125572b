import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HERE } from '../trust/made.ts';
import { expert } from './orders-set-up.ts';
import { message, World } from './twin-set-up.ts';

test('the report goes out when it is another one, at most once a second, and after every connection', async (t) => {
  const world = new World(t);
  const one = await world.start();
  await one.clock.advance(0);
  assert.equal(one.published.length, 1);
  for (let n = 0; n < 20; n += 1) {
    one.device.own = [expert('by-hand', { version: `1.0.${n}` })];
    one.twin.changed();
    await one.clock.advance(100);
  }
  assert.equal(one.published.length, 3);
  const pauses = one.publishedAtMs.slice(1).map((at, index) => at - (one.publishedAtMs[index] ?? 0));
  assert.ok(pauses.every((ms) => ms >= 1_000));
  await one.clock.advance(5_000);
  const count = one.published.length;
  one.twin.changed();
  await one.clock.advance(5_000);
  assert.equal(one.published.length, count, 'nothing is another');

  one.isUp = false;
  one.device.own = [];
  one.twin.changed();
  await one.clock.advance(5_000);
  assert.equal(one.published.length, count);
  one.isUp = true;
  one.twin.onUp();
  await one.clock.advance(1_000);
  assert.equal(one.published.length, count + 1);
  one.twin.onUp();
  await one.clock.advance(1_000);
  assert.equal(one.published.length, count + 2, 'the broker may have forgotten it');
  assert.deepEqual(one.clock.aheadMs, []);
});

test('a report that was lost on the way goes out again', async (t) => {
  const world = new World(t);
  let isCut = false;
  const one = await world.start({
    onStep: (step) => {
      if (step === 'publishing' && isCut) one.isUp = false;
    },
  });
  await one.clock.advance(0);
  isCut = true;
  await one.twin.receive(message(1));
  await one.until(() => !one.isUp);
  assert.equal(one.last.gen_seen, 0);
  isCut = false;
  one.isUp = true;
  one.twin.onUp();
  await one.untilPhase('Applied', 1);
});

test('a condition keeps its time while it lasts', async (t) => {
  const world = new World(t);
  const circumstances = { ...HERE };
  const one = await world.start({ circumstances: () => circumstances });
  await one.twin.receive(message(1));
  await one.untilPhase('Applied', 1);
  circumstances.nowMs += 60_000;
  one.twin.onUp();
  await one.clock.advance(2_000);
  assert.equal(one.last.conditions[0]?.sinceMs, HERE.nowMs);
});
