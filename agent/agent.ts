/**
 * The agent: wires the loop to its ports, and is the Service that the front doors see. Constructing it starts nothing.
 */
import { askedOf } from './asked.ts';
import { type CatalogEvent, ExpertCatalog } from './catalog/catalog.ts';
import type { ExpertPackage } from './cells/cell.ts';
import { Chronicle } from './chronicle.ts';
import type { Config } from './config.ts';
import { initialState } from './decide.ts';
import { Desk } from './desk.ts';
import { DryRuns } from './dry-run.ts';
import { AgentError, toFailure } from './errors.ts';
import type { Event } from './events.ts';
import { Executor } from './execute.ts';
import { problemsOf, vacantRoles } from './health.ts';
import { Loop } from './loop.ts';
import type { AgentOptions, AgentRuntime } from './parts.ts';
import { perceive } from './perception.ts';
import type { Ask } from './ports.ts';
import { HUNG_UP, refusalOf, SHUTTING_DOWN, STARTING } from './refusals.ts';
import { Sampler } from './sampler.ts';
import type {
  AskRequest,
  DecisionQuery,
  DecisionRow,
  DecisionTold,
  ExpertView,
  Explanation,
  FleetView,
  Health,
  Listeners,
  Refusal,
  Reply,
  Service,
  SplitMessage,
  StateView,
} from './service.ts';
import { AGENT_BYTES, changesAtStart, type DeviceMemory, policyNamesOf, settingsOf } from './settings.ts';
import type { Choice, Decision, ExpertId, Features, RequestId } from './types.ts';
import { expertViews, stateView } from './views.ts';

/** Time between two rounds of upkeep of the record. */
const MAINTAIN_MS = 5_000;
/** Choices of earlier runs from which it is learned what follows what: as many as count at all. */
const RECENT_EXPERTS = 500;

export class Agent implements Service {
  readonly #options: AgentOptions;
  readonly #desk = new Desk();
  readonly #chronicle: Chronicle;
  readonly #runtime: AgentRuntime;
  readonly #device: DeviceMemory;
  readonly #sampler: Sampler;
  readonly #catalog: ExpertCatalog;
  readonly #executor: Executor;
  readonly #loop: Loop;
  #config: Config;
  #upkeep: NodeJS.Timeout | undefined;
  #alarm: { stop(): void } | undefined;
  readonly #listeners = new Set<(told: DecisionTold) => void>();
  #lookAtFleet: (() => FleetView) | null = null;
  /** Settles when no configuration is being taken; never rejects. */
  #settled: Promise<void> = Promise.resolve();
  #ready = false;
  #stopping = false;
  #requests = 0;
  readonly #dryRuns: DryRuns;
  readonly #startedMs: number;

