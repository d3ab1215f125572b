import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { decodeBatch, encodeBatch } from '../../../agent/fleet/records/batch.ts';
import { holes, missingIn, nothing, type Range, withRange } from '../../../agent/store/collector/spans.ts';

const record = (seq: number): string =>
  JSON.stringify({ seq, event: 'request', reasons: ['because "so"', 'é€𝄞'] });
const stone = { from: 3, to: 5, reason: 'retention', count: 3 };
const sound = { v: 1, epoch: 7, first: 1, last: 2, recs: [{ seq: 1 }, { seq: 2 }] };

function packed(value: unknown): Uint8Array {
  return gzipSync(JSON.stringify(value));
}

test('what is packed comes back', async () => {
  const portion = { epoch: 7, first: 1, last: 6, records: [1, 2, 6].map(record), tombstones: [stone] };
  const batch = decodeBatch(await encodeBatch(portion));
  assert.deepEqual(
    batch.records.map(({ value }) => JSON.stringify(value)),
    portion.records,
  );
  assert.deepEqual({ ...batch, records: [] }, { ...portion, records: [] });
});

const wrong: Readonly<Record<string, unknown>> = {
  'another version': { ...sound, v: 2 },
  'no epoch': { ...sound, epoch: undefined },
  'a hole': { ...sound, last: 3 },
  'a number too many': { ...sound, last: 1 },
  'a number below': { ...sound, first: 2 },
  'first of zero': { ...sound, first: 0, recs: [{ seq: 0 }, ...sound.recs] },
  'a record without a number': { ...sound, recs: [{ seq: 1 }, {}] },
  'a record that is a list': { ...sound, recs: [[1], { seq: 2 }] },
  'a number that is a text': { ...sound, recs: [{ seq: '1' }, { seq: 2 }] },
  'a tombstone without a reason': { ...sound, last: 5, tombstones: [{ ...stone, reason: '' }] },
  'a tombstone that ends before it begins': { ...sound, last: 5, tombstones: [{ ...stone, from: 6 }] },
  'a tombstone that counts too much': { ...sound, last: 5, tombstones: [{ ...stone, count: 4 }] },
  'tombstones that are no list': { ...sound, tombstones: {} },
  'a huge range without anything': { ...sound, last: Number.MAX_SAFE_INTEGER },
  'a list': [sound],
  nothing: null,
};

for (const [what, value] of Object.entries(wrong)) {
  test(`refused: ${what}`, () => {
    assert.throws(() => decodeBatch(packed(value)), { name: 'AgentError' });
  });
}

test('refused: a gzip bomb, deep JSON, a prototype, what is no gzip', () => {
  const bomb = gzipSync(Buffer.alloc(100_000_000, 32), { level: 9 });
  assert.ok(bomb.byteLength < 131_072, 'the bomb is small enough to arrive');
  const before = process.memoryUsage().arrayBuffers;
  assert.throws(() => decodeBatch(bomb), { code: 'bad_batch' });
  assert.ok(process.memoryUsage().arrayBuffers - before < 50_000_000, 'it was unpacked');
  assert.throws(() => decodeBatch(gzipSync('['.repeat(1_000_000))), { name: 'AgentError' });
  const prototype = '{"v":1,"epoch":1,"first":1,"last":1,"recs":[{"seq":1,"__proto__":{"a":1}}]}';
  assert.throws(() => decodeBatch(gzipSync(prototype)), { name: 'AgentError' });
  assert.throws(() => decodeBatch(Buffer.alloc(200_000)), { code: 'bad_batch' });
});

test('whatever comes, it is a batch or an AgentError', () => {
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.json().map((text) => gzipSync(text)),
    fc
      .record(
        {
          v: fc.constant(1),
          epoch: fc.nat(),
          first: fc.nat(5),
          last: fc.nat(9),
          recs: fc.array(fc.jsonValue()),
        },
        { requiredKeys: [] },
      )
      .map(packed),
  );
  fc.assert(
    fc.property(anything, (payload) => {
      try {
        decodeBatch(payload);
      } catch (error) {
        assert.equal(error instanceof Error && error.name, 'AgentError');
      }
    }),
  );
});

test('spans: as a set of numbers would have it', () => {
  const range = fc
    .tuple(fc.integer({ min: 1, max: 60 }), fc.nat(12))
    .map(([first, more]): Range => [first, first + more]);
  fc.assert(
    fc.property(fc.array(range, { maxLength: 25 }), (ranges) => {
      const numbers = new Set(ranges.flatMap(([a, b]) => Array.from({ length: b - a + 1 }, (_, n) => a + n)));
      const progress = ranges.reduce(withRange, nothing);
      let high = 0;
      while (numbers.has(high + 1)) high += 1;
      const most = Math.max(0, ...numbers);
      const missing = Array.from({ length: most }, (_, n) => n + 1).filter((n) => !numbers.has(n));
      assert.equal(progress.high, high);
      assert.deepEqual(
        holes(progress).flatMap(([a, b]) => Array.from({ length: b - a + 1 }, (_, n) => a + n)),
        missing,
      );
      assert.deepEqual(
        missingIn(progress, [5, 40]).flatMap(([a, b]) => Array.from({ length: b - a + 1 }, (_, n) => a + n)),
        Array.from({ length: 36 }, (_, n) => 5 + n).filter((n) => !numbers.has(n)),
      );
    }),
  );
});
