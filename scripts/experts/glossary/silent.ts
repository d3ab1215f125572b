/**
 * Words that say little about which entry is meant: those that build English sentences and questions, and common
 * words that no entry is about.
 */
import { stemsOf } from '../../../agent/runtime/tasks/retrieval-words.ts';
import type { WordNet } from './wordnet.ts';

const FUNCTION_WORDS = `
a about after again all also am an and another any anybody anyone anything are aren't as at be because been being
but by can can't cannot could couldn't did didn't do does doesn't doing don't each either else etc even ever every
few for from get gets getting give given gives go goes going got had has have haven't having he her hers herself
him himself his how however i if in instead into is isn't it it's its itself i'm i've i'd just let let's like
likely make makes many may me mean meaning meanings means meant might mine more most much must my myself neither no
nor not now of off often on one ones only onto or other our ours ourself out over own per perhaps quite rather
really same shall she should shouldn't since so some somebody somebody's someone someone's something sort such than
that that's the their theirs them themselves then there there's these they thing things this those though through
thus to too try upon us used using usually very via was wasn't way we were weren't what what's whatever when
whenever where where's whether which while who who's whole whom whose why will with within without won't would yes
yet you you're your yours yourself
called calls call name named names term terms word words define defined defines definition definitions describe
described explain explains explanation difference differences different differ differs compare compared versus vs
between tell says say said told ask asked question please thank thanks hello hi hey know knows known want wants
wanted need needs understand kind kinds type types example examples stand stands refer refers
`;

/** Stems of `FUNCTION_WORDS`. */
export function functionStems(): Set<string> {
  return new Set(stemsOf(FUNCTION_WORDS));
}

/** How often WordNet's glosses, of any field, use a stem; only those with at least `minUses`. */
export function commonStems(wordnet: WordNet, minUses: number): Map<string, number> {
  const uses = new Map<string, number>();
  for (const synset of wordnet.synsets.values()) {
    for (const stem of new Set(stemsOf(synset.gloss))) uses.set(stem, (uses.get(stem) ?? 0) + 1);
  }
  return new Map([...uses].filter(([, count]) => count >= minUses));
}
