/** What happens to experts in cells: loads, unloads, and the end of a process. One function an event. */
import { blame, isWornOut, lowerEstimate, quarantine, raiseEstimate } from './crashes.ts';
import type { Draft } from './draft.ts';
import type { Event, ParkedWeights } from './events.ts';
import { noteEmpty, stopCell } from './eviction.ts';
import { failures, mb } from './failures.ts';
import { noteWaste } from './guesses.ts';
import {
  cellOf,
  entriesIn,
  heldBytes,
  isInMemory,
  isLoadingIn,
  oldestLease,
  profileOf,
} from './residency.ts';
import { refuseOrReplace, returned } from './stand-ins.ts';
import type { Cell, Entry, Failure, Lease } from './types.ts';

type Of<T extends Event['type']> = Extract<Event, { type: T }>;

/** After an idle cell was killed, and where the disk is full, loads rest this many times the shortest back-off. */
const REST_FACTOR = 10;
/** The code of a load that was not begun: how often a candidate was tried cannot be kept. */
const NOT_KEPT = 'not_kept';
/** Parking that leaves more than this share of the weights in memory is of no use. */
const MOST_STAYING = 0.6;

/** The entry, if it is in that state in that cell; an event about anything else is late and says nothing. */
function inState(draft: Draft, id: string, cell: string, state: Entry['residency']['state']): Entry | null {
  const entry = draft.entry(id);
  return entry !== undefined && entry.residency.state === state && cellOf(entry) === cell ? entry : null;
}

export function loaded(draft: Draft, event: Of<'loaded'>): void {
  const entry = inState(draft, event.expert, event.cell, 'loading');
  const cell = draft.state.cells.get(event.cell);
  if (entry === null || cell === undefined) return;
  const { report } = event;
  // Only the first load in a cell shows what it costs bare: later ones may find what unloads left behind.
  if (cell.measuredBytes === 0 && report.beforeBytes !== null)
    draft.putCell(cell.id, { baseBytes: report.beforeBytes });
  const memory = profileOf(entry.expert, report, heldBytes(draft.state, cell.id));
  if (report.afterBytes !== null) draft.putCell(cell.id, { measuredBytes: report.afterBytes });
  draft.putEntry(event.expert, {
    expert: { ...entry.expert, memory },
    residency: { state: 'resident', cell: cell.id, sinceMs: draft.state.nowMs },
    lastError: null,
    keptBytes: 0,
    coldBytes: 0,
    // A full disk may have room again, and a file that was changed was read anew.
    parkFailure: entry.parkFailure?.retryable === true ? null : entry.parkFailure,
    // What the last client wanted was about what he had in memory.
    keepAliveMs: null,
  });
  draft.because(
    `${event.expert} is in ${cell.id}: ${mb(memory.residentBytes)}, ${Math.round(report.loadMs)} ms`,
  );
}

export function loadFailed(draft: Draft, event: Of<'loadFailed'>): void {
  const entry = inState(draft, event.expert, event.cell, 'loading');
  if (entry === null) return;
  noteWaste(draft, entry);
  draft.putEntry(event.expert, { residency: { state: 'absent' } });
  noteEmpty(draft, event.cell);
  failedToLoad(draft, event.expert, event.error);
}

function failedToLoad(draft: Draft, expert: string, error: Failure): void {
  draft.putEntry(expert, { lastError: error });
  if (!error.retryable) return quarantine(draft, expert, error);
  const isItsFault = error.code !== NOT_KEPT;
  if (isItsFault) blame(draft, expert, `its load failed: ${error.message}`);
  else holdBack(draft, expert, error.message);
  if (isWornOut(draft, expert)) return quarantine(draft, expert, error);
  // Waiters stay for one more try; whoever has had it is told, and a candidate's go to the version before it.
  for (const waiter of [...draft.state.requests.values()]) {
    if (waiter.phase.name !== 'waiting' || waiter.phase.expert !== expert) continue;
    if (waiter.phase.purpose === 'embed') continue;
    if (!isItsFault && returned(draft, waiter.id, error, false)) continue;
    if (waiter.attempt > 0 || waiter.insteadOf !== null)
      refuseOrReplace(draft, waiter.id, failures.loadFailed(expert, error), 1_000);
    else draft.putRequest(waiter.id, { attempt: 1 });
  }
}

