/**
 * The agent: wires the loop to its ports, and is the Service that the front doors see. Constructing it starts nothing.
 */
import { type CatalogEvent, ExpertCatalog } from './catalog/catalog.ts';
import type { CellCommand } from './cells/cell.ts';
import { Cells } from './cells/cells.ts';
import { Chronicle } from './chronicle.ts';
import type { Config } from './config.ts';
import { decide, initialState } from './decide.ts';
import { Desk } from './desk.ts';
import { AgentError, toFailure } from './errors.ts';
import { Executor } from './execute.ts';
import type { Logger } from './logging.ts';
import { Loop } from './loop.ts';
import { LinuxMonitor } from './monitor/monitor.ts';
import { perceive, quantize } from './perception.ts';
import type { Policy } from './policy.ts';
import type { Ask, Asked, Clock, Log, Memory } from './ports.ts';
import { cellOf } from './residency.ts';
import { Sampler } from './sampler.ts';
import type {
  AskRequest,
  DecisionQuery,
  DecisionRow,
  DecisionTold,
  ExpertView,
  Explanation,
  Health,
  LogHealth,
  Refusal,
  Reply,
  Service,
  StateView,
} from './service.ts';
import { policyNamesOf, settingsOf } from './settings.ts';
import type { PolicyNames } from './tuning.ts';
import type { Choice, Decision, Event, ExpertId, Failure, RequestId } from './types.ts';
import { expertViews, stateView } from './views.ts';

/** The record as the agent needs it: what the loop writes, what people read. */
export interface Ledger extends Log, Memory {
  decisions(query: DecisionQuery): readonly DecisionRow[];
  explain(id: number): Explanation | null;
  health(): LogHealth;
  /** Bounded work that keeps the record within its limits; called when there is time. */
  maintain(): 'done' | 'more';
}

export interface AgentOptions {
  readonly config: Config;
  readonly version: string;
  readonly expertsDir: string;
  readonly installDir: string;
  readonly cellCommand: CellCommand;
  readonly policyOf: (names: PolicyNames) => Policy;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly log: Logger;
  readonly sha256: (text: string) => string;
}

/** What the agent is taken to weigh before it was measured. */
const AGENT_BOUND_BYTES = 80 * 1024 ** 2;
/** Time between two rounds of upkeep of the record. */
const MAINTAIN_MS = 5_000;

export class Agent implements Service {
  readonly #options: AgentOptions;
  readonly #desk = new Desk();
  readonly #chronicle: Chronicle;
  readonly #cells: Cells;
  readonly #monitor: LinuxMonitor;
  readonly #sampler: Sampler;
  readonly #catalog: ExpertCatalog;
  readonly #executor: Executor;
  readonly #loop: Loop;
  #config: Config;
  #upkeep: NodeJS.Timeout | undefined;
  readonly #listeners = new Set<(told: DecisionTold) => void>();
  #ready = false;
  #stopping = false;
  #requests = 0;
  #dryRuns = 0;
  readonly #startedMs: number;

