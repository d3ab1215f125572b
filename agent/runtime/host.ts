/**
 * The experts of one cell and their work, begun in the order in which it came. Loads and unloads happen alone: each
 * blocks the thread for most of its time anyway, and memory can only be measured when nothing else moves. So do runs,
 * but for those of tasks that take turns: such a run may begin while others of its kind are under way.
 */
import { realpathSync } from 'node:fs';
import type { Manifest } from '../catalog/manifest.ts';
import type { FromCell, ToCell } from '../cells/protocol.ts';
import { AgentError } from '../errors.ts';
import type { LoadReport, ParkedWeights } from '../events.ts';
import type { Part, RunReport, Unloaded } from '../ports.ts';
import type { ExpertId, Failure, LeaseId } from '../types.ts';
import { loadFailure, runFailure } from './failure.ts';
import type { CellMemory } from './memory.ts';
import { CacheWatch } from './parking/cache-watch.ts';
import { notParkable } from './parking/refusal.ts';
import type { OpenTask, Task, TaskContext } from './task.ts';
import { type Found, findWeights, type Parker, Weights } from './weights.ts';

type Session = Awaited<ReturnType<TaskContext['openSession']>>;
type Load = Extract<ToCell, { type: 'load' }>;
type Run = Extract<ToCell, { type: 'run' }>;

export interface HostOptions {
  readonly send: (message: FromCell) => void;
  readonly findTask: (task: Manifest['task']) => Promise<OpenTask>;
  /** Sets up what all experts share; called before a load is measured. */
  readonly startRuntime: () => Promise<unknown>;
  readonly openSession: (files: Pick<Load, 'directory' | 'manifest'>, path: string) => Promise<Session>;
  /** Threads of one run. */
  readonly threads: number;
  readonly memory: Pick<CellMemory, 'measure' | 'settle' | 'pssBytes'>;
  /** null where weights cannot leave memory. */
  readonly parker: Parker | null;
  /** After this long without work, memory that runs have left behind is given back. */
  readonly settleAfterMs: number;
}

/** One piece of work. `perform` resolves with the answer, or with null where it was answered before. */
interface Job {
  readonly call: number;
  /** Asked when it is its turn to begin: whether others may be under way at the same time. */
  readonly sharesTime: () => boolean;
  readonly perform: () => Promise<FromCell | null>;
  readonly describe: (error: unknown) => Failure;
  /** What is to be said once the answer was sent. */
  readonly afterwards?: () => void;
}

/** A run that has not ended. */
interface OpenRun {
  readonly call: number;
  readonly sinceMs: number;
  state: 'queued' | 'running' | 'cancelled';
}

export class Host {
  readonly #options: HostOptions;
  readonly #tasks = new Map<ExpertId, Task>();
  /** Of language models. */
  readonly #weights = new Map<ExpertId, Found>();
  readonly #runs = new Map<LeaseId, OpenRun>();
  readonly #waiting: Job[] = [];
  /** Those that were begun: one that is alone, or some that share their time. */
  readonly #begun = new Set<Job>();
  #whenIdle: PromiseWithResolvers<void> | null = null;
  #settleTimer: NodeJS.Timeout | undefined;
  readonly #cacheWatch: CacheWatch;

