/**
 * What follows from the state alone, after every event: deadlines, memory given back, fates, loads, grants, idleness.
 * The order matters and is the one below.
 */
import {
  bytesReturning,
  evict,
  isEvictable,
  loadForWaiting,
  loadWanted,
  refuseWaiters,
  stopCell,
  stopEmptyCells,
  unload,
} from './admission.ts';
import { blame } from './crashes.ts';
import type { Draft } from './draft.ts';
import { failures, loadingOf, mb } from './failures.ts';
import { deficitBytes } from './pressure.ts';
import { hasWaiter, leasesOn } from './residency.ts';
import { grantWaiting, lend } from './routing.ts';
import type { Entry, Lease, State } from './types.ts';

const FATE_WORDS = {
  unload: 'asked for by hand',
  remove: 'it is no longer wanted on this device',
  replace: 'another version takes its place',
} as const;

/** Least time after which a client that waited in vain should come back. */
const MIN_RETRY_MS = 1_000;

export function settle(draft: Draft): void {
  endOverdueWork(draft);
  endOverdueLeases(draft);
  giveBack(draft);
  meetFates(draft);
  grantWaiting(draft);
  loadForWaiting(draft);
  grantWaiting(draft);
  refuseLateWaiters(draft);
  loadWanted(draft);
  learn(draft);
  unloadIdle(draft);
  stopIdleCells(draft);
}

/** A load or unload that is past its deadline ends with its cell: `create()` cannot be cancelled. */
function endOverdueWork(draft: Draft): void {
  const { nowMs } = draft.state;
  for (const entry of [...draft.state.experts.values()]) {
    const { residency } = entry;
    if (residency.state !== 'loading' && residency.state !== 'unloading') continue;
    const cell = draft.state.cells.get(residency.cell);
    if (nowMs < residency.deadlineMs || cell === undefined || cell.stopping) continue;
    blame(draft, entry.expert.id, `${residency.state} took longer than its deadline`);
    stopCell(draft, cell, `${entry.expert.id} is ${residency.state} past its deadline`, true);
  }
}

/** First the client is told and the run asked to end; a run that goes on ends with its cell. */
function endOverdueLeases(draft: Draft): void {
  const { nowMs, settings } = draft.state;
  for (const lease of [...draft.state.leases.values()]) {
    if (nowMs < lease.deadlineMs) continue;
    const cell = draft.state.cells.get(lease.cell);
    if (cell === undefined || cell.stopping) continue;
    if (lease.cancelled) {
      blame(draft, lease.expert, 'it did not end when it was told to');
      stopCell(draft, cell, `a run of ${lease.expert} did not end`, true);
      continue;
    }
    cancelLease(draft, lease);
    if (lease.request === null || !draft.state.requests.has(lease.request)) continue;
    draft.reject(lease.request, failures.deadline(lease.expert, settings.runDeadlineMs[cell.lane]));
  }
}

/** Asks a run to end; if it does not within the grace, its cell is killed. */
export function cancelLease(draft: Draft, lease: Lease): void {
  const { nowMs, settings } = draft.state;
  draft.steps.push({ type: 'cancel', lease: lease.id, cell: lease.cell });
  draft.putLease(lease.id, { cancelled: true, deadlineMs: nowMs + settings.cancelGraceMs });
}

/** Bytes over the budget, or missing on the device, are taken back in small steps: empty cells, then idle experts. */
function giveBack(draft: Draft): void {
  const deficit = deficitBytes(draft.state) - bytesReturning(draft);
  if (deficit <= 0) return;
  const left = deficit - stopEmptyCells(draft, null);
  if (left <= 0) return;
  if (evict(draft, left, `${mb(deficit)} must be given back`) === 0) {
    draft.because(
      `${mb(left)} should be given back and nothing can be evicted: no expert is loaded until it is`,
    );
  }
}

function meetFates(draft: Draft): void {
  for (const entry of [...draft.state.experts.values()]) {
    const { expert, fate, residency } = entry;
    if (fate === null) continue;
    if (fate.kind === 'remove')
      refuseWaiters(draft, expert.id, () => ({ failure: failures.removed(expert.id), retryAfterMs: null }));
    if (residency.state === 'resident' && leasesOn(draft.state, expert.id) === 0) {
      unload(draft, entry, FATE_WORDS[fate.kind]);
      continue;
    }
    if (residency.state !== 'absent' && residency.state !== 'quarantined') continue;
    if (fate.kind === 'remove') draft.dropEntry(expert.id);
    else if (fate.kind === 'replace') draft.putEntry(expert.id, renewed(fate.by));
    else draft.putEntry(expert.id, { fate: null });
  }
}

