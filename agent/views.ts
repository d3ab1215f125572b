/** What the agent shows of its state: pure projections for the front doors. */
import { contextOf } from './catalog/facts.ts';
import type { Package } from './catalog/package.ts';
import type { Device } from './device.ts';
import { progressOf } from './proving.ts';
import {
  cellCharge,
  cellOf,
  committedBytes,
  entriesIn,
  expectedBytes,
  leasesIn,
  leasesOn,
  measuredBytes,
} from './residency.ts';
import type { ExpertView, FleetView, LogHealth, RolloutView, StateView } from './service.ts';
import type { PolicyNames } from './tuning.ts';
import type { CellId, Entry, Expert, ExpertId, Pending, State } from './types.ts';
import { idleUntilMs } from './upkeep.ts';

export interface Counts {
  readonly loads: number;
  readonly loadFailures: number;
  readonly evictions: number;
  readonly cellExits: number;
}

/** A package, by which way it came, and what was made of it. */
export interface OnDisk extends Package {
  readonly origin: ExpertView['origin'];
  readonly prepared: ExpertView['prepared'];
}

export function expertViews(state: State, onDisk: (id: ExpertId) => OnDisk | null): ExpertView[] {
  const installed = [...state.experts.values()]
    // A candidate is no expert that anybody can ask: it is told with the one whose place it is to take.
    .filter(({ expert }) => expert.candidateOf === null)
    .map((entry) => installedView(state, entry, onDisk(entry.expert.id)));
  // One that is still leaving is shown until it has left.
  const pending = [...state.pending].filter(([id]) => !state.experts.has(id));
  return [...installed, ...pending.map(([id, one]) => pendingView(id, one))].sort((a, b) =>
    a.id < b.id ? -1 : 1,
  );
}

function installedView(state: State, entry: Entry, found: OnDisk | null): ExpertView {
  const { expert, residency } = entry;
  const { residentBytes, loadBytes, loadMs, measured } = expert.memory;
  const quarantined = residency.state === 'quarantined';
  return {
    id: expert.id,
    version: expert.version,
    task: expert.task,
    lane: expert.lane,
    summary: found?.manifest.summary ?? null,
    languages: expert.routing.languages,
    license: found?.manifest.license ?? null,
    source: found?.manifest.source ?? null,
    state: residency.state,
    leases: leasesOn(state, expert.id),
    pinned: expert.pinned,
    cell: cellOf(entry),
    memory: {
      residentBytes,
      loadBytes,
      loadMs,
      measured,
      cacheBytes: expert.cacheBytes,
      keptBytes: entry.keptBytes,
      parkedBytes: entry.parkedBytes,
      marginBytes: expert.marginBytes,
      coldBytes: residency.state === 'parked' ? entry.coldBytes : null,
      notParkable: entry.parkFailure?.message ?? null,
    },
    idleUntilMs: idleUntilMs(state, entry),
    base: baseOf(state, expert),
    origin: found?.origin ?? null,
    prepared: found?.prepared ?? null,
    files: found === null ? null : filesOf(found, expert),
    rollout: rolloutOf(state, expert.id),
    lastUsedMs: entry.lastUsedMs === 0 ? null : entry.lastUsedMs,
    uses: entry.uses,
    error:
      entry.lastError ??
      (quarantined ? { code: 'quarantined', message: residency.reason, hint: null, retryable: false } : null),
    progress: null,
    graph:
      found === null ? null : { inputs: found.manifest.model.inputs, outputs: found.manifest.model.outputs },
  };
}

function rolloutOf(state: State, expert: ExpertId): RolloutView | null {
  const pending = state.pending.get(expert);
  if (pending !== undefined) return fetchedView(pending);
  const rollout = state.rollouts.get(expert);
  if (rollout === undefined) return null;
  const { candidate, version, phase, canary, fresh, why } = rollout;
  return {
    version,
    phase,
    progress: null,
    share: canary?.share ?? null,
    answered: progressOf(rollout, state.nowMs).answered,
    failed: fresh.failed,
    state: state.experts.get(candidate)?.residency.state ?? null,
    error: why,
  };
}

function fetchedView({ version, state, doneBytes, totalBytes, error }: Pending): RolloutView {
  const progress = totalBytes === null ? null : doneBytes / Math.max(1, totalBytes);
  return { version, phase: state, progress, share: null, answered: 0, failed: 0, state: null, error };
}

/** Who speaks for an assistant, whether or not he can now. */
function baseOf({ settings }: State, { assistant, id }: Expert): ExpertId | null {
  const base = assistant === null ? null : (assistant.base ?? settings.generalist);
  return base === id ? null : base;
}

function filesOf({ manifest, digest }: Package, { cacheBytes }: Expert): NonNullable<ExpertView['files']> {
  const { files, model } = manifest;
  return {
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    digest,
    precision: model.precision,
    contextTokens: contextOf(manifest, cacheBytes),
  };
}

function pendingView(id: ExpertId, { version, state, doneBytes, totalBytes, error }: Pending): ExpertView {
  return {
    id,
    version,
    task: null,
    lane: null,
    summary: null,
    license: null,
    source: null,
    state,
    leases: 0,
    pinned: false,
    cell: null,
    memory: null,
    lastUsedMs: null,
    uses: 0,
    error,
    progress: totalBytes === null ? null : doneBytes / Math.max(1, totalBytes),
    graph: null,
  };
}

export interface StateViewInput {
  readonly state: State;
  /** The last look, also where it told nothing new and `decide` has not seen it. */
  readonly device: Device | null;
  readonly pids: ReadonlyMap<CellId, number>;
  readonly policies: PolicyNames;
  readonly log: LogHealth;
  readonly counts: Counts;
  /** Of an agent that is in one. */
  readonly fleet?: FleetView | null;
}

export function stateView(input: StateViewInput): StateView {
  const { state, device, pids, policies, log, counts, fleet = null } = input;
  const committed = committedBytes(state);
  const phases = [...state.requests.values()].map((request) => request.phase.name);
  return {
    budgetBytes: state.settings.budgetBytes,
    committedBytes: committed,
    measuredBytes: measuredBytes(state),
    agentBytes: state.sample?.agentBytes ?? null,
    availableBytes: state.sample?.availableBytes ?? null,
    pressure: state.pressure,
    device,
    loadCost: state.loadCost,
    admission: state.pressure.level === 'high' || committed > state.settings.budgetBytes ? 'closed' : 'open',
    cells: [...state.cells.values()].map((cell) => ({
      id: cell.id,
      lane: cell.lane,
      pid: pids.get(cell.id) ?? null,
      bytes: cellCharge(state, cell),
      measuredBytes: cell.measuredBytes === 0 ? null : cell.measuredBytes,
      expectedBytes: expectedBytes(state, cell),
      fileBytes: cell.fileBytes,
      experts: entriesIn(state, cell.id).map((entry) => entry.expert.id),
      leases: leasesIn(state, cell.id),
    })),
    waiting: phases.filter((name) => name === 'waiting').length,
    running: phases.filter((name) => name === 'leased').length,
    policies,
    log,
    counts,
    prefetch: state.guesses,
    fleet,
  };
}
