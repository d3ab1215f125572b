/**
 * Which of WordNet's 117,000 synsets are law. Four nets: topics (what WordNet itself marks as law), kinds of a root
 * (every kind of crime), glosses that open with a field, and glosses with words of the law; then the adjectives and
 * verbs that belong to what the others caught.
 */
import { definitionOf } from '../glossary/entries.ts';
import { checkNames, INSULT } from '../glossary/roots.ts';
import type { Synset, WordNet } from '../glossary/wordnet.ts';

/** Roots by key and name; the name guards against the wrong version of WordNet. */
const ROOTS: Readonly<Record<string, string>> = {
  'noun 08458195': 'law',
  'noun 06544321': 'law',
  'noun 06171434': 'jurisprudence',
  'noun 00612411': 'practice of law',
  'noun 06491336': 'legal document',
  'noun 06532935': 'contract',
  'noun 06783066': 'agreement',
  'noun 00767761': 'crime',
  'noun 00770190': 'felony',
  'noun 00735181': 'tort',
  'noun 00770581': 'fraud',
  'noun 00782543': 'larceny',
  'noun 00220890': 'homicide',
  'noun 09997190': 'criminal',
  'noun 08346380': 'court',
  'noun 03125429': 'court',
  'noun 08431076': 'jury',
  'noun 01187304': 'proceeding',
  'noun 01184392': 'legal action',
  'noun 01183965': 'due process',
  'noun 06571356': 'pleading',
  'noun 06573129': 'plea',
  'noun 01190300': 'judgment',
  'noun 01194640': 'verdict',
  'noun 06563775': 'opinion',
  'noun 06746688': 'evidence',
  'noun 06747216': 'testimony',
  'noun 10269647': 'lawyer',
  'noun 10244889': 'judge',
  'noun 10247655': 'jurist',
  'noun 09781524': 'defendant',
  'noun 10286545': 'litigant',
  'noun 10806193': 'witness',
  'noun 10805946': 'witness',
  'noun 10495671': 'prisoner',
  'noun 10468557': 'policeman',
  'noun 08365742': 'law enforcement agency',
  'noun 08226608': 'police',
  'noun 05184812': 'legal right',
  'noun 05182180': 'right',
  'noun 05187094': 'privilege',
  'noun 13362771': 'right',
  'noun 05205695': 'legal power',
  'noun 13975819': 'legal status',
  'noun 01162829': 'punishment',
  'noun 13321578': 'penalty',
  'noun 01164866': 'imprisonment',
  'noun 14022691': 'captivity',
  'noun 14023148': 'detention',
  'noun 01149860': 'custody',
  'noun 00820339': 'hands',
  'noun 03116341': 'correctional institution',
  'noun 13265007': 'property',
  'noun 13271829': 'estate',
  'noun 13283812': 'inheritance',
  'noun 00084405': 'inheritance',
  'noun 10188177': 'heir',
  'noun 13261412': 'ownership',
  'noun 13269292': 'lease',
  'noun 15299849': 'lease',
  'noun 13309007': 'security interest',
  'noun 13422186': 'lien',
  'noun 13373153': 'mortgage',
  'noun 13371991': 'bail',
  'noun 05912039': 'bail',
  'noun 13418347': 'debt',
  'noun 14502017': 'bankruptcy',
  'noun 01188887': 'bankruptcy',
  'noun 13330021': 'tax',
  'noun 06547213': 'legislation',
  'noun 01128014': 'legislation',
  'noun 06736384': 'amendment',
  'noun 06786235': 'treaty',
  'noun 06864792': 'trademark',
  'noun 06698201': 'guarantee',
  'noun 01203761': 'divorce',
  'noun 01187782': 'adoption',
  'noun 13987306': 'marriage',
  'noun 10719850': 'tenant',
  'noun 10720289': 'tenant',
  'noun 10264933': 'landlord',
  'noun 13316680': 'rent',
  'noun 06532733': 'bill of lading',
  'noun 06483913': 'confession',
  'noun 07230743': 'confession',
  'noun 06697317': 'oath',
  'noun 07241501': 'oath',
  'noun 00208155': 'deportation',
  'noun 13976685': 'citizenship',
  'noun 09943131': 'citizen',
  'noun 10219108': 'immigrant',
  'noun 01247706': 'genocide',
  'noun 10250784': 'killer',
  'noun 10020538': 'delinquent',
  'noun 10436913': 'perpetrator',
  'noun 01252403': 'vandalism',
  'noun 01114037': 'smuggling',
  'noun 00420657': 'harassment',
  'noun 01156043': 'discrimination',
  'noun 00217041': 'dismissal',
  'noun 13365819': 'insurance',
  'noun 06535632': 'insurance policy',
  'noun 10382848': 'notary',
  'noun 10751971': 'trustee',
  'noun 10273692': 'legislator',
  'noun 08180172': 'legislature',
  'noun 08336128': 'parliament',
  'noun 00182489': 'referendum',
  'noun 00210395': 'veto',
  'noun 05206196': 'veto',
};

