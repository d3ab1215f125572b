/**
 * Keeps the log within its bounds: the oldest rows go, in small steps. Freed pages are used again and the file does not
 * shrink: giving pages back to the file system would write more than it saves on a card.
 */
import type { Database } from './database.ts';

export interface Bounds {
  readonly maxRows: number;
  /** Size of the file; its WAL comes on top (see sync.ts). */
  readonly maxBytes: number;
}

export class Retention {
  readonly #bounds: Bounds;
  readonly #statements: ReturnType<typeof prepare>;
  readonly #deleteUpTo: (sequence: number) => void;

  constructor(database: Database, bounds: Bounds) {
    this.#bounds = bounds;
    this.#statements = prepare(database);
    this.#deleteUpTo = database.transaction((sequence: number) => this.#delete(sequence)).immediate;
  }

  /** Rows, counted as the span of their numbers: never less than there are. */
  rows(): number {
    const { oldest, newest } = this.#statements.span.get() ?? { oldest: null, newest: null };
    return oldest === null || newest === null ? 0 : newest - oldest + 1;
  }

  /** Bytes of the pages in use. */
  usedBytes(): number {
    return this.#statements.usedBytes.get() ?? 0;
  }

  isOver(slackRows = 0): boolean {
    return this.rows() > this.#bounds.maxRows + slackRows || this.usedBytes() > this.#bounds.maxBytes;
  }

  /**
   * Deletes up to `limit` of the oldest rows if the log is over its bounds; returns how many. The rows after the newest
   * state stay, since without them nothing could be replayed: make a new state first.
   */
  step(limit: number): number {
    if (!this.isOver()) return 0;
    const { oldest } = this.#statements.span.get() ?? { oldest: null };
    const newestState = this.#statements.newestState.get() ?? null;
    if (oldest === null || newestState === null) return 0;
    const excess = this.usedBytes() > this.#bounds.maxBytes ? limit : this.rows() - this.#bounds.maxRows;
    const last = Math.min(oldest + Math.min(limit, excess) - 1, newestState);
    if (last < oldest) return 0;
    this.#deleteUpTo(last);
    return last - oldest + 1;
  }

  #delete(sequence: number): void {
    for (const statement of this.#statements.deletions) statement.run({ sequence });
  }
}

function prepare(database: Database) {
  const remove = (sql: string) => database.prepare<{ sequence: number }>(sql);
  return {
    span: database.prepare<[], { oldest: number | null; newest: number | null }>(
      'SELECT (SELECT min(seq) FROM events) AS oldest, (SELECT max(seq) FROM events) AS newest',
    ),
    usedBytes: database
      .prepare<[], number>(
        `SELECT (page_count - freelist_count) * page_size
         FROM pragma_page_count, pragma_freelist_count, pragma_page_size`,
      )
      .pluck(),
    newestState: database.prepare<[], number | null>('SELECT max(seq) FROM snapshots').pluck(),
    deletions: [
      remove('DELETE FROM events WHERE seq <= $sequence'),
      remove('DELETE FROM choices WHERE seq <= $sequence'),
      remove('DELETE FROM story WHERE request <= $sequence'),
      remove('DELETE FROM moves WHERE seq <= $sequence'),
      remove('DELETE FROM gaps WHERE last_seq <= $sequence'),
      // What rules at the oldest row that is left stays; a state whose next rows are gone starts no replay.
      remove('DELETE FROM policies WHERE seq < (SELECT max(seq) FROM policies WHERE seq <= $sequence + 1)'),
      remove('DELETE FROM snapshots WHERE seq < $sequence'),
      remove('DELETE FROM runs WHERE epoch < (SELECT max(epoch) FROM runs WHERE first_seq <= $sequence + 1)'),
    ],
  };
}
