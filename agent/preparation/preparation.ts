/**
 * Makes, once a device, what lets an expert load faster and take less: `DIRECTORY/<digest>-<runtime>-<arch>/`. The
 * work is done by short-lived processes, one phase after the other, one expert at a time. A folder is made under
 * another name and gets its own when all of it is on the disk, so what is found there is whole. Nothing here is needed:
 * where it fails, the expert loads as it is, and the log says why, once.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../catalog/manifest.ts';
import type { Prepared } from '../catalog/prepared.ts';
import { areUntouched, type Traces } from '../untouched.ts';
import { type Phase, RECORD } from './job.ts';
import { Making, phasesOf } from './making.ts';
import { type Ended, PhaseProcess, type PrepareCommand } from './process.ts';
import { EDITION, type Identity, type PreparedRecord, readIntact, tracesOf } from './record.ts';

/** An expert on the disk, as the catalog knows it. Its files were verified. */
export interface ExpertPackage {
  readonly manifest: Manifest;
  readonly digest: string;
  readonly directory: string;
}

/** Fits a pino logger. */
export interface PreparationLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface PreparationOptions {
  /** Absolute path of a folder that is nobody else's. */
  readonly directory: string;
  readonly command: PrepareCommand;
  /** Version of ONNX Runtime. */
  readonly runtime: string;
  readonly arch: string;
  readonly log: PreparationLog;
  /** What must stay free on the disk. */
  readonly marginBytes?: number;
  /** Smaller packages are loaded as they are. */
  readonly leastBytes?: number;
}

/** What became of an expert. */
export interface Preparedness {
  readonly state: 'prepared' | 'plain';
  /** Why something was not done, a sentence each. */
  readonly reasons: readonly string[];
  /** null where nothing is on the disk. */
  readonly record: PreparedRecord | null;
}

const MARGIN_BYTES = 256 * 1024 ** 2;
const LEAST_BYTES = 48 * 1024 ** 2;
const MAKING = '.making-';

/** A package that was tried so often is left alone until it, or the runtime, is another: writing wears a card. */
const MOST_VAIN_TRIES = 3;
const TOUCHED = 'what was made of it was written to or removed since; the next start looks at it again';
const STOPPED = 'the agent is shutting down';
const NO_TURN = 'others were being prepared until it had to be loaded';
const NO_TIME: Ended = { kind: 'died', why: 'no time was left for it', deliberate: true };

export class Preparation {
  readonly #options: PreparationOptions;
  /** By digest: what came of it, or will. */
  readonly #known = new Map<string, Promise<Preparedness>>();
  readonly #settled = new Map<string, Preparedness>();
  /** By digest: what the files of a record were when all was well with them. */
  readonly #traces = new Map<string, Traces>();
  #turn: Promise<unknown> = Promise.resolve();
  #process: PhaseProcess | null = null;
  /** Name of the folder in which something is being made. */
  #making: string | null = null;
  #stopped = false;

