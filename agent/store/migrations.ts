/**
 * The schema, as numbered steps. A step that has been released is never edited: a change is a new step at the end.
 *
 * Few and narrow tables on purpose. A commit writes every page that it touched into the WAL, so what wears an SD card
 * is pages a commit, not bytes a row: an event and what was decided on it share one row, numbers only rise (inserts
 * hit the right edge of each tree), and there is no secondary index that a request has to touch.
 */
import type BetterSqlite3 from 'better-sqlite3';
import { AgentError } from '../errors.ts';

export const migrations: readonly string[] = [
  `
  -- One row a process start. (epoch, seq) is unique for ever, also when a power cut took rows with it.
  CREATE TABLE runs(
    epoch INTEGER PRIMARY KEY,
    version TEXT NOT NULL,
    started_at_ms REAL NOT NULL,
    monotonic_base_ms REAL NOT NULL,
    first_seq INTEGER NOT NULL
  );

  -- One row an event, as decide received it (body: codec.ts). Where decide had reasons, a choice or steps, they are in
  -- the same row. residency: {expert: [before, after]}. memory: [budget, committed, available, pressure, temperature,
  -- what the firmware throttles, load cost]; the first rows had the first four.
  -- request: seq of the event that brought the (first) request which this row is about.
  CREATE TABLE events(
    seq INTEGER PRIMARY KEY,
    at_ms REAL NOT NULL,
    body TEXT NOT NULL,
    request INTEGER,
    reasons TEXT,
    steps TEXT,
    choice TEXT,
    residency TEXT,
    memory TEXT,
    asked_sha256 BLOB,
    asked_chars INTEGER,
    asked_text TEXT
  );

  -- One row a decision that chose an expert, abstained, or refused a request before a choice. The list of decisions
  -- reads this table by its key; ended, ok and total_ms arrive with the outcome.
  CREATE TABLE choices(
    seq INTEGER PRIMARY KEY,
    request INTEGER,
    request_id TEXT,
    expert TEXT,
    router TEXT,
    confidence REAL,
    ended INTEGER,
    ok INTEGER,
    total_ms REAL
  );

  -- Further rows of a request's story: what is neither its first event nor the end that choices names.
  CREATE TABLE story(request INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY(request, seq)) WITHOUT ROWID;

  -- Rows in which an expert changed its state: loads and evictions. Rare, so a range of them is quickly read.
  CREATE TABLE moves(seq INTEGER NOT NULL, expert TEXT NOT NULL, PRIMARY KEY(seq, expert)) WITHOUT ROWID;

  -- The names of the policies from this row on.
  CREATE TABLE policies(seq INTEGER PRIMARY KEY, body TEXT NOT NULL);

  -- State after row seq. continues = 0: the state before the first row of a run, or after a gap.
  CREATE TABLE snapshots(seq INTEGER PRIMARY KEY, continues INTEGER NOT NULL, body TEXT NOT NULL);

  -- Numbers whose rows could not be written.
  CREATE TABLE gaps(first_seq INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL, reason TEXT NOT NULL);

  CREATE TABLE profiles(
    digest TEXT PRIMARY KEY,
    resident_bytes INTEGER NOT NULL,
    load_bytes INTEGER NOT NULL,
    load_ms REAL NOT NULL,
    measured INTEGER NOT NULL
  );

  CREATE TABLE prototypes(
    digest TEXT NOT NULL,
    embedder TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY(digest, embedder)
  );

  -- For people with a SQL prompt.
  CREATE VIEW decisions AS
    SELECT c.seq AS id, datetime(e.at_ms / 1000, 'unixepoch', 'subsec') AS at, c.request_id AS request,
           c.expert, c.router, c.confidence, c.ok, c.total_ms, e.reasons, e.steps
    FROM choices c JOIN events e ON e.seq = c.seq;
  `,
  `
  -- What waits for a fleet; empty where there is none. An epoch is a start of the process (runs.epoch) and seq counts
  -- within it. pos = ordinal * 4294967296 + seq: one number, so that a row costs no second index, and a table without
  -- rowid would put its bodies into overflow pages.
  CREATE TABLE outbox_epochs(ordinal INTEGER PRIMARY KEY, epoch INTEGER NOT NULL);

  -- log_seq: number of the row of events whose transaction wrote it. rows_to and bytes_to are running totals: two
  -- rows tell what lies between them without a look at it.
  CREATE TABLE outbox(
    pos INTEGER PRIMARY KEY,
    log_seq INTEGER NOT NULL,
    rows_to INTEGER NOT NULL,
    bytes_to INTEGER NOT NULL,
    body TEXT NOT NULL
  );

  -- Numbers that have no row: why, and how many decisions were lost (null: nobody knows).
  CREATE TABLE outbox_tombstones(
    first_pos INTEGER PRIMARY KEY,
    last_pos INTEGER NOT NULL,
    reason TEXT NOT NULL,
    lost INTEGER
  );
  `,
];

/**
 * Brings a database to the newest version, each step in a transaction of its own. Throws AgentError `store_newer` for
 * one that a later expertd wrote, and `store_damaged` for one whose two records of its version disagree (a flipped
 * bit in the header must not look like the future).
 */
export function migrate(
  database: BetterSqlite3.Database,
  nowMs: number,
  steps: readonly string[] = migrations,
  what = 'decision log',
): void {
  const version = Number(database.pragma('user_version', { simple: true }));
  database.exec('CREATE TABLE IF NOT EXISTS migrations(version INTEGER PRIMARY KEY, at_ms REAL NOT NULL)');
  const noted = database.prepare('SELECT max(version) FROM migrations').pluck().get() ?? 0;
  if (noted !== version) {
    throw new AgentError(
      'store_damaged',
      `The ${what} says version ${version} and ${String(noted)} of itself.`,
    );
  }
  if (version > steps.length) {
    throw new AgentError(
      'store_newer',
      `The ${what} has version ${version}; this expertd knows up to ${steps.length}.`,
      { hint: 'Start the newer expertd again, or name another place for it.' },
    );
  }
  for (const [index, sql] of steps.entries()) {
    if (index >= version) applyStep(database, index + 1, sql, nowMs);
  }
}

function applyStep(database: BetterSqlite3.Database, version: number, sql: string, nowMs: number): void {
  const apply = database.transaction(() => {
    database.exec(sql);
    database.prepare('INSERT INTO migrations VALUES (?, ?)').run(version, nowMs);
    database.pragma(`user_version = ${version}`);
  });
  apply.immediate();
}