/** Topics whose members are law: the kinds of law, and these. */
const TOPICS: Readonly<Record<string, string>> = {
  'noun 00767761': 'crime',
  'noun 06532935': 'contract',
  'noun 06171434': 'jurisprudence',
  'noun 08346380': 'court',
  'noun 13330021': 'tax',
};
const LAW = 'noun 08458195';

/** Communication and people: what laws, courts and papers are called; names of single laws are worth an entry. */
const FILES_OF_NAMED_THINGS: ReadonlySet<number> = new Set([4, 10, 14]);
const FIELD = /^\([^)]*\b(?:law|legal|jurisprudence|court(?! games))\b[^)]*\)/i;
/** Adjectives; acts, artifacts, cognition, communication, events, groups, people, possessions, relations, states. */
const GLOSS_FILES: ReadonlySet<number> = new Set([0, 4, 6, 9, 10, 11, 14, 18, 21, 24, 26, 32, 40, 41]);
const LAW_WORDS =
  /\b(?:legal(?:ly)?|illegal(?:ly)?|by law|the law|laws|lawful(?:ly)?|unlawful(?:ly)?|lawyers?|attorneys?|court of law|law ?courts?|by a court|in court|(?:a|the) court (?:of|order|decision|proceeding)|lawsuits?|litigation|plaintiffs?|defendants?|judicial|jury|juries|juror|crimes?|criminals?|convicted|imprisoned|prisons?|prisoners?|police(?:man|men)?|statutes?|legislation|legislative|testator|inheritance|ownership of|copyright|patent(?:ed)?|contractual|constitutional|testify|under oath|sworn|verdict|acquitted|sued?|marital|bankrupt)\b/i;
const NOT_LAW =
  /\b(?:laws? of (?:nature|physics|motion|thermodynamics)|scientific|physical laws?|linguistics|games?|sports?|team|player)\b/i;
/** Verbs and adjectives join by what they are derived from. */
const DERIVED = '+';
const PERTAINS = '\\';

/** The synsets of the law, in the order of their keys. */
export function selectLegal(wordnet: WordNet): Synset[] {
  checkNames(wordnet, ROOTS, TOPICS, { [LAW]: 'law' });
  const chosen = wordnet.kindsOf(Object.keys(ROOTS), new Set());
  const topics = wordnet.kindsOf([LAW], new Set());
  for (const key of Object.keys(TOPICS)) topics.add(key);
  for (const synset of wordnet.synsets.values()) {
    const isLegal =
      FIELD.test(synset.gloss) ||
      isAboutLaw(synset) ||
      isNamedLaw(wordnet, synset, chosen) ||
      synset.pointers.some(({ symbol, target }) => symbol === ';c' && topics.has(target));
    if (isLegal) chosen.add(synset.key);
  }
  addRelatives(wordnet, chosen);
  return [...chosen]
    .sort()
    .map((key) => wordnet.get(key))
    .filter((synset) => !INSULT.test(synset.gloss) && !isIndividual(synset));
}

function isAboutLaw({ gloss, lexicographerFile }: Synset): boolean {
  const definition = definitionOf(gloss);
  return GLOSS_FILES.has(lexicographerFile) && LAW_WORDS.test(definition) && !NOT_LAW.test(definition);
}

/** `Fifth Amendment`, `Magna Carta`, `Supreme Court`. */
function isNamedLaw(wordnet: WordNet, synset: Synset, chosen: ReadonlySet<string>): boolean {
  if (!FILES_OF_NAMED_THINGS.has(synset.lexicographerFile)) return false;
  return synset.pointers.some(({ symbol, target }) => symbol === '@i' && chosen.has(wordnet.get(target).key));
}

/** People, places and single events bear names, and are no words of the law. */
function isIndividual({ pointers, lexicographerFile }: Synset): boolean {
  return pointers.some(({ symbol }) => symbol === '@i') && !FILES_OF_NAMED_THINGS.has(lexicographerFile);
}

/** `testamentary` pertains to a testament, `to sue` makes a suit. */
function addRelatives(wordnet: WordNet, chosen: Set<string>): void {
  const marked = [...chosen].filter((key) => FIELD.test(wordnet.get(key).gloss));
  const nouns = new Set(marked.filter((key) => key.startsWith('noun')));
  for (const synset of wordnet.synsets.values()) {
    const link = synset.partOfSpeech === 'adj' ? PERTAINS : synset.partOfSpeech === 'verb' ? DERIVED : null;
    if (link === null || !LAW_WORDS.test(synset.gloss)) continue;
    if (synset.pointers.some(({ symbol, target }) => symbol === link && nouns.has(target))) {
      chosen.add(synset.key);
    }
  }
}
