import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deserialize, serialize } from 'node:v8';
import fc from 'fast-check';
import type { FromCell } from '../../agent/cells/protocol.ts';
import { readMessage } from '../../agent/cells/validate.ts';
import { AgentError } from '../../agent/errors.ts';

const call = fc.nat();
const amount = fc.double({ min: 0, max: 1e9, noNaN: true });
const bytes = fc.option(fc.nat());
const score = fc.double({ min: 0, max: 1, noNaN: true });
const inputTokens = fc.nat();
const vector = fc.float32Array({ minLength: 1, maxLength: 8, noNaN: true, noDefaultInfinity: true });

const tensor = fc.oneof(
  fc.tuple(fc.constant('float32' as const), fc.float32Array({ minLength: 1, maxLength: 6 })),
  fc.tuple(fc.constant('int64' as const), fc.bigInt64Array({ minLength: 1, maxLength: 6 })),
  fc.tuple(fc.constant('bool' as const), fc.uint8Array({ minLength: 1, maxLength: 6, max: 1 })),
  fc.tuple(fc.constant('string' as const), fc.array(fc.string(), { minLength: 1, maxLength: 6 })),
);
const namedTensor = fc.tuple(fc.string(), tensor).map(([name, [type, data]]) => {
  return { name, type, shape: [1, data.length], data };
});

const chance = {
  id: fc.nat(),
  text: fc.string(),
  bytes: fc.uint8Array({ maxLength: 9 }),
  logprob: fc.double({ min: -9_999, max: 0, noNaN: true }),
};
const saidToken = fc.record({ ...chance, top: fc.array(fc.record(chance), { maxLength: 3 }) });
const piece = fc.record({ text: fc.string(), tokens: fc.array(saidToken, { maxLength: 2 }) });

const answer = fc.oneof(
  fc.record({ kind: fc.constant('tensors' as const), outputs: fc.array(namedTensor), inputTokens }),
  fc.record({
    kind: fc.constant('labels' as const),
    labels: fc.array(fc.record({ label: fc.string(), score })),
    inputTokens,
  }),
  fc.record({
    kind: fc.constant('passages' as const),
    passages: fc.array(fc.record({ title: fc.string(), text: fc.string(), source: fc.string(), score })),
    inputTokens,
  }),
  fc.record({ kind: fc.constant('embeddings' as const), vectors: fc.array(vector), inputTokens }),
  fc.record({
    kind: fc.constant('text' as const),
    text: fc.string(),
    finish: fc.constantFrom('stop' as const, 'length' as const, 'cancelled' as const),
    inputTokens,
    outputTokens: fc.nat(),
    cachedTokens: fc.nat(),
    tokens: fc.array(saidToken, { maxLength: 4 }),
  }),
);
const stages = fc.dictionary(fc.constantFrom('queue', 'tokenize', 'run'), amount, { noNullPrototype: true });
const runReport = fc.record({ answer, stages, keptBytes: fc.nat() });
const report = fc.record({ beforeBytes: bytes, afterBytes: bytes, peakBytes: bytes, loadMs: amount });
const failure = fc.record({
  code: fc.string(),
  message: fc.string(),
  hint: fc.option(fc.string()),
  retryable: fc.boolean(),
});
const unloaded = fc.record({
  cellBytes: bytes,
  weights: fc.option(
    fc.tuple(fc.nat(), fc.nat()).map(([a, b]) => ({ bytes: Math.max(a, b), keptBytes: Math.min(a, b) })),
  ),
});
const cached = fc
  .tuple(fc.maxSafeNat(), fc.maxSafeNat())
  .map(([one, other]) => ({ bytes: Math.max(one, other), coldBytes: Math.min(one, other) }));
const honest: fc.Arbitrary<FromCell> = fc.oneof(
  fc.record({ type: fc.constant('ready' as const), protocol: fc.nat() }),
  fc.record({ type: fc.constant('loaded' as const), call, report }),
  fc.record({ type: fc.constant('unloaded' as const), call, unloaded }),
  fc.record({ type: fc.constant('cached' as const), expert: fc.string(), cached }),
  fc.record({ type: fc.constant('delta' as const), call, piece }),
  fc.record({ type: fc.constant('answered' as const), call, report: runReport }),
  fc.record({ type: fc.constant('failed' as const), call, failure }),
);

test('every honest message is read as it is, after a journey', () => {
  fc.assert(
    fc.property(honest, (message) => {
      assert.deepEqual(readMessage(deserialize(serialize(message))), structuredClone(message));
    }),
  );
});

test('any value is an honest message or malformed, and never anything else', () => {
  fc.assert(
    fc.property(fc.oneof(fc.anything(), fc.object()), (value) => {
      try {
        readMessage(value);
      } catch (error) {
        assert.ok(malformed(error), String(error));
      }
    }),
  );
});

