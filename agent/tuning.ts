/** The numbers and names that steer `decide`. Part of the log, so that a replay knows them. No code. */

export interface PerLane {
  readonly fast: number;
  readonly heavy: number;
}

/** Numbers that steer `decide`; part of the log, so that a replay knows them. */
export interface Settings {
  readonly budgetBytes: number;
  /** The expert that turns requests into vectors, if the router uses one. */
  readonly embedder: string | null;
  /** The expert that names the language of a request, if the router minds it. */
  readonly languageDetector: string | null;
  /** Takes what no specialist claims. */
  readonly generalist: string | null;
  readonly loadWaitMs: number;
  readonly loadDeadlineMs: number;
  readonly runDeadlineMs: PerLane;
  readonly cancelGraceMs: number;
  readonly idleMs: number;
  readonly cellIdleMs: number;
  /** Experts are parked before they are unloaded, where that can be done. */
  readonly parking: boolean;
  /** What is likely to be needed next is loaded while there is room for it. */
  readonly prefetch: boolean;
  /** How long a request may wait for an expert while others, which are in memory, go on answering. */
  readonly swapDelayMs: number;
  readonly maxQueue: number;
  readonly maxCells: PerLane;
  /** Leases at once in one cell. */
  readonly cellConcurrency: PerLane;
  /** What a new cell is taken to cost before the first one was measured. */
  readonly cellBaseBytes: number;
  readonly availableLowBytes: number;
  readonly psiSomeHigh: number;
  readonly psiFullHigh: number;
  readonly crashLimit: number;
  readonly crashWindowMs: number;
  readonly backoffMs: number;
  /** Below this score no expert is chosen. */
  readonly minScore: number;
  /** A resident expert wins over an absent one that is better by less than this. */
  readonly tieMargin: number;
}

/** Policies by name. */
export interface PolicyNames {
  readonly router: readonly string[];
  readonly residency: string;
  readonly combiner: string;
}
