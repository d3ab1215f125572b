import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { editDistance } from '../../agent/runtime/tasks/retrieval-spelling.ts';
import { phraseHash, stem, stemsOf } from '../../agent/runtime/tasks/retrieval-words.ts';

describe('the words of a retrieval index', () => {
  test('plurals and possessives meet their singular', () => {
    const pairs = {
      tumors: 'tumor',
      allergies: 'allergy',
      "Alzheimer's": 'alzheimer',
      Alzheimers: 'alzheimer',
    };
    for (const [form, expected] of Object.entries(pairs)) assert.deepEqual(stemsOf(form), [expected]);
  });

  test('what only looks like a plural stays', () => {
    for (const word of ['arthritis', 'virus', 'abscess', 'gas', 'is']) assert.equal(stem(word), word);
  });

  test('accents, hyphens and case do not matter', () => {
    assert.deepEqual(stemsOf('Ménière X-RAY'), ['meniere', 'x', 'ray']);
  });

  test('names that end in marks are words of their own', () => {
    assert.deepEqual(stemsOf('C++ or C#, not C.'), ['c++', 'or', 'c#', 'not', 'c']);
    assert.deepEqual(stemsOf('a++b issue#5 x# 1+1'), ['a', 'b', 'issue', '5', 'x#', '1', '1']);
  });

  test('any text has stems, each cut the same way when it stands alone', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (text) => {
        for (const each of stemsOf(text)) {
          assert.equal(stemsOf(each).length, 1, each);
          assert.match(each, /^[\p{L}\p{N}]+(?:\+\+|#)?$/u);
        }
      }),
    );
  });

  test('the hash is FNV-1a of the joined stems', () => {
    assert.equal(phraseHash([]), 0x811c9dc5);
    assert.equal(phraseHash(['a']), 0xe40c292c);
    assert.equal(phraseHash(['foobar']), 0xbf9cf968);
    assert.notEqual(phraseHash(['a', 'b']), phraseHash(['ab']));
  });
});

describe('edit distance', () => {
  const distance = (left: string, right: string, limit = 9) =>
    editDistance(Buffer.from(left), Buffer.from(right), limit);

  test('counts each kind of slip once', () => {
    assert.equal(distance('pneumonia', 'pneumonia'), 0);
    assert.equal(distance('pnumonia', 'pneumonia'), 1);
    assert.equal(distance('pneumoniaa', 'pneumonia'), 1);
    assert.equal(distance('pneumonja', 'pneumonia'), 1);
    assert.equal(distance('penumonia', 'pneumonia'), 1);
  });

  test('agrees with the plain recurrence, and stops just above its limit', () => {
    const word = fc.stringMatching(/^[ab]{0,7}$/);
    fc.assert(
      fc.property(word, word, fc.nat(4), (left, right, limit) => {
        const expected = recurrence(left, right);
        const found = distance(left, right, limit);
        assert.equal(expected <= limit ? found : Math.min(found, limit + 1), Math.min(expected, limit + 1));
      }),
    );
  });
});

/** The definition of optimal string alignment, without tables. */
function recurrence(left: string, right: string): number {
  if (left === '' || right === '') return left.length + right.length;
  const [a, b] = [left.slice(0, -1), right.slice(0, -1)];
  const same = left.at(-1) === right.at(-1) ? 0 : 1;
  const costs = [recurrence(a, right) + 1, recurrence(left, b) + 1, recurrence(a, b) + same];
  if (left.at(-1) === right.at(-2) && left.at(-2) === right.at(-1)) {
    costs.push(recurrence(left.slice(0, -2), right.slice(0, -2)) + 1);
  }
  return Math.min(...costs);
}
