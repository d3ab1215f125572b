/**
 * Bringing experts into memory, and out of it.
 *
 *  1 nothing is loaded under pressure, during an expert's back-off, or while an older load waits for its bytes
 *  2 a load needs a cell that holds no lease: an idle one of its lane, else a new one, else one that drains for it
 *  3 it needs its reservation inside the budget: empty cells go first, then the experts of least value
 *  4 what can never fit is refused with the numbers
 * Bytes count as free when a measurement saw them return, so an eviction and the load it is for are two decisions.
 */
import type { Draft } from './draft.ts';
import { failures, loadingOf, mb } from './failures.ts';
import {
  cellCharge,
  cellOf,
  committedBytes,
  entriesIn,
  freshCellBytes,
  hasWaiter,
  isLoadingIn,
  leasesIn,
  leasesOn,
  leastBudgetBesidePinned,
  leastBudgetBytes,
} from './residency.ts';
import type { Cell, Entry, ExpertId, Request } from './types.ts';

const PRESSURE_RETRY_MS = 5_000;

type Place =
  | { readonly kind: 'idle'; readonly cell: Cell }
  | { readonly kind: 'fresh' }
  | { readonly kind: 'drain'; readonly cell: Cell }
  | { readonly kind: 'none' };

type Admission = 'started' | 'waits';

/**
 * Starts loads for waiting requests, oldest first. One that waits for bytes holds back the younger ones. Cells drain
 * only while a load still wants them: the flags are made anew each time.
 */
export function loadForWaiting(draft: Draft): void {
  const wasDraining = new Set<string>();
  for (const cell of draft.state.cells.values()) if (cell.draining) wasDraining.add(cell.id);
  for (const id of wasDraining) draft.putCell(id, { draining: false });
  startWaitingLoads(draft);
  for (const cell of draft.state.cells.values()) {
    if (cell.draining && !wasDraining.has(cell.id))
      draft.because(`${cell.id} takes no new work until a load is done`);
  }
}

function startWaitingLoads(draft: Draft): void {
  const asked = new Set<ExpertId>();
  for (const request of [...draft.state.requests.values()]) {
    const { phase } = request;
    if (phase.name !== 'waiting' || phase.purpose !== 'answer' || asked.has(phase.expert)) continue;
    asked.add(phase.expert);
    const entry = draft.entry(phase.expert);
    if (entry === undefined || entry.residency.state !== 'absent') continue;
    if (refuseHopeless(draft, entry)) continue;
    if (draft.state.nowMs < entry.notBeforeMs) continue;
    if (admit(draft, entry, request) === 'waits') return;
  }
}

/** Loads without a waiter: what is pinned or was asked for by hand may evict, the router's embedder takes slack only. */
export function loadWanted(draft: Draft): void {
  const { state } = draft;
  if (state.pressure.level === 'high' || hasBlockedWaiter(draft)) return;
  for (const entry of state.experts.values()) {
    const { expert, residency, wanted, notBeforeMs, fate } = entry;
    if (residency.state !== 'absent' || fate !== null || state.nowMs < notBeforeMs) continue;
    const byHand = wanted || expert.pinned;
    if (!byHand && expert.id !== state.settings.embedder) continue;
    if (leastBudgetBesidePinned(state, expert) > state.settings.budgetBytes) continue;
    if (admit(draft, entry, null, byHand) === 'waits' && byHand) return;
  }
}

function hasBlockedWaiter(draft: Draft): boolean {
  for (const { phase } of draft.state.requests.values()) {
    if (phase.name !== 'waiting' || phase.purpose !== 'answer') continue;
    if (draft.entry(phase.expert)?.residency.state === 'absent') return true;
  }
  return false;
}

/** Refuses every waiter of an expert that cannot be loaded: never (4), or not while pressure lasts (1). */
function refuseHopeless(draft: Draft, entry: Entry): boolean {
  const { state } = draft;
  const { expert } = entry;
  const { budgetBytes } = state.settings;
  const least = leastBudgetBytes(state, expert);
  const besidePinned = leastBudgetBesidePinned(state, expert);
  if (least > budgetBytes) {
    refuseWaiters(draft, expert.id, () => draftReject(failures.tooLarge(expert, least, budgetBytes)));
  } else if (besidePinned > budgetBytes) {
    refuseWaiters(draft, expert.id, () => draftReject(failures.allPinned(expert, besidePinned, budgetBytes)));
  } else if (state.pressure.level === 'high') {
    refuseWaiters(draft, expert.id, () =>
      draftReject(failures.pressure(state.pressure.why), PRESSURE_RETRY_MS),
    );
  } else {
    return false;
  }
  return true;
}

type Refusal = { failure: ReturnType<typeof failures.tooLarge>; retryAfterMs: number | null };

function draftReject(failure: Refusal['failure'], retryAfterMs: number | null = null): Refusal {
  return { failure, retryAfterMs };
}

