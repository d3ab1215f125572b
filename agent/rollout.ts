/** How a new version of an expert takes the place of another: words of types.ts that fill a file of their own. No code. */
import type { ExpertId, Failure } from './terms.ts';

/** What a new version must show before it counts, beside its golden answers. One of `decisions` and `ms` is null. */
export interface Canary {
  /** Of the requests for its expert, 0 to 1. */
  readonly share: number;
  /** Answers that it must give. */
  readonly decisions: number | null;
  readonly ms: number | null;
}

/**
 * `selfTest`: it is to say what its golden inputs ask for. `probation`: a share of the requests goes to it, and each that
 * it fails goes back to the old one. `committed`, `rolledBack`: it is over, and the catalog has been told.
 */
export type RolloutPhase = 'selfTest' | 'probation' | 'committed' | 'rolledBack';

/** How one version did while both were here. */
export interface Tally {
  readonly answered: number;
  /** Requests that it failed, and the other one answered then. */
  readonly failed: number;
  /** Of the newest answers, oldest first. */
  readonly runMs: readonly number[];
}

/** What is kept of a probation, so that a device that is switched off every night comes to the end of it. */
export interface Progress {
  readonly answered: number;
  readonly elapsedMs: number;
}

/** One expert and the version that is to take its place. Kept until another comes, so that it can be shown. */
export interface Rollout {
  /** The version's own id: `ID@VERSION`, which no package can have. */
  readonly candidate: ExpertId;
  readonly version: string;
  readonly phase: RolloutPhase;
  /** null: its golden answers are enough. */
  readonly canary: Canary | null;
  /** Of its phase. */
  readonly sinceMs: number;
  /** Of probations in earlier processes. */
  readonly before: Progress;
  /** Rises by `canary.share` with each request, and falls by 1 with each that goes to the candidate. */
  readonly credit: number;
  readonly old: Tally;
  readonly fresh: Tally;
  /** Told to the catalog last. */
  readonly told: Progress;
  /** Why it was rolled back; null: it was not. */
  readonly why: Failure | null;
}
