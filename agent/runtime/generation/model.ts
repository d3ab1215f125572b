/** A language model as generating sees it: sequences of tokens, and the logits that follow them. No code. */

export interface Model {
  /** Number of logits a token. */
  readonly vocabulary: number;
  /** Bytes of keys and values that one token of a sequence keeps. */
  readonly bytesPerToken: number;
  /** Bytes that a sequence takes by the time it holds so many tokens, with what it allocates ahead. Never falls. */
  bytesFor(tokens: number): number;
  /** A sequence without tokens. */
  begin(): Sequence;
  /** Ends it with all its sequences. */
  release(): Promise<void>;
}

/** Tokens that went through the graph, and what it remembers of them. One call at a time. */
export interface Sequence {
  /** Number of tokens whose keys and values it holds. */
  readonly tokens: number;
  /** Bytes that those take in memory. */
  readonly bytes: number;
  /** Appends tokens whose logits nobody needs. Several tokens go through the graph at once. */
  append(ids: readonly number[]): Promise<void>;
  /** Appends at least one token; the logits after the last of them, good until the next call. */
  predict(ids: readonly number[]): Promise<Float32Array>;
  /** Forgets what comes after the first `tokens` tokens. */
  truncate(tokens: number): void;
  /** Another sequence that begins with the first `tokens` tokens of this one. */
  fork(tokens: number): Sequence;
  /** Gives its memory back; it is of no use after that. */
  release(): void;
}
