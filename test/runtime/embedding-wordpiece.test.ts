import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { AgentError } from '../../agent/errors.ts';
import { head, openTokenizer } from '../../agent/runtime/tokenizers/huggingface.ts';
import { WordTable } from '../../agent/runtime/tokenizers/word-table.ts';

const file = (path: string) => ({ path, bytes: readFileSync(`experts/embedder/${path}`) });
const json = (value: unknown) => ({
  path: 'tokenizer_config.json',
  bytes: Buffer.from(JSON.stringify(value)),
});
const tokenizer = await openTokenizer(file('vocab.txt'), file('tokenizer_config.json'));

test('agrees with the Rust tokenizers on odd texts', () => {
  const rows = readFileSync('test/fixtures/wordpiece-reference.jsonl', 'utf8').trim().split('\n');
  assert.ok(rows.length >= 150);
  for (const row of rows) {
    const [text, ids]: [string, number[]] = JSON.parse(row);
    assert.deepEqual(tokenizer.encode(text, 10_000), ids, JSON.stringify(text));
  }
});

test('text is never a control token', () => {
  const ids = tokenizer.encode('[CLS] and [SEP] [MASK]', 64);
  assert.deepEqual([ids.indexOf(101), ids.lastIndexOf(101)], [0, 0]);
  assert.deepEqual([ids.indexOf(102), ids.indexOf(103)], [ids.length - 1, -1]);
});

test('any text gives from 2 to maxTokens ids of the vocabulary, and a shorter limit gives a prefix', () => {
  const [first, last] = [101, 102];
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.integer({ min: 8, max: 64 }),
      (text, limit) => {
        const ids = tokenizer.encode(text, limit);
        assert.ok(ids.length >= 2 && ids.length <= limit);
        assert.ok(ids.every((id) => Number.isInteger(id) && id >= 0 && id < 30_522));
        assert.equal(ids[0], first);
        assert.equal(ids.at(-1), last);
        const whole = tokenizer.encode(text, 1_000);
        assert.deepEqual(ids.slice(0, -1), whole.slice(0, ids.length - 1));
      },
    ),
  );
});

test('cuts long texts between characters', () => {
  assert.equal(head('abc', 3), 'abc');
  assert.equal(head('ab😀c', 3), 'ab');
  assert.equal(head('ab😀c', 4), 'ab😀');
});

test('any two files make a tokenizer or a bad_expert', async () => {
  const bytes = fc.uint8Array({ maxLength: 64 });
  const value = fc.oneof(
    bytes,
    fc.json().map((text) => Buffer.from(text)),
  );
  await fc.assert(
    fc.asyncProperty(
      value,
      value,
      fc.constantFrom('vocab.txt', 'tokenizer.json'),
      async (left, right, path) => {
        await openTokenizer({ path, bytes: left }, { path: 'c.json', bytes: right }).catch(
          (error: unknown) => {
            assert.ok(error instanceof AgentError, String(error));
            assert.equal(error.code, 'bad_expert');
          },
        );
      },
    ),
  );
});

test('says which special token or setting is wrong', async () => {
  const vocabulary = { path: 'vocab.txt', bytes: Buffer.from('[UNK]\n[CLS]\na\n##b\n') };
  await assert.rejects(openTokenizer(vocabulary, json({})), {
    code: 'bad_expert',
    message: /no token \[SEP\]/,
  });
  await assert.rejects(openTokenizer(vocabulary, json({ do_lower_case: 1 })), {
    message: /do_lower_case.*boolean/,
  });
  const small = await openTokenizer(vocabulary, json({ sep_token: '[CLS]' }));
  assert.deepEqual(small.encode('ab ba A', 16), [1, 2, 3, 0, 2, 1]);
});

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
