/**
 * The table of experts and cells against the budget. Pure arithmetic over `State`; nothing here decides.
 *
 * A cell is charged the larger of what was measured and what its experts are known to take, so bytes of an unload stay
 * charged until a measurement saw them return. Loads under way come on top with their reservation.
 */
import type { LoadReport } from './events.ts';
import type { Cell, CellId, Entry, Expert, ExpertId, Lease, LeaseId, MemoryProfile, State } from './types.ts';

/** Mapped weights count as far as they were touched: at least this share is, once a session was built. */
const LEAST_SHARE = 0.25;

/** An expert of which nothing has happened yet. */
export function newEntry(expert: Expert): Entry {
  return {
    expert,
    residency: { state: 'absent' },
    lastUsedMs: 0,
    uses: 0,
    ageAtUse: 0,
    crashesMs: [],
    notBeforeMs: 0,
    lastError: null,
    wanted: false,
    dismissed: false,
    fate: null,
    keepAliveMs: null,
    keptBytes: 0,
    parkedBytes: null,
    parkFailure: null,
    coldBytes: 0,
    guessed: false,
  };
}

/** The cell that hosts, receives or releases this expert; null while it is in none. */
export function cellOf(entry: Entry): CellId | null {
  return 'cell' in entry.residency ? entry.residency.cell : null;
}

export function entriesIn(state: State, cell: CellId): Entry[] {
  const found: Entry[] = [];
  for (const entry of state.experts.values()) if (cellOf(entry) === cell) found.push(entry);
  return found;
}

export function leasesIn(state: State, cell: CellId): number {
  let count = 0;
  for (const lease of state.leases.values()) if (lease.cell === cell) count++;
  return count;
}

export function leasesOn(state: State, expert: ExpertId): number {
  let count = 0;
  for (const lease of state.leases.values()) if (lease.expert === expert) count++;
  return count;
}

/** The lease that its cell works on: cells run one at a time, in the order of the leases. */
export function oldestLease(state: State, cell: CellId): Lease | null {
  let oldest: LeaseId | null = null;
  for (const lease of state.leases.values()) {
    if (lease.cell === cell && (oldest === null || lease.id < oldest)) oldest = lease.id;
  }
  return oldest === null ? null : (state.leases.get(oldest) ?? null);
}

export function isLoadingIn(state: State, cell: CellId): boolean {
  return entriesIn(state, cell).some((entry) => entry.residency.state === 'loading');
}

/** True for an expert whose sessions are built and at rest: it can be leased, parked or unloaded. */
export function isInMemory({ residency }: Entry): boolean {
  return residency.state === 'resident' || residency.state === 'parked';
}

/** True for a cell in which nothing runs, comes or goes. */
export function isAtRest(state: State, cell: CellId): boolean {
  return leasesIn(state, cell) === 0 && entriesIn(state, cell).every(isInMemory);
}

/** True while something is given back there: what a cell measures then says nothing else. */
export function isUnloadingIn(state: State, cell: CellId): boolean {
  return entriesIn(state, cell).some(
    ({ residency: { state: is } }) => is === 'unloading' || is === 'parking',
  );
}

/** Bytes that an expert holds in memory: what its load was measured to take, room for keys and values, and a margin. */
export function footprintBytes({ memory, cacheBytes, marginBytes }: Expert): number {
  return memory.residentBytes + cacheBytes + marginBytes;
}

/** Taken to stay of what was never parked before, as a share: sessions, tokenizer, what cannot leave. */
const STAYING_SHARE = 0.25;

/** Bytes that stay in memory while an expert is parked. */
export function parkedBytesOf({ expert, parkedBytes }: Entry): number {
  return parkedBytes ?? Math.ceil(expert.memory.residentBytes * STAYING_SHARE);
}

/** Bytes that an expert is charged with while it is in a cell, but for its load. */
export function heldBytesOf(entry: Entry): number {
  const { residency, expert } = entry;
  if (residency.state === 'unloading') return residency.heldBytes;
  return residency.state === 'parked' ? parkedBytesOf(entry) : footprintBytes(expert);
}

/** True for an expert whose weights can leave memory without it. */
export function canPark(state: State, { expert, parkFailure }: Entry): boolean {
  return state.settings.parking && expert.parkable && parkFailure === null;
}

/** Bytes that must be free for its load, so that it can also stay. */
export function loadNeedBytes(expert: Expert): number {
  return Math.max(expert.memory.loadBytes, footprintBytes(expert));
}

/** Bytes that a cell counts for: see the head of this file. */
export function cellCharge(state: State, cell: Cell): number {
  return charge(cell, entriesIn(state, cell.id));
}

/**
 * Bytes that a cell is expected to measure at rest: bare, its experts without the room that nobody has taken yet, and what
 * was left behind when it was seen at rest last.
 */
export function expectedBytes(state: State, cell: Cell): number {
  return knownBytes(state, cell) + cell.residueBytes;
}

/** Of a cell at rest that measures so much: what nobody is known to hold. */
export function residueBytes(state: State, cell: Cell, measuredBytes: number): number {
  return Math.max(0, measuredBytes - knownBytes(state, cell));
}

function knownBytes(state: State, cell: Cell): number {
  let total = cell.baseBytes;
  for (const entry of entriesIn(state, cell.id)) {
    const { residency, expert, keptBytes } = entry;
    if (residency.state === 'parked') total += parkedBytesOf(entry);
    else if (residency.state !== 'loading') total += expert.memory.residentBytes + keptBytes;
  }
  return total;
}

