import { retrieved } from './assistants.ts';
import { noteAnswer } from './canary.ts';
import { Draft } from './draft.ts';
import type { Event } from './events.ts';
import { failures, mb } from './failures.ts';
import { NO_GUESSES } from './guesses.ts';
import { afterChoice, NO_HABITS, without } from './habits.ts';
import { COOL, isRaised, loadCostOf, sayLoadCost } from './heat.ts';
import {
  cached,
  cellExited,
  loaded,
  loadFailed,
  parked,
  parkFailed,
  trimmed,
  unloaded,
  unloadFailed,
} from './hosting.ts';
import { forgetAllLessons, learned } from './lessons.ts';
import type { Policy } from './policy.ts';
import { readPressure } from './pressure.ts';
import { candidateLeaves, dismiss, rolledBack, staged, tested } from './proving.ts';
import {
  cellCharge,
  isAtRest,
  isInMemory,
  isLoadingIn,
  newEntry,
  reservedBytes,
  residueBytes,
} from './residency.ts';
import { advance } from './routing.ts';
import { refuseOrReplace } from './stand-ins.ts';
import type { Settings } from './tuning.ts';
import type { Decision, Entry, Expert, LoadCost, Phase, State } from './types.ts';
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
    rollouts: new Map(),
    agentBytes,
    sample: null,
    pressure: { level: 'ok', why: 'nothing was measured yet' },
    loadCost: COOL,
    restUntilMs: 0,
    evictionAge: 0,
    habits: NO_HABITS,
    guesses: NO_GUESSES,
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
    case 'staged':
      return staged(draft, event);
    case 'rolledBack':
      return rolledBack(draft, event);
    case 'tested':
      return tested(draft, event);
    case 'pending':
      return draft.setPending(event.expert, event.pending);
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
    case 'parked':
      return parked(draft, event);
    case 'cached':
      return cached(draft, event);
    case 'remembered':
      // Nothing was asked yet of this process, so nothing is guessed.
      return draft.set({ habits: { ...event.sequence.reduce(afterChoice, NO_HABITS), isOpen: false } });
    case 'parkFailed':
      return parkFailed(draft, event);
    case 'trimmed':
      return trimmed(draft, event);
    case 'unloadFailed':
      return unloadFailed(draft, event);
    case 'cellExited':
      return cellExited(draft, event);
    case 'sample':
      return sampled(draft, event);
    case 'command':
      return command(draft, event);
    case 'ordered':
      return draft.because(
        `${event.what} ${event.order}: ${event.state}${event.why === null ? '' : `, ${event.why}`}`,
      );
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
    return draft.addEntry(newEntry(expert));
  }
  const isOther = known.expert.digest !== expert.digest;
  // Its cell was told at the load how much room there is.
  if (isOther || known.expert.cacheBytes !== expert.cacheBytes) {
    draft.because(
      isOther
        ? `${expert.id} ${expert.version} takes the place of ${known.expert.version} once that is free`
        : `${expert.id} gets ${mb(expert.cacheBytes)} for keys and values once it is free`,
    );
    // Whoever was in memory is to be there again, before somebody waits for it.
    const wanted = known.wanted || isInMemory(known);
    return draft.putEntry(expert.id, { wanted, fate: { kind: 'replace', by: expert } });
  }
  const { memory, routing, marginBytes } = known.expert;
  const prototypes = expert.routing.prototypes ?? routing.prototypes;
  const same = { ...expert, memory, marginBytes, routing: { ...expert.routing, prototypes } };
  draft.putEntry(expert.id, { expert: same, fate: null });
}