/** Answers every request that waits for `expert`. */
export function refuseWaiters(draft: Draft, expert: ExpertId, refusal: (request: Request) => Refusal): void {
  for (const request of [...draft.state.requests.values()]) {
    if (request.phase.name !== 'waiting' || request.phase.expert !== expert) continue;
    if (request.phase.purpose !== 'answer') continue;
    const { failure, retryAfterMs } = refusal(request);
    const loading = retryAfterMs === null ? null : loadingOf(draft.state, expert);
    draft.reject(request.id, failure, retryAfterMs, loading);
  }
}

/** Starts the load of an absent expert, or takes the next step towards it. */
function admit(draft: Draft, entry: Entry, waiter: Request | null, mayEvict = true): Admission {
  const { state } = draft;
  const place = placeFor(draft, entry);
  if (place.kind === 'none') return 'waits';
  if (place.kind === 'drain') {
    if (waiter !== null) draft.putCell(place.cell.id, { draining: true });
    return 'waits';
  }
  const neededBytes = entry.expert.memory.loadBytes + (place.kind === 'fresh' ? freshCellBytes(state) : 0);
  const freeBytes = state.settings.budgetBytes - committedBytes(state);
  if (neededBytes > freeBytes) {
    if (mayEvict) makeRoom(draft, neededBytes - freeBytes, entry, place, waiter);
    return 'waits';
  }
  const cell = place.kind === 'fresh' ? openCell(draft, entry) : place.cell;
  startLoad(draft, entry, cell, place.kind === 'fresh', neededBytes, freeBytes);
  return 'started';
}

function startLoad(
  draft: Draft,
  entry: Entry,
  cell: Cell,
  fresh: boolean,
  needed: number,
  free: number,
): void {
  const { expert } = entry;
  const { nowMs, settings } = draft.state;
  draft.putCell(cell.id, { draining: false, emptySinceMs: null });
  draft.putEntry(expert.id, {
    residency: {
      state: 'loading',
      cell: cell.id,
      sinceMs: nowMs,
      deadlineMs: nowMs + settings.loadDeadlineMs,
    },
    wanted: false,
  });
  draft.steps.push({ type: 'load', expert: expert.id, cell: cell.id, lane: cell.lane, fresh });
  const bound = expert.memory.measured ? 'measured' : 'a bound';
  draft.because(`load ${expert.id} in ${cell.id}: needs ${mb(needed)} (${bound}), ${mb(free)} are free`);
}

function openCell(draft: Draft, entry: Entry): Cell {
  const { state } = draft;
  const { lane, isolation, id } = entry.expert;
  const cell: Cell = {
    id: `${lane}-${state.nextCell}`,
    lane,
    only: isolation === 'own' ? id : null,
    baseBytes: freshCellBytes(state),
    measuredBytes: 0,
    draining: false,
    stopping: false,
    emptySinceMs: null,
  };
  draft.addCell(cell);
  draft.set({ nextCell: state.nextCell + 1 });
  return cell;
}

/** Where an expert could be loaded (2). */
function placeFor(draft: Draft, entry: Entry): Place {
  const { state } = draft;
  const { expert } = entry;
  if (expert.isolation === 'own') return { kind: 'fresh' };
  const cells = [...state.cells.values()].filter((cell) => cell.lane === expert.lane && cell.only === null);
  const alive = cells.filter((cell) => !cell.stopping);
  const ready = alive.filter((cell) => !isLoadingIn(state, cell.id));
  const idle = ready.find((cell) => leasesIn(state, cell.id) === 0);
  if (idle !== undefined) return { kind: 'idle', cell: idle };
  const neededBytes = expert.memory.loadBytes + freshCellBytes(state);
  const fits = committedBytes(state) + neededBytes <= state.settings.budgetBytes;
  if (cells.length === 0 || (fits && cells.length < state.settings.maxCells[expert.lane]))
    return { kind: 'fresh' };
  const draining = ready.find((cell) => cell.draining) ?? ready[0];
  return draining === undefined ? { kind: 'none' } : { kind: 'drain', cell: draining };
}

/** Frees `missingBytes` for a load (3), or as much as can be freed now. */
function makeRoom(
  draft: Draft,
  missingBytes: number,
  entry: Entry,
  place: Place,
  waiter: Request | null,
): void {
  const keep = place.kind === 'idle' ? place.cell.id : null;
  const returningBytes = bytesReturning(draft);
  let missing = missingBytes - returningBytes;
  if (missing <= 0) return;
  missing -= stopEmptyCells(draft, keep);
  if (missing <= 0) return;
  const until = waiter?.sinceMs ?? Number.POSITIVE_INFINITY;
  evict(
    draft,
    missing,
    `for ${entry.expert.id}`,
    (victim) => !hasWaiter(draft.state, victim.expert.id, until),
  );
}

