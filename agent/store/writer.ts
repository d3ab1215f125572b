/** Writes the rows of entries, each batch in one transaction. */
import { encode } from '../codec.ts';
import type { State } from '../types.ts';
import type { Database } from './database.ts';
import type { Recorded } from './record.ts';

export interface Snapshot {
  /** The state after this row. */
  readonly sequence: number;
  readonly state: State;
  /** False at the start of a run or after a gap: it does not follow from the rows before it. */
  readonly continues: boolean;
}

export interface Gap {
  readonly first: number;
  readonly last: number;
  readonly reason: string;
}

export interface Batch {
  readonly rows: readonly Recorded[];
  /** Numbers before these rows that could not be written. */
  readonly gap: Gap | null;
  readonly snapshot: Snapshot | null;
  /** What else belongs into the transaction. */
  readonly beside: () => void;
}

/** One start of the agent. */
export interface Run {
  readonly epoch: number;
  readonly version: string;
  /** Wall clock in Unix ms, and the machine's monotonic clock (ms since boot) at the same moment. */
  readonly startedAtMs: number;
  readonly monotonicBaseMs: number;
  /** The first sequence number that it gave. */
  readonly firstSequence: number;
}

export class Writer {
  readonly #append: (batch: Batch) => void;
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: Database) {
    this.#statements = prepare(database);
    this.#append = database.transaction((batch: Batch) => this.#write(batch)).immediate;
  }

  /** All of it or nothing: throws what SQLite throws. */
  append(batch: Batch): void {
    this.#append(batch);
  }

  snapshot({ sequence, state, continues }: Snapshot): void {
    this.#statements.snapshot.run(sequence, continues ? 1 : 0, encode(state));
  }

  beginRun(run: Run): void {
    const { epoch, version, startedAtMs, monotonicBaseMs, firstSequence } = run;
    this.#statements.run.run(epoch, version, startedAtMs, monotonicBaseMs, firstSequence);
  }

  #write({ rows, gap, snapshot, beside }: Batch): void {
    if (gap !== null) this.#statements.gap.run(gap.first, gap.last, gap.reason);
    if (snapshot !== null) this.snapshot(snapshot);
    for (const row of rows) this.#writeRow(row);
    beside();
  }

  #writeRow({ event, chosen, endings, story, moved, policies }: Recorded): void {
    const statements = this.#statements;
    statements.event.run(
      event.sequence,
      event.atMs,
      event.body,
      event.request,
      event.reasons,
      event.steps,
      event.choice,
      event.residency,
      event.memory,
      event.askedSha256 === null ? null : Buffer.from(event.askedSha256, 'hex'),
      event.askedChars,
      event.askedText,
    );
    if (chosen !== null) {
      const { sequence, request, requestId, expert, router, confidence } = chosen;
      statements.choice.run(sequence, request, requestId, expert, router, confidence);
    }
    for (const { choice, sequence, ok, totalMs } of endings) {
      statements.ending.run(sequence, ok ? 1 : 0, totalMs, choice);
    }
    for (const request of story) statements.story.run(request, event.sequence);
    for (const expert of moved) statements.move.run(event.sequence, expert);
    if (policies !== null) statements.policies.run(event.sequence, policies);
  }
}

function prepare(database: Database) {
  return {
    event: database.prepare('INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'),
    choice: database.prepare(
      'INSERT INTO choices(seq, request, request_id, expert, router, confidence) VALUES (?, ?, ?, ?, ?, ?)',
    ),
    ending: database.prepare('UPDATE choices SET ended = ?, ok = ?, total_ms = ? WHERE seq = ?'),
    story: database.prepare('INSERT OR IGNORE INTO story VALUES (?, ?)'),
    move: database.prepare('INSERT OR IGNORE INTO moves VALUES (?, ?)'),
    policies: database.prepare('INSERT INTO policies VALUES (?, ?)'),
    snapshot: database.prepare('INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)'),
    gap: database.prepare('INSERT OR REPLACE INTO gaps VALUES (?, ?, ?)'),
    run: database.prepare('INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?)'),
  };
}
