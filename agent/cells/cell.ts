/** One child process: it is spawned, called, ended, and its end is told exactly once. */
import { type ChildProcess, spawn } from 'node:child_process';
import { Duplex, Readable } from 'node:stream';
import type { Manifest } from '../catalog/manifest.ts';
import type { Prepared } from '../catalog/prepared.ts';
import { AgentError } from '../errors.ts';
import type { LoadReport } from '../events.ts';
import type { Piece } from '../generation.ts';
import type { OomKills } from '../linux/oom-kills.ts';
import type { Ask, Cached, NamedTensor, Part, RunCall, RunReport, Unloaded } from '../ports.ts';
import type { CellId, ExpertId, Lane, LeaseId } from '../types.ts';
import { Channel } from './channel.ts';
import { cellEnvironment } from './environment.ts';
import { describeEnd, type Ending, wasKilledByOthers } from './exit.ts';
import { readLines } from './output.ts';
import { CHANNEL_FD, type FromCell, PROTOCOL, type ToCell } from './protocol.ts';
import { readMessage } from './validate.ts';

/** How to start a cell: this program with these arguments; the cell's id and lane are added. */
export interface CellCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** An expert on the disk, and what it may take. */
export interface ExpertPackage {
  /** Absolute path of its folder. */
  readonly directory: string;
  /** As it was validated. */
  readonly manifest: Manifest;
  /** What was made of it on this device; null: nothing that can be used. */
  readonly prepared: Prepared | null;
  /** Most bytes of keys and values that it may hold, for all its conversations together. */
  readonly cacheBytes: number;
}

/** What is logged about cells; never the text of a request. Fits a pino logger. */
export interface CellLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface CellOptions {
  readonly id: CellId;
  readonly lane: Lane;
  readonly command: CellCommand;
  readonly log: CellLog;
  /** How long a polite stop may take before SIGKILL. */
  readonly stopGraceMs: number;
  readonly onCached: (expert: ExpertId, cached: Cached) => void;
  /** Shared by all cells: a kill explains the death of one of them. */
  readonly oomKills: OomKills;
  readonly onExit: (cause: string, oomKilled: boolean) => void;
}

interface Call {
  /** Takes an answer; false where it is not of the kind that was asked for. */
  readonly take: (message: FromCell) => boolean;
  readonly reject: (error: AgentError) => void;
}

/** After its exit the last messages of a cell may still be in the pipe; longer than this nobody waits for them. */
const DRAIN_MS = 500;

export class Cell {
  readonly #options: CellOptions;
  readonly #calls = new Map<number, Call>();
  /** Experts that it was ever told to load. */
  readonly #known = new Set<ExpertId>();
  #child: ChildProcess | null = null;
  #channel: Channel | null = null;
  #nextCall = 1;
  /** What the agent does to end it; null while it does nothing. */
  #ending: Ending | null = null;
  #stopTimer: NodeJS.Timeout | null = null;
  #ended = false;

  constructor(options: CellOptions) {
    this.#options = options;
  }

  /** null before the process is up, and where it could not be started. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Starts the process. Failure is told by `onExit`, never thrown. */
  start(): void {
    const startMs = performance.now();
    try {
      const child = this.#spawn();
      this.#child = child;
      child.on('error', (error) => {
        if (child.pid === undefined) this.#finish(`could not be started: ${error.message}`);
      });
      this.#watchExit(child);
      if (child.pid !== undefined) this.#listen(child, startMs);
    } catch (error) {
      // Some errors of the system are thrown at once. Told later all the same, as those that come by event are.
      const why = error instanceof Error ? error.message : String(error);
      setImmediate(() => this.#finish(`could not be started: ${why}`));
    }
  }

  load(expert: ExpertId, found: ExpertPackage): Promise<LoadReport> {
    const { directory, manifest, prepared, cacheBytes } = found;
    this.#known.add(expert);
    return this.#call(
      (call) => ({ type: 'load', call, expert, directory, manifest, prepared, cacheBytes }),
      (message) => (message.type === 'loaded' ? message.report : undefined),
    );
  }

