/**
 * Keeps one log file open through whatever happens to it:
 *
 *  1 it cannot be opened or written (full, read-only, I/O error): degraded, tried again after a back-off that doubles
 *  2 its content is damaged: moved aside, a new one is begun, and what failed is done once more there
 *  3 somebody deleted it: a new one is begun
 * Nothing but `open` throws. Each change is reported once.
 */
import { AgentError } from '../errors.ts';
import type { Clock } from '../ports.ts';
import type { Failure } from '../types.ts';
import { degraded, isDamage, isDamageAtOpen, moveAside } from './damage.ts';
import { LogFile, type LogFileOptions } from './log-file.ts';
import type { Run } from './writer.ts';

export type Report = (failure: Failure) => void;

export interface KeeperOptions extends Omit<LogFileOptions, 'onTrouble'> {
  readonly path: string;
  readonly report: Report;
  /** Makes the run that a file is opened for, from the highest number and the epochs in it. */
  readonly runAfter: (sequence: number, epochs: readonly number[]) => Run;
  /** A file was begun that holds nothing of what was written before. */
  readonly onNewFile: () => void;
}

const firstBackoffMs = 1_000;
const lastBackoffMs = 60_000;

export class Keeper {
  readonly #options: KeeperOptions;
  readonly #clock: Clock;
  #file: LogFile | null = null;
  /** What the files before this one had brought to the disk. */
  #syncedBefore = 0;
  #trouble: { readonly failure: Failure; readonly untilMs: number; readonly backoffMs: number } | null = null;
  #syncTrouble: Failure | null = null;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#clock = options.clock;
  }

  /** Throws AgentError `store_newer`; any other trouble leaves it degraded. */
  start(): void {
    try {
      this.#file = this.#open();
    } catch (error) {
      if (error instanceof AgentError && error.code === 'store_newer') throw error;
      this.#fail(error);
    }
  }

  async stop(): Promise<void> {
    const file = this.#file;
    if (file === null) return;
    await file.sync.close();
    this.#syncedBefore = this.synced();
    this.#file = null;
  }

  /** Why rows are not recorded, or not known to be durable; null if all is well. */
  trouble(): Failure | null {
    return this.#trouble?.failure ?? this.#syncTrouble;
  }

  synced(): number {
    return Math.max(this.#syncedBefore, this.#file?.sync.synced ?? 0);
  }

  async flush(): Promise<void> {
    await this.#file?.sync.flush();
  }

  /** Opens the file if there is none; the numbers in it are known then (see `runAfter`). */
  prepare(): void {
    if (this.#file === null) this.write(() => {});
  }

  /** Runs `work` on the file and says whether it was done. `work` is all or nothing, and is run again on a new file. */
  write(work: (file: LogFile) => void): boolean {
    if (this.#trouble !== null && this.#clock.nowMs() < this.#trouble.untilMs) return false;
    try {
      this.#writeOnce(work);
    } catch (error) {
      if (!isDamage(error)) return this.#fail(error);
      try {
        this.#replace(error);
        this.#writeOnce(work);
      } catch (again) {
        return this.#fail(again);
      }
    }
    this.#recovered();
    return true;
  }

  /** What `work` reads, or `fallback` where it cannot be read. */
  read<T>(work: (file: LogFile) => T, fallback: T): T {
    if (this.#file === null) return fallback;
    try {
      return work(this.#file);
    } catch (error) {
      this.#cannotRead(error);
      return fallback;
    }
  }

  /** Looks whether the file is still there (3); for idle moments. */
  check(): void {
    if (this.#file?.isGone() !== true) return;
    this.#drop(this.#file);
    this.#options.report({
      code: 'log_deleted',
      message: `The decision log ${this.#options.path} was deleted; a new one is begun.`,
      hint: 'Stop expertd before you remove its state.',
      retryable: false,
    });
  }

  // ---- inside -------------------------------------------------------------------------------------------------

  #writeOnce(work: (file: LogFile) => void): void {
    this.#file ??= this.#open();
    // On a full disk the WAL cannot grow; once it is in the database, it starts anew in the space that it has.
    if (this.#trouble !== null) this.#file.sync.shorten();
    work(this.#file);
  }

  #open(): LogFile {
    const { path } = this.#options;
    try {
      return this.#openOnce();
    } catch (error) {
      if (!isDamageAtOpen(error, path)) throw error;
      this.#moveAside(error);
      return this.#openOnce();
    }
  }

  #openOnce(): LogFile {
    const { path, runAfter } = this.#options;
    const onTrouble = (error: unknown): void => this.#onSync(error);
    return LogFile.open(path, { ...this.#options, onTrouble }, runAfter);
  }

  #replace(error: unknown): void {
    if (this.#file !== null) this.#drop(this.#file);
    this.#moveAside(error);
  }

  #drop(file: LogFile): void {
    this.#syncedBefore = this.synced();
    this.#file = null;
    // What it still waits for is an fsync of a file that is of no use any more; a failing close is none either.
    file.sync.abandon().catch(() => {});
    this.#options.onNewFile();
  }

  #moveAside(error: unknown): void {
    const aside = moveAside(this.#options.path, this.#clock.nowMs());
    const why = error instanceof Error ? error.message : String(error);
    this.#options.onNewFile();
    this.#options.report({
      code: 'log_corrupt',
      message: `The decision log was damaged (${why}) and is now ${aside}; a new one is begun.`,
      hint: 'A card that damages files is about to fail: replace it. sqlite3 FILE .recover salvages what can be read.',
      retryable: false,
    });
  }

  #fail(error: unknown): false {
    const failure = degraded(error).toFailure();
    const backoffMs = Math.min((this.#trouble?.backoffMs ?? firstBackoffMs / 2) * 2, lastBackoffMs);
    const isNew = this.#trouble === null;
    this.#trouble = { failure, backoffMs, untilMs: this.#clock.nowMs() + backoffMs };
    if (isNew) this.#options.report(failure);
    return false;
  }

  #recovered(): void {
    if (this.#trouble === null) return;
    this.#trouble = null;
    this.#options.report(recovery('The decision log is written again.'));
  }

  #onSync(error: unknown): void {
    if (error === null) {
      if (this.#syncTrouble !== null)
        this.#options.report(recovery('The disk takes the decision log again.'));
      this.#syncTrouble = null;
      return;
    }
    const { message, hint } = degraded(error);
    const first = this.#syncTrouble === null;
    this.#syncTrouble = { code: 'log_not_durable', message, hint, retryable: true };
    if (first) this.#options.report(this.#syncTrouble);
  }

  #cannotRead(error: unknown): void {
    if (isDamage(error)) return this.#replace(error);
    const message = error instanceof Error ? error.message : String(error);
    this.#options.report({
      code: 'log_unreadable',
      message: `The decision log could not be read: ${message}`,
      hint: null,
      retryable: true,
    });
  }
}

function recovery(message: string): Failure {
  return { code: 'log_recovered', message, hint: null, retryable: false };
}
