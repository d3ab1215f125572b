/** What the selections from WordNet share. */
import type { WordNet } from './wordnet.ts';

/** A glossary does not teach them. */
export const INSULT = /\b(?:obscene|vulgar|slur|disparaging|ethnic|slang)\b|\boffensive (?:term|name|word)/i;

/** Throws where a key does not have the name that a selection gives it: keys differ between versions of WordNet. */
export function checkNames(wordnet: WordNet, ...tables: readonly Readonly<Record<string, string>>[]): void {
  for (const [key, name] of tables.flatMap((table) => Object.entries(table))) {
    const { terms } = wordnet.get(key);
    if (!terms.includes(name)) {
      throw new Error(`${key} is "${terms.join(', ')}", not "${name}": not WordNet 3.1`);
    }
  }
}
