/**
 * What the agent offers to its front doors (HTTP now, others later). The doors depend on this interface only;
 * `agent.ts` implements it over the loop.
 */
import type { Device } from './device.ts';
import type { Event } from './events.ts';
import type { Piece } from './generation.ts';
import type { Answer, Ask, Passage } from './ports.ts';
import type { RolloutPhase } from './rollout.ts';
import type {
  Choice,
  ExpertId,
  Failure,
  Guesses,
  Lane,
  LoadCost,
  Loading,
  Pressure,
  Residency,
  Step,
  Task,
  Want,
} from './types.ts';

export interface Service {
  /**
   * Puts a request through the loop and resolves with its one answer. Rejects with a Refusal. Aborting `signal` hangs
   * up.
   */
  ask(request: AskRequest, listeners: Listeners, signal: AbortSignal): Promise<Reply>;
  /** What the router would choose now; nothing is recorded, loaded or evicted. */
  route(message: SplitMessage): Promise<Choice>;
  command(
    command: 'load' | 'park' | 'unload' | 'pin' | 'unpin' | 'clear',
    expert: ExpertId,
  ): Promise<ExpertView>;
  experts(): readonly ExpertView[];
  /**
   * Reads the configuration and the experts' folders again, as SIGHUP does. Rejects with an AgentError, and changes
   * nothing, where they cannot be used.
   */
  reload(): Promise<void>;
  state(): StateView;
  /** Newest first. */
  decisions(query: DecisionQuery): readonly DecisionRow[];
  /** The whole story of one decision: what was asked, candidates, steps, loads and evictions, outcome. */
  explain(id: number): Explanation | null;
  health(): Health;
  /** Tells of every decision from now on, as it is carried out; returns what ends that. The listener must not throw. */
  subscribe(listener: (told: DecisionTold) => void): () => void;
}

/** A message as agent/words.ts takes it apart. */
export interface SplitMessage {
  readonly question: string;
  readonly focus: string;
}

/** A decision as it happens. */
export interface DecisionTold {
  readonly id: number;
  readonly atMs: number;
  readonly event: Event['type'];
  readonly reasons: readonly string[];
  readonly choice: Choice | null;
  readonly steps: readonly Step[];
}

export interface AskRequest {
  readonly want: Want;
  /** An installed expert's id, or null for `auto`. */
  readonly model: ExpertId | null;
  readonly ask: Ask;
  /** How long to wait for a load or a place; null takes the setting `loadWaitMs`. */
  readonly waitMs: number | null;
  /** How long the expert stays when it is idle afterwards: null takes the setting, -1 is for ever, 0 is not at all. */
  readonly keepAliveMs: number | null;
}

/** What a client may hear while the promise of its answer is pending. */
export interface Listeners {
  /** Comes before any text, and not at all where the request is refused before somebody was chosen for it. */
  readonly onChosen?: (chosen: Chosen) => void;
  /** Pieces of generated text. */
  readonly onDelta?: (piece: Piece) => void;
}

/** Who answers a request. */
export interface Chosen {
  /** Sequence number of the decision that chose: what `expertd explain` opens. */
  readonly decision: number;
  /** null: no expert is confident; `answer` is null too. */
  readonly expert: ExpertId | null;
  readonly confidence: number | null;
  /** Where the expert was when the request came. */
  readonly residency: 'resident' | 'parked' | 'absent' | null;
  /** Which router chose, or `named`. */
  readonly router?: string;
  /** Language of the request (BCP 47), where the router looked and could say. */
  readonly language?: string | null;
}

export interface Reply extends Chosen {
  readonly answer: Answer | null;
  readonly stages: Readonly<Record<string, number>>;
  /**
   * In what way the answer is less than it could be: `not-recorded`; `base-not-installed`, `base-loading`, `base-too-large`, `base-failed`
   * where an assistant's sources are the answer since its language model cannot speak.
   */
  readonly degraded?: string;
  /** What an assistant's language model spoke from. */
  readonly sources?: readonly Passage[];
}

/** Why a request was not answered. HTTP status by `failure.code`: see `http/errors.ts`. */
export interface Refusal {
  readonly failure: Failure;
  readonly decision: number | null;
  readonly retryAfterMs: number | null;
  readonly loading: Loading | null;
}

