/**
 * Fits a glossary's fusion of meaning and words and writes its `fusion.json`:
 *
 *     node scripts/experts/glossary/fit.ts NAME NODE_MODULES [DICTIONARIES]
 *
 * Reads the built package (any weights will do), so: build, fit, build. The ratio of the weights is searched on a
 * grid for the best ranking; then one slope and one bias (Platt 1999) turn ranks' numbers into probabilities.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tensor } from 'onnxruntime-node';
import { openSession } from '../../../agent/runtime/session.ts';
import type { Task } from '../../../agent/runtime/task.ts';
import { type Fusion, RetrievalIndex } from '../../../agent/runtime/tasks/retrieval-index.ts';
import { WordLookup } from '../../../agent/runtime/tasks/retrieval-lookup.ts';
import { rank } from '../../../agent/runtime/tasks/retrieval-ranking.ts';
import { parseManifest } from '../manifest.ts';
import type { Glossary } from './definition.ts';
import { embed, openExpert } from './embedding.ts';
import { fittingSamples, type Question, type Sample } from './fitting-samples.ts';
import { makerFile, openSources, packageFolder, readMakerJson } from './places.ts';
import { glossaryNamed } from './registry.ts';

/** How much each kind of question counts, however many samples it has. */
const SHARE: Readonly<Record<Sample['kind'], number>> = {
  described: 0.25,
  defined: 0.15,
  named: 0.3,
  misspelt: 0.1,
  compared: 0.05,
  foreign: 0.15,
};
/** Wider grids (term to 2.5, prior to 0.3, term alone to 2) gained less than 0.003 in any glossary. */
const GRID = {
  words: [0.1, 0.2, 0.3, 0.45],
  term: [0.8, 1, 1.2, 1.5],
  touched: [0, -0.05, -0.1],
  prior: [0, 0.05, 0.1, 0.15],
};
const ALONE_GRID = { words: [1], term: [0.2, 0.5, 1] };
const TOP = 5;

interface Measured extends Sample {
  readonly lookup: { words: Float32Array; terms: Float32Array; hasContent: boolean };
  readonly cosines: Float32Array;
  readonly weight: number;
}
interface Fitting {
  readonly samples: readonly Measured[];
  readonly priors: Uint8Array;
}
const NOTHING: Fusion = {
  ...{ bias: 0, meaning: 0, words: 0, term: 0, touched: 0, prior: 0 },
  ...{ biasAlone: 0, wordsAlone: 0, termAlone: 0 },
};

async function main(glossary: Glossary, packages: string, dictionaries: string | undefined): Promise<void> {
  const sources = openSources(packages, dictionaries);
  const samples = fittingSamples({
    entries: glossary.entries(sources),
    wordnet: sources.wordnet,
    definitions: glossary.fitting.otherDefinitions(sources),
    questions: readMakerJson<Question[]>(glossary.id, 'fitting-questions.json'),
    fitting: glossary.fitting,
  });
  const fitting = await measure(glossary, samples);
  const withMeaning = best(combinations(GRID), (ratio) =>
    quality(fitting, { ...NOTHING, meaning: 1, ...ratio }, true),
  );
  const alone = best(combinations(ALONE_GRID), ({ words, term }) =>
    quality(fitting, { ...NOTHING, wordsAlone: words, termAlone: term }, false),
  );
  const ratio = { ...NOTHING, meaning: 1, ...withMeaning, wordsAlone: alone.words, termAlone: alone.term };
  const fusion = calibrated(fitting, ratio);
  writeFileSync(makerFile(glossary.id, 'fusion.json'), `${JSON.stringify(fusion, null, 2)}\n`);
  process.stdout.write(
    `${samples.length} samples; ${JSON.stringify({ ratio, fusion, quality: quality(fitting, ratio, true), alone: quality(fitting, ratio, false) })}\n`,
  );
}

/** All ways to take one value of each list. */
function combinations<K extends string>(grid: Readonly<Record<K, readonly number[]>>): Record<K, number>[] {
  let all: Partial<Record<K, number>>[] = [{}];
  for (const [key, values] of Object.entries<readonly number[]>(grid)) {
    all = all.flatMap((part) => values.map((value) => ({ ...part, [key]: value })));
  }
  return all as Record<K, number>[];
}

