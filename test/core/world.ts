/**
 * A small world that carries out steps and answers with events, driven by numbers from a property test: which
 * operation ends next, what fails, who hangs up. It knows the true sizes that `decide` has to find out, and checks the
 * invariants of the core after every decision.
 */
import assert from 'node:assert/strict';
import { decide, initialState } from '../../agent/decide.ts';
import type { Device } from '../../agent/device.ts';
import type { Event, LoadReport } from '../../agent/events.ts';
import type { Policy } from '../../agent/policy.ts';
import { committedBytes, leasesOn } from '../../agent/residency.ts';
import type { PolicyNames, Settings } from '../../agent/tuning.ts';
import type { Decision, ExpertId, LeaseId, RequestId, State, Step } from '../../agent/types.ts';
import { nextDueMs } from '../../agent/upkeep.ts';
import { policyOf } from '../../policies/index.ts';
import { checkLoad, checkRefusal, checkState, nameOf } from './checks.ts';
import { Clients } from './clients.ts';
import { featuresOf, freed, lessonOf, testOf, wordsAlone } from './ends.ts';
import { BAD, CRASH, type Fault, FULL, type Happening } from './happening.ts';
import { features, MB, names } from './made.ts';
import { Shelf } from './shelf.ts';
import { TrueMemory, type TrueSize } from './true-memory.ts';

/** More decisions than this without time passing is a livelock. */
const MAX_DECISIONS_AT_ONCE = 2_000;

/** What every sample says. */
const bare = { agentBytes: 60 * MB, totalBytes: 1_000 * MB, cellFileBytes: new Map() };

export class World {
  readonly policy: Policy;
  state: State;
  nowMs = 0;
  /** What the next samples say of heat and power. */
  device: Device | null = null;
  /** What a `retrieve` finds, and what a run leaves behind for later ones. */
  sources = 2;
  /** Share of an expert that stays when it is parked. */
  stays = 0.2;
  keptBytes = 0;
  /** How long a run takes; null: nobody says. */
  runMs: number | null = null;
  readonly shelf = new Shelf();
  readonly log: { event: Event; decision: Decision }[] = [];
  /** Before anything happened. */
  readonly initial: State;
  readonly #clients = new Clients();
  readonly #memory: TrueMemory;
  #pending: { step: Step; cell: string | null }[] = [];
  readonly #cancelled = new Set<LeaseId>();
  #atOnce = 0;

  constructor(settings: Settings, sizes: ReadonlyMap<ExpertId, TrueSize>, policies: PolicyNames = names) {
    this.policy = policyOf(policies);
    this.initial = initialState(settings, 60 * MB);
    this.state = this.initial;
    this.#memory = new TrueMemory(sizes);
  }

