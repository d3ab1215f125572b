/**
 * The database of a collector. Everything that came together is kept in one transaction with one fsync
 * (`synchronous = FULL`): what is acknowledged survives a power cut of the collector.
 */
import type { Archive, Arrived, BirthNotice, Kept, ReceivedBatch, ReceivedRecord } from '../../archive.ts';
import type { Tombstone } from '../../outbox.ts';
import type { Database } from '../database.ts';
import { openCollector } from './open.ts';
import { holes, missingIn, nothing, type Progress, withRange } from './spans.ts';

export interface ArchiveOptions {
  readonly path: string;
  readonly nowMs: number;
  readonly maxDevices?: number;
  readonly nativeBinding?: string;
}

const maxDevices = 100_000;
/** Spans beyond a hole. An honest device has four batches under way. */
const maxAhead = 256;

export class SqliteArchive implements Archive {
  readonly #database: Database;
  readonly #maxDevices: number;
  readonly #statements: ReturnType<typeof prepare>;
  readonly #keep: (arrived: readonly Arrived[], atMs: number) => readonly Kept[];

  /** Opens the file, or makes it. Throws what SQLite throws, and AgentError `store_newer`. */
  constructor({ path, nowMs, maxDevices: most, nativeBinding }: ArchiveOptions) {
    this.#database = openCollector(path, { nowMs, nativeBinding, readonly: false });
    this.#maxDevices = most ?? maxDevices;
    this.#statements = prepare(this.#database);
    this.#keep = this.#database.transaction((arrived: readonly Arrived[], atMs: number) =>
      this.#keepAll(arrived, atMs),
    ).immediate;
  }

  keep(arrived: readonly Arrived[], atMs: number): readonly Kept[] {
    return this.#keep(arrived, atMs);
  }

  born(device: string, birth: BirthNotice, atMs: number): boolean {
    const id = this.#idOf(device, atMs);
    if (id === null) return false;
    const { bd, boot, epoch, head, agent, caps } = birth;
    this.#statements.born.run({ id, bd, boot, epoch, head, agent, caps: JSON.stringify(caps) });
    return true;
  }

  died(device: string, bd: number, atMs: number): boolean {
    return this.#statements.died.run({ device, bd, atMs }).changes > 0;
  }

  reported(device: string, text: string, atMs: number): void {
    const id = this.#idOf(device, atMs);
    if (id !== null) this.#statements.reported.run(text, id);
  }

  refused(device: string, atMs: number): void {
    const id = this.#idOf(device, atMs);
    if (id !== null) this.#statements.count.run({ id, records: 0, duplicates: 0, conflicts: 0, refused: 1 });
  }

  close(): void {
    this.#database.close();
  }

  // ---- inside a transaction -----------------------------------------------------------------------------------

  #keepAll(arrived: readonly Arrived[], atMs: number): readonly Kept[] {
    const kept = new Map<string, Kept>();
    for (const { device, batch } of arrived) {
      const id = this.#idOf(device, atMs);
      if (id === null) continue;
      const progress = this.#keepBatch(id, batch);
      const { epoch } = batch;
      kept.set(`${device} ${epoch}`, { device, epoch, high: progress.high, missing: holes(progress) });
    }
    return [...kept.values()];
  }

  #keepBatch(device: number, batch: ReceivedBatch): Progress {
    const { epoch, first, last, records, tombstones } = batch;
    const before = this.#progress(device, epoch);
    const after = withRange(before, [first, last]);
    if (after.ahead.length > maxAhead) {
      this.#statements.count.run({ id: device, records: 0, duplicates: 0, conflicts: 0, refused: 1 });
      return before;
    }
    const counts = { id: device, records: 0, duplicates: 0, conflicts: 0, refused: 0 };
    for (const record of records) counts[this.#keepRecord(device, epoch, record)] += 1;
    for (const stone of tombstones) this.#keepTombstone(device, epoch, stone, before);
    this.#statements.count.run(counts);
    if (after.high !== before.high || after.ahead.length > 0 || before.ahead.length > 0)
      this.#statements.progress.run(device, epoch, after.high, JSON.stringify(after.ahead));
    return after;
  }

  #keepRecord(
    device: number,
    epoch: number,
    { seq, value }: ReceivedRecord,
  ): 'records' | 'duplicates' | 'conflicts' {
    const body = JSON.stringify(value);
    const { wallMs } = value;
    const atMs = typeof wallMs === 'number' ? wallMs : null;
    if (this.#statements.record.run(device, epoch, seq, atMs, body).changes > 0) return 'records';
    return this.#statements.body.get(device, epoch, seq) === body ? 'duplicates' : 'conflicts';
  }

  /** Only for what had not arrived: a device that let go of what was acknowledged says no more than that. */
  #keepTombstone(
    device: number,
    epoch: number,
    { from, to, reason, count }: Tombstone,
    before: Progress,
  ): void {
    for (const [first, last] of missingIn(before, [from, to])) {
      const lost = count === null ? null : last - first + 1;
      this.#statements.tombstone.run(device, epoch, first, last, reason, lost);
    }
  }

  #progress(device: number, epoch: number): Progress {
    const row = this.#statements.progressOf.get(device, epoch);
    return row === undefined ? nothing : { high: row.high, ahead: JSON.parse(row.ahead) };
  }

  /** Adds a device that is new; null: there are too many. */
  #idOf(device: string, atMs: number): number | null {
    const seen = this.#statements.see.get({ device, atMs });
    if (seen !== undefined) return seen;
    if ((this.#statements.devices.get() ?? 0) >= this.#maxDevices) return null;
    return this.#statements.addDevice.get({ device, atMs }) ?? null;
  }
}

function prepare(database: Database) {
  return {
    see: database
      .prepare<[{ device: string; atMs: number }], number>(
        'UPDATE devices SET last_seen_ms = $atMs WHERE device = $device RETURNING id',
      )
      .pluck(),
    devices: database.prepare<[], number>('SELECT count(*) FROM devices').pluck(),
    addDevice: database
      .prepare<[{ device: string; atMs: number }], number>(
        `INSERT INTO devices(device, first_seen_ms, last_seen_ms) VALUES ($device, $atMs, $atMs) RETURNING id`,
      )
      .pluck(),
    born: database.prepare(
      `UPDATE devices SET online = 1, bd = $bd, boot = $boot, epoch = $epoch, head = $head, agent = $agent,
                          caps = $caps WHERE id = $id`,
    ),
    died: database.prepare(
      'UPDATE devices SET online = 0, last_seen_ms = $atMs WHERE device = $device AND bd = $bd',
    ),
    reported: database.prepare('UPDATE devices SET reported = ? WHERE id = ?'),
    count: database.prepare(
      `UPDATE devices SET records = records + $records, duplicates = duplicates + $duplicates,
                          conflicts = conflicts + $conflicts, refused = refused + $refused WHERE id = $id`,
    ),
    record: database.prepare('INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?, ?)'),
    body: database
      .prepare<[number, number, number], string>(
        'SELECT body FROM records WHERE device = ? AND epoch = ? AND seq = ?',
      )
      .pluck(),
    tombstone: database.prepare('INSERT OR IGNORE INTO tombstones VALUES (?, ?, ?, ?, ?, ?)'),
    progress: database.prepare('INSERT OR REPLACE INTO progress VALUES (?, ?, ?, ?)'),
    progressOf: database.prepare<[number, number], { high: number; ahead: string }>(
      'SELECT high, ahead FROM progress WHERE device = ? AND epoch = ?',
    ),
  };
}
