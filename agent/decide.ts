/**
 * The decision function: (state, event, policy) -> what to do, why, and the next state. Synchronous and pure: it reads
 * no clock, does no I/O and changes nothing that it was given, so every decision can be logged, explained and replayed.
 *
 * An event first changes the facts (below, one function a kind); what follows from the facts is the same for all and
 * in upkeep.ts: deadlines, memory given back, loads, grants.
 */
import { blame, isWornOut, quarantine } from './crashes.ts';
import { Draft } from './draft.ts';
import { noteEmpty } from './eviction.ts';
import { failures, mb } from './failures.ts';
import { forgetAllLessons, learned } from './lessons.ts';
import type { Policy } from './policy.ts';
import { readPressure } from './pressure.ts';
import {
  cellCharge,
  cellOf,
  entriesIn,
  heldBytes,
  isLoadingIn,
  oldestLease,
  profileOf,
  reservedBytes,
} from './residency.ts';
import { advance } from './routing.ts';
import type { Settings } from './tuning.ts';
import type { Cell, Decision, Entry, Event, Expert, Failure, Lease, Phase, State } from './types.ts';
import { cancelLease, settle } from './upkeep.ts';

type Of<T extends Event['type']> = Extract<Event, { type: T }>;

/** What an agent knows before anything happened. `agentBytes` is a bound until the first sample. */
export function initialState(settings: Settings, agentBytes: number): State {
  return {
    nowMs: 0,
    settings,
    experts: new Map(),
    pending: new Map(),
    cells: new Map(),
    leases: new Map(),
    requests: new Map(),
    agentBytes,
    sample: null,
    pressure: { level: 'ok', why: 'nothing was measured yet' },
    evictionAge: 0,
    nextCell: 1,
    nextLease: 1,
  };
}

export function decide(state: State, event: Event, policy: Policy): Decision {
  const draft = new Draft(state, policy);
  // The clock never goes back; neither does the state's, even if events were reordered on their way.
  draft.set({ nowMs: Math.max(state.nowMs, event.atMs) });
  apply(draft, event);
  settle(draft, event.type === 'sample');
  return draft.finish();
}

function apply(draft: Draft, event: Event): void {
  switch (event.type) {
    case 'configured':
      return configured(draft, event);
    case 'installed':
      return installed(draft, event.expert);
    case 'removed':
      draft.setPending(event.expert, null);
      return removed(draft, event.expert);
    case 'pending':
      return draft.entry(event.expert) === undefined
        ? draft.setPending(event.expert, event.pending)
        : undefined;
    case 'learned':
      return learned(draft, event);
    case 'request':
      return request(draft, event);
    case 'features':
      return features(draft, event);
    case 'hungUp':
      return hungUp(draft, event);
    case 'released':
      return released(draft, event);
    case 'loaded':
      return loaded(draft, event);
    case 'loadFailed':
      return loadFailed(draft, event);
    case 'unloaded':
      return unloaded(draft, event);
    case 'cellExited':
      return cellExited(draft, event);
    case 'sample':
      return sampled(draft, event);
    case 'command':
      return command(draft, event);
    case 'tick':
      return;
  }
}

// ---- what the device should have ------------------------------------------------------------------------------

function configured(draft: Draft, event: Of<'configured'>): void {
  const { settings } = event;
  if (settings.embedder !== draft.state.settings.embedder) forgetAllLessons(draft);
  draft.set({ settings });
  draft.because(
    `configured: budget ${mb(settings.budgetBytes)}, routers ${event.policies.router.join(', ')}`,
  );
}

function installed(draft: Draft, expert: Expert): void {
  draft.setPending(expert.id, null);
  const known = draft.entry(expert.id);
  if (known === undefined) {
    draft.because(`${expert.id} ${expert.version} is installed`);
    return draft.addEntry({
      expert,
      residency: { state: 'absent' },
      lastUsedMs: 0,
      uses: 0,
      ageAtUse: 0,
      crashesMs: [],
      notBeforeMs: 0,
      lastError: null,
      wanted: false,
      fate: null,
    });
  }
  if (known.expert.digest !== expert.digest) {
    draft.because(
      `${expert.id} ${expert.version} takes the place of ${known.expert.version} once that is free`,
    );
    return draft.putEntry(expert.id, { fate: { kind: 'replace', by: expert } });
  }
  const { memory, routing } = known.expert;
  const prototypes = expert.routing.prototypes ?? routing.prototypes;
  const same = { ...expert, memory, routing: { ...expert.routing, prototypes } };
  draft.putEntry(expert.id, { expert: same, fate: null });
}

function removed(draft: Draft, expert: string): void {
  draft.setPending(expert, null);
  draft.because(`${expert} is to leave this device`);
  draft.putEntry(expert, { fate: { kind: 'remove' }, wanted: false });
}

// ---- requests -------------------------------------------------------------------------------------------------

