/**
 * Bringing experts into memory.
 *
 *  1 nothing is loaded under pressure, during an expert's back-off, while an older load waits for its bytes, in a lane
 *    in which an older load waits for a cell, or with bytes that this one will need
 *  2 a load needs a cell that holds no lease: an idle one of its lane, else a new one, else one that drains for it
 *  3 it needs its reservation inside the budget: empty cells go first, then the experts of least value; if those that
 *    are idle do not suffice, busy ones take no new work, so that a busy expert cannot keep others out
 *  4 what can never fit is refused with the numbers
 * Bytes count as free when a measurement saw them return, so an eviction and the load it is for are two decisions.
 */

import type { Draft } from './draft.ts';
import { bytesOfVictims, bytesReturning, drainVictims, evict, stopEmptyCells, unload } from './eviction.ts';
import { failures, loadingOf, mb } from './failures.ts';
import { isSense } from './language.ts';
import { spareBytes } from './pressure.ts';
import {
  committedBytes,
  footprintBytes,
  freshCellBytes,
  isLoadingIn,
  isUnloadingIn,
  leasesIn,
  leastBudgetBesidePinned,
  leastBudgetBytes,
  loadNeedBytes,
  parkedBytesOf,
  pinnedEntries,
  stayingEntries,
} from './residency.ts';
import { refuseOrReplace } from './stand-ins.ts';
import { isNext, mayLeaveFor } from './turns.ts';
import type { Cell, Entry, ExpertId, Failure, Lane, Request } from './types.ts';

const PRESSURE_RETRY_MS = 5_000;
const LANES: readonly Lane[] = ['fast', 'heavy'];

type Place =
  | { readonly kind: 'idle'; readonly cell: Cell }
  | { readonly kind: 'fresh' }
  | { readonly kind: 'drain'; readonly cell: Cell }
  | { readonly kind: 'none' };

type Admission = 'started' | 'waits for a cell' | 'waits for bytes';

/**
 * Starts loads for waiting requests, oldest first. One that waits holds back the younger ones (1). Cells drain
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
  const closedLanes = new Set<Lane>();
  let heldBytes = 0;
  const pinned = pinnedEntries(draft.state);
  const queue = [...draft.state.requests.values()];
  for (const request of queue) {
    const { phase } = request;
    if (phase.name !== 'waiting' || phase.purpose === 'embed' || asked.has(phase.expert)) continue;
    asked.add(phase.expert);
    const entry = draft.entry(phase.expert);
    if (entry === undefined || !isOut(entry)) continue;
    const fitted = fitBound(draft, entry, pinned);
    if (refuseHopeless(draft, fitted, pinned)) {
      // Its stand-in may have to be loaded.
      const moved = draft.state.requests.get(request.id);
      if (moved !== undefined) queue.push(moved);
      continue;
    }
    const { lane } = entry.expert;
    if (draft.state.nowMs < entry.notBeforeMs || closedLanes.has(lane)) continue;
    const admission = admit(draft, fitted, request, heldBytes);
    if (admission === 'started') continue;
    heldBytes += heldFor(draft, fitted, request);
    for (const closed of admission === 'waits for bytes' ? LANES : [lane]) closedLanes.add(closed);
  }
}

/**
 * A bound is a guess. Where it is more than could ever be free, and the weights are not, the expert is tried with all
 * that could be: its first load tells what it takes.
 */
export function fitBound(draft: Draft, entry: Entry, pinned: readonly Entry[]): Entry {
  const { expert } = entry;
  const { memory } = expert;
  if (memory.measured) return entry;
  const neededBytes = loadNeedBytes(expert);
  const beside = leastBudgetBesidePinned(draft.state, expert, pinned) - neededBytes;
  const roomBytes = draft.state.settings.budgetBytes - beside;
  if (neededBytes <= roomBytes || roomBytes < expert.weightBytes + expert.cacheBytes) return entry;
  const residentBytes = Math.min(memory.residentBytes, roomBytes - expert.cacheBytes);
  return { ...entry, expert: { ...expert, memory: { ...memory, residentBytes, loadBytes: roomBytes } } };
}

/** Free bytes that younger loads must leave to one that waits for a cell: what no victim will give it. */
function heldFor(draft: Draft, entry: Entry, waiter: Request): number {
  const victimBytes = bytesOfVictims(draft, (victim) => mayLeaveFor(draft.state, victim, waiter));
  return Math.max(0, loadNeedBytes(entry.expert) - victimBytes);
}

