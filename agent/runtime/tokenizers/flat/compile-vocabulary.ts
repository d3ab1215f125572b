/** Makes BERT's `vocab.txt`, one token a line in the order of ids, into flat bytes. */

import { compileAround } from './compile.ts';
import { Component } from './component.ts';
import { PRESENT, writeTables } from './format.ts';
import { mergeTables } from './merges.ts';
import { badTokenizer } from './refusal.ts';
import { Vocabulary, type VocabularyTables, withSlots } from './vocabulary.ts';

const NEWLINE = 10;
/** Longer words are unknown; what continues a word begins with this. As `BertTokenizer` has them. */
const MAX_CHARS = 100;
const PREFIX = '##';

/**
 * `config` is the parsed `tokenizer_config.json`; what it does not say is as in `BertTokenizer`. Makes no string for a
 * token, so it takes next to no memory. Throws `bad_expert` for files that make no tokenizer.
 */
export function compileVocabulary(vocabTxt: Uint8Array, config: unknown): Uint8Array {
  const settings = new Component(config, 'tokenizer_config.json');
  const tables = lines(vocabTxt);
  const vocabulary = new Vocabulary(tables);
  const find = (token: string): number | null => {
    const id = vocabulary.idOf(new TextEncoder().encode(token));
    return id < 0 ? null : id;
  };
  const named = (key: string, usual: string): [string, number] => {
    const token = settings.text(key, usual);
    const id = find(token);
    if (id === null) throw badTokenizer(`it has no token ${token}`);
    return [token, id];
  };
  const [unknown, first, last] = [
    named('unk_token', '[UNK]'),
    named('cls_token', '[CLS]'),
    named('sep_token', '[SEP]'),
  ];
  const others = [settings.text('pad_token', '[PAD]'), settings.text('mask_token', '[MASK]')];
  const special = new Set([unknown[0], first[0], last[0], ...others.filter((token) => find(token) !== null)]);
  const around = compileAround(new Component(description(settings, first, last, [...special]), ''), {
    bytes: false,
    count: vocabulary.size,
    idOf: find,
  });
  const model = { kind: 'wordpiece', unknown: unknown[1], prefix: PREFIX, maxChars: MAX_CHARS } as const;
  return writeTables({
    ...tables,
    ...mergeTables(new Uint32Array(0)),
    settings: new TextEncoder().encode(JSON.stringify({ ...around, model })),
  });
}

/** What the tokenizer.json of a `BertTokenizer` says beside the vocabulary. */
function description(
  settings: Component,
  first: readonly [string, number],
  last: readonly [string, number],
  special: readonly string[],
): object {
  const lowercase = settings.flag('do_lower_case', true);
  const options = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  return {
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: settings.flag('tokenize_chinese_chars', true),
      strip_accents: settings.flag('strip_accents', lowercase),
      lowercase,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: { type: 'BertProcessing', cls: first, sep: last },
    decoder: { type: 'WordPiece', prefix: PREFIX, cleanup: true },
    added_tokens: special.map((content) => ({ content, ...options })),
  };
}

/** A last line without a newline counts as one. */
function lines(file: Uint8Array): VocabularyTables {
  const closed = file.length === 0 || file.at(-1) === NEWLINE;
  const size = file.reduce((count, byte) => count + (byte === NEWLINE ? 1 : 0), closed ? 0 : 1);
  const starts = new Uint32Array(size + 1);
  const text = new Uint8Array(file.length - size + (closed ? 0 : 1));
  let [id, end] = [0, 0];
  for (let at = 0; at <= file.length && id < size; at += 1) {
    const byte = at === file.length ? NEWLINE : (file[at] ?? 0);
    if (byte !== NEWLINE) {
      text[end++] = byte;
      continue;
    }
    if (end === starts[id]) throw badTokenizer(`token ${id} is empty`);
    id += 1;
    starts[id] = end;
  }
  return withSlots({ starts, text, flags: new Uint8Array(size).fill(PRESENT) }, () => true);
}
