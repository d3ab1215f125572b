import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isMissing, leftOutShare } from '../../agent/runtime/tasks/rewriting-evidence.ts';

const margins = (...values: number[]): Float32Array => Float32Array.from(values);

test('without an accent in the text the model decides alone', () => {
  assert.equal(leftOutShare(margins(5, -5, 0.1), 0), 1);
  assert.ok(isMissing(0.1, 1));
  assert.ok(!isMissing(-0.1, 1));
});

test('in a text with all its accents a doubtful letter is left', () => {
  const share = leftOutShare(margins(1, ...Array(200).fill(-6)), 80);
  assert.ok(share < 0.02, `${share}`);
  assert.ok(!isMissing(1, share));
});

test('where half of the accents are there, half are missing', () => {
  const share = leftOutShare(margins(...Array(50).fill(9), ...Array(200).fill(-9)), 50);
  assert.ok(Math.abs(share - 0.5) < 0.02, `${share}`);
  assert.ok(isMissing(2, share));
});

test('no margins, huge ones, many: always a share', () => {
  assert.equal(leftOutShare(margins(), 3), 0);
  fc.assert(
    fc.property(fc.array(fc.float({ min: -200, max: 200, noNaN: true })), fc.nat(1_000), (values, kept) => {
      const share = leftOutShare(margins(...values), kept);
      assert.ok(share >= 0 && share <= 1, `${share}`);
    }),
  );
});

test('the more accents a text has, the less is added', () => {
  const values = margins(4, 2, 1, 0, -1, -3, -6);
  const shares = [0, 1, 5, 25, 125].map((kept) => leftOutShare(values, kept));
  for (const [at, share] of shares.entries()) assert.ok(at === 0 || share < (shares[at - 1] ?? 0));
});