async function measure({ id }: Glossary, samples: readonly Sample[]): Promise<Fitting> {
  const directory = packageFolder(id);
  const manifest = parseManifest(readFileSync(join(directory, 'expert.json'), 'utf8'));
  if (manifest.index === undefined) throw new Error('expert.json has no index');
  const index = new RetrievalIndex(join(directory, manifest.index.entries));
  const session = await openSession({ directory, manifest }, manifest.model.path, 1);
  const embedder: Task = await openExpert(packageFolder(manifest.index.embedder));
  const lookup = new WordLookup(index);
  const count = (kind: string): number => samples.filter((sample) => sample.kind === kind).length;
  const measured: Measured[] = [];
  for (const sample of samples) {
    const vector = await embed(embedder, sample.question);
    const { scores } = await session.run({ embedding: new Tensor('float32', vector, [1, vector.length]) });
    if (!(scores?.data instanceof Float32Array)) throw new Error('the graph has no float32 "scores"');
    const { words, terms, hasContent } = lookup.lookUp(sample.question);
    measured.push({
      ...sample,
      lookup: { words: words.slice(), terms: terms.slice(), hasContent },
      cosines: scores.data,
      weight: SHARE[sample.kind] / count(sample.kind),
    });
  }
  await Promise.all([session.release(), embedder.release()]);
  index.close();
  return { samples: measured, priors: index.priors };
}

/** Weighted mean of right firsts and right among the first three. */
function quality({ samples, priors }: Fitting, fusion: Fusion, withMeaning: boolean): number {
  let sum = 0;
  for (const sample of samples) {
    if (sample.kind === 'foreign') continue;
    const found = ranked(sample, { fusion, priors }, withMeaning).map(({ entry }) => entry);
    const isWithin = (count: number): boolean =>
      sample.wanted.every((right) => found.slice(0, count).some((entry) => right.has(entry)));
    sum += (sample.weight * (Number(isWithin(sample.wanted.length)) + Number(isWithin(3)))) / 2;
  }
  return sum;
}

function ranked(
  { lookup, cosines }: Measured,
  model: { readonly fusion: Fusion; readonly priors: Uint8Array },
  withMeaning: boolean,
) {
  return rank(model, lookup, withMeaning ? cosines : null, { count: TOP, minScore: 1e-9 });
}

function best<T>(choices: readonly T[], value: (choice: T) => number): T {
  const valued = choices.map((choice) => ({ choice, value: value(choice) }));
  const top = valued.reduce((left, right) => (right.value > left.value ? right : left));
  return top.choice;
}

/** Slope and bias for both ways, from the first entry of each sample: that is the score which people act on. */
function calibrated(fitting: Fitting, ratio: Fusion): Fusion {
  const meaning = platt(points(fitting, ratio, true));
  const alone = platt(points(fitting, ratio, false));
  const round = (value: number): number => Number(value.toPrecision(4));
  return {
    bias: round(meaning.bias),
    meaning: round(meaning.slope * ratio.meaning),
    words: round(meaning.slope * ratio.words),
    term: round(meaning.slope * ratio.term),
    touched: round(meaning.slope * ratio.touched),
    prior: round(meaning.slope * ratio.prior),
    biasAlone: round(alone.bias),
    wordsAlone: round(alone.slope * ratio.wordsAlone),
    termAlone: round(alone.slope * ratio.termAlone),
  };
}

interface Point {
  readonly value: number;
  readonly isRight: boolean;
  readonly weight: number;
}

function points({ samples, priors }: Fitting, fusion: Fusion, withMeaning: boolean): Point[] {
  return samples.flatMap((sample) =>
    ranked(sample, { fusion, priors }, withMeaning)
      .slice(0, 1)
      .map(({ entry, score }) => ({
        value: Math.log(score / (1 - score)),
        isRight: sample.wanted.some((right) => right.has(entry)),
        weight: sample.weight,
      })),
  );
}

/** Logistic regression of one variable by Newton's method. */
function platt(data: readonly Point[]): { slope: number; bias: number } {
  let slope = 1;
  let bias = 0;
  for (let step = 0; step < 50; step += 1) {
    let [g0, g1, h00, h01, h11] = [0, 0, 1e-9, 0, 1e-9];
    for (const { value, isRight, weight } of data) {
      const p = 1 / (1 + Math.exp(-(slope * value + bias)));
      const error = weight * (p - Number(isRight));
      const curve = weight * p * (1 - p);
      g0 += error;
      g1 += error * value;
      h00 += curve;
      h01 += curve * value;
      h11 += curve * value * value;
    }
    const determinant = h00 * h11 - h01 * h01;
    bias -= (h11 * g0 - h01 * g1) / determinant;
    slope -= (h00 * g1 - h01 * g0) / determinant;
  }
  return { slope, bias };
}

const [name, packages, dictionaries] = process.argv.slice(2);
if (packages === undefined) throw new Error('usage: fit.ts NAME NODE_MODULES [DICTIONARIES]');
await main(glossaryNamed(name), packages, dictionaries);
