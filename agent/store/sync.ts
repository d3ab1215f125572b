/**
 * Brings commits to the disk, off the loop's thread and grouped.
 *
 * A commit is a write to the WAL without fsync (`synchronous = NORMAL`), so it survives the death of the process and
 * not a power cut. A turn, at most one at a time and none while nothing was written, does this:
 *
 *  1 fdatasync of the WAL on the thread pool. A committed row is in the WAL until a checkpoint has put it into the
 *    database for certain (2), so what had been committed when the call began is durable when it returns. fdatasync
 *    also flushes the size of the file; its name and its header SQLite itself has synced when it began the WAL.
 *  2 when the WAL is long, a checkpoint with both of its fsyncs off the thread as well. The order is SQLite's own
 *    (wal.c, `walCheckpoint`): WAL to the disk, pages into the database, database to the disk, and only then may the
 *    WAL be written from its start again. A read transaction (`#guard`), begun before the fsync of 1, keeps it:
 *    a checkpoint copies no frame younger than the oldest reader's, so none that is not durable; and a writer does not
 *    restart a WAL that somebody reads, so it stays until the database is durable.
 *  3 under steady load commits arrive meanwhile and the WAL would never end. When it is twice as long as wanted, SQLite
 *    checkpoints the short rest itself, with its own fsyncs: two small ones on the loop's thread.
 *
 * Closing our own descriptors of a database would drop SQLite's locks on it (POSIX locks belong to the process):
 * they stay open as long as the connections.
 */
import { closeSync, fdatasync, openSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Clock } from '../ports.ts';
import { close, connect, type Database } from './database.ts';

export interface SyncOptions {
  readonly clock: Clock;
  /** Longest time between a commit that counts and its fsync. */
  readonly syncMs: number;
  /** The same for a commit that no decision depends on: an idle agent looks at the device every few seconds. */
  readonly quietMs: number;
  /** Length of the WAL from which on it is copied into the database. */
  readonly checkpointBytes: number;
  readonly nativeBinding: string | undefined;
  /** Tests put a disk of their own below. */
  readonly disk: Disk;
  /** A turn failed: rows are recorded, but not known to be durable (any more). null: it works again. */
  readonly onTrouble: (error: unknown) => void;
  /** `synced` has risen. */
  readonly onSynced: () => void;
}

export interface Disk {
  fdatasync(descriptor: number): Promise<void>;
}

export const realDisk: Disk = { fdatasync: promisify(fdatasync) };

/** Bytes that SQLite puts before each page in the WAL. */
const frameHeaderBytes = 24;
/** How many times longer than wanted the WAL may become. */
const overlong = 8;
/** After a failed turn. */
const retryMs = 2_000;

interface WalLength {
  readonly log: number;
  readonly checkpointed: number;
}

export class Sync {
  readonly #database: Database;
  readonly #guard: Database;
  readonly #options: SyncOptions;
  readonly #descriptors: { readonly wal: number; readonly database: number };
  readonly #frameBytes: number;
  #written = 0;
  #synced = 0;
  #closed = false;
  /** So much could not be copied that no more may be written. */
  #overlong = false;
  /** After a failed fsync of the WAL the kernel may have dropped what it could not write, and the next one succeeds. */
  #walSuspect = false;
  /** After a failed fsync of the database: the WAL is the only good copy, and must stay. */
  #databaseSuspect = false;
  #turn: Promise<void> | null = null;
  #due: { readonly atMs: number; readonly cancel: () => void } | null = null;

