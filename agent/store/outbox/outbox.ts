/**
 * The outbox of one process: numbers what goes to the fleet, keeps it within its bounds, and knows why a number has no
 * record. It outlives the file that it is kept in: when that is lost, what had not been acknowledged becomes tombstones.
 *
 * Rows are written in the transaction of their decisions (`write` in it, `committed` or `dropped` after it), so there
 * is no record without its decision and no decision without its record.
 */
import type { Outbox, Portion, Span, Tombstone } from '../../outbox.ts';
import type { Clock, LogEntry } from '../../ports.ts';
import type { Epochs } from '../epochs.ts';
import type { Recorded } from '../record.ts';
import { concernsFleet, draft } from './draft.ts';
import { collect } from './portion.ts';
import type { OutboxTable, Size } from './table.ts';

/** What the outbox needs of the store around it. */
export interface Shelf {
  /** Epoch of this process; null until a file could be opened. */
  epoch(): number | null;
  /** Highest row of the log that survives a power cut, and the last one that was there before this process. */
  synced(): number;
  before(): number;
  /** Gives this epoch a name above `above`, which is on the disk on return. False: it has the one that it had. */
  renew(above: number): boolean;
  /**
   * As those of `Keeper`. What `work` writes is one transaction: a tombstone that is cut in two steps would be gone
   * after a power cut between them, and with it the only word about numbers that nobody has.
   */
  write(work: (table: OutboxTable) => void): boolean;
  read<T>(work: (table: OutboxTable) => T, fallback: T): T;
}

export interface OutboxOptions {
  readonly maxRows: number;
  readonly maxBytes: number;
  /** Whether somebody has set the wall clock. Asked with each record, so it should be quick. */
  readonly clockSynced: () => boolean;
}

/** How far below its bounds retention goes, so that it need not be done with every row; and rows in one go. */
const slack = 1 / 32;
const rowsPerStep = 256;

/** As Unix time the last second that 32 bits hold (2106): far above what an honest clock gives, far below what ends. */
const latestEpoch = 4_294_967_295;

interface Held {
  readonly first: number;
  readonly last: number;
}

export class FleetOutbox implements Outbox {
  readonly #options: OutboxOptions;
  readonly #clock: Clock;
  readonly #epochs: Epochs;
  readonly #shelf: Shelf;
  readonly #listeners = new Set<() => void>();
  /** What earlier processes left; null until a file was read. */
  #former: Map<number, Held> | null = null;
  #next = 1;
  #released = 0;
  /** Of this epoch, to be written with the next rows. */
  #unburied: readonly Tombstone[] = [];
  /** Everything that was in a file that is lost. */
  #lost: readonly Span[] = [];
  #isRenewed = false;

  constructor(options: OutboxOptions, clock: Clock, epochs: Epochs, shelf: Shelf) {
    this.#options = options;
    this.#clock = clock;
    this.#epochs = epochs;
    this.#shelf = shelf;
  }

  // ---- Outbox -------------------------------------------------------------------------------------------------

  epoch(): number | null {
    return this.#shelf.epoch();
  }

  /** The newest number of this epoch that would survive a power cut; 0: none. */
  head(): number {
    const epoch = this.epoch();
    if (epoch === null) return 0;
    const last = this.#shelf.read((table) => {
      this.#meet(table);
      return table.lastWritten(epoch, this.#shelf.synced());
    }, null);
    return Math.max(this.#released, last ?? 0);
  }

  pending(): readonly Span[] {
    const epoch = this.epoch();
    // An epoch that may be given again must not be seen.
    if (epoch === null || !this.#epochs.isKept) return [];
    const last = this.head();
    // What was there before is durable as soon as this process has synced the file once.
    const settled = this.#shelf.synced() >= this.#shelf.before();
    const former = settled ? [...(this.#former ?? [])] : [];
    const spans = former.map(([of, held]) => ({ epoch: of, ...held }));
    if (last > this.#released) spans.push({ epoch, first: this.#released + 1, last });
    return spans.sort((a, b) => a.epoch - b.epoch);
  }

  read(span: Span, maxBytes: number): Portion | null {
    const current = this.epoch();
    if (current === null || span.epoch > current) return null;
    return this.#shelf.read((table): Portion | null => {
      this.#meet(table);
      const kept = this.#kept(span.epoch, current);
      // Another device with this name may still have what this one never had.
      if (kept === null) return null;
      return collect(
        table,
        { ...span, last: span.epoch === current ? Math.min(span.last, kept.last) : span.last },
        kept,
        maxBytes,
      );
    }, null);
  }

  acknowledge(epoch: number, high: number): void {
    const held = this.#former?.get(epoch);
    const isThrough = held !== undefined && high >= held.last;
    if (epoch === this.epoch()) this.#released = Math.max(this.#released, Math.min(high, this.#next - 1));
    else if (held === undefined) return;
    else if (isThrough) this.#former?.delete(epoch);
    else this.#former?.set(epoch, { first: Math.max(held.first, high + 1), last: held.last });
    // Not brought to the disk: what comes back after a power cut is sent once more and known there.
    this.#shelf.write((table) => {
      table.release(epoch, high);
      if (isThrough) table.forget(epoch);
    });
  }

