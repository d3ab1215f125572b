/** Real cells for tests: what they exit of, what they log, and an end that leaves nothing behind. */
import { fileURLToPath } from 'node:url';
import type { Manifest } from '../../agent/catalog/manifest.ts';
import type { CellCommand, CellLog, ExpertPackage } from '../../agent/cells/cell.ts';
import { Cells } from '../../agent/cells/cells.ts';
import { AgentError } from '../../agent/errors.ts';
import { AS_MADE, type Piece } from '../../agent/generation.ts';
import { OomKills } from '../../agent/linux/oom-kills.ts';
import type { Ask, Cached, RunReport } from '../../agent/ports.ts';
import type { CellId, ExpertId } from '../../agent/types.ts';
import v8Flags from '../../agent/v8-flags.json' with { type: 'json' };
import type { LoadScript } from './scripted-task.ts';

export const scriptedCommand: CellCommand = {
  file: process.execPath,
  args: [
    '--disable-warning=ExperimentalWarning',
    ...v8Flags,
    fileURLToPath(new URL('cell-process.ts', import.meta.url)),
  ],
};

/** An expert without files whose load does what `script` says. */
export function scripted(id: ExpertId, script: LoadScript = 'plain'): ExpertPackage {
  return packageOf(import.meta.dirname, scriptedManifest(id, script));
}

/** A package from which nothing was prepared. */
export function packageOf(directory: string, manifest: Manifest): ExpertPackage {
  return { directory, manifest, prepared: null, cacheBytes: 16 * 1024 ** 2 };
}

export function scriptedManifest(id: ExpertId, script: LoadScript): Manifest {
  return {
    schema: 1,
    id,
    version: '1.0.0',
    task: 'text-generation',
    summary: script,
    license: 'Apache-2.0',
    source: 'made for a test',
    runtime: 'onnx',
    model: { path: 'onnx/model.onnx', precision: 'none', inputs: {}, outputs: {} },
    files: [{ path: 'onnx/model.onnx', bytes: 0, sha256: '0'.repeat(64) }],
    routing: { languages: ['*'], examples: [], rules: [] },
    golden: [{ input: 'say x', output: 'x' }],
  };
}

export function say(question: string): Ask {
  const messages = [{ role: 'user', content: question }] as const;
  const rest = { embedding: null, raw: null, generation: AS_MADE };
  return { kind: 'chat', messages, question, focus: question, ...rest };
}

export interface Exit {
  readonly cell: CellId;
  readonly cause: string;
  readonly oomKilled: boolean;
}

/** `Cells` with everything that it tells. Use with `await using`: its end waits for the exit of every process. */
export class StartedCells {
  readonly cells: Cells;
  readonly exits: Exit[] = [];
  readonly cached: { readonly cell: CellId; readonly expert: ExpertId; readonly cached: Cached }[] = [];
  readonly logged: { readonly level: string; readonly text: string }[] = [];
  readonly #cachedWaiters: ((cached: Cached) => void)[] = [];
  #waiters: { readonly cell: CellId; readonly resolve: (cause: string) => void }[] = [];

  constructor(
    experts: ReadonlyMap<ExpertId, ExpertPackage>,
    {
      command = scriptedCommand,
      stopGraceMs = 2_000,
      oomKills = new OomKills(),
    }: { command?: CellCommand; stopGraceMs?: number; oomKills?: OomKills } = {},
  ) {
    const log = (level: string) => (fields: object, message: string) => {
      this.logged.push({ level, text: `${message} ${JSON.stringify(fields)}` });
    };
    this.cells = new Cells({
      command,
      locate: (id) => locate(experts, id),
      log: { info: log('info'), warn: log('warn') } satisfies CellLog,
      onExit: (...exit) => this.#exited(...exit),
      onCached: (cell, expert, cached) => {
        this.cached.push({ cell, expert, cached });
        for (const resolve of this.#cachedWaiters.splice(0)) resolve(cached);
      },
      stopGraceMs,
      oomKills,
    });
  }

  /** What is told next of a parked expert. To be called before what makes a cell tell it. */
  nextCached(): Promise<Cached> {
    return new Promise((resolve) => this.#cachedWaiters.push(resolve));
  }

  /** Resolves with the cause when the cell has ended, or has ended before. */
  exited(cell: CellId): Promise<string> {
    const exit = this.exits.find((one) => one.cell === cell);
    if (exit !== undefined) return Promise.resolve(exit.cause);
    return new Promise((resolve) => this.#waiters.push({ cell, resolve }));
  }

  pid(cell: CellId): number {
    const pid = this.cells.pids().get(cell);
    if (pid === undefined) throw new Error(`${cell} does not run`);
    return pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cells.shutdown(2_000);
  }

  #exited(cell: CellId, cause: string, oomKilled: boolean): void {
    this.exits.push({ cell, cause, oomKilled });
    for (const waiter of this.#waiters) if (waiter.cell === cell) waiter.resolve(cause);
  }
}

function locate(experts: ReadonlyMap<ExpertId, ExpertPackage>, id: ExpertId): ExpertPackage {
  const found = experts.get(id);
  if (found === undefined) throw new AgentError('unknown_expert', `no expert "${id}"`);
  return found;
}

/** One run of the expert `good` in a cell. */
export function runScripted(
  { cells }: StartedCells,
  question: string,
  { cell = 'fast-1', onDelta = (_piece: Piece) => {} } = {},
): Promise<RunReport> {
  return cells.run({ cell, lease: 1, expert: 'good', ask: say(question) }, onDelta);
}

export async function textOf(report: Promise<RunReport>): Promise<string> {
  const { answer } = await report;
  if (answer.kind !== 'text') throw new TypeError(`the answer is ${answer.kind}`);
  return answer.text;
}

/** A run that is watched: when it has sent something, and how it ends. No promise of it rejects unheard. */
export function beginRun(started: StartedCells, question: string, cell = 'fast-1') {
  const begun = Promise.withResolvers<void>();
  const run = runScripted(started, question, { cell, onDelta: () => begun.resolve() });
  const failure = run.then(
    () => 'none',
    (error: unknown) => (error instanceof AgentError ? `${error.code}: ${error.message}` : String(error)),
  );
  return { begun: begun.promise, failure, text: textOf(run).catch(() => 'failed') };
}