test('a message with any one field spoilt is malformed', () => {
  const spoilt = fc.constantFrom(undefined, Number.NaN, -1, [], {}, Number.POSITIVE_INFINITY, () => 1);
  fc.assert(
    fc.property(honest, fc.nat(), spoilt, (message, which, value) => {
      const copy = structuredClone(message);
      const places = leaves(copy);
      const place = places[which % places.length];
      assert.ok(place !== undefined);
      // The one number that may be below zero.
      fc.pre(place.key !== 'logprob' || value !== -1);
      place.owner[place.key] = value;
      assert.throws(() => readMessage(copy), malformed, JSON.stringify(place.key));
    }),
    { numRuns: 500 },
  );
});

test('what was not asked for is left out', () => {
  const read = readMessage({ type: 'ready', protocol: 1, extra: 'x', call: 3 });
  assert.deepEqual(read, { type: 'ready', protocol: 1 });
});

test('bounds hold: long texts, many stages, holes in lists, probabilities above one', () => {
  const counts = { inputTokens: 1, outputTokens: 1, cachedTokens: 0 };
  const text = { kind: 'text', text: 'x', finish: 'stop', ...counts, tokens: [] };
  const token = { id: 1, text: 'x', bytes: Uint8Array.of(120), logprob: -1, top: [] };
  const answered = (part: object, names = {}) => ({
    type: 'answered',
    call: 1,
    report: { answer: { ...text, ...part }, stages: names, keptBytes: 0 },
  });
  readMessage(answered({ tokens: [token] }));
  const refused = [
    answered({ tokens: [{ ...token, logprob: 0.1 }] }),
    answered({ tokens: [{ ...token, logprob: -10_000 }] }),
    answered({ tokens: [{ ...token, bytes: new Uint8Array(1_001) }] }),
    answered({ tokens: [{ ...token, top: [{ ...token, bytes: [120] }] }] }),
    answered({ text: 'x'.repeat(5_000_000) }),
    answered({}, Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`s${'a'.repeat(at)}`, 1]))),
    answered({}, { 'A user said this': 1 }),
    answered({ kind: 'labels', labels: new Array(3) }),
    answered({ kind: 'labels', labels: [{ label: 'x', score: 1.2 }] }),
    answered({ kind: 'embeddings', vectors: [Float32Array.of(0, Number.NaN)] }),
    answered({ kind: 'embeddings', vectors: [new Float32Array(0)] }),
    answered({ kind: 'embeddings', vectors: [[1, 2]] }),
  ];
  for (const value of refused) assert.throws(() => readMessage(value), malformed);
});

test('of a parked expert no more than all of it is cold, in whole bytes', () => {
  const told = (bytes: unknown, coldBytes: unknown, expert: unknown = 'one') => ({
    type: 'cached',
    expert,
    cached: { bytes, coldBytes },
  });
  assert.deepEqual(readMessage(told(5, 5)), told(5, 5));
  const refused = [
    told(5, 6),
    told(5, -1),
    told(5, 0.5),
    told(5, null),
    told(Number.POSITIVE_INFINITY, 1),
    told(5, 5, 'x'.repeat(1_001)),
    told(5, 5, 7),
    { type: 'cached', expert: 'one' },
  ];
  for (const value of refused) assert.throws(() => readMessage(value), malformed, JSON.stringify(value));
});

test('a tensor must be what it says: type, size, elements', () => {
  const answered = (change: object) => {
    const output = {
      name: 'y',
      type: 'float32',
      shape: [2],
      data: Float32Array.of(1, Number.NaN),
      ...change,
    };
    return {
      type: 'answered',
      call: 1,
      report: { answer: { kind: 'tensors', outputs: [output], inputTokens: 0 }, stages: {}, keptBytes: 0 },
    };
  };
  readMessage(answered({}));
  const refused = [
    { shape: [3] },
    { shape: [-1, -2] },
    { shape: [2 ** 40, 2 ** 40] },
    { shape: [2.5] },
    { shape: new Array(1) },
    { type: 'float64' },
    { type: 'bfloat16' },
    { type: 'toString' },
    { data: [1, 2] },
    { type: 'bool', data: Uint8Array.of(0, 2) },
    { type: 'string', data: ['a', 1] },
    { type: 'string', data: new Array(2) },
  ];
  for (const change of refused)
    assert.throws(() => readMessage(answered(change)), malformed, JSON.stringify(change));
});

test('an error never quotes the value', () => {
  const secret = 'what a user said';
  assert.throws(
    () => readMessage({ type: secret, call: secret }),
    (error) => error instanceof AgentError && !error.message.includes(secret),
  );
});

interface Place {
  readonly owner: Record<string, unknown>;
  readonly key: string;
}

/** Every field of a message that holds no further fields. */
function leaves(value: object): Place[] {
  return Object.entries(value).flatMap(([key, inner]) =>
    typeof inner === 'object' && inner !== null && !ArrayBuffer.isView(inner) && !isEmpty(inner)
      ? leaves(inner)
      : isEmpty(inner)
        ? []
        : [{ owner: value as Record<string, unknown>, key }],
  );
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function malformed(error: unknown): boolean {
  return error instanceof AgentError && error.code === 'malformed';
}
