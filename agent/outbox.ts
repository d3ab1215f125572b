/**
 * What of the log of decisions leaves the device, and how it waits for that. The store keeps it, the fleet delivers it.
 *
 * A record's key is (device, epoch, seq). An epoch is one start of the process; `seq` counts from 1 within it and leaves
 * none out: where there is no record, there is a tombstone that says why. So a receiver that has holes knows that it
 * missed something, and one that has none knows that it missed nothing.
 */
import type { ExpertId, RequestId } from './types.ts';

/** A decision as the fleet sees it: no text, no features. What does not apply is left out. */
export interface FleetRecord {
  readonly seq: number;
  /** Number of the row in the device's own log, for `expertd explain` there. */
  readonly row: number;
  /** When it was decided: Unix time, and the machine's monotonic clock (since its boot). */
  readonly wallMs: number;
  readonly monotonicMs: number;
  /** Whether somebody had set the wall clock. Order by (epoch, seq), never by time. */
  readonly clock: 'synced' | 'unsynced';
  /** Type of the event that it was decided on. */
  readonly event: string;
  readonly request?: RequestId;
  /** The expert that was chosen, or that the event is about. */
  readonly expert?: ExpertId;
  readonly choice?: FleetChoice;
  /** How the request ended. */
  readonly outcome?: FleetOutcome;
  /** Code of the failure that the event reports. */
  readonly error?: string;
  /** What was done, as `load medical`. */
  readonly steps?: readonly string[];
  /** Experts that changed their state: which, before, after. */
  readonly moved?: readonly (readonly [ExpertId, string, string])[];
  readonly reasons?: readonly string[];
}

export interface FleetChoice {
  /** null: it abstained. */
  readonly expert: ExpertId | null;
  readonly router: string;
  readonly confidence: number | null;
  /** The best three: expert, confidence, score. */
  readonly candidates: readonly (readonly [ExpertId, number, number])[];
  /** Where the expert was. */
  readonly residency: string | null;
  readonly predictedLoadMs: number;
  readonly language: string | null;
}

export interface FleetOutcome {
  readonly ok: boolean;
  readonly totalMs: number;
  readonly stages?: Readonly<Record<string, number>>;
}

/** Numbers `from` to `to` have no record that could still be sent. */
export interface Tombstone {
  readonly from: number;
  readonly to: number;
  /** `retention`, `log_degraded`, `log_lost`, `not_kept`, `unreadable`; several are joined by `+`. */
  readonly reason: string;
  /** Decisions that are missing; null: nobody knows. */
  readonly count: number | null;
}

/** Numbers of one epoch, both ends included. */
export interface Span {
  readonly epoch: number;
  readonly first: number;
  readonly last: number;
}

/** All of a span: each of its numbers is that of a record or lies in a tombstone. */
export interface Portion extends Span {
  /** JSON texts of `FleetRecord`, by rising `seq`. */
  readonly records: readonly string[];
  readonly tombstones: readonly Tombstone[];
}

/** What waits for delivery. Nothing here throws: what cannot be read is a tombstone. */
export interface Outbox {
  /** The epoch of this process (`renew` changes it); null until a log could be opened. */
  epoch(): number | null;
  /** What is not acknowledged, oldest epoch first: of each epoch the part that would survive a power cut. */
  pending(): readonly Span[];
  /**
   * The beginning of a span, up to `maxBytes` of text (at least one record). Numbers that are no longer kept are
   * tombstones as well; null for an epoch that is not this device's, and before a log could be opened.
   */
  read(span: Span, maxBytes: number): Portion | null;
  /** Lets go of everything of an epoch up to `high`. Only for what a collector acknowledged. */
  acknowledge(epoch: number, high: number): void;
  /**
   * For an epoch of this process that a collector knows from somebody else: all of it gets a name above `above`. Only as
   * long as nothing of it was acknowledged, and once in a process. False: it was not done.
   */
  renew(above: number): boolean;
  /** Calls after each time when more may have become `pending`; returns what ends that. */
  onMore(listener: () => void): () => void;
}
