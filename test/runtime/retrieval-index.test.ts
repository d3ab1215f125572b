import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { AgentError } from '../../agent/errors.ts';
import { HEADER_BYTES, RetrievalIndex } from '../../agent/runtime/tasks/retrieval-index.ts';
import { WordLookup } from '../../agent/runtime/tasks/retrieval-lookup.ts';
import { rank } from '../../agent/runtime/tasks/retrieval-ranking.ts';
import type { GlossaryEntry } from '../../scripts/experts/glossary/entries.ts';
import { ENTRIES, indexBytes } from './retrieval-package.ts';

const folder = mkdtempSync(join(tmpdir(), 'expertd-index-'));
const path = join(folder, 'index.bin');
after(() => rmSync(folder, { recursive: true, force: true }));

function withIndex<T>(bytes: Uint8Array, use: (index: RetrievalIndex) => T): T {
  writeFileSync(path, bytes);
  const index = new RetrievalIndex(path);
  try {
    return use(index);
  } finally {
    index.close();
  }
}

const isBadExpert = (error: unknown): boolean =>
  error instanceof AgentError && error.code === 'bad_expert' && error.hint !== null;

const term = fc.stringMatching(/^[a-z]{1,9}( [a-z]{1,9}){0,2}$/);
const glossary: fc.Arbitrary<GlossaryEntry[]> = fc
  .array(
    fc.record({
      terms: fc.uniqueArray(term, { minLength: 1, maxLength: 4 }),
      gloss: fc.stringMatching(/^[ -~é–]{0,60}$/),
      source: fc.stringMatching(/^[A-Za-z0-9 ,.]{1,20}$/),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((entries) =>
    entries.map((entry) => ({ ...entry, senses: entry.terms.map(() => 1), prior: 0.5, views: [] })),
  );

describe('the file of a retrieval index', () => {
  test('holds what was written, and every term finds its entry', () => {
    fc.assert(
      fc.property(glossary, (entries) => {
        withIndex(indexBytes(entries), (index) => {
          assert.equal(index.entryCount, entries.length);
          const lookup = new WordLookup(index);
          entries.forEach(({ terms, gloss, source }, at) => {
            assert.deepEqual(index.record(at), { terms, gloss, source });
            for (const each of terms) {
              const { terms: found, hasContent } = lookup.lookUp(each);
              assert.ok(!hasContent || (found[at] ?? 0) > 0, each);
            }
          });
        });
      }),
      { numRuns: 60 },
    );
  });

  test('every word of it is found, and no other', () => {
    withIndex(indexBytes(), (index) => {
      for (let number = 0; number < index.wordCount; number += 1) {
        assert.equal(index.wordNumber(index.word(number)), number);
        assert.equal(index.wordNumber(`${index.word(number)}~`), -1);
      }
      assert.equal(index.wordNumber(''), -1);
    });
  });

  test('cut off anywhere, or with bytes too many, it is refused by name', () => {
    const whole = indexBytes();
    for (let length = 0; length < whole.length; length += 1) {
      writeFileSync(path, whole.subarray(0, length));
      assert.throws(() => new RetrievalIndex(path), isBadExpert, `${length} bytes`);
    }
    writeFileSync(path, Buffer.concat([whole, Buffer.from([0])]));
    assert.throws(() => new RetrievalIndex(path), /index\.bin has \d+ bytes where its header promises \d+/);
  });

  test('with any bytes changed it is refused, or answers within its bounds', () => {
    const whole = indexBytes();
    const change = fc.record({ at: fc.nat(whole.length - 1), value: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
        const bytes = Buffer.from(whole);
        for (const { at, value } of changes) bytes[at] = value;
        try {
          withIndex(bytes, answerWithinBounds);
        } catch (error) {
          assert.ok(isBadExpert(error), String(error));
        }
      }),
      { numRuns: 1_500 },
    );
  });

  test('any number in the numbers may be wrong: none leads out of the file', () => {
    const whole = indexBytes();
    const numbers = (whole.readUInt32LE(8) + 1 + 2 * (whole.readUInt32LE(12) + 1)) * 4;
    for (let at = 0; at < HEADER_BYTES + numbers; at += 4) {
      const bytes = Buffer.from(whole);
      bytes.writeUInt32LE(0xffff_fff0, at);
      const isWeight = at >= 32 && at < HEADER_BYTES;
      if (isWeight && at >= 32 + 4 * 9) continue;
      writeFileSync(path, bytes);
      assert.throws(() => new RetrievalIndex(path), isBadExpert, `number at ${at}`);
    }
  });

  test('a version of the future is refused by its number', () => {
    const bytes = indexBytes();
    bytes.writeUInt32LE(7, 4);
    writeFileSync(path, bytes);
    assert.throws(() => new RetrievalIndex(path), /has version 7/);
  });
});

function answerWithinBounds(index: RetrievalIndex): void {
  const lookup = new WordLookup(index);
  const cosines = new Float32Array(index.entryCount).fill(0.5);
  for (const question of ['what is tachycardia', 'hart atack', 'röntgen', 'pump of blood and muscle']) {
    const found = lookup.lookUp(question);
    for (const by of [cosines, null]) {
      const ranked = rank(index, found, by, { count: 5, minScore: 0.05 });
      assert.ok(ranked.length <= 5);
      for (const { entry, score } of ranked) {
        assert.ok(entry < ENTRIES.length);
        assert.ok(score >= 0 && score <= 1, String(score));
        index.record(entry);
      }
    }
  }
}
