/** One database file of the log, open: what writes, reads, prunes and syncs it, and the run that it belongs to. */
import { statSync } from 'node:fs';
import { close, type Database, openDatabase } from './database.ts';
import { MemoryTables } from './memory.ts';
import { OutboxTable } from './outbox/table.ts';
import { Reader } from './reader.ts';
import { type Bounds, Retention } from './retention.ts';
import { Sync, type SyncOptions } from './sync.ts';
import { type Run, Writer } from './writer.ts';

export interface LogFileOptions extends SyncOptions, Bounds {}

export class LogFile {
  readonly database: Database;
  readonly writer: Writer;
  readonly reader: Reader;
  readonly retention: Retention;
  readonly memory: MemoryTables;
  readonly outbox: OutboxTable;
  readonly sync: Sync;
  readonly #path: string;
  readonly #inode: bigint;

  private constructor(path: string, database: Database, options: LogFileOptions) {
    this.#path = path;
    this.#inode = inodeOf(path) ?? 0n;
    this.database = database;
    this.writer = new Writer(database);
    this.reader = new Reader(database);
    this.retention = new Retention(database, options);
    this.memory = new MemoryTables(database);
    this.outbox = new OutboxTable(database);
    this.sync = new Sync(path, database, options);
  }

  /**
   * Opens a file, makes it if there is none, and notes the run in it; `runAfter` gets the highest number and the epochs
   * that the file knows. Throws what SQLite and `migrate` throw.
   */
  static open(
    path: string,
    options: LogFileOptions,
    runAfter: (sequence: number, epochs: readonly number[]) => Run,
  ): LogFile {
    const database = openDatabase(path, {
      nowMs: options.clock.nowMs(),
      nativeBinding: options.nativeBinding,
    });
    try {
      const reader = new Reader(database);
      const run = runAfter(
        reader.lastSequence(),
        reader.runs().map(({ epoch }) => epoch),
      );
      // The run must be durable before a row of it is called so: it is the first thing in this WAL.
      new Writer(database).beginRun(run);
      const file = new LogFile(path, database, options);
      file.sync.wrote(run.firstSequence - 1, false);
      return file;
    } catch (error) {
      close(database);
      throw error;
    }
  }

  /** One transaction that is on the disk on return: this thread waits for that. Throws what SQLite throws. */
  commitDurably(work: () => void): void {
    this.database.pragma('synchronous = FULL');
    try {
      this.database.transaction(work).immediate();
    } finally {
      this.database.pragma('synchronous = NORMAL');
    }
  }

  /** True once somebody deleted or replaced the file under us: SQLite would go on writing into nowhere. */
  isGone(): boolean {
    return inodeOf(this.#path) !== this.#inode;
  }
}

function inodeOf(path: string): bigint | null {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino ?? null;
}
