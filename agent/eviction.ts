/**
 * Bringing bytes back: which experts and cells go, and how. Experts go by the value that the residency policy gives them,
 * lowest first; never one that is pinned or leased. An unload is asked for here and seen in a later decision.
 */
import { returnMs } from './costs.ts';
import type { Draft } from './draft.ts';
import { mb } from './failures.ts';
import { noteWaste } from './guesses.ts';
import {
  canPark,
  cellCharge,
  cellOf,
  entriesIn,
  footprintBytes,
  heldBytesOf,
  isInMemory,
  leasesOn,
  parkedBytesOf,
} from './residency.ts';
import type { Cell, Entry, State } from './types.ts';

const LEAST_VALUED_BYTES = 1_048_576;

/** Bytes that are on their way back: unloads and stops that were asked for and not seen yet. */
export function bytesReturning(draft: Draft): number {
  let total = 0;
  for (const cell of draft.state.cells.values()) if (cell.stopping) total += cellCharge(draft.state, cell);
  for (const entry of draft.state.experts.values()) {
    const { residency } = entry;
    if (residency.state !== 'unloading' && residency.state !== 'parking') continue;
    if (draft.state.cells.get(residency.cell)?.stopping === true) continue;
    total += heldBytesOf(entry) - (residency.state === 'parking' ? parkedBytesOf(entry) : 0);
  }
  return total;
}

/** Lets the cells of so many bytes take no new work, idle experts first: they go as soon as they can. */
export function drainVictims(draft: Draft, missingBytes: number, mayGo: (victim: Entry) => boolean): void {
  let missing = missingBytes;
  if (missing <= 0) return;
  const ranked = rankVictims(draft, (one) => isVictim(draft, one) && mayGo(one));
  const isBusy = ({ entry }: { entry: Entry }): boolean => leasesOn(draft.state, entry.expert.id) > 0;
  const idleFirst = [...ranked.filter((one) => !isBusy(one)), ...ranked.filter(isBusy)];
  for (const { entry } of idleFirst) {
    if (missing <= 0) return;
    const cell = cellOf(entry);
    if (cell !== null) draft.putCell(cell, { draining: true });
    missing -= bytesOf(draft.state, entry);
  }
}

/** Bytes of all experts that may be evicted, now or once they are free of work. */
export function bytesOfVictims(draft: Draft, mayGo: (victim: Entry) => boolean): number {
  let total = 0;
  for (const entry of draft.state.experts.values()) {
    if (isVictim(draft, entry) && mayGo(entry)) total += bytesOf(draft.state, entry);
  }
  return total;
}

/** Bytes that come back with an expert: those of its cell too, if it hosts nothing else. */
function bytesOf(state: State, entry: Entry): number {
  const cell = state.cells.get(cellOf(entry) ?? '');
  if (cell === undefined || cell.only === null) return heldBytesOf(entry);
  return cellCharge(state, cell);
}

/** Lets idle experts give back what they keep for later requests; returns what that is. They stay in memory. */
export function trimKept(draft: Draft, why: string): number {
  let freed = 0;
  for (const entry of [...draft.state.experts.values()]) {
    const { expert, keptBytes, residency } = entry;
    if (keptBytes === 0 || residency.state !== 'resident' || leasesOn(draft.state, expert.id) > 0) continue;
    if (draft.state.cells.get(residency.cell)?.stopping !== false) continue;
    draft.putEntry(expert.id, { keptBytes: 0 });
    draft.steps.push({ type: 'trim', expert: expert.id, cell: residency.cell });
    draft.because(`${expert.id} gives back ${mb(keptBytes)} that it kept for later requests: ${why}`);
    freed += keptBytes;
  }
  return freed;
}

/**
 * Lets the page cache forget one parked expert, of least value first, so that those that will be needed sooner keep their
 * pages; the most valuable is left to the kernel. One a look: what that gives is seen at the next.
 */