/** Loads without a waiter: what is pinned or was asked for by hand may evict, the router's embedder takes slack only. */
export function loadWanted(draft: Draft): void {
  const { state } = draft;
  if (state.pressure.level === 'high' || state.nowMs < state.restUntilMs || hasBlockedWaiter(draft)) return;
  const pinned = pinnedEntries(state);
  const all = [...state.experts.values()];
  // What takes slack only would take what was freed for the others, and be evicted for them again.
  for (const entry of [...all.filter(isByHand), ...all.filter((one) => !isByHand(one))]) {
    const { expert, residency, wanted, dismissed, notBeforeMs, fate } = entry;
    // A parked expert is brought back for a request, or by hand, and not because it could be.
    if (!isOut(entry) || (residency.state === 'parked' && !wanted)) continue;
    if (fate !== null || dismissed || state.nowMs < notBeforeMs) continue;
    const byHand = isByHand(entry);
    if (!byHand && !isSense(state, expert.id)) continue;
    // Nobody waits for a candidate: it drives nobody out before that gives it its place, and holds nobody back.
    const staying = expert.candidateOf === null ? pinned : stayingEntries(state);
    if (leastBudgetBesidePinned(state, expert, staying) > state.settings.budgetBytes) continue;
    if (admit(draft, entry, null, 0, byHand) !== 'started' && byHand) return;
  }
}

function isByHand({ wanted, expert }: Entry): boolean {
  return wanted || expert.pinned;
}

function hasBlockedWaiter(draft: Draft): boolean {
  for (const { phase } of draft.state.requests.values()) {
    if (phase.name !== 'waiting' || phase.purpose === 'embed') continue;
    const entry = draft.entry(phase.expert);
    if (entry !== undefined && isOut(entry)) return true;
  }
  return false;
}

/** Refuses every waiter of an expert that cannot be loaded: never (4), or not while pressure lasts (1). */
function refuseHopeless(draft: Draft, entry: Entry, pinned: readonly Entry[]): boolean {
  const { state } = draft;
  const { expert } = entry;
  const { budgetBytes } = state.settings;
  const least = leastBudgetBytes(state, expert);
  const besidePinned = leastBudgetBesidePinned(state, expert, pinned);
  if (least > budgetBytes) {
    refuseWaiters(draft, expert.id, failures.tooLarge(expert, least, budgetBytes));
  } else if (besidePinned > budgetBytes) {
    refuseWaiters(draft, expert.id, failures.allPinned(expert, besidePinned, budgetBytes));
  } else if (state.pressure.level === 'high') {
    refuseWaiters(draft, expert.id, failures.pressure(state.pressure.why), PRESSURE_RETRY_MS);
  } else {
    return false;
  }
  return true;
}

/** Refuses every request that waits for `expert`, or lets its stand-in answer. */
export function refuseWaiters(
  draft: Draft,
  expert: ExpertId,
  failure: Failure,
  retryAfterMs: number | null = null,
): void {
  const loading = retryAfterMs === null ? null : loadingOf(draft.state, expert);
  for (const { id, phase } of [...draft.state.requests.values()]) {
    if (phase.name !== 'waiting' || phase.purpose === 'embed' || phase.expert !== expert) continue;
    refuseOrReplace(draft, id, failure, retryAfterMs, loading);
  }
}

/** True for an expert that has to come into memory before it can be leased: all of it, or its weights. */
function isOut({ residency }: Entry): boolean {
  return residency.state === 'absent' || residency.state === 'parked';
}

/** Starts the load of an expert that nobody asked for, if it costs nobody anything; false where it does not start. */
export function admitGuess(draft: Draft, entry: Entry): boolean {
  const { state } = draft;
  if (leastBudgetBesidePinned(state, entry.expert, pinnedEntries(state)) > state.settings.budgetBytes)
    return false;
  return admit(draft, entry, null, 0, false) === 'started';
}

/** Brings back a parked expert, if its bytes are free: its pages come as they are touched. */
function resume(
  draft: Draft,
  entry: Entry,
  cell: Cell,
  waiter: Request | null,
  heldBytes: number,
): Admission {
  const { state } = draft;
  const { expert } = entry;
  const neededBytes = footprintBytes(expert) - parkedBytesOf(entry);
  const freeBytes = state.settings.budgetBytes - committedBytes(state) - heldBytes;
  if (neededBytes > freeBytes) {
    makeRoom(draft, neededBytes - freeBytes, entry, { kind: 'idle', cell }, waiter);
    if (isInItsOwnWay(draft, entry, waiter))
      unload(draft, entry, 'nobody else can give what its cell has grown by');
    return 'waits for bytes';
  }
  draft.putEntry(expert.id, {
    residency: { state: 'resident', cell: cell.id, sinceMs: state.nowMs },
    wanted: false,
    dismissed: false,
    coldBytes: 0,
  });
  const cold = entry.coldBytes === 0 ? '' : `; ${mb(entry.coldBytes)} of it come from the disk`;
  draft.because(
    `resume ${expert.id} in ${cell.id}: needs ${mb(neededBytes)}, ${mb(freeBytes)} are free${cold}`,
  );
  return 'started';
}

/** True where a parked expert waits for bytes that only the end of its own cell could give. */
function isInItsOwnWay(draft: Draft, { expert }: Entry, waiter: Request | null): boolean {
  if (bytesReturning(draft) > 0 || (waiter !== null && !isNext(draft.state, waiter))) return false;
  return bytesOfVictims(draft, (victim) => victim.expert.id !== expert.id) === 0;
}