function removed(draft: Draft, expert: string): void {
  const entry = draft.entry(expert);
  if (entry !== undefined) candidateLeaves(draft, entry);
  draft.setRollout(expert, null);
  dismiss(draft, expert, null);
  draft.setPending(expert, null);
  draft.because(`${expert} is to leave this device`);
  draft.putEntry(expert, { fate: { kind: 'remove' }, wanted: false });
  draft.set({ habits: without(draft.state.habits, expert) });
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
    keepAliveMs: event.keepAliveMs,
    assistant: null,
    degraded: null,
    insteadOf: null,
    failedBy: null,
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
    features: {
      ...known.features,
      embedding: event.embedding,
      language: event.language ?? known.features.language,
    },
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
  const { ok, error, keptBytes } = event.outcome;
  // It is idle from now on, not since it was asked.
  draft.putEntry(lease.expert, {
    lastUsedMs: draft.state.nowMs,
    ...(keptBytes === null ? {} : { keptBytes }),
  });
  draft.because(
    ok ? `${lease.expert} answered` : `${lease.expert} failed: ${error?.message ?? 'no reason given'}`,
  );
  // What its weights are now is anybody's guess: it is loaded anew.
  if (error?.code === 'weights_changed') {
    draft.putEntry(lease.expert, {
      parkFailure: error,
      fate: draft.entry(lease.expert)?.fate ?? { kind: 'discard' },
    });
  }
  if (ok && !lease.cancelled) noteAnswer(draft, lease, event.outcome.stages);
  if (lease.request === null || lease.cancelled) return;
  // Nobody was told of this failure yet.
  const isRevocable = draft.state.requests.get(lease.request)?.insteadOf != null;
  if (isRevocable && error !== null) return refuseOrReplace(draft, lease.request, error);
  if (lease.purpose === 'retrieve' && retrieved(draft, lease, event.outcome)) return;
  draft.dropRequest(lease.request);
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
    draft.putCell(id, { fileBytes: sample.cellFileBytes.get(id) ?? null });
    if (isAtRest(draft.state, id))
      draft.putCell(id, { residueBytes: residueBytes(draft.state, cell, bytes) });
    if (!isLoadingIn(draft.state, id)) draft.putCell(id, { measuredBytes: bytes });
    else if (bytes > charged) draft.putCell(id, { measuredBytes: bytes - reservedBytes(draft.state, id) });
  }
  const before = draft.state.pressure.level;
  draft.set({ pressure: readPressure(sample, draft.state) });
  const { level, why } = draft.state.pressure;
  if (level !== before) draft.because(`memory pressure is ${level}: ${why}`);
  feelHeat(draft, loadCostOf(sample.device));
}

/** Degrees come and go: only the beginning and the end of a raised cost are told. */
function feelHeat(draft: Draft, loadCost: LoadCost): void {
  const wasRaised = isRaised(draft.state.loadCost);
  draft.set({ loadCost });
  if (isRaised(loadCost) === wasRaised) return;
  draft.because(wasRaised ? 'loads cost what they did on a cool device' : sayLoadCost(loadCost));
}

function command(draft: Draft, event: Of<'command'>): void {
  const entry = draft.entry(event.expert);
  // What becomes of a candidate is for its rollout to say.
  if (entry === undefined || entry.expert.candidateOf !== null) return;
  draft.because(`${event.command} ${event.expert}: asked for by hand`);
  switch (event.command) {
    case 'load':
      return draft.putEntry(event.expert, {
        wanted: entry.residency.state === 'absent' || entry.residency.state === 'parked',
        dismissed: false,
        keepAliveMs: null,
        notBeforeMs: 0,
        fate: entry.fate?.kind === 'unload' || entry.fate?.kind === 'park' ? null : entry.fate,
      });
    case 'park':
      return draft.putEntry(event.expert, { fate: entry.fate ?? { kind: 'park' } });
    case 'unload':
      return draft.putEntry(event.expert, {
        wanted: false,
        dismissed: true,
        fate: entry.fate ?? { kind: 'unload' },
      });
    case 'pin':
      return draft.putEntry(event.expert, { dismissed: false, expert: { ...entry.expert, pinned: true } });
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
    parkFailure: null,
    expert: { ...expert, marginBytes: 0 },
  });
}
