/**
 * What of FOLDOC and WordNet becomes an entry. FOLDOC has 12,000 articles, many about things that nobody has asked
 * for since 1995; how often other articles refer to one says whether it is still talked about. Of WordNet come the
 * computing synsets that FOLDOC has no article for.
 */
import { definitionOf, type GlossaryEntry } from '../glossary/entries.ts';
import { checkNames } from '../glossary/roots.ts';
import type { Synset, WordNet } from '../glossary/wordnet.ts';
import { type Article, plain, type Sense } from './foldoc.ts';
import { glossOf, sentences } from './gloss.ts';

/** Towns, universities, people's words for each other: no computing. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  ...[
    'abuse',
    'spelling',
    'education',
    'publication',
    'introduction',
    'person',
    'text',
    'games',
    'human language',
  ],
]);
/** Thousands of products, languages and companies came and went: of these only what others refer to often. */
const FLEETING: ReadonlySet<string> = new Set([
  ...[
    'company',
    'product',
    'body',
    'project',
    'language',
    'tool',
    'computer',
    'application',
    'job',
    'character',
    'jargon',
    'humour',
  ],
]);
const OFFENSIVE =
  /\b(?:fuck\w*|shit\w*|bullshit|crap|piss\w*|cunt|whore|slut|nigger\w*|rape[ds]?|orgasm\w*|masturbat\w*|penis|vagina|condoms?|porn\w*|sexual\w*|wank\w*|bastards?|ass|asshole|arseholes?)\b/i;
