/**
 * The store: the log of decisions and what is remembered of experts, in one SQLite file of the state directory.
 *
 * Nothing here throws into the loop. While the log cannot be written numbers go on, entries are dropped and counted;
 * the hole is noted when it ends, with the state at its end, so that a replay goes on from there.
 */
import { join } from 'node:path';
import { toFailure } from '../errors.ts';
import type { Clock, Log, LogEntry, Memory } from '../ports.ts';
import type { DecisionQuery, DecisionRow, Explanation, LogHealth } from '../service.ts';
import type { ExpertId, MemoryProfile, State } from '../types.ts';
import { Epochs, epochAfter } from './epochs.ts';
import { explain, listed } from './explain.ts';
import { Keeper, type Report } from './keeper.ts';
import { type InstanceLock, lockStateDir } from './lock.ts';
import type { LogFile } from './log-file.ts';
import { concernsFleet } from './outbox/draft.ts';
import { FleetOutbox, type OutboxOptions } from './outbox/outbox.ts';
import { type CountBytes, type Recorded, record } from './record.ts';
import { type ReplayItem, replay } from './replay.ts';
import { LiveRequests } from './requests.ts';
import type { ListedChoice } from './rows.ts';
import { type Disk, realDisk } from './sync.ts';
import type { Gap, Run, Snapshot } from './writer.ts';

/** What the log answers beside `Log`: to the service, to a replay, to whoever has an idle moment. */
export interface Records {
  /** Newest first; rows that cannot be read are left out. */
  decisions(query: DecisionQuery): readonly DecisionRow[];
  explain(id: number): Explanation | null;
  health(): LogHealth;
  runs(): readonly Run[];
  /** Keeps the state after a row, for a replay to start from. */
  snapshot(sequence: number, state: State): void;
  /** From the newest state at or before row `from`. Throws AgentError `bad_encoding` where the log is damaged. */
  replay(from: number): Iterable<ReplayItem>;
  /** One bounded piece of housekeeping (some ms); `more` if there is more to do. For idle moments. */
  maintain(): 'done' | 'more';
}

export interface StoreOptions {
  readonly directory: string;
  /** Of expertd; noted with the run. */
  readonly version: string;
  readonly clock: Clock;
  readonly committedBytes: CountBytes;
  readonly maxRows: number;
  readonly maxBytes: number;
  readonly syncMs: number;
  /** What is wrong with the log, or well again (`log_recovered`): each change once. */
  readonly report: Report;
  /** Only where there is a fleet: without it nothing of the outbox is written. Its bytes come on top of `maxBytes`. */
  readonly outbox?: OutboxOptions;
  readonly nativeBinding?: string;
  readonly disk?: Disk;
  /** Length of the WAL from which on it is copied into the database. */
  readonly checkpointBytes?: number;
}

/** Rows without a decision wait this long for the disk, as long as the kernel itself would let them. */
const quietMs = 30_000;
/** Each time the WAL starts anew SQLite waits for the disk once, inside a commit: once in some 700 requests. */
const checkpointBytes = 8_388_608;
/** Rows between two states; a replay starts at most so far back. */
const snapshotEvery = 2_000;
/** How many appended rows pass between two looks at the bounds, and how many old ones go then. */
const rowsPerLook = 64;
const rowsPerStep = 256;
/** Pages that are there before the first row, in bytes. */
const emptyBytes = 16_384;
/** Bytes of pages that a byte of a small row takes, about. */
const pagesPerByte = 1.25;

export class Store implements Log, Memory, Records {
  readonly #options: StoreOptions;
  readonly #keeper: Keeper;
  readonly #live = new LiveRequests();
  readonly #snapshotEvery: number;
  /** What waits for the fleet; null where there is none. */
  readonly #outbox: FleetOutbox | null = null;
  /** Which epochs are this device's; null where there is no fleet. */
  readonly #epochs: Epochs | null = null;
  /** The last row that was there before this process. */
  #before = 0;
  #lock: InstanceLock | null = null;
  #epoch: number | null = null;
  #next = 1;
  #dropped = 0;
  #gap: Gap | null = null;
  /** The newest state that a replay can start from; null: the file holds none that leads to the next row. */
  #anchor: number | null = null;
  #latest: { readonly sequence: number; readonly state: State } | null = null;
  #rowsToLook = rowsPerLook;

