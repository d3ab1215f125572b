import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AgentError } from '../../../agent/errors.ts';
import { Outgoing, partsOf, type Said } from '../../../agent/fleet/device/results.ts';
import { readResult } from '../../../agent/fleet/documents/shapes.ts';
import { settledSoon } from './orders-set-up.ts';

const said = (more: Partial<Said> = {}): Said => ({
  id: 'c1',
  state: 'SUCCEEDED',
  reason: null,
  detail: null,
  ...more,
});

test('parts are small enough for every broker, and make the text again', () => {
  const unit = fc.oneof(
    fc.constantFrom('"', '\\', '\n', '\u0001', 'ß', '€', '😀', '\u2028', '\ud800', 'plain words '),
    fc.string({ unit: 'binary' }),
  );
  const text = fc
    .tuple(fc.array(unit, { minLength: 1, maxLength: 8 }), fc.integer({ min: 1, max: 30_000 }))
    .map(([units, times]) => units.join('').repeat(times).slice(0, 300_000));
  let most = 0;
  fc.assert(
    fc.property(text, (detail) => {
      const parts = partsOf(said({ detail }));
      const bodies = parts.map((part) => Buffer.from(JSON.stringify(part)));
      for (const body of bodies) assert.ok(body.byteLength <= 100_000, `${body.byteLength} bytes`);
      const read = bodies.map((body) => readResult(body));
      assert.equal(read.map((one) => one.detail).join(''), detail.toWellFormed());
      assert.deepEqual(
        read.map(({ part, parts: of }) => [part, of]),
        read.map((_, index) => [index + 1, read.length]),
      );
      most = Math.max(most, parts.length);
    }),
    { numRuns: 60 },
  );
  assert.ok(most > 3, 'some had many parts');
});

test('nothing and an empty text are one part each', () => {
  assert.deepEqual(
    [null, ''].map((detail) => partsOf(said({ detail })).map((part) => part.detail)),
    [[null], ['']],
  );
});

test('a link that is lost in the middle goes on with the part that is not known to be there', async () => {
  const bodies: number[] = [];
  const done: string[] = [];
  let losses = 2;
  const outgoing = new Outgoing({
    sayElsewhere: async () => {},
    publish: async (body) => {
      const { part } = readResult(Buffer.from(body));
      if (part === 2 && losses-- > 0) throw new AgentError('link_lost', 'lost', { retryable: true });
      bodies.push(part);
    },
    onSent: ({ id }) => done.push(`sent ${id}`),
    onLost: ({ id }, why) => done.push(`lost ${id}: ${why}`),
  });
  void outgoing.send(said({ detail: 'x'.repeat(250_000) }));
  for (let time = 0; time < 3; time += 1) {
    await settledSoon();
    outgoing.onUp();
  }
  await settledSoon();
  assert.deepEqual(bodies, [1, 2, 3]);
  assert.deepEqual(done, ['sent c1']);
  assert.ok(outgoing.isEmpty);
});

test('what the broker refuses is given up, and what comes after it is said', async () => {
  const done: string[] = [];
  const outgoing = new Outgoing({
    sayElsewhere: async () => {},
    publish: async (body) => {
      if (readResult(Buffer.from(body)).id === 'c1') throw new AgentError('publish_refused', 'no');
    },
    onSent: ({ id }) => done.push(`sent ${id}`),
    onLost: ({ id }, why) => done.push(`lost ${id}: ${why}`),
  });
  await Promise.all([outgoing.send(said()), outgoing.send(said({ id: 'c2' }))]);
  assert.deepEqual(done, ['lost c1: no', 'sent c2']);
});

test('a broker that is away for ever does not fill the memory', async () => {
  const lost: string[] = [];
  const outgoing = new Outgoing({
    sayElsewhere: async () => {},
    publish: () => Promise.reject(new AgentError('not_connected', 'no link')),
    onSent: () => assert.fail('nothing can be sent'),
    onLost: ({ id }) => lost.push(id),
  });
  for (let index = 0; index < 1_030; index += 1) void outgoing.send(said({ id: `c${index}` }));
  await settledSoon();
  assert.deepEqual(lost, ['c1', 'c2', 'c3', 'c4', 'c5', 'c6']);
  outgoing.stop();
  assert.ok(outgoing.isEmpty);
});

test('nothing is said of a command after its last word waits to be said', async () => {
  const bodies: string[] = [];
  const outgoing = new Outgoing({
    sayElsewhere: async () => {},
    publish: async (body) => {
      if (bodies.length === 0) throw new AgentError('link_lost', 'lost');
      bodies.push(readResult(Buffer.from(body)).state);
    },
    onSent: () => {},
    onLost: () => {},
  });
  void outgoing.send(said());
  await outgoing.send(said({ state: 'IN_PROGRESS' }));
  await outgoing.send(said());
  bodies.push('up');
  outgoing.onUp();
  await settledSoon();
  assert.deepEqual(bodies, ['up', 'SUCCEEDED']);
});
