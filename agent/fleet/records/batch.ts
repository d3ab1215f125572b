/**
 * A portion of the outbox as it goes over the wire, and back: gzip of
 * `{v: 1, epoch, first, last, recs: [...], tombstones?: [{from, to, reason, count}]}`.
 *
 * A batch accounts for each of its numbers, by a record or by a tombstone; one that does not is refused whole. So a
 * receiver need not look at records to know what it has: spans are enough.
 */
import { promisify } from 'node:util';
import { gunzipSync, gzip } from 'node:zlib';
import type { ReceivedBatch, ReceivedRecord } from '../../archive.ts';
import { AgentError } from '../../errors.ts';
import type { Portion, Tombstone } from '../../outbox.ts';
import { readRecords } from '../documents/shapes.ts';

const compress = promisify(gzip);

export const batchVersion = 1;
/** What any broker takes (AWS IoT Core: 128 KB), with room for what it puts around. */
export const maxBatchBytes = 100_000;
/** Unpacked: forty times as much as a sender puts into one, so that a later one may put in more. */
const maxTextBytes = 4_194_304;
const maxDepth = 12;
const maxReasonChars = 256;

/** The records are JSON already: they are put in as they are. */
export function encodeBatch({ epoch, first, last, records, tombstones }: Portion): Promise<Uint8Array> {
  const head = `{"v":${batchVersion},"epoch":${epoch},"first":${first},"last":${last}`;
  const stones = tombstones.length === 0 ? '' : `,"tombstones":${JSON.stringify(tombstones)}`;
  return compress(`${head},"recs":[${records.join(',')}]${stones}}`);
}

/** Throws an AgentError (of Refused's codes, or `bad_batch`) for whatever `encodeBatch` does not write. */
export function decodeBatch(payload: Uint8Array): ReceivedBatch {
  const text = unpack(payload);
  const { v, epoch, first, last, recs, ...rest } = readRecords(text, { maxBytes: maxTextBytes, maxDepth });
  if (v !== batchVersion) throw bad(`it has version ${v}`);
  if (first < 1) throw bad('its first number is less than 1');
  const records = recs.map(toRecord);
  const tombstones = toTombstones('tombstones' in rest ? rest.tombstones : undefined);
  requireAll(first, last, records, tombstones);
  return { epoch, first, last, records, tombstones };
}

function unpack(payload: Uint8Array): Uint8Array {
  if (payload.byteLength > 131_072) throw bad('it is larger than 128 KB');
  try {
    return gunzipSync(payload, { maxOutputLength: maxTextBytes });
  } catch (cause) {
    throw bad('it is not gzip, or unpacks to too much', cause);
  }
}

function toRecord(value: unknown): ReceivedRecord {
  if (!isObject(value)) throw bad('a record is no object');
  const { seq } = value;
  if (!isNumberOf(seq)) throw bad('a record has no number');
  return { seq, value };
}

function toTombstones(value: unknown): readonly Tombstone[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw bad('its tombstones are no list');
  return value.map((one: unknown) => {
    if (!isObject(one)) throw bad('a tombstone is no object');
    const { from, to, reason, count } = one;
    if (!isNumberOf(from) || !isNumberOf(to) || from > to) throw bad('a tombstone has no numbers');
    if (typeof reason !== 'string' || reason === '' || reason.length > maxReasonChars)
      throw bad('a tombstone has no reason');
    if (count !== null && !(isNumberOf(count) && count <= to - from + 1))
      throw bad('a tombstone counts more than it covers');
    return { from, to, reason, count };
  });
}

/** Every number from first to last is there, and no other. */
function requireAll(
  first: number,
  last: number,
  records: readonly ReceivedRecord[],
  tombstones: readonly Tombstone[],
): void {
  const pieces = [...records.map(({ seq }) => ({ from: seq, to: seq })), ...tombstones];
  pieces.sort((a, b) => a.from - b.from);
  let next = first;
  for (const { from, to } of pieces) {
    if (from < first || to > last) throw bad('it holds numbers outside of what it says');
    if (from > next) throw bad(`it has nothing for number ${next}`);
    next = Math.max(next, to + 1);
  }
  if (next <= last) throw bad(`it has nothing for number ${next}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNumberOf(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 1;
}

function bad(why: string, cause?: unknown): AgentError {
  return new AgentError('bad_batch', `The batch is refused: ${why}.`, cause === undefined ? {} : { cause });
}
