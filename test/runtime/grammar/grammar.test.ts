/** Tokens, ends, and what is kept between texts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../../agent/errors.ts';
import { openGrammar } from '../../../agent/runtime/grammar/grammar.ts';
import { END, follow, idsOf, LOGITS, smallGrammar, TOKENS } from './speakers.ts';

const SPECIAL = 1;
const EMPTY = 2;
const TWIN = 3;
/** The token of a byte. */
const byte = (letter: string): number => 4 + letter.charCodeAt(0);

function idOf(text: string): number {
  for (let id = TWIN + 1; id < TOKENS.size; id += 1) {
    if (Buffer.from(TOKENS.bytesOf(id) ?? []).toString() === text) return id;
  }
  throw new RangeError(`no token says ${text}`);
}

const grammar = await smallGrammar();
const POINT = { type: 'object', properties: { q: { type: 'integer' } }, required: ['q'] };

test('a mask has the tokens that may come, their twins, and no others', async () => {
  const text = await follow(grammar, POINT);
  const mask = text.allowed(50);
  assert.equal(mask?.length, Math.ceil(LOGITS / 32));
  assert.deepEqual(
    idsOf(mask),
    [TWIN, byte('{'), idOf('{"')].sort((a, b) => a - b),
  );
  text.accept(TWIN);
  assert.deepEqual(idsOf(text.allowed(50)), [byte('q')]);
});

test('a token may reach over the border of two values', async () => {
  const text = await follow(grammar, { type: 'array', items: { enum: ['a', true] } });
  for (const letter of '["a') text.accept(byte(letter));
  const allowed = idsOf(text.allowed(50));
  for (const piece of ['"', '",', '"]', '","']) {
    const known = ['"', '","', '"]'].includes(piece);
    if (known) assert.ok(allowed.includes(idOf(piece)), piece);
  }
  assert.ok(!allowed.includes(idOf('"}')));
  text.accept(idOf('","'));
  text.accept(byte('a'));
  text.accept(idOf('"]'));
  assert.ok(text.complete);
});

test('the end may come where the text is whole, and nothing after it', async () => {
  const text = await follow(grammar, { type: 'integer' });
  assert.ok(!idsOf(text.allowed(9)).includes(END));
  assert.throws(() => text.accept(END), RangeError);
  text.accept(byte('7'));
  assert.ok(!text.complete && idsOf(text.allowed(9)).includes(END));
  text.accept(END);
  assert.ok(text.complete);
  assert.deepEqual(idsOf(text.allowed(9)), [END]);
  assert.throws(() => text.accept(byte('1')), RangeError);
});

test('a token that may not come changes nothing', async () => {
  const text = await follow(grammar, POINT);
  for (const id of [byte('['), SPECIAL, EMPTY, TOKENS.size, LOGITS, -1]) {
    assert.throws(() => text.accept(id), RangeError);
  }
  text.accept(byte('{'));
  // Its first byte may come, its second may not.
  assert.throws(() => text.accept(idOf('": ')), RangeError);
  text.accept(byte('"'));
  assert.deepEqual(idsOf(text.allowed(50)), [byte('q')]);
});

test('as the room runs out only what leads to the end may come', async () => {
  const text = await follow(grammar, { type: 'array', items: { type: 'string' } });
  text.accept(byte('['));
  assert.ok(idsOf(text.allowed(9)).includes(byte('"')));
  assert.deepEqual(idsOf(text.allowed(1)), [byte(']')]);
  assert.ok(!idsOf(text.allowed(2)).includes(byte('"')));
  text.accept(byte('"'));
  assert.ok(idsOf(text.allowed(3)).includes(idOf('the ')));
  assert.deepEqual(idsOf(text.allowed(1)), [idOf('"]')]);
});

test('the plan knows that an escape and a torn character must be finished', async () => {
  const text = await follow(grammar, { type: 'string' });
  text.accept(byte('"'));
  const allowed = idsOf(text.allowed(2));
  assert.ok(allowed.includes(idOf('the ')) && allowed.includes(idOf('ä')));
  for (const piece of ['\\', '\\u', '\\ud83d']) assert.ok(!allowed.includes(idOf(piece)), piece);
});

test('bytes that are no UTF-8 are no text', async () => {
  const torn = [[0x80], [0xc0], [0xe0, 0x80], [0xed, 0xa0], [0xf0, 0x80], [0xf4, 0x90], [0xc3, 0x28], [0xff]];
  for (const bytes of torn) {
    const text = await follow(grammar, { type: 'string' });
    text.accept(byte('"'));
    assert.throws(() => {
      for (const one of bytes) text.accept(4 + one);
    }, RangeError);
  }
});

test('two texts of one schema do not disturb each other', async () => {
  const [one, other] = [await follow(grammar, POINT), await follow(grammar, POINT)];
  one.accept(byte('{'));
  assert.ok(idsOf(other.allowed(50)).includes(byte('{')));
  other.release();
  assert.ok(idsOf(one.allowed(50)).includes(byte('"')));
});

test('more schemas than are kept, and again the first', async () => {
  const small = await smallGrammar();
  for (const round of [0, 1]) {
    for (let index = 0; index < 12; index += 1) {
      const text = await follow(small, { const: `${index}` });
      for (const letter of JSON.stringify(`${index}`)) text.accept(byte(letter));
      assert.ok(text.complete, `round ${round}`);
    }
  }
  small.release();
});

test('a vocabulary without a letter that the schema needs', async () => {
  const withoutBrace = { ...TOKENS, bytesOf: (id: number) => (id === byte('}') ? null : TOKENS.bytesOf(id)) };
  const small = await openGrammar(withoutBrace, LOGITS, new Set([END]));
  await assert.rejects(follow(small, POINT), (error: unknown) => {
    assert.ok(error instanceof AgentError && error.code === 'bad_input');
    assert.match(error.message, /in letters that the model has/);
    return true;
  });
  assert.ok(await follow(small, { type: 'integer' }));
});

test('a tokenizer that says no bytes makes no grammar', async () => {
  await assert.rejects(openGrammar({ size: 9, bytesOf: () => null }, 9, new Set()), (error: unknown) => {
    return error instanceof AgentError && error.code === 'bad_expert';
  });
});
