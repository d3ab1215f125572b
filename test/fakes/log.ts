/** The store in memory: what tests of the agent use in place of SQLite. It passes the contract of the real one. */
import type { Log, LogEntry, Memory } from '../../agent/ports.ts';
import type { DecisionQuery, DecisionRow, Explanation, LogHealth } from '../../agent/service.ts';
import { explain, listed } from '../../agent/store/explain.ts';
import { type CountBytes, type EventRow, record } from '../../agent/store/record.ts';
import type { ReplayItem } from '../../agent/store/replay.ts';
import { LiveRequests } from '../../agent/store/requests.ts';
import type { Rows, StoredChoice } from '../../agent/store/rows.ts';
import type { Records } from '../../agent/store/store.ts';
import type { Run } from '../../agent/store/writer.ts';
import type { ExpertId, MemoryProfile, State } from '../../agent/types.ts';

export class FakeStore implements Log, Memory, Records {
  /** All that was appended, in order. */
  readonly entries: LogEntry[] = [];
  /** How many entries each call of `append` brought. */
  readonly batches: number[] = [];
  /** Set it to see what happens while the disk is full: entries are dropped. */
  full = false;
  readonly #committedBytes: CountBytes;
  readonly #live = new LiveRequests();
  readonly #rows = new Map<number, EventRow>();
  readonly #choices = new Map<number, StoredChoice>();
  readonly #story: { readonly request: number; readonly sequence: number }[] = [];
  readonly #moves: { readonly expert: string; readonly sequence: number }[] = [];
  readonly #policies: { readonly sequence: number; readonly body: string }[] = [];
  readonly #states: (ReplayItem & { kind: 'state' })[] = [];
  readonly #items: (ReplayItem & { kind: 'entry' })[] = [];
  readonly #profiles = new Map<string, MemoryProfile>();
  readonly #prototypes = new Map<string, readonly Int8Array[]>();
  #last = 0;
  #synced = 0;
  #dropped = 0;
  #anchored = false;

  constructor(committedBytes: CountBytes) {
    this.#committedBytes = committedBytes;
  }

  append(entries: readonly LogEntry[]): readonly number[] {
    this.batches.push(entries.length);
    return entries.map((entry) => this.#append(entry));
  }

  synced(): number {
    return this.#synced;
  }

  async flush(): Promise<void> {
    if (!this.full) this.#synced = this.#last;
  }

  decisions({ limit, before, expert }: DecisionQuery): readonly DecisionRow[] {
    return [...this.#choices.values()]
      .filter((choice) => choice.sequence < (before ?? Number.MAX_SAFE_INTEGER))
      .filter((choice) => expert === null || choice.expert === expert)
      .sort((a, b) => b.sequence - a.sequence)
      .slice(0, limit)
      .map((choice) => {
        const row = this.#rows.get(choice.sequence);
        return listed({ ...choice, atMs: row?.atMs ?? 0, reasons: row?.reasons ?? null });
      });
  }

  explain(id: number): Explanation | null {
    return explain(this.#asRows(), id);
  }

  health(): LogHealth {
    return {
      state: this.full ? 'degraded' : 'ok',
      reason: this.full ? 'the disk is full' : null,
      lastSequence: this.#last,
      syncedSequence: this.#synced,
      dropped: this.#dropped,
    };
  }

  runs(): readonly Run[] {
    return [{ epoch: 1, version: 'fake', startedAtMs: 0, monotonicBaseMs: 0, firstSequence: 1 }];
  }

  snapshot(sequence: number, state: State): void {
    this.#states.push({ kind: 'state', sequence, state, continues: true });
  }

  *replay(from: number): Iterable<ReplayItem> {
    const states = this.#states.toSorted((a, b) => a.sequence - b.sequence);
    const start = states.findLast((state) => state.sequence <= from) ?? states[0];
    if (start === undefined) return;
    const items: ReplayItem[] = [...this.#items, ...states].filter(
      (item) => item === start || item.sequence > start.sequence,
    );
    const order = (item: ReplayItem): number => item.sequence + (item.kind === 'state' ? 0.5 : 0);
    yield* items.sort((a, b) => order(a) - order(b));
  }

  maintain(): 'done' {
    return 'done';
  }

  profile(digest: string): MemoryProfile | null {
    return this.#profiles.get(digest) ?? null;
  }

  keepProfile(digest: string, profile: MemoryProfile): void {
    this.#profiles.set(digest, profile);
  }

  prototypes(digest: string, embedderDigest: string): readonly Int8Array[] | null {
    return this.#prototypes.get(`${digest} ${embedderDigest}`) ?? null;
  }

  /** Chosen experts of the entries, as the store's table of choices has them. */
  recentExperts(limit: number): readonly ExpertId[] {
    const chosen = this.entries.flatMap(({ decision }) => decision.choice?.expert ?? []);
    return chosen.slice(-limit);
  }

  keepPrototypes(digest: string, embedderDigest: string, prototypes: readonly Int8Array[]): void {
    this.#prototypes.set(`${digest} ${embedderDigest}`, prototypes);
  }

  #append(entry: LogEntry): number {
    this.#last += 1;
    const sequence = this.#last;
    const recorded = record(entry, sequence, this.#live, this.#committedBytes);
    if (this.full) {
      this.#dropped += 1;
      this.#anchored = false;
      return sequence;
    }
    if (!this.#anchored) {
      this.#states.push({ kind: 'state', sequence: sequence - 1, state: entry.before, continues: false });
      this.#anchored = true;
    }
    const { event, chosen, endings, story, moved, policies } = recorded;
    const { reasons, choice, steps } = entry.decision;
    this.entries.push(entry);
    this.#items.push({ kind: 'entry', sequence, event: entry.event, reasons, choice, steps });
    this.#rows.set(sequence, event);
    if (chosen !== null) this.#choices.set(sequence, { ...chosen, ended: null, ok: null, totalMs: null });
    for (const { choice: of, ok, totalMs } of endings) {
      const known = this.#choices.get(of);
      if (known !== undefined) this.#choices.set(of, { ...known, ended: sequence, ok, totalMs });
    }
    for (const request of story) this.#story.push({ request, sequence });
    for (const expert of moved) this.#moves.push({ expert, sequence });
    if (policies !== null) this.#policies.push({ sequence, body: policies });
    return sequence;
  }

  #asRows(): Rows {
    return {
      event: (sequence) => this.#rows.get(sequence) ?? null,
      choice: (sequence) => this.#choices.get(sequence) ?? null,
      story: (request) =>
        this.#story.filter((link) => link.request === request).map(({ sequence }) => sequence),
      moves: (expert, from, to) =>
        this.#moves
          .filter((move) => move.expert === expert && move.sequence >= from && move.sequence <= to)
          .map(({ sequence }) => sequence),
      policies: (at) => this.#policies.findLast(({ sequence }) => sequence <= at)?.body ?? null,
    };
  }
}
