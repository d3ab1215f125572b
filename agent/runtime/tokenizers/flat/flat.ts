/**
 * A compiled tokenizer: views over the bytes of its file, and next to nothing beside them. Ids and texts are those of
 * the Rust library `tokenizers`: scripts/tokenizers/proof.ts compares.
 */
import type { TextTokenizer } from '../tokenizer.ts';
import { AddedTokens } from './added.ts';
import { Bpe } from './bpe.ts';
import { bytesSaid } from './byte-alphabet.ts';
import { betweenOf, decoderOf } from './decoder.ts';
import { readTables, type Tables } from './format.ts';
import { Merges } from './merges.ts';
import { type Normalize, normalizerOf } from './normalizer.ts';
import { damaged } from './refusal.ts';
import type { AddedToken, DecodeStep, Settings } from './settings.ts';
import { type Split, splitterOf } from './splitter.ts';
import { Vocabulary } from './vocabulary.ts';
import { WordPiece } from './wordpiece.ts';

/** Keeps `bytes`. Throws `bad_expert` for anything but a whole file that `compile` made. */
export function openFlat(bytes: Uint8Array): FlatTokenizer {
  const tables = readTables(bytes);
  try {
    return new FlatTokenizer(tables, JSON.parse(new TextDecoder().decode(tables.settings)));
  } catch (error) {
    throw damaged(`its settings are wrong (${error instanceof Error ? error.message : String(error)})`);
  }
}

interface Model {
  /** Appends the ids of a word. */
  encode(word: string, ids: number[]): void;
}

export class FlatTokenizer implements TextTokenizer {
  readonly size: number;
  readonly specialTexts: readonly string[];
  readonly #before: readonly number[];
  readonly #after: readonly number[];
  readonly #model: Model;
  readonly #vocabulary: Vocabulary;
  readonly #normalize: Normalize;
  readonly #split: Split;
  /** Looked for before and after the text is normalised. */
  readonly #raw: AddedTokens;
  readonly #normalized: AddedTokens;
  readonly #added: ReadonlyMap<number, AddedToken>;
  readonly #decoder: Decoder;

  constructor(tables: Tables, settings: Settings) {
    const { added, normalize, split, space } = settings;
    this.#vocabulary = new Vocabulary(tables);
    this.#model = modelOf(this.#vocabulary, tables, settings);
    this.#normalize = normalizerOf(normalize, space);
    this.#split = splitterOf(split);
    this.#raw = new AddedTokens(
      added.filter(({ normalized }) => !normalized),
      settings,
    );
    this.#normalized = new AddedTokens(
      added.filter(({ normalized }) => normalized),
      settings,
    );
    this.#added = new Map(added.map((token) => [token.id, token]));
    this.#decoder = new Decoder(settings.decode);
    this.#before = settings.before;
    this.#after = settings.after;
    this.size = Math.max(this.#vocabulary.size, ...added.map(({ id }) => id + 1));
    this.specialTexts = added.filter(({ special }) => special).map(({ content }) => content);
  }

  encode(text: string, options: { readonly addSpecial: boolean; readonly parseSpecial: boolean }): number[] {
    const ids = options.addSpecial ? [...this.#before] : [];
    this.#append(text.toWellFormed(), options.parseSpecial, ids);
    if (options.addSpecial) ids.push(...this.#after);
    return ids;
  }

  decode(ids: readonly number[], options: { readonly skipSpecial: boolean }): string {
    const tokens: Uint8Array[] = [];
    for (const id of ids) {
      const token = this.#token(id, options.skipSpecial);
      if (token !== null) tokens.push(token);
    }
    return this.#decoder.decode(tokens);
  }

  bytesOf(id: number): Uint8Array | null {
    if (this.#added.get(id)?.special) return null;
    const token = this.#token(id, false);
    return token === null ? null : this.#decoder.bytesOf(token);
  }

  /** What the decoder gets; null for an id without a token. */
  #token(id: number, skipSpecial: boolean): Uint8Array | null {
    const added = this.#added.get(id);
    if (added === undefined) return this.#vocabulary.bytesOf(id);
    return skipSpecial && added.skipped ? null : this.#decoder.said(added.text);
  }

  #append(text: string, parseSpecial: boolean, ids: number[]): void {
    const emit = (word: string): void => this.#model.encode(word, ids);
    this.#raw.parts(text, parseSpecial).forEach((raw, at) => {
      if (typeof raw !== 'string') {
        ids.push(raw.id);
        return;
      }
      this.#normalized.parts(this.#normalize(raw), parseSpecial).forEach((part, place) => {
        if (typeof part === 'string') this.#split(part, at === 0 && place === 0, emit);
        else ids.push(part.id);
      });
    });
  }
}

function modelOf(vocabulary: Vocabulary, tables: Tables, { model }: Settings): Model {
  return model.kind === 'bpe'
    ? new Bpe(vocabulary, new Merges(tables), model)
    : new WordPiece(vocabulary, model);
}

/** Decodes what tokens are made of: bytes, or UTF-8. */
class Decoder {
  readonly #bytes: boolean;
  readonly #decode: (tokens: readonly string[]) => string;
  readonly #between: (token: string) => Uint8Array;

  constructor(steps: readonly DecodeStep[]) {
    this.#bytes = steps.some(({ kind }) => kind === 'bytes');
    const ofText = steps.filter((step) => step.kind !== 'bytes');
    this.#decode = decoderOf(ofText);
    this.#between = betweenOf(ofText);
  }

  /** A token by its name, as it is decoded. */
  said(name: string): Uint8Array {
    return this.#bytes ? bytesSaid(name) : new TextEncoder().encode(name);
  }

  /** What a token adds to a text that has begun. */
  bytesOf(token: Uint8Array): Uint8Array {
    return this.#bytes ? token : this.#between(textOf(token));
  }

  decode(tokens: readonly Uint8Array[]): string {
    return this.#bytes ? textOf(Buffer.concat(tokens)) : this.#decode(tokens.map(textOf));
  }
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}
