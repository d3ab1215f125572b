import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { AgentError } from '../../../agent/errors.ts';
import { encoderOf, head } from '../../../agent/runtime/tokenizers/huggingface.ts';
import { openFiles } from '../../../agent/runtime/tokenizers/open.ts';

const file = (path: string) => ({ path, bytes: readFileSync(`experts/embedder/${path}`) });
const json = (value: unknown) => ({
  path: 'tokenizer_config.json',
  bytes: Buffer.from(JSON.stringify(value)),
});
const flat = await openFiles(file('vocab.txt'), file('tokenizer_config.json'));
const encoder = encoderOf(flat);

test('agrees with the Rust tokenizers on odd texts', () => {
  const rows = readFileSync('test/fixtures/wordpiece-reference.jsonl', 'utf8').trim().split('\n');
  assert.ok(rows.length >= 150);
  for (const row of rows) {
    const [text, ids]: [string, number[]] = JSON.parse(row);
    assert.deepEqual(encoder.encode(text, 10_000), ids, JSON.stringify(text));
  }
});

test('vocab.txt and tokenizer.json are one tokenizer', async () => {
  const same = await openFiles(file('tokenizer.json'), file('tokenizer_config.json'));
  assert.equal(same.size, flat.size);
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), fc.boolean(), (text, special) => {
      const options = { addSpecial: special, parseSpecial: special };
      const ids = flat.encode(`${text} [MASK]`, options);
      assert.deepEqual(same.encode(`${text} [MASK]`, options), ids);
      assert.equal(same.decode(ids, { skipSpecial: special }), flat.decode(ids, { skipSpecial: special }));
    }),
  );
});

test('text is never a control token', () => {
  const ids = encoder.encode('[CLS] and [SEP] [MASK]', 64);
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
        const ids = encoder.encode(text, limit);
        assert.ok(ids.length >= 2 && ids.length <= limit);
        assert.ok(ids.every((id) => Number.isInteger(id) && id >= 0 && id < 30_522));
        assert.equal(ids[0], first);
        assert.equal(ids.at(-1), last);
        const whole = encoder.encode(text, 1_000);
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
  const path = fc.constantFrom('vocab.txt', 'tokenizer.json');
  await fc.assert(
    fc.asyncProperty(value, value, path, async (left, right, name) => {
      await openFiles({ path: name, bytes: left }, { path: 'c.json', bytes: right }).catch(
        (error: unknown) => {
          assert.ok(error instanceof AgentError, String(error));
          assert.equal(error.code, 'bad_expert');
        },
      );
    }),
  );
});

test('says which special token, setting or word is wrong', async () => {
  const vocabulary = (text: string) => ({ path: 'vocab.txt', bytes: Buffer.from(text) });
  const small = vocabulary('[UNK]\n[CLS]\na\n##b\n');
  const wrong = (text: string, config: object, message: RegExp) =>
    assert.rejects(openFiles(vocabulary(text), json(config)), { code: 'bad_expert', message });
  await wrong('[UNK]\n[CLS]\na\n', {}, /no token \[SEP\]/);
  await wrong('[UNK]\n[CLS]\n[SEP]\n', { do_lower_case: 1 }, /do_lower_case.*true or false/);
  await wrong('a\nb\na\n', {}, /token 2, "a", is there twice/);
  await wrong('a\n\nb\n', {}, /token 1 is empty/);
  const opened = encoderOf(await openFiles(small, json({ sep_token: '[CLS]' })));
  assert.deepEqual(opened.encode('ab ba A', 16), [1, 2, 3, 0, 2, 1]);
});
