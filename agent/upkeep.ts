/**
 * What follows from the state alone, after every event: deadlines, memory given back, fates, loads, grants, idleness.
 * The order matters and is the one below.
 */
import { loadForWaiting, loadWanted, refuseWaiters } from './admission.ts';
import { blame } from './crashes.ts';
import type { Draft } from './draft.ts';
import {
  bytesReturning,
  chill,
  evict,
  isEvictable,
  mayPark,
  park,
  stopCell,
  stopEmptyCells,
  trimKept,
  unload,
} from './eviction.ts';
import { failures, loadingOf, mb } from './failures.ts';
import { isSense } from './language.ts';
import { forgetLessons, learn } from './lessons.ts';
import { prefetch } from './prefetch.ts';
import { overBudgetBytes, shortageBytes } from './pressure.ts';
import { probationEndsMs, prove } from './proving.ts';
import { recycleGrown } from './recycling.ts';
import { hasWaiter, isInMemory, leasesOn, oldestLease } from './residency.ts';
import { grantWaiting } from './routing.ts';
import { refuseOrReplace } from './stand-ins.ts';
import { nextTurnMs } from './turns.ts';
import type { Entry, Lease, Residency, State } from './types.ts';

const FATE_WORDS = {
  unload: 'asked for by hand',
  park: 'asked for by hand',
  discard: 'its weights are not what they were',
  remove: 'it is no longer wanted on this device',
  replace: 'another version takes its place',
} as const;

/** Least time after which a client that waited in vain should come back. */
const MIN_RETRY_MS = 1_000;

/** `looked`: the event is a look at the device. */
export function settle(draft: Draft, looked: boolean): void {
  endOverdueWork(draft);
  endOverdueLeases(draft);
  giveBack(draft, looked);
  if (looked && draft.state.pressure.level === 'high') chill(draft);
  meetFates(draft);
  grantWaiting(draft);
  serveWaiting(draft);
  // Whoever was refused may have held others back.
  if (refuseLateWaiters(draft)) serveWaiting(draft);
  if (prove(draft)) serveWaiting(draft);
  loadWanted(draft);
  learn(draft);
  unloadIdle(draft);
  if (looked) recycleGrown(draft);
  stopIdleCells(draft);
  prefetch(draft);
}

function serveWaiting(draft: Draft): void {
  loadForWaiting(draft);
  grantWaiting(draft);
}

/** A load or unload that is past its deadline ends with its cell: `create()` cannot be cancelled. */
function endOverdueWork(draft: Draft): void {
  const { nowMs } = draft.state;
  for (const entry of [...draft.state.experts.values()]) {
    const { residency } = entry;
    if (!isMoving(residency)) continue;
    const cell = draft.state.cells.get(residency.cell);
    if (nowMs < residency.deadlineMs || cell === undefined || cell.stopping) continue;
    // A load is blamed when its cell has ended, as any load that failed.
    if (residency.state !== 'loading')
      blame(draft, entry.expert.id, `its ${residency.state} did not end in time`);
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
    if (helpsWithTest(draft.state, lease)) {
      draft.putLease(lease.id, { deadlineMs: nowMs + settings.cancelGraceMs });
      continue;
    }
    if (lease.cancelled) {
      if (oldestLease(draft.state, cell.id)?.id !== lease.id) {
        // The cell works on another: this one cannot end before its turn.
        draft.putLease(lease.id, { deadlineMs: nowMs + settings.cancelGraceMs });
        continue;
      }
      blame(draft, lease.expert, 'it did not end when it was told to');
      stopCell(draft, cell, `a run of ${lease.expert} did not end`, true);
      continue;
    }
    cancelLease(draft, lease, nowMs + settings.cancelGraceMs);
    if (lease.request === null || !draft.state.requests.has(lease.request)) continue;
    const failure = failures.deadline(lease.expert, settings.runDeadlineMs[cell.lane]);
    refuseOrReplace(draft, lease.request, failure);
  }
}

/** The embedder is leased for a whole self-test, of which the deadline is the candidate's. */
function helpsWithTest({ leases }: State, { purpose, subject }: Lease): boolean {
  if (purpose !== 'test' || subject === null) return false;
  return [...leases.values()].some((other) => other.purpose === 'test' && other.expert === subject);
}