  happen(happening: Happening): Decision {
    assert.ok(++this.#atOnce < MAX_DECISIONS_AT_ONCE, 'livelock: decisions go on while no time passes');
    const event = { ...happening, atMs: this.nowMs } as Event;
    this.shelf.see(happening);
    if (event.type === 'request') this.#clients.open(event.request);
    const before = this.state;
    const decision = decide(before, event, this.policy);
    this.log.push({ event, decision });
    this.state = decision.state;
    for (const step of decision.steps) this.#carryOut(step, before);
    this.#check(decision);
    return decision;
  }

  request(request: RequestId, model: ExpertId | null, waitMs: number | null = null): void {
    this.ask(request, { model, waitMs });
  }

  /** A request with everything to choose; `chat`, `auto` and the usual wait unless said. */
  ask(request: RequestId, change: Partial<Extract<Happening, { type: 'request' }>> = {}): Decision {
    const usual = {
      want: 'chat',
      model: null,
      features: features(),
      waitMs: null,
      keepAliveMs: null,
    } as const;
    return this.happen({ type: 'request', request, ...usual, ...change });
  }

  hangUp(request: RequestId): void {
    if (!this.#clients.isOpen(request)) return;
    this.#clients.end(request, 'gone');
    this.happen({ type: 'hungUp', request });
  }

  /** Ends one of the operations under way: well, or as `fault` says. */
  complete(index: number, fault: Fault | ((step: Step) => Fault)): void {
    if (this.#pending.length === 0) return;
    const [operation] = this.#pending.splice(index % this.#pending.length, 1);
    if (operation === undefined) return;
    const { step } = operation;
    if (operation.cell !== null && !this.#memory.cells.has(operation.cell) && step.type !== 'stop') return;
    this.#finish(step, typeof fault === 'function' ? fault(step) : fault);
  }

  /** Ends the operation under way of that name (see `nameOf`); returns the decision that followed. */
  finish(name: string, fault: Fault = 'none', report?: LoadReport): Decision {
    const index = this.#pending.findIndex(({ step }) => nameOf(step) === name);
    assert.ok(index >= 0, `"${name}" is not under way; there are ${this.underWay.join(', ')}`);
    const [operation] = this.#pending.splice(index, 1);
    if (operation !== undefined) this.#finish(operation.step, fault, report);
    return this.last;
  }

  get steps(): Step[] {
    return this.#pending.map(({ step }) => step);
  }

  get underWay(): string[] {
    return this.steps.map(nameOf);
  }

  /** The newest decision. */
  get last(): Decision {
    const entry = this.log.at(-1);
    assert.ok(entry !== undefined, 'nothing happened yet');
    return entry.decision;
  }

  /** A cell holds so many bytes beyond its base and its experts from now on. */
  holdExtra(cell: string, bytes: number): void {
    this.#memory.holdExtra(cell, bytes);
  }

  /** A process ends by itself; parts of the answers to `answered` went out before. */
  crash(cell: string, cause = 'killed by SIGSEGV', answered: readonly RequestId[] = []): Decision {
    for (const request of answered) this.#clients.end(request, 'answered in part');
    this.#exit(cell, cause, answered);
    return this.last;
  }

  /** `how`: by somebody, or by the kernel for want of memory. */
  kill(which: number | string, how: 'signal' | 'oom' = 'signal'): void {
    const cells = [...this.#memory.cells.keys()];
    const cell = typeof which === 'string' ? which : cells[which % Math.max(1, cells.length)];
    if (cell !== undefined) this.#exit(cell, 'killed by SIGKILL', [], how === 'oom');
  }

  /** What a cell says of an expert that it has parked. */
  tellCached(expert: ExpertId, coldBytes: number): Decision {
    const residency = this.state.experts.get(expert)?.residency;
    const cell = residency?.state === 'parked' ? residency.cell : 'fast-1';
    return this.happen({ type: 'cached', expert, cell, coldBytes });
  }

  sample(availableBytes: number | null, psi: number | null, psiFull: number | null = null): Decision {
    const cellBytes = new Map([...this.#memory.cells].map(([id]) => [id, this.cellBytes(id)]));
    const sample = { ...bare, cellBytes, availableBytes, psiSomeAvg10: psi, psiFullAvg10: psiFull };
    return this.happen({ type: 'sample', sample: { ...sample, device: this.device } });
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.#atOnce = 0;
    if (nextDueMs(this.state) <= this.nowMs) this.happen({ type: 'tick' });
  }

  /** Lets everything end by itself: no new requests, calm samples, time goes on until nothing is due. */
  drain(): void {
    for (let round = 0; round < 10_000; round++) {
      if (this.#pending.length > 0) {
        this.complete(0, 'none');
        continue;
      }
      if (this.state.requests.size === 0 && this.state.leases.size === 0) break;
      this.sample(800 * MB, 0);
      if (this.#pending.length > 0) continue;
      const due = nextDueMs(this.state);
      assert.ok(Number.isFinite(due), 'requests wait and nothing is due: a deadlock');
      this.pass(Math.max(1, due - this.nowMs));
    }
    assert.equal(this.state.requests.size, 0, 'a request was never answered');
    assert.equal(this.state.leases.size, 0, 'a lease never ended');
    assert.equal(this.#clients.waiting, 0, 'a client was never told');
  }

  /** How a request ended; undefined: it has not yet. */
  endOf(request: RequestId): string | undefined {
    return this.#clients.endOf(request);
  }

  /** What /proc would say: the process, and what its experts really take. */
  cellBytes(cell: string): number {
    return this.#memory.cellBytes(cell);
  }

  #park({ expert, cell }: Extract<Step, { type: 'park' }>, fault: Fault): void {
    if (fault !== 'none') {
      this.happen({ type: 'parkFailed', expert, cell, error: BAD });
      return;
    }
    this.#memory.park(expert, this.stays);
    const bytes = this.#memory.sizeOf(expert).residentBytes;
    const weights = { bytes, keptBytes: Math.round(bytes * this.stays) };
    this.happen({ type: 'parked', expert, cell, cellBytes: this.cellBytes(cell), weights });
  }

  #carryOut(step: Step, before: State): void {
    switch (step.type) {
      case 'load':
        checkLoad(this.state, step, this.#memory.cells.has(step.cell));
        assert.ok(!this.underWay.includes(nameOf(step)), 'two loads');
        if (!this.#memory.cells.has(step.cell)) this.#memory.cells.set(step.cell, new Set());
        this.#pending.push({ step, cell: step.cell });
        return;
      case 'stop':
        this.#pending.push({ step, cell: step.cell });
        return;
      case 'unload':
      case 'park':
        assert.equal(leasesOn(this.state, step.expert), 0, `${step.expert} is leased and was to leave`);
        this.#pending.push({ step, cell: step.cell });
        return;
      case 'grant':
      case 'embed':
      case 'learn':
      case 'test':
        assert.ok(this.#memory.has(step.cell, step.expert), `${step.expert} is not in ${step.cell}`);
        this.#memory.touch(step.expert);
        this.#pending.push({ step, cell: step.cell });
        return;
      case 'trim':
        // A lease of the same decision comes after it.
        assert.equal(leasesOn(before, step.expert), 0, `${step.expert} is leased and was to be trimmed`);
        this.#pending.push({ step, cell: step.cell });
        return;
      case 'rollout':
        this.shelf.told.push(step);
        if (step.phase !== 'probation') this.#pending.push({ step, cell: null });
        return;
      case 'route':
        this.#pending.push({ step, cell: null });
        return;
      case 'cancel':
        this.#cancelled.add(step.lease);
        return;
      case 'reject':
        checkRefusal(step.failure);
        return this.#clients.end(step.request, step.failure.code);
      case 'abstain':
        return this.#clients.end(step.request, 'abstained');
      case 'ready':
        assert.ok(this.#memory.isIn(step.expert), `${step.expert} is not in memory`);
        return this.#clients.end(step.request, 'ready');
      case 'fallback':
        return this.#clients.end(step.request, 'fallback');
      case 'chill':
      case 'warm':
        assert.ok(this.#isParked(step.expert), `${step.expert} is not parked: its pages are in use`);
        return;
    }
  }

  #isParked(expert: ExpertId): boolean {
    return this.state.experts.get(expert)?.residency.state === 'parked';
  }

  #finish(step: Step, fault: Fault, report?: LoadReport): void {
    const failure = { none: CRASH, fail: CRASH, broken: BAD, full: FULL }[fault];
    const error = fault === 'none' ? null : failure;
    switch (step.type) {
      case 'load':
        if (fault !== 'none') {
          this.happen({ type: 'loadFailed', expert: step.expert, cell: step.cell, error: failure });
          return;
        }
        return this.#loaded(step.expert, step.cell, report);
      case 'unload':
        if (fault === 'broken') {
          this.happen({ type: 'unloadFailed', expert: step.expert, cell: step.cell, error: BAD });
          return;
        }
        this.#memory.cells.get(step.cell)?.delete(step.expert);
        // A failed unload is one that gives no bytes back.
        if (fault !== 'none')
          this.holdExtra(step.cell, this.#memory.extraBytes(step.cell) + this.#memory.trueBytes(step.expert));
        this.happen({
          type: 'unloaded',
          expert: step.expert,
          cell: step.cell,
          cellBytes: this.cellBytes(step.cell),
        });
        return;
      case 'embed':
        this.happen(featuresOf(step, error));
        return;
      case 'route':
        this.happen(wordsAlone(step));
        return;
      case 'learn':
        this.happen(lessonOf(step, error));
        return;
      case 'grant':
        return this.#ran(step, fault === 'none');
      case 'test':
        this.#releaseHelper(step);
        this.happen(testOf(step, error));
        return;
      case 'rollout':
        for (const told of this.shelf.conclude(step)) this.happen(told);
        return;
      case 'park':
        return this.#park(step, fault);
      case 'trim': {
        const cellBytes = fault === 'none' ? this.cellBytes(step.cell) : null;
        this.happen({ type: 'trimmed', expert: step.expert, cell: step.cell, cellBytes });
        return;
      }
      case 'stop':
        return this.#exit(step.cell, step.kill ? 'killed by SIGKILL' : 'exit code 0');
      default:
        return;
    }
  }

  #ran(step: Extract<Step, { type: 'grant' }>, ok: boolean): void {
    const { request, lease, purpose, expert } = step;
    const sources = purpose === 'retrieve' && ok ? this.sources : 0;
    // One that gets more, or a refusal by the core, is answered later; one that hung up or was refused is not again.
    const isFinal = ok ? sources === 0 : purpose === 'answer' && !step.revocable;
    if (isFinal && this.#clients.isOpen(request) && !this.#cancelled.has(lease))
      this.#clients.end(request, `${expert} ${ok ? 'answered' : 'failed'}`);
    const stages: Record<string, number> = this.runMs === null ? {} : { cell: this.runMs };
    const keptBytes = ok ? this.keptBytes : null;
    this.happen({
      type: 'released',
      lease,
      outcome: { ok, error: ok ? null : BAD, stages, keptBytes, sources },
    });
  }

  /** The embedder is free again once the self-test that it helped with has ended. */
  #releaseHelper({ embedder }: Extract<Step, { type: 'test' }>): void {
    if (embedder !== null) this.happen(freed(embedder.lease));
  }

  #loaded(expert: ExpertId, cell: string, given?: LoadReport): void {
    const beforeBytes = this.cellBytes(cell);
    this.#memory.touch(expert);
    this.#memory.cells.get(cell)?.add(expert);
    const size = this.#memory.sizeOf(expert);
    const left = this.#memory.extraBytes(cell);
    this.#memory.holdExtra(cell, Math.max(0, left - size.residentBytes));
    const afterBytes = this.cellBytes(cell);
    const peakBytes = Math.max(0, size.loadBytes - left);
    const report = given ?? { beforeBytes, afterBytes, peakBytes, loadMs: 50 };
    this.happen({ type: 'loaded', expert, cell, report });
  }

  #exit(cell: string, cause: string, answered: readonly RequestId[] = [], oomKilled = false): void {
    if (!this.#memory.cells.delete(cell)) return;
    this.#memory.forget(cell);
    const ended = this.#pending.filter((operation) => operation.cell === cell);
    this.#pending = this.#pending.filter((operation) => operation.cell !== cell);
    this.happen({ type: 'cellExited', cell, cause, oomKilled, answered });
    for (const { step } of ended) if (step.type === 'test') this.#releaseHelper(step);
  }

  /** True where the core had a chance to know the size of everything in a cell. */
  #isMeasured(): boolean {
    const entries = [...this.state.experts.values()];
    return entries.every(({ residency, expert }) => !('cell' in residency) || expert.memory.measured);
  }

  /** What agent and cells really take at most, once the loads under way are done. */
  #bytesToBe(): number {
    let total = 60 * MB;
    for (const cell of this.#memory.cells.keys()) total += this.cellBytes(cell);
    for (const { step } of this.#pending) {
      if (step.type !== 'load') continue;
      const { loadBytes } = this.#memory.sizeOf(step.expert);
      total += Math.max(0, loadBytes - this.#memory.extraBytes(step.cell));
    }
    return total;
  }

  #check(decision: Decision): void {
    const { state, steps } = decision;
    if (steps.some((step) => step.type === 'load')) {
      // Invariant 1: no step takes reserved and measured bytes over the budget.
      assert.ok(committedBytes(state) <= state.settings.budgetBytes, 'a load went over the budget');
      if (this.#isMeasured()) {
        assert.ok(this.#bytesToBe() <= state.settings.budgetBytes, 'a load goes over the budget in truth');
      }
    }
    checkState(state);
  }
}
