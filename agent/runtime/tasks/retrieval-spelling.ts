/**
 * Which word of an index was meant by one that is not in it. Scans all words: no table beside the index, and a
 * misspelling is rare enough for 2 ms.
 */
import type { RetrievalIndex } from './retrieval-index.ts';

const MIN_CHARS = 5;
const TWO_EDITS_FROM_CHARS = 8;
const MAX_CHARS = 40;

/** Number of the nearest word that has postings, within 1 edit (2 from 8 characters); -1 if none is near. */
export function nearestWord(index: RetrievalIndex, stem: string): number {
  const wanted = Buffer.from(stem);
  if (wanted.length < MIN_CHARS || wanted.length > MAX_CHARS || /[0-9]/.test(stem)) return -1;
  let limit = wanted.length < TWO_EDITS_FROM_CHARS ? 1 : 2;
  let best = -1;
  let bestPostings = 0;
  for (let word = 0; word < index.wordCount; word += 1) {
    const postings = (index.postingOffsets[word + 1] ?? 0) - (index.postingOffsets[word] ?? 0);
    const start = index.wordOffsets[word] ?? 0;
    const end = index.wordOffsets[word + 1] ?? start;
    if (postings === 0 || Math.abs(end - start - wanted.length) > limit) continue;
    const edits = editDistance(wanted, index.wordBytes.subarray(start, end), limit);
    if (edits < limit || (edits === limit && postings > bestPostings)) {
      limit = edits;
      best = word;
      bestPostings = postings;
    }
  }
  return best;
}

/**
 * Optimal string alignment: insertions, deletions, replacements, swaps of neighbours (Damerau, CACM 7(3), 1964).
 * Stops early with `limit + 1` once no cheaper way is left. At most 254 bytes a side.
 */
export function editDistance(left: Uint8Array, right: Uint8Array, limit: number): number {
  let [beforeLast, last, current] = ROWS;
  for (let column = 0; column <= right.length; column += 1) last[column] = column;
  for (let row = 1; row <= left.length; row += 1) {
    let least = row;
    current[0] = row;
    for (let column = 1; column <= right.length; column += 1) {
      const cost = cell({ left, right, row, column }, { beforeLast, last, current });
      current[column] = cost;
      if (cost < least) least = cost;
    }
    if (least > limit) return limit + 1;
    [beforeLast, last, current] = [last, current, beforeLast];
  }
  return last[right.length] ?? limit + 1;
}

type Row = Uint8Array;
/** Scratch space: this runs thousands of times a scan, never at once. */
const ROWS: readonly [Row, Row, Row] = [new Uint8Array(256), new Uint8Array(256), new Uint8Array(256)];

function cell(
  { left, right, row, column }: { left: Uint8Array; right: Uint8Array; row: number; column: number },
  { beforeLast, last, current }: { beforeLast: Row; last: Row; current: Row },
): number {
  const isEqual = left[row - 1] === right[column - 1];
  const replaced = (last[column - 1] ?? 0) + (isEqual ? 0 : 1);
  const cost = Math.min((last[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, replaced);
  const isSwap =
    row > 1 && column > 1 && left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
  return isSwap ? Math.min(cost, (beforeLast[column - 2] ?? 0) + 1) : cost;
}