  /** Of an open database in WAL mode that was written at least once, so that its WAL exists. */
  constructor(path: string, database: Database, options: SyncOptions) {
    this.#database = database;
    this.#options = options;
    this.#frameBytes = Number(database.pragma('page_size', { simple: true })) + frameHeaderBytes;
    this.#guard = connect(path, options.nativeBinding);
    this.#descriptors = {
      wal: openSync(`${path}-wal`, 'r+'),
      database: openSync(path, 'r+'),
    };
  }

  /** Highest sequence number that survives a power cut. */
  get synced(): number {
    return this.#synced;
  }

  /** Rows up to `sequence` are committed; `quiet` ones may wait longer for the disk. */
  wrote(sequence: number, quiet: boolean): void {
    this.#written = Math.max(this.#written, sequence);
    this.#schedule(quiet ? this.#options.quietMs : this.#options.syncMs);
  }

  /** Brings all that is committed to the disk now; resolves also if that fails (see `onTrouble`). */
  flush(): Promise<void> {
    return this.#turn === null ? this.#startTurn() : this.#turn.then(() => this.#startTurn());
  }

  /** Length of the WAL in bytes, as SQLite counts it: the file keeps its size when the WAL starts anew. */
  walBytes(): number {
    return this.#checkpoint('NOOP').log * this.#frameBytes;
  }

  /** Throws if the WAL cannot be copied into the database and has become too long. */
  requireRoom(): void {
    if (!this.#overlong) return;
    this.#measure();
    if (this.#overlong)
      throw new Error('its WAL cannot be emptied: another program reads the log, or the disk failed');
  }

  /** Lets the next commit write the WAL from its start, with fsyncs on this thread; throws what SQLite throws. */
  shorten(): void {
    if (!this.#databaseSuspect) this.#checkpoint('PASSIVE');
  }

  /** Ends the connections. SQLite itself brings all to the disk then, unless the WAL must stay. */
  async close(): Promise<void> {
    await this.#turn;
    // Without a close SQLite leaves the WAL, and the next start reads all of it again.
    if (!this.#databaseSuspect) await this.abandon();
    this.#due?.cancel();
    this.#due = null;
  }

  /** Ends the connections at once; resolves when the last call on a descriptor has returned. */
  async abandon(): Promise<void> {
    this.#closed = true;
    this.#due?.cancel();
    this.#due = null;
    close(this.#guard);
    close(this.#database);
    await this.#turn;
    for (const descriptor of Object.values(this.#descriptors)) closeSync(descriptor);
  }

  #schedule(delayMs: number): void {
    const { clock } = this.#options;
    const atMs = clock.nowMs() + delayMs;
    if (this.#closed || (this.#due !== null && this.#due.atMs <= atMs)) return;
    this.#due?.cancel();
    const cancel = clock.at(atMs, () => {
      this.#due = null;
      void this.flush();
    });
    this.#due = { atMs, cancel };
  }

  #startTurn(): Promise<void> {
    if (this.#closed || this.#synced >= this.#written) return Promise.resolve();
    this.#due?.cancel();
    this.#due = null;
    this.#turn ??= this.#takeTurn()
      .catch((error: unknown) => this.#options.onTrouble(error))
      .finally(() => {
        this.#turn = null;
      });
    return this.#turn;
  }

  async #takeTurn(): Promise<void> {
    try {
      if (this.#walSuspect) this.#rewrite();
      const copies = !this.#databaseSuspect && this.walBytes() >= this.#options.checkpointBytes;
      if (copies) this.#holdWal();
      await this.#syncWal(); // 1
      if (copies && !this.#closed) await this.#copyWal(); // 2, 3
      this.#endTurn(null);
    } catch (error) {
      this.#endTurn(error);
    }
  }

  #endTurn(error: unknown): void {
    if (this.#closed) return;
    if (!this.#databaseSuspect) this.#releaseWal();
    this.#measure();
    if (error !== null) this.#schedule(retryMs);
    if (error !== null || !this.#databaseSuspect) this.#options.onTrouble(error);
  }

  #measure(): void {
    const { log, checkpointed } = this.#checkpoint('NOOP');
    this.#overlong = (log - checkpointed) * this.#frameBytes >= overlong * this.#options.checkpointBytes;
  }

  async #syncWal(): Promise<void> {
    const { disk } = this.#options;
    const target = this.#written;
    try {
      await disk.fdatasync(this.#descriptors.wal);
    } catch (error) {
      this.#walSuspect = true;
      throw error;
    }
    this.#synced = Math.max(this.#synced, target);
    this.#options.onSynced();
  }

  async #copyWal(): Promise<void> {
    this.#database.pragma('synchronous = OFF');
    try {
      this.#checkpoint('PASSIVE');
    } finally {
      this.#database.pragma('synchronous = NORMAL');
    }
    try {
      await this.#options.disk.fdatasync(this.#descriptors.database);
    } catch (error) {
      this.#databaseSuspect = true;
      throw error;
    }
    if (this.#closed) return;
    this.#releaseWal();
    if (this.walBytes() >= 2 * this.#options.checkpointBytes) this.#checkpoint('PASSIVE');
  }

  /** Puts every frame of the WAL into the database, with SQLite's own fsyncs; throws if it could not. */
  #rewrite(): void {
    if (this.#databaseSuspect)
      throw new Error('the disk failed, and nothing more is durable until a restart');
    const { log, checkpointed } = this.#checkpoint('FULL');
    if (checkpointed < log) throw new Error('another program holds the decision log');
    this.#walSuspect = false;
  }

  #checkpoint(mode: 'NOOP' | 'PASSIVE' | 'FULL'): WalLength {
    const [result] = this.#database.pragma(`wal_checkpoint(${mode})`) as WalLength[];
    return result ?? { log: 0, checkpointed: 0 };
  }

  #holdWal(): void {
    this.#guard.exec('BEGIN');
    this.#guard.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get();
  }

  #releaseWal(): void {
    if (this.#guard.inTransaction) this.#guard.exec('COMMIT');
  }
}