function request(draft: Draft, event: Of<'request'>): void {
  const { settings, requests, nowMs } = draft.state;
  if (requests.has(event.request)) return;
  const full = requests.size >= settings.maxQueue;
  draft.addRequest({
    id: event.request,
    want: event.want,
    model: event.model,
    features: event.features,
    sinceMs: nowMs,
    waitUntilMs: nowMs + (event.waitMs ?? settings.loadWaitMs),
    attempt: 0,
    // A dry run brings the embedding with it.
    embeddingTried: event.features.embedding !== null,
    phase: { name: 'waiting', purpose: 'embed', expert: settings.embedder ?? '' },
  });
  if (full) return draft.reject(event.request, failures.queueFull(settings.maxQueue), 1_000);
  advance(draft, event.request);
}

function features(draft: Draft, event: Of<'features'>): void {
  if (event.lease !== null) draft.dropLease(event.lease);
  const known = draft.state.requests.get(event.request);
  if (known === undefined || !awaitsFeatures(known.phase, event.lease)) return;
  if (event.error !== null) draft.because(`the embedder failed, words alone decide: ${event.error.message}`);
  draft.putRequest(event.request, {
    features: { ...known.features, embedding: event.embedding },
    embeddingTried: true,
  });
  advance(draft, event.request);
}

/** False for features that come late: their lease ended with its cell, and the request went another way. */
function awaitsFeatures(phase: Phase, lease: number | null): boolean {
  if (phase.name === 'leased') return phase.lease === lease;
  return lease === null && phase.purpose === 'embed';
}

function hungUp(draft: Draft, event: Of<'hungUp'>): void {
  const known = draft.state.requests.get(event.request);
  if (known === undefined) return;
  draft.because(`the client of ${event.request} hung up`);
  draft.dropRequest(event.request);
  if (known.phase.name !== 'leased') return;
  const lease = draft.state.leases.get(known.phase.lease);
  // It keeps the rest of its time: a run that cannot be cancelled is slow, not stuck.
  if (lease !== undefined) cancelLease(draft, lease, lease.deadlineMs);
}

function released(draft: Draft, event: Of<'released'>): void {
  const lease = draft.state.leases.get(event.lease);
  if (lease === undefined) return;
  draft.dropLease(lease.id);
  if (lease.request !== null && !lease.cancelled) draft.dropRequest(lease.request);
  const { ok, error } = event.outcome;
  draft.because(
    ok ? `${lease.expert} answered` : `${lease.expert} failed: ${error?.message ?? 'no reason given'}`,
  );
}

// ---- experts in cells -----------------------------------------------------------------------------------------

/** The entry, if it is in that state in that cell; an event about anything else is late and says nothing. */
function inState(draft: Draft, id: string, cell: string, state: Entry['residency']['state']): Entry | null {
  const entry = draft.entry(id);
  return entry !== undefined && entry.residency.state === state && cellOf(entry) === cell ? entry : null;
}

function loaded(draft: Draft, event: Of<'loaded'>): void {
  const entry = inState(draft, event.expert, event.cell, 'loading');
  const cell = draft.state.cells.get(event.cell);
  if (entry === null || cell === undefined) return;
  const { report } = event;
  // Only the first load in a cell shows what it costs bare: later ones may find what unloads left behind.
  if (cell.measuredBytes === 0 && report.beforeBytes !== null)
    draft.putCell(cell.id, { baseBytes: report.beforeBytes });
  const memory = profileOf(entry.expert.memory, report, heldBytes(draft.state, cell.id));
  if (report.afterBytes !== null) draft.putCell(cell.id, { measuredBytes: report.afterBytes });
  draft.putEntry(event.expert, {
    expert: { ...entry.expert, memory },
    residency: { state: 'resident', cell: cell.id, sinceMs: draft.state.nowMs },
    lastError: null,
  });
  draft.because(
    `${event.expert} is in ${cell.id}: ${mb(memory.residentBytes)}, ${Math.round(report.loadMs)} ms`,
  );
}

function loadFailed(draft: Draft, event: Of<'loadFailed'>): void {
  const entry = inState(draft, event.expert, event.cell, 'loading');
  if (entry === null) return;
  draft.putEntry(event.expert, { residency: { state: 'absent' } });
  noteEmpty(draft, event.cell);
  failedToLoad(draft, event.expert, event.error);
}

function failedToLoad(draft: Draft, expert: string, error: Failure): void {
  draft.putEntry(expert, { lastError: error });
  if (!error.retryable) return quarantine(draft, expert, error);
  blame(draft, expert, `its load failed: ${error.message}`);
  if (isWornOut(draft, expert)) return quarantine(draft, expert, error);
  // Waiters stay for one more try; whoever has had it is told.
  for (const waiter of [...draft.state.requests.values()]) {
    if (waiter.phase.name !== 'waiting' || waiter.phase.expert !== expert) continue;
    if (waiter.phase.purpose !== 'answer') continue;
    if (waiter.attempt > 0) draft.reject(waiter.id, failures.loadFailed(expert, error), 1_000);
    else draft.putRequest(waiter.id, { attempt: 1 });
  }
}

