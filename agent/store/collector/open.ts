/** The file of a collector: its schema, as numbered steps (see ../migrations.ts), and how it is opened. */
import { existsSync } from 'node:fs';
import { AgentError } from '../../errors.ts';
import { close, connect, type Database } from '../database.ts';
import { migrate } from '../migrations.ts';

const migrations: readonly string[] = [
  `
  CREATE TABLE devices(
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL UNIQUE,
    online INTEGER NOT NULL DEFAULT 0,
    bd INTEGER,
    boot TEXT,
    epoch INTEGER,
    head INTEGER,
    agent TEXT,
    caps TEXT,
    reported TEXT,
    first_seen_ms REAL NOT NULL,
    last_seen_ms REAL NOT NULL,
    records INTEGER NOT NULL DEFAULT 0,
    duplicates INTEGER NOT NULL DEFAULT 0,
    conflicts INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0
  );

  -- body: JSON as the device sent it. at_ms is the device's wall clock, which may be wrong: order by the key.
  CREATE TABLE records(
    device INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at_ms REAL,
    body TEXT NOT NULL,
    PRIMARY KEY(device, epoch, seq)
  ) WITHOUT ROWID;
  CREATE INDEX records_at ON records(at_ms);

  -- All numbers up to high have arrived; ahead: JSON of spans [first, last] beyond a hole.
  CREATE TABLE progress(
    device INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    high INTEGER NOT NULL,
    ahead TEXT NOT NULL,
    PRIMARY KEY(device, epoch)
  ) WITHOUT ROWID;

  -- lost: how many decisions, null where the device does not know.
  CREATE TABLE tombstones(
    device INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    reason TEXT NOT NULL,
    lost INTEGER,
    PRIMARY KEY(device, epoch, first)
  ) WITHOUT ROWID;
  `,
];

export interface OpenOptions {
  readonly nowMs: number;
  readonly nativeBinding: string | undefined;
  /** For people who look while a collector writes. */
  readonly readonly: boolean;
}

/** Throws what SQLite throws, AgentError `store_newer`, and `no_database` where there is none to read. */
export function openCollector(path: string, options: OpenOptions): Database {
  if (options.readonly && !existsSync(path)) {
    throw new AgentError('no_database', `There is no ${path}.`, {
      hint: 'Name the file of "expertd fleet collect" with --db.',
    });
  }
  const database = connect(path, options.nativeBinding);
  try {
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    migrate(database, options.nowMs, migrations, 'database of the collector');
    return database;
  } catch (error) {
    close(database);
    throw error;
  }
}
