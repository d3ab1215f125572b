/**
 * The next state while `decide` works on it. Maps are copied at their first write, so the state that came in stays as
 * it was; what is said and done on the way is collected beside it.
 */
import { degradedBy } from './failures.ts';
import type { Policy } from './policy.ts';
import type {
  Cell,
  CellId,
  Choice,
  Decision,
  Entry,
  ExpertId,
  Failure,
  Lease,
  LeaseId,
  Loading,
  Request,
  RequestId,
  Rollout,
  State,
  Step,
} from './types.ts';

export class Draft {
  readonly policy: Policy;
  readonly reasons: string[] = [];
  readonly steps: Step[] = [];
  choice: Choice | null = null;
  #state: State;
  readonly #copied = new Set<Table>();

  constructor(state: State, policy: Policy) {
    this.#state = state;
    this.policy = policy;
  }

  get state(): State {
    return this.#state;
  }

  set(change: Partial<State>): void {
    this.#state = { ...this.#state, ...change };
  }

  finish(): Decision {
    return { reasons: this.reasons, choice: this.choice, steps: this.steps, state: this.#state };
  }

  because(reason: string): void {
    this.reasons.push(reason);
  }

  entry(id: ExpertId): Entry | undefined {
    return this.#state.experts.get(id);
  }

  putEntry(id: ExpertId, change: Partial<Entry>): void {
    const entry = this.#state.experts.get(id);
    if (entry !== undefined) this.#own('experts').set(id, { ...entry, ...change });
  }

  addEntry(entry: Entry): void {
    this.#own('experts').set(entry.expert.id, entry);
  }

  dropEntry(id: ExpertId): void {
    this.#own('experts').delete(id);
  }

  putCell(id: CellId, change: Partial<Cell>): void {
    const cell = this.#state.cells.get(id);
    if (cell !== undefined) this.#own('cells').set(id, { ...cell, ...change });
  }

  addCell(cell: Cell): void {
    this.#own('cells').set(cell.id, cell);
  }

  dropCell(id: CellId): void {
    this.#own('cells').delete(id);
  }

  putRequest(id: RequestId, change: Partial<Request>): void {
    const request = this.#state.requests.get(id);
    if (request !== undefined) this.#own('requests').set(id, { ...request, ...change });
  }

  addRequest(request: Request): void {
    this.#own('requests').set(request.id, request);
  }

  dropRequest(id: RequestId): void {
    this.#own('requests').delete(id);
  }

  addLease(lease: Omit<Lease, 'id' | 'sinceMs' | 'cancelled'>): LeaseId {
    const id = this.#state.nextLease;
    this.#own('leases').set(id, { ...lease, id, sinceMs: this.#state.nowMs, cancelled: false });
    this.set({ nextLease: id + 1 });
    return id;
  }

  putLease(id: LeaseId, change: Partial<Lease>): void {
    const lease = this.#state.leases.get(id);
    if (lease !== undefined) this.#own('leases').set(id, { ...lease, ...change });
  }

  dropLease(id: LeaseId): void {
    this.#own('leases').delete(id);
  }

  setPending(
    id: ExpertId,
    pending: State['pending'] extends ReadonlyMap<ExpertId, infer P> ? P | null : never,
  ): void {
    if (pending === null) this.#own('pending').delete(id);
    else this.#own('pending').set(id, pending);
  }

  setRollout(of: ExpertId, rollout: Rollout | null): void {
    if (rollout === null) this.#own('rollouts').delete(of);
    else this.#own('rollouts').set(of, rollout);
  }

  /** Answers a request with a refusal, or with what an assistant found for it, and forgets it. */
  reject(
    id: RequestId,
    failure: Failure,
    retryAfterMs: number | null = null,
    loading: Loading | null = null,
  ): void {
    const assistant = this.#state.requests.get(id)?.assistant ?? null;
    if (assistant === null) {
      this.steps.push({ type: 'reject', request: id, failure, retryAfterMs, loading });
      this.because(`refused: ${failure.message}`);
    } else {
      this.steps.push({ type: 'fallback', request: id, failure, degraded: degradedBy(failure.code) });
      this.because(`what ${assistant} found is the answer: ${failure.message}`);
    }
    this.dropRequest(id);
  }

  #own<K extends Table>(key: K): MapOf<State[K]> {
    if (!this.#copied.has(key)) {
      this.#copied.add(key);
      const copy: unknown = new Map(this.#state[key] as ReadonlyMap<unknown, unknown>);
      this.#state = { ...this.#state, [key]: copy };
    }
    // The copy above is this draft's own, so writing to it is safe.
    return this.#state[key] as unknown as MapOf<State[K]>;
  }
}

type Table = 'experts' | 'cells' | 'leases' | 'requests' | 'pending' | 'rollouts';
type MapOf<M> = M extends ReadonlyMap<infer K, infer V> ? Map<K, V> : never;