/** Nobody is to blame where the disk is full; there may be room again later. */
function holdBack(draft: Draft, expert: string, why: string): void {
  const { nowMs, settings } = draft.state;
  draft.putEntry(expert, { notBeforeMs: nowMs + settings.backoffMs * REST_FACTOR });
  draft.because(`${expert} is not loaded for now: ${why}`);
}

export function unloaded(draft: Draft, event: Of<'unloaded'>): void {
  const entry = inState(draft, event.expert, event.cell, 'unloading');
  if (entry === null) return;
  draft.putEntry(event.expert, { residency: { state: 'absent' } });
  lowerEstimate(draft, entry);
  noteEmpty(draft, event.cell);
  // What a cell measures while something loads in it says nothing of the unload.
  if (event.cellBytes !== null && !isLoadingIn(draft.state, event.cell))
    draft.putCell(event.cell, { measuredBytes: event.cellBytes });
  const after =
    event.cellBytes === null ? 'nothing was measured' : `${event.cell} measures ${mb(event.cellBytes)}`;
  draft.because(`${event.expert} left ${event.cell}: ${after}`);
}

/**
 * What stays of an expert is what its load took less the weights that are away. The growth of its cell says less: others
 * run there, and garbage comes and goes.
 */
export function parked(draft: Draft, event: Of<'parked'>): void {
  const entry = inState(draft, event.expert, event.cell, 'parking');
  if (entry === null) return;
  const { expert } = entry;
  const { weights, cellBytes, cell } = event;
  draft.putEntry(expert.id, { residency: { state: 'parked', cell, sinceMs: draft.state.nowMs } });
  if (cellBytes !== null && !isLoadingIn(draft.state, cell))
    draft.putCell(cell, { measuredBytes: cellBytes });
  if (weights === null) return draft.because(`${expert.id} is parked in ${cell}: nothing was measured`);
  const parkedBytes = Math.max(0, expert.memory.residentBytes - (weights.bytes - weights.keptBytes));
  draft.putEntry(expert.id, { parkedBytes, parkFailure: inVain(expert.id, weights) });
  draft.because(`${expert.id} is parked in ${cell}: ${mb(parkedBytes)} of it stay`);
}

/** How much of a parked expert the page cache holds, as its cell saw it. */
export function cached(draft: Draft, event: Of<'cached'>): void {
  const entry = inState(draft, event.expert, event.cell, 'parked');
  if (entry === null || entry.coldBytes === event.coldBytes) return;
  draft.putEntry(event.expert, { coldBytes: event.coldBytes });
  draft.because(
    event.coldBytes === 0
      ? `all of ${event.expert} is in the page cache`
      : `${mb(event.coldBytes)} of ${event.expert} are not in the page cache`,
  );
}

/** Where most weights stay, the next time it is unloaded at once. */
function inVain(expert: string, { bytes, keptBytes }: ParkedWeights): Failure | null {
  if (keptBytes <= bytes * MOST_STAYING) return null;
  const message = `parking "${expert}" left ${mb(keptBytes)} of ${mb(bytes)} of its weights in memory`;
  return { code: 'not_parkable', message, hint: null, retryable: false };
}

export function parkFailed(draft: Draft, event: Of<'parkFailed'>): void {
  const entry = inState(draft, event.expert, event.cell, 'parking');
  if (entry === null) return;
  const residency = { state: 'resident', cell: event.cell, sinceMs: draft.state.nowMs } as const;
  draft.putEntry(event.expert, { residency, parkFailure: event.error });
  // It says something else than before: nothing may be asked of this session any more.
  if (event.error.code === 'weights_changed')
    draft.putEntry(event.expert, { fate: entry.fate ?? { kind: 'discard' } });
  draft.because(`${event.expert} cannot be parked: ${event.error.message}`);
}

export function trimmed(draft: Draft, event: Of<'trimmed'>): void {
  const entry = inState(draft, event.expert, event.cell, 'resident');
  if (entry === null || event.cellBytes === null) return;
  if (!isLoadingIn(draft.state, event.cell)) draft.putCell(event.cell, { measuredBytes: event.cellBytes });
  draft.because(`${event.expert} kept nothing: ${event.cell} measures ${mb(event.cellBytes)}`);
}

