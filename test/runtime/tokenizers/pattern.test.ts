import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AgentError } from '../../../agent/errors.ts';
import {
  classOf,
  complement,
  has,
  only,
  property,
  union,
} from '../../../agent/runtime/tokenizers/flat/code-points.ts';
import { translate } from '../../../agent/runtime/tokenizers/flat/pattern.ts';

test('refuses what could take for ever, or is read in another way than it looks', () => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ['(a+)+b', /not always alike/],
    ['(a|aa)+b', /not always alike/],
    ['(a?a)+b', /not always alike/],
    ['a*a*b', /too long/],
    ['a+(?:b*|c)(?!d)', /too long/],
    ['a*', /match nothing/],
    ['a|b?', /match nothing/],
    ['a++', /repeats a repetition/],
    ['a{2}?', /repeats a repetition/],
    ['a{2}+', /repeats a repetition/],
    ['(?=a)*b', /repeats a look around/],
    ['^a', /\^/],
    ['a$', /\$/],
    ['\\ba', /\\b/],
    ['\\ha', /\\h/],
    ['(a)\\1', /\\1/],
    ['(?>a)', /unknown kind/],
    ['(?<name>a)', /unknown kind/],
    ['[[:alpha:]]', /class inside a class/],
    ['[a&&b]', /class inside a class/],
    ['[]a]', /empty class/],
    ['[z-a]', /range/],
    ['\\p{Klingon}', /property Klingon/],
    ['(?i:é)', /more than ASCII/],
    ['(?i:ss)', /case of ss/],
    ['a{,3}', /no count/],
    ['a{3,1}', /out of bounds/],
    ['(a', /without a \)/],
    ['a)', /without a \(/],
    ['[a', /too early/],
    ['a'.repeat(5_000), /more than 4096/],
  ];
  for (const [pattern, why] of refused)
    assert.throws(() => translate(pattern), { code: 'unsupported_tokenizer', message: why }, pattern);
});

test('any pattern is an expression of JavaScript, or is refused', () => {
  const parts = fc.constantFrom(
    ...'ab()[]{}|*+?^$.\\-,:=!<i1pPsSdw2\u{1f600}',
    '(?:',
    '(?i:',
    '\\p{L}',
    '[^',
    '{2,3}',
  );
  fc.assert(
    fc.property(fc.array(parts, { maxLength: 16 }), (chosen) => {
      try {
        new RegExp(translate(chosen.join('')), 'u');
      } catch (error) {
        assert.ok(error instanceof AgentError, `${chosen.join('')}: ${error}`);
      }
    }),
    { numRuns: 3_000 },
  );
});

test('sets of code points are those of their members', () => {
  const points = fc.uniqueArray(fc.nat(300), { maxLength: 20 });
  fc.assert(
    fc.property(points, points, fc.nat(300), (left, right, point) => {
      const either = union(only(...left), only(...right));
      const due = left.includes(point) || right.includes(point);
      assert.equal(has(either, point), due);
      assert.equal(has(complement(either), point), !due);
      assert.deepEqual(complement(complement(either)), either);
      assert.equal(new RegExp(`^${classOf(either)}$`, 'u').test(String.fromCodePoint(point)), due);
    }),
  );
  assert.deepEqual(complement(complement(property('\\s'))), property('\\s'));
});