/** What a new version of an expert starts with: no history of the old one counts against it. */
function renewed(expert: Entry['expert']): Partial<Entry> {
  return {
    expert,
    fate: null,
    residency: { state: 'absent' },
    crashesMs: [],
    notBeforeMs: 0,
    lastError: null,
  };
}

/** Requests whose wait is over: 503, with what is known of the time it will take. */
function refuseLateWaiters(draft: Draft): void {
  for (const request of [...draft.state.requests.values()]) {
    const { phase } = request;
    if (phase.name !== 'waiting' || draft.state.nowMs < request.waitUntilMs) continue;
    const loading = loadingOf(draft.state, phase.expert);
    const retryMs = Math.max(MIN_RETRY_MS, Math.ceil((loading.etaSeconds ?? 0) * 1000));
    draft.reject(
      request.id,
      failures.stillLoading(phase.expert, whyWaiting(draft.state, phase.expert)),
      retryMs,
      loading,
    );
  }
}

function whyWaiting(state: State, expert: string): string {
  const entry = state.experts.get(expert);
  if (entry === undefined) return 'it is not installed';
  if (entry.residency.state === 'loading') return 'it is still being loaded';
  if (entry.residency.state === 'resident') return 'its cell has no free place';
  if (entry.lastError !== null) return `its last load failed: ${entry.lastError.message}`;
  return 'no memory could be freed for it';
}

/** The router learns an expert's examples when the embedder has nothing else to do. */
function learn(draft: Draft): void {
  const { embedder } = draft.state.settings;
  if (embedder === null || draft.state.requests.size > 0) return;
  for (const lease of draft.state.leases.values()) if (lease.purpose === 'learn') return;
  for (const { expert, residency } of draft.state.experts.values()) {
    if (expert.routing.prototypes !== null || residency.state === 'quarantined') continue;
    const lease = lend(draft, embedder, 'learn', null, expert.id);
    if (lease === null) return;
    draft.steps.push({
      type: 'learn',
      subject: expert.id,
      lease: lease.id,
      expert: embedder,
      cell: lease.cell,
    });
    draft.because(`the router learns the examples of ${expert.id}`);
    return;
  }
}

function unloadIdle(draft: Draft): void {
  const { nowMs, settings } = draft.state;
  for (const entry of draft.state.experts.values()) {
    if (!isEvictable(draft, entry) || !mayIdle(draft.state, entry)) continue;
    if (nowMs < idleAtMs(entry, settings.idleMs)) continue;
    unload(draft, entry, `unused for ${Math.round((nowMs - idleAtMs(entry, 0)) / 1000)} s`);
  }
}

function stopIdleCells(draft: Draft): void {
  const { nowMs, settings } = draft.state;
  for (const cell of [...draft.state.cells.values()]) {
    if (cell.stopping || cell.emptySinceMs === null || nowMs < cell.emptySinceMs + settings.cellIdleMs)
      continue;
    stopCell(draft, cell, 'it hosted nothing for a while', false);
  }
}

function idleAtMs(entry: Entry, idleMs: number): number {
  const since = entry.residency.state === 'resident' ? entry.residency.sinceMs : 0;
  return Math.max(entry.lastUsedMs, since) + idleMs;
}

/** When something becomes due without any event: the loop sends a `tick` then. Infinity: never. */
export function nextDueMs(state: State): number {
  let due = Number.POSITIVE_INFINITY;
  const consider = (atMs: number): void => {
    if (atMs < due) due = atMs;
  };
  // What happens in a cell that is ending is over when its exit is reported; time alone brings nothing there.
  const ends = (cell: string): boolean => state.cells.get(cell)?.stopping !== false;
  for (const request of state.requests.values())
    if (request.phase.name === 'waiting') consider(request.waitUntilMs);
  for (const lease of state.leases.values()) if (!ends(lease.cell)) consider(lease.deadlineMs);
  for (const entry of state.experts.values()) {
    const { residency, notBeforeMs } = entry;
    if (residency.state === 'absent' && notBeforeMs > state.nowMs) consider(notBeforeMs);
    const works = residency.state === 'loading' || residency.state === 'unloading';
    if (works && !ends(residency.cell)) consider(residency.deadlineMs);
    if (residency.state === 'resident' && !ends(residency.cell) && mayIdle(state, entry)) {
      consider(idleAtMs(entry, state.settings.idleMs));
    }
  }
  for (const cell of state.cells.values()) {
    if (cell.emptySinceMs !== null && !cell.stopping) consider(cell.emptySinceMs + state.settings.cellIdleMs);
  }
  return due;
}

/** True for a resident expert that idleness alone would unload. */
function mayIdle(state: State, { expert }: Entry): boolean {
  if (state.settings.idleMs === 0 || expert.pinned || expert.id === state.settings.embedder) return false;
  return leasesOn(state, expert.id) === 0 && !hasWaiter(state, expert.id);
}
