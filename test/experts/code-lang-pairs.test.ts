import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BytePairs } from '../../agent/runtime/tokenizers/byte-pairs.ts';
import type { Counted } from '../../agent/runtime/tokenizers/counted.ts';

const OTHER = 128;
const texts = fc.oneof(
  fc.string(),
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: fc.constantFrom('\r', '\n', 'a') }),
);

/** The pairs of a text one by one, from its definition. */
function pairsOf(text: string, maxPairs: number): Map<number, number> {
  const bytes = [...new TextEncoder().encode(text.replaceAll('\r\n', '\n'))].map((byte) =>
    Math.min(byte, OTHER),
  );
  const counts = new Map<number, number>();
  for (let at = 1; at < bytes.length && at <= maxPairs; at += 1) {
    const id = (bytes[at - 1] ?? 0) * 129 + (bytes[at] ?? 0);
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

const entries = ({ ids, counts }: Counted) => new Map([...ids].map((id, at) => [id, counts[at] ?? 0]));
const sum = ({ counts }: Counted) => counts.reduce((total, count) => total + count, 0);

test('counts each pair as often as it comes, and nothing after the last one it looks at', () => {
  fc.assert(
    fc.property(texts, fc.integer({ min: 1, max: 40 }), (text, maxPairs) => {
      const expected = pairsOf(text, maxPairs);
      const found = new BytePairs({ maxPairs }).count(text);
      if (expected.size === 0) return assert.deepEqual([...entries(found)], [[0, 0]]);
      assert.deepEqual(entries(found), expected);
      assert.equal(found.total, sum(found));
    }),
  );
});

test('a text leaves nothing behind for the next one', () => {
  const pairs = new BytePairs({ maxPairs: 30 });
  fc.assert(
    fc.property(texts, texts, (before, text) => {
      pairs.count(before);
      assert.deepEqual(pairs.count(text), new BytePairs({ maxPairs: 30 }).count(text));
    }),
  );
});

test('a short text weighs as much as the least number of pairs, a longer one what it has', () => {
  const pairs = new BytePairs({ maxPairs: 1000, leastPairs: 100 });
  assert.ok(Math.abs(sum(pairs.count('let a = 1;')) - 100) < 1e-3);
  assert.equal(sum(pairs.count('x'.repeat(301))), 300);
  assert.deepEqual([...entries(pairs.count('a'))], [[0, 0]]);
});

test('all bytes outside ASCII are of one kind', () => {
  const { ids, counts } = new BytePairs({ maxPairs: 100 }).count('aé日');
  assert.deepEqual([...ids], [97 * 129 + OTHER, OTHER * 129 + OTHER]);
  assert.deepEqual([...counts], [1, 4]);
});
