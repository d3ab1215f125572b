/** When the agent is told how much of a parked expert is in the page cache. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { CacheWatch } from '../../../agent/runtime/parking/cache-watch.ts';
import type { Residency } from '../../../agent/runtime/parking/read-ahead.ts';

const MB = 1024 ** 2;
const LOOK_MS = 5_000;

/** A watch of one expert whose pages a test moves, with what it told. */
function watching(t: TestContext, bytes = 100 * MB) {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const told: number[] = [];
  const now: { residency: Residency | null; looks: number; idle: boolean } = {
    residency: { bytes, coldBytes: 0 },
    looks: 0,
    idle: true,
  };
  const watch = new CacheWatch({ tell: (_, { coldBytes }) => told.push(coldBytes), isIdle: () => now.idle });
  const look = () => {
    now.looks += 1;
    return now.residency;
  };
  return {
    told,
    now,
    watch,
    tell: () => watch.tell('one', look),
    cool(coldBytes: number) {
      now.residency = { bytes, coldBytes };
      t.mock.timers.tick(LOOK_MS);
    },
  };
}

test('asked to tell it tells; then only what changed by a twentieth, in either direction', (t) => {
  const { tell, cool, told } = watching(t);
  tell();
  tell();
  assert.deepEqual(told, [0, 0]);
  cool(4.9 * MB);
  assert.deepEqual(told, [0, 0]);
  cool(5 * MB);
  cool(9.9 * MB);
  cool(0.1 * MB);
  cool(0);
  assert.deepEqual(told, [0, 0, 5 * MB, 0]);
});

test('of a small expert, less than 4 MB are not worth a word', (t) => {
  const { tell, cool, told } = watching(t, 10 * MB);
  tell();
  cool(3.9 * MB);
  cool(4 * MB);
  assert.deepEqual(told, [0, 4 * MB]);
});

test('it does not look while there is work', (t) => {
  const { tell, cool, told, now } = watching(t);
  tell();
  now.idle = false;
  cool(50 * MB);
  assert.equal(now.looks, 1);
  now.idle = true;
  cool(50 * MB);
  assert.deepEqual(told, [0, 50 * MB]);
});

test('where nobody can tell, or it is parked no more, nothing is said and nobody looks again', (t) => {
  const { tell, cool, told, now } = watching(t);
  now.residency = null;
  tell();
  assert.deepEqual(told, []);
  cool(50 * MB);
  assert.equal(now.looks, 1);
  tell();
  assert.deepEqual(told, [50 * MB]);
  now.residency = null;
  t.mock.timers.tick(LOOK_MS);
  const { looks } = now;
  cool(0);
  assert.equal(now.looks, looks);
});

test('stopped, it looks no more', (t) => {
  const { tell, cool, told, watch } = watching(t);
  tell();
  watch.stop();
  cool(50 * MB);
  assert.deepEqual(told, [0]);
});
