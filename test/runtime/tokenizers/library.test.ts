import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openFiles } from '../../../agent/runtime/tokenizers/open.ts';

/** A Unigram model, which is not compiled. */
const UNIGRAM = {
  version: '1.0',
  added_tokens: ['<s>', '</s>'].map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  })),
  normalizer: null,
  pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'never' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [],
    special_tokens: { '<s>': { id: '<s>', ids: [0], tokens: ['<s>'] } },
  },
  decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'never' },
  model: {
    type: 'Unigram',
    unk_id: 2,
    vocab: [
      ['<s>', 0],
      ['</s>', 0],
      ['<unk>', 0],
      ...[...'abcs/<>▁'].map((letter) => [letter, -2]),
      ['ab', -1],
    ],
  },
};

const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));
const tokenizer = await openFiles(
  { path: 'tokenizer.json', bytes: bytes(UNIGRAM) },
  { path: 'tokenizer_config.json', bytes: bytes({ eos_token: '</s>' }) },
);

test('a vocabulary that is not compiled is read by the library', () => {
  assert.equal(tokenizer.size, 12);
  assert.deepEqual(tokenizer.specialTexts, ['<s>', '</s>']);
  const ids = tokenizer.encode('ab c</s>', { addSpecial: true, parseSpecial: true });
  assert.deepEqual(ids, [0, 11, 10, 5, 1]);
  assert.equal(tokenizer.decode(ids, { skipSpecial: true }), 'ab c');
  assert.equal(tokenizer.decode([], { skipSpecial: true }), '');
});

test('the text of a special token is text where it may not be the token', () => {
  for (const text of ['a</s>b', '<s>', '</s></s>', '<</s>', '</s']) {
    const ids = tokenizer.encode(text, { addSpecial: false, parseSpecial: false });
    assert.ok(
      ids.every((id) => id > 1),
      `${text}: ${ids}`,
    );
    assert.equal(tokenizer.decode(ids, { skipSpecial: true }), text);
  }
  const whole = tokenizer.encode('a</s>', { addSpecial: true, parseSpecial: false });
  assert.deepEqual([whole[0], whole.lastIndexOf(0), whole.indexOf(1)], [0, 0, -1]);
});
