/**
 * Which expert the real routers give a question to, against the one that should have it:
 *
 *     node scripts/experts/glossary/confusion.ts [CLINC150_FOLDER] [--choosing]
 *
 * Prints a confusion matrix at the default least score, with meaning and with words alone, what other least scores
 * would do, and for French, Spanish and German what knowing the language changes. `--choosing` uses the questions on
 * which ways to score may be compared.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expertOf } from '../../../agent/catalog/facts.ts';
import { speaks } from '../../../agent/language.ts';
import { perceive, quantize } from '../../../agent/perception.ts';
import type { Memory } from '../../../agent/ports.ts';
import type { Expert, Features } from '../../../agent/types.ts';
import { splitMessage } from '../../../agent/words.ts';
import { best } from '../../../policies/combiner/best.ts';
import { nearest } from '../../../policies/router/nearest.ts';
import { rules } from '../../../policies/router/rules.ts';
import { parseManifest } from '../manifest.ts';
import { embed, languageOf, openExpert } from './embedding.ts';
import { packageFolder } from './places.ts';
import { GLOSSARIES } from './registry.ts';
import { choosingSet, measuringSet, NONE, type Routed } from './routing-sets.ts';

const MIN_SCORE = 0.36;
const TIE_MARGIN = 0.02;
const OTHER_SCORES = [0.3, 0.33, 0.36, 0.39, 0.42, 0.45, 0.48, 0.51, 0.54, 0.57, 0.6];
const EMBEDDER_LANGUAGE = 'en';
const EXPERTS = ['lang-id', ...GLOSSARIES.map(({ id }) => id)];
const NO_MEMORY: Pick<Memory, 'profile' | 'prototypes'> = { profile: () => null, prototypes: () => null };

interface Asked extends Routed {
  readonly features: Features;
}

async function main(clinc: string | undefined, choosing: boolean): Promise<void> {
  const { experts, asked } = await prepare(choosing ? choosingSet(clinc) : measuringSet(clinc));
  const english = asked.filter(({ language }) => language === 'en');
  const withoutMeaning = english.map((one) => ({ ...one, features: { ...one.features, embedding: null } }));
  print('by meaning and words', confusion(experts, english, MIN_SCORE));
  print('by words alone', confusion(experts, withoutMeaning, MIN_SCORE));
  for (const minScore of OTHER_SCORES) {
    process.stdout.write(`${minScore}  ${JSON.stringify(summary(confusion(experts, english, minScore)))}\n`);
  }
  for (const language of ['fr', 'es', 'de']) {
    const foreign = asked.filter((one) => one.language === language);
    for (const [way, change] of Object.entries(WAYS_WITH_LANGUAGES)) {
      print(`${language}, ${way}`, confusion(experts, foreign.map(change), MIN_SCORE));
    }
  }
}

/** What the router may be told of a request: nothing of its language; the language; the language, and its meaning only
 * where the embedder speaks it. */
const WAYS_WITH_LANGUAGES: Readonly<Record<string, (asked: Asked) => Asked>> = {
  'language unknown': (asked) => ({ ...asked, features: { ...asked.features, language: null } }),
  'language known': (asked) => asked,
  'language known, meaning in English alone': (asked) => {
    const { language, embedding } = asked.features;
    const isRead = language === null || language === EMBEDDER_LANGUAGE;
    return { ...asked, features: { ...asked.features, embedding: isRead ? embedding : null } };
  },
};

async function prepare(routed: readonly Routed[]): Promise<{ experts: Expert[]; asked: Asked[] }> {
  const embedder = await openExpert(packageFolder('embedder'));
  const detector = await openExpert(packageFolder('lang-id'));
  const vector = async (text: string): Promise<Int8Array> => quantize(await embed(embedder, text));
  const experts: Expert[] = [];
  for (const id of EXPERTS) {
    const directory = packageFolder(id);
    const manifest = parseManifest(readFileSync(join(directory, 'expert.json'), 'utf8'));
    const memory = NO_MEMORY as Memory;
    const expert = expertOf(
      { manifest, directory, digest: id },
      { memory, embedderDigest: null, pinned: false, contextTokens: null, fallback: null },
    );
    const prototypes = [];
    for (const example of manifest.routing.examples) prototypes.push(await vector(example));
    experts.push({ ...expert, routing: { ...expert.routing, prototypes } });
  }
  const asked: Asked[] = [];
  for (const one of routed) {
    const { question } = splitMessage(one.question);
    const language = await languageOf(detector, question);
    asked.push({ ...one, features: { ...perceive(question), language, embedding: await vector(question) } });
  }
  await Promise.all([embedder.release(), detector.release()]);
  return { experts, asked };
}

/** As `agent/routing.ts` asks them: rules first, then the nearest, each of those who speak the language; none resident. */
function route(experts: readonly Expert[], features: Features, minScore: number): string {
  for (const router of [rules, nearest]) {
    const speakers = experts.filter((expert) => speaks(expert, features.language));
    const candidates = router({ features, experts: speakers, minScore });
    const picked = best(candidates, { minScore, tieMargin: TIE_MARGIN, isResident: () => false });
    if (picked !== null) return picked.expert;
  }
  return NONE;
}

type Confusion = Record<string, Record<string, number>>;

/** Rows: the expert that should have it; columns: the one that got it. */
function confusion(experts: readonly Expert[], asked: readonly Asked[], minScore: number): Confusion {
  const counts: Confusion = {};
  for (const { expert, features } of asked) {
    const got = route(experts, features, minScore);
    const row = counts[expert] ?? Object.fromEntries([...EXPERTS, NONE].map((id) => [id, 0]));
    counts[expert] = { ...row, [got]: (row[got] ?? 0) + 1 };
  }
  return counts;
}

/** Percent right of each row. */
function summary(counts: Confusion): Record<string, number> {
  const rows = Object.entries(counts).map(([expert, row]) => {
    const total = Object.values(row).reduce((sum, count) => sum + count, 0);
    return [expert, Number(((100 * (row[expert] ?? 0)) / total).toFixed(1))];
  });
  return Object.fromEntries(rows);
}

function print(title: string, counts: Confusion): void {
  process.stdout.write(`\n${title}\n`);
  for (const [expert, row] of Object.entries(counts)) {
    const cells = Object.entries(row).map(([id, count]) => `${id} ${count}`);
    process.stdout.write(`  ${expert.padEnd(10)} ${cells.join('  ')}  right ${summary(counts)[expert]} %\n`);
  }
}

const [clinc] = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
await main(clinc, process.argv.includes('--choosing'));
