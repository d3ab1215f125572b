import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Backoff } from '../../../agent/fleet/session/backoff.ts';
import { peakPerSecond, seeded } from '../seeded.ts';

test('a wait is any part of its window; windows double from 30 s to 5 minutes', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { maxLength: 20 }),
      (draws) => {
        let next = 0;
        const backoff = new Backoff(() => draws[next++] ?? 0);
        draws.forEach((draw, round) => {
          assert.equal(backoff.nextMs(0), draw * Math.min(30_000 * 2 ** round, 300_000));
        });
      },
    ),
  );
});

test('two that throw each other out slow down; one that recovered is quick again', () => {
  const backoff = new Backoff(() => 0.5);
  assert.deepEqual(
    [20_000, 20_000, 20_000, 20_000, 20_000, 20_000].map((upMs) => backoff.nextMs(upMs)),
    [15_000, 30_000, 60_000, 120_000, 150_000, 150_000],
  );
  assert.equal(backoff.nextMs(300_001), 15_000);
});

test('of 200 devices that lose their broker together at most 20 come back in any second, in 200 such fleets', () => {
  const random = seeded(7);
  const peaks = Array.from({ length: 200 }, () =>
    peakPerSecond(Array.from({ length: 200 }, () => new Backoff(random).nextMs(600_000))),
  );
  assert.ok(Math.max(...peaks) <= 20, `a peak of ${Math.max(...peaks)}`);
  assert.ok(Math.min(...peaks) >= 7, 'it is counted');
});
