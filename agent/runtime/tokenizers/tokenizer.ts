/** A tokenizer in the way of Hugging Face's `tokenizers`. No code. */

/** A file of a package: what it holds, and its path for error messages. */
export interface NamedFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

export interface TextTokenizer {
  /** The highest id and one. */
  readonly size: number;
  /**
   * `addSpecial` puts in what the model wants around a text (`[CLS]` and the like). `parseSpecial` takes the text of a
   * special token, such as `<|im_end|>`, for that token; without it, for the letters that it is.
   */
  encode(text: string, options: { readonly addSpecial: boolean; readonly parseSpecial: boolean }): number[];
  /** `skipSpecial` leaves special tokens out. Bytes that are no UTF-8 come as U+FFFD. */
  decode(ids: readonly number[], options: { readonly skipSpecial: boolean }): string;
  /** What the token adds to a text, where tokens are bytes; null for a special token and for an id without one. */
  bytesOf(id: number): Uint8Array | null;
  /** Texts of the special tokens. */
  readonly specialTexts: readonly string[];
}
