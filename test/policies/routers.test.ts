/** The routers alone: what they claim, how sure they are, and what they cost with a thousand experts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Expert, Features, RoutingFacts, Rule } from '../../agent/types.ts';
import { nearest } from '../../policies/router/nearest.ts';
import { rules } from '../../policies/router/rules.ts';
import { holds } from '../../policies/router/terms.ts';
import { axis, expert, features } from '../core/made.ts';

const MIN_SCORE = 0.42;

function knows(id: string, change: Partial<RoutingFacts>): Expert {
  const nothing = { languages: ['*'], rules: [], vocabulary: new Uint32Array(), prototypes: [] };
  return expert(id, { routing: { ...nothing, ...change } });
}

/** A unit vector of eight numbers, times 127. */
function unit(...values: number[]): Int8Array {
  const norm = Math.hypot(...values);
  return Int8Array.from({ length: 8 }, (_, at) => Math.round((127 * (values[at] ?? 0)) / norm));
}

function says(...words: number[]): Features {
  const sorted = Uint32Array.from(words).sort();
  return features({ terms: sorted, words: sorted });
}

function rule(change: Partial<Rule>): Rule {
  return { any: [], all: [], not: [], code: null, ...change };
}

function ranked(router: typeof rules, asked: Features, ...experts: Expert[]): string[] {
  return router({ features: asked, experts, minScore: MIN_SCORE }).map((candidate) => candidate.expert);
}

test('a rule wants any of `any`, all of `all`, and none of `not`', () => {
  const one = knows('one', { rules: [rule({ any: [1, 2], all: [3, 4], not: [5] })] });
  assert.deepEqual(ranked(rules, says(1, 3, 4), one), ['one']);
  assert.deepEqual(ranked(rules, says(2, 3, 4, 9), one), ['one']);
  assert.deepEqual(ranked(rules, says(3, 4), one), [], 'none of `any`');
  assert.deepEqual(ranked(rules, says(1, 3), one), [], 'one of `all` is missing');
  assert.deepEqual(ranked(rules, says(1, 3, 4, 5), one), [], 'one of `not`');
});

test('a rule without `any` needs `all` alone', () => {
  assert.deepEqual(ranked(rules, says(3), knows('one', { rules: [rule({ all: [3] })] })), ['one']);
});

test('where more rules match, the expert comes first, and equals keep their order', () => {
  const twice = knows('twice', { rules: [rule({ any: [1] }), rule({ any: [2] })] });
  const once = knows('once', { rules: [rule({ any: [1] })] });
  const also = knows('also', { rules: [rule({ any: [2] })] });
  assert.deepEqual(ranked(rules, says(1, 2), once, also, twice), ['twice', 'once', 'also']);
});

test('a rule that matches is always enough for the combiner', () => {
  const [candidate] = rules({
    features: says(1),
    experts: [knows('one', { rules: [rule({ any: [1] })] })],
    minScore: MIN_SCORE,
  });
  assert.ok(candidate !== undefined && candidate.score >= 0.95 && candidate.score <= 1);
});

test('without an embedding an expert is known by its words, and one word is enough', () => {
  const asked = says(1, 2, 3);
  const experts = [
    knows('none', { vocabulary: Uint32Array.of(9), prototypes: [axis(0)] }),
    knows('one', { vocabulary: Uint32Array.of(1), prototypes: [axis(0)] }),
    knows('three', { vocabulary: Uint32Array.of(1, 2, 3) }),
  ];
  const candidates = nearest({ features: asked, experts, minScore: MIN_SCORE });
  assert.deepEqual(
    candidates.map(({ expert, score, why }) => [expert, score, why]),
    [
      ['three', 0.875, '3 of its words'],
      ['one', 0.5, 'one of its words'],
    ],
  );
});

test('with an embedding the nearest example counts, what is typical too, and words add to both', () => {
  const asked = { ...says(1), embedding: axis(2) };
  const experts = [
    knows('far', { prototypes: [axis(1)], vocabulary: Uint32Array.of(1) }),
    knows('near', { prototypes: [axis(1), axis(2)] }),
  ];
  const candidates = nearest({ features: asked, experts, minScore: MIN_SCORE });
  assert.deepEqual(
    candidates.map(({ expert, score, why }) => [expert, Number(score.toFixed(9)), why]),
    [
      ['near', 0.8, 'closeness 1.00, typicality 1.00'],
      ['far', 0.12, 'closeness 0.00, typicality 0.00, one of its words'],
    ],
  );
});

