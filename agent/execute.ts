/** Carries out steps: one method a kind. What comes of a step re-enters the loop as an event. */
import type { Desk } from './desk.ts';
import { toFailure } from './errors.ts';
import type { Event } from './events.ts';
import { degradedBy } from './failures.ts';
import type { Happening } from './loop.ts';
import { quantize } from './perception.ts';
import type { Ask, Catalog, Clock, Memory, RunReport, Runtime } from './ports.ts';
import { selfTest } from './selftest.ts';
import { look } from './senses.ts';
import { askForAssistant, sourcesOf } from './speaking.ts';
import type { CellId, Decision, ExpertId, Failure, LeaseId, RequestId, State, Step } from './types.ts';

export interface ExecutorOptions {
  readonly runtime: Runtime;
  readonly catalog: Catalog;
  readonly memory: Memory;
  readonly desk: Desk;
  readonly clock: Clock;
  readonly push: (happening: Happening) => void;
  readonly state: () => State;
}

type Of<T extends Step['type']> = Extract<Step, { type: T }>;

/** How a lease ended, with the time of each stage in ms. */
type Ended = { readonly stages: Readonly<Record<string, number>> } & (
  | { readonly report: RunReport }
  | { readonly failure: Failure }
);

/** The code of every failure that a `cellExited` event tells as well: that event decides what follows. */
const CELL_EXITED = 'cell_exited';
/** Of the time that a load has left: the rest is for the load itself, which must not be blamed for what is optional. */
const PREPARATION_SHARE = 0.5;

export class Executor {
  readonly #options: ExecutorOptions;
  /** Runs under way, so that the exit of a cell finds its requests. */
  readonly #running = new Map<LeaseId, { cell: CellId; request: RequestId | null }>();

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  /** Carries out a decision that was recorded as number `sequence`. */
  carryOut(event: Event, decision: Decision, sequence: number): void {
    const { choice, state } = decision;
    if (choice !== null) {
      this.#options.desk.chosen(choice, sequence);
    }
    if (event.type === 'loaded') this.#keepProfile(event.expert, state);
    for (const step of decision.steps) this.#execute(step, sequence, state);
  }

  /** A cell's process has ended: streams that had begun end with an error, the rest is for `decide`. */
  cellExited(cell: CellId, cause: string, oomKilled: boolean): void {
    const answered: RequestId[] = [];
    for (const [lease, { cell: host, request }] of this.#running) {
      if (host !== cell) continue;
      this.#running.delete(lease);
      if (request === null || !this.#options.desk.hasStarted(request, lease)) continue;
      answered.push(request);
      this.#options.desk.refuse(request, { failure: streamBroken(cause), retryAfterMs: null, loading: null });
    }
    this.#options.push({ type: 'cellExited', cell, cause, oomKilled, answered });
  }

  #execute(step: Step, sequence: number, state: State): void {
    const { desk, runtime, push } = this.#options;
    switch (step.type) {
      case 'embed':
        return void this.#embed(step);
      case 'learn':
        return void this.#learn(step, state);
      case 'grant':
        desk.begin(step.request, step.lease, step.revocable);
        if (step.degraded !== null) desk.degrade(step.request, step.degraded, nameOf(step, state));
        return void (step.purpose === 'retrieve' ? this.#retrieve(step) : this.#grant(step));
      case 'ready':
        return desk.answer(step.request, null, {});
      case 'test':
        return void this.#test(step, state);
      case 'rollout':
        return this.#options.catalog.rollout(step);
      case 'fallback':
        return desk.fallBack(step.request, { ...step, retryAfterMs: null, loading: null }, step.degraded);
      case 'load':
        return void this.#load(step, state);
      case 'unload':
        return void this.#unload(step);
      case 'park':
        return void this.#park(step);
      case 'trim':
        return void this.#trim(step);
      case 'chill':
        return void runtime.unload(step.cell, step.expert, 'pages').catch(() => null);
      case 'warm':
        return this.#warm(step, state);
      case 'reject':
        return desk.refuse(step.request, step, sequence);
      case 'abstain':
        return desk.answer(step.request, null, {});
      case 'route':
        return push({
          type: 'features',
          request: step.request,
          lease: null,
          embedding: null,
          language: null,
          error: EMBEDDER_GONE,
        });
      case 'cancel':
        return runtime.cancel(step.cell, step.lease);
      case 'stop':
        return this.#stop(step);
    }
  }

  #stop({ cell, kill }: Of<'stop'>): void {
    // A cell whose only load failed before it began was never started: its end is told here.
    if (!this.#options.runtime.stop(cell, kill)) this.cellExited(cell, 'it was not running', false);
  }

  async #embed({ request, lease, expert, cell, detector }: Of<'embed'>): Promise<void> {
    const { desk, push } = this.#options;
    const ask = desk.ask(request);
    if (ask?.kind !== 'chat') {
      // The client hung up between the decision and now; its event is on the way.
      return push({ type: 'features', request, lease, embedding: null, language: null, error: HUNG_UP });
    }
    const { question } = ask;
    const run: Runtime['run'] = (call) => this.#run(call.cell, call.lease, call.expert, request, call.ask);
    try {
      const { vector, language } = await look(run, { cell, lease, embedder: expert, detector, question });
      const embedding = quantize(vector);
      desk.embed(request, vector);
      push({ type: 'features', request, lease, embedding, language, error: null });
    } catch (error) {
      const failure = toFailure(error);
      if (failure.code !== CELL_EXITED)
        push({ type: 'features', request, lease, embedding: null, language: null, error: failure });
    }
  }

