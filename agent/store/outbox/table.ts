/**
 * The outbox in one database file. Positions put epoch and number into one integer that rises with time (see
 * migrations.ts), so rows are written at the right edge of one tree and deleted at its left edge. Throws what SQLite
 * throws; whoever writes brings the transaction.
 */
import type { Tombstone } from '../../outbox.ts';
import type { Database } from '../database.ts';

/** Numbers per epoch: a decision each millisecond for seven weeks. */
export const numbersPerEpoch = 4_294_967_296;

/** What a row costs beside its text, about. */
const rowOverheadBytes = 32;

export interface StoredRow {
  readonly seq: number;
  readonly body: string;
}

export interface Size {
  readonly rows: number;
  readonly bytes: number;
}

/** An epoch with what the file still holds of it; `first > last` where that is nothing. */
export interface StoredEpoch {
  readonly epoch: number;
  readonly first: number;
  readonly last: number;
}

interface Totals {
  readonly pos: number;
  readonly rowsTo: number;
  readonly bytesTo: number;
  readonly bytes: number;
}

interface RawTombstone {
  readonly firstPos: number;
  readonly lastPos: number;
  readonly reason: string;
  readonly lost: number | null;
}

/** What goes in one retention step. */
export interface Dropped {
  readonly epoch: number;
  readonly last: number;
}

