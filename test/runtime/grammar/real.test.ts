/** The vocabulary of a real model: 49,152 byte-level tokens. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Grammar } from '../../../agent/runtime/generation/constraint.ts';
import { FollowedText } from '../../../agent/runtime/grammar/followed-text.ts';
import { openGrammar } from '../../../agent/runtime/grammar/grammar.ts';
import { compile } from '../../../agent/runtime/tokenizers/flat/compile.ts';
import { type FlatTokenizer, openFlat } from '../../../agent/runtime/tokenizers/flat/flat.ts';
import { endlessModel, follow, type Model, randomModel, say } from './speakers.ts';

const MODELS = process.env['EXPERTD_TEST_MODELS'] ?? join(import.meta.dirname, '../../../../shared/models');
const directory = join(MODELS, 'smollm2-135m-instruct');
const skip = existsSync(directory)
  ? false
  : `no model at ${directory}; EXPERTD_TEST_MODELS names another place`;
const LOGITS = 49_152;
/** `<|im_end|>`. */
const END = 2;

const ORDER = {
  type: 'object',
  properties: {
    customer: { type: 'string', minLength: 1, maxLength: 40 },
    day: { type: 'string', format: 'date' },
    lines: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        properties: {
          sku: { type: 'string', pattern: '^[A-Z]{2}-\\d{4}$' },
          count: { type: 'integer', minimum: 1, maximum: 99 },
        },
        required: ['sku', 'count'],
        additionalProperties: false,
      },
    },
    priority: { enum: ['low', 'normal', 'high'] },
    note: { type: ['string', 'null'] },
  },
  required: ['customer', 'day', 'lines', 'priority', 'note'],
  additionalProperties: false,
};

let tokenizer: FlatTokenizer;
let grammar: Grammar;

before(async () => {
  if (skip !== false) return;
  const [json, config] = ['tokenizer.json', 'tokenizer_config.json'].map((name): unknown => {
    return JSON.parse(readFileSync(join(directory, name), 'utf8'));
  });
  tokenizer = openFlat(compile(json, config));
  grammar = await openGrammar(tokenizer, LOGITS, new Set([END]));
});

/** The same numbers every time. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test('fifty answers by a schema are valid, with room and without', { skip }, async () => {
  const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(ORDER);
  for (let seed = 0; seed < 50; seed += 1) {
    const constraint = await follow(grammar, ORDER);
    const model: Model = seed % 10 === 9 ? endlessModel : randomModel(numbers(seed));
    const { text, finish } = say(constraint, constraint.tokensToEnd + seed, model, tokenizer);
    assert.equal(finish, 'stop');
    assert.ok(validate(JSON.parse(text)), text);
  }
});

test('any object is one, however random', { skip }, async () => {
  for (let seed = 0; seed < 10; seed += 1) {
    const constraint = await grammar.constrain({ kind: 'json-object' });
    assert.ok(constraint instanceof FollowedText);
    const { text, finish } = say(constraint, 60, randomModel(numbers(seed)), tokenizer);
    assert.equal(finish, 'stop');
    assert.equal(typeof JSON.parse(text), 'object');
  }
});

test('what the model would say by itself may be said token by token', { skip }, async () => {
  const answer =
    '{"customer": "Zoë 🙂 O\'Neill", "day": "2026-11-24", "lines": [{"sku": "AB-0042", "count": 7}], "priority": "low", "note": null}';
  for (const text of [
    answer,
    JSON.stringify(JSON.parse(answer)),
    JSON.stringify(JSON.parse(answer), null, 2),
  ]) {
    const constraint = await follow(grammar, ORDER);
    for (const id of tokenizer.encode(text, { addSpecial: false, parseSpecial: false })) {
      const mask = constraint.allowed(200);
      assert.ok(((mask[id >> 5] ?? 0) >>> (id & 31)) & 1, `token ${id} of ${text}`);
      constraint.accept(id);
    }
    assert.ok(constraint.complete);
  }
});
