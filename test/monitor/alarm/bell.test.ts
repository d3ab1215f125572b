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
