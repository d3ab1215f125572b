/** The log as what came in: states to start from, and the events and decisions after them. */
import { decode, decodeChoice, decodeEvent, decodeState, decodeSteps } from '../codec.ts';
import { AgentError } from '../errors.ts';
import type { Event } from '../events.ts';
import type { Choice, State, Step } from '../types.ts';
import type { Database } from './database.ts';
import type { EventRow } from './record.ts';

/**
 * `state`: what `decide` knew after row `sequence`. Where it `continues`, it is the state that the entries before it
 * lead to, which a replay may check; where not (a start of the agent, or a gap), a replay goes on from it.
 */
export type ReplayItem =
  | { readonly kind: 'state'; readonly sequence: number; readonly state: State; readonly continues: boolean }
  | {
      readonly kind: 'entry';
      readonly sequence: number;
      readonly event: Event;
      readonly reasons: readonly string[];
      readonly choice: Choice | null;
      readonly steps: readonly Step[];
    };

const pageRows = 256;

/**
 * From the newest state at or before row `from` (else the oldest there is) to the end, a page at a time, so that the
 * log is free between two items. Throws AgentError `bad_encoding` where stored text is damaged.
 */
export function* replay(database: Database, from: number): Generator<ReplayItem, void, undefined> {
  const start = startState(database, from);
  if (start === undefined) return;
  yield stateItem(start);
  const entriesAfter = database.prepare<[number, number], RawEntry>(
    'SELECT seq AS sequence, body, reasons, choice, steps FROM events WHERE seq > ? ORDER BY seq LIMIT ?',
  );
  const statesBetween = database.prepare<[number, number], RawState>(
    'SELECT seq AS sequence, continues, body FROM snapshots WHERE seq BETWEEN ? AND ? ORDER BY seq',
  );
  for (let after = start.sequence; ; ) {
    const entries = entriesAfter.all(after, pageRows);
    const last = entries.at(-1);
    if (last === undefined) return;
    yield* merged(entries, statesBetween.all(after + 1, last.sequence));
    after = last.sequence;
  }
}

interface RawState {
  readonly sequence: number;
  readonly continues: number;
  readonly body: string;
}

type RawEntry = Pick<EventRow, 'sequence' | 'body' | 'reasons' | 'choice' | 'steps'>;

function startState(database: Database, from: number): RawState | undefined {
  const columns = 'seq AS sequence, continues, body';
  return (
    database
      .prepare<[number], RawState>(
        `SELECT ${columns} FROM snapshots WHERE seq <= ? ORDER BY seq DESC LIMIT 1`,
      )
      .get(from) ??
    database.prepare<[], RawState>(`SELECT ${columns} FROM snapshots ORDER BY seq LIMIT 1`).get()
  );
}

/** By sequence number; the state after row n follows row n. */
function* merged(
  entries: readonly RawEntry[],
  states: readonly RawState[],
): Generator<ReplayItem, void, undefined> {
  let next = 0;
  for (const entry of entries) {
    for (
      let state = states[next];
      state !== undefined && state.sequence < entry.sequence;
      state = states[next]
    ) {
      yield stateItem(state);
      next += 1;
    }
    yield entryItem(entry);
  }
  for (const state of states.slice(next)) yield stateItem(state);
}

function stateItem({ sequence, continues, body }: RawState): ReplayItem {
  return { kind: 'state', sequence, state: decodeState(body), continues: continues === 1 };
}

function entryItem({ sequence, body, reasons, choice, steps }: RawEntry): ReplayItem {
  return {
    kind: 'entry',
    sequence,
    event: decodeEvent(body),
    reasons: decodeReasons(reasons),
    choice: choice === null ? null : decodeChoice(choice),
    steps: steps === null ? [] : decodeSteps(steps),
  };
}

/** The column `reasons`: null where `decide` had nothing to say. */
export function decodeReasons(text: string | null): readonly string[] {
  const reasons = text === null ? [] : decode(text);
  if (Array.isArray(reasons)) return reasons.map(String);
  throw new AgentError('bad_encoding', 'A row of the decision log is damaged.');
}
