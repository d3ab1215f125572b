/**
 * The questions that the fusion is fitted on. None of them is in the sets that measure.
 */
import type { Glossary, OtherDefinition } from './definition.ts';
import type { GlossaryEntry } from './entries.ts';
import type { WordNet } from './wordnet.ts';

export interface Sample {
  /** `defined` is another dictionary's definition, `described` a person's own words. */
  readonly kind: 'described' | 'defined' | 'named' | 'misspelt' | 'compared' | 'foreign';
  readonly question: string;
  /** Entries that must be found; each is given by the entries that are right for it. None: nothing fits. */
  readonly wanted: readonly ReadonlySet<number>[];
}

export interface Question {
  readonly kind: Sample['kind'];
  readonly question: string;
  /** Terms of right entries: any of them, or, where the question compares, all. */
  readonly expected: readonly string[];
}

const NAMED = 300;
const MISSPELT = 200;
const FOREIGN = 300;
const MIN_MISSPELT_CHARS = 7;
/** Animals and plants: thousands of names that nobody asks for. */
const ANIMALS_AND_PLANTS = [5, 20];

/** The entries that a term names, by the term in lower case. */
export function entriesByTerm(
  entries: readonly { readonly terms: readonly string[] }[],
): Map<string, Set<number>> {
  const byTerm = new Map<string, Set<number>>();
  entries.forEach(({ terms }, entry) => {
    for (const term of terms) {
      const key = term.toLowerCase();
      byTerm.set(key, (byTerm.get(key) ?? new Set()).add(entry));
    }
  });
  return byTerm;
}

export function sampleOf({ kind, question, expected }: Question, byTerm: Map<string, Set<number>>): Sample {
  const sets = expected.map((term) => byTerm.get(term.toLowerCase()) ?? new Set<number>());
  const wanted = kind === 'compared' ? sets : [new Set(sets.flatMap((set) => [...set]))];
  return { kind, question, wanted };
}

export interface FittingSource {
  readonly entries: readonly GlossaryEntry[];
  readonly wordnet: WordNet;
  readonly definitions: readonly OtherDefinition[];
  readonly questions: readonly Question[];
  readonly fitting: Glossary['fitting'];
}

/** The same samples every time. */
export function fittingSamples(source: FittingSource): Sample[] {
  const { naming, describing } = source.fitting;
  const byTerm = entriesByTerm(source.entries);
  const random = randomNumbers(7);
  const named = Array.from({ length: NAMED }, (_, at): Question => {
    const { terms } = pick(source.entries, random);
    const term = pick(terms, random);
    return { kind: 'named', question: cycle(naming, at)(term), expected: [term] };
  });
  const defined = source.definitions
    .filter(({ word }) => byTerm.has(word.toLowerCase()))
    .map(({ word, definition }, at): Question => {
      return {
        kind: 'described',
        question: cycle(describing, at)(definition.toLowerCase()),
        expected: [word],
      };
    });
  const misspelt = misspellings(source, byTerm, random);
  const known = [...source.questions, ...named, ...defined, ...misspelt];
  return [...known.map((question) => sampleOf(question, byTerm)), ...foreign(source, byTerm, random)];
}

function misspellings(
  { entries, fitting }: FittingSource,
  byTerm: ReadonlyMap<string, unknown>,
  random: () => number,
): Question[] {
  const found: Question[] = [];
  while (found.length < MISSPELT) {
    const term = (pick(entries, random).terms[0] ?? '').toLowerCase();
    const wrong = misspell(term, random);
    if (term.length < MIN_MISSPELT_CHARS || !/^[a-z]+$/.test(term) || byTerm.has(wrong)) continue;
    found.push({ kind: 'misspelt', question: cycle(fitting.naming, found.length)(wrong), expected: [term] });
  }
  return found;
}

/** One slip of the fingers, never on the first letter: a letter left out, doubled, wrong, or swapped. */
function misspell(word: string, random: () => number): string {
  const at = 1 + Math.floor(random() * Math.max(1, word.length - 2));
  const letter = pick([...'abcdefghijklmnopqrstuvwxyz'], random);
  const slips = [
    word.slice(0, at) + word.slice(at + 1),
    word.slice(0, at) + word.slice(at - 1),
    word.slice(0, at) + letter + word.slice(at + 1),
    word.slice(0, at) + (word[at + 1] ?? '') + (word[at] ?? '') + word.slice(at + 2),
  ];
  return pick(slips, random);
}

/** Questions about the rest of the world, which no entry answers. */
function foreign(
  { entries, wordnet, fitting }: FittingSource,
  byTerm: ReadonlyMap<string, unknown>,
  random: () => number,
): Sample[] {
  const own = new Set(entries.map(({ source }) => source));
  const isNamed = (terms: readonly string[]): boolean => terms.some((term) => byTerm.has(term.toLowerCase()));
  const others = [...wordnet.synsets.values()].filter(
    ({ key, partOfSpeech, lexicographerFile, terms }) =>
      partOfSpeech === 'noun' &&
      !ANIMALS_AND_PLANTS.includes(lexicographerFile) &&
      !own.has(`WordNet 3.1, ${key}`) &&
      !(fitting.sharesWords && isNamed(terms)),
  );
  return Array.from({ length: FOREIGN }, (_, at) => {
    const { terms, gloss } = pick(others, random);
    const question = at % 2 === 0 ? `what is ${terms[0]}?` : (gloss.split(/[;"]/)[0] ?? gloss);
    return { kind: 'foreign', question, wanted: [] };
  });
}

function cycle<T>(values: readonly T[], at: number): T {
  return valueAt(values, at % values.length);
}

function pick<T>(values: readonly T[], random: () => number): T {
  return valueAt(values, Math.floor(random() * values.length));
}

function valueAt<T>(values: readonly T[], at: number): T {
  const value = values[at];
  if (value === undefined) throw new Error(`nothing at ${at} of ${values.length}`);
  return value;
}

/** Park and Miller's generator (CACM 31(10), 1988): numbers from 0 to 1, the same from the same seed. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 16_807) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
