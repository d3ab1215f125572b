/** What the Rust library made of odd texts: see scripts/tokenizers/golden.py. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { compile } from '../../../agent/runtime/tokenizers/flat/compile.ts';
import { type FlatTokenizer, openFlat } from '../../../agent/runtime/tokenizers/flat/flat.ts';

/** Text, ids with special tokens, ids where special texts are text, decoded, decoded without special tokens. */
type Case = readonly [string, readonly number[], readonly number[], string, string];

interface Golden {
  readonly kinds: Readonly<
    Record<string, { readonly tokenizer: TokenizerJson; readonly cases: readonly Case[] }>
  >;
  /** Pattern, text, its pieces. */
  readonly patterns: readonly (readonly [string, string, readonly string[]])[];
}

export interface TokenizerJson extends Record<string, unknown> {
  readonly added_tokens: readonly Readonly<Record<string, unknown>>[];
  readonly model: Readonly<Record<string, unknown>>;
}

export const GOLDEN: Golden = JSON.parse(
  gunzipSync(readFileSync('test/fixtures/tokenizers.json.gz')).toString(),
);

export function jsonOf(kind: string): TokenizerJson {
  const golden = GOLDEN.kinds[kind];
  if (golden === undefined) throw new Error(`There is no kind ${kind} in the fixture.`);
  return golden.tokenizer;
}

export function open(json: object): FlatTokenizer {
  return openFlat(compile(json, {}));
}
