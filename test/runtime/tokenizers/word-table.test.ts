import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WordTable } from '../../../agent/runtime/tokenizers/word-table.ts';

test('a word table finds its words and no others', () => {
  const word = fc.uint8Array({ minLength: 1, maxLength: 5 }).filter((bytes) => !bytes.includes(10));
  const text = word.map((bytes) =>
    Buffer.from(bytes)
      .toString('latin1')
      .replace(/[^\x20-\x7e]/g, 'x'),
  );
  fc.assert(
    fc.property(fc.uniqueArray(text, { maxLength: 200 }), text, fc.boolean(), (words, other, open) => {
      const lines = words.join('\n') + (open || words.length === 0 ? '' : '\n');
      const table = new WordTable(Buffer.from(lines), 'words');
      assert.equal(table.size, words.length);
      words.forEach((one, id) => {
        assert.equal(table.idOf(one), id);
      });
      assert.equal(table.idOf(other), words.indexOf(other));
    }),
  );
  assert.throws(() => new WordTable(Buffer.from('a\nb\na\n'), 'words'), {
    code: 'bad_expert',
    message: /"a" is there twice/,
  });
  assert.throws(() => new WordTable(Buffer.from('a\n\nb\n'), 'words'), {
    code: 'bad_expert',
    message: /word 2 is empty/,
  });
});