/** Starts the load of an absent expert, or takes the next step towards it. `heldBytes` are kept for older loads. */
function admit(
  draft: Draft,
  entry: Entry,
  waiter: Request | null,
  heldBytes: number,
  mayEvict = true,
): Admission {
  const { state } = draft;
  const home = entry.residency.state === 'parked' ? state.cells.get(entry.residency.cell) : undefined;
  if (home !== undefined) return resume(draft, entry, home, waiter, heldBytes);
  const place = placeFor(
    draft,
    entry,
    waiter !== null || (mayEvict && !isLoadingInLane(draft, entry.expert.lane)),
  );
  if (place.kind === 'none') return 'waits for a cell';
  const neededBytes = loadNeedBytes(entry.expert) + (place.kind === 'fresh' ? freshCellBytes(state) : 0);
  const freeBytes = state.settings.budgetBytes - committedBytes(state) - heldBytes;
  if (place.kind === 'drain') {
    if (waiter !== null) drainFor(draft, place.cell, waiter, neededBytes - freeBytes);
    return 'waits for a cell';
  }
  if (neededBytes > freeBytes) {
    if (mayEvict) makeRoom(draft, neededBytes - freeBytes, entry, place, waiter);
    return 'waits for bytes';
  }
  // What nobody waits for must not bring back the pressure that drove it out.
  if (!mayEvict && neededBytes > spareBytes(state)) return 'waits for bytes';
  // Loads and unloads are measured one by one.
  if (place.kind === 'idle' && isUnloadingIn(state, place.cell.id)) return 'waits for bytes';
  const cell = place.kind === 'fresh' ? openCell(draft, entry) : place.cell;
  startLoad(draft, entry, cell, place.kind === 'fresh', neededBytes, freeBytes);
  return 'started';
}

/** Lets a cell take no new work for a load that is next, unless its bytes would not be there for it yet anyway. */
function drainFor(draft: Draft, cell: Cell, waiter: Request, missingBytes: number): void {
  if (!isNext(draft.state, waiter)) return;
  const missing = missingBytes - bytesReturning(draft);
  const mayGo = (victim: Entry): boolean => mayLeaveFor(draft.state, victim, waiter);
  if (missing > 0 && bytesOfVictims(draft, mayGo) === 0) return;
  draft.putCell(cell.id, { draining: true });
  drainVictims(draft, missing, mayGo);
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
    dismissed: false,
    expert,
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
    residueBytes: 0,
    fileBytes: null,
  };
  draft.addCell(cell);
  draft.set({ nextCell: state.nextCell + 1 });
  return cell;
}

/** Where an expert could be loaded (2). What nobody waits for opens no second cell only because the first one loads. */
function placeFor(draft: Draft, entry: Entry, mayOpen: boolean): Place {
  const { state } = draft;
  const { expert } = entry;
  if (expert.isolation === 'own') return { kind: 'fresh' };
  const cells = [...state.cells.values()].filter((cell) => cell.lane === expert.lane && cell.only === null);
  const alive = cells.filter((cell) => !cell.stopping);
  const ready = alive.filter((cell) => !isLoadingIn(state, cell.id));
  const idle = ready.find((cell) => leasesIn(state, cell.id) === 0);
  if (idle !== undefined) return { kind: 'idle', cell: idle };
  const neededBytes = loadNeedBytes(expert) + freshCellBytes(state);
  const fits = mayOpen && committedBytes(state) + neededBytes <= state.settings.budgetBytes;
  if (cells.length === 0 || (fits && cells.length < state.settings.maxCells[expert.lane]))
    return { kind: 'fresh' };
  const draining = ready.find((cell) => cell.draining) ?? ready[0];
  return draining === undefined ? { kind: 'none' } : { kind: 'drain', cell: draining };
}

function isLoadingInLane({ state }: Draft, lane: Lane): boolean {
  return [...state.cells.values()].some((cell) => cell.lane === lane && isLoadingIn(state, cell.id));
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
  let missing = missingBytes - bytesReturning(draft);
  if (missing <= 0) return;
  missing -= stopEmptyCells(draft, keep);
  if (missing <= 0) return;
  const mayGo = (victim: Entry): boolean =>
    victim.expert.id !== entry.expert.id && mayLeaveFor(draft.state, victim, waiter);
  missing -= evict(draft, missing, `for ${entry.expert.id}`, mayGo);
  if (missing <= 0) return;
  const kept = keep === null ? undefined : draft.state.cells.get(keep);
  // What unloads left behind in an empty cell comes back with its end only.
  if (kept !== undefined && kept.measuredBytes > kept.baseBytes) missing -= stopEmptyCells(draft, null);
  if (waiter !== null) drainVictims(draft, missing, mayGo);
}