  constructor(options: StoreOptions) {
    const { clock, syncMs, maxRows, maxBytes, report, nativeBinding, disk } = options;
    const longBytes = options.checkpointBytes ?? checkpointBytes;
    this.#options = options;
    this.#snapshotEvery = Math.max(1, Math.min(snapshotEvery, Math.floor(maxRows / 4)));
    this.#keeper = new Keeper({
      path: join(options.directory, 'decisions.db'),
      clock,
      syncMs,
      quietMs: Math.max(quietMs, syncMs),
      checkpointBytes: Math.min(longBytes, Math.floor(maxBytes / 16)),
      maxRows,
      // The WAL may be twice as long as `checkpointBytes`: together they stay below.
      maxBytes: fileBytes(maxBytes, options.outbox?.maxBytes ?? 0),
      nativeBinding,
      disk: disk ?? realDisk,
      report,
      runAfter: (sequence, epochs) => this.#runAfter(sequence, epochs),
      onNewFile: () => {
        this.#anchor = null;
        this.#outbox?.fileLost();
      },
      onSynced: () => {
        this.#epochs?.keep();
        this.#outbox?.more();
      },
    });
    if (options.outbox === undefined) return;
    this.#epochs = new Epochs(options.directory, report);
    this.#outbox = this.#openOutbox(options.outbox, this.#epochs);
  }

  /**
   * Takes the state directory and opens the log; a full disk or a damaged file leaves a degraded or a new log. Throws
   * AgentError `state_dir_locked`, `state_dir_unusable` or `store_newer`.
   */
  start(): void {
    this.#lock = lockStateDir(this.#options.directory, this.#options.nativeBinding);
    try {
      this.#keeper.start();
    } catch (error) {
      this.#lock.release();
      throw error;
    }
  }

  /** Brings everything to the disk and gives the directory back. */
  async stop(): Promise<void> {
    await this.#keeper.stop();
    this.#lock?.release();
    this.#lock = null;
  }

  // ---- Log ----------------------------------------------------------------------------------------------------

  append(entries: readonly LogEntry[]): readonly number[] {
    const [head] = entries;
    const latest = entries.at(-1);
    if (head === undefined || latest === undefined) return [];
    this.#keeper.prepare();
    const first = this.#next;
    const last = first + entries.length - 1;
    this.#next = last + 1;
    const rows = this.#record(entries, first);
    const drafts = rows === null ? [] : (this.#outbox?.drafts(entries, rows) ?? []);
    const written =
      rows !== null && this.#keeper.write((file) => this.#write(file, rows, drafts, head, first));
    if (written) {
      this.#outbox?.committed(drafts);
      this.#latest = { sequence: last, state: latest.decision.state };
      this.#lookAtBounds(entries.length);
    } else {
      this.#outbox?.dropped(entries.filter(concernsFleet).length);
      this.#drop(first, last);
    }
    return entries.map((_, index) => first + index);
  }

  synced(): number {
    return this.#keeper.synced();
  }

  /** Brings all that is recorded to the disk now. */
  flush(): Promise<void> {
    return this.#keeper.flush();
  }

  /** What waits for delivery to the fleet; null where the options name none. */
  outbox(): FleetOutbox | null {
    return this.#outbox;
  }

  // ---- Records ------------------------------------------------------------------------------------------------

  decisions(query: DecisionQuery): readonly DecisionRow[] {
    return this.#keeper.read((file) => file.reader.list(query).flatMap(readable), []);
  }

  explain(id: number): Explanation | null {
    return this.#keeper.read((file) => explain(file.reader, id), null);
  }

  health(): LogHealth {
    const trouble = this.#keeper.trouble();
    return {
      state: trouble === null ? 'ok' : 'degraded',
      reason: trouble?.message ?? null,
      lastSequence: this.#next - 1,
      syncedSequence: this.synced(),
      dropped: this.#dropped,
    };
  }

  runs(): readonly Run[] {
    return this.#keeper.read((file) => file.reader.runs(), []);
  }

  snapshot(sequence: number, state: State): void {
    this.#keeper.write((file) => this.#keepState(file, { sequence, state, continues: true }));
  }

  replay(from: number): Iterable<ReplayItem> {
    return this.#keeper.read((file): Iterable<ReplayItem> => replay(file.database, from), []);
  }

  maintain(): 'done' | 'more' {
    this.#keeper.check();
    let more = false;
    this.#keeper.write((file) => {
      more = this.#stateIsDue(this.#snapshotEvery);
      if (more) this.#keepLatest(file);
      else more = this.#prune(file);
    });
    return more ? 'more' : 'done';
  }

  // ---- Memory -------------------------------------------------------------------------------------------------

  recentExperts(limit: number): readonly ExpertId[] {
    return this.#keeper.read((file) => file.memory.recentExperts(limit), []);
  }

  profile(digest: string): MemoryProfile | null {
    return this.#keeper.read((file) => file.memory.profile(digest), null);
  }

  keepProfile(digest: string, profile: MemoryProfile): void {
    this.#keeper.write((file) => file.memory.keepProfile(digest, profile));
  }

  prototypes(digest: string, embedderDigest: string): readonly Int8Array[] | null {
    return this.#keeper.read((file) => file.memory.prototypes(digest, embedderDigest), null);
  }

  keepPrototypes(digest: string, embedderDigest: string, prototypes: readonly Int8Array[]): void {
    this.#keeper.write((file) => file.memory.keepPrototypes(digest, embedderDigest, prototypes));
  }

  // ---- writing ------------------------------------------------------------------------------------------------

  /** null: a value that the codec refuses, which is a bug; the entries are dropped like those of a full disk. */
  #record(entries: readonly LogEntry[], first: number): readonly Recorded[] | null {
    const { committedBytes, report } = this.#options;
    try {
      return entries.map((entry, index) => record(entry, first + index, this.#live, committedBytes));
    } catch (error) {
      report(toFailure(error));
      return null;
    }
  }

  #write(
    file: LogFile,
    rows: readonly Recorded[],
    drafts: readonly string[],
    head: LogEntry,
    first: number,
  ): void {
    file.sync.requireRoom();
    const last = first + rows.length - 1;
    // A state goes before the first row of a run, of a file, and after a gap.
    const starts = this.#anchor === null || this.#gap !== null;
    const snapshot = starts ? { sequence: first - 1, state: head.before, continues: false } : null;
    const withOutbox = (): void => this.#outbox?.write(file.outbox, last, drafts);
    file.writer.append({ rows, gap: this.#gap, snapshot, beside: withOutbox });
    this.#gap = null;
    this.#anchor = snapshot?.sequence ?? this.#anchor;
    file.sync.wrote(last, rows.every(isQuiet));
  }

  #drop(first: number, last: number): void {
    this.#dropped += last - first + 1;
    const reason = this.#keeper.trouble()?.message ?? 'the rows could not be encoded';
    this.#gap = { first: this.#gap?.first ?? first, last, reason: this.#gap?.reason ?? reason };
  }

  /** Keeps the bounds also where no moment is ever idle. */
  #lookAtBounds(rows: number): void {
    this.#rowsToLook -= rows;
    if (this.#rowsToLook > 0) return;
    this.#rowsToLook = rowsPerLook;
    this.#keeper.write((file) => {
      if (this.#stateIsDue(4 * this.#snapshotEvery)) this.#keepLatest(file);
      this.#prune(file);
    });
  }

  /** One step towards the bounds; false if there is none to take. */
  #prune(file: LogFile): boolean {
    if (file.retention.step(rowsPerStep) > 0) return true;
    if (!file.retention.isOver() || !this.#stateIsDue(this.#snapshotEvery / 4)) return false;
    // All that is left are rows that the newest state needs: a newer one sets them free.
    this.#keepLatest(file);
    return true;
  }

  #stateIsDue(afterRows: number): boolean {
    return this.#latest !== null && this.#latest.sequence - (this.#anchor ?? 0) >= afterRows;
  }

  #keepLatest(file: LogFile): void {
    if (this.#latest !== null) this.#keepState(file, { ...this.#latest, continues: true });
  }

  #keepState(file: LogFile, snapshot: Snapshot): void {
    file.writer.snapshot(snapshot);
    this.#anchor = Math.max(this.#anchor ?? 0, snapshot.sequence);
  }

  #openOutbox(options: OutboxOptions, epochs: Epochs): FleetOutbox {
    const keeper = this.#keeper;
    return new FleetOutbox(options, this.#options.clock, epochs, {
      epoch: () => this.#epoch,
      renew: (above) => this.#renew(epochs, above),
      synced: () => keeper.synced(),
      before: () => this.#before,
      write: (work) => keeper.write((file) => file.database.transaction(() => work(file.outbox)).immediate()),
      read: (work, fallback) => keeper.read((file) => work(file.outbox), fallback),
    });
  }

  /** On the disk at once: what was delivered under the new name must not come back under the old one. */
  #renew(epochs: Epochs, above: number): boolean {
    const former = this.#epoch;
    const epoch = former === null ? null : epochs.renew(Math.max(above, former), Date.now());
    if (former === null || epoch === null) return false;
    const isDone = this.#keeper.write((file) =>
      file.commitDurably(() => {
        file.outbox.rename(former, epoch);
        file.writer.beginRun(this.#run(epoch));
      }),
    );
    if (isDone) this.#epoch = epoch;
    return isDone;
  }

  #runAfter(sequence: number, epochs: readonly number[]): Run {
    if (this.#epoch === null) this.#before = sequence;
    this.#next = Math.max(this.#next, sequence + 1);
    // Numbers that were given before the file could be read, and that it knows as those of other rows.
    if (this.#gap !== null && this.#gap.first <= sequence) this.#gap = null;
    const nowMs = Date.now();
    this.#epoch ??= this.#epochs?.begin(epochs, nowMs) ?? epochAfter(epochs.at(-1) ?? 0, nowMs);
    return this.#run(this.#epoch);
  }

  #run(epoch: number): Run {
    const monotonicBaseMs = Number(process.hrtime.bigint() / 1_000n) / 1_000;
    const { version } = this.#options;
    return { epoch, version, startedAtMs: Date.now(), monotonicBaseMs, firstSequence: this.#next };
  }
}

/** How large the file may become: the WAL comes on top of it, and what waits for the fleet within. */
function fileBytes(logBytes: number, outboxBytes: number): number {
  return Math.floor((logBytes * 3) / 4 - emptyBytes + outboxBytes * pagesPerByte);
}

function isQuiet(row: Recorded): boolean {
  return row.event.reasons === null;
}

/** A damaged row costs itself, not the list. */
function readable(choice: ListedChoice): readonly DecisionRow[] {
  try {
    return [listed(choice)];
  } catch {
    return [];
  }
}
