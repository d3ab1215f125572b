import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Sampler } from '../../agent/runtime/tasks/generation-sampler.ts';

test('temperature 0 takes the likeliest token, the first of equals', () => {
  const greedy = new Sampler({ temperature: 0, seed: 1 });
  assert.equal(greedy.next(Float32Array.of(-1, 3, 2, 3)), 1);
  assert.equal(greedy.next(Float32Array.of(Number.NEGATIVE_INFINITY, -5)), 1);
});

test('tokens come as often as the softmax at that temperature says', () => {
  // Weights 1 : 2 : 4 at temperature 1, and 1 : 4 : 16 at a half.
  const logits = Float32Array.of(0, Math.log(2), Math.log(4), Number.NEGATIVE_INFINITY);
  const draws = 7_000;
  for (const [temperature, weights] of [
    [1, [1, 2, 4, 0]],
    [0.5, [1, 4, 16, 0]],
  ] as const) {
    const sampler = new Sampler({ temperature, seed: 42 });
    const counts = [0, 0, 0, 0];
    for (let draw = 0; draw < draws; draw += 1) {
      const id = sampler.next(logits);
      counts[id] = (counts[id] ?? 0) + 1;
    }
    const total = weights.reduce<number>((sum, weight) => sum + weight, 0);
    for (const [id, weight] of weights.entries()) {
      const share = weight / total;
      // Five standard deviations.
      const slack = 5 * Math.sqrt((share * (1 - share)) / draws);
      assert.ok(
        Math.abs((counts[id] ?? 0) / draws - share) <= slack,
        `token ${id} at ${temperature}: ${counts[id]}`,
      );
    }
  }
});

test('every token that is drawn is possible, even at extreme temperatures', () => {
  const logit = fc.oneof(
    fc.float({ noNaN: true, noDefaultInfinity: true }),
    fc.constant(Number.NEGATIVE_INFINITY),
  );
  fc.assert(
    fc.property(
      fc.array(logit, { minLength: 1, maxLength: 20 }).filter((all) => all.some(Number.isFinite)),
      fc.constantFrom(0, 1e-6, 0.2, 1, 2),
      fc.nat(),
      (all, temperature, seed) => {
        const id = new Sampler({ temperature, seed }).next(Float32Array.from(all));
        assert.ok(Number.isFinite(all[id]));
      },
    ),
  );
});

test('logits that make no sense are an error', () => {
  const sampler = new Sampler({ temperature: 1, seed: 1 });
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => sampler.next(Float32Array.of(0, bad, 1)), {
      code: 'bad_logits',
      message: /token 1 /,
    });
  }
  const nothing = Float32Array.of(Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY);
  assert.throws(() => sampler.next(nothing), { code: 'bad_logits' });
});
