import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { timeDecide } from '../../scripts/bench/decide-time.ts';
import { processMemory } from '../../scripts/bench/process-memory.ts';
import { rowOf } from '../../scripts/bench/report.ts';
import { interleave, median, quantile } from '../../scripts/bench/stats.ts';
import { sentence } from '../../scripts/bench/texts.ts';
import { ROOT } from '../../scripts/bundle.mjs';

describe('quantiles', () => {
  test('known values', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.equal(quantile([10, 20, 30, 40, 50], 0.25), 20);
    assert.ok(Math.abs(quantile([1, 2, 3, 4], 0.99) - 3.97) < 1e-12);
    assert.equal(quantile([7], 0.99), 7);
    assert.ok(Number.isNaN(median([])));
    assert.throws(() => quantile([1], 1.5), RangeError);
  });

  const samples = fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1 });

  test('lie within the sample, grow with q, and do not depend on the order', () => {
    fc.assert(
      fc.property(samples, fc.double({ noNaN: true, min: 0, max: 1 }), (values, q) => {
        const value = quantile(values, q);
        assert.ok(value >= Math.min(...values) && value <= Math.max(...values));
        assert.ok(value <= quantile(values, (q + 1) / 2) + 1e-6);
        assert.equal(quantile([...values].reverse(), q), value);
      }),
    );
  });

  test('leave the sample as it was', () => {
    const values = [3, 1, 2];
    quantile(values, 0.5);
    assert.deepEqual(values, [3, 1, 2]);
  });
});

describe('interleaving', () => {
  test('every contender runs once a round, and each begins in turn', async () => {
    const order: string[] = [];
    const contender = (name: string) => async (round: number) => {
      order.push(`${name}${round}`);
      return `${name}${round}`;
    };
    const results = await interleave(3, [contender('a'), contender('b')]);
    assert.deepEqual(order, ['a0', 'b0', 'b1', 'a1', 'a2', 'b2']);
    assert.deepEqual(results, [
      ['a0', 'a1', 'a2'],
      ['b0', 'b1', 'b2'],
    ]);
  });
});

describe('rows', () => {
  test('judge by the goal, and compare with the baseline', () => {
    const row = rowOf('b', { metric: 'm', value: 2.000049, unit: 'ms', goal: { atMost: 2 }, baseline: 4 });
    assert.deepEqual(row, {
      bench: 'b',
      metric: 'm',
      value: 2,
      unit: 'ms',
      goal: '<=2',
      ok: false,
      baseline: 4,
      ratio: 0.5,
    });
    assert.equal(rowOf('b', { metric: 'm', value: 600, unit: '1/s', goal: { atLeast: 600 } }).ok, true);
    assert.equal(rowOf('b', { metric: 'm', value: Number.NaN, unit: 'ms', goal: { atMost: 2 } }).ok, false);
    assert.equal(rowOf('b', { metric: 'm', value: 1, unit: 'ms' }).ok, null);
  });
});

describe('what the spine bench is made of', () => {
  test('the timed decisions are real ones', () => {
    const { requestMs, featuresMs } = timeDecide(20, 2, 5);
    assert.equal(requestMs.length, 5);
    assert.ok(featuresMs.every((ms) => ms > 0));
  });

  test('no sentence twice within a block', () => {
    assert.equal(new Set(Array.from({ length: 50 }, (_, index) => sentence(index))).size, 50);
  });

  test('memory of this process', () => {
    const { rssBytes, pssBytes, anonymousBytes } = processMemory(process.pid);
    assert.ok(rssBytes >= pssBytes && pssBytes > 0 && anonymousBytes > 0);
  });

  test('a bench that does not exist is refused with those that do', () => {
    const main = join(ROOT, 'scripts/bench/main.ts');
    const { status, stderr } = spawnSync(process.execPath, [main, 'spin'], { encoding: 'utf8' });
    assert.equal(status, 2);
    assert.match(stderr, /no bench "spin".*spine/s);
  });
});