export class OutboxTable {
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: Database) {
    this.#statements = prepare(database);
  }

  /** Oldest first. */
  epochs(): readonly StoredEpoch[] {
    return this.#statements.epochs.all().map(({ ordinal, epoch }) => {
      const [from, to] = rangeOf(ordinal);
      const { first, last } = this.#statements.span.get({ from, to }) ?? { first: null, last: null };
      return { epoch, first: (first ?? from + 1) - from, last: (last ?? from) - from };
    });
  }

  /** Adds an epoch, in the order of epochs; false: it is there. */
  begin(epoch: number): boolean {
    if (this.#ordinal(epoch) !== null) return false;
    this.#statements.begin.run(epoch);
    return true;
  }

  /** Gives everything of an epoch the name of another one; `to` is above all that are there. */
  rename(from: number, to: number): void {
    this.#statements.rename.run(to, from);
  }

  /** Removes an epoch of which nothing is left. */
  forget(epoch: number): void {
    this.#statements.forget.run(epoch);
  }

  /** Removes all epochs before `epoch` of which nothing is left; it looks at each. */
  forgetBefore(epoch: number): void {
    for (const one of this.epochs()) if (one.epoch < epoch && one.first > one.last) this.forget(one.epoch);
  }

  insert(epoch: number, logSeq: number, rows: readonly StoredRow[]): void {
    const from = this.#start(epoch);
    let { rowsTo, bytesTo } = this.#statements.newest.get() ?? { rowsTo: 0, bytesTo: 0 };
    for (const { seq, body } of rows) {
      rowsTo += 1;
      bytesTo += bytesOf(body);
      this.#statements.insert.run(from + seq, logSeq, rowsTo, bytesTo, body);
    }
  }

  /** Puts a tombstone over numbers that have no rows; it takes in those that lie within it. */
  bury(epoch: number, { from, to, reason, count }: Tombstone): void {
    const start = this.#start(epoch);
    this.#statements.unbury.run(start + from, start + to);
    this.#statements.bury.run(start + from, start + to, reason, count);
  }

  /** Rows and bytes that wait. */
  size(): Size {
    const [oldest, newest] = [this.#statements.oldest.get(), this.#statements.newest.get()];
    if (oldest === undefined || newest === undefined) return { rows: 0, bytes: 0 };
    return {
      rows: newest.rowsTo - oldest.rowsTo + 1,
      bytes: newest.bytesTo - oldest.bytesTo + oldest.bytes,
    };
  }

  /** The oldest rows of one epoch, up to `limit`, until the rest is within bounds; null if there is none to drop. */
  excess({ rows, bytes }: Size, limit: number): Dropped | null {
    const [oldest, newest] = [this.#statements.oldest.get(), this.#statements.newest.get()];
    if (oldest === undefined || newest === undefined) return null;
    const ordinal = Math.floor(oldest.pos / numbersPerEpoch);
    const fits = (row: Totals): boolean =>
      newest.rowsTo - row.rowsTo <= rows && newest.bytesTo - row.bytesTo <= bytes;
    const [from, to] = rangeOf(ordinal);
    const candidates = this.#statements.totals.all({ from, to, limit });
    const last = candidates.find(fits) ?? candidates.at(-1);
    // The newest row stays: it is the last number of its epoch.
    if (last === undefined || last.pos >= newest.pos) return null;
    return { epoch: this.#statements.epochAt.get(ordinal) ?? 0, last: last.pos - from };
  }

  /** Replaces everything of an epoch up to a number by one tombstone. */
  drop({ epoch, last }: Dropped, reason: string): void {
    const start = this.#start(epoch);
    const range = { from: start, to: start + last };
    const { first } = this.#statements.span.get(range) ?? { first: null };
    if (first === null) return;
    const within = this.#statements.tombstones.all(range);
    const reasons = new Set([...within.flatMap((one) => one.reason.split('+')), reason]);
    const unknown = within.some(({ lost }) => lost === null);
    const from = first - start;
    this.#statements.remove.run(range);
    this.bury(epoch, {
      from,
      to: last,
      reason: [...reasons].join('+'),
      count: unknown ? null : last - from + 1,
    });
  }

  /** Deletes everything of an epoch up to a number. */
  release(epoch: number, high: number): void {
    const ordinal = this.#ordinal(epoch);
    if (ordinal === null) return;
    const [from] = rangeOf(ordinal);
    const to = from + high;
    this.#statements.remove.run({ from, to });
    for (const { firstPos, lastPos, reason, lost } of this.#statements.tombstones.all({ from, to })) {
      this.#statements.unbury.run(firstPos, firstPos);
      // What reaches beyond is cut, so that the epoch begins behind `high`.
      if (lastPos > to)
        this.#statements.bury.run(to + 1, lastPos, reason, lost === null ? null : lastPos - to);
    }
  }

  /** Rows of an epoch by rising number; stop iterating when there are enough. */
  *rows(epoch: number, first: number, last: number): Iterable<StoredRow> {
    const ordinal = this.#ordinal(epoch);
    if (ordinal === null) return;
    const [from] = rangeOf(ordinal);
    for (const { pos, body } of this.#statements.rows.iterate(from + first, from + last)) {
      yield { seq: pos - from, body };
    }
  }

  /** Tombstones that touch a range, cut to it. */
  tombstones(epoch: number, first: number, last: number): readonly Tombstone[] {
    const ordinal = this.#ordinal(epoch);
    if (ordinal === null) return [];
    const [start] = rangeOf(ordinal);
    return this.#statements.tombstones
      .all({ from: start, to: start + last })
      .filter(({ lastPos }) => lastPos >= start + first)
      .map(({ firstPos, lastPos, reason, lost }) => {
        const [from, to] = [Math.max(first, firstPos - start), Math.min(last, lastPos - start)];
        return { from, to, reason, count: lost === null ? null : to - from + 1 };
      });
  }

  /** Highest number of an epoch whose row was written by log row `logSeq` or before; null: none. */
  lastWritten(epoch: number, logSeq: number): number | null {
    const ordinal = this.#ordinal(epoch);
    if (ordinal === null) return null;
    const [from, to] = rangeOf(ordinal);
    const pos = this.#statements.lastWritten.get({ from, to, logSeq });
    return pos === undefined ? null : pos - from;
  }

  #ordinal(epoch: number): number | null {
    return this.#statements.ordinal.get(epoch) ?? null;
  }

  #start(epoch: number): number {
    const ordinal = this.#ordinal(epoch);
    if (ordinal === null) throw new Error(`the outbox does not know epoch ${epoch}`);
    return ordinal * numbersPerEpoch;
  }
}

export function bytesOf(body: string): number {
  return Buffer.byteLength(body) + rowOverheadBytes;
}

/** Positions of an epoch: the first is that of the number 0, which nobody has. */
function rangeOf(ordinal: number): readonly [number, number] {
  return [ordinal * numbersPerEpoch, (ordinal + 1) * numbersPerEpoch - 1];
}

const totals = 'pos, rows_to AS rowsTo, bytes_to AS bytesTo';
const withBytes = `${totals}, octet_length(body) + ${rowOverheadBytes} AS bytes`;

interface Range {
  readonly from: number;
  readonly to: number;
}

function prepare(database: Database) {
  return {
    epochs: database.prepare<[], { ordinal: number; epoch: number }>(
      'SELECT ordinal, epoch FROM outbox_epochs ORDER BY ordinal',
    ),
    begin: database.prepare(
      'INSERT INTO outbox_epochs SELECT ifnull(max(ordinal), 0) + 1, ? FROM outbox_epochs',
    ),
    rename: database.prepare('UPDATE outbox_epochs SET epoch = ? WHERE epoch = ?'),
    forget: database.prepare('DELETE FROM outbox_epochs WHERE epoch = ?'),
    ordinal: database.prepare<[number], number>('SELECT ordinal FROM outbox_epochs WHERE epoch = ?').pluck(),
    epochAt: database.prepare<[number], number>('SELECT epoch FROM outbox_epochs WHERE ordinal = ?').pluck(),
    span: database.prepare<[Range], { first: number | null; last: number | null }>(
      `SELECT min(first) AS first, max(last) AS last FROM (
         SELECT (SELECT min(pos) FROM outbox WHERE pos BETWEEN $from AND $to) AS first,
                (SELECT max(pos) FROM outbox WHERE pos BETWEEN $from AND $to) AS last
         UNION ALL
         SELECT min(first_pos), max(last_pos) FROM outbox_tombstones WHERE first_pos BETWEEN $from AND $to)`,
    ),
    insert: database.prepare('INSERT INTO outbox VALUES (?, ?, ?, ?, ?)'),
    oldest: database.prepare<[], Totals>(`SELECT ${withBytes} FROM outbox ORDER BY pos LIMIT 1`),
    newest: database.prepare<[], Totals>(`SELECT ${withBytes} FROM outbox ORDER BY pos DESC LIMIT 1`),
    totals: database.prepare<[Range & { limit: number }], Totals>(
      `SELECT ${totals}, 0 AS bytes FROM outbox WHERE pos BETWEEN $from AND $to ORDER BY pos LIMIT $limit`,
    ),
    remove: database.prepare<[Range]>('DELETE FROM outbox WHERE pos BETWEEN $from AND $to'),
    rows: database.prepare<[number, number], { pos: number; body: string }>(
      'SELECT pos, body FROM outbox WHERE pos BETWEEN ? AND ? ORDER BY pos',
    ),
    lastWritten: database
      .prepare<[Range & { logSeq: number }], number>(
        `SELECT pos FROM outbox WHERE pos BETWEEN $from AND $to AND log_seq <= $logSeq
         ORDER BY pos DESC LIMIT 1`,
      )
      .pluck(),
    tombstones: database.prepare<[Range], RawTombstone>(
      `SELECT first_pos AS firstPos, last_pos AS lastPos, reason, lost FROM outbox_tombstones
       WHERE first_pos BETWEEN $from AND $to ORDER BY first_pos`,
    ),
    bury: database.prepare('INSERT INTO outbox_tombstones VALUES (?, ?, ?, ?)'),
    unbury: database.prepare<[number, number]>(
      'DELETE FROM outbox_tombstones WHERE first_pos BETWEEN ? AND ?',
    ),
  };
}
