/** What was made of a package on this device, once, so that it loads faster and takes less. No code. */

export interface Prepared {
  /** Absolute path of the folder with the files below. */
  readonly directory: string;
  /** The graph to open in place of `model.path`, relative to `directory`; null: the package's own. */
  readonly model: string | null;
  /** The tokenizer, compiled (`runtime/tokenizers/flat/`), relative to `directory`; null: tokenizer.json is read. */
  readonly tokenizer: string | null;
  /** What was seen of that graph; null: it is tried again at every load. */
  readonly decoder: Decoder | null;
}

/** What no declaration says of a decoder, and its first runs show. */
export interface Decoder {
  /** See `CacheKind`. */
  readonly cache: 'shared' | 'growing';
  /** Number of logits a token. */
  readonly vocabulary: number;
  /** It answers with the row of the last token alone, however many tokens go in. */
  readonly lastOnly: boolean;
}
