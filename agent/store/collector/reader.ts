/** Reads the database of a collector, also while one writes it. */
import type { ArchiveReader, DeviceRow, RecordQuery, RecordRow } from '../../archive.ts';
import type { Database } from '../database.ts';
import { openCollector } from './open.ts';
import { holes, type Range } from './spans.ts';

type RawDevice = Omit<DeviceRow, 'online' | 'missing'> & { readonly id: number; readonly online: number };

export class SqliteArchiveReader implements ArchiveReader {
  readonly #database: Database;

  /** Throws as `openCollector`. */
  constructor(path: string, nowMs: number, nativeBinding?: string) {
    this.#database = openCollector(path, { nowMs, nativeBinding, readonly: true });
  }

  devices(): readonly DeviceRow[] {
    const missing = this.#missing();
    return this.#database
      .prepare<[], RawDevice>(
        `SELECT id, device, online, bd, agent, epoch, first_seen_ms AS firstSeenMs, last_seen_ms AS lastSeenMs,
                records, duplicates, conflicts, refused, reported,
                -- A record may come after all, from a device that was believed to have lost it.
                (SELECT ifnull(sum(last - first + 1 - (
                   SELECT count(*) FROM records r
                   WHERE r.device = t.device AND r.epoch = t.epoch AND r.seq BETWEEN t.first AND t.last)), 0)
                 FROM tombstones t WHERE t.device = d.id) AS lost
         FROM devices d ORDER BY device`,
      )
      .all()
      .map(({ id, online, ...row }) => ({ ...row, online: online === 1, missing: missing.get(id) ?? 0 }));
  }

  records({ device, sinceMs, limit }: RecordQuery): readonly RecordRow[] {
    const conditions = [
      ...(device === null ? [] : ['r.device = (SELECT id FROM devices WHERE device = $device)']),
      ...(sinceMs === null ? [] : ['r.at_ms >= $sinceMs']),
    ];
    const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
    const order = device === null ? 'r.at_ms DESC' : 'r.epoch DESC, r.seq DESC';
    return this.#database
      .prepare<[Record<string, unknown>], RecordRow>(
        `SELECT d.device, r.epoch, r.seq, r.at_ms AS atMs, r.body
         FROM records r JOIN devices d ON d.id = r.device ${where} ORDER BY ${order} LIMIT $limit`,
      )
      .all({ device, sinceMs, limit });
  }

  close(): void {
    this.#database.close();
  }

  #missing(): ReadonlyMap<number, number> {
    const result = new Map<number, number>();
    const rows = this.#database
      .prepare<[], { device: number; high: number; ahead: string }>(
        "SELECT device, high, ahead FROM progress WHERE ahead <> '[]'",
      )
      .all();
    for (const { device, high, ahead } of rows) {
      const open = holes({ high, ahead: JSON.parse(ahead) as readonly Range[] });
      const count = open.reduce((sum, [first, last]) => sum + last - first + 1, 0);
      result.set(device, (result.get(device) ?? 0) + count);
    }
    return result;
  }
}
