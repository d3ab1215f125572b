import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { AgentError } from '../../agent/errors.ts';
import { type FastTextSettings, FastTextTokenizer } from '../../agent/runtime/tokenizers/fasttext.ts';

const SETTINGS: FastTextSettings = { minChars: 2, maxChars: 3, buckets: 1_000_000, maxTokens: 64 };
const END = 0;

interface Parts {
  readonly words: readonly string[];
  readonly buckets: readonly number[];
}

/** A dictionary file, written here from its description. */
function dictionary({ words, buckets }: Parts): Uint8Array {
  let lines = Buffer.from(words.map((word) => `${word}\n`).join(''));
  while (lines.length % 4 !== 0) lines = Buffer.concat([lines, Buffer.from('\n')]);
  const numbers = (values: readonly number[]) => {
    const bytes = Buffer.alloc(4 * values.length);
    values.forEach((value, at) => {
      bytes.writeUInt32LE(value, 4 * at);
    });
    return bytes;
  };
  const header = numbers([words.length, lines.length, buckets.length]);
  return Buffer.concat([Buffer.from('FTDICT01'), header, lines, numbers(buckets)]);
}

/** fastText's hash, over numbers of any size: FNV-1a with sign-extended bytes. */
function bucketOf(ngram: string): number {
  let hash = 2_166_136_261n;
  for (const byte of Buffer.from(ngram)) {
    const extended = BigInt.asUintN(32, BigInt.asIntN(8, BigInt(byte)));
    hash = BigInt.asUintN(32, (hash ^ extended) * 16_777_619n);
  }
  return Number(hash % BigInt(SETTINGS.buckets));
}

const NGRAMS = ['<a', 'ab', 'ab>', 'é>', '<é', '日本'];
const PARTS: Parts = { words: ['</s>', 'ab', 'the', 'été'], buckets: NGRAMS.map(bucketOf) };
const FILE = dictionary(PARTS);
const tokenizer = new FastTextTokenizer(FILE, 'dictionary.bin', SETTINGS);
const row = (ngram: string) => PARTS.words.length + NGRAMS.indexOf(ngram);
const idsOf = (text: string) => [...tokenizer.encode(text)];

test('a known word counts itself and its n-grams, an unknown one its n-grams', () => {
  assert.deepEqual(idsOf('ab'), [1, row('<a'), row('ab'), row('ab>'), END]);
  assert.deepEqual(idsOf('the'), [2, END]);
  assert.deepEqual(idsOf('xab'), [row('ab'), row('ab>'), END]);
  assert.deepEqual(idsOf('a日本'), [row('<a'), row('日本'), END]);
});

test('n-grams are counted in characters and hashed in bytes', () => {
  assert.deepEqual(idsOf('é'), [row('<é'), row('é>'), END]);
  assert.deepEqual(idsOf('été'), [3, row('<é'), row('é>'), END]);
});

test('splits at the spaces of fastText, not at those of Unicode', () => {
  assert.deepEqual(idsOf('the\tthe\nthe\vthe\fthe\rthe\0the'), [2, 2, 2, 2, 2, 2, 2, END]);
  assert.deepEqual(idsOf('the\u00a0the'), [END]);
  for (const blank of ['', ' ', '\n\n']) assert.deepEqual(idsOf(blank), [END]);
});

test('labels and the end of the line in a text are no words', () => {
  assert.deepEqual(idsOf('the __label__ab </s> the'), [2, 2, END]);
});

test('never gives more than maxTokens ids, and ends a cut text too', () => {
  const short = new FastTextTokenizer(FILE, 'dictionary.bin', { ...SETTINGS, maxTokens: 5 });
  assert.deepEqual([...short.encode('ab '.repeat(50_000))], [1, row('<a'), row('ab'), row('ab>'), END]);
  const one = new FastTextTokenizer(FILE, 'dictionary.bin', { ...SETTINGS, maxTokens: 1 });
  assert.deepEqual([...one.encode('ab')], [END]);
  assert.equal(tokenizer.encode('ab'.repeat(500_000)).length, SETTINGS.maxTokens);
});

test('any text gives ids below the rows', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
      const ids = idsOf(text);
      assert.ok(ids.length >= 1 && ids.length <= SETTINGS.maxTokens);
      assert.ok(ids.every((id) => id >= 0 && id < tokenizer.rows));
      assert.equal(ids.at(-1), END);
      assert.equal(ids.indexOf(END), ids.length - 1);
    }),
  );
});

test('any bytes are a dictionary or a bad_expert', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => parses(bytes) === false));
});

test('a dictionary that is cut or has bytes changed is one or a bad_expert', () => {
  const change = fc.record({ at: fc.nat(FILE.length - 1), byte: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 4 }), fc.nat(FILE.length), (changes, length) => {
      const bytes = Uint8Array.from(FILE);
      for (const { at, byte } of changes) bytes[at] = byte;
      const kept = parses(bytes.subarray(0, length));
      return length === FILE.length || !kept;
    }),
    { numRuns: 1_000 },
  );
});

test('says what is wrong with a dictionary', () => {
  const wrong: readonly (readonly [Uint8Array, RegExp])[] = [
    [Buffer.from('GIF89a'), /begin with FTDICT01/],
    [FILE.subarray(0, FILE.length - 4), /bytes where \d+ are due/],
    [dictionary({ ...PARTS, words: ['a', 'b'] }), /no word <\/s>/],
    [dictionary({ ...PARTS, words: ['</s>', 'a', 'a'] }), /"a" is there twice/],
    [dictionary({ ...PARTS, buckets: [7, 7] }), /bucket 7 twice/],
    [dictionary({ ...PARTS, buckets: [1_000_000] }), /bucket 1000000 of n-gram 0/],
    [dictionary({ ...PARTS, words: ['</s>', 'a\nb'] }), /3 words where 2 are due/],
  ];
  for (const [bytes, message] of wrong) {
    assert.throws(() => new FastTextTokenizer(bytes, 'd.bin', SETTINGS), { code: 'bad_expert', message });
  }
});

test('a header that promises gigabytes allocates nothing', () => {
  const bytes = Uint8Array.from(readFileSync('experts/lang-id/dictionary.bin'));
  new DataView(bytes.buffer).setUint32(16, 0xffff_ffff, true);
  assert.equal(parses(bytes), false);
});

/** Whether the bytes are a dictionary; anything but a bad_expert is thrown on. */
function parses(bytes: Uint8Array): boolean {
  try {
    new FastTextTokenizer(bytes, 'dictionary.bin', SETTINGS).encode('ab été <a');
    return true;
  } catch (error) {
    if (error instanceof AgentError && error.code === 'bad_expert') return false;
    throw error;
  }
}