/** Bytes that are on their way back: unloads and stops that were asked for and not seen yet. */
export function bytesReturning(draft: Draft): number {
  let total = 0;
  for (const cell of draft.state.cells.values()) if (cell.stopping) total += cellCharge(draft.state, cell);
  for (const { residency, expert } of draft.state.experts.values()) {
    if (residency.state !== 'unloading') continue;
    if (draft.state.cells.get(residency.cell)?.stopping !== true) total += expert.memory.residentBytes;
  }
  return total;
}

/** Ends the cells that host nothing; returns what they were charged. */
export function stopEmptyCells(draft: Draft, keep: string | null): number {
  let freed = 0;
  for (const cell of [...draft.state.cells.values()]) {
    if (cell.id === keep || cell.stopping || cell.emptySinceMs === null) continue;
    freed += cellCharge(draft.state, cell);
    stopCell(draft, cell, 'it hosts nothing', false);
  }
  return freed;
}

export function stopCell(draft: Draft, cell: Cell, why: string, kill: boolean): void {
  draft.putCell(cell.id, { stopping: true });
  draft.steps.push({ type: 'stop', cell: cell.id, kill });
  draft.because(`${kill ? 'kill' : 'stop'} ${cell.id}: ${why}`);
}

/** Unloads the experts of least value until `missingBytes` are on their way; returns what is. */
export function evict(
  draft: Draft,
  missingBytes: number,
  what: string,
  mayGo: (victim: Entry) => boolean = () => true,
): number {
  const chosen: { entry: Entry; value: number }[] = [];
  let freed = 0;
  for (const candidate of rankVictims(draft, mayGo)) {
    if (freed >= missingBytes) break;
    chosen.push(candidate);
    freed += candidate.entry.expert.memory.residentBytes;
  }
  for (const { entry, value } of withoutSurplus(chosen, missingBytes, freed)) {
    unload(draft, entry, `${draft.policy.names.residency} value ${value.toFixed(2)}, ${what}`);
    if (draft.policy.residency.ages) draft.set({ evictionAge: Math.max(draft.state.evictionAge, value) });
  }
  return freed;
}

function rankVictims(draft: Draft, mayGo: (victim: Entry) => boolean): { entry: Entry; value: number }[] {
  const victims: { entry: Entry; value: number }[] = [];
  for (const entry of draft.state.experts.values()) {
    if (!isEvictable(draft, entry) || !mayGo(entry)) continue;
    const { expert, lastUsedMs, uses, ageAtUse } = entry;
    const { residentBytes, loadMs } = expert.memory;
    victims.push({
      entry,
      value: draft.policy.residency.value({ bytes: residentBytes, loadMs, lastUsedMs, uses, ageAtUse }),
    });
  }
  return victims.sort((a, b) => a.value - b.value || a.entry.lastUsedMs - b.entry.lastUsedMs);
}

/** Drops the victims that a later, larger one made needless. */
function withoutSurplus<T extends { entry: Entry }>(
  chosen: readonly T[],
  missing: number,
  freed: number,
): T[] {
  let surplus = freed - missing;
  return chosen.filter(({ entry }) => {
    const { residentBytes } = entry.expert.memory;
    if (residentBytes > surplus) return true;
    surplus -= residentBytes;
    return false;
  });
}

export function isEvictable(draft: Draft, entry: Entry): boolean {
  if (entry.residency.state !== 'resident' || entry.expert.pinned) return false;
  if (draft.state.cells.get(entry.residency.cell)?.stopping === true) return false;
  return leasesOn(draft.state, entry.expert.id) === 0;
}

/** Asks for an expert's bytes back: its cell ends with it if it hosts nothing else. */
export function unload(draft: Draft, entry: Entry, why: string): void {
  const cell = cellOf(entry);
  if (cell === null || entry.residency.state !== 'resident') return;
  const { nowMs, settings } = draft.state;
  draft.putEntry(entry.expert.id, {
    residency: { state: 'unloading', cell, sinceMs: nowMs, deadlineMs: nowMs + settings.loadDeadlineMs },
  });
  draft.because(`unload ${entry.expert.id} from ${cell} (${mb(entry.expert.memory.residentBytes)}): ${why}`);
  const host = draft.state.cells.get(cell);
  if (host !== undefined && host.only !== null) stopCell(draft, host, 'it hosted that expert alone', false);
  else draft.steps.push({ type: 'unload', expert: entry.expert.id, cell });
}

/** Notes since when a cell hosts nothing. */
export function noteEmpty(draft: Draft, cell: string): void {
  const empty = entriesIn(draft.state, cell).length === 0;
  const since = draft.state.cells.get(cell)?.emptySinceMs ?? null;
  if (empty !== (since !== null)) draft.putCell(cell, { emptySinceMs: empty ? draft.state.nowMs : null });
}
