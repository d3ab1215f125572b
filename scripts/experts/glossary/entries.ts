/**
 * Synsets as the entries of the glossary: what is shown, what is embedded, and the words by which it is found.
 */
import type { EntryRecord } from '../../../agent/runtime/tasks/retrieval-index.ts';
import type { Synset, WordNet } from './wordnet.ts';

export interface GlossaryEntry extends EntryRecord {
  /** Sense number of each term: 1 where people mostly mean this entry by it. */
  readonly senses: readonly number[];
  /** 0 to 1: how likely it is asked for before the question is known. */
  readonly prior: number;
  /** Texts whose mean embedding stands for the entry. */
  readonly views: readonly string[];
}

const MAX_TERMS_IN_VIEW = 8;

export function glossaryOf(wordnet: WordNet, synsets: readonly Synset[]): GlossaryEntry[] {
  return synsets.map((synset) => {
    const parent = synset.pointers.find(({ symbol }) => symbol === '@');
    const gloss = definitionOf(synset.gloss);
    const terms = [...synset.terms, ...tradeNames(gloss)].filter((term, at, all) => all.indexOf(term) === at);
    return {
      terms,
      gloss,
      source: `WordNet 3.1, ${synset.key}`,
      senses: terms.map((term) => Math.min(255, wordnet.senseNumber(term, synset.key))),
      prior: priorOf(synset),
      views: viewsOf(terms, parent === undefined ? '' : ` (${wordnet.get(parent.target).terms[0]})`, gloss),
    };
  });
}

/** People ask for things more than for qualities (`tooth`, not `dental`), and what has many names is talked about. */
function priorOf({ partOfSpeech, terms }: Synset): number {
  const noun = partOfSpeech === 'noun' ? 1 : 0;
  return Math.min(1, (noun + 0.4 * Math.log(terms.length)) / 2.2);
}

/** A gloss is a definition and then, often, examples in quotes: `; "he felt ill"`. */
export function definitionOf(gloss: string): string {
  const definition = gloss.replace(/[;,:]?\s*"[^"]*"?(?:\s*-\s*[^;"]*)?$/u, '').trim();
  if (definition === gloss) return gloss;
  return definition === '' ? gloss : definitionOf(definition);
}

/** Name first finds what is asked by name, gloss first what is described; `kind` is what the entry is a kind of. */
function viewsOf(terms: readonly string[], kind: string, gloss: string): string[] {
  const names = `${terms.slice(0, MAX_TERMS_IN_VIEW).join(', ')}${kind}`;
  return [`${names}: ${gloss}`, `${gloss}. ${names}`];
}

/** `(trade names Coumadin and Panwarfarin)`, `(trade name Zocor)` */
function tradeNames(gloss: string): string[] {
  const [, names] = /\btrade names? ((?:[A-Z][\w-]*|,|and|or|\s)+)\)/.exec(gloss) ?? [];
  return (names ?? '').split(/,| and | or /).flatMap((name) => name.trim() || []);
}
