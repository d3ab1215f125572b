/**
 * The words of expertd. No code: everybody imports this file, and it imports words only.
 *
 * A *decision is a value*: `decide(state, event, policy)` turns what is known and what happened into reasons, steps
 * and the next state. Times are milliseconds of one clock that never goes back (see `Clock` in ports.ts).
 * Text never appears here: requests come as features, so that the log of events can be kept and replayed.
 * What a policy is stands in policy.ts, the numbers that steer `decide` in tuning.ts.
 */
import type { LoadCost, Pressure, Sample } from './device.ts';
import type { Rollout } from './rollout.ts';
import type { Loading, Step } from './steps.ts';
import type { CellId, ExpertId, Failure, Lane, LeaseId, RequestId } from './terms.ts';
import type { Settings } from './tuning.ts';

export type { CellId, ExpertId, Failure, Lane, LeaseId, RequestId };

export type Task =
  | 'feature-extraction'
  | 'text-classification'
  | 'token-classification'
  | 'retrieval'
  | 'text-generation'
  | 'tensor';
/**
 * What a client wants of an expert: `embeddings` of `feature-extraction`, `tensors` of `tensor`, `chat` of the rest;
 * `load` of any: that it is in memory.
 */
export type Want = 'chat' | 'embeddings' | 'tensors' | 'load';

// ---- experts ------------------------------------------------------------------------------------------------

/** What loading an expert costs. A conservative bound before its first load, its measured profile afterwards. */
export interface MemoryProfile {
  /** Bytes that stay while it is resident. */
  readonly residentBytes: number;
  /** Highest bytes while it loads; never less than `residentBytes`. */
  readonly loadBytes: number;
  readonly loadMs: number;
  readonly measured: boolean;
}

/** A rule over hashed phrases: any of `any`, all of `all`, none of `not`. */
export interface Rule {
  readonly any: readonly number[];
  readonly all: readonly number[];
  readonly not: readonly number[];
  /** Only for requests about code, or only for others; null minds neither. */
  readonly code: boolean | null;
}

/** What the router may know of an expert. */
export interface RoutingFacts {
  readonly languages: readonly string[];
  readonly rules: readonly Rule[];
  /** Sorted hashes of the words that belong to it. */
  readonly vocabulary: Uint32Array;
  /** Unit vectors of its example requests times 127; null until an embedder has seen them. */
  readonly prototypes: readonly Int8Array[] | null;
}

/** An installed expert, as `decide` knows it. */
export interface Expert {
  readonly id: ExpertId;
  readonly version: string;
  /** sha256 of its manifest: the content's identity, since the manifest holds the sha256 of every file. */
  readonly digest: string;
  readonly task: Task;
  readonly lane: Lane;
  readonly isolation: 'shared' | 'own';
  readonly memory: MemoryProfile;
  /** Size of its weights on the disk: it cannot take less. */
  readonly weightBytes: number;
  /** Most bytes of keys and values of a language model: reserved for as long as it is in memory. */
  readonly cacheBytes: number;
  /** Reserved beyond all that was measured: the kernel killed its cell for want of memory. */
  readonly marginBytes: number;
  /** Its weights are worth parking, where the device can do that. */
  readonly parkable: boolean;
  /** Answers in its place where memory is short, and says so; null: nobody does. */
  readonly fallback: ExpertId | null;
  /** Its input holds the request's embedding: the embedder runs first, if it is resident. */
  readonly needsEmbedding: boolean;
  /** It finds the sources, and another expert speaks: `base`, or the generalist where that is null. */
  readonly assistant: { readonly base: ExpertId | null } | null;
  readonly pinned: boolean;
  /** It is a new version of this expert, which proves itself beside it: nobody may ask for it by its name. */
  readonly candidateOf: ExpertId | null;
  readonly routing: RoutingFacts;
}

/** Where an expert is. `leased` is not a state of its own: it is resident with leases. */
export type Residency =
  | { readonly state: 'absent' }
  | ({ readonly state: 'loading' } & InCell)
  | { readonly state: 'resident'; readonly cell: CellId; readonly sinceMs: number }
  | ({ readonly state: 'parking' } & InCell)
  /** Its sessions stay built; its weights have left memory, and come back from the page cache as they are touched. */
  | { readonly state: 'parked'; readonly cell: CellId; readonly sinceMs: number }
  /** `heldBytes` stay charged until it is gone. */
  | ({ readonly state: 'unloading'; readonly heldBytes: number } & InCell)
  | { readonly state: 'quarantined'; readonly reason: string; readonly sinceMs: number };