  constructor(options: AgentOptions) {
    const { config, ledger, clock, log, policyOf } = options;
    this.#options = options;
    this.#config = config;
    this.#startedMs = clock.nowMs();
    this.#chronicle = new Chronicle(log);
    this.#runtime = options.openRuntime({
      locate: (id) => this.#locate(id),
      onExit: (cell, cause, oomKilled) => this.#executor.cellExited(cell, cause, oomKilled),
      onCached: (cell, expert, { coldBytes }) => this.#loop.push({ type: 'cached', cell, expert, coldBytes }),
    });
    const monitor = options.openMonitor(() => this.#runtime.pids());
    // Once: what expertd takes later must not count as if somebody else had taken it.
    const { availableBytes, totalBytes } = monitor.sample();
    this.#device = { availableBytes, totalBytes, limitBytes: monitor.limitBytes() };
    this.#sampler = new Sampler(monitor, clock, (sample) => this.#loop.push({ type: 'sample', sample }));
    this.#catalog = new ExpertCatalog({
      expertsDir: options.expertsDir,
      installDir: options.installDir,
      recordPath: options.recordPath,
      onTrouble: (failure) => log.warn({ failure }, 'the record of rollouts cannot be used or written'),
      ...(options.addedDir === undefined ? {} : { addedDir: options.addedDir }),
      memory: ledger,
      clock,
      emit: (event) => this.#fromCatalog(event),
      prepare: async (found, limitMs) => options.preparation?.prepare(found, limitMs),
    });
    this.#loop = new Loop({
      state: initialState(settingsOf(config, this.#device), AGENT_BYTES),
      policy: policyOf(policyNamesOf(config)),
      log: ledger,
      clock,
      onDecision: (event, decision, sequence) => this.#onDecision(event, decision, sequence),
      onFault: (event, error) => this.#onFault(event, error),
    });
    this.#executor = new Executor({
      runtime: this.#runtime,
      catalog: this.#catalog,
      memory: ledger,
      desk: this.#desk,
      clock,
      push: (happening) => this.#loop.push(happening),
      state: () => this.#loop.state,
    });
    this.#dryRuns = new DryRuns({
      runtime: this.#runtime,
      loop: this.#loop,
      clock,
      onTrouble: (failure) => log.debug({ failure }, 'the embedder did not answer a dry run'),
    });
  }

  /** Reads the experts and begins to work. Rejects with an AgentError where the experts' folder cannot be read. */
  start(): Promise<void> {
    return this.#inTurn(async () => {
      const sequence = this.#options.ledger.recentExperts(RECENT_EXPERTS);
      if (sequence.length > 0) this.#loop.push({ type: 'remembered', sequence });
      await this.#take(this.#config);
      if (this.#stopping) return;
      this.#ready = true;
      this.#maintain();
      void this.#watchMemory();
    });
  }

  /** Takes another configuration, or reads its own again. Rejects, and changes nothing, where it cannot be used. */
  reload(fresh?: Config): Promise<void> {
    return this.#inTurn(async () => {
      const config = fresh ?? this.#options.readConfig?.() ?? this.#config;
      const later = changesAtStart(this.#config, config);
      await this.#take(config);
      this.#options.log.level = config.log.level;
      if (later.length > 0)
        this.#options.log.warn({}, `${later.join(', ')}: what changed there counts from the next start on`);
    });
  }

  /** Ends everything: new requests are refused, those under way get until the deadline, then cells end. */
  async stop(timeoutMs: number): Promise<void> {
    const { clock } = this.#options;
    const deadlineMs = clock.nowMs() + timeoutMs;
    this.#stopping = true;
    const unfetched = this.#catalog.stop();
    const unprepared = this.#options.preparation?.stop();
    while (this.#desk.ids().length > 0 && clock.nowMs() < deadlineMs)
      await this.#loop.nextDecision(deadlineMs);
    for (const id of this.#desk.ids())
      this.#desk.refuse(id, { failure: SHUTTING_DOWN, retryAfterMs: 1_000, loading: null });
    this.#sampler.stop();
    this.#alarm?.stop();
    clearTimeout(this.#upkeep);
    await this.#loop.decided();
    // From here on nothing is decided: a cell that ends would only be replaced.
    this.#loop.stop();
    await Promise.all([
      unfetched,
      unprepared,
      this.#runtime.shutdown(Math.max(500, deadlineMs - clock.nowMs())),
    ]);
  }

  // ---- Service ------------------------------------------------------------------------------------------------

  ask(request: AskRequest, listeners: Listeners, signal: AbortSignal): Promise<Reply> {
    if (this.#stopping) return Promise.reject(refusalOf(SHUTTING_DOWN));
    if (!this.#ready) return Promise.reject(refusalOf(STARTING));
    const { want, model, ask, waitMs, keepAliveMs } = request;
    const features = featuresOf(ask);
    const asked = askedOf(ask, this.#options.sha256, this.#config.log.text);
    const id = `${Math.floor(this.#startedMs).toString(36)}-${++this.#requests}`;
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    this.#desk.open(id, {
      ask,
      listeners,
      answer: (reply) => resolve(this.#withNotes(reply)),
      refuse: reject,
    });
    this.#loop.push({ type: 'request', request: id, want, model, features, waitMs, keepAliveMs }, asked);
    const hangUp = (): void => this.#hangUp(id, reject);
    if (signal.aborted) hangUp();
    else signal.addEventListener('abort', hangUp, { once: true });
    return promise.finally(() => signal.removeEventListener('abort', hangUp));
  }

  async route(message: SplitMessage): Promise<Choice> {
    const chosen = await this.#dryRuns.choose(message);
    if ('code' in chosen) throw refusalOf(chosen);
    return chosen;
  }

  async command(
    command: 'load' | 'park' | 'unload' | 'pin' | 'unpin' | 'clear',
    expert: ExpertId,
  ): Promise<ExpertView> {
    this.#loop.push({ type: 'command', command, expert });
    if (command === 'clear') this.#catalog.forget(expert);
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

  /** Records what the fleet ordered, and what became of it. */
  note(order: Omit<Extract<Event, { type: 'ordered' }>, 'type' | 'atMs'>): void {
    this.#loop.push({ type: 'ordered', ...order });
  }

  /** The state tells of a fleet from now on. */
  showFleet(look: () => FleetView): void {
    this.#lookAtFleet = look;
  }

  experts(): readonly ExpertView[] {
    return expertViews(this.#loop.state, (id) => {
      const found = this.#catalog.package(id);
      if (found === null) return null;
      const status = this.#options.preparation?.status(found) ?? null;
      const prepared = status === null ? null : { state: status.state, reasons: status.reasons };
      return { ...found, origin: this.#catalog.originOf(found), prepared };
    });
  }

  state(): StateView {
    return stateView({
      state: this.#loop.state,
      device: this.#sampler.latest?.device ?? null,
      pids: this.#runtime.pids(),
      policies: this.#loop.policy.names,
      log: this.#options.ledger.health(),
      counts: this.#chronicle.counts,
      fleet: this.#lookAtFleet?.() ?? null,
    });
  }

  decisions(query: DecisionQuery): readonly DecisionRow[] {
    return this.#options.ledger.decisions(query);
  }

  explain(id: number): Explanation | null {
    return this.#options.ledger.explain(id);
  }

  health(): Health {
    return {
      live: true,
      ready: this.#ready && !this.#stopping,
      version: this.#options.version,
      uptimeMs: this.#options.clock.nowMs() - this.#startedMs,
      problems: problemsOf(this.#loop.state, this.experts(), this.#options.ledger.health()),
    };
  }

  subscribe(listener: (told: DecisionTold) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // ---- inside -------------------------------------------------------------------------------------------------

  /** One configuration at a time, in the order in which they came. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#settled.then(work);
    this.#settled = done.catch(() => undefined);
    return done;
  }

  async #take(config: Config): Promise<void> {
    const settings = settingsOf(config, this.#device);
    await this.#catalog.reconcile(config, () => {
      this.#config = config;
      const policies = policyNamesOf(config);
      this.#loop.usePolicy(this.#options.policyOf(policies));
      this.#loop.push({ type: 'configured', settings, policies });
      this.#sampler.start(config.memory.sampleMs);
    });
    await this.#loop.decided();
    const experts = [...this.#loop.state.experts.values()];
    // Not waited for: it may have to wait for a preparation under way.
    void this.#tidy(new Set(experts.map(({ expert }) => expert.digest)));
    for (const failure of vacantRoles(this.#loop.state))
      this.#options.log.warn({ failure }, 'a role is vacant');
  }

  async #tidy(digests: ReadonlySet<string>): Promise<void> {
    try {
      await this.#options.preparation?.tidy(digests);
    } catch (error) {
      this.#options.log.warn({ err: error }, 'what was prepared for experts that are gone stays on the disk');
    }
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

  #locate(id: ExpertId): ExpertPackage {
    const found = this.#catalog.package(id);
    if (found === null) throw new AgentError('bad_expert', `no package of expert "${id}" is on this device`);
    const { directory, manifest } = found;
    const prepared = this.#options.preparation?.find(found) ?? null;
    return {
      directory,
      manifest,
      prepared,
      cacheBytes: this.#loop.state.experts.get(id)?.expert.cacheBytes ?? 0,
    };
  }

  #onDecision(event: Event, decision: Decision, sequence: number): void {
    this.#chronicle.note(event, decision, sequence);
    this.#executor.carryOut(event, decision, sequence);
    const { reasons, choice, steps } = decision;
    const told = { id: sequence, atMs: event.atMs, event: event.type, reasons, choice, steps };
    for (const listener of this.#listeners) {
      try {
        listener(told);
      } catch (error) {
        this.#options.log.error({ err: error }, 'this is a bug: a subscriber failed');
      }
    }
  }

  #onFault(event: Event, error: unknown): void {
    this.#options.log.error(
      { event: event.type, err: error },
      'this is a bug: an event was not decided, or its decision not carried out',
    );
    if (event.type === 'request')
      this.#desk.refuse(event.request, { failure: toFailure(error), retryAfterMs: null, loading: null });
  }

  async #watchMemory(): Promise<void> {
    const alarm = await this.#options.openAlarm?.(() => this.#sampler.lookNow());
    if (this.#stopping) alarm?.stop();
    else this.#alarm = alarm;
  }

  /** A step at a time, so that requests come in between. */
  #maintain(): void {
    if (this.#stopping) return;
    if (this.#options.ledger.maintain() === 'more') setImmediate(() => this.#maintain());
    else this.#upkeep = setTimeout(() => this.#maintain(), MAINTAIN_MS);
  }

  #hangUp(id: RequestId, reject: (refusal: Refusal) => void): void {
    this.#desk.drop(id);
    this.#loop.push({ type: 'hungUp', request: id });
    reject(refusalOf(HUNG_UP));
  }

  /** Says in what way an answer is less than it could be. */
  #withNotes(reply: Reply): Reply {
    const isWhole = reply.degraded !== undefined || this.#options.ledger.health().state === 'ok';
    return isWhole ? reply : { ...reply, degraded: 'not-recorded' };
  }
}

/** Only a chat is routed by what it says. */
function featuresOf(ask: Ask): Features {
  return ask.kind === 'chat' ? perceive(ask.question, ask.focus) : perceive('');
}
