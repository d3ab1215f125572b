/** A tokenizer.json's model as flat tables. */
import { Bpe, type BpeSettings } from './bpe.ts';
import { bytesOfToken, bytesSaid } from './byte-alphabet.ts';
import type { Component } from './component.ts';
import { PRESENT, type Tables, WHOLE } from './format.ts';
import { Merges, type MergeTables, mergeTables } from './merges.ts';
import { badTokenizer, unsupported } from './refusal.ts';
import type { ModelSettings } from './settings.ts';
import { Vocabulary, type VocabularyTables, withSlots } from './vocabulary.ts';

/** Ids beyond this are not those of a vocabulary, but would take its memory. */
const MAX_IDS = 4_000_000;
const NO_MERGES = mergeTables(new Uint32Array(0));

export interface CompiledModel {
  readonly settings: ModelSettings;
  readonly tables: Omit<Tables, 'settings'>;
  /** Number of tokens, which need not be the highest id and one. */
  readonly count: number;
  idOf(token: string): number | null;
}

/** `bytes`: the model sees bytes. Old files do not say what the model is; those are BPE. */
export function compileModel(model: Component, bytes: boolean): CompiledModel {
  const type = model.text('type', 'BPE');
  if (type === 'BPE') return compileBpe(model, readVocabulary(model.need('vocab')), bytes);
  if (type === 'WordPiece' && !bytes) return compileWordPiece(model, readVocabulary(model.need('vocab')));
  throw unsupported(`the model ${type}${bytes ? ' over bytes' : ''}`);
}

type Ids = ReadonlyMap<string, number>;

function readVocabulary(vocabulary: Component): Ids {
  const ids = new Map<string, number>();
  const seen = new Set<number>();
  for (const [token, id] of vocabulary.entries()) {
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= MAX_IDS)
      throw badTokenizer(`the id of ${JSON.stringify(token)} is ${JSON.stringify(id)}`);
    if (seen.has(id)) throw badTokenizer(`two tokens have the id ${id}`);
    seen.add(id);
    ids.set(token, id);
  }
  return ids;
}

function compileBpe(model: Component, ids: Ids, bytes: boolean): CompiledModel {
  for (const key of ['continuing_subword_prefix', 'end_of_word_suffix'])
    if ((model.textOrNull(key) ?? '') !== '') throw unsupported(`the ${key} of a BPE model`);
  if (!model.isZero('dropout')) throw unsupported('the dropout of a BPE model');
  const unknown = model.textOrNull('unk_token') ?? '';
  const settings: BpeSettings = {
    kind: 'bpe',
    bytes,
    // Files of byte-level vocabularies may name one that is not there: it is never needed.
    unknown: ids.get(unknown) ?? null,
    fuseUnknown: model.flag('fuse_unk', false),
    byteFallback: model.flag('byte_fallback', false),
  };
  if (bytes && settings.byteFallback) throw unsupported('byte_fallback over bytes');
  const merges = mergeTables(readMerges(model.list('merges'), ids));
  const vocabulary = vocabularyTables(ids, bytes);
  const whole = model.flag('ignore_merges', false) ? () => true : isReached(vocabulary, merges, settings);
  for (const id of new Set(vocabulary.slots)) if (id > 0 && whole(id - 1)) mark(vocabulary.flags, id - 1);
  return { settings, tables: { ...vocabulary, ...merges }, count: ids.size, idOf: idIn(ids) };
}

function mark(flags: Uint8Array, id: number): void {
  flags[id] = (flags[id] ?? 0) | WHOLE;
}

/** Whether merging a token's own text gives just that token. */
function isReached(vocabulary: VocabularyTables, merges: MergeTables, settings: BpeSettings) {
  const tokens = new Vocabulary(vocabulary);
  const model = new Bpe(tokens, new Merges(merges), settings);
  return (id: number): boolean => {
    const ids: number[] = [];
    model.encodeBytes(tokens.bytesOf(id) ?? new Uint8Array(0), ids);
    return ids.length === 1 && ids[0] === id;
  };
}

function compileWordPiece(model: Component, ids: Ids): CompiledModel {
  const unknown = ids.get(model.text('unk_token'));
  if (unknown === undefined) throw badTokenizer('its unk_token is no token');
  const settings: ModelSettings = {
    kind: 'wordpiece',
    unknown,
    prefix: model.text('continuing_subword_prefix'),
    maxChars: model.count('max_input_chars_per_word'),
  };
  const tables = { ...vocabularyTables(ids, false), ...NO_MERGES };
  return { settings, tables, count: ids.size, idOf: idIn(ids) };
}

function idIn(ids: Ids): (token: string) => number | null {
  return (token) => ids.get(token) ?? null;
}

/** A token of a byte-level vocabulary that has other characters than its alphabet is no word's part: it has no slot. */
function vocabularyTables(ids: Ids, bytes: boolean): VocabularyTables {
  let size = 0;
  for (const id of ids.values()) size = Math.max(size, id + 1);
  const texts: (Uint8Array | undefined)[] = new Array(size);
  const found = new Set<number>();
  for (const [token, id] of ids) {
    texts[id] = bytes ? bytesSaid(token) : new TextEncoder().encode(token);
    if (token !== '' && (!bytes || bytesOfToken(token) !== null)) found.add(id);
  }
  const starts = new Uint32Array(size + 1);
  const flags = new Uint8Array(size);
  for (let id = 0; id < size; id += 1) {
    starts[id + 1] = (starts[id] ?? 0) + (texts[id]?.length ?? 0);
    if (texts[id] !== undefined) flags[id] = PRESENT;
  }
  const text = new Uint8Array(starts[size] ?? 0);
  texts.forEach((token, id) => {
    if (token !== undefined) text.set(token, starts[id]);
  });
  return withSlots({ starts, text, flags }, (id) => found.has(id));
}

/** Triples of left, right and both; of a pair that comes twice the last counts. */
function readMerges(list: readonly unknown[], ids: Ids): Uint32Array {
  const idOf = (token: string): number => {
    const id = ids.get(token);
    if (id !== undefined) return id;
    throw badTokenizer(`a merge has or makes ${JSON.stringify(token)}, which is no token`);
  };
  const pairs = list
    .filter((merge) => typeof merge !== 'string' || !merge.startsWith('#version'))
    .map(pairOf);
  const triples = pairs.map(([left, right]) => [idOf(left), idOf(right), idOf(left + right)] as const);
  const last = new Map(triples.map(([left, right], at) => [left * MAX_IDS + right, at]));
  return Uint32Array.from(
    triples.filter(([left, right], at) => last.get(left * MAX_IDS + right) === at).flat(),
  );
}

/** `["a", "b"]`, or `"a b"` as older files have it. */
function pairOf(merge: unknown): readonly [string, string] {
  const parts: readonly unknown[] =
    typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge : [];
  const [left, right] = parts;
  if (parts.length === 2 && typeof left === 'string' && typeof right === 'string') return [left, right];
  throw badTokenizer(`a merge is ${JSON.stringify(merge)}`);
}
