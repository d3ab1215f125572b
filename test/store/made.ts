/** Entries as the loop would hand them over: small, hand-made, and consistent where the store looks. */

import type { Event } from '../../agent/events.ts';
import { NO_GUESSES } from '../../agent/guesses.ts';
import { NO_HABITS } from '../../agent/habits.ts';
import type { LogEntry } from '../../agent/ports.ts';
import { newEntry } from '../../agent/residency.ts';
import type { Settings } from '../../agent/tuning.ts';
import type {
  Choice,
  Decision,
  Entry,
  Expert,
  Features,
  Lease,
  Request,
  Residency,
  State,
  Step,
} from '../../agent/types.ts';
import { coolDevice } from '../fakes/survey.ts';

export const settings: Settings = {
  budgetBytes: 300_000_000,
  embedder: 'embedder',
  languageDetector: null,
  generalist: null,
  loadWaitMs: 30_000,
  loadDeadlineMs: 120_000,
  runDeadlineMs: { fast: 10_000, heavy: 300_000 },
  cancelGraceMs: 2_000,
  idleMs: 900_000,
  cellIdleMs: 30_000,
  parking: true,
  prefetch: true,
  swapDelayMs: 2_000,
  maxQueue: 512,
  maxCells: { fast: 2, heavy: 1 },
  cellConcurrency: { fast: 8, heavy: 1 },
  cellBaseBytes: 50_000_000,
  availableLowBytes: 64_000_000,
  psiSomeHigh: 20,
  psiFullHigh: 5,
  crashLimit: 3,
  crashWindowMs: 600_000,
  backoffMs: 1_000,
  minScore: 0.42,
  tieMargin: 0.02,
};

export function expert(id: string): Expert {
  return {
    id,
    version: '1.0.0',
    digest: id.padEnd(64, '0'),
    task: id === 'embedder' ? 'feature-extraction' : 'text-classification',
    lane: 'fast',
    isolation: 'shared',
    memory: { residentBytes: 30_000_000, loadBytes: 60_000_000, loadMs: 250, measured: true },
    weightBytes: 1_000_000,
    cacheBytes: 0,
    marginBytes: 0,
    fallback: null,
    parkable: false,
    needsEmbedding: false,
    assistant: null,
    pinned: false,
    candidateOf: null,
    routing: {
      languages: ['en'],
      rules: [{ any: [1, 2], all: [], not: [3], code: null }],
      vocabulary: Uint32Array.of(1, 2, 4_294_967_295),
      prototypes: [Int8Array.of(-127, 0, 127)],
    },
  };
}

export const absent: Residency = { state: 'absent' };
export const resident: Residency = { state: 'resident', cell: 'fast-1', sinceMs: 0 };
export const loading: Residency = { state: 'loading', cell: 'fast-1', sinceMs: 0, deadlineMs: 1e9 };

export function entryOf(id: string, residency: Residency): Entry {
  return { ...newEntry(expert(id)), residency };
}

export function stateOf(residencies: Readonly<Record<string, Residency>> = { embedder: resident }): State {
  return {
    nowMs: 0,
    settings,
    experts: new Map(Object.entries(residencies).map(([id, residency]) => [id, entryOf(id, residency)])),
    pending: new Map(),
    cells: new Map(),
    leases: new Map(),
    requests: new Map(),
    rollouts: new Map(),
    agentBytes: 70_000_000,
    habits: NO_HABITS,
    guesses: NO_GUESSES,
    sample: {
      agentBytes: 70_000_000,
      cellBytes: new Map([['fast-1', 90_000_000]]),
      cellFileBytes: new Map(),
      availableBytes: 500_000_000,
      totalBytes: 1_000_000_000,
      psiSomeAvg10: 0,
      psiFullAvg10: null,
      device: coolDevice({
        thermal: { zone: 'cpu-thermal', celsius: 75.5, slowCelsius: 80 },
        throttle: { now: ['frequency-capped'], seen: ['frequency-capped'] },
      }),
    },
    pressure: { level: 'ok', why: '' },
    loadCost: { factor: 2.1, why: 'cpu-thermal is at 75.5 C' },
    restUntilMs: 0,
    evictionAge: 0,
    nextCell: 2,
    nextLease: 1,
  };
}

/** What the tests of the store count as committed: anything that depends on the state will do. */
export function committedBytes(state: State): number {
  return state.agentBytes + state.leases.size;
}

/** Features as large as those of a question of ten words. */
export const features: Features = {
  terms: Uint32Array.from({ length: 27 }, (_, index) => index * 159_072_862),
  words: Uint32Array.from({ length: 10 }, (_, index) => index * 429_496_729),
  chars: 54,
  code: false,
  language: 'en',
  embedding: null,
};

export const embedding = Int8Array.from({ length: 384 }, (_, index) => ((index * 37) % 255) - 127);

/** A story that goes from state to state and keeps what the loop would have appended. */
export class Story {
  readonly entries: LogEntry[] = [];
  state: State;
  #nowMs: number;

  constructor(state: State, startMs = 1_000_000) {
    this.state = state;
    this.#nowMs = startMs;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  wait(ms: number): this {
    this.#nowMs += ms;
    return this;
  }

