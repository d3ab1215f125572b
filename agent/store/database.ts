/** Opens the database file of the log. */
import Sqlite from 'better-sqlite3';
import { migrate } from './migrations.ts';

export type Database = Sqlite.Database;

export interface DatabaseOptions {
  readonly nowMs: number;
  /** Path of better-sqlite3's native part, where it cannot find it itself (the single executable). */
  readonly nativeBinding: string | undefined;
}

/** Another program that looks at the file may hold a lock for a moment; the loop waits no longer than this. */
const busyMs = 100;
/**
 * A commit writes whole pages. One request of embeddings (two commits) writes 11 kB with pages of 1 KiB and 21 kB with
 * SQLite's usual 4 KiB, one that is routed by meaning 14 and 33 kB, checkpoints included; the file is a third larger.
 */
const pageBytes = 1024;
/** SQLite's page cache, in KiB: the log is written at its right edge and seldom read. */
const cacheKib = 2048;

/**
 * Opens, migrates and looks once into every table. Throws what SQLite throws, or AgentError of `migrate`. A broken page
 * that is not looked at here shows itself when it is read (see `isDamage`): checking all of it would take a card
 * minutes at each start.
 */
export function openDatabase(path: string, options: DatabaseOptions): Database {
  const database = connect(path, options.nativeBinding);
  try {
    // Before the first table, or it has no effect.
    database.pragma(`page_size = ${pageBytes}`);
    const mode = database.pragma('journal_mode = WAL', { simple: true });
    if (mode !== 'wal')
      throw new Error(`the file system has no shared memory for SQLite (journal mode ${mode})`);
    // A commit is a write without fsync: it survives the death of the process. sync.ts brings it to the disk.
    database.pragma('synchronous = NORMAL');
    // A checkpoint would wait for the disk inside a commit: sync.ts makes them outside.
    database.pragma('wal_autocheckpoint = 0');
    database.pragma('journal_size_limit = 16777216');
    migrate(database, options.nowMs);
    probe(database);
    return database;
  } catch (error) {
    close(database);
    throw error;
  }
}

/** A second connection to an open log. */
export function connect(path: string, nativeBinding: string | undefined): Database {
  const database = new Sqlite(path, {
    timeout: busyMs,
    ...(nativeBinding === undefined ? {} : { nativeBinding }),
  });
  database.pragma(`cache_size = -${cacheKib}`);
  database.pragma('temp_store = MEMORY');
  // The file may have been tampered with or damaged: run nothing out of its schema, and look at cells before using them.
  database.pragma('trusted_schema = OFF');
  database.pragma('cell_size_check = ON');
  return database;
}

/** Closing can fail on a failing disk, and then there is nothing left to do about it. */
export function close(database: Database): void {
  try {
    database.close();
  } catch {
    // The WAL stays, and the next start reads it.
  }
}

function probe(database: Database): void {
  const tables = database
    .prepare<[], { name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table'")
    .all();
  for (const { name } of tables) {
    const quoted = `"${name.replaceAll('"', '""')}"`;
    database.prepare(`SELECT * FROM ${quoted} LIMIT 1`).all();
  }
  database.prepare('SELECT body FROM events ORDER BY seq DESC LIMIT 1').all();
}
