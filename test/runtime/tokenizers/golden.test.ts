import assert from 'node:assert/strict';
import { test } from 'node:test';
import { translate } from '../../../agent/runtime/tokenizers/flat/pattern.ts';
import { splitterOf } from '../../../agent/runtime/tokenizers/flat/splitter.ts';
import { GOLDEN, open } from './golden.ts';

test('there are cases of every kind', () => {
  const kinds = Object.entries(GOLDEN.kinds);
  assert.ok(kinds.length >= 13);
  for (const [name, { cases }] of kinds) assert.ok(cases.length >= 100, name);
  assert.ok(GOLDEN.patterns.length > 1_000);
});

for (const [name, { tokenizer, cases }] of Object.entries(GOLDEN.kinds)) {
  test(`${name}: ids and texts are those of the Rust library`, () => {
    const flat = open(tokenizer);
    for (const [text, ids, plain, decoded, withoutSpecial] of cases) {
      const about = JSON.stringify(text);
      assert.deepEqual(flat.encode(text, { addSpecial: true, parseSpecial: true }), ids, about);
      assert.deepEqual(flat.encode(text, { addSpecial: false, parseSpecial: false }), plain, about);
      assert.equal(flat.decode(ids, { skipSpecial: false }), decoded, about);
      assert.equal(flat.decode(ids, { skipSpecial: true }), withoutSpecial, about);
    }
  });
}

test('regular expressions split as those of the Rust library', () => {
  for (const [pattern, text, pieces] of GOLDEN.patterns) {
    const split = splitterOf([
      { kind: 'pattern', pattern: translate(pattern), behavior: 'Isolated', invert: false },
    ]);
    const found: string[] = [];
    split(text, true, (piece) => found.push(piece));
    assert.deepEqual(found, pieces, `${pattern} on ${JSON.stringify(text)}`);
  }
});
