import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decode, decodeEvent, decodeState, encode } from '../agent/codec.ts';
import { initialState } from '../agent/decide.ts';
import { AgentError } from '../agent/errors.ts';
import { settings } from './core/made.ts';

/** Whatever the words of the core may be made of, and names that JavaScript treats in a special way. */
const key = fc.oneof(
  fc.string(),
  fc.constantFrom('__proto__', 'constructor', 'toJSON', '$map', '$$map', '$', '$i8', '$n', 'length'),
);
const number = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(-0, Number.NaN, Infinity, -Infinity));
const plain = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    number,
    fc.string({ unit: 'binary' }),
    fc.boolean(),
    fc.constant(null),
    fc.int8Array(),
    fc.uint32Array(),
    fc.array(tie('value'), { maxLength: 4 }),
    fc
      .array(fc.tuple(fc.oneof(number, fc.string()), tie('value')), { maxLength: 4 })
      .map((pairs) => new Map(pairs)),
    fc.array(fc.tuple(key, tie('value')), { maxLength: 4 }).map((pairs) => Object.fromEntries(pairs)),
  ),
})).value;

test('what was encoded is decoded to the same value', () => {
  fc.assert(
    fc.property(plain, (value) => {
      assert.deepStrictEqual(decode(encode(value)), value);
    }),
    { numRuns: 500 },
  );
});

test('a key __proto__ is a property like any other', () => {
  const decoded = decode('{"__proto__":{"polluted":true}}') as Record<string, unknown>;
  assert.equal(Object.getPrototypeOf(decoded), Object.prototype);
  assert.equal(decoded['polluted'], undefined);
  assert.deepEqual(Object.keys(decoded), ['__proto__']);
});

test('any text is decoded or refused with an AgentError', () => {
  const texts = fc.oneof(fc.string(), fc.json(), plain.map(encode).chain(damaged));
  fc.assert(
    fc.property(texts, (text) => {
      for (const read of [decode, decodeEvent, decodeState]) {
        try {
          read(text);
        } catch (error) {
          assert.ok(error instanceof AgentError, String(error));
          assert.equal(error.code, 'bad_encoding');
        }
      }
    }),
    { numRuns: 500 },
  );
});

function damaged(text: string): fc.Arbitrary<string> {
  return fc
    .tuple(fc.nat({ max: text.length }), fc.string({ maxLength: 3 }))
    .map(([at, insert]) => text.slice(0, at) + insert + text.slice(at + insert.length));
}

const refused: readonly (readonly [string, string])[] = [
  ['two tags', '{"$map":[],"$i8":""}'],
  ['a tag beside a key', '{"a":1,"$map":[]}'],
  ['an unknown tag', '{"$date":"now"}'],
  ['a Map that is no list', '{"$map":{}}'],
  ['an entry that is no pair', '{"$map":[[1]]}'],
  ['base64 with a stray character', '{"$i8":"AA*="}'],
  ['base64 of a number', '{"$i8":7}'],
  ['three bytes as Uint32Array', '{"$u32":"AAAA"}'],
  ['an unknown number', '{"$n":"12"}'],
  ['10,000 nested lists', '['.repeat(10_000) + ']'.repeat(10_000)],
];
for (const [name, text] of refused) {
  test(`refuses ${name}`, () => {
    assert.throws(() => decode(text), { name: 'AgentError', code: 'bad_encoding' });
  });
}

test('refuses what it could not give back', () => {
  const cycle: unknown[] = [];
  cycle.push(cycle);
  const values = [
    undefined,
    { a: undefined },
    [undefined],
    () => 1,
    1n,
    new Date(0),
    new Set(),
    cycle,
    Symbol('s'),
  ];
  for (const value of values)
    assert.throws(() => encode(value), { name: 'AgentError', code: 'not_encodable' });
});

test('an event of an unknown kind and a state without tables are refused', () => {
  assert.throws(() => decodeEvent('{"atMs":1,"type":"future"}'), { code: 'bad_encoding' });
  assert.throws(() => decodeEvent('{"type":"tick"}'), { code: 'bad_encoding' });
  assert.throws(() => decodeState('{"experts":{}}'), { code: 'bad_encoding' });
  assert.deepEqual(decodeEvent('{"atMs":1,"type":"tick"}'), { atMs: 1, type: 'tick' });
});

test('a state that another version of expertd wrote is refused, and not decided from', () => {
  const { habits, ...earlier } = initialState(settings(), 1);
  assert.throws(() => decodeState(encode(earlier)), { code: 'bad_encoding', message: /without "habits"/ });
  assert.deepEqual(decodeState(encode({ ...earlier, habits })).habits, habits);
  const { rollouts, ...older } = initialState(settings(), 1);
  assert.throws(() => decodeState(encode(older)), { code: 'bad_encoding', message: /without "rollouts"/ });
  assert.deepEqual(decodeState(encode({ ...older, rollouts })).rollouts, rollouts);
});