interface InCell {
  readonly cell: CellId;
  readonly sinceMs: number;
  readonly deadlineMs: number;
}

/** One row of the residency table. */
export interface Entry {
  readonly expert: Expert;
  readonly residency: Residency;
  readonly lastUsedMs: number;
  readonly uses: number;
  /** Value of `State.evictionAge` at the last use (GreedyDual's inflation). */
  readonly ageAtUse: number;
  /** Times of the crashes that count against it; an old one falls out. */
  readonly crashesMs: readonly number[];
  /** No load starts before this: back-off after a failed load or a crash. */
  readonly notBeforeMs: number;
  /** Why the last load failed, until one succeeds. */
  readonly lastError: Failure | null;
  /** Somebody asked for it by hand: it is loaded without a waiter. */
  readonly wanted: boolean;
  /** Unloaded by hand: it comes back for a request or by hand, not because it is pinned or the router's embedder. */
  readonly dismissed: boolean;
  /** What happens to it as soon as it holds no lease. */
  readonly fate: Fate | null;
  /** How long its last client wants it kept when idle: null takes the setting, -1 is for ever. */
  readonly keepAliveMs: number | null;
  /** Bytes that it keeps for later requests and could give back. */
  readonly keptBytes: number;
  /** What stayed in memory when it was parked last; null: it never was. */
  readonly parkedBytes: number | null;
  /** While it is parked: what of it is not in the page cache, as far as its cell has told. */
  readonly coldBytes: number;
  /** Loaded because it was likely to be needed next, and not asked for since. */
  readonly guessed: boolean;
  /** Why it cannot be parked; null while nothing is known against it. */
  readonly parkFailure: Failure | null;
}

export type Fate =
  | { readonly kind: 'unload' }
  | { readonly kind: 'park' }
  /** What it says is not to be trusted any more. */
  | { readonly kind: 'discard' }
  | { readonly kind: 'remove' }
  | { readonly kind: 'replace'; readonly by: Expert };

// ---- cells, leases, requests ----------------------------------------------------------------------------------

export interface Cell {
  readonly id: CellId;
  readonly lane: Lane;
  /** Hosts this expert alone (`isolation: own`). */
  readonly only: ExpertId | null;
  /** PSS of the process without an expert: learned at its first load, a bound before. */
  readonly baseBytes: number;
  /** Last PSS that was read while nothing loaded in it. */
  readonly measuredBytes: number;
  /** Takes no new lease: an expert waits to be loaded here. */
  readonly draining: boolean;
  readonly stopping: boolean;
  /** Since when it hosts nothing; null while it does. */
  readonly emptySinceMs: number | null;
  /** What it was seen to hold at rest beyond its experts: what runs and unloads left behind. */
  readonly residueBytes: number;
  /** Of `measuredBytes`, what the kernel may drop by itself; null is "no data". */
  readonly fileBytes: number | null;
}

/** The right to run on an expert. A leased expert is never evicted; every lease has a deadline. */
export interface Lease {
  readonly id: LeaseId;
  /**
   * `learn` and `test` have no request: `learn` embeds the examples of the expert `subject`, `test` asks a candidate for its
   * golden answers, or with a `subject` embeds what that candidate is asked.
   */
  readonly purpose: 'answer' | 'embed' | 'retrieve' | 'learn' | 'test';
  readonly expert: ExpertId;
  readonly cell: CellId;
  readonly request: RequestId | null;
  readonly subject: ExpertId | null;
  readonly sinceMs: number;
  readonly deadlineMs: number;
  /** Its client is gone or its deadline has passed: the cell dies if it does not end by `deadlineMs`. */
  readonly cancelled: boolean;
}

/** What is known of a request's content. */
export interface Features {
  /** Sorted, unique FNV-1a hashes of the words, pairs and triples of words of the question (not of what it quotes). */
  readonly terms: Uint32Array;
  /** Those of `terms` that are single words; the rest of `terms` are phrases. */
  readonly words: Uint32Array;
  readonly chars: number;
  /** What it is about looks like source code: a fenced block, or many brackets and operators. */
  readonly code: boolean;
  /** BCP 47, or null for "no data". */
  readonly language: string | null;
  /** Unit vector times 127; null while no embedder answered. */
  readonly embedding: Int8Array | null;
}

