/** What a folder's tokenizer files say, as far as it shows whether they fit the model. */
import { isObject, type Json, type ModelFolder } from './model-folder.ts';
import { refusal } from './refusal.ts';

export interface Vocabulary {
  /** `tokenizer.json`, or BERT's `vocab.txt`. */
  readonly path: string;
  readonly config: string;
  /** The highest id and one. */
  readonly size: number;
  /** Text of a token by its id; null where no token has it. */
  textOf(id: number): string | null;
  /** Whether the token is one that is put in, as `<|im_end|>`, and no part of a text. */
  isAdded(id: number): boolean;
  readonly settings: Json;
}

const CONFIG = 'tokenizer_config.json';
const SAVE_AGAIN =
  "Write it: python -c \"from transformers import AutoTokenizer as T; T.from_pretrained('OWNER/NAME').save_pretrained('FOLDER')\"";
/** Named in tokenizer_config.json; each must be in the vocabulary, or the two files are not of one make. */
const NAMED_TOKENS = ['bos_token', 'eos_token', 'cls_token', 'sep_token'];

/** Throws an AgentError where there is no tokenizer, or where its two files contradict each other. */
export function readVocabulary(folder: ModelFolder): Vocabulary {
  const settings = folder.json(CONFIG);
  const [path, tokens] = readTokens(folder);
  if (settings === null) throw refusal(`${CONFIG} is missing: it says how the tokenizer is used`, SAVE_AGAIN);
  const { ids, added } = tokens;
  for (const name of NAMED_TOKENS) {
    const text = textOf(settings[name]);
    if (text === null || text === '' || ids.has(text)) continue;
    throw refusal(
      `${CONFIG} names ${name} ${JSON.stringify(text)}, which is no token of ${path}`,
      'Take both files from one repository.',
    );
  }
  const byId = new Map([...ids].map(([text, id]) => [id, text]));
  return {
    path,
    config: CONFIG,
    size: [...byId.keys()].reduce((highest, id) => Math.max(highest, id), -1) + 1,
    textOf: (id) => byId.get(id) ?? null,
    isAdded: (id) => added.has(id),
    settings,
  };
}

interface Tokens {
  readonly ids: ReadonlyMap<string, number>;
  readonly added: ReadonlySet<number>;
}

function readTokens(folder: ModelFolder): readonly [path: string, tokens: Tokens] {
  const json = folder.json('tokenizer.json');
  if (json !== null) return ['tokenizer.json', tokensOf(json)];
  const lines = folder
    .text('vocab.txt')
    ?.replace(/\r?\n$/, '')
    .split(/\r?\n/);
  if (lines !== undefined)
    return ['vocab.txt', { ids: new Map(lines.map((line, id) => [line, id])), added: new Set() }];
  throw refusal('the folder holds no tokenizer: tokenizer.json is missing', SAVE_AGAIN);
}

/** `model.vocab` is an object of ids (BPE, WordPiece), or a list of pairs by id (Unigram). */
function tokensOf({ model, added_tokens: more }: Json): Tokens {
  const vocab = isObject(model) ? model['vocab'] : null;
  const ids = new Map<string, number>();
  if (Array.isArray(vocab)) {
    for (const [id, pair] of vocab.entries()) if (Array.isArray(pair)) ids.set(String(pair[0]), id);
  } else if (isObject(vocab)) {
    for (const [text, id] of Object.entries(vocab)) if (isId(id)) ids.set(text, id);
  }
  if (ids.size === 0)
    throw refusal(
      'tokenizer.json holds no vocabulary',
      'It must be one of the Hugging Face tokenizers library.',
    );
  const added = new Set<number>();
  for (const token of Array.isArray(more) ? more : []) {
    if (!isObject(token) || !isId(token['id']) || typeof token['content'] !== 'string') continue;
    ids.set(token['content'], token['id']);
    added.add(token['id']);
  }
  return { ids, added };
}

function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}

/** Tokens are written as text or as an object with the text in `content`. */
function textOf(token: unknown): string | null {
  const text = isObject(token) ? token['content'] : token;
  return typeof text === 'string' ? text : null;
}
