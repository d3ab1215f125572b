/**
 * What a compiled tokenizer does beside its tables of tokens and merges, as its file holds it (JSON). No code.
 * Where a text is matched, the expression is a source for JavaScript's flag `u`, with every property spelt out.
 */

export interface Settings {
  readonly model: ModelSettings;
  readonly normalize: readonly NormalizeStep[];
  readonly split: readonly SplitStep[];
  readonly decode: readonly DecodeStep[];
  /** Ids around a text with special tokens. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly added: readonly AddedToken[];
  /** Matches a letter of a word, if there is an added token that must be a whole one. */
  readonly word: string;
  /** Matches white space. */
  readonly space: string;
}

export type ModelSettings =
  | {
      readonly kind: 'bpe';
      /** Tokens are bytes; else they are characters. */
      readonly bytes: boolean;
      /** The unknown token; null: what has no token is left out. */
      readonly unknown: number | null;
      /** Unknown characters in a row are one unknown token. */
      readonly fuseUnknown: boolean;
      /** A character without a token becomes its bytes, `<0x0A>`. */
      readonly byteFallback: boolean;
    }
  | {
      readonly kind: 'wordpiece';
      readonly unknown: number;
      /** What the tokens inside a word begin with. */
      readonly prefix: string;
      /** Longer words are unknown. */
      readonly maxChars: number;
    };

export type NormalForm = 'NFC' | 'NFD' | 'NFKC' | 'NFKD';

export type NormalizeStep =
  /** `unassigned` matches what the form leaves as it is, whatever Unicode says of it today. */
  | { readonly kind: 'form'; readonly form: NormalForm; readonly unassigned: string }
  /** `pattern` matches single characters that have a lower case. */
  | { readonly kind: 'lowercase'; readonly pattern: string }
  | { readonly kind: 'strip'; readonly left: boolean; readonly right: boolean }
  | { readonly kind: 'prepend'; readonly text: string }
  | {
      readonly kind: 'replace';
      readonly pattern: string;
      /** It takes the place of what is matched or, with `around`, comes before and after it. */
      readonly content: string;
      readonly around: boolean;
      /** Whether a text of ASCII alone may match. */
      readonly ascii: boolean;
    };

export type Behavior = 'Removed' | 'Isolated' | 'MergedWithPrevious' | 'MergedWithNext' | 'Contiguous';

export type SplitStep =
  | {
      readonly kind: 'pattern';
      readonly pattern: string;
      readonly behavior: Behavior;
      /** What lies between the matches is what was looked for. */
      readonly invert: boolean;
    }
  /** A piece that begins with no space gets one. */
  | { readonly kind: 'prefix-space' }
  | {
      readonly kind: 'metaspace';
      readonly replacement: string;
      readonly scheme: 'always' | 'first' | 'never';
    };

export type DecodeStep =
  | { readonly kind: 'bytes' }
  | { readonly kind: 'byte-fallback' }
  | { readonly kind: 'fuse' }
  | { readonly kind: 'join'; readonly separator: string }
  | { readonly kind: 'strip'; readonly content: string; readonly start: number; readonly stop: number }
  | { readonly kind: 'replace'; readonly pattern: string; readonly content: string }
  | { readonly kind: 'wordpiece'; readonly prefix: string; readonly cleanup: boolean }
  | { readonly kind: 'metaspace'; readonly replacement: string; readonly prepended: boolean }
  | { readonly kind: 'suffix'; readonly suffix: string };

export interface AddedToken {
  readonly id: number;
  /** What is looked for, and what the decoder gets: normalised, if the token is looked for in normalised text. */
  readonly text: string;
  /** Its name. */
  readonly content: string;
  readonly special: boolean;
  /** Left out where special tokens are. */
  readonly skipped: boolean;
  readonly normalized: boolean;
  readonly singleWord: boolean;
  readonly stripsLeft: boolean;
  readonly stripsRight: boolean;
}
