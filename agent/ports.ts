/** The interfaces that the core needs of the world. Adapters implement them; fakes and real ones pass one contract. */

import type { Event, LoadReport, ParkedWeights } from './events.ts';
import type { Generation, Piece, SaidToken } from './generation.ts';
import type {
  CellId,
  Decision,
  ExpertId,
  Lane,
  LeaseId,
  MemoryProfile,
  Sample,
  State,
  Step,
} from './types.ts';

/** One clock that never goes back: Unix time at the start of the process plus monotonic time since, in ms. */
export interface Clock {
  nowMs(): number;
  /** Calls once, at or after `atMs`; returns what takes it back. */
  at(atMs: number, callback: () => void): () => void;
}

// ---- work for an expert ---------------------------------------------------------------------------------------

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** What an expert is asked. Stays in memory between the client and the cell; never logged, never in an event. */
export type Ask =
  | {
      readonly kind: 'chat';
      readonly messages: readonly ChatMessage[];
      /** The last user message without what it quotes: the question. */
      readonly question: string;
      /** The quoted or fenced part of the last user message if there is one, else the whole message. */
      readonly focus: string;
      /** Embedding of `question` in the router's embedder, when it was computed. */
      readonly embedding: Float32Array | null;
      /** Text to continue as it is, past the chat template; `messages` is empty then. */
      readonly raw: string | null;
      readonly generation: Generation;
    }
  | { readonly kind: 'embeddings'; readonly texts: readonly string[] }
  /** `outputs` are the names to answer with, in their order; null is all that the manifest declares. */
  | {
      readonly kind: 'tensors';
      readonly inputs: readonly NamedTensor[];
      readonly outputs: readonly string[] | null;
    };

/** Element types of tensors, in ONNX Runtime's words. */
export type ElementType =
  | 'bool'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'float16'
  | 'float32'
  | 'float64'
  | 'string';

/** `bool` is bytes of 0 and 1, `float16` the bits of each number; everything else is the array of its name. */
export type Elements =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array
  | readonly string[];

export interface NamedTensor {
  readonly name: string;
  readonly type: ElementType;
  /** Its sizes multiply to the number of elements; none is one element. */
  readonly shape: readonly number[];
  /** Row by row: the last dimension changes fastest. */
  readonly data: Elements;
}

export interface Label {
  readonly label: string;
  /** Probability, 0 to 1. */
  readonly score: number;
}

export interface Passage {
  readonly title: string;
  readonly text: string;
  readonly source: string;
  /** 0 to 1. */
  readonly score: number;
}

/** What an expert says. Adapters of protocols put it into words. */
export type Answer =
  | { readonly kind: 'labels'; readonly labels: readonly Label[]; readonly inputTokens: number }
  | { readonly kind: 'passages'; readonly passages: readonly Passage[]; readonly inputTokens: number }
  | {
      readonly kind: 'text';
      readonly text: string;
      readonly finish: 'stop' | 'length' | 'cancelled';
      readonly inputTokens: number;
      readonly outputTokens: number;
      /** Of the input tokens, those whose keys and values were still there from an earlier request. */
      readonly cachedTokens: number;
      /** All tokens of the text; empty unless log probabilities were asked for. */
      readonly tokens: readonly SaidToken[];
    }
  /** One unit vector a text. */
  | { readonly kind: 'embeddings'; readonly vectors: readonly Float32Array[]; readonly inputTokens: number }
  /** `inputTokens` is 0: tensors have none. */
  | { readonly kind: 'tensors'; readonly outputs: readonly NamedTensor[]; readonly inputTokens: number };

export interface RunReport {
  readonly answer: Answer;
  /** Time of each stage in ms, as the cell measured it: `queue`, `tokenize`, `run`; `prefill` and `decode` of text;
   * `resume` where weights had to be brought back. */
  readonly stages: Readonly<Record<string, number>>;
  /** Bytes that the expert keeps for later requests (keys and values of what was said) and could give back. */
  readonly keptBytes: number;
}

