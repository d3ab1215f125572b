/** Reads the log: rows by their keys only, so that a look at it costs the loop next to nothing. */
import type { DecisionQuery } from '../service.ts';
import type { Database } from './database.ts';
import type { EventRow } from './record.ts';
import type { ListedChoice, Rows, StoredChoice } from './rows.ts';
import type { Run } from './writer.ts';

export class Reader implements Rows {
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: Database) {
    this.#statements = prepare(database);
  }

  event(sequence: number): EventRow | null {
    return this.#statements.event.get(sequence) ?? null;
  }

  choice(sequence: number): StoredChoice | null {
    const choice = this.#statements.choice.get(sequence);
    return choice === undefined ? null : withOutcome(choice);
  }

  story(request: number): readonly number[] {
    return this.#statements.story.all(request);
  }

  moves(expert: string, from: number, to: number): readonly number[] {
    return this.#statements.moves.all(from, to, expert);
  }

  policies(sequence: number): string | null {
    return this.#statements.policies.get(sequence) ?? null;
  }

  /** Newest first. */
  list({ limit, before, expert }: DecisionQuery): readonly ListedChoice[] {
    const below = before ?? Number.MAX_SAFE_INTEGER;
    const rows =
      expert === null
        ? this.#statements.list.all(below, limit)
        : this.#statements.listOf.all(below, expert, limit);
    return rows.map((row) => withOutcome(row));
  }

  runs(): readonly Run[] {
    return this.#statements.runs.all();
  }

  /** Highest number ever given: that of a row or of the start of a run. 0: none. */
  lastSequence(): number {
    return this.#statements.last.get() ?? 0;
  }
}

/** As SQLite has it: 0, 1 or null for `ok`. */
type Raw<T extends StoredChoice> = Omit<T, 'ok'> & { readonly ok: number | null };

function withOutcome<T extends StoredChoice>(raw: Raw<T>): Omit<T, 'ok'> & { readonly ok: boolean | null } {
  return { ...raw, ok: raw.ok === null ? null : raw.ok === 1 };
}

const choiceColumns = `c.seq AS sequence, c.request, c.request_id AS requestId, c.expert, c.router, c.confidence,
  c.ended, c.ok, c.total_ms AS totalMs`;
const fromChoices = `SELECT ${choiceColumns}, e.at_ms AS atMs, e.reasons
  FROM choices c JOIN events e ON e.seq = c.seq`;

/** Exported for the test that asks SQLite how it runs them. */
export const queries = {
  event: `SELECT seq AS sequence, at_ms AS atMs, body, request, reasons, steps, choice, residency, memory,
                 iif(asked_sha256 IS NULL, NULL, lower(hex(asked_sha256))) AS askedSha256,
                 asked_chars AS askedChars, asked_text AS askedText
          FROM events WHERE seq = ?`,
  choice: `SELECT ${choiceColumns} FROM choices c WHERE c.seq = ?`,
  story: 'SELECT seq FROM story WHERE request = ? ORDER BY seq',
  moves: 'SELECT seq FROM moves WHERE seq BETWEEN ? AND ? AND expert = ? ORDER BY seq',
  policies: 'SELECT body FROM policies WHERE seq <= ? ORDER BY seq DESC LIMIT 1',
  list: `${fromChoices} WHERE c.seq < ? ORDER BY c.seq DESC LIMIT ?`,
  listOf: `${fromChoices} WHERE c.seq < ? AND c.expert = ? ORDER BY c.seq DESC LIMIT ?`,
} as const;

function prepare(database: Database) {
  return {
    event: database.prepare<[number], EventRow>(queries.event),
    choice: database.prepare<[number], Raw<StoredChoice>>(queries.choice),
    story: database.prepare<[number], number>(queries.story).pluck(),
    moves: database.prepare<[number, number, string], number>(queries.moves).pluck(),
    policies: database.prepare<[number], string>(queries.policies).pluck(),
    list: database.prepare<[number, number], Raw<ListedChoice>>(queries.list),
    listOf: database.prepare<[number, string, number], Raw<ListedChoice>>(queries.listOf),
    runs: database.prepare<[], Run>(
      `SELECT epoch, version, started_at_ms AS startedAtMs, monotonic_base_ms AS monotonicBaseMs,
              first_seq AS firstSequence FROM runs ORDER BY epoch`,
    ),
    last: database
      .prepare<[], number | null>(
        'SELECT max((SELECT ifnull(max(seq), 0) FROM events), (SELECT ifnull(max(first_seq), 1) - 1 FROM runs))',
      )
      .pluck(),
  };
}
