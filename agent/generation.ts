/** How text is asked for, and how it comes: the words that clients, agent and cells share. No adapter's own. */

/** What is asked of a language model beside the text. null: as the makers of the model say. */
export interface Generation {
  /** Most tokens of the answer; null: what the context leaves. */
  readonly maxTokens: number | null;
  /** 0 takes the likeliest token. */
  readonly temperature: number | null;
  /** Only the likeliest tokens that together reach this probability. */
  readonly topP: number | null;
  /** Only so many of the likeliest tokens; 0 is all. */
  readonly topK: number | null;
  /** Only tokens of at least this share of the likeliest one's probability. */
  readonly minP: number | null;
  /** Taken from a token's logit for every time that it was said (OpenAI). */
  readonly frequencyPenalty: number | null;
  /** Taken from a token's logit once it was said (OpenAI). */
  readonly presencePenalty: number | null;
  /** Divides positive and multiplies negative logits of tokens of the prompt and the answer (CTRL); 1 does nothing. */
  readonly repeatPenalty: number | null;
  /** The same request with the same seed gives the same text on the same machine. */
  readonly seed: number | null;
  readonly stop: readonly string[];
  /** Added to the logits of tokens, -100 to 100. */
  readonly logitBias: readonly (readonly [token: number, bias: number])[];
  /** Log probabilities of what is said, with so many alternatives each (0 to 20); null: none. */
  readonly logprobs: number | null;
  readonly format: TextFormat;
  /** What becomes of a prompt that is longer than the context: an error with the numbers, or its oldest part is cut. */
  readonly overflow: 'refuse' | 'truncate';
}

/** What every answer must parse as. `schema` is the text of a JSON Schema. */
export type TextFormat =
  | { readonly kind: 'text' }
  | { readonly kind: 'json-object' }
  | { readonly kind: 'json-schema'; readonly schema: string };

/** Everything as the makers of the model say. */
export const AS_MADE: Generation = {
  maxTokens: null,
  temperature: null,
  topP: null,
  topK: null,
  minP: null,
  frequencyPenalty: null,
  presencePenalty: null,
  repeatPenalty: null,
  seed: null,
  stop: [],
  logitBias: [],
  logprobs: null,
  format: { kind: 'text' },
  overflow: 'refuse',
};

/** A token and how likely it was, before temperature and the like. */
export interface TokenChance {
  readonly id: number;
  /** What it says; U+FFFD stands for bytes that are no whole character. */
  readonly text: string;
  readonly bytes: Uint8Array;
  /** Natural logarithm of its probability, at most 0; at least -9,999. */
  readonly logprob: number;
}

/** A token that was said, with the likeliest alternatives, best first. */
export interface SaidToken extends TokenChance {
  readonly top: readonly TokenChance[];
}

/** A piece of an answer. */
export interface Piece {
  readonly text: string;
  /** The tokens that the text ends with; empty unless log probabilities were asked for. */
  readonly tokens: readonly SaidToken[];
}