  unload(expert: ExpertId, part: Part): Promise<Unloaded> {
    return this.#call(
      (call) => ({ type: 'unload', call, expert, part }),
      (message) => (message.type === 'unloaded' ? message.unloaded : undefined),
    );
  }

  run({ lease, expert, ask }: RunCall, onDelta: (piece: Piece) => void): Promise<RunReport> {
    return this.#call(
      (call) => ({ type: 'run', call, lease, expert, ask }),
      (message) => (message.type === 'answered' && answers(message.report, ask) ? message.report : undefined),
      onDelta,
    );
  }

  cancel(lease: LeaseId): void {
    this.#channel?.send({ type: 'cancel', lease } satisfies ToCell);
  }

  /** Asks it to end, and kills it if it has not after the grace. */
  stop(): void {
    if (this.#ended || this.#ending !== null) return;
    this.#ending = { reason: 'stopped by the agent', kill: false };
    this.#channel?.send({ type: 'stop' } satisfies ToCell);
    this.#killUnlessEnded('it did not stop in time');
  }

  /** Ends it at once. `reason` goes into its cause of death. */
  kill(reason: string): void {
    if (this.#ended) return;
    this.#ending = { reason: `killed by the agent: ${reason}`, kill: true };
    this.#child?.kill('SIGKILL');
  }

  #spawn(): ChildProcess {
    const { id, lane, command } = this.#options;
    return spawn(command.file, [...command.args, id, lane], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      env: cellEnvironment(process.env, command.env),
    });
  }

  #watchExit(child: ChildProcess): void {
    const { oomKills } = this.#options;
    const killsAtStart = oomKills.count();
    child.on('exit', (code, signal) => {
      const ending = this.#ending;
      const oomKilled = wasKilledByOthers({ signal, ending }) && oomKills.explains(killsAtStart);
      this.#drain(child, describeEnd({ code, signal, ending, oomKilled }), oomKilled);
    });
  }

  #killUnlessEnded(reason: string): void {
    if (this.#ended) return;
    this.#stopTimer ??= setTimeout(() => this.kill(reason), this.#options.stopGraceMs);
  }

  #listen(child: ChildProcess, startMs: number): void {
    const { id, log } = this.#options;
    const streams = [child.stdout, child.stderr];
    for (const stream of streams) {
      if (stream instanceof Readable)
        readLines(stream, (line) => log.warn({ cell: id, line }, 'a cell printed'));
    }
    const socket = child.stdio[CHANNEL_FD];
    if (!(socket instanceof Duplex)) throw new AgentError('internal', 'a cell was started without a channel');
    this.#channel = new Channel(socket, {
      onMessage: (message) => this.#receive(readMessage(message), startMs),
      onBroken: (error) => this.#distrust(error),
      // Normally it ends at this very moment; a process that lives on without its channel is of no use.
      onClosed: () => this.#killUnlessEnded('it closed its channel'),
    });
  }

  #receive(message: FromCell, startMs: number): void {
    if (this.#ended) return;
    if (message.type === 'ready') {
      this.#greet(message.protocol, startMs);
      return;
    }
    if (message.type === 'cached') {
      this.#tellCached(message.expert, message.cached);
      return;
    }
    const call = this.#calls.get(message.call);
    if (call === undefined) throw new AgentError('malformed', 'an answer to a call that is not open');
    if (message.type === 'failed') call.reject(AgentError.fromFailure(message.failure));
    else if (!call.take(message))
      throw new AgentError('malformed', `a "${message.type}" that was not asked for`);
    if (message.type !== 'delta') this.#calls.delete(message.call);
  }

  #greet(protocol: number, startMs: number): void {
    const { id, log } = this.#options;
    if (protocol !== PROTOCOL) {
      throw new AgentError('malformed', 'it speaks the protocol of another version; restart the agent');
    }
    log.info({ cell: id, pid: this.pid, startMs: Math.round(performance.now() - startMs) }, 'a cell is up');
  }

  /** In a later turn: the answer that came before it, with the same bytes maybe, is a promise that settles first. */
  #tellCached(expert: ExpertId, cached: Cached): void {
    if (!this.#known.has(expert)) throw new AgentError('malformed', 'a "cached" of an expert it never had');
    setImmediate(() => {
      if (!this.#ended) this.#options.onCached(expert, cached);
    });
  }

  #distrust(error: unknown): void {
    const what = error instanceof AgentError && error.code === 'malformed' ? error.message : null;
    // Anything else was thrown by our own code while it handled the message: a bug, not to be blamed on the cell.
    if (what === null) throw error;
    this.#options.log.warn({ cell: this.#options.id, what }, 'a cell sent a malformed message and is killed');
    this.kill(`it sent ${what}`);
  }

  #call<T>(
    message: (call: number) => ToCell,
    read: (message: FromCell) => T | undefined,
    onDelta?: (piece: Piece) => void,
  ): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    if (this.#ended || this.#ending !== null) {
      reject(cellExited(this.#options.id, this.#ending?.reason ?? 'it has ended'));
      return promise;
    }
    const call = this.#nextCall++;
    const take = (answer: FromCell) => {
      if (answer.type === 'delta') {
        onDelta?.(answer.piece);
        return onDelta !== undefined;
      }
      const value = read(answer);
      if (value !== undefined) resolve(value);
      return value !== undefined;
    };
    this.#calls.set(call, { take, reject });
    try {
      this.#channel?.send(message(call));
    } catch (error) {
      this.#calls.delete(call);
      reject(error);
    }
    return promise;
  }

  /** Waits for what is left in the pipe, so that an answer that was sent before the end still counts. */
  #drain(child: ChildProcess, cause: string, oomKilled: boolean): void {
    const timer = setTimeout(() => this.#finish(cause, oomKilled), DRAIN_MS);
    child.once('close', () => {
      clearTimeout(timer);
      this.#finish(cause, oomKilled);
    });
  }

  /** `onExit` comes before any handler of the rejected promises: those run after this turn. */
  #finish(cause: string, oomKilled = false): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#stopTimer !== null) clearTimeout(this.#stopTimer);
    for (const call of this.#calls.values()) call.reject(cellExited(this.#options.id, cause));
    this.#calls.clear();
    this.#options.onExit(cause, oomKilled);
  }
}

/** The error of everything that was under way in a cell when it ended, or is asked of it afterwards. */
export function cellExited(cell: CellId, cause: string): AgentError {
  return new AgentError('cell_exited', `The process ${cell}, in which the expert ran, is gone: ${cause}.`, {
    hint: 'Try again: the expert is loaded anew. The log of the agent holds what the process printed.',
    retryable: true,
  });
}

/** Whether an answer is of the kind that was asked for: with one vector a text, with the outputs that were named. */
function answers({ answer }: RunReport, ask: Ask): boolean {
  switch (ask.kind) {
    case 'chat':
      return answer.kind !== 'embeddings' && answer.kind !== 'tensors';
    case 'embeddings':
      return answer.kind === 'embeddings' && answer.vectors.length === ask.texts.length;
    case 'tensors':
      return answer.kind === 'tensors' && areNamed(answer.outputs, ask.outputs);
  }
}

function areNamed(outputs: readonly NamedTensor[], names: readonly string[] | null): boolean {
  return (
    names === null || (outputs.length === names.length && outputs.every(({ name }, at) => name === names[at]))
  );
}
