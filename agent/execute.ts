/** Carries out steps: one method a kind. What comes of a step re-enters the loop as an event. */
import type { Desk } from './desk.ts';
import { toFailure } from './errors.ts';
import type { Happening } from './loop.ts';
import { quantize } from './perception.ts';
import type { Ask, Catalog, Clock, Memory, Runtime } from './ports.ts';
import { look } from './senses.ts';
import type { CellId, Decision, Event, Failure, LeaseId, RequestId, State, Step } from './types.ts';

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

/** The code of every failure that a `cellExited` event tells as well: that event decides what follows. */
const CELL_EXITED = 'cell_exited';

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
      const entry = choice.expert === null ? undefined : state.experts.get(choice.expert);
      const resident =
        choice.expert === null ? null : entry?.residency.state === 'resident' ? 'resident' : 'absent';
      this.#options.desk.chosen(choice, sequence, resident);
    }
    if (event.type === 'loaded') this.#keepProfile(event.expert, state);
    for (const step of decision.steps) this.#execute(step, sequence, state);
  }

  /** A cell's process has ended: streams that had begun end with an error, the rest is for `decide`. */
  cellExited(cell: CellId, cause: string): void {
    const answered: RequestId[] = [];
    for (const [lease, { cell: host, request }] of this.#running) {
      if (host !== cell) continue;
      this.#running.delete(lease);
      if (request === null || !this.#options.desk.hasStarted(request)) continue;
      answered.push(request);
      this.#options.desk.refuse(request, { failure: streamBroken(cause), retryAfterMs: null, loading: null });
    }
    this.#options.push({ type: 'cellExited', cell, cause, answered });
  }

  #execute(step: Step, sequence: number, state: State): void {
    const { desk, runtime, push } = this.#options;
    switch (step.type) {
      case 'embed':
        return void this.#embed(step);
      case 'learn':
        return void this.#learn(step, state);
      case 'grant':
        return void this.#grant(step);
      case 'load':
        return void this.#load(step, state);
      case 'unload':
        return void this.#unload(step);
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
    if (!this.#options.runtime.stop(cell, kill)) this.cellExited(cell, 'it was not running');
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

  async #grant({ request, lease, expert, cell }: Of<'grant'>): Promise<void> {
    const { desk, push, clock } = this.#options;
    const ask = desk.ask(request);
    if (ask === null) {
      // The client hung up between the decision and now; its event is on the way.
      return push({ type: 'released', lease, outcome: { ok: false, error: HUNG_UP, stages: {} } });
    }
    const startedMs = clock.nowMs();
    try {
      const { answer, stages } = await this.#run(cell, lease, expert, request, ask);
      const timed = { ...stages, cell: clock.nowMs() - startedMs };
      push({ type: 'released', lease, outcome: { ok: true, error: null, stages: timed } });
      desk.answer(request, answer, timed);
    } catch (error) {
      const failure = toFailure(error);
      if (failure.code === CELL_EXITED) return;
      const stages = { cell: clock.nowMs() - startedMs };
      push({ type: 'released', lease, outcome: { ok: false, error: failure, stages } });
      desk.refuse(request, { failure, retryAfterMs: null, loading: null });
    }
  }

  async #run(cell: CellId, lease: LeaseId, expert: string, request: RequestId | null, ask: Ask) {
    const { runtime, desk } = this.#options;
    this.#running.set(lease, { cell, request });
    try {
      return await runtime.run({ cell, lease, expert, ask }, (text) => {
        if (request !== null) desk.delta(request, text);
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
      // The load may have been given up while its files were hashed: then nobody would know of the process.
      if (!this.#isLoading(expert, cell)) return;
      const report = await runtime.load(cell, lane, expert);
      push({ type: 'loaded', expert, cell, report });
    } catch (error) {
      const failure = toFailure(error);
      if (failure.code !== CELL_EXITED) push({ type: 'loadFailed', expert, cell, error: failure });
    }
  }

  #isLoading(expert: string, cell: CellId): boolean {
    const residency = this.#options.state().experts.get(expert)?.residency;
    return residency?.state === 'loading' && residency.cell === cell;
  }

  async #unload({ expert, cell }: Of<'unload'>): Promise<void> {
    const { runtime, push } = this.#options;
    try {
      push({ type: 'unloaded', expert, cell, cellBytes: await runtime.unload(cell, expert) });
    } catch (error) {
      const failure = toFailure(error);
      if (failure.code !== CELL_EXITED) push({ type: 'unloadFailed', expert, cell, error: failure });
    }
  }

  #keepProfile(id: string, state: State): void {
    const expert = state.experts.get(id)?.expert;
    if (expert?.memory.measured === true) this.#options.memory.keepProfile(expert.digest, expert.memory);
  }
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