  add(event: Event, change: Partial<State>, decided: Partial<Omit<Decision, 'state'>> = {}): this {
    const before = this.state;
    const state = { ...before, ...change, nowMs: this.#nowMs };
    const decision = { reasons: [], choice: null, steps: [], ...decided, state };
    const asked = event.type === 'request' ? { sha256: 'ab'.repeat(32), chars: 54, text: null } : null;
    this.entries.push({ before, event, decision, asked });
    this.state = state;
    return this;
  }

  configured(): this {
    const policies = { router: ['rules', 'nearest'], residency: 'gdsf', combiner: 'best' };
    return this.add(
      { type: 'configured', atMs: this.#nowMs, settings, policies },
      {},
      { reasons: ['configured'] },
    );
  }

  /** A sample of the device on which nothing had to be decided. */
  sample(): this {
    const { sample } = this.state;
    return sample === null ? this : this.add({ type: 'sample', atMs: this.#nowMs, sample }, { sample });
  }

  /** A request for embeddings that is granted at once. */
  granted(id: string, expertId = 'embedder'): this {
    const choice = choiceOf(id, expertId, 'task');
    const lease = this.state.nextLease;
    return this.add(
      requestEvent(id, 'embeddings', this.#nowMs),
      { ...this.#leased(id, expertId, 'answer'), requests: this.#with(id) },
      { reasons: [`${expertId}: chosen by task`], choice, steps: [grant(id, expertId, lease)] },
    );
  }

  /** A question that waits for the embedder's answer. */
  embedding(id: string): this {
    const lease = this.state.nextLease;
    const step: Step = {
      type: 'embed',
      request: id,
      lease,
      expert: 'embedder',
      cell: 'fast-1',
      detector: null,
    };
    return this.add(
      requestEvent(id, 'chat', this.#nowMs),
      { ...this.#leased(id, 'embedder', 'embed'), requests: this.#with(id) },
      { steps: [step] },
    );
  }

  /** Its embedding came, and an expert that is resident was chosen. */
  routed(id: string, expertId: string): this {
    const lease = leaseOf(this.state, id);
    const choice = choiceOf(id, expertId, 'nearest');
    const next = this.state.nextLease;
    const { leases = new Map() } = this.#leased(id, expertId, 'answer');
    return this.add(
      { type: 'features', atMs: this.#nowMs, request: id, lease, language: null, embedding, error: null },
      { leases: new Map([...leases].filter(([key]) => key !== lease)), nextLease: next + 1 },
      { reasons: [`${expertId}: chosen by nearest, score 0.81`], choice, steps: [grant(id, expertId, next)] },
    );
  }

  /** Its run ended. */
  released(id: string, ok = true): this {
    const lease = leaseOf(this.state, id);
    const error = ok ? null : { code: 'run_failed', message: 'no', hint: null, retryable: false };
    const stages = { queue: 0.25, tokenize: 0.5, run: 3, total: 4.5 };
    const requests = new Map(this.state.requests);
    requests.delete(id);
    return this.add(
      {
        type: 'released',
        atMs: this.#nowMs,
        lease,
        outcome: { ok, error, stages, keptBytes: 0, sources: 0 },
      },
      { ...this.#without(lease), requests },
      { reasons: [ok ? 'it answered' : 'it failed'] },
    );
  }

  #with(id: string): State['requests'] {
    return new Map(this.state.requests).set(id, requestOf(id, this.#nowMs));
  }

  #leased(id: string, expertId: string, purpose: Lease['purpose']): Partial<State> {
    const lease = this.state.nextLease;
    const made: Lease = {
      id: lease,
      purpose,
      expert: expertId,
      cell: 'fast-1',
      request: id,
      subject: null,
      sinceMs: this.#nowMs,
      deadlineMs: this.#nowMs + 10_000,
      cancelled: false,
    };
    return { leases: new Map(this.state.leases).set(lease, made), nextLease: lease + 1 };
  }

  #without(lease: number): { leases: State['leases'] } {
    const leases = new Map(this.state.leases);
    leases.delete(lease);
    return { leases };
  }
}

function leaseOf(state: State, request: string): number {
  for (const lease of state.leases.values()) if (lease.request === request) return lease.id;
  throw new Error(`no lease of ${request}`);
}

export function requestOf(id: string, sinceMs: number): Request {
  return {
    id,
    want: 'embeddings',
    model: null,
    features,
    sinceMs,
    waitUntilMs: sinceMs + 30_000,
    attempt: 0,
    embeddingTried: false,
    keepAliveMs: null,
    assistant: null,
    degraded: null,
    insteadOf: null,
    failedBy: null,
    phase: { name: 'waiting', purpose: 'answer', expert: 'embedder' },
  };
}

export function requestEvent(
  id: string,
  want: 'chat' | 'embeddings',
  atMs: number,
  model: string | null = null,
): Event {
  return { type: 'request', atMs, request: id, want, model, features, waitMs: null, keepAliveMs: null };
}

export function grant(request: string, expertId: string, lease: number): Step {
  return {
    type: 'grant',
    request,
    lease,
    expert: expertId,
    cell: 'fast-1',
    wasResident: true,
    purpose: 'answer',
    assistant: null,
    degraded: null,
    revocable: false,
  };
}

export function choiceOf(request: string, expertId: string | null, router: string): Choice {
  return {
    request,
    expert: expertId,
    confidence: expertId === null ? null : 0.9,
    candidates:
      expertId === null ? [] : [{ expert: expertId, score: 0.81, confidence: 0.9, why: 'nearest example' }],
    router,
    language: null,
    predictedLoadMs: 0,
    residency: 'resident',
  };
}