  constructor(options: AgentOptions) {
    const { config, ledger, clock, log, policyOf } = options;
    this.#options = options;
    this.#config = config;
    this.#startedMs = clock.nowMs();
    this.#chronicle = new Chronicle(log);
    this.#cells = new Cells({
      command: options.cellCommand,
      locate: (id) => this.#locate(id),
      onExit: (cell, cause) => this.#executor.cellExited(cell, cause),
      log,
    });
    this.#monitor = new LinuxMonitor({ pids: () => this.#cells.pids() });
    this.#sampler = new Sampler(this.#monitor, clock, (sample) =>
      this.#loop.push({ type: 'sample', sample }),
    );
    this.#catalog = new ExpertCatalog({
      expertsDir: options.expertsDir,
      installDir: options.installDir,
      memory: ledger,
      clock,
      emit: (event) => this.#fromCatalog(event),
    });
    this.#loop = new Loop({
      state: initialState(this.#settings(config), AGENT_BOUND_BYTES),
      policy: policyOf(policyNamesOf(config)),
      log: ledger,
      clock,
      onDecision: (event, decision, sequence) => this.#onDecision(event, decision, sequence),
      onFault: (event, error) => this.#onFault(event, error),
    });
    this.#executor = new Executor({
      runtime: this.#cells,
      catalog: this.#catalog,
      memory: ledger,
      desk: this.#desk,
      clock,
      push: (happening) => this.#loop.push(happening),
      state: () => this.#loop.state,
    });
  }

  /** Reads the experts and begins to work. Rejects with an AgentError where the experts' folder cannot be read. */
  async start(): Promise<void> {
    this.#configured(this.#config);
    this.#sampler.start(this.#config.memory.sampleMs);
    await this.#catalog.reconcile(this.#config);
    await this.#loop.decided();
    this.#ready = true;
    this.#upkeep = setInterval(() => this.#maintain(), MAINTAIN_MS);
  }

  /** Takes another configuration. Rejects, and changes nothing, where it cannot be used. */
  async reload(config: Config): Promise<void> {
    const { http, stateDir, expertsDir } = this.#config;
    this.#configured(config);
    await this.#catalog.reconcile(config);
    if (
      JSON.stringify([http, stateDir, expertsDir]) !==
      JSON.stringify([config.http, config.stateDir, config.expertsDir])
    ) {
      this.#options.log.warn({}, 'http, stateDir and expertsDir change at the next start only');
    }
    this.#config = config;
  }

  /** Ends everything: new requests are refused, those under way get until the deadline, then cells end. */
  async stop(timeoutMs: number): Promise<void> {
    const { clock } = this.#options;
    const deadlineMs = clock.nowMs() + timeoutMs;
    this.#stopping = true;
    this.#catalog.stop();
    while (this.#desk.ids().length > 0 && clock.nowMs() < deadlineMs)
      await this.#loop.nextDecision(deadlineMs);
    for (const id of this.#desk.ids())
      this.#desk.refuse(id, { failure: SHUTTING_DOWN, retryAfterMs: 1_000, loading: null });
    this.#sampler.stop();
    clearInterval(this.#upkeep);
    await this.#loop.decided();
    // From here on nothing is decided: a cell that ends would only be replaced.
    this.#loop.stop();
    await this.#cells.shutdown(Math.max(500, deadlineMs - clock.nowMs()));
  }

  // ---- Service ------------------------------------------------------------------------------------------------

  ask(request: AskRequest, onDelta: (text: string) => void, signal: AbortSignal): Promise<Reply> {
    const id = `${this.#startedMs.toString(36).replace('.', '')}-${++this.#requests}`;
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    if (this.#stopping) return Promise.reject(refusalOf(SHUTTING_DOWN));
    const text = textOf(request.ask);
    this.#desk.open(id, {
      ask: request.ask,
      onDelta,
      answer: (reply) => resolve(this.#withNotes(reply)),
      refuse: reject,
    });
    this.#loop.push(
      {
        type: 'request',
        request: id,
        want: request.want,
        model: request.model,
        features: perceive(request.ask.kind === 'chat' ? request.ask.question : ''),
        waitMs: request.waitMs,
      },
      this.#asked(text),
    );
    const hangUp = (): void => this.#hangUp(id, reject);
    if (signal.aborted) hangUp();
    else signal.addEventListener('abort', hangUp, { once: true });
    return promise.finally(() => signal.removeEventListener('abort', hangUp));
  }

  async route(question: string): Promise<Choice> {
    const embedding = await this.#embedForDryRun(question);
    const { state, policy } = this.#loop;
    const request = `dry-run-${++this.#dryRuns}`;
    const features = { ...perceive(question), embedding };
    const event = {
      type: 'request',
      request,
      want: 'chat',
      model: null,
      features,
      waitMs: 0,
      atMs: state.nowMs,
    } as const;
    // `decide` is pure: asking it costs nothing, and its steps are not carried out.
    const { choice, steps } = decide(state, event, policy);
    if (choice !== null) return choice;
    const refusal = steps.find((step) => step.type === 'reject' && step.request === request);
    throw refusalOf(refusal?.type === 'reject' ? refusal.failure : SHUTTING_DOWN);
  }

  async command(
    command: 'load' | 'unload' | 'pin' | 'unpin' | 'clear',
    expert: ExpertId,
  ): Promise<ExpertView> {
    this.#loop.push({ type: 'command', command, expert });
    await this.#loop.decided();
    const view = this.experts().find((one) => one.id === expert);
    if (view === undefined)
      throw refusalOf({
        code: 'model_not_found',
        message: `no expert "${expert}" is installed`,
        hint: null,
        retryable: false,
      });
    return view;
  }

  experts(): readonly ExpertView[] {
    return expertViews(this.#loop.state, (id) => this.#catalog.package(id));
  }

  state(): StateView {
    return stateView({
      state: this.#loop.state,
      pids: this.#cells.pids(),
      policies: this.#loop.policy.names,
      log: this.#options.ledger.health(),
      counts: this.#chronicle.counts,
    });
  }

  decisions(query: DecisionQuery): readonly DecisionRow[] {
    return this.#options.ledger.decisions(query);
  }

  explain(id: number): Explanation | null {
    return this.#options.ledger.explain(id);
  }

  health(): Health {
    const log = this.#options.ledger.health();
    const problems: Failure[] = this.experts().flatMap(({ error }) => (error === null ? [] : [error]));
    if (log.state === 'degraded')
      problems.push({
        code: 'log_degraded',
        message: log.reason ?? 'decisions are not recorded',
        hint: null,
        retryable: true,
      });
    return {
      live: true,
      ready: this.#ready && !this.#stopping,
      version: this.#options.version,
      uptimeMs: this.#options.clock.nowMs() - this.#startedMs,
      problems,
    };
  }

  subscribe(listener: (told: DecisionTold) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // ---- inside -------------------------------------------------------------------------------------------------

  #settings(config: Config) {
    const sample = this.#monitor.sample();
    const { availableBytes, totalBytes } = sample;
    return settingsOf(config, { availableBytes, totalBytes, limitBytes: this.#monitor.limitBytes() });
  }

  #configured(config: Config): void {
    const names = policyNamesOf(config);
    const settings = this.#settings(config);
    this.#loop.usePolicy(this.#options.policyOf(names));
    this.#loop.push({ type: 'configured', settings, policies: names });
  }

  #fromCatalog(event: CatalogEvent): void {
    if (event.type === 'pending' && event.pending.error !== null) {
      this.#options.log.error(
        { expert: event.expert, failure: event.pending.error },
        'an expert cannot be used',
      );
    }
    this.#loop.push(event);
  }

  #locate(id: ExpertId) {
    const found = this.#catalog.package(id);
    if (found === null) throw new AgentError('bad_expert', `no package of expert "${id}" is on this device`);
    return found;
  }

  #onDecision(event: Event, decision: Decision, sequence: number): void {
    this.#chronicle.note(event, decision, sequence);
    this.#executor.carryOut(event, decision, sequence);
    const { reasons, choice, steps } = decision;
    const told = { id: sequence, atMs: event.atMs, event: event.type, reasons, choice, steps };
    for (const listener of this.#listeners) listener(told);
  }

  #onFault(event: Event, error: unknown): void {
    this.#options.log.error(
      { event: event.type, err: error },
      'deciding failed: this is a bug, and the event was dropped',
    );
    if (event.type === 'request')
      this.#desk.refuse(event.request, { failure: toFailure(error), retryAfterMs: null, loading: null });
  }

  /** A step at a time, so that requests come in between. */
  #maintain(): void {
    if (this.#stopping || this.#options.ledger.maintain() === 'done') return;
    setImmediate(() => this.#maintain());
  }

  #hangUp(id: RequestId, reject: (refusal: Refusal) => void): void {
    this.#desk.drop(id);
    this.#loop.push({ type: 'hungUp', request: id });
    reject(refusalOf(HUNG_UP));
  }

  #asked(text: string): Asked {
    return {
      sha256: this.#options.sha256(text),
      chars: text.length,
      text: this.#config.log.text ? text : null,
    };
  }

  /** Says in what way an answer is less than it could be. */
  #withNotes(reply: Reply): Reply {
    return this.#options.ledger.health().state === 'ok' ? reply : { ...reply, degraded: 'not-recorded' };
  }

  /** A dry run holds no lease: where the embedder leaves meanwhile, words decide. */
  async #embedForDryRun(question: string): Promise<Int8Array | null> {
    const { embedder } = this.#loop.state.settings;
    const entry = embedder === null ? undefined : this.#loop.state.experts.get(embedder);
    const cell = entry === undefined || entry.residency.state !== 'resident' ? null : cellOf(entry);
    if (embedder === null || cell === null) return null;
    const ask: Ask = { kind: 'embeddings', texts: [question] };
    try {
      const { answer } = await this.#cells.run(
        { cell, lease: -++this.#dryRuns, expert: embedder, ask },
        () => undefined,
      );
      const [vector] = answer.kind === 'embeddings' ? answer.vectors : [];
      return vector === undefined ? null : quantize(vector);
    } catch (error) {
      this.#options.log.debug({ failure: toFailure(error) }, 'the embedder did not answer a dry run');
      return null;
    }
  }
}

const SHUTTING_DOWN: Failure = {
  code: 'shutting_down',
  message: 'the agent is shutting down',
  hint: 'Try again once it has started.',
  retryable: true,
};
const HUNG_UP: Failure = { code: 'hung_up', message: 'the client hung up', hint: null, retryable: false };

function refusalOf(failure: Failure): Refusal {
  return { failure, decision: null, retryAfterMs: null, loading: null };
}

/** All that was asked, for its hash. */
function textOf(ask: Ask): string {
  if (ask.kind === 'embeddings') return ask.texts.join('\n');
  return ask.messages.map(({ role, content }) => `${role}: ${content}`).join('\n');
}
