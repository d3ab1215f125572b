/** What a generated text must be. No code; see `agent/runtime/grammar/`. */
import type { TextFormat } from '../../generation.ts';

/** One text that follows a grammar, token by token. */
export interface Constraint {
  /**
   * One bit a token, 32 a word, lowest bit first: those that may come next; null: all. `left` is how many tokens may
   * still be said: as it runs out, only those are allowed that lead to a complete text in time, where there is a way.
   * Good until the next call.
   */
  allowed(left: number): Int32Array | null;
  /** A token was said. Throws a RangeError for one that was not allowed. */
  accept(id: number): void;
  /** The text is complete and nothing can follow but an end. */
  readonly complete: boolean;
  release(): void;
}

export interface Grammar {
  /** Rejects with AgentError `bad_input` for a schema that cannot be kept, naming what it cannot. */
  constrain(format: Exclude<TextFormat, { kind: 'text' }>): Promise<Constraint>;
  release(): void;
}