  async #learn({ subject, lease, expert, cell }: Of<'learn'>, state: State): Promise<void> {
    const { catalog, memory, push } = this.#options;
    try {
      const examples = catalog.examples(subject);
      const vectors = examples.length === 0 ? [] : await this.#vectors(cell, lease, expert, null, examples);
      const prototypes = vectors.map(quantize);
      const digests = [state.experts.get(subject)?.expert.digest, state.experts.get(expert)?.expert.digest];
      if (digests[0] !== undefined && digests[1] !== undefined)
        memory.keepPrototypes(digests[0], digests[1], prototypes);
      push({ type: 'learned', lease, expert: subject, prototypes, error: null });
    } catch (error) {
      const failure = toFailure(error);
      if (failure.code !== CELL_EXITED)
        push({ type: 'learned', lease, expert: subject, prototypes: null, error: failure });
    }
  }

  async #test({ lease, expert, cell, embedder }: Of<'test'>, state: State): Promise<void> {
    const { catalog, push } = this.#options;
    const task = state.experts.get(expert)?.expert.task;
    if (task === undefined) return;
    const { error, given, unjudged } = await selfTest((ask) => this.#run(cell, lease, expert, null, ask), {
      task,
      goldens: catalog.golden(expert),
      embed: async (question) => {
        if (embedder === null) return null;
        const vectors = await this.#vectors(embedder.cell, embedder.lease, embedder.expert, null, [question]);
        return vectors[0] ?? null;
      },
    });
    const nothing = { ok: true, error: null, keptBytes: null, stages: {}, sources: 0 };
    if (embedder !== null) push({ type: 'released', lease: embedder.lease, outcome: nothing });
    if (error?.code === CELL_EXITED) return;
    push({ type: 'tested', lease, expert, error, given, unjudged: unjudged.length });
  }

  async #vectors(
    cell: CellId,
    lease: LeaseId,
    expert: string,
    request: RequestId | null,
    texts: readonly string[],
  ): Promise<readonly Float32Array[]> {
    const { answer } = await this.#run(cell, lease, expert, request, { kind: 'embeddings', texts });
    if (answer.kind !== 'embeddings') throw new TypeError(`the embedder answered with ${answer.kind}`);
    return answer.vectors;
  }

  async #grant(step: Of<'grant'>): Promise<void> {
    const { request, lease } = step;
    const { desk } = this.#options;
    const ended = await this.#lease(step, this.#asked(step));
    if (ended === null) return;
    // A candidate that was too late: the version before it is at work by now.
    if (!desk.expects(request, lease)) return this.#release(lease, ended);
    this.#release(lease, ended);
    if ('report' in ended) return desk.answer(request, ended.report.answer, ended.stages);
    // Another answers it, and if not, the next decision says so.
    if (step.revocable) return;
    const refusal = { failure: ended.failure, retryAfterMs: null, loading: null };
    // What a client asked wrongly is his to know; for the rest the sources are there.
    const isClients = step.assistant === null || ended.failure.code === 'bad_input';
    if (isClients) desk.refuse(request, refusal);
    else desk.fallBack(request, refusal, degradedBy(ended.failure.code));
  }

  /** The first half of an assistant's answer. Without a source it is the whole. */
  async #retrieve(step: Of<'grant'>): Promise<void> {
    const { request, lease, expert } = step;
    const { desk, catalog } = this.#options;
    const words = catalog.systemPrompt(expert) ?? '';
    const ended = await this.#lease(step, desk.ask(request));
    if (ended === null) return;
    if (!desk.expects(request, lease)) return this.#release(lease, ended);
    if (!('report' in ended)) {
      this.#release(lease, ended);
      if (step.revocable) return;
      return desk.refuse(request, { failure: ended.failure, retryAfterMs: null, loading: null });
    }
    const { answer } = ended.report;
    const sources = answer.kind === 'passages' ? sourcesOf(answer.passages) : [];
    if (sources.length > 0) desk.keepFound(request, answer, sources, words);
    this.#release(lease, ended, sources.length);
    if (sources.length === 0) desk.answer(request, answer, ended.stages);
  }

  /** What the expert is asked: for an assistant, with its words and its sources before it. */
  #asked({ request, assistant }: Of<'grant'>): Ask | null {
    const { desk } = this.#options;
    const ask = desk.ask(request);
    if (assistant === null || ask?.kind !== 'chat') return ask;
    return askForAssistant(ask, desk.words(request), desk.sources(request));
  }

  /** Runs a lease on what is asked; null where its cell is gone, which another event tells. */
  async #lease({ request, lease, expert, cell }: Of<'grant'>, ask: Ask | null): Promise<Ended | null> {
    const { clock } = this.#options;
    // The client hung up between the decision and now; its event is on the way.
    if (ask === null) return { failure: HUNG_UP, stages: {} };
    const startedMs = clock.nowMs();
    try {
      const report = await this.#run(cell, lease, expert, request, ask);
      return { report, stages: { ...report.stages, cell: clock.nowMs() - startedMs } };
    } catch (error) {
      const failure = toFailure(error);
      return failure.code === CELL_EXITED ? null : { failure, stages: { cell: clock.nowMs() - startedMs } };
    }
  }

  #release(lease: LeaseId, ended: Ended, sources = 0): void {
    const { stages } = ended;
    const how =
      'report' in ended
        ? { ok: true, error: null, keptBytes: ended.report.keptBytes }
        : { ok: false, error: recordable(ended.failure), keptBytes: null };
    this.#options.push({ type: 'released', lease, outcome: { ...how, stages, sources } });
  }

  async #run(cell: CellId, lease: LeaseId, expert: string, request: RequestId | null, ask: Ask) {
    const { runtime, desk } = this.#options;
    this.#running.set(lease, { cell, request });
    try {
      return await runtime.run({ cell, lease, expert, ask }, (piece) => {
        if (request !== null) desk.delta(request, lease, piece);
      });
    } finally {
      // Where it ended with its cell, `cellExited` has looked it up by now: a runtime tells of exits first.
      this.#running.delete(lease);
    }
  }

  async #load({ expert, cell, lane }: Of<'load'>, state: State): Promise<void> {
    const { catalog, runtime, push } = this.#options;
    try {
      await catalog.verify(expert, state.experts.get(expert)?.expert.digest ?? '');
      const leftMs = this.#leftMs(expert, cell);
      catalog.beginAttempt(expert);
      if (leftMs !== null) await catalog.prepare(expert, leftMs * PREPARATION_SHARE);
      // The load may have been given up meanwhile: then nobody would know of the process.
      if (this.#leftMs(expert, cell) === null) return;
      const report = await runtime.load(cell, lane, expert);
      push({ type: 'loaded', expert, cell, report });
    } catch (error) {
      const failure = toFailure(error);
      if (failure.code !== CELL_EXITED) push({ type: 'loadFailed', expert, cell, error: failure });
    }
  }

  /** What a load has left until its deadline; null where it was given up. */
  #leftMs(expert: string, cell: CellId): number | null {
    const { state, clock } = this.#options;
    const residency = state().experts.get(expert)?.residency;
    if (residency?.state !== 'loading' || residency.cell !== cell) return null;
    return Math.max(0, residency.deadlineMs - clock.nowMs());
  }

  async #unload({ expert, cell }: Of<'unload'>): Promise<void> {
    const { runtime, push } = this.#options;
    try {
      const { cellBytes } = await runtime.unload(cell, expert, 'all');
      push({ type: 'unloaded', expert, cell, cellBytes });
    } catch (error) {
      const failure = toFailure(error);
      if (failure.code !== CELL_EXITED) push({ type: 'unloadFailed', expert, cell, error: failure });
    }
  }

  async #park({ expert, cell }: Of<'park'>): Promise<void> {
    const { runtime, push } = this.#options;
    try {
      push({ type: 'parked', expert, cell, ...(await runtime.unload(cell, expert, 'weights')) });
    } catch (error) {
      const failure = toFailure(error);
      if (failure.code !== CELL_EXITED) push({ type: 'parkFailed', expert, cell, error: failure });
    }
  }

  /** A cell that has ended meanwhile must not be started again. */
  #warm({ expert, cell }: Of<'warm'>, state: State): void {
    const { runtime } = this.#options;
    const lane = state.cells.get(cell)?.lane;
    if (lane === undefined || !runtime.pids().has(cell)) return;
    // Where it could not be read ahead, the request reads it.
    runtime.load(cell, lane, expert).catch(() => null);
  }

  /** Where nothing could be given back, nothing has changed. */
  async #trim({ expert, cell }: Of<'trim'>): Promise<void> {
    const { runtime, push } = this.#options;
    const given = await runtime.unload(cell, expert, 'kept').catch(() => null);
    push({ type: 'trimmed', expert, cell, cellBytes: given?.cellBytes ?? null });
  }

  #keepProfile(id: string, state: State): void {
    const expert = state.experts.get(id)?.expert;
    if (expert?.memory.measured === true) this.#options.memory.keepProfile(expert.digest, expert.memory);
  }
}

/** Whose answer it is, to a client: what a candidate says is said in the name of its expert. */
function nameOf({ assistant, expert }: Of<'grant'>, { experts }: State): ExpertId {
  const by = assistant ?? expert;
  return experts.get(by)?.expert.candidateOf ?? by;
}

/** What is wrong with a request is said in words of the request, as a name in its schema: those enter no event. */
function recordable(failure: Failure): Failure {
  if (failure.code !== 'bad_input') return failure;
  return { ...failure, message: 'it cannot do what the request asks, and told its client why', hint: null };
}

const EMBEDDER_GONE: Failure = {
  code: 'embedder_gone',
  message: 'the embedder left',
  hint: null,
  retryable: true,
};
const HUNG_UP: Failure = { code: 'hung_up', message: 'the client hung up', hint: null, retryable: false };

function streamBroken(cause: string): Failure {
  const message = `the expert's process ended in the middle of the answer (${cause})`;
  return { code: CELL_EXITED, message, hint: 'Ask again.', retryable: true };
}
