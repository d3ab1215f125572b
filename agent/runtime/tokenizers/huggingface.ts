/**
 * The tokenizers of Hugging Face packages. `tokenizer.path` is either a `tokenizer.json`, which the library reads, or
 * BERT's `vocab.txt`, which costs 5 MB less with 30,000 words; `tokenizer.config` is the `tokenizer_config.json`.
 */
import type { Tokenizer } from '@huggingface/tokenizers';
import { AgentError } from '../../errors.ts';
import { type WordPieceSettings, WordPieceTokenizer } from './wordpiece.ts';

/** Text -> token ids, special tokens included. */
export interface TextTokenizer {
  /** At most `maxTokens` ids: the rest of a longer text is left out, its last special tokens are kept. */
  encode(text: string, maxTokens: number): readonly number[];
}

/**
 * A text longer than this many characters a token is cut before it is tokenised, so that its cost is bounded. English
 * has about four; runs of spaces and words of more than 100 characters can have more.
 */
const MAX_CHARS_PER_TOKEN = 64;

/** A file of the package: what it holds, and its path for error messages. */
export interface NamedFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** Rejects with `bad_expert` for files that make no tokenizer. */
export async function openTokenizer(file: NamedFile, configFile: NamedFile): Promise<TextTokenizer> {
  const config = parseObject(configFile);
  const inner = file.path.endsWith('.txt')
    ? new WordPieceTokenizer(file.bytes, file.path, wordPieceSettings(config, configFile.path))
    : await openLibrary(file, config);
  return {
    encode: (text, maxTokens) => inner.encode(head(text, maxTokens * MAX_CHARS_PER_TOKEN), maxTokens),
  };
}

/** The first `chars` UTF-16 units, or one less where that would halve a character. */
export function head(text: string, chars: number): string {
  if (text.length <= chars) return text;
  const cut = text.charCodeAt(chars - 1);
  return text.slice(0, cut >= 0xd800 && cut <= 0xdbff ? chars - 1 : chars);
}

/** The library is only loaded where it is used. */
async function openLibrary(file: NamedFile, config: object): Promise<TextTokenizer> {
  const { Tokenizer } = await import('@huggingface/tokenizers');
  const settings = parseObject(file);
  try {
    return new LibraryTokenizer(new Tokenizer(settings, config));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('bad_expert', `${file.path} is not a tokenizer that can be used: ${reason}`, {
      hint: 'It must be a tokenizer.json of the Hugging Face tokenizers library.',
      cause,
    });
  }
}

class LibraryTokenizer implements TextTokenizer {
  readonly #tokenizer: Tokenizer;
  /** Special tokens around every text. */
  readonly #before: readonly number[];
  readonly #after: readonly number[];

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
    const bare: readonly number[] = tokenizer.encode('a', { add_special_tokens: false }).ids;
    const whole: readonly number[] = tokenizer.encode('a').ids;
    const start = whole.findIndex((_, at) => bare.every((id, offset) => whole[at + offset] === id));
    this.#before = whole.slice(0, start);
    this.#after = whole.slice(start + bare.length);
  }

  encode(text: string, maxTokens: number): readonly number[] {
    const room = Math.max(maxTokens - this.#before.length - this.#after.length, 0);
    const ids: readonly number[] = this.#tokenizer.encode(text, { add_special_tokens: false }).ids;
    return [...this.#before, ...ids.slice(0, room), ...this.#after];
  }
}

function parseObject({ path, bytes }: NamedFile): Record<string, unknown> {
  let value: unknown = null;
  let reason = 'it is not an object';
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw new AgentError('bad_expert', `${path} cannot be read: ${reason}.`, {
    hint: 'Fetch the expert again.',
  });
}

/** Defaults are those of BertTokenizer; accents go when letters are lowered, unless the file says otherwise. */
function wordPieceSettings(config: Record<string, unknown>, path: string): WordPieceSettings {
  const read = <T>(key: string, fallback: T): T => {
    const value = config[key] ?? fallback;
    if (typeof value === typeof fallback) return value as T;
    throw new AgentError('bad_expert', `${path}: ${key} should be a ${typeof fallback}.`, {
      hint: 'It must be the tokenizer_config.json of a BertTokenizer.',
    });
  };
  const lowercase = read('do_lower_case', true);
  return {
    lowercase,
    stripAccents: read('strip_accents', lowercase),
    splitIdeographs: read('tokenize_chinese_chars', true),
    unknown: read('unk_token', '[UNK]'),
    first: read('cls_token', '[CLS]'),
    last: read('sep_token', '[SEP]'),
  };
}