  constructor(options: PreparationOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the expert is prepared, or cannot be, or `limitMs` have passed: nothing is at work for it then. Never
   * rejects. Asked twice, the work is done once.
   */
  async prepare(expert: ExpertPackage, limitMs: number): Promise<void> {
    const known = this.#known.get(expert.digest) ?? this.#begin(expert, performance.now() + limitMs);
    await known;
  }

  /**
   * What was made of an expert; null before it was prepared, where it loads as it is, and where somebody has touched
   * that, or made room on the disk, since it was looked through.
   */
  find({ digest, manifest }: Pick<ExpertPackage, 'digest' | 'manifest'>): Prepared | null {
    const record = this.#settled.get(digest)?.record ?? null;
    if (record === null || (record.model === null && record.tokenizer === null)) return null;
    const directory = this.#folder(digest);
    const before = this.#traces.get(digest);
    if (before !== undefined && areUntouched(before, tracesOf(directory, record))) {
      const { model, tokenizer, canary } = record;
      return { directory, model, tokenizer, decoder: canary?.decoder ?? null };
    }
    const left = plain(TOUCHED);
    this.#settled.set(digest, left);
    this.#tell(manifest, left);
    return null;
  }

  /** null before it was prepared. */
  status({ digest }: Pick<ExpertPackage, 'digest'>): Preparedness | null {
    return this.#settled.get(digest) ?? null;
  }

  /** Removes what was not finished, and what belongs to no expert of `digests` or to another runtime. */
  async tidy(digests: ReadonlySet<string>): Promise<void> {
    const wanted = new Set([...digests].map((digest) => this.#nameOf(digest)));
    const names = await readdir(this.#options.directory).catch(() => []);
    for (const name of names.filter((one) => !wanted.has(one) && one !== this.#making))
      await this.#remove(name);
    for (const digest of this.#settled.keys()) {
      if (digests.has(digest)) continue;
      this.#settled.delete(digest);
      this.#traces.delete(digest);
      this.#known.delete(digest);
    }
  }

  /** Ends what is under way; resolves when nothing of it is left. Nothing is prepared after it. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#process?.kill();
    await this.#turn;
  }

  #begin(expert: ExpertPackage, endMs: number): Promise<Preparedness> {
    const { digest, manifest } = expert;
    const work = this.#obtain(expert, endMs)
      .catch((error: unknown) => plain(error instanceof Error ? error.message : String(error)))
      .then((found) => {
        this.#settled.set(digest, found);
        this.#tell(manifest, found);
        return found;
      });
    this.#known.set(digest, work);
    return work;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** Only what takes a process waits for its turn: an expert that is ready must not wait for another's minutes. */
  async #obtain(expert: ExpertPackage, endMs: number): Promise<Preparedness> {
    const phases = phasesOf(expert.manifest, this.#options.leastBytes ?? LEAST_BYTES);
    if (phases.length === 0) return plain();
    const there = await readIntact(
      this.#folder(expert.digest),
      expert.directory,
      this.#identity(expert.digest),
    );
    const vainTries = there?.record.vainTries ?? 0;
    if (there !== null && (there.record.complete || vainTries >= MOST_VAIN_TRIES)) {
      this.#traces.set(expert.digest, there.traces);
      return preparednessOf(there.record);
    }
    return this.#inTurn(() => this.#prepare(expert, phases, new Making(vainTries), endMs));
  }

  async #prepare(
    expert: ExpertPackage,
    phases: readonly Phase[],
    making: Making,
    endMs: number,
  ): Promise<Preparedness> {
    if (this.#stopped) return plain(STOPPED);
    if (performance.now() >= endMs) return plain(NO_TURN);
    await mkdir(this.#options.directory, { recursive: true, mode: 0o700 });
    this.#making = `${MAKING}${randomUUID()}`;
    const target = join(this.#options.directory, this.#making);
    try {
      await mkdir(target, { mode: 0o700 });
      return await this.#make(expert, phases, target, making, endMs);
    } finally {
      await rm(target, { recursive: true, force: true });
      this.#making = null;
    }
  }

  async #make(
    expert: ExpertPackage,
    phases: readonly Phase[],
    target: string,
    making: Making,
    endMs: number,
  ): Promise<Preparedness> {
    const startMs = performance.now();
    for (const phase of phases) {
      if (this.#stopped) break;
      if (!making.needs(phase)) continue;
      const leftMs = endMs - performance.now();
      const ended = leftMs > 0 ? await this.#run(phase, expert, target, making.exact, leftMs) : NO_TIME;
      making.take(phase, ended);
    }
    if (this.#stopped) return plain(STOPPED);
    await Promise.all(making.rejected().map(({ path }) => rm(join(target, path), { force: true })));
    const record: PreparedRecord = {
      edition: EDITION,
      expert: expert.manifest.id,
      ...this.#identity(expert.digest),
      ...making.result(),
      tookMs: Math.round(performance.now() - startMs),
    };
    await this.#publish(record, target);
    this.#traces.set(record.digest, tracesOf(this.#folder(record.digest), record));
    const { steps, canary, writtenBytes, tookMs } = record;
    this.#options.log.info(
      { expert: record.expert, steps, canary, writtenBytes, tookMs },
      'an expert was prepared for this device',
    );
    return preparednessOf(record);
  }

  #run(
    phase: Phase,
    { manifest, directory }: ExpertPackage,
    target: string,
    exact: boolean,
    leftMs: number,
  ): Promise<Ended> {
    const { command, marginBytes = MARGIN_BYTES } = this.#options;
    const process = new PhaseProcess(
      command,
      { phase, manifest, directory, target, marginBytes, exact },
      Math.ceil(leftMs),
    );
    this.#process = process;
    return process.ended;
  }

  /** The record is written last, and the folder gets its name when all of it is on the disk. */
  async #publish(record: PreparedRecord, target: string): Promise<void> {
    const { directory } = this.#options;
    const file = await open(join(target, RECORD), 'wx', 0o444);
    try {
      await file.writeFile(`${JSON.stringify(record, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await syncFolder(target);
    // A rename does not replace a folder that holds something; one that was not whole is here at most.
    await this.#remove(this.#nameOf(record.digest));
    await rename(target, this.#folder(record.digest));
    await syncFolder(directory);
  }

  #tell({ id }: Manifest, { reasons }: Preparedness): void {
    if (reasons.length > 0 && !this.#stopped)
      this.#options.log.warn({ expert: id, reasons }, 'an expert loads without all that could be prepared');
  }

  #identity(digest: string): Identity {
    const { runtime, arch } = this.#options;
    return { digest, runtime, arch };
  }

  #nameOf(digest: string): string {
    const { runtime, arch } = this.#options;
    return `${digest}-${runtime}-${arch}`;
  }

  #folder(digest: string): string {
    return join(this.#options.directory, this.#nameOf(digest));
  }

  async #remove(name: string): Promise<void> {
    await rm(join(this.#options.directory, name), { recursive: true, force: true });
  }
}

function plain(...reasons: readonly string[]): Preparedness {
  return { state: 'plain', reasons, record: null };
}

function preparednessOf(record: PreparedRecord): Preparedness {
  const reasons = record.steps.flatMap(({ name, why }) => (why === null ? [] : [`${name}: ${why}`]));
  const state = record.model === null && record.tokenizer === null ? 'plain' : 'prepared';
  return { state, reasons, record };
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