  /**
   * The word that leads here is not signed, so it is bounded: once in a process, each time costs an fsync; not above what
   * can be a time, since each start needs a later epoch and there must be some left; and not for an epoch that a
   * collector has taken from here.
   */
  renew(above: number): boolean {
    const former = this.epoch();
    if (former === null || this.#isRenewed || this.#released > 0 || above > latestEpoch) return false;
    if (!this.#shelf.renew(above)) return false;
    this.#isRenewed = true;
    const epoch = this.epoch() ?? former;
    this.#lost = this.#lost.map((span) => (span.epoch === former ? { ...span, epoch } : span));
    return true;
  }

  onMore(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // ---- for the store ------------------------------------------------------------------------------------------

  /** The texts of what goes to the fleet, without numbers. `recorded` belongs to `entries`, one by one. */
  drafts(entries: readonly LogEntry[], recorded: readonly Recorded[]): readonly string[] {
    const moment = {
      wallMs: Date.now(),
      monotonicMs: Number(process.hrtime.bigint() / 1_000_000n),
      synced: this.#options.clockSynced(),
    };
    const nowMs = this.#clock.nowMs();
    return entries.flatMap((entry, index) => {
      const rows = recorded[index];
      if (rows === undefined || !concernsFleet(entry)) return [];
      const lagMs = Math.max(0, nowMs - entry.event.atMs);
      return [JSON.stringify(draft(entry, rows, { ...moment, lagMs }))];
    });
  }

  /** Writes drafts of log rows up to `logSeq`, and what else is to be told, in the caller's transaction. */
  write(table: OutboxTable, logSeq: number, drafts: readonly string[]): void {
    this.#meet(table);
    const epoch = this.epoch();
    if (epoch === null || (drafts.length === 0 && this.#unburied.length === 0 && this.#lost.length === 0))
      return;
    for (const span of this.#lost) {
      table.begin(span.epoch);
      table.bury(span.epoch, tombstone(span.first, span.last, 'log_lost'));
    }
    // Once in a process: an epoch that was through when its process ended is of no more use.
    if (table.begin(epoch)) table.forgetBefore(epoch);
    for (const one of this.#unburied) table.bury(epoch, one);
    const rows = drafts.map((text, index) => numbered(text, this.#next + index));
    table.insert(epoch, logSeq, rows);
    this.#prune(table);
  }

  /** The transaction of `write` is there. */
  committed(drafts: readonly string[]): void {
    this.#next += drafts.length;
    this.#unburied = [];
    this.#lost = [];
  }

  /** So many decisions that the fleet should have seen could not be recorded. */
  dropped(count: number): void {
    if (count === 0) return;
    const newest = this.#unburied.at(-1);
    const to = this.#next + count - 1;
    // Numbers rise without a row in between, so what is unburied is one stretch.
    const from = newest?.reason === 'log_degraded' ? newest.from : this.#next;
    const others = this.#unburied.filter(({ reason }) => reason !== 'log_degraded');
    this.#unburied = [...others, tombstone(from, to, 'log_degraded')];
    this.#next = to + 1;
  }

  /** A file was begun that holds nothing of what was there. */
  fileLost(): void {
    if (this.#former === null) {
      // It was broken before anybody could look: this epoch begins with the word that something is missing.
      if (this.#unburied.some(({ reason }) => reason === 'log_lost')) return;
      this.#unburied = [...this.#unburied, { ...tombstone(this.#next, this.#next, 'log_lost'), count: null }];
      this.#next += 1;
      return;
    }
    const epoch = this.epoch();
    const lost = [...this.#former].map(([of, held]) => ({ epoch: of, ...held }));
    if (epoch !== null && this.#next > this.#released + 1)
      lost.push({ epoch, first: this.#released + 1, last: this.#next - 1 });
    this.#lost = lost.sort((a, b) => a.epoch - b.epoch);
    this.#unburied = [];
  }

  /** Rows have reached the disk. */
  more(): void {
    for (const listener of this.#listeners) listener();
  }

  // ---- inside -------------------------------------------------------------------------------------------------

  /** Reads what earlier processes left, once: a later file of this process is one that this process began. */
  #meet(table: OutboxTable): void {
    if (this.#former !== null) return;
    const epoch = this.epoch() ?? 0;
    const found = table.epochs().filter((one) => one.epoch < epoch && one.first <= one.last);
    this.#former = new Map(found.map(({ epoch: of, first, last }) => [of, { first, last }]));
  }

  /** null: it is no epoch of this device. */
  #kept(epoch: number, current: number): Held | null {
    if (epoch === current) return { first: this.#released + 1, last: this.#next - 1 };
    const held = this.#former?.get(epoch);
    if (held !== undefined || !this.#epochs.isOwn(epoch)) return held ?? null;
    return { first: Number.MAX_SAFE_INTEGER, last: Number.MAX_SAFE_INTEGER };
  }

  #prune(table: OutboxTable): void {
    const { maxRows, maxBytes } = this.#options;
    const size = table.size();
    if (size.rows <= maxRows && size.bytes <= maxBytes) return;
    const wanted: Size = {
      rows: Math.floor(maxRows * (1 - slack)),
      bytes: Math.floor(maxBytes * (1 - slack)),
    };
    const excess = table.excess(wanted, rowsPerStep);
    if (excess !== null) table.drop(excess, 'retention');
  }
}

function tombstone(from: number, to: number, reason: string): Tombstone {
  return { from, to, reason, count: to - from + 1 };
}

function numbered(text: string, seq: number): { readonly seq: number; readonly body: string } {
  return { seq, body: `{"seq":${seq},${text.slice(1)}` };
}