function unloaded(draft: Draft, event: Of<'unloaded'>): void {
  const entry = inState(draft, event.expert, event.cell, 'unloading');
  if (entry === null) return;
  draft.putEntry(event.expert, { residency: { state: 'absent' } });
  noteEmpty(draft, event.cell);
  // What a cell measures while something loads in it says nothing of the unload.
  if (event.cellBytes !== null && !isLoadingIn(draft.state, event.cell))
    draft.putCell(event.cell, { measuredBytes: event.cellBytes });
  const after =
    event.cellBytes === null ? 'nothing was measured' : `${event.cell} measures ${mb(event.cellBytes)}`;
  draft.because(`${event.expert} left ${event.cell}: ${after}`);
}

function cellExited(draft: Draft, event: Of<'cellExited'>): void {
  const cell = draft.state.cells.get(event.cell);
  if (cell === undefined) return;
  draft.because(`${cell.id} ended: ${event.cause}`);
  const leases = [...draft.state.leases.values()].filter((lease) => lease.cell === cell.id);
  const worked = oldestLease(draft.state, cell.id);
  for (const lease of leases) draft.dropLease(lease.id);
  if (worked !== null && !cell.stopping) blame(draft, worked.expert, `its process ended (${event.cause})`);
  emptyCell(draft, cell, event.cause);
  draft.dropCell(cell.id);
  for (const lease of leases) retryOrRefuse(draft, lease, event);
}

/** Every expert of a cell that ended is absent; a load that was under way has failed. */
function emptyCell(draft: Draft, cell: Cell, cause: string): void {
  const { nowMs, settings } = draft.state;
  for (const { expert, residency } of entriesIn(draft.state, cell.id)) {
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
function retryOrRefuse(draft: Draft, lease: Lease, event: Of<'cellExited'>): void {
  if (lease.request === null) return;
  const known = draft.state.requests.get(lease.request);
  if (known === undefined || lease.cancelled) return;
  if (event.answered.includes(known.id)) return draft.dropRequest(known.id);
  if (known.attempt > 0) return draft.reject(known.id, failures.cellExited(lease.expert, event.cause), 1_000);
  if (draft.entry(lease.expert)?.residency.state === 'quarantined') {
    return draft.reject(known.id, failures.cellExited(lease.expert, event.cause));
  }
  const { nowMs, settings } = draft.state;
  const waitUntilMs = Math.max(known.waitUntilMs, nowMs + settings.loadWaitMs);
  const purpose = lease.purpose === 'embed' ? 'embed' : 'answer';
  draft.putRequest(known.id, {
    attempt: 1,
    waitUntilMs,
    phase: { name: 'waiting', purpose, expert: lease.expert },
  });
  draft.because(`${known.id} is tried once more`);
}

// ---- the device, and people -----------------------------------------------------------------------------------

function sampled(draft: Draft, event: Of<'sample'>): void {
  const { sample } = event;
  draft.set({ sample });
  if (sample.agentBytes !== null) draft.set({ agentBytes: sample.agentBytes });
  for (const [id, bytes] of sample.cellBytes) {
    const cell = draft.state.cells.get(id);
    if (cell === undefined) continue;
    // While something loads, only growth beyond its reservation counts; the reservation itself is charged already.
    const charged = cellCharge(draft.state, cell);
    if (!isLoadingIn(draft.state, id)) draft.putCell(id, { measuredBytes: bytes });
    else if (bytes > charged) draft.putCell(id, { measuredBytes: bytes - reservedBytes(draft.state, id) });
  }
  const before = draft.state.pressure.level;
  draft.set({ pressure: readPressure(sample, draft.state) });
  const { level, why } = draft.state.pressure;
  if (level !== before) draft.because(`memory pressure is ${level}: ${why}`);
}

function command(draft: Draft, event: Of<'command'>): void {
  const entry = draft.entry(event.expert);
  if (entry === undefined) return;
  draft.because(`${event.command} ${event.expert}: asked for by hand`);
  switch (event.command) {
    case 'load':
      return draft.putEntry(event.expert, {
        wanted: entry.residency.state === 'absent',
        notBeforeMs: 0,
        fate: entry.fate?.kind === 'unload' ? null : entry.fate,
      });
    case 'unload':
      return draft.putEntry(event.expert, { wanted: false, fate: entry.fate ?? { kind: 'unload' } });
    case 'pin':
      return draft.putEntry(event.expert, { expert: { ...entry.expert, pinned: true } });
    case 'unpin':
      return draft.putEntry(event.expert, { expert: { ...entry.expert, pinned: false } });
    case 'clear':
      return clear(draft, entry);
  }
}

/** Ends an expert's quarantine and forgets what led to it. */
function clear(draft: Draft, entry: Entry): void {
  const { residency, expert } = entry;
  draft.putEntry(expert.id, {
    residency: residency.state === 'quarantined' ? { state: 'absent' } : residency,
    crashesMs: [],
    notBeforeMs: 0,
    lastError: null,
  });
}