export interface Request {
  readonly id: RequestId;
  readonly want: Want;
  /** An expert's id, or null for `auto`. */
  readonly model: ExpertId | null;
  readonly features: Features;
  readonly sinceMs: number;
  /** Waits for a load or a place until then. */
  readonly waitUntilMs: number;
  /** 0 at first, 1 after its cell died under it: it is retried once. */
  readonly attempt: number;
  /** The embedder was asked, or there is none: what is known now is all there will be. */
  readonly embeddingTried: boolean;
  readonly keepAliveMs: number | null;
  /** The assistant that found sources, and whose answer its base is to speak. */
  readonly assistant: ExpertId | null;
  /** Why the answer will be less than it could be; null where it is not. */
  readonly degraded: string | null;
  /** A candidate is to answer it in the place of this expert, which answers it if the candidate does not. */
  readonly insteadOf: ExpertId | null;
  /** The candidate that did not. */
  readonly failedBy: ExpertId | null;
  readonly phase: Phase;
}

/** `embed` comes first for what is routed, or answered, by meaning; `retrieve` before an assistant's base answers. */
export type Phase =
  | { readonly name: 'waiting'; readonly purpose: 'embed' | 'retrieve' | 'answer'; readonly expert: ExpertId }
  | { readonly name: 'leased'; readonly lease: LeaseId };

// ---- what the monitor sees ------------------------------------------------------------------------------------

export type { LoadCost, Pressure, Rollout, Sample };

// ---- state ----------------------------------------------------------------------------------------------------

/** All that `decide` knows. A value: `decide` returns the next one and never changes this one. */
export interface State {
  readonly nowMs: number;
  readonly settings: Settings;
  readonly experts: ReadonlyMap<ExpertId, Entry>;
  /** Named by the configuration, not installed: being fetched, or failed. */
  readonly pending: ReadonlyMap<ExpertId, Pending>;
  readonly cells: ReadonlyMap<CellId, Cell>;
  readonly leases: ReadonlyMap<LeaseId, Lease>;
  readonly requests: ReadonlyMap<RequestId, Request>;
  readonly agentBytes: number;
  readonly sample: Sample | null;
  readonly pressure: Pressure;
  readonly loadCost: LoadCost;
  /** Loads that nobody waits for rest until then: a cell ended while it had nothing to do, as if it had been killed. */
  readonly restUntilMs: number;
  /** Rises to the value of what is evicted (GreedyDual-Size-Frequency's L). */
  readonly evictionAge: number;
  /** By the expert whose place is to be taken. */
  readonly rollouts: ReadonlyMap<ExpertId, Rollout>;
  readonly habits: Habits;
  readonly guesses: Guesses;
  readonly nextCell: number;
  readonly nextLease: LeaseId;
}

/** Which expert follows which: what is likely to be needed next. */
export interface Habits {
  /** Chosen last; null: none yet. */
  readonly last: ExpertId | null;
  /** How often, of late, an expert came after another: `after.get(first)?.get(next)`. Older times count for less. */
  readonly after: ReadonlyMap<ExpertId, ReadonlyMap<ExpertId, number>>;
  /** A guess at what comes after `last` is still to be made. */
  readonly isOpen: boolean;
}

/** What became of loads that nobody had asked for. */
export interface Guesses {
  readonly loads: number;
  readonly hits: number;
  /** Loaded, and left again without having been asked. */
  readonly wastedBytes: number;
}

export interface Pending {
  readonly version: string | null;
  readonly state: 'fetching' | 'failed';
  readonly doneBytes: number;
  readonly totalBytes: number | null;
  readonly error: Failure | null;
}

// ---- steps out ------------------------------------------------------------------------------------------------

export type { Loading, Step };

// ---- decisions ------------------------------------------------------------------------------------------------

/** One expert as the router saw it. */
export interface Candidate {
  readonly expert: ExpertId;
  /** Higher is better; comparable within one router only. */
  readonly score: number;
  /** 0 to 1. */
  readonly confidence: number;
  readonly why: string;
}

export interface Choice {
  readonly request: RequestId;
  /** null: abstained. */
  readonly expert: ExpertId | null;
  readonly confidence: number | null;
  readonly candidates: readonly Candidate[];
  /** Which router decided, or `named`. */
  readonly router: string;
  /** BCP 47, or null for "no data". */
  readonly language: string | null;
  readonly predictedLoadMs: number;
  /** Where the expert was; null where none was chosen. */
  readonly residency: 'resident' | 'parked' | 'absent' | null;
}

export interface Decision {
  /** Sentences, in the order in which things were decided. */
  readonly reasons: readonly string[];
  /** The choices of experts that this decision made: none or one. */
  readonly choice: Choice | null;
  readonly steps: readonly Step[];
  readonly state: State;
}
