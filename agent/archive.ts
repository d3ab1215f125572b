/** What a collector keeps of a fleet: records by (device, epoch, seq), and who the devices are. */
import type { Span, Tombstone } from './outbox.ts';

export interface ReceivedRecord {
  readonly seq: number;
  readonly value: Readonly<Record<string, unknown>>;
}

/** Accounts for each of its numbers, by a record or a tombstone. */
export interface ReceivedBatch extends Span {
  readonly records: readonly ReceivedRecord[];
  readonly tombstones: readonly Tombstone[];
}

export interface Arrived {
  /** From the topic, never from the payload. */
  readonly device: string;
  readonly batch: ReceivedBatch;
}

/** How far an epoch of a device has arrived, once that is on the disk. */
export interface Kept {
  readonly device: string;
  readonly epoch: number;
  /** All numbers up to this one are accounted for. */
  readonly high: number;
  /** Holes between `high` and the highest number that came. */
  readonly missing: readonly (readonly [number, number])[];
}

/** What a device says of itself at the beginning of a connection. */
export interface BirthNotice {
  readonly bd: number;
  readonly boot: string;
  readonly epoch: number | null;
  readonly head: number | null;
  readonly agent: string;
  readonly caps: readonly string[];
}

/** All of it throws what the database throws; nothing is half done then. */
export interface Archive {
  /** Keeps batches in one transaction; durable when it returns. Devices beyond a bound have no `Kept`. */
  keep(arrived: readonly Arrived[], atMs: number): readonly Kept[];
  /** False: there are too many devices to take another one. */
  born(device: string, birth: BirthNotice, atMs: number): boolean;
  /** False: it is the will of an older connection, and says nothing. */
  died(device: string, bd: number, atMs: number): boolean;
  /** Keeps the last word of a device on its state, as it came. */
  reported(device: string, text: string, atMs: number): void;
  /** Counts something of a device that was refused. */
  refused(device: string, atMs: number): void;
}

export interface DeviceRow {
  readonly device: string;
  readonly online: boolean;
  readonly bd: number | null;
  readonly agent: string | null;
  readonly epoch: number | null;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
  readonly records: number;
  readonly duplicates: number;
  /** Records whose key was there with another content: two devices have one name, or one lost its state. */
  readonly conflicts: number;
  readonly refused: number;
  /** Numbers with a tombstone, and numbers that did not come yet. */
  readonly lost: number;
  readonly missing: number;
  /** `R/v1/D/reported` as it came. */
  readonly reported: string | null;
}

export interface RecordRow {
  readonly device: string;
  readonly epoch: number;
  readonly seq: number;
  readonly atMs: number;
  /** JSON of a `FleetRecord`, as the device sent it. */
  readonly body: string;
}

export interface RecordQuery {
  readonly device: string | null;
  /** By the wall clock of the device. */
  readonly sinceMs: number | null;
  readonly limit: number;
}

/** What people look up. */
export interface ArchiveReader {
  devices(): readonly DeviceRow[];
  /** Newest first by device, epoch and number; over several devices by their clocks. */
  records(query: RecordQuery): readonly RecordRow[];
  close(): void;
}
