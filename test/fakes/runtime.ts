/**
 * A `Runtime` without processes, for tests of whoever uses one. It does nothing by itself over time: what it is asked
 * ends in the same turn, unless its expert waits for something. It records what no user of a runtime may do.
 */
import { AgentError, toFailure } from '../../agent/errors.ts';
import type { LoadReport } from '../../agent/events.ts';
import type { Piece } from '../../agent/generation.ts';
import type {
  Answer,
  Ask,
  OnCellExit,
  Part,
  RunCall,
  RunReport,
  Runtime,
  Unloaded,
} from '../../agent/ports.ts';
import type { CellId, ExpertId, Lane, LeaseId } from '../../agent/types.ts';

export interface FakeExpert {
  readonly residentBytes: number;
  /** Called at each load; may wait, may throw an AgentError. */
  readonly load?: () => Promise<void>;
  /** What it keeps after a run. */
  readonly keptBytes?: () => number;
  /** Called where only what it keeps is unloaded. */
  readonly trim?: () => void;
  readonly run: (ask: Ask, run: { signal: AbortSignal; onDelta: (piece: Piece) => void }) => Promise<Answer>;
}

export interface FakeRuntimeOptions {
  readonly experts: ReadonlyMap<ExpertId, FakeExpert>;
  readonly onExit: OnCellExit;
  readonly baseBytes?: number;
}

interface FakeRun {
  readonly lease: LeaseId;
  readonly expert: ExpertId;
  readonly abort: AbortController;
  started: boolean;
  readonly reject: (error: AgentError) => void;
}

interface FakeCell {
  readonly pid: number;
  readonly experts: Set<ExpertId>;
  readonly runs: Map<LeaseId, FakeRun>;
  /** Settles when everything asked so far is done. */
  queue: Promise<void>;
  /** Rejects when the cell ends. */
  readonly death: PromiseWithResolvers<never>;
}

export class FakeRuntime implements Runtime {
  /** What was asked although the design forbids it, in words. */
  readonly violations: string[] = [];
  readonly #options: FakeRuntimeOptions;
  readonly #cells = new Map<CellId, FakeCell>();
  readonly #exited = new Set<CellId>();
  #nextPid = 100_000;

  constructor(options: FakeRuntimeOptions) {
    this.#options = options;
  }

  async load(id: CellId, _lane: Lane, expert: ExpertId): Promise<LoadReport> {
    const script = this.#options.experts.get(expert);
    if (script === undefined) throw new AgentError('unknown_expert', `no expert "${expert}"`);
    if (this.#exited.has(id)) throw gone(id, 'it has ended');
    const cell = this.#cells.get(id) ?? this.#startCell(id);
    if (cell.runs.size > 0) this.violations.push(`${expert} was loaded in ${id}, which holds a lease`);
    return await this.#inTurn(cell, async () => {
      if (cell.experts.has(expert)) throw new AgentError('already_loaded', `"${expert}" is loaded in ${id}`);
      const beforeBytes = this.#bytes(cell);
      await script.load?.();
      cell.experts.add(expert);
      return { beforeBytes, afterBytes: this.#bytes(cell), peakBytes: script.residentBytes, loadMs: 1 };
    });
  }