/** Child processes that host experts. All promises reject with an AgentError. */
export interface Runtime {
  /** Loads an expert in a cell, which is started if it is not up; one that is parked there is read into the page cache. */
  load(cell: CellId, lane: Lane, expert: ExpertId): Promise<LoadReport>;
  /**
   * Releases an expert; or only its weights, which come back when it runs (parking); or only what it keeps for later.
   * Rejects with `not_parkable`, which changes nothing.
   */
  unload(cell: CellId, expert: ExpertId, part: Part): Promise<Unloaded>;
  /** Runs one lease. `onDelta` gets pieces of text as they come (generation only). */
  run(call: RunCall, onDelta: (piece: Piece) => void): Promise<RunReport>;
  /** Asks a run to end early; its promise still settles. */
  cancel(cell: CellId, lease: LeaseId): void;
  /** Ends a cell: politely, or at once; its exit is reported. False where there is no such cell, and nothing to report. */
  stop(cell: CellId, kill: boolean): boolean;
  /** The running cells' process ids, for the monitor. */
  pids(): ReadonlyMap<CellId, number>;
}

/** How it is right after. null is "no data". */
export interface Unloaded {
  /** PSS of the cell. */
  readonly cellBytes: number | null;
  /** Of a parked expert. */
  readonly weights: ParkedWeights | null;
}

/** What of an expert is given back; `pages`: what the page cache holds of a parked one. */
export type Part = 'all' | 'weights' | 'kept' | 'pages';

export interface RunCall {
  readonly cell: CellId;
  readonly lease: LeaseId;
  readonly expert: ExpertId;
  readonly ask: Ask;
}

/** Told when a cell's process has ended, however it did; `oomKilled`: by the kernel, for want of memory. */
export type OnCellExit = (cell: CellId, cause: string, oomKilled: boolean) => void;

/** Told when it changed notably how much of a parked expert comes from the page cache, and how much from the disk. */
export type OnCached = (cell: CellId, expert: ExpertId, cached: Cached) => void;

export interface Cached {
  /** What will be needed of it. */
  readonly bytes: number;
  /** Of that, what is not in the page cache. */
  readonly coldBytes: number;
}

// ---- the record -----------------------------------------------------------------------------------------------

/** One event and what was decided on it, as the loop hands it over. */
export interface LogEntry {
  /** The state that `decide` was given; `decision.state` is the one after. */
  readonly before: State;
  readonly event: Event;
  readonly decision: Decision;
  /** Only for `request` events. */
  readonly asked: Asked | null;
}

/** What is kept of the text of a request. */
export interface Asked {
  readonly sha256: string;
  readonly chars: number;
  /** Only where `log.text` is on. */
  readonly text: string | null;
}

/** The log of decisions. `append` commits before it returns (survives kill -9); `synced` says what survives a power cut. */
export interface Log {
  /** Appends in one transaction; returns the sequence number of each entry. */
  append(entries: readonly LogEntry[]): readonly number[];
  /** Highest sequence number that is on the disk for certain. */
  synced(): number;
}

/** What is remembered of experts across restarts. */
export interface Memory {
  profile(digest: string): MemoryProfile | null;
  keepProfile(digest: string, profile: MemoryProfile): void;
  prototypes(digest: string, embedderDigest: string): readonly Int8Array[] | null;
  keepPrototypes(digest: string, embedderDigest: string, prototypes: readonly Int8Array[]): void;
  /** The experts that were chosen last, up to `limit` of them, oldest first. */
  recentExperts(limit: number): readonly ExpertId[];
}

// ---- experts on the disk --------------------------------------------------------------------------------------

export interface Catalog {
  /**
   * Checks size and sha256 of every file, once a process and again where one was touched; rejects with an AgentError that names the file, and with a
   * retryable one where the package that is here now is not the one of this digest.
   */
  verify(expert: ExpertId, digest: string): Promise<void>;
  /**
   * Makes what loads faster than the package's own files, once a device, or as much of it as `limitMs` allow: nothing of
   * it goes on afterwards. Never rejects: an expert loads without it.
   */
  prepare(expert: ExpertId, limitMs: number): Promise<void>;
  /** The example requests of an expert, for the router to learn. */
  examples(expert: ExpertId): readonly string[];
  /**
   * The candidate is about to be loaded: counted on the disk first, so that one whose load ends the agent or the device
   * is not loaded for ever. For any other expert it does nothing. Throws what the system says.
   */
  beginAttempt(expert: ExpertId): void;
  /**
   * How far a rollout has come. On the disk when this returns, where that can be; what follows from it is told by events:
   * after `committed` the candidate leaves and its version is installed as the expert's, after `rolledBack` it leaves.
   */
  rollout(step: Extract<Step, { type: 'rollout' }>): void;
  /** What the maker of an expert saw it answer. */
  golden(expert: ExpertId): readonly { readonly input: string; readonly output: unknown }[];
  /** What an assistant tells its base before the conversation; null for what is no assistant. */
  systemPrompt(expert: ExpertId): string | null;
}

export interface Monitor {
  sample(): Sample;
}
