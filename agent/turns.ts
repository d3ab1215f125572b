/**
 * Who leaves for whom, and when: an expert that has work keeps it for a while, so that two that do not fit together
 * answer their requests in batches instead of changing places for each of them.
 *
 *  1 nobody leaves for a request while an older one waits for it
 *  2 a busy expert, or one that others wait for, goes on taking requests until the one that waits has waited long enough
 *  3 an expert that came stays at least as long as bringing it back would take: going sooner could not pay
 *  4 a request that has waited its part (`swapDelayMs`) is next: an idle expert leaves at once, a busy one after its stay
 *  5 one that has waited half of the time its client gives it waits for nobody
 */
import { returnMs } from './costs.ts';
import { hasWaiter, leasesOn } from './residency.ts';
import type { Entry, Request, State } from './types.ts';

/** Of a client's patience: the other half is for the load. */
const PATIENCE_SHARE = 0.5;

/** True where `victim` may leave for a request; null is a load that no request waits for. */
export function mayLeaveFor(state: State, victim: Entry, waiter: Request | null): boolean {
  const { id } = victim.expert;
  if (hasWaiter(state, id, waiter?.sinceMs ?? Number.POSITIVE_INFINITY)) return false; // 1
  if (waiter === null || state.nowMs >= hurryMs(waiter)) return true; // 5
  const isBusy = leasesOn(state, id) > 0 || hasWaiter(state, id);
  const hasStayed = state.nowMs >= stayUntilMs(state, victim);
  return isNext(state, waiter) ? !isBusy || hasStayed : !isBusy && hasStayed; // 2, 3, 4
}

/** True once a request has waited its part: then busy experts take no new work for its sake. */
export function isNext(state: State, waiter: Request): boolean {
  return state.nowMs >= turnMs(state, waiter);
}

/** When that is. */
function turnMs({ settings }: State, waiter: Request): number {
  return Math.min(waiter.sinceMs + settings.swapDelayMs, hurryMs(waiter));
}

/** When a request has waited so long that it waits for nobody any more. */
function hurryMs({ sinceMs, waitUntilMs }: Request): number {
  return sinceMs + (waitUntilMs - sinceMs) * PATIENCE_SHARE;
}

/** When, by time alone, somebody could next leave for a request that waits for room. Infinity: never. */
export function nextTurnMs(state: State): number {
  const waiters = [...state.requests.values()].filter((request) => waitsForRoom(state, request));
  if (waiters.length === 0 || isRoomOnTheWay(state)) return Number.POSITIVE_INFINITY;
  const times = [
    ...waiters.flatMap((waiter) => [turnMs(state, waiter), hurryMs(waiter)]),
    ...[...state.experts.values()].map((entry) => stayUntilMs(state, entry)),
  ];
  return Math.min(...times.filter((atMs) => atMs > state.nowMs));
}

function waitsForRoom({ experts }: State, { phase }: Request): boolean {
  if (phase.name !== 'waiting' || phase.purpose === 'embed') return false;
  const state = experts.get(phase.expert)?.residency.state;
  return state === 'absent' || state === 'parked';
}

/** Then an event tells when it has come. */
function isRoomOnTheWay({ experts, cells }: State): boolean {
  for (const { stopping } of cells.values()) if (stopping) return true;
  for (const { residency } of experts.values())
    if (residency.state === 'unloading' || residency.state === 'parking') return true;
  return false;
}

/** Until when an expert in memory stays for its own sake. */
function stayUntilMs(state: State, entry: Entry): number {
  const { residency, guessed } = entry;
  // Without a delay requests are served strictly in their order, and what nobody asked for has no claim to stay.
  if (state.settings.swapDelayMs === 0 || residency.state !== 'resident' || guessed) return 0;
  return residency.sinceMs + returnMs(state, entry);
}