/** Asks a run to end; if it has not by `deadlineMs`, its cell is killed. */
export function cancelLease(draft: Draft, lease: Lease, deadlineMs: number): void {
  draft.steps.push({ type: 'cancel', lease: lease.id, cell: lease.cell });
  draft.putLease(lease.id, { cancelled: true, deadlineMs });
}

/**
 * Bytes over the budget, or missing on the device, are taken back in small steps: empty cells, then idle experts, those
 * that somebody waits for last. What the device lacks is known only right after a look: bytes that came back since
 * are in no sample yet, and must not be asked for twice.
 */
function giveBack(draft: Draft, looked: boolean): void {
  const owed = Math.max(overBudgetBytes(draft.state), looked ? shortageBytes(draft.state) : 0);
  const deficit = owed - bytesReturning(draft);
  if (deficit <= 0) return;
  const why = `${mb(deficit)} must be given back`;
  let left = deficit - stopEmptyCells(draft, null);
  // What is kept shows in what was measured, so only a look tells that it is needed.
  if (left > 0 && looked) left -= trimKept(draft, why);
  if (left > 0) left -= evict(draft, left, why, (victim) => !hasWaiter(draft.state, victim.expert.id));
  if (left > 0) left -= evict(draft, left, why);
  if (left > 0 && looked) {
    draft.because(
      `${mb(left)} should be given back and nothing can be evicted: no expert is loaded until it is`,
    );
  }
}

function meetFates(draft: Draft): void {
  for (const entry of [...draft.state.experts.values()]) {
    const { expert, fate, residency } = entry;
    if (fate === null) continue;
    if (fate.kind === 'remove') refuseWaiters(draft, expert.id, failures.removed(expert.id));
    if (fate.kind === 'park') {
      meetParking(draft, entry);
      continue;
    }
    if (isInMemory(entry) && leasesOn(draft.state, expert.id) === 0) {
      unload(draft, entry, FATE_WORDS[fate.kind]);
      continue;
    }
    if (residency.state !== 'absent' && residency.state !== 'quarantined') continue;
    if (fate.kind === 'unload' || fate.kind === 'discard') {
      draft.putEntry(expert.id, { fate: null });
      continue;
    }
    forgetLessons(draft, expert.id);
    if (fate.kind === 'remove') draft.dropEntry(expert.id);
    else draft.putEntry(expert.id, renewed(fate.by));
  }
}

/** Parks an expert as soon as it holds no lease; where that cannot be, it stays as it is, and that is said. */
function meetParking(draft: Draft, entry: Entry): void {
  const { expert, residency, parkFailure } = entry;
  if (residency.state === 'resident' && leasesOn(draft.state, expert.id) > 0) return;
  draft.putEntry(expert.id, { fate: null });
  if (residency.state !== 'resident') return;
  if (mayPark(draft.state, entry)) return park(draft, entry, FATE_WORDS.park);
  draft.because(
    `${expert.id} cannot be parked: ${parkFailure?.message ?? 'there is no way to do it for this expert'}`,
  );
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
    parkedBytes: null,
    parkFailure: null,
    coldBytes: 0,
    guessed: false,
  };
}

/** Requests whose wait is over: 503, with what is known of the time it will take. True if there were any. */
function refuseLateWaiters(draft: Draft): boolean {
  let refused = false;
  for (const request of [...draft.state.requests.values()]) {
    const { phase } = request;
    if (phase.name !== 'waiting' || draft.state.nowMs < request.waitUntilMs) continue;
    const loading = loadingOf(draft.state, phase.expert);
    const retryMs = Math.max(MIN_RETRY_MS, Math.ceil((loading.etaSeconds ?? 0) * 1000));
    const failure = failures.stillLoading(phase.expert, whyWaiting(draft.state, phase.expert));
    refuseOrReplace(draft, request.id, failure, retryMs, loading);
    refused = true;
  }
  return refused;
}

