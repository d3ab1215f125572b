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
 * Stops early with `limit + 1` once no cheaper way is left.
 */
export function editDistance(left: Uint8Array, right: Uint8Array, limit: number): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    let least = row;
    for (let column = 1; column <= right.length; column += 1) {
      const isEqual = left[row - 1] === right[column - 1];
      let cost = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isEqual ? 0 : 1),
      );
      const isSwap = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (row > 1 && column > 1 && isSwap) cost = Math.min(cost, (beforeLast[column - 2] ?? 0) + 1);
      current.push(cost);
      least = Math.min(least, cost);
    }
    if (least > limit) return limit + 1;
    beforeLast = last;
    last = current;
  }
  return last[right.length] ?? limit + 1;
}
