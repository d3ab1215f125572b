/** What was made of a package on this device, once, so that it loads faster and takes less. No code. */

export interface Prepared {
  /** Absolute path of the folder with the files below. */
  readonly directory: string;
  /** The graph to open in place of `model.path`, relative to `directory`; null: the package's own. */
  readonly model: string | null;
  /** The tokenizer, compiled (`runtime/tokenizers/flat/`), relative to `directory`; null: tokenizer.json is read. */
  readonly tokenizer: string | null;
}