/** What cannot be released ends with its cell. */
export function unloadFailed(draft: Draft, event: Of<'unloadFailed'>): void {
  const entry = inState(draft, event.expert, event.cell, 'unloading');
  const cell = draft.state.cells.get(event.cell);
  if (entry === null || cell === undefined || cell.stopping) return;
  stopCell(draft, cell, `${event.expert} could not be released: ${event.error.message}`, true);
}

export function cellExited(draft: Draft, event: Of<'cellExited'>): void {
  const cell = draft.state.cells.get(event.cell);
  if (cell === undefined) return;
  draft.because(`${cell.id} ended: ${event.cause}`);
  const leases = [...draft.state.leases.values()].filter((lease) => lease.cell === cell.id);
  const worked = oldestLease(draft.state, cell.id);
  for (const lease of leases) draft.dropLease(lease.id);
  if (event.oomKilled && !cell.stopping) raiseEstimates(draft, cell, worked);
  if (worked !== null && !cell.stopping) blame(draft, worked.expert, `its process ended (${event.cause})`);
  if (worked === null && !cell.stopping && isIdle(draft, cell)) rest(draft);
  emptyCell(draft, cell, event.cause);
  draft.dropCell(cell.id);
  for (const lease of leases) retryOrRefuse(draft, lease, event, worked);
}

/** Of the one that worked, or was being loaded; of what rested nobody knows who it was. */
function raiseEstimates(draft: Draft, cell: Cell, worked: Lease | null): void {
  if (worked !== null) return raiseEstimate(draft, worked.expert);
  for (const { expert, residency } of entriesIn(draft.state, cell.id))
    if (residency.state === 'loading') raiseEstimate(draft, expert.id);
}

function isIdle(draft: Draft, cell: Cell): boolean {
  return entriesIn(draft.state, cell.id).every(isInMemory);
}

/** Nobody is to blame, but somebody may be killing cells: what nobody waits for does not come back at once. */
function rest(draft: Draft): void {
  const { nowMs, settings } = draft.state;
  draft.set({ restUntilMs: nowMs + settings.backoffMs * REST_FACTOR });
}

/** Every expert of a cell that ended is absent; a load that was under way has failed. */
function emptyCell(draft: Draft, cell: Cell, cause: string): void {
  const { nowMs, settings } = draft.state;
  for (const entry of entriesIn(draft.state, cell.id)) {
    const { expert, residency } = entry;
    noteWaste(draft, entry);
    const isLate = residency.state === 'loading' && nowMs >= residency.deadlineMs;
    const error: Failure = {
      code: 'cell_exited',
      message: isLate
        ? `it did not end within ${settings.loadDeadlineMs / 1000} s`
        : `its process ended (${cause})`,
      hint: null,
      retryable: true,
    };
    draft.putEntry(expert.id, { residency: { state: 'absent' } });
    if (residency.state === 'loading') failedToLoad(draft, expert.id, error);
    else if (isWornOut(draft, expert.id))
      quarantine(draft, expert.id, { ...error, message: `${error.message}, again` });
  }
}

/** A request whose cell died is tried once more, unless part of its answer went out already. */
function retryOrRefuse(draft: Draft, lease: Lease, event: Of<'cellExited'>, worked: Lease | null): void {
  if (lease.request === null) return;
  const known = draft.state.requests.get(lease.request);
  if (known === undefined || lease.cancelled) return;
  if (event.answered.includes(known.id)) return draft.dropRequest(known.id);
  const failure = failures.cellExited(lease.expert, event.cause, false);
  if (returned(draft, known.id, failure, lease.id === worked?.id)) return;
  if (known.attempt > 0)
    return draft.reject(known.id, failures.cellExited(lease.expert, event.cause, true), 1_000);
  if (draft.entry(lease.expert)?.residency.state === 'quarantined') {
    return draft.reject(known.id, failure);
  }
  const { nowMs, settings } = draft.state;
  const waitUntilMs = Math.max(known.waitUntilMs, nowMs + settings.loadWaitMs);
  const purpose = lease.purpose === 'learn' || lease.purpose === 'test' ? 'answer' : lease.purpose;
  draft.putRequest(known.id, {
    attempt: 1,
    waitUntilMs,
    phase: { name: 'waiting', purpose, expert: lease.expert },
  });
  draft.because(`${known.id} is tried once more`);
}
