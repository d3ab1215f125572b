import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { AgentError } from '../../../agent/errors.ts';
import { compile } from '../../../agent/runtime/tokenizers/flat/compile.ts';
import { openFlat } from '../../../agent/runtime/tokenizers/flat/flat.ts';
import { GOLDEN, jsonOf, open } from './golden.ts';

const FILE = compile(jsonOf('llama3'), {});
const PLAIN = { addSpecial: false, parseSpecial: false } as const;

function isDamaged(error: unknown): boolean {
  assert.ok(error instanceof AgentError, String(error));
  assert.equal(error.code, 'bad_expert');
  assert.notEqual(error.hint, null);
  return true;
}

test('a file that is cut, changed or something else is refused', () => {
  assert.throws(() => openFlat(new Uint8Array(0)), isDamaged);
  fc.assert(
    fc.property(fc.nat(FILE.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      assert.throws(() => openFlat(FILE.slice(0, at)), isDamaged);
      const changed = FILE.slice();
      changed[at] = (changed[at] ?? 0) ^ change;
      assert.throws(() => openFlat(changed), isDamaged);
    }),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.throws(() => openFlat(bytes), isDamaged);
    }),
  );
});

test('a file that was changed and given a new checksum is refused, or tokenises to an end', () => {
  const change = fc.tuple(fc.nat(FILE.length - 21), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 20 }), fc.string(), (changes, text) => {
      const file = FILE.slice();
      for (const [at, byte] of changes) file[20 + at] = byte;
      new DataView(file.buffer).setUint32(16, crc32(file.subarray(20)), true);
      try {
        const flat = openFlat(file);
        flat.decode(flat.encode(`${text} the end<|end|>`, { addSpecial: true, parseSpecial: true }), {
          skipSpecial: false,
        });
      } catch (error) {
        // What is refused later than when it is opened has lost its meaning, not its bounds.
        assert.ok(
          [AgentError, TypeError, RangeError].some((known) => error instanceof known),
          String(error),
        );
      }
    }),
    { numRuns: 500 },
  );
});

test('a file may lie at any place of a larger buffer', () => {
  for (const shift of [0, 1, 2, 4]) {
    const larger = new Uint8Array(FILE.length + 8);
    larger.set(FILE, shift);
    const flat = openFlat(larger.subarray(shift, shift + FILE.length));
    assert.equal(flat.decode(flat.encode('a text', PLAIN), { skipSpecial: true }), 'a text');
  }
});

test('any JSON makes a tokenizer, or an error that says what is wrong', () => {
  const base = jsonOf('words');
  const keys = ['model', 'normalizer', 'pre_tokenizer', 'post_processor', 'decoder', 'added_tokens'];
  fc.assert(
    fc.property(fc.constantFrom(...keys), fc.jsonValue(), (key, value) => {
      try {
        open({ ...base, [key]: value });
      } catch (error) {
        assert.ok(error instanceof AgentError, String(error));
        assert.match(error.code, /^(bad_expert|unsupported_tokenizer)$/);
      }
    }),
  );
  for (const value of [null, 1, 'x', [], {}]) assert.throws(() => compile(value, {}), isDamaged);
  assert.throws(() => compile(base, null), isDamaged);
});

test('names the component that it does not know', () => {
  const base = jsonOf('words');
  const changed = (change: object, name: RegExp): void => {
    assert.throws(() => open({ ...base, ...change }), { code: 'unsupported_tokenizer', message: name });
  };
  changed({ model: { type: 'Unigram', vocab: [['a', 0]] } }, /model Unigram/);
  changed({ normalizer: { type: 'Precompiled' } }, /normalizer Precompiled/);
  changed({ pre_tokenizer: { type: 'UnicodeScripts' } }, /pre-tokenizer UnicodeScripts/);
  changed({ decoder: { type: 'CTC' } }, /decoder CTC/);
  changed({ post_processor: { type: 'Other' } }, /post-processor Other/);
  changed({ model: { ...base.model, dropout: 0.1 } }, /dropout/);
});