function whyWaiting(state: State, expert: string): string {
  const entry = state.experts.get(expert);
  if (entry === undefined) return 'it is not installed';
  if (entry.fate !== null) return FATE_WORDS[entry.fate.kind];
  if (entry.residency.state === 'loading') return 'it is still being loaded';
  if (entry.residency.state === 'resident') return 'its cell has no free place';
  if (entry.residency.state === 'parked') return 'it is parked, and waits for memory';
  if (entry.lastError !== null) return `its last load failed: ${entry.lastError.message}`;
  if (state.nowMs < entry.notBeforeMs) return 'it crashed, and is held back for a while';
  return 'it waits for memory, or for a cell that is busy';
}

function unloadIdle(draft: Draft): void {
  const { nowMs } = draft.state;
  for (const entry of draft.state.experts.values()) {
    if (!isEvictable(draft, entry) || !mayIdle(draft.state, entry)) continue;
    if (nowMs < idleAtMs(entry, idleMsOf(draft.state, entry))) continue;
    const why = `unused for ${Math.round((nowMs - idleAtMs(entry, 0)) / 1000)} s`;
    // Whoever wants nothing kept means all of it.
    if (entry.keepAliveMs !== 0 && mayPark(draft.state, entry)) park(draft, entry, why);
    else unload(draft, entry, why);
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
  const { residency } = entry;
  const since = residency.state === 'resident' || residency.state === 'parked' ? residency.sinceMs : 0;
  return Math.max(entry.lastUsedMs, since) + idleMs;
}

/** How long it may idle. A client's word counts until the next client's. */
function idleMsOf({ settings }: State, { keepAliveMs }: Entry): number {
  if (keepAliveMs !== null) return keepAliveMs < 0 ? Number.POSITIVE_INFINITY : keepAliveMs;
  return settings.idleMs === 0 ? Number.POSITIVE_INFINITY : settings.idleMs;
}

/** When something becomes due without any event: the loop sends a `tick` then. Infinity: never. */
export function nextDueMs(state: State): number {
  let due = Number.POSITIVE_INFINITY;
  const consider = (atMs: number): void => {
    if (atMs < due) due = atMs;
  };
  // What happens in a cell that is ending is over when its exit is reported; time alone brings nothing there.
  const ends = (cell: string): boolean => state.cells.get(cell)?.stopping !== false;
  if (state.restUntilMs > state.nowMs) consider(state.restUntilMs);
  for (const request of state.requests.values())
    if (request.phase.name === 'waiting') consider(request.waitUntilMs);
  consider(nextTurnMs(state));
  consider(probationEndsMs(state));
  for (const lease of state.leases.values()) if (!ends(lease.cell)) consider(lease.deadlineMs);
  for (const entry of state.experts.values()) {
    const { residency, notBeforeMs } = entry;
    if (residency.state === 'absent' && notBeforeMs > state.nowMs) consider(notBeforeMs);
    if (isMoving(residency) && !ends(residency.cell)) consider(residency.deadlineMs);
    const rests = residency.state === 'resident' || residency.state === 'parked';
    if (rests && !ends(residency.cell) && mayIdle(state, entry)) {
      consider(idleAtMs(entry, idleMsOf(state, entry)));
    }
  }
  for (const cell of state.cells.values()) {
    if (cell.emptySinceMs !== null && !cell.stopping) consider(cell.emptySinceMs + state.settings.cellIdleMs);
  }
  return due;
}

/** When an expert in memory is parked or unloaded if nobody asks for it again; null: never, or it is not resident. */
export function idleUntilMs(state: State, entry: Entry): number | null {
  if (!isInMemory(entry) || !mayIdle(state, entry)) return null;
  return idleAtMs(entry, idleMsOf(state, entry));
}

/** True for what has begun and must end in time. */
function isMoving(residency: Residency): residency is Extract<Residency, { deadlineMs: number }> {
  return 'deadlineMs' in residency;
}

/** True for an expert in memory that idleness alone would park or unload. */
function mayIdle(state: State, entry: Entry): boolean {
  const { expert } = entry;
  if (idleMsOf(state, entry) === Number.POSITIVE_INFINITY || expert.pinned || isSense(state, expert.id))
    return false;
  return leasesOn(state, expert.id) === 0 && !hasWaiter(state, expert.id);
}