export interface ExpertView {
  readonly id: ExpertId;
  readonly version: string | null;
  readonly task: Task | null;
  /** Which kind of cell it runs in; missing or null while it is being fetched. */
  readonly lane?: Lane | null;
  readonly summary: string | null;
  /** BCP 47 tags of the requests it answers, `*` for any. */
  readonly languages?: readonly string[];
  readonly license: string | null;
  readonly source: string | null;
  /** By which way it came: added by hand, fetched for the configuration, or a folder among `expertsDir`. */
  readonly origin?: 'added' | 'fetched' | 'folder' | null;
  readonly state:
    | 'fetching'
    | 'failed'
    | 'absent'
    | 'loading'
    | 'resident'
    | 'parking'
    | 'parked'
    | 'unloading'
    | 'quarantined';
  readonly leases: number;
  readonly pinned: boolean;
  readonly cell: string | null;
  readonly memory: {
    readonly residentBytes: number;
    readonly loadBytes: number;
    readonly loadMs: number;
    readonly measured: boolean;
    /** Room for keys and values of a language model, reserved while it is in memory. */
    readonly cacheBytes?: number;
    /** Of that, what is kept for later requests now. */
    readonly keptBytes?: number;
    /** What stayed in memory when it was parked last; null: it never was. */
    readonly parkedBytes?: number | null;
    /** Why it cannot be parked. */
    readonly notParkable?: string | null;
    /** While it is parked, what of it would come from the disk; null: it is not parked. */
    readonly coldBytes?: number | null;
    /** Reserved beyond what was measured, since the kernel killed its cell for want of memory. */
    readonly marginBytes?: number;
  } | null;
  /** When it is unloaded if nobody asks for it again; null: never, or it is not in memory. */
  readonly idleUntilMs?: number | null;
  /** The language model that speaks for it, or would: null where it answers itself. */
  readonly base?: ExpertId | null;
  /** What was made of its files on this device, and why something was not; null before its first load. */
  readonly prepared?: { readonly state: 'prepared' | 'plain'; readonly reasons: readonly string[] } | null;
  /** Size, digest and quality of its files; null while it is not installed. */
  readonly files?: {
    readonly bytes: number;
    readonly digest: string;
    readonly precision: string;
    /** Most tokens that it takes here, its answer included; null where it does not count them. */
    readonly contextTokens: number | null;
  } | null;
  /** The version that is to take its place, or was; missing or null: there was none since the start. */
  readonly rollout?: RolloutView | null;
  readonly lastUsedMs: number | null;
  readonly uses: number;
  /** Why it cannot be used, or why its last load failed. */
  readonly error: Failure | null;
  readonly progress: number | null;
  /** Inputs and outputs of its graph by name, each as `float32[batch,384]`; null while it is not installed. */
  readonly graph: {
    readonly inputs: Readonly<Record<string, string>>;
    readonly outputs: Readonly<Record<string, string>>;
  } | null;
}

/** A new version of an expert that comes, proves itself beside the old one, or has. */
export interface RolloutView {
  readonly version: string | null;
  /** `failed`: it does not come; it is tried again. */
  readonly phase: 'fetching' | 'failed' | RolloutPhase;
  /** While it is fetched, 0 to 1; null where that is not known. */
  readonly progress: number | null;
  /** Of the requests, during a probation; null: its golden answers are enough. */
  readonly share: number | null;
  /** Requests that it answered, and those that it failed and the old version answered. */
  readonly answered: number;
  readonly failed: number;
  /** Where the candidate is; null: it has left. */
  readonly state: Residency['state'] | null;
  /** Why it was rolled back, or does not come; null: neither. */
  readonly error: Failure | null;
}

