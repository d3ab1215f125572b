import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hashRule, hashWords, perceive, quantize } from '../agent/perception.ts';
import { holds } from '../policies/router/terms.ts';

test('a phrase of a rule is found in a question that holds it, whatever its case and marks', () => {
  const rule = hashRule({ any: ['what language', 'in welcher Sprache'], not: ['programming'] });
  const { terms } = perceive('In WHAT  language, please, is this?');
  assert.ok(rule.any.some((hash) => holds(terms, hash)));
  assert.ok(!rule.not.some((hash) => holds(terms, hash)));
  assert.ok(rule.any.some((hash) => holds(perceive('In welcher Sprache ist das?').terms, hash)));
});

test('words are whole words: "art" is not in "heart"', () => {
  const [art = 0] = hashWords(['art']);
  assert.ok(!holds(perceive('my heart').terms, art));
  assert.ok(holds(perceive('modern art').terms, art));
});

test('letters that are written in two ways are one word', () => {
  assert.deepEqual(perceive('café').words, perceive('cafe\u0301').words);
});

test('terms and words are sorted, unique and bounded for any text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', size: 'max', maxLength: 20_000 }), (text) => {
      const { terms, words, chars } = perceive(text);
      assert.equal(chars, text.length);
      assert.ok(words.length <= 128 && terms.length <= 3 * 128);
      for (const list of [terms, words]) {
        for (let i = 1; i < list.length; i++) assert.ok((list[i] ?? 0) > (list[i - 1] ?? 0));
      }
      for (const word of words) assert.ok(holds(terms, word));
    }),
    { numRuns: 50 },
  );
});

test('a long text is looked at from both ends', () => {
  const text = `tachycardia ${'padding '.repeat(20_000)} bradycardia`;
  const [first = 0] = hashWords(['tachycardia']);
  const [last = 0] = hashWords(['bradycardia']);
  const { words } = perceive(text);
  assert.ok(holds(words, first) && holds(words, last));
});

test('a unit vector keeps its direction in 8 bits', () => {
  const vector = Float32Array.from({ length: 384 }, (_, i) => Math.sin(i * 7.3));
  const norm = Math.hypot(...vector);
  const unit = vector.map((value) => value / norm);
  const back = quantize(unit);
  const cosine = unit.reduce((sum, value, i) => sum + value * (back[i] ?? 0), 0) / Math.hypot(...back);
  assert.ok(cosine > 0.999, `cosine ${cosine}`);
  assert.deepEqual(quantize(Float32Array.from([2, -2])), Int8Array.from([127, -127]));
});