  constructor(options: HostOptions) {
    this.#options = options;
    this.#cacheWatch = new CacheWatch({
      tell: (expert, { bytes, coldBytes }) =>
        options.send({ type: 'cached', expert, cached: { bytes, coldBytes } }),
      isIdle: () => this.#begun.size === 0,
    });
  }

  /** Takes one message of the agent; answers come through `send`. */
  receive(message: Exclude<ToCell, { type: 'stop' }>): void {
    if (message.type === 'cancel') {
      this.#cancel(message.lease);
      return;
    }
    if (message.type === 'run') {
      this.#enqueueRun(message);
      return;
    }
    const { call, expert } = message;
    this.#enqueue({
      call,
      // Reading a file ahead is no matter of this thread or its memory.
      sharesTime: () => message.type === 'load' && this.#parked(expert) !== null,
      perform: async () =>
        message.type === 'load'
          ? { type: 'loaded', call, report: await this.#load(message) }
          : { type: 'unloaded', call, unloaded: await this.#unload(expert, message.part) },
      describe: (error) => loadFailure(error, expert),
      afterwards: () => this.#tellCached(expert),
    });
  }

  /** Lets the runs under way end early, drops those that wait, and releases every expert after the last job. */
  async stop(): Promise<void> {
    for (const lease of [...this.#runs.keys()]) this.#cancel(lease);
    await this.#idle();
    clearTimeout(this.#settleTimer);
    this.#cacheWatch.stop();
    for (const [expert, task] of [...this.#tasks]) await this.#release(expert, task);
  }

  #enqueue(job: Job): void {
    clearTimeout(this.#settleTimer);
    this.#waiting.push(job);
    this.#beginWaiting();
  }

  /** In order, whatever it is: a load that waits lets nobody pass, so it is next once the runs under way have ended. */
  #beginWaiting(): void {
    for (;;) {
      const [job] = this.#waiting;
      if (job === undefined) return;
      const othersShare = [...this.#begun].every(({ sharesTime }) => sharesTime());
      if (this.#begun.size > 0 && !(othersShare && job.sharesTime())) return;
      this.#waiting.shift();
      this.#begun.add(job);
      void this.#work(job);
    }
  }

  async #work(job: Job): Promise<void> {
    const { call, perform, describe, afterwards } = job;
    try {
      const answer = await perform();
      if (answer !== null) this.#options.send(answer);
    } catch (error) {
      this.#options.send({ type: 'failed', call, failure: describe(error) });
    }
    afterwards?.();
    this.#begun.delete(job);
    this.#beginWaiting();
    if (this.#begun.size > 0) return;
    this.#whenIdle?.resolve();
    this.#whenIdle = null;
    this.#settleTimer = setTimeout(() => this.#options.memory.settle(), this.#options.settleAfterMs);
  }

  /** Resolves when everything that was asked so far is done. */
  async #idle(): Promise<void> {
    if (this.#begun.size === 0) return;
    this.#whenIdle ??= Promise.withResolvers();
    await this.#whenIdle.promise;
  }

  /** Its weights, while they are parked. */
  #parked(expert: ExpertId): Weights | null {
    const weights = this.#weights.get(expert);
    return weights instanceof Weights && weights.isParked ? weights : null;
  }

  #tellCached(expert: ExpertId): void {
    const weights = this.#parked(expert);
    if (weights !== null) this.#cacheWatch.tell(expert, () => weights.residency());
  }

  /** Whoever waits for this, or for what else is under way, is not held up by a slow disk. */
  async #warm(weights: Weights): Promise<LoadReport> {
    const startMs = performance.now();
    await weights.warm(() => this.#waiting.length > 0);
    return { beforeBytes: null, afterBytes: null, peakBytes: null, loadMs: performance.now() - startMs };
  }

  async #load({ expert, directory, manifest, prepared, cacheBytes }: Load): Promise<LoadReport> {
    const { findTask, startRuntime, openSession, memory, threads } = this.#options;
    const parked = this.#parked(expert);
    if (parked !== null) return await this.#warm(parked);
    if (this.#tasks.has(expert)) {
      throw new AgentError('already_loaded', `The expert "${expert}" is loaded in this process already.`);
    }
    const open = await findTask(manifest.task);
    await startRuntime();
    const sessions: Session[] = [];
    const openAndKeep = async (path: string) => {
      const session = await openSession({ directory, manifest }, path);
      sessions.push(session);
      return session;
    };
    return await memory.measure(async () => {
      try {
        const given = { manifest, directory, prepared, threads, cacheBytes };
        const openTask = () => open({ ...given, openSession: openAndKeep });
        if (manifest.task !== 'text-generation') {
          this.#tasks.set(expert, await openTask());
          return;
        }
        const folders = [directory, ...(prepared === null ? [] : [prepared.directory])].map((one) =>
          realpathSync(one),
        );
        const { task, weights } = await findWeights(this.#options.parker, folders, openTask);
        this.#tasks.set(expert, task);
        this.#weights.set(expert, weights);
      } catch (error) {
        // A task that fails half-way may leave open what it opened; what it released itself refuses a second time.
        for (const session of sessions) await session.release().catch(() => {});
        throw error;
      }
    });
  }

  async #unload(expert: ExpertId, part: Part): Promise<Unloaded> {
    let weights: ParkedWeights | null = null;
    const task = this.#loaded(expert);
    const { memory } = this.#options;
    switch (part) {
      case 'pages':
        // They are nobody's memory: there is nothing to settle.
        this.#parkable(expert).chill();
        return { cellBytes: memory.pssBytes(), weights };
      case 'weights':
        task.trim?.();
        weights = await this.#parkable(expert).park();
        break;
      case 'kept':
        task.trim?.();
        break;
      case 'all':
        await this.#release(expert, task);
    }
    memory.settle();
    return { cellBytes: memory.pssBytes(), weights };
  }

  #parkable(expert: ExpertId): Weights {
    const weights = this.#weights.get(expert);
    if (weights instanceof Weights) return weights;
    throw weights ?? notParkable('it is not a language model');
  }

  async #release(expert: ExpertId, task: Task): Promise<void> {
    this.#tasks.delete(expert);
    await task.release();
    const weights = this.#weights.get(expert);
    this.#weights.delete(expert);
    if (weights instanceof Weights) await weights.release();
  }

  #enqueueRun(message: Run): void {
    const { call, lease, expert, ask } = message;
    const run: OpenRun = { call, sinceMs: performance.now(), state: 'queued' };
    this.#runs.set(lease, run);
    this.#enqueue({
      call,
      sharesTime: () => this.#tasks.get(expert)?.takesTurns ?? false,
      perform: async () => {
        if (run.state === 'cancelled') return null;
        run.state = 'running';
        try {
          return { type: 'answered', call, report: await this.#run(message, run) };
        } finally {
          this.#runs.delete(lease);
        }
      },
      describe: (error) => runFailure(error, expert, ask),
    });
  }

  async #run({ call, expert, ask }: Run, run: OpenRun): Promise<RunReport> {
    const task = this.#loaded(expert);
    const stages: Record<string, number> = { queue: performance.now() - run.sinceMs };
    const weights = this.#weights.get(expert);
    const work = () =>
      task.run(ask, {
        cancelled: () => run.state === 'cancelled',
        onDelta: (piece) => this.#options.send({ type: 'delta', call, piece }),
        spent: (stage, ms) => {
          stages[stage] = (stages[stage] ?? 0) + ms;
        },
      });
    const onResumed = (ms: number) => {
      stages['resume'] = ms;
    };
    const answer = weights instanceof Weights ? await weights.use(work, onResumed) : await work();
    return { answer, stages, keptBytes: task.keptBytes?.() ?? 0 };
  }

  /** A run under way is told; one that waits is answered at once, so that its lease ends at once. */
  #cancel(lease: LeaseId): void {
    const run = this.#runs.get(lease);
    if (run === undefined) return;
    const waited = run.state === 'queued';
    run.state = 'cancelled';
    if (!waited) return;
    this.#runs.delete(lease);
    const failure = new AgentError('cancelled', 'The run was cancelled before it began.').toFailure();
    this.#options.send({ type: 'failed', call: run.call, failure });
  }

  #loaded(expert: ExpertId): Task {
    const task = this.#tasks.get(expert);
    if (task !== undefined) return task;
    throw new AgentError('not_loaded', `The expert "${expert}" is not loaded in this process.`, {
      retryable: true,
    });
  }
}