const TRIVIAL = /\bcountry code\b|^RFC \d|^\(?\s*see\b|^a (?:town|city|university)\b/i;
const NUMBERED_STANDARD = /^(?:RFC|STD|FYI|ISO|ANSI|IEEE|ECMA|CCITT|ITU-T|V\.|X\.)\s?\d{3,}/;
const MIN_CHARS = 30;
const MIN_CHARS_IF_KNOWN = 15;
const MIN_REFERENCES_IF_FLEETING = 3;
const MIN_REFERENCES = 1;
/** An article that nothing refers to stays if it has this much to say. */
const MIN_CHARS_IF_UNKNOWN = 250;
const MAX_SENSES = 3;
/** References at which an article is as likely to be asked for as any. */
const MANY_REFERENCES = 100;
const MAX_TERMS_IN_VIEW = 6;

/** Entries of FOLDOC, each sense one, in FOLDOC's order. */
export function foldocEntries(articles: readonly Article[]): GlossaryEntry[] {
  const references = countReferences(articles);
  const aliases = aliasesOf(articles);
  return articles.flatMap((article) => {
    if (article.pointsTo !== null) return [];
    const known = article.terms.reduce((sum, term) => sum + (references.get(term.toLowerCase()) ?? 0), 0);
    return article.senses.slice(0, MAX_SENSES).flatMap((sense, at) => {
      const entry = entryOf(article, sense, { number: at + 1, references: known, aliases });
      return entry === null ? [] : [entry];
    });
  });
}

/** How many articles refer to a term, by the term in lower case. */
function countReferences(articles: readonly Article[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { references } of articles) {
    for (const to of new Set(references)) counts.set(to, (counts.get(to) ?? 0) + 1);
  }
  return counts;
}

/** `broker` is another name of the object request broker, where that is all that FOLDOC says of it in one sense. */
function aliasesOf(articles: readonly Article[]): Map<string, string[]> {
  const known = new Set(articles.flatMap(({ terms }) => terms.map((term) => term.toLowerCase())));
  const aliases = new Map<string, string[]>();
  for (const { pointsTo, terms, senses } of articles) {
    const targets = pointsTo === null ? senses.map(pointerOf) : [plain(pointsTo)];
    for (const target of targets.map((one) => one.toLowerCase())) {
      const isOther = known.has(target) && !terms.some((term) => term.toLowerCase() === target);
      if (isOther) aliases.set(target, [...(aliases.get(target) ?? []), ...terms]);
    }
  }
  return aliases;
}

/** `Domain Name System.` or `See multithreading.`: what a sense that says nothing else points to. */
function pointerOf({ paragraphs }: Sense): string {
  const [first = '', ...more] = paragraphs;
  return more.length > 0 ? '' : first.replace(/^see\s+/i, '').replace(/\.$/, '');
}

interface Standing {
  readonly number: number;
  readonly references: number;
  readonly aliases: ReadonlyMap<string, readonly string[]>;
}

function entryOf(
  article: Article,
  sense: Sense,
  { number, references, aliases }: Standing,
): GlossaryEntry | null {
  const { gloss, names } = glossOf(sense.paragraphs);
  const [title = ''] = article.terms;
  if (!isWorthwhile(title, sense, gloss, references)) return null;
  const pointing = number === 1 ? article.terms.flatMap((term) => aliases.get(term.toLowerCase()) ?? []) : [];
  const terms = unique([...article.terms, ...names, ...pointing]);
  const kind = sense.subjects.length === 0 ? '' : ` (${sense.subjects.join(', ')})`;
  const shown = `${terms.slice(0, MAX_TERMS_IN_VIEW).join(', ')}${kind}`;
  return {
    terms,
    gloss,
    source: `FOLDOC: ${title}`,
    senses: terms.map((_, at) => number + (at < article.terms.length ? 0 : 1)),
    prior: Math.min(1, Math.log(1 + references) / Math.log(1 + MANY_REFERENCES)) / number,
    views: viewsOf(shown, gloss),
  };
}

/**
 * A person describes a thing in one sentence, FOLDOC in five: the first sentence alone counts as much as all of them.
 * (On the questions for fitting: top 1 from 37 to 39 %, top 3 from 51 to 63 %.)
 */
function viewsOf(names: string, gloss: string): string[] {
  const [first = gloss] = sentences(gloss);
  const whole = [`${names}: ${gloss}`, `${gloss} ${names}`];
  return first.length < gloss.length ? [...whole, `${names}: ${first}`, `${first} ${names}`] : whole;
}

function isWorthwhile(title: string, { subjects }: Sense, gloss: string, references: number): boolean {
  const isKnown = references >= MIN_REFERENCES_IF_FLEETING;
  if (gloss.length < (isKnown ? MIN_CHARS_IF_KNOWN : MIN_CHARS)) return false;
  if (!isKnown && (!/\p{L}/u.test(title) || NUMBERED_STANDARD.test(title))) return false;
  if (OFFENSIVE.test(`${title} ${gloss}`) || TRIVIAL.test(gloss)) return false;
  if (subjects.some((subject) => LEFT_OUT.has(subject)) && !isKnown) return false;
  if (subjects.some((subject) => FLEETING.has(subject))) return isKnown;
  return references >= MIN_REFERENCES || gloss.length >= MIN_CHARS_IF_UNKNOWN;
}

/** The first of terms that differ in nothing but case. */
function unique(terms: readonly string[]): string[] {
  const seen = new Set<string>();
  return terms.filter((term) => {
    const key = term.toLowerCase();
    const isNew = key !== '' && !seen.has(key) && !/[\t\n]/.test(term);
    seen.add(key);
    return isNew;
  });
}

/** Roots by key and name; the name guards against the wrong version of WordNet. */
const ROOTS: Readonly<Record<string, string>> = {
  'noun 03086983': 'computer',
  'noun 06578068': 'software',
  'noun 06911128': 'programming language',
  'noun 06521201': 'computer file',
  'noun 03922839': 'peripheral',
  'noun 03749767': 'computer memory',
  'noun 03089375': 'computer network',
  'noun 09970753': 'computer user',
  'noun 10500853': 'programmer',
  'noun 09970549': 'computer scientist',
  'noun 13476660': 'data processing',
  'noun 00930762': 'programming',
  'noun 05736438': 'data structure',
  'noun 03088462': 'computer circuit',
  'noun 03712192': 'magnetic disk',
  'noun 05855965': 'algorithm',
  'noun 07314187': 'computer error',
  'noun 06289979': 'electronic mail',
  'noun 06142654': 'artificial intelligence',
  'noun 06370600': 'web site',
};
const TOPICS: Readonly<Record<string, string>> = {
  'noun 06138021': 'computer science',
  'noun 03086983': 'computer',
};
const FIELD = /^\((?:computer science|computing|computers?|Internet|telecommunication)\)/i;
/** Words of its own, in a definition. */
const COMPUTING_WORDS =
  /\b(?:computers?|software|internet|web ?sites?|web pages?|world wide web|e-?mail|on-?line service|computer program)\b/i;
const GLOSS_FILES: ReadonlySet<number> = new Set([0, 4, 6, 9, 10]);

/** The computing synsets of WordNet, in the order of their keys. */
export function selectComputing(wordnet: WordNet): Synset[] {
  checkNames(wordnet, ROOTS, TOPICS);
  const chosen = wordnet.kindsOf(Object.keys(ROOTS), new Set());
  const topics = new Set(Object.keys(TOPICS));
  for (const synset of wordnet.synsets.values()) {
    const isComputing =
      FIELD.test(synset.gloss) ||
      (GLOSS_FILES.has(synset.lexicographerFile) && COMPUTING_WORDS.test(definitionOf(synset.gloss))) ||
      synset.pointers.some(({ symbol, target }) => symbol === ';c' && topics.has(target));
    if (isComputing) chosen.add(synset.key);
  }
  return [...chosen]
    .sort()
    .map((key) => wordnet.get(key))
    .filter(
      ({ pointers, gloss }) => !pointers.some(({ symbol }) => symbol === '@i') && !OFFENSIVE.test(gloss),
    );
}

/** Those synsets that share a term with none of `entries`, and those that share one. */
export function apart(
  synsets: readonly Synset[],
  entries: readonly GlossaryEntry[],
): { readonly alone: Synset[]; readonly shared: Synset[] } {
  const terms = new Set(entries.flatMap((entry) => entry.terms.map((term) => term.toLowerCase())));
  const isShared = (synset: Synset): boolean => synset.terms.some((term) => terms.has(term.toLowerCase()));
  return { alone: synsets.filter((synset) => !isShared(synset)), shared: synsets.filter(isShared) };
}