export function chill(draft: Draft): void {
  const parked = rankVictims(draft, (entry) => entry.residency.state === 'parked');
  for (const { entry } of parked.slice(0, -1)) {
    const { expert, residency, coldBytes } = entry;
    const bytes = footprintBytes(expert) - parkedBytesOf(entry);
    if (residency.state !== 'parked' || coldBytes >= bytes / 2) continue;
    if (draft.state.cells.get(residency.cell)?.stopping !== false) continue;
    draft.steps.push({ type: 'chill', expert: expert.id, cell: residency.cell });
    draft.putEntry(expert.id, { coldBytes: bytes });
    return draft.because(`the page cache forgets ${expert.id}: others will be needed sooner`);
  }
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

/**
 * Parks or unloads the experts of least value until `missingBytes` are on their way; returns what is. Where the weights
 * can leave alone, they do: then little is lost, which makes the value of keeping them small. A parked expert is
 * unloaded in its turn: what is left of it is small, and its load dear, so that is late.
 */
export function evict(
  draft: Draft,
  missingBytes: number,
  what: string,
  mayGo: (victim: Entry) => boolean = () => true,
): number {
  const chosen: { entry: Entry; value: number; bytes: number }[] = [];
  let freed = 0;
  for (const candidate of rankVictims(draft, (entry) => isEvictable(draft, entry) && mayGo(entry))) {
    if (freed >= missingBytes) break;
    const bytes = bytesAtOnce(draft.state, candidate.entry);
    chosen.push({ ...candidate, bytes });
    freed += bytes;
  }
  for (const { entry, value } of withoutSurplus(chosen, freed - missingBytes)) {
    const why = `${draft.policy.names.residency} value ${value.toFixed(2)}, ${what}`;
    if (mayPark(draft.state, entry)) park(draft, entry, why);
    else unload(draft, entry, why);
    if (draft.policy.residency.ages) draft.set({ evictionAge: Math.max(draft.state.evictionAge, value) });
  }
  return freed;
}

/** What comes back with the first step: not all, where the weights leave and the rest stays. */
function bytesAtOnce(state: State, entry: Entry): number {
  if (!mayPark(state, entry)) return bytesOf(state, entry);
  return Math.max(0, footprintBytes(entry.expert) - parkedBytesOf(entry));
}

/** True for a resident expert that would be parked and not unloaded. */
export function mayPark(state: State, entry: Entry): boolean {
  return entry.residency.state === 'resident' && canPark(state, entry);
}

/** The experts for which `isChosen` is true, of least value first. */
function rankVictims(draft: Draft, isChosen: (victim: Entry) => boolean): { entry: Entry; value: number }[] {
  const victims: { entry: Entry; value: number }[] = [];
  for (const entry of draft.state.experts.values()) {
    if (!isChosen(entry)) continue;
    const { lastUsedMs, uses, ageAtUse } = entry;
    // What is parked is back in milliseconds, so little is lost with it.
    const loadMs = returnMs(draft.state, entry);
    victims.push({
      entry,
      value: draft.policy.residency.value({
        // A value is for bytes: of nearly none it would be beyond all others, and so would `evictionAge` afterwards.
        bytes: Math.max(LEAST_VALUED_BYTES, bytesAtOnce(draft.state, entry)),
        loadMs,
        lastUsedMs,
        uses,
        ageAtUse,
      }),
    });
  }
  return victims.sort((a, b) => a.value - b.value || a.entry.lastUsedMs - b.entry.lastUsedMs);
}

/** Drops the victims that a later, larger one made needless. */
function withoutSurplus<T extends { bytes: number }>(chosen: readonly T[], surplusBytes: number): T[] {
  let surplus = surplusBytes;
  return chosen.filter(({ bytes }) => {
    if (bytes > surplus) return true;
    surplus -= bytes;
    return false;
  });
}

export function isEvictable(draft: Draft, entry: Entry): boolean {
  return isVictim(draft, entry) && leasesOn(draft.state, entry.expert.id) === 0;
}

/** True for an expert that may be evicted as soon as it holds no lease. */
function isVictim(draft: Draft, entry: Entry): boolean {
  if (!isInMemory(entry) || entry.expert.pinned) return false;
  return draft.state.cells.get(cellOf(entry) ?? '')?.stopping !== true;
}

/** Asks for an expert's bytes back: its cell ends with it if it hosts nothing else. */
export function unload(draft: Draft, entry: Entry, why: string): void {
  const cell = cellOf(entry);
  if (cell === null || !isInMemory(entry)) return;
  const { nowMs, settings } = draft.state;
  const heldBytes = heldBytesOf(entry);
  noteWaste(draft, entry);
  const deadlineMs = nowMs + settings.loadDeadlineMs;
  draft.putEntry(entry.expert.id, {
    residency: { state: 'unloading', cell, sinceMs: nowMs, deadlineMs, heldBytes },
  });
  draft.because(`unload ${entry.expert.id} from ${cell} (${mb(heldBytes)}): ${why}`);
  const host = draft.state.cells.get(cell);
  if (host !== undefined && host.only !== null) stopCell(draft, host, 'it hosted that expert alone', false);
  else draft.steps.push({ type: 'unload', expert: entry.expert.id, cell });
}

/** Lets an expert's weights leave memory, and what it keeps for later with them. */
export function park(draft: Draft, entry: Entry, why: string): void {
  const { expert, residency } = entry;
  if (residency.state !== 'resident') return;
  const { nowMs, settings } = draft.state;
  const { cell } = residency;
  const deadlineMs = nowMs + settings.loadDeadlineMs;
  draft.putEntry(expert.id, {
    residency: { state: 'parking', cell, sinceMs: nowMs, deadlineMs },
    keptBytes: 0,
    coldBytes: 0,
  });
  draft.steps.push({ type: 'park', expert: expert.id, cell });
  const bytes = footprintBytes(expert) - parkedBytesOf(entry);
  draft.because(`park ${expert.id} in ${cell} (${mb(bytes)} leave memory): ${why}`);
}

/** Notes since when a cell hosts nothing. */
export function noteEmpty(draft: Draft, cell: string): void {
  const empty = entriesIn(draft.state, cell).length === 0;
  const since = draft.state.cells.get(cell)?.emptySinceMs ?? null;
  if (empty !== (since !== null)) draft.putCell(cell, { emptySinceMs: empty ? draft.state.nowMs : null });
}
