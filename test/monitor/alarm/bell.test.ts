import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bell, REST_MS } from '../../../agent/monitor/alarm/bell.ts';

test('a bell is heard at once, and what rings soon after it is heard once, when its rest is over', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let nowMs = 10_000;
  const heardMs: number[] = [];
  const bell = new Bell(
    () => heardMs.push(nowMs),
    () => nowMs,
  );
  const pass = (ms: number): void => {
    nowMs += ms;
    context.mock.timers.tick(ms);
  };
  bell.ring();
  assert.deepEqual(heardMs, [10_000]);
  pass(100);
  for (let times = 0; times < 5; times++) bell.ring();
  pass(REST_MS - 101);
  assert.equal(heardMs.length, 1);
  pass(1);
  assert.deepEqual(heardMs, [10_000, 10_000 + REST_MS]);
  pass(10 * REST_MS);
  assert.equal(heardMs.length, 2, 'nothing rings by itself');
  bell.ring();
  assert.equal(heardMs.length, 3);
  bell.ring();
  bell.stop();
  pass(REST_MS);
  bell.ring();
  pass(10 * REST_MS);
  assert.equal(heardMs.length, 3, 'nothing is heard after the end');
});

test('a bell that rings without end is heard ever more seldom, until it has come to rest', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let nowMs = 0;
  const heardMs: number[] = [];
  const bell = new Bell(
    () => heardMs.push(nowMs),
    () => nowMs,
  );
  const pass = (ms: number, rings: boolean): void => {
    for (const endMs = nowMs + ms; nowMs < endMs; ) {
      if (rings) bell.ring();
      nowMs += 100;
      context.mock.timers.tick(100);
    }
  };
  pass(60_000, true);
  assert.deepEqual(heardMs.slice(0, 6), [0, 500, 1_500, 3_500, 7_500, 11_500]);
  assert.ok(heardMs.length < 20, `${heardMs.length} times in a minute`);
  pass(10_000, false);
  heardMs.length = 0;
  const fromMs = nowMs;
  pass(600, true);
  assert.deepEqual(heardMs, [fromMs, fromMs + 500]);
});
