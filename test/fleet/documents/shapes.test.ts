import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  readAck,
  readCollectorStatus,
  readHello,
  readRecords,
  readReported,
  readResult,
  readStatus,
} from '../../../agent/fleet/documents/shapes.ts';

const payload = (value: unknown) => Buffer.from(JSON.stringify(value));
const BIRTH = {
  online: true,
  bd: 3,
  boot: 'b',
  epoch: 7,
  head: 12,
  agent: '0.1.0',
  schema: 1,
  caps: ['park'],
};
const REPORTED = {
  gen_seen: 2,
  gen_applied: 1,
  phase: 'DOWNLOADING',
  conditions: [{ type: 'Ready', status: 'false', reason: 'Fetching', message: '', sinceMs: 1 }],
  experts: [{ id: 'medical', version: '1.0.0', digest: null, state: 'resident', phase: null }],
  disk: { freeBytes: null, totalBytes: 10 },
  clock: 'synced',
};
const RESULT = { id: 'c1', part: 1, parts: 1, state: 'SUCCEEDED', reason: null, detail: null };
const RECORDS = { v: 1, epoch: 1, first: 1, last: 2, recs: [{}, {}] };

const READERS = [
  [readStatus, BIRTH],
  [readStatus, { online: false, bd: 3 }],
  [readReported, REPORTED],
  [readResult, RESULT],
  [readRecords, RECORDS],
  [readAck, { epoch: 1, hw: 9, missing: [[11, 12]] }],
  [readCollectorStatus, { online: true }],
  [readHello, { device: 'd', bd: 1, epoch: null }],
] as const;

test('what is known must be right, and what is not known is let through', () => {
  for (const [read, value] of READERS) {
    assert.deepEqual(read(payload(value)), value);
    const newer = { ...value, of_a_later_version: [1] };
    assert.deepEqual(read(payload(newer)), newer);
    for (const field of Object.keys(value)) {
      const { [field]: _, ...without } = value as Record<string, unknown>;
      assert.throws(() => read(payload(without)), { reason: 'bad_shape' }, field);
      const wrong = { ...value, [field]: { not: 'this' } };
      assert.throws(() => read(payload(wrong)), { reason: 'bad_shape' }, field);
    }
  }
});

test('numbers that contradict each other', () => {
  const bad = { reason: 'bad_shape' };
  assert.throws(() => readAck(payload({ epoch: 1, hw: 9, missing: [[12, 11]] })), bad);
  assert.throws(() => readAck(payload({ epoch: 1, hw: 9, missing: [[12]] })), bad);
  assert.throws(() => readAck(payload({ epoch: 1, hw: -1, missing: [] })), bad);
  assert.throws(() => readResult(payload({ ...RESULT, part: 2 })), bad);
  assert.throws(() => readRecords(payload({ ...RECORDS, first: 3 })), bad);
});