/** Bytes of a bare cell and of what its experts are known to take; loads under way are not among them. */
export function heldBytes(state: State, cell: CellId): number {
  return (state.cells.get(cell)?.baseBytes ?? 0) + split(entriesIn(state, cell)).resident;
}

/** Bytes that are reserved for the loads under way in a cell. */
export function reservedBytes(state: State, cell: CellId): number {
  return split(entriesIn(state, cell)).reserved;
}

function charge(cell: Cell, entries: readonly Entry[]): number {
  const { resident, reserved } = split(entries);
  return Math.max(cell.measuredBytes, cell.baseBytes + resident) + reserved;
}

function split(entries: readonly Entry[]): { resident: number; reserved: number } {
  let resident = 0;
  let reserved = 0;
  for (const entry of entries) {
    const { residency, expert } = entry;
    if (residency.state === 'loading') reserved += loadNeedBytes(expert);
    else resident += heldBytesOf(entry);
  }
  return { resident, reserved };
}

/**
 * What was known, corrected by what a load measured; what was not measured stays as it was. Bytes that the cell held
 * before beyond `heldBytes` were left behind by unloads, and the load may have taken from them without growing the cell:
 * up to what was known, they count as taken.
 */
export function profileOf(
  { memory: known, weightBytes }: Expert,
  report: LoadReport,
  heldBytes: number,
): MemoryProfile {
  const { beforeBytes, afterBytes, peakBytes, loadMs } = report;
  if (beforeBytes === null || afterBytes === null) return { ...known, loadMs };
  const leftBytes = Math.max(0, beforeBytes - heldBytes);
  const corrected = (seen: number, bound: number): number =>
    Math.max(seen, Math.min(bound, seen + leftBytes));
  const seenBytes = Math.max(0, afterBytes - beforeBytes);
  // PSS moves by megabytes when other processes come and go: a growth far below the weights is that, and not the load.
  const grownBytes = seenBytes < weightBytes * LEAST_SHARE ? weightBytes : seenBytes;
  const residentBytes = corrected(grownBytes, known.residentBytes);
  const loadBytes = Math.max(residentBytes, corrected(peakBytes ?? 0, known.loadBytes));
  return { residentBytes, loadBytes, loadMs, measured: true };
}

/** Everything that counts against the budget: the agent, its cells, their experts, loads under way. */
export function committedBytes(state: State): number {
  const byCell = new Map<CellId, Entry[]>();
  for (const entry of state.experts.values()) {
    const cell = cellOf(entry);
    if (cell === null) continue;
    const entries = byCell.get(cell);
    if (entries === undefined) byCell.set(cell, [entry]);
    else entries.push(entry);
  }
  let total = state.agentBytes;
  for (const cell of state.cells.values()) total += charge(cell, byCell.get(cell.id) ?? []);
  return total;
}

/** What was measured last, agent and cells; null where nothing was measured. */
export function measuredBytes(state: State): number | null {
  if (state.sample === null || state.sample.agentBytes === null) return null;
  let total = state.sample.agentBytes;
  for (const bytes of state.sample.cellBytes.values()) total += bytes;
  return total;
}

/** What a new cell is reserved at: the largest base seen so far, else the setting. */
export function freshCellBytes(state: State): number {
  let largest = 0;
  for (const cell of state.cells.values()) largest = Math.max(largest, cell.baseBytes);
  return largest === 0 ? state.settings.cellBaseBytes : largest;
}

/** The least budget under which this expert could ever be loaded: the agent, one cell, the load itself. */
export function leastBudgetBytes(state: State, expert: Expert): number {
  return state.agentBytes + freshCellBytes(state) + loadNeedBytes(expert);
}

/** The pinned experts that are in a cell. */
export function pinnedEntries(state: State): Entry[] {
  return [...state.experts.values()].filter((entry) => entry.expert.pinned && cellOf(entry) !== null);
}

/** The experts in cells that no eviction takes away now: pinned, at work or about to be, on their way in. */
export function stayingEntries(state: State): Entry[] {
  return [...state.experts.values()].filter((entry) => {
    const { expert, residency } = entry;
    const cell = state.cells.get(cellOf(entry) ?? '');
    if (cell === undefined || cell.stopping || residency.state === 'unloading') return false;
    if (expert.pinned || residency.state === 'loading') return true;
    return leasesOn(state, expert.id) > 0 || hasWaiter(state, expert.id);
  });
}

/** As `leastBudgetBytes`, with what is pinned elsewhere kept: `pinnedEntries`, or others that are to stay. */
export function leastBudgetBesidePinned(state: State, expert: Expert, pinned: readonly Entry[]): number {
  let total = state.agentBytes + loadNeedBytes(expert);
  let hasCell = false;
  const counted = new Set<CellId>();
  for (const entry of pinned) {
    const cell = state.cells.get(cellOf(entry) ?? '');
    if (cell === undefined || entry.expert.id === expert.id) continue;
    total += footprintBytes(entry.expert) + (counted.has(cell.id) ? 0 : cell.baseBytes);
    counted.add(cell.id);
    if (cell.lane === expert.lane && cell.only === null && expert.isolation === 'shared') hasCell = true;
  }
  return hasCell ? total : total + freshCellBytes(state);
}

/** True where some request that came no later than `untilMs` waits for this expert. */
export function hasWaiter(state: State, expert: ExpertId, untilMs = Number.POSITIVE_INFINITY): boolean {
  for (const { phase, sinceMs } of state.requests.values()) {
    if (phase.name === 'waiting' && phase.expert === expert && sinceMs <= untilMs) return true;
  }
  return false;
}
