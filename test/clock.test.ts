import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../agent/clock.ts';

test('an alarm never goes off early, however small the part of a millisecond', async () => {
  const early: number[] = [];
  const alarms = Array.from({ length: 200 }, (_, index) => {
    const atMs = systemClock.nowMs() + 1 + index * 0.0737;
    return new Promise<void>((resolve) => {
      systemClock.at(atMs, () => {
        const nowMs = systemClock.nowMs();
        if (nowMs < atMs) early.push(atMs - nowMs);
        resolve();
      });
    });
  });
  await Promise.all(alarms);
  assert.deepEqual(early, []);
});

test('an alarm of the past goes off in a later turn, and one that was taken back does not', async () => {
  const rang: string[] = [];
  const past = new Promise<void>((resolve) => {
    systemClock.at(systemClock.nowMs() - 1_000, () => {
      rang.push('past');
      resolve();
    });
  });
  const cancel = systemClock.at(systemClock.nowMs(), () => rang.push('taken back'));
  cancel();
  assert.deepEqual(rang, [], 'nothing rings while it is set');
  await past;
  assert.deepEqual(rang, ['past']);
});

test('an alarm further away than a timer can reach does not go off at once', async () => {
  let rang = false;
  const cancel = systemClock.at(systemClock.nowMs() + 2 ** 40, () => {
    rang = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 5));
  cancel();
  assert.equal(rang, false);
});
