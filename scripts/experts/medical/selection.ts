/**
 * Which of WordNet's 117,000 synsets are medicine. Five nets, since none alone is enough: kinds of a root (every
 * kind of disease), topics (what WordNet itself marks as medicine), glosses that open with a field, glosses with
 * medical words, and adjectives and verbs that belong to what the other nets caught.
 */
import { definitionOf } from '../glossary/entries.ts';
import { checkNames, INSULT } from '../glossary/roots.ts';
import type { Synset, WordNet } from '../glossary/wordnet.ts';

/** Roots by key and name; the name guards against the wrong version of WordNet. */
const ROOTS: Readonly<Record<string, string>> = {
  'noun 14057659': 'physical condition',
  'noun 14075399': 'pathological state',
  'noun 14323139': 'symptom',
  'noun 14325305': 'sign',
  'noun 14525310': 'abnormality',
  'noun 14107272': 'mental disorder',
  'noun 14403545': 'mental illness',
  'noun 14427564': 'depression',
  'noun 14397837': 'anxiety',
  'noun 14400260': 'delusion',
  'noun 14440249': 'dissociation',
  'noun 14257556': 'growth',
  'noun 14104857': 'attack',
  'noun 14574579': 'deafness',
  'noun 14574061': 'amputation',
  'noun 14471374': 'health',
  'noun 05654063': 'mental retardation',
  'noun 03252323': 'drug',
  'noun 03745652': 'medicine',
  'noun 04081594': 'remedy',
  'noun 04524830': 'vaccine',
  'noun 15113825': 'vitamin',
  'noun 05414462': 'hormone',
  'noun 15058641': 'toxin',
  'noun 15056943': 'poison',
  'noun 15051756': 'antibody',
  'noun 14757125': 'enzyme',
  'noun 02727132': 'antiseptic',
  'noun 14608440': 'allergen',
  'noun 03101244': 'contraceptive',
  'noun 00021914': 'nutrient',
  'noun 03229941': 'dose',
  'noun 01026334': 'medical procedure',
  'noun 00177976': 'diagnostic procedure',
  'noun 00659325': 'treatment',
  'noun 00658847': 'medical care',
  'noun 00672594': 'operation',
  'noun 00902781': 'imaging',
  'noun 00153925': 'medical diagnosis',
  'noun 00143181': 'medical examination',
  'noun 05750496': 'blood test',
  'noun 00830651': 'immunization',
  'noun 00862112': 'immune response',
  'noun 00853624': 'birth control',
  'noun 07576677': 'diet',
  'noun 00865191': 'reflex',
  'noun 10184702': 'health professional',
  'noun 10325469': 'medical practitioner',
  'noun 10651974': 'medical specialist',
  'noun 10615055': 'sick person',
  'noun 10425439': 'patient',
  'noun 06055093': 'medical science',
  'noun 03745184': 'medical instrument',
  'noun 03745009': 'medical building',
  'noun 08070657': 'medical institution',
  'noun 03180270': 'dental appliance',
  'noun 04020105': 'prosthesis',
  'noun 03116550': 'corrective',
  'noun 02788671': 'bandage',
  'noun 03242342': 'dressing',
  'noun 04583288': 'wheelchair',
  'noun 13461236': 'bodily process',
  'noun 13519607': 'infection',
  'noun 13554089': 'birth',
  'noun 13473520': 'convalescence',
  'noun 07434560': 'remission',
  'noun 07415506': 'pulse',
  'noun 15305913': 'heart rate',
  'noun 11450082': 'blood pressure',
  'noun 05022063': 'body temperature',
  'noun 06652665': 'body mass index',
  'noun 05659816': 'sense',
  'noun 05007507': 'obesity',
  'noun 07450133': 'epidemic',
  'noun 15179422': 'menopause',
  'noun 15173255': 'puberty',
  'noun 00643288': 'endoscopy',
  'noun 00231191': 'abortion',
  'noun 05680235': 'amnesia',
  'noun 01462432': 'fetus',
  'noun 10485017': 'premature infant',
  'noun 00949739': 'substance abuse',
  'noun 09204454': 'mania',
  'noun 09206152': 'compulsion',
  'noun 10726882': 'therapist',
  'noun 14866189': 'halitosis',
  'noun 10508450': 'psychologist',
};

/** What the nets would catch beside: other species, dress, food and drink. */
const WITHOUT: Readonly<Record<string, string>> = {
  'noun 14276606': 'animal disease',
  'noun 14300438': 'plant disease',
  'noun 05264345': 'hairdo',
  'noun 07900542': 'alcohol',
  'noun 05269065': 'beard',
};

/** Topics whose members are medicine: medical science and its branches, and these. */
const TOPICS: Readonly<Record<string, string>> = {
  'noun 00613447': 'medicine',
  'noun 06090110': 'physiology',
  'noun 06067070': 'anatomy',
  'noun 06080976': 'embryology',
  'noun 06086963': 'histology',
  'noun 06091190': 'neurophysiology',
  'noun 06091421': 'neuroscience',
  'noun 00672594': 'operation',
  'noun 03252323': 'drug',
  'noun 03814104': 'narcotic',
  'noun 03745652': 'medicine',
  'noun 00701905': 'psychotherapy',
};
const MEDICAL_SCIENCE = 'noun 06055093';

