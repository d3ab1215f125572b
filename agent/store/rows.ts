/** What reading needs of the stored rows. SQLite answers it in reader.ts; the fake of the tests from memory. */
import type { ChoiceRow, EventRow } from './record.ts';

/** A choice and, once it is known, how its request ended. */
export interface StoredChoice extends ChoiceRow {
  /** Sequence number of the row that ended it. */
  readonly ended: number | null;
  readonly ok: boolean | null;
  readonly totalMs: number | null;
}

/** A choice as a list shows it. */
export interface ListedChoice extends StoredChoice {
  readonly atMs: number;
  readonly reasons: string | null;
}

export interface Rows {
  event(sequence: number): EventRow | null;
  choice(sequence: number): StoredChoice | null;
  /** Further rows of the request that row `request` brought, oldest first. */
  story(request: number): readonly number[];
  /** Rows from `from` to `to` in which the expert changed its state, oldest first. */
  moves(expert: string, from: number, to: number): readonly number[];
  /** Names of the policies that ruled at a row. */
  policies(sequence: number): string | null;
}
