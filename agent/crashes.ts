/**
 * Crashes and failed loads: back-off that doubles, quarantine after too many within a window. Quarantine lasts until
 * somebody clears it or a new version comes, so a bad model cannot keep a device busy.
 */
import { refuseWaiters } from './admission.ts';
import type { Draft } from './draft.ts';
import { failures, mb } from './failures.ts';
import { footprintBytes, leastBudgetBesidePinned, loadNeedBytes, pinnedEntries } from './residency.ts';
import type { Entry, ExpertId, Failure } from './types.ts';

const MARGIN_SHARE = 0.25;
const LEAST_MARGIN_BYTES = 16 * 1_048_576;

/** Counts a crash against an expert; one too many puts it in quarantine. */
export function blame(draft: Draft, expert: ExpertId, what: string): void {
  const entry = draft.entry(expert);
  if (entry === undefined) return;
  const { nowMs, settings } = draft.state;
  const crashesMs = [...entry.crashesMs.filter((atMs) => nowMs - atMs < settings.crashWindowMs), nowMs];
  const delayMs = settings.backoffMs * 2 ** (crashesMs.length - 1);
  draft.putEntry(expert, { crashesMs, notBeforeMs: nowMs + delayMs });
  draft.because(`${expert}: ${what}; ${crashesMs.length} of ${settings.crashLimit} before quarantine`);
}

/**
 * The kernel killed its cell for want of memory: more is reserved for it than was measured from now on, though never so
 * much that it could not be loaded at all: what others took is no reason to refuse it for good.
 */
export function raiseEstimate(draft: Draft, expert: ExpertId): void {
  const entry = draft.entry(expert);
  if (entry === undefined) return;
  const { state } = draft;
  const bytes = Math.max(LEAST_MARGIN_BYTES, footprintBytes(entry.expert) * MARGIN_SHARE);
  const bare = { ...entry.expert, marginBytes: 0 };
  const besideBytes = leastBudgetBesidePinned(state, bare, pinnedEntries(state)) - loadNeedBytes(bare);
  const roomBytes = Math.max(0, state.settings.budgetBytes - besideBytes - footprintBytes(bare));
  const marginBytes = Math.min(entry.expert.marginBytes + Math.ceil(bytes), roomBytes);
  draft.putEntry(expert, { expert: { ...entry.expert, marginBytes } });
  draft.because(
    `${expert} is taken to need ${mb(marginBytes)} more than was measured: the kernel killed its cell`,
  );
}

/** It leaves memory in good order: half of what is reserved beyond what was measured is not needed any more. */
export function lowerEstimate(draft: Draft, { expert }: Entry): void {
  if (expert.marginBytes === 0) return;
  const half = Math.floor(expert.marginBytes / 2);
  const marginBytes = half <= LEAST_MARGIN_BYTES ? 0 : half;
  draft.putEntry(expert.id, { expert: { ...expert, marginBytes } });
}

/** True once an expert has crashed too often to be loaded again. */
export function isWornOut(draft: Draft, expert: ExpertId): boolean {
  const entry = draft.entry(expert);
  return entry !== undefined && entry.crashesMs.length >= draft.state.settings.crashLimit;
}

/** Takes an expert that is in no cell out of service and answers those who wait for it. */
export function quarantine(draft: Draft, expert: ExpertId, error: Failure): void {
  const { nowMs } = draft.state;
  draft.putEntry(expert, {
    residency: { state: 'quarantined', reason: error.message, sinceMs: nowMs },
    lastError: error,
  });
  draft.because(`${expert} goes to quarantine: ${error.message}`);
  refuseWaiters(draft, expert, failures.loadFailed(expert, error));
}
