import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Candidates } from '../../../agent/runtime/generation/candidates.ts';
import { expNegative } from '../../../agent/runtime/generation/exponential.ts';
import { placesOfLargest } from '../../../agent/runtime/generation/ranking.ts';
import { Sampler, type Sampling } from '../../../agent/runtime/generation/sampler.ts';

const PLAIN: Sampling = { temperature: 1, topK: 0, topP: 1, minP: 0, seed: 1 };

function samplerOf(sampling: Partial<Sampling>, vocabulary = 64): Sampler {
  return new Sampler({ ...PLAIN, ...sampling }, new Candidates(vocabulary));
}

const logit = fc.oneof(
  fc.float({ noNaN: true, noDefaultInfinity: true, min: -50, max: 50 }),
  fc.constantFrom(0, 1, 2, Number.NEGATIVE_INFINITY),
);
const someLogits = fc
  .array(logit, { minLength: 1, maxLength: 40 })
  .filter((all) => all.some(Number.isFinite))
  .map((all) => Float32Array.from(all));

test('temperature 0 takes the likeliest token, the first of equals', () => {
  const greedy = samplerOf({ temperature: 0 });
  assert.equal(greedy.next(Float32Array.of(-1, 3, 2, 3)), 1);
  assert.equal(greedy.next(Float32Array.of(Number.NEGATIVE_INFINITY, -5)), 1);
});

test('tokens come as often as the softmax at that temperature says', () => {
  // Weights 1 : 2 : 4 at temperature 1, and 1 : 4 : 16 at a half.
  const logits = Float32Array.of(0, Math.log(2), Math.log(4), Number.NEGATIVE_INFINITY);
  for (const [settings, weights] of [
    [{ temperature: 1 }, [1, 2, 4, 0]],
    [{ temperature: 0.5 }, [1, 4, 16, 0]],
    [{ topK: 2 }, [0, 2, 4, 0]],
    // 4 of 7 do not reach 0.6, and 6 of 7 do.
    [{ topP: 0.6 }, [0, 2, 4, 0]],
    [{ minP: 0.4 }, [0, 2, 4, 0]],
    // Of the two that top-k leaves, the likelier one has 2 thirds: top-p counts from what is left.
    [{ topK: 2, topP: 0.65 }, [0, 0, 4, 0]],
  ] as const) {
    const sampler = samplerOf({ ...settings, seed: 42 });
    assertShares(logits, sampler, weights);
  }
});

function assertShares(logits: Float32Array, sampler: Sampler, weights: readonly number[]): void {
  const draws = 7_000;
  const counts = weights.map(() => 0);
  for (let draw = 0; draw < draws; draw += 1) {
    const id = sampler.next(logits);
    counts[id] = (counts[id] ?? 0) + 1;
  }
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  for (const [id, weight] of weights.entries()) {
    const share = weight / total;
    // Five standard deviations.
    const slack = 5 * Math.sqrt((share * (1 - share)) / draws);
    assert.ok(Math.abs((counts[id] ?? 0) / draws - share) <= slack, `token ${id}: ${counts[id]}`);
  }
}

test('what may be drawn is what a full sort leaves', () => {
  const settings = fc.record({
    temperature: fc.constantFrom(0.1, 0.7, 1, 2),
    most: fc.constantFrom(0, 1, 3, 10, 39, 100),
    share: fc.constantFrom(0.01, 0.3, 0.5, 0.9, 0.99, 1),
    least: fc.constantFrom(0, 0.01, 0.1, 0.5, 1, 2),
  });
  fc.assert(
    fc.property(someLogits, settings, (logits, { temperature, most, share, least }) => {
      const candidates = new Candidates(40);
      candidates.fill(logits, Math.max(...logits), temperature, most, least);
      const kept = leftBySorting(logits, temperature, most, least);
      assert.deepEqual(new Set(candidates.ids()), new Set(kept.map(({ id }) => id)));
      if (share === 1) return;
      candidates.cutToShare(share);
      const weights = new Map(kept.map(({ id, weight }) => [id, weight]));
      const cut = candidates.ids().map((id) => weights.get(id) ?? Number.NaN);
      const expected = countToShare(
        kept.map(({ weight }) => weight),
        share,
      );
      // Rounding of a sum may tell at the very border.
      assert.ok(Math.abs(cut.length - expected) <= 1, `${cut.length}, not ${expected}`);
      const lightest = Math.min(...cut);
      assert.ok(kept.filter(({ weight }) => weight > lightest * (1 + 1e-6)).length < cut.length);
    }),
    { numRuns: 1_000 },
  );
});