export interface StateView {
  readonly budgetBytes: number;
  /** What the ledger counts against the budget: agent, cells, experts, loads under way. */
  readonly committedBytes: number;
  /** What was measured last: PSS of the agent and of its cells. */
  readonly measuredBytes: number | null;
  readonly agentBytes: number | null;
  readonly availableBytes: number | null;
  readonly pressure: Pressure;
  /** What was seen last of heat, power and all else; null or missing before the first look. */
  readonly device?: Device | null;
  /** By how much heat, throttling or a low battery raise the cost of a load now. */
  readonly loadCost?: LoadCost;
  readonly admission: 'open' | 'closed';
  readonly cells: readonly {
    readonly id: string;
    readonly lane: string;
    readonly pid: number | null;
    /** What it is charged with: measured or known, whichever is more, and what is reserved. */
    readonly bytes: number;
    /** PSS at the last look, and of that what is backed by files and clean; null is "no data". */
    readonly measuredBytes: number | null;
    readonly fileBytes: number | null;
    /** What it should measure at rest, by what its experts are known to take. */
    readonly expectedBytes: number;
    readonly experts: readonly ExpertId[];
    readonly leases: number;
  }[];
  readonly waiting: number;
  readonly running: number;
  readonly policies: {
    readonly router: readonly string[];
    readonly residency: string;
    readonly combiner: string;
  };
  readonly log: LogHealth;
  /** Since the agent started. */
  readonly counts?: {
    readonly loads: number;
    readonly loadFailures: number;
    readonly evictions: number;
    readonly cellExits: number;
  };
  /** What became of loads that nobody had asked for, since the agent started. */
  readonly prefetch?: Guesses;
  /** null or missing: it is in no fleet. */
  readonly fleet?: FleetView | null;
}

/** How the device stands with its fleet. */
export interface FleetView {
  /** What it is called there. */
  readonly device: string;
  /** Where the broker is, without user and password. */
  readonly broker: string;
  /** Connected, and told to the fleet. */
  readonly isUp: boolean;
  /** Why there is no link; null while there is one, and before the first attempt has ended. */
  readonly reason: Failure | null;
  /** What becomes of records. `offline`: there is no link; `paused`: no collector is there. */
  readonly delivery: 'offline' | 'paused' | 'idle' | 'sending';
  /** Records that are safe on the disk, and that no collector has acknowledged. */
  readonly recordsWaiting: number;
  /** Of documents: the newest generation that was admitted, and the one that is in use whole; 0: none. */
  readonly genSeen: number;
  readonly genApplied: number;
  readonly phase: string;
  /** Messages that were not followed, by reason, since the agent started. */
  readonly refused: Readonly<Record<string, number>>;
}

export interface LogHealth {
  /** `degraded`: the database cannot be written; decisions go on and are not recorded. */
  readonly state: 'ok' | 'degraded';
  readonly reason: string | null;
  readonly lastSequence: number;
  readonly syncedSequence: number;
  /** Entries that could not be recorded. */
  readonly dropped: number;
}

export interface Health {
  readonly live: boolean;
  /** Can answer now: the catalog was read and the loop turns. */
  readonly ready: boolean;
  readonly version: string;
  readonly uptimeMs: number;
  readonly problems: readonly Failure[];
}

export interface DecisionQuery {
  readonly limit: number;
  /** Only those before this sequence number. */
  readonly before: number | null;
  readonly expert: ExpertId | null;
}

/** One decision that chose, in a list. */
export interface DecisionRow {
  readonly id: number;
  readonly atMs: number;
  readonly request: string | null;
  readonly expert: ExpertId | null;
  readonly confidence: number | null;
  readonly router: string | null;
  readonly reasons: readonly string[];
  readonly ok: boolean | null;
  readonly totalMs: number | null;
}

export interface Explanation {
  readonly decision: DecisionRow;
  readonly asked: {
    readonly sha256: string;
    readonly chars: number;
    readonly language: string | null;
    readonly text: string | null;
  } | null;
  readonly choice: Choice | null;
  readonly policies: StateView['policies'] | null;
  readonly residencyBefore: Readonly<Record<ExpertId, string>> | null;
  readonly residencyAfter: Readonly<Record<ExpertId, string>> | null;
  readonly memory: {
    readonly budgetBytes: number;
    readonly committedBytes: number;
    readonly availableBytes: number | null;
    readonly pressure: string;
    /** Missing in rows that were written before the device's heat was. */
    readonly temperatureCelsius?: number | null;
    /** What the firmware held back at that moment; null where it does not tell. */
    readonly throttled?: readonly string[] | null;
    /** By how much the cost of a load was raised; 1 on a cool device. */
    readonly loadCost?: number;
  } | null;
  /** Everything decided for this request or for its expert between request and outcome, oldest first. */
  readonly timeline: readonly {
    readonly id: number;
    readonly atMs: number;
    readonly event: string;
    readonly reasons: readonly string[];
    readonly steps: readonly string[];
  }[];
  readonly outcome: {
    readonly ok: boolean;
    readonly failure: Failure | null;
    readonly stages: Readonly<Record<string, number>>;
    readonly predictedLoadMs: number | null;
    readonly loadMs: number | null;
  } | null;
}
