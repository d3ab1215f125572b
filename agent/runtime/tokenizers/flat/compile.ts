/** Makes a tokenizer of a `tokenizer.json` into flat bytes that open in milliseconds. */
import { classOf, property } from './code-points.ts';
import { compileDecoder, compilePostProcessor } from './compile-decoder.ts';
import { compileModel } from './compile-model.ts';
import { compileNormalizer } from './compile-normalizer.ts';
import { compileSplitter, isByteLevel } from './compile-splitter.ts';
import { Component } from './component.ts';
import { writeTables } from './format.ts';
import { type Normalize, normalizerOf } from './normalizer.ts';
import type { AddedToken, Settings } from './settings.ts';

/**
 * `tokenizerJson` and `tokenizerConfig` are the parsed files of those names. The second is only checked to be there:
 * as for the Rust library, all that makes ids is in the first. Its truncation and padding are left out. Throws
 * `bad_expert` for a file that is no tokenizer, `unsupported_tokenizer` (naming the component) for one of a kind that
 * is not known here. A large vocabulary takes a second and some 100 MB: that is work for a process of its own.
 */
export function compile(tokenizerJson: unknown, tokenizerConfig: unknown): Uint8Array {
  const root = new Component(tokenizerJson, '');
  new Component(tokenizerConfig, 'tokenizer_config.json');
  const bytes = isByteLevel(root.part('pre_tokenizer'));
  const model = compileModel(root.need('model'), bytes);
  const around = compileAround(root, { bytes, count: model.count, idOf: model.idOf });
  const settings: Settings = { ...around, model: model.settings };
  return writeTables({ ...model.tables, settings: new TextEncoder().encode(JSON.stringify(settings)) });
}

export interface Known {
  /** The model sees bytes. */
  readonly bytes: boolean;
  /** Number of its tokens, which need not be the highest id and one. */
  readonly count: number;
  idOf(token: string): number | null;
}

/** All settings but the model's. */
export function compileAround(root: Component, known: Known): Omit<Settings, 'model'> {
  const normalize = compileNormalizer(root.part('normalizer'));
  const space = classOf(property('space'));
  const added = compileAdded(root.parts('added_tokens'), known, normalizerOf(normalize, space));
  return {
    normalize,
    split: compileSplitter(root.part('pre_tokenizer')),
    decode: compileDecoder(root.part('decoder'), known.bytes),
    ...compilePostProcessor(root.part('post_processor')),
    added,
    word: classOf(added.some(({ singleWord }) => singleWord) ? property('word') : []),
    space,
  };
}

/**
 * Ids are given as the Rust library gives them: a token that the model has keeps its id there, others are numbered
 * on, whatever the file says. Of two that have one text, the later counts.
 */
function compileAdded(
  tokens: readonly Component[],
  known: Known,
  normalize: Normalize,
): readonly AddedToken[] {
  const added = new Map<string, AddedToken>();
  let next = known.count;
  for (const token of tokens) {
    const content = token.text('content');
    if (content === '') continue;
    const id = added.get(content)?.id ?? known.idOf(content) ?? next++;
    added.set(content, addedToken(token, content, id, normalize));
  }
  // What is skipped is told by the text that is decoded, and that may be another special token's.
  const special = new Set([...added.values()].filter((token) => token.special).map(({ content }) => content));
  return [...added.values()].map((token) => ({ ...token, skipped: special.has(token.text) }));
}

function addedToken(token: Component, content: string, id: number, normalize: Normalize): AddedToken {
  const normalized = token.flag('normalized');
  const text = normalized ? normalize(content) : content;
  return {
    id,
    text,
    content,
    special: token.flag('special'),
    skipped: false,
    normalized,
    singleWord: token.flag('single_word'),
    stripsLeft: token.flag('lstrip'),
    stripsRight: token.flag('rstrip'),
  };
}
