/** Reads a portion of the outbox in which every number is accounted for, whatever the file holds. */
import type { Portion, Span, Tombstone } from '../../outbox.ts';
import { bytesOf, type OutboxTable, type StoredRow } from './table.ts';

/**
 * The beginning of `span`, up to `maxBytes` of records and at least one. `kept` is what has not been acknowledged: what
 * lies before it is gone for good. A number that has neither row nor tombstone was damaged.
 */
export function collect(
  table: OutboxTable,
  span: Span,
  kept: { readonly first: number; readonly last: number },
  maxBytes: number,
): Portion | null {
  const { epoch, first } = span;
  if (span.last < first) return null;
  const gone = Math.min(span.last, kept.first - 1);
  const begin = Math.max(first, kept.first);
  const { rows: found, last } = take(table, { epoch, first: begin, last: span.last }, maxBytes);
  const rows = found.filter(isWhole);
  const stored = begin > span.last ? [] : table.tombstones(epoch, begin, last);
  const known = gone < first ? stored : [stone(first, gone, 'not_kept'), ...stored];
  return {
    epoch,
    first,
    last,
    records: rows.map(({ body }) => body),
    tombstones: accounted(first, last, rows, known),
  };
}

function take(
  table: OutboxTable,
  { epoch, first, last }: Span,
  maxBytes: number,
): { readonly rows: readonly StoredRow[]; readonly last: number } {
  const rows: StoredRow[] = [];
  if (first > last) return { rows, last };
  let bytes = 0;
  for (const row of table.rows(epoch, first, last)) {
    bytes += bytesOf(row.body);
    const previous = rows.at(-1);
    if (previous !== undefined && bytes > maxBytes) return { rows, last: previous.seq };
    rows.push(row);
  }
  return { rows, last };
}

/** A receiver refuses a whole batch for one text that is broken, and would for ever. */
function isWhole({ seq, body }: StoredRow): boolean {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null && 'seq' in value && value.seq === seq;
  } catch {
    return false;
  }
}

/** Tombstones where there are no rows: those that are known, and new ones for what nobody knows of. */
function accounted(
  first: number,
  last: number,
  rows: readonly StoredRow[],
  known: readonly Tombstone[],
): readonly Tombstone[] {
  const pieces = [...rows.map(({ seq }) => ({ from: seq, to: seq, stone: null as Tombstone | null }))];
  for (const one of known) pieces.push({ from: one.from, to: one.to, stone: one });
  pieces.sort((a, b) => a.from - b.from);
  const result: Tombstone[] = [];
  let next = first;
  for (const { from, to, stone: found } of pieces) {
    if (from > next) result.push(stone(next, from - 1, 'unreadable'));
    // A row within a tombstone counts: what is there is not missing.
    if (found !== null && to >= next) result.push(clipped(found, Math.max(from, next)));
    next = Math.max(next, to + 1);
  }
  if (next <= last) result.push(stone(next, last, 'unreadable'));
  return result;
}

function clipped(one: Tombstone, from: number): Tombstone {
  return { ...one, from, count: one.count === null ? null : one.to - from + 1 };
}

function stone(from: number, to: number, reason: string): Tombstone {
  return { from, to, reason, count: to - from + 1 };
}
