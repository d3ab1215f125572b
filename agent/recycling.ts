/**
 * A cell that rests and holds far more than its experts are known to take has grown by what runs and loads left behind:
 * allocators keep it. It ends, and what was in it comes back when it is asked for.
 */
import type { Draft } from './draft.ts';
import { stopCell } from './eviction.ts';
import { mb } from './failures.ts';
import { cellCharge, entriesIn, hasWaiter, heldBytes, isInMemory, leasesIn } from './residency.ts';
import type { Cell, State } from './types.ts';

/** Growth beyond this share of what is known, and at least so many bytes, is worth loading everything anew. */
const GROWTH_SHARE = 0.5;
const LEAST_GROWTH_BYTES = 64 * 1_048_576;
/** A cell that grows again at each use costs one load in this time, and not one a request. */
const REST_MS = 60_000;

export function recycleGrown(draft: Draft): void {
  for (const cell of [...draft.state.cells.values()]) {
    if (!isAtRest(draft.state, cell)) continue;
    const knownBytes = heldBytes(draft.state, cell.id);
    // Pages of files are weights that were looked at since the load, and the kernel may drop them: a new load gains nothing.
    const grownBytes = cell.measuredBytes - (cell.fileBytes ?? 0) - knownBytes;
    if (grownBytes <= Math.max(LEAST_GROWTH_BYTES, knownBytes * GROWTH_SHARE)) continue;
    stopCell(
      draft,
      cell,
      `it rests and has grown by ${mb(grownBytes)} to ${mb(cellCharge(draft.state, cell))}`,
      false,
    );
  }
}

function isAtRest(state: State, cell: Cell): boolean {
  if (cell.stopping || leasesIn(state, cell.id) > 0) return false;
  const entries = entriesIn(state, cell.id);
  return (
    entries.length > 0 &&
    entries.every(
      (entry) =>
        isInMemory(entry) &&
        !hasWaiter(state, entry.expert.id) &&
        state.nowMs - entry.lastUsedMs >= REST_MS &&
        sinceMs(entry) <= state.nowMs - REST_MS,
    )
  );
}

function sinceMs({ residency }: ReturnType<typeof entriesIn>[number]): number {
  return 'sinceMs' in residency ? residency.sinceMs : 0;
}