  async unload(id: CellId, expert: ExpertId, part: Part): Promise<Unloaded> {
    const cell = this.#running(id);
    const used = [...cell.runs.values()].some((run) => run.expert === expert);
    if (used) this.violations.push(`${expert} was unloaded from ${id} while it was leased`);
    return await this.#inTurn(cell, async () => {
      if (!cell.experts.has(expert)) throw notLoaded(expert, id);
      if (part === 'kept') this.#options.experts.get(expert)?.trim?.();
      else cell.experts.delete(expert);
      return { cellBytes: this.#bytes(cell), weights: null };
    });
  }

  async run({ cell: id, lease, expert, ask }: RunCall, onDelta: (piece: Piece) => void): Promise<RunReport> {
    const cell = this.#running(id);
    if (cell.runs.has(lease)) this.violations.push(`lease ${lease} ran twice at once`);
    const dropped = Promise.withResolvers<never>();
    const run: FakeRun = {
      lease,
      expert,
      abort: new AbortController(),
      started: false,
      reject: dropped.reject,
    };
    cell.runs.set(lease, run);
    const work = this.#inTurn(cell, async () => {
      if (run.abort.signal.aborted) return CANCELLED;
      run.started = true;
      const script = this.#options.experts.get(expert);
      if (script === undefined || !cell.experts.has(expert)) throw notLoaded(expert, id);
      const answer = await script.run(ask, { signal: run.abort.signal, onDelta }).catch(asRunFailure);
      return { answer, stages: { queue: 0, run: 1 }, keptBytes: script.keptBytes?.() ?? 0 };
    });
    return await Promise.race([work, dropped.promise]).finally(() => cell.runs.delete(lease));
  }

  cancel(id: CellId, lease: LeaseId): void {
    const run = this.#cells.get(id)?.runs.get(lease);
    run?.abort.abort();
    if (run?.started === false) run.reject(new AgentError('cancelled', 'cancelled before it began'));
  }

  stop(id: CellId, kill: boolean): boolean {
    return this.crash(id, kill ? 'killed by the agent: it was told to' : 'stopped by the agent');
  }

  pids(): ReadonlyMap<CellId, number> {
    return new Map([...this.#cells].map(([id, { pid }]) => [id, pid]));
  }

  /** Ends a cell with all that is under way in it; false where there is none. */
  crash(id: CellId, cause = 'killed by SIGSEGV'): boolean {
    const cell = this.#cells.get(id);
    if (cell === undefined) return false;
    this.#cells.delete(id);
    this.#exited.add(id);
    cell.death.reject(gone(id, cause));
    this.#options.onExit(id, cause, false);
    return true;
  }

  #startCell(id: CellId): FakeCell {
    const death = Promise.withResolvers<never>();
    // Nobody may be waiting when it ends.
    death.promise.catch(() => {});
    const cell = {
      pid: this.#nextPid++,
      experts: new Set<ExpertId>(),
      runs: new Map<LeaseId, FakeRun>(),
      queue: Promise.resolve(),
      death,
    };
    this.#cells.set(id, cell);
    return cell;
  }

  #running(id: CellId): FakeCell {
    const cell = this.#cells.get(id);
    if (cell === undefined) throw gone(id, 'it is not running');
    return cell;
  }

  #inTurn<T>(cell: FakeCell, work: () => Promise<T>): Promise<T> {
    const result = cell.queue.then(work);
    cell.queue = result.then(
      () => {},
      () => {},
    );
    return Promise.race([result, cell.death.promise]);
  }

  #bytes({ experts }: FakeCell): number {
    const sizes = [...experts].map((expert) => this.#options.experts.get(expert)?.residentBytes ?? 0);
    return sizes.reduce((sum, bytes) => sum + bytes, this.#options.baseBytes ?? 40_000_000);
  }
}

/** Stands in for the report of a run that was dropped before it began: its promise has been rejected by then. */
const CANCELLED: RunReport = {
  answer: {
    kind: 'text',
    text: '',
    finish: 'cancelled',
    inputTokens: 0,
    outputTokens: 0,
    cachedTokens: 0,
    tokens: [],
  },
  stages: {},
  keptBytes: 0,
};

function asRunFailure(error: unknown): never {
  if (error instanceof AgentError) throw error;
  throw new AgentError('run_failed', toFailure(error).message);
}

function gone(cell: CellId, cause: string): AgentError {
  return new AgentError('cell_exited', `The process ${cell} is gone: ${cause}.`, { retryable: true });
}

function notLoaded(expert: ExpertId, cell: CellId): AgentError {
  return new AgentError('not_loaded', `"${expert}" is not loaded in ${cell}`, { retryable: true });
}
