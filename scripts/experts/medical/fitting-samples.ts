/**
 * The questions that the fusion is fitted on. None of them is in `questions.json`, which measures.
 */
import type { GlossaryEntry } from './entries.ts';
import type { WebsterEntry } from './webster.ts';
import type { WordNet } from './wordnet.ts';

export interface Sample {
  /** `defined` is a definition of Webster's, `described` a person's own words. */
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

const DESCRIBING = [
  (text: string) => `what is the word for this: ${text}`,
  (text: string) => text,
  (text: string) => `${text} What is that called?`,
  (text: string) => `I have ${text}`,
];
const NAMING = [
  (term: string) => `what is ${term}?`,
  (term: string) => term,
  (term: string) => `what does ${term} mean`,
  (term: string) => `tell me about ${term}`,
  (term: string) => `my doctor says I have ${term}`,
  (term: string) => `how is ${term} treated?`,
];
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

/** The same samples every time. */
export function fittingSamples(source: {
  readonly entries: readonly GlossaryEntry[];
  readonly wordnet: WordNet;
  readonly webster: readonly WebsterEntry[];
  readonly questions: readonly Question[];
}): Sample[] {
  const byTerm = entriesByTerm(source.entries);
  const random = randomNumbers(7);
  const named = Array.from({ length: NAMED }, (_, at): Question => {
    const { terms } = pick(source.entries, random);
    const term = pick(terms, random);
    return { kind: 'named', question: cycle(NAMING, at)(term), expected: [term] };
  });
  const defined = source.webster
    .filter(({ word }) => byTerm.has(word.toLowerCase()))
    .map(({ word, definition }, at): Question => {
      return {
        kind: 'described',
        question: cycle(DESCRIBING, at)(definition.toLowerCase()),
        expected: [word],
      };
    });
  const misspelt = misspellings(source.entries, byTerm, random);
  const known = [...source.questions, ...named, ...defined, ...misspelt];
  return [...known.map((question) => sampleOf(question, byTerm)), ...foreign(source, random)];
}

function misspellings(
  entries: readonly GlossaryEntry[],
  byTerm: Map<string, Set<number>>,
  random: () => number,
): Question[] {
  const found: Question[] = [];
  while (found.length < MISSPELT) {
    const term = (pick(entries, random).terms[0] ?? '').toLowerCase();
    const wrong = misspell(term, random);
    if (term.length < MIN_MISSPELT_CHARS || !/^[a-z]+$/.test(term) || byTerm.has(wrong)) continue;
    found.push({ kind: 'misspelt', question: cycle(NAMING, found.length)(wrong), expected: [term] });
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
  { entries, wordnet }: { readonly entries: readonly GlossaryEntry[]; readonly wordnet: WordNet },
  random: () => number,
): Sample[] {
  const medical = new Set(entries.map(({ source }) => source));
  const others = [...wordnet.synsets.values()].filter(
    ({ key, partOfSpeech, lexicographerFile }) =>
      partOfSpeech === 'noun' &&
      !ANIMALS_AND_PLANTS.includes(lexicographerFile) &&
      !medical.has(`WordNet 3.1, ${key}`),
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