/** Best first. */
function leftBySorting(logits: Float32Array, temperature: number, most: number, least: number) {
  const highest = Math.max(...logits);
  return [...logits]
    .map((value, id) => ({ id, value, weight: expNegative((highest - value) / temperature) }))
    .sort((a, b) => b.value - a.value || a.id - b.id)
    .slice(0, most === 0 ? logits.length : most)
    .filter(({ weight }) => weight > 0 && weight >= Math.min(least, 1));
}

function countToShare(weights: readonly number[], share: number): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let sum = 0;
  for (const [at, weight] of weights.entries()) {
    sum += weight;
    if (sum >= share * total) return at + 1;
  }
  return weights.length;
}

test('the places of the largest values are those of a full sort, the first of equals', () => {
  fc.assert(
    fc.property(someLogits, fc.integer({ min: 1, max: 50 }), (values, count) => {
      const places = new Int32Array(50);
      const found = placesOfLargest(values, count, places);
      const sorted = [...values.keys()]
        .filter((at) => values[at] !== Number.NEGATIVE_INFINITY)
        .sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0) || a - b);
      assert.deepEqual(new Set(places.subarray(0, found)), new Set(sorted.slice(0, count)));
    }),
    { numRuns: 1_000 },
  );
});

test('the exponential is as exact as float32 can tell', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 86.9, noNaN: true }), (x) => {
      assert.ok(Math.abs(expNegative(x) / Math.exp(-x) - 1) < 1e-9, `${x}`);
    }),
    { numRuns: 2_000 },
  );
  assert.deepEqual([0, 87, 1e9, Number.POSITIVE_INFINITY].map(expNegative), [1, 0, 0, 0]);
});

test('every token that is drawn is possible, even at extreme settings', () => {
  const any = fc.array(
    fc.oneof(fc.float({ noNaN: true, noDefaultInfinity: true }), fc.constant(Number.NEGATIVE_INFINITY)),
    { minLength: 1, maxLength: 20 },
  );
  fc.assert(
    fc.property(
      any.filter((all) => all.some(Number.isFinite)),
      fc.constantFrom(0, 1e-6, 0.2, 1, 2, 100),
      fc.constantFrom(0, 1e-9, 0.5, 1),
      fc.constantFrom(0, 1, 5),
      fc.nat(),
      (all, temperature, topP, topK, seed) => {
        const id = samplerOf({ temperature, topP, topK, minP: 0.01, seed }).next(Float32Array.from(all));
        assert.ok(Number.isFinite(all[id]));
      },
    ),
  );
});

test('the same seed draws the same tokens, another one others', () => {
  const logits = new Float32Array(64);
  const drawn = (seed: number) => {
    const sampler = samplerOf({ seed });
    return Array.from({ length: 20 }, () => sampler.next(logits));
  };
  assert.deepEqual(drawn(1), drawn(1));
  assert.notDeepEqual(drawn(1), drawn(2));
});

test('logits that make no sense are an error', () => {
  const sampler = samplerOf({});
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => sampler.next(Float32Array.of(0, bad, 1)), {
      code: 'bad_logits',
      message: /token 1 /,
    });
  }
  const nothing = Float32Array.of(Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY);
  assert.throws(() => sampler.next(nothing), { code: 'bad_logits' });
});
