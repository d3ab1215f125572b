/** The cells of an agent: `Runtime` over child processes. Never imports ONNX Runtime. */

import type { LoadReport } from '../events.ts';
import type { Piece } from '../generation.ts';
import { OomKills } from '../linux/oom-kills.ts';
import type { Cached, OnCached, OnCellExit, Part, RunCall, RunReport, Runtime, Unloaded } from '../ports.ts';
import type { CellId, ExpertId, Lane, LeaseId } from '../types.ts';
import { Cell, type CellCommand, type CellLog, cellExited, type ExpertPackage } from './cell.ts';

export interface CellsOptions {
  readonly command: CellCommand;
  /** Finds an installed expert; throws an AgentError where there is none. */
  readonly locate: (expert: ExpertId) => ExpertPackage;
  /** Called once for every cell that was started, before the handlers of its rejected promises run. */
  readonly onExit: OnCellExit;
  readonly onCached: OnCached;
  readonly log: CellLog;
  readonly stopGraceMs?: number;
  /** Where kills are counted; the kernel's own counters if it is not given. */
  readonly oomKills?: OomKills;
}

const STOP_GRACE_MS = 2_000;
/** A step for a cell may have been decided just before its exit was heard of; older ids are not asked for again. */
const REMEMBERED_EXITS = 1_000;

export class Cells implements Runtime {
  readonly #options: CellsOptions;
  readonly #oomKills: OomKills;
  readonly #cells = new Map<CellId, Cell>();
  /** Ids of cells that have ended, oldest first: an id is never used for a second process. */
  readonly #exited = new Set<CellId>();
  #closed = false;
  #whenEmpty: (() => void) | null = null;

  constructor(options: CellsOptions) {
    this.#options = options;
    this.#oomKills = options.oomKills ?? new OomKills();
  }

  async load(cell: CellId, lane: Lane, expert: ExpertId): Promise<LoadReport> {
    const found = this.#options.locate(expert);
    return this.#start(cell, lane).load(expert, found);
  }

  async unload(cell: CellId, expert: ExpertId, part: Part): Promise<Unloaded> {
    return this.#running(cell).unload(expert, part);
  }

  async run(call: RunCall, onDelta: (piece: Piece) => void): Promise<RunReport> {
    return this.#running(call.cell).run(call, onDelta);
  }

  cancel(cell: CellId, lease: LeaseId): void {
    this.#cells.get(cell)?.cancel(lease);
  }

  stop(cell: CellId, kill: boolean): boolean {
    const running = this.#cells.get(cell);
    if (running === undefined) return false;
    if (kill) running.kill('it was told to');
    else running.stop();
    return true;
  }

  pids(): ReadonlyMap<CellId, number> {
    return new Map([...this.#cells].flatMap(([id, { pid }]) => (pid === null ? [] : [[id, pid]])));
  }

  /** Ends all cells, politely until the deadline; resolves when every exit was reported. No load is taken after it. */
  async shutdown(timeoutMs: number): Promise<void> {
    this.#closed = true;
    if (this.#cells.size === 0) return;
    const empty = Promise.withResolvers<void>();
    this.#whenEmpty = empty.resolve;
    for (const cell of this.#cells.values()) cell.stop();
    const timer = setTimeout(() => {
      for (const cell of this.#cells.values()) cell.kill('it did not stop before the shutdown ended');
    }, timeoutMs);
    await empty.promise;
    clearTimeout(timer);
  }

  #start(id: CellId, lane: Lane): Cell {
    const running = this.#cells.get(id);
    if (running !== undefined) return running;
    if (this.#closed) throw cellExited(id, 'the agent is shutting down');
    if (this.#exited.has(id)) throw cellExited(id, 'it has ended');
    const { command, log, stopGraceMs = STOP_GRACE_MS } = this.#options;
    const onExit = (cause: string, oomKilled: boolean) => this.#forget(id, cause, oomKilled);
    const onCached = (expert: ExpertId, cached: Cached) => this.#options.onCached(id, expert, cached);
    const cell = new Cell({
      id,
      lane,
      command,
      log,
      stopGraceMs,
      oomKills: this.#oomKills,
      onCached,
      onExit,
    });
    this.#cells.set(id, cell);
    cell.start();
    return cell;
  }

  #running(id: CellId): Cell {
    const cell = this.#cells.get(id);
    if (cell === undefined) throw cellExited(id, 'it is not running');
    return cell;
  }

  #forget(id: CellId, cause: string, oomKilled: boolean): void {
    this.#cells.delete(id);
    this.#exited.add(id);
    const [oldest] = this.#exited;
    if (this.#exited.size > REMEMBERED_EXITS && oldest !== undefined) this.#exited.delete(oldest);
    this.#options.log.info({ cell: id, cause, oomKilled }, 'a cell has ended');
    this.#options.onExit(id, cause, oomKilled);
    if (this.#cells.size === 0) this.#whenEmpty?.();
  }
}
