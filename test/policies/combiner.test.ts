/** The combiner and the table of policies by name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Candidate } from '../../agent/types.ts';
import { best } from '../../policies/combiner/best.ts';
import { policyOf } from '../../policies/index.ts';

function candidates(scores: Readonly<Record<string, number>>): Candidate[] {
  return Object.entries(scores).map(([expert, score]) => ({ expert, score, confidence: score, why: '' }));
}

function chosen(scores: Readonly<Record<string, number>>, resident: readonly string[] = []): string | null {
  const isResident = (id: string): boolean => resident.includes(id);
  return best(candidates(scores), { minScore: 0.42, tieMargin: 0.02, isResident })?.expert ?? null;
}

test('best: the first wins, if it is good enough', () => {
  assert.equal(chosen({ a: 0.8, b: 0.7 }), 'a');
  assert.equal(chosen({ a: 0.42 }), 'a', 'the least score is enough');
  assert.equal(chosen({ a: 0.419 }), null);
  assert.equal(chosen({}), null);
});

test('best: a resident one wins within the margin, and nowhere else', () => {
  assert.equal(chosen({ a: 0.8, b: 0.79 }, ['b']), 'b');
  assert.equal(chosen({ a: 0.8, b: 0.77 }, ['b']), 'a');
  assert.equal(chosen({ a: 0.8, b: 0.79 }, ['a', 'b']), 'a', 'the best is resident itself');
  assert.equal(chosen({ a: 0.8, b: 0.79, c: 0.785 }, ['b', 'c']), 'b', 'the better of two');
  assert.equal(chosen({ a: 0.43, b: 0.415 }, ['b']), 'a', 'not one that is below the least score');
});

test('policies are found by name, and a name that is none says what there is', () => {
  const names = { router: ['nearest', 'rules'], residency: 'lru', combiner: 'best' };
  const policy = policyOf(names);
  assert.deepEqual(
    policy.routers.map((router) => router.name),
    ['nearest', 'rules'],
  );
  assert.deepEqual(
    policy.routers.map((router) => router.reads),
    ['embedding', 'terms'],
  );
  assert.equal(policy.names, names);
  assert.throws(
    () => policyOf({ ...names, residency: 'fifo' }),
    /no residency policy "fifo"; there are lru, gdsf/,
  );
  assert.throws(() => policyOf({ ...names, router: ['toString'] }), RangeError);
  assert.throws(() => policyOf({ ...names, combiner: '' }), RangeError);
});