const BODY_FILE = 8;
const VERBS_OF_THE_BODY_FILE = 29;
/** Microbes number hundreds; these are the ones that people fall ill with. */
const MICROBES: Readonly<Record<string, string>> = {
  'noun 01328932': 'microorganism',
  'noun 01351171': 'bacteria',
  'noun 01331343': 'virus',
  'noun 01387328': 'parasite',
};
const CAUSES_ILLNESS =
  /\b(?:disease|infect\w*|pathogen\w*|fever|pneumonia|diarrhea|poisoning|illness|parasitic in humans)\b/i;
const FIELD =
  /^\((?:medicine|pathology|anatomy|surgery|psychiatry|physiology|dentistry|obstetrics|pharmacology|neurology|ophthalmology|immunology|medical|embryology|virology|microbiology)\b/i;
/**
 * Adjectives; acts, artifacts, cognition, communication, events, people, phenomena, processes, quantities, states,
 * substances, times; verbs of the body and of change.
 */
const GLOSS_FILES: ReadonlySet<number> = new Set([0, 4, 6, 9, 10, 11, 18, 19, 22, 23, 26, 27, 28, 29, 30]);
const POSSESSION_FILE = 21;
const MEDICAL_WORDS =
  /\b(?:medical|medicines?|medicinal|medication|surgical(?:ly)?|surgery|surgeons?|patients?|physicians?|diseases?|illness|therapeutic|diagnos\w*|symptoms?|an(?:a)?esthe\w*|clinical|tumou?rs?|cancers?|blood (?!br)\w+|the blood|cardiac|the heart|brain|lungs?|kidneys?|liver|intestin\w+|colon|of bones?|muscles|nerves?|uterus|womb|urine|bladder|vaccin\w*|infections?|pregnan\w*|pregnancy|childbirth|fetus|fever|inserted into the body|loss of memory)\b/i;
/** Glosses of what is no one's question to a medical glossary: other animals, plants, insults. */
const OTHER_SPECIES =
  /\b(?:(?<!sea )horses?|sheep|cattle|birds?|fowl|poultry|insects?|arthropods?|mollus[ck]s?|echinoderms?|fish(?:es)?|reptiles?|invertebrates?|crustaceans?|plants?|ferns?|mosses|algae|livestock|hoof|hoofed|dogs?|protozoans?|coelenterates?)\b/i;
const HUMANS =
  /\b(?:human|humans|people|persons?|person's|man|men|woman|women|child|children|infants?|patients?|disease|infect\w*|skin|fever|treat\w*|drug|poison\w*|brain|blood|hair|pathogens?)\b/i;

/** The medical synsets, in the order of their keys. */
export function selectMedical(wordnet: WordNet): Synset[] {
  checkNames(wordnet, ROOTS, WITHOUT, TOPICS, MICROBES, { [MEDICAL_SCIENCE]: 'medical science' });
  const without = new Set(Object.keys(WITHOUT));
  for (const key of wordnet.kindsOf(Object.keys(WITHOUT), new Set())) without.add(key);
  const chosen = wordnet.kindsOf(Object.keys(ROOTS), without);
  const topics = wordnet.kindsOf([MEDICAL_SCIENCE], new Set());
  for (const key of Object.keys(TOPICS)) topics.add(key);
  const microbes = wordnet.kindsOf(Object.keys(MICROBES), new Set());
  for (const synset of wordnet.synsets.values()) {
    const isMedical =
      (synset.lexicographerFile === BODY_FILE && synset.partOfSpeech === 'noun') ||
      (microbes.has(synset.key) && CAUSES_ILLNESS.test(synset.gloss)) ||
      FIELD.test(synset.gloss) ||
      (GLOSS_FILES.has(synset.lexicographerFile) && MEDICAL_WORDS.test(definitionOf(synset.gloss))) ||
      synset.pointers.some(({ symbol, target }) => symbol === ';c' && topics.has(target));
    if (isMedical && !without.has(synset.key)) chosen.add(synset.key);
  }
  addRelatives(wordnet, chosen);
  return [...chosen]
    .sort()
    .map((key) => wordnet.get(key))
    .filter(isForPeople);
}

/** `cardiac` pertains to the heart; `to vomit` comes from vomiting. */
function addRelatives(wordnet: WordNet, chosen: Set<string>): void {
  const nouns = new Set(chosen);
  for (const synset of wordnet.synsets.values()) {
    const isPertainym = synset.partOfSpeech === 'adj';
    const isBodily = synset.partOfSpeech === 'verb' && synset.lexicographerFile === VERBS_OF_THE_BODY_FILE;
    const links = isPertainym ? ['\\'] : isBodily ? ['+'] : [];
    if (synset.pointers.some(({ symbol, target }) => links.includes(symbol) && nouns.has(target))) {
      chosen.add(synset.key);
    }
  }
}

function isForPeople(synset: Synset): boolean {
  const isIndividual = synset.pointers.some(({ symbol }) => symbol === '@i');
  if (isIndividual || synset.lexicographerFile === POSSESSION_FILE) return false;
  if (INSULT.test(synset.gloss)) return false;
  return !OTHER_SPECIES.test(synset.gloss) || HUMANS.test(synset.gloss);
}
