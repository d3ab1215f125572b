import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readBase64, writeBase64 } from '../../../agent/fleet/documents/base64.ts';
import { MQTT_LIMITS, readJson } from '../../../agent/fleet/documents/json.ts';
import { Refused } from '../../../agent/fleet/documents/refused.ts';

const read = (text: string) => readJson(Buffer.from(text));
const refuses = (text: string, reason: string) =>
  assert.throws(() => read(text), { reason }, text.slice(0, 60));

test('what parsers disagree about is refused', () => {
  refuses('{"a":1,"a":2}', 'duplicate_key');
  refuses('{"a":1,"\\u0061":2}', 'duplicate_key');
  refuses('{"b":[{"a":1,"x":{},"a":2}]}', 'duplicate_key');
  refuses('{"__proto__":{"admin":true}}', 'forbidden_key');
  refuses('{"a":{"\\u005f_proto__":1}}', 'forbidden_key');
  refuses('{"constructor":{"prototype":1}}', 'forbidden_key');
  refuses('[1e999]', 'bad_number');
  refuses('[-1e999]', 'bad_number');
  refuses('[9007199254740993]', 'bad_number');
  refuses('["\\ud800"]', 'bad_text');
  refuses('\ufeff{}', 'bad_json');
  for (const text of ['', '{', '{"a":1,}', '[01]', '"', '"\\"', 'NaN', '{"a" 1}', '{}}', '[1] 2', "{'a':1}"])
    refuses(text, 'bad_json');
  assert.throws(() => readJson(Buffer.from([0x22, 0xc3, 0x28, 0x22])), { reason: 'bad_text' });
});

test('one name in two objects is none twice, and a value may be called anything', () => {
  assert.deepEqual(read('[{"a":"a"},{"a":"__proto__"}]'), [{ a: 'a' }, { a: '__proto__' }]);
  assert.deepEqual(read('{"a":{"a":["a","a"]},"b":"\\ud83d\\ude00","c":"}{\\"]:"}'), {
    a: { a: ['a', 'a'] },
    b: '\u{1f600}',
    c: '}{"]:',
  });
});

test('size and depth are refused before anything is parsed', () => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
  assert.doesNotThrow(() => read(nested(MQTT_LIMITS.maxDepth)));
  refuses(nested(MQTT_LIMITS.maxDepth + 1), 'too_deep');
  refuses('{"a":'.repeat(20_000), 'too_deep');
  refuses('['.repeat(MQTT_LIMITS.maxBytes), 'too_deep');
  refuses(`"${'x'.repeat(MQTT_LIMITS.maxBytes)}"`, 'oversize');
  assert.throws(() => readJson(new Uint8Array(100_000_000)), { reason: 'oversize' });
  assert.deepEqual(readJson(Buffer.from('[[1]]'), { maxBytes: 5, maxDepth: 2 }), [[1]]);
});

test('quotes that are escaped without end are read once', () => {
  const text = `"${'\\"'.repeat(65_000)}`;
  refuses(text, 'bad_json');
});

test('all JSON without these traits is read as JSON.parse reads it', () => {
  const isPlain = (text: string) => !/"(__proto__|constructor|prototype)"/.test(text);
  fc.assert(
    fc.property(fc.json({ maxDepth: 8 }).filter(isPlain), (text) => {
      const isExact = !/(?<![.\d])\d{16,}(?![.\d])/.test(text);
      fc.pre(isExact);
      assert.deepEqual(read(text), JSON.parse(text));
    }),
  );
});

test('any bytes are read or refused', () => {
  const piece = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    '"',
    ':',
    ',',
    '\\',
    '\\u00',
    '1',
    'e',
    '-',
    ' ',
    'a',
    'true',
    '\u0000',
  );
  const text = fc.array(piece, { maxLength: 60 }).map((pieces) => Buffer.from(pieces.join('')));
  fc.assert(
    fc.property(fc.oneof(text, fc.uint8Array({ maxLength: 60 })), (bytes) => {
      try {
        readJson(bytes);
      } catch (error) {
        assert.ok(error instanceof Refused, String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});

test('base64 has one text for one string of bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const text = writeBase64(bytes);
      assert.deepEqual(readBase64(text), Buffer.from(bytes));
      const other = text.replaceAll('+', '-').replaceAll('/', '_');
      assert.deepEqual(readBase64(other), Buffer.from(bytes));
      if (text.endsWith('=')) assert.equal(readBase64(text.slice(0, -1)), null);
    }),
  );
  for (const text of [
    'A',
    'AA',
    'AAA',
    'AB==',
    'AAB=',
    'AA=A',
    'AAAA=',
    'AAAA====',
    'A A=',
    'AA==\n',
    '+_+_',
    'é===',
  ])
    assert.equal(readBase64(text), null, text);
});
