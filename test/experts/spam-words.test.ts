import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { HashedWords } from '../../agent/runtime/tokenizers/hashed-words.ts';

const tokenizer = new HashedWords({ bits: 17, maxWords: 2000 });
const pairs = (text: string) => {
  const { ids, counts } = tokenizer.count(text);
  return [...ids].map((id, at): [number, number] => [id, counts[at] ?? 0]).sort(([a], [b]) => a - b);
};

test('makes the features that the model was trained on', () => {
  const rows = readFileSync('test/fixtures/spam-features.jsonl', 'utf8').trim().split('\n');
  assert.ok(rows.length >= 9);
  for (const row of rows) {
    const [text, expected]: [string, [number, number][]] = JSON.parse(row);
    assert.deepEqual(pairs(text), expected.length === 0 ? [[0, 0]] : expected, text);
  }
});

test('n words make n features and n - 1 pairs, each id once and below the limit', () => {
  const small = new HashedWords({ bits: 6, maxWords: 50 });
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.lorem({ maxCount: 80 })),
      (text) => {
        const { ids, counts, total } = small.count(text);
        assert.equal(new Set(ids).size, ids.length);
        for (const id of ids) assert.ok(id >= 0 && id < small.features);
        assert.ok(total <= 50);
        const sum = counts.reduce((all, count) => all + count, 0);
        assert.equal(sum, Math.max(0, 2 * total - 1));
      },
    ),
  );
});

test('what comes after the last word that counts changes nothing', () => {
  const three = new HashedWords({ bits: 17, maxWords: 3 });
  assert.deepEqual(three.count('one two three'), three.count('one two three four FIVE!'));
  assert.notDeepEqual(three.count('one two three'), three.count('one two four'));
});

test('case and digits do not count, capitals and marks do', () => {
  assert.deepEqual(pairs('Win 1500 now'), pairs('win 7234 NOW'));
  assert.notDeepEqual(pairs('win money'), pairs('WIN MONEY'));
  assert.notDeepEqual(pairs('free'), pairs('free!!'));
  assert.deepEqual(pairs('free!!!'), pairs('free!!!!!!'));
});