test('what is near to all examples of an expert wins over what is near to one of another', () => {
  const asked = features({ embedding: unit(1, 1) });
  const experts = [
    knows('oneOfMany', { prototypes: [unit(1, 0.8), unit(0, 0, 1), unit(0, 0, 1, 0.2), unit(0, 0, 1, 0.3)] }),
    knows('all', { prototypes: [unit(1, 0.5), unit(0.5, 1), unit(1, 0.6, 0.2)] }),
  ];
  const [first, second] = nearest({ features: asked, experts, minScore: MIN_SCORE });
  assert.deepEqual([first?.expert, second?.expert], ['all', 'oneOfMany']);
  assert.match(second?.why ?? '', /^closeness 0\.99/, 'its nearest example is the nearest of all');
  assert.match(first?.why ?? '', /^closeness 0\.9[5-8]/);
});

test('examples that cancel each other out, or are nothing, have no typical request', () => {
  const asked = features({ embedding: unit(1) });
  const opposite = [unit(1), unit(-1)];
  for (const prototypes of [opposite, [new Int8Array(8)]]) {
    const [one] = nearest({ features: asked, experts: [knows('one', { prototypes })], minScore: MIN_SCORE });
    assert.ok(
      one !== undefined && Number.isFinite(one.score) && one.score >= 0 && one.score <= 0.5,
      `${one?.score}`,
    );
  }
});

test('an expert whose examples are not learned yet is known by its words even with an embedding', () => {
  const asked = { ...says(1), embedding: axis(2) };
  const unlearned = knows('unlearned', { prototypes: null, vocabulary: Uint32Array.of(1) });
  assert.deepEqual(ranked(nearest, asked, unlearned), ['unlearned']);
  assert.deepEqual(ranked(nearest, { ...says(5), embedding: axis(2) }, unlearned), []);
});

test('confidence is one half at the least score, and rises with the score', () => {
  const at = (score: number): number => {
    // One example is typical of itself: a request at its cosine x scores 0.8 x.
    const cosine = score / 0.8;
    const asked = features({ embedding: unit(cosine, Math.sqrt(1 - cosine * cosine)) });
    const experts = [knows('one', { prototypes: [axis(0)] })];
    return nearest({ features: asked, experts, minScore: MIN_SCORE })[0]?.confidence ?? Number.NaN;
  };
  assert.ok(Math.abs(at(MIN_SCORE) - 0.5) < 0.02, `${at(MIN_SCORE)}`);
  assert.ok(at(0.3) < at(0.42) && at(0.42) < at(0.6));
});

test('property: scores stay within 0 to 1, sorted, and no expert comes twice', () => {
  const vector = fc.int8Array({ minLength: 8, maxLength: 8 }).map((values) => {
    const norm = Math.hypot(...values) || 1;
    return Int8Array.from(values, (value) => Math.trunc((value / norm) * 127));
  });
  const hash = fc.integer({ min: 0, max: 20 });
  const vocabulary = fc.uniqueArray(hash).map((words) => Uint32Array.from(words).sort());
  const facts = fc.record({ vocabulary, prototypes: fc.option(fc.array(vector, { maxLength: 3 })) });
  fc.assert(
    fc.property(fc.array(facts, { maxLength: 6 }), vocabulary, fc.option(vector), (all, words, embedding) => {
      const experts = all.map((one, index) => knows(`e${index}`, one));
      const asked = features({ terms: words, words, embedding });
      const candidates = nearest({ features: asked, experts, minScore: MIN_SCORE });
      assert.equal(new Set(candidates.map((candidate) => candidate.expert)).size, candidates.length);
      for (const [index, { score, confidence }] of candidates.entries()) {
        assert.ok(score <= 1 && score >= -1.001 && confidence >= 0 && confidence <= 1);
        assert.ok(index === 0 || score <= (candidates[index - 1]?.score ?? 0));
      }
    }),
  );
});

test('property: `holds` finds exactly what is there', () => {
  const hash = fc.integer({ min: 0, max: 0xffffffff });
  fc.assert(
    fc.property(fc.uniqueArray(hash, { maxLength: 50 }), hash, (hashes, other) => {
      const sorted = Uint32Array.from(hashes).sort();
      for (const one of hashes) assert.ok(holds(sorted, one));
      assert.equal(holds(sorted, other), hashes.includes(other));
    }),
  );
});

test('among a thousand experts the one that is meant is first', () => {
  let seed = 1;
  const random = (): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed / 2_147_483_648 - 0.5;
  };
  const vector = (): Int8Array => {
    const values = Array.from({ length: 384 }, random);
    const norm = Math.hypot(...values);
    return Int8Array.from(values, (value) => Math.round((value / norm) * 127));
  };
  const experts = Array.from({ length: 1_000 }, (_, index) => knows(`e${index}`, { prototypes: [vector()] }));
  for (const index of [0, 500, 999]) {
    const embedding = experts[index]?.routing.prototypes?.[0] ?? null;
    const [first, second] = nearest({ features: features({ embedding }), experts, minScore: MIN_SCORE });
    assert.equal(first?.expert, `e${index}`);
    assert.ok((first?.score ?? 0) - (second?.score ?? 1) > 0.4, 'by far');
  }
});