test('says which part of a tokenizer.json is wrong', () => {
  const base = jsonOf('words');
  const model = base.model;
  const wrong = (change: object, name: RegExp): void => {
    assert.throws(() => open({ ...base, ...change }), { code: 'bad_expert', message: name });
  };
  wrong({ model: { ...model, vocab: { a: 0, b: 0 } } }, /two tokens have the id 0/);
  wrong({ model: { ...model, vocab: { a: -1 } } }, /id of "a" is -1/);
  wrong({ model: { ...model, merges: [['a', 'no such token']] } }, /no such token/);
  wrong({ model: { ...model, merges: [1] } }, /a merge is 1/);
  wrong({ normalizer: { type: 'Prepend' } }, /normalizer\.prepend should be a text/);
  wrong({ added_tokens: [{ content: 'x' }] }, /added_tokens\[0\]\.normalized should be true or false/);
});

test('a lone surrogate is a replacement character, as in UTF-8', () => {
  for (const kind of Object.keys(GOLDEN.kinds)) {
    const flat = open(jsonOf(kind));
    assert.deepEqual(flat.encode('a\ud800b', PLAIN), flat.encode('a\ufffdb', PLAIN), kind);
  }
});

test('text over bytes comes back whole, and so do the bytes of its tokens', () => {
  const flat = open(jsonOf('gpt4o'));
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (text) => {
      const ids = flat.encode(text, PLAIN);
      assert.equal(flat.decode(ids, { skipSpecial: false }), text);
      const bytes = ids.map((id) => flat.bytesOf(id) ?? assert.fail(`token ${id} has no bytes`));
      assert.equal(Buffer.concat(bytes).toString(), text);
      assert.ok(ids.every((id) => id < flat.size));
    }),
  );
});

test('bytes of tokens are what they add to a text', () => {
  const text = (kind: string, token: string): string | null => {
    const flat = open(jsonOf(kind));
    const [id = -1] = Object.entries(jsonOf(kind).model['vocab'] as Record<string, number>)
      .filter(([name]) => name === token)
      .map(([, found]) => found);
    const bytes = flat.bytesOf(id);
    return bytes === null ? null : Buffer.from(bytes).toString('latin1');
  };
  assert.equal(text('llama2', '▁'), ' ');
  assert.equal(text('llama2', '<0xE2>'), '\xe2');
  assert.equal(text('llama2', '<unk>'), null);
  assert.equal(text('gpt2', 'Ġ'), ' ');
  assert.equal(text('gpt2', '<|end|>'), null);
  assert.equal(text('bert_cased', '##a'), 'a');
  assert.equal(text('bert_cased', 'a'), ' a');
  assert.equal(text('bert_cased', '[SEP]'), null);
  assert.equal(open(jsonOf('gpt2')).bytesOf(1_000_000), null);
  assert.equal(open(jsonOf('gpt2')).bytesOf(-1), null);
});

test('texts of special tokens are those tokens only where they may be', () => {
  const flat = open(jsonOf('llama3'));
  assert.deepEqual(flat.specialTexts, ['<|begin|>', '<|end|>', '<|im_start|>', '<|im_end|>']);
  const special = flat.encode('a<|end|>', { addSpecial: true, parseSpecial: true });
  assert.deepEqual([special[0], special.at(-1)], [0, 1]);
  const plain = flat.encode('a<|end|>', PLAIN);
  assert.ok(plain.every((id) => id > 3));
  assert.equal(flat.decode(plain, { skipSpecial: true }), 'a<|end|>');
  assert.equal(flat.decode(special, { skipSpecial: true }), 'a');
  assert.equal(flat.decode([], { skipSpecial: true }), '');
  assert.equal(flat.decode([10_000_000, -1, 1.5], { skipSpecial: true }), '');
});

test('a long word merges as its parts do where they do not touch', () => {
  const flat = open(jsonOf('llama2'));
  const once = flat.encode('zq the', PLAIN);
  const ids = flat.encode('zq the\n'.repeat(500), PLAIN);
  assert.deepEqual(ids.slice(0, once.length), once);
  assert.equal(flat.decode(ids, { skipSpecial: false }), 'zq the\n'.repeat(500));
});
