import { gzipSync } from 'node:zlib';
import type { Portion } from '../../../agent/outbox.ts';

/** As `encodeBatch`, without threads: it is done when a test goes on. */
export function encodeAtOnce({ epoch, first, last, records, tombstones }: Portion): Promise<Uint8Array> {
  const recs = records.map((text): unknown => JSON.parse(text));
  const text = JSON.stringify({ v: 1, epoch, first, last, recs, tombstones });
  return Promise.resolve(gzipSync(text, { level: 1 }));
}
