/**
 * Measures a glossary on questions that nothing was fitted on, by meaning and words, by meaning alone, and by words
 * alone; writes the figures into `quality` of its expert.json. `--misses` lists what was not found, of the first set
 * only: a set whose misses were looked at is no longer unseen.
 *
 *     node scripts/experts/glossary/evaluate.ts NAME [--misses]
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tensor } from 'onnxruntime-node';
import type { Manifest } from '../../../agent/catalog/manifest.ts';
import type { Passage } from '../../../agent/ports.ts';
import { openSession } from '../../../agent/runtime/session.ts';
import type { Task } from '../../../agent/runtime/task.ts';
import { RetrievalIndex } from '../../../agent/runtime/tasks/retrieval-index.ts';
import { parseManifest } from '../manifest.ts';
import type { Glossary } from './definition.ts';
import { ask, embed, openExpert } from './embedding.ts';
import { entriesByTerm, type Question } from './fitting-samples.ts';
import { packageFolder, readMakerJson } from './places.ts';
import { glossaryNamed } from './registry.ts';

const SHOWN = 3;

type Way = 'meaningAndWords' | 'meaningOnly' | 'wordsOnly';
type Tally = Record<string, { questions: number; top1: number; top3: number }>;

interface Ways {
  both(question: string, vector: Float32Array): Promise<readonly Passage[]>;
  meaning(vector: Float32Array): Promise<readonly string[][]>;
  words(question: string): Promise<readonly Passage[]>;
}

async function main(glossary: Glossary, showMisses: boolean): Promise<void> {
  const folder = packageFolder(glossary.id);
  const path = join(folder, 'expert.json');
  const manifest = parseManifest(readFileSync(path, 'utf8'));
  if (manifest.index === undefined) throw new Error(`${path} has no index`);
  const embedder = await openExpert(packageFolder(manifest.index.embedder));
  const expert = await openExpert(folder);
  const ways: Ways = {
    both: (question, vector) => ask(expert, question, vector),
    meaning: await openMeaning(folder, manifest),
    words: (question) => ask(expert, question, null),
  };
  let quality: Record<string, unknown> = {};
  for (const { file, name } of glossary.questionSets) {
    const questions = readMakerJson<Question[]>(glossary.id, file);
    const measured = await measureSet(questions, { embedder, ways, showMisses: showMisses && name === null });
    quality = { ...quality, ...(name === null ? measured : { [name]: measured }) };
  }
  await Promise.all([embedder.release(), expert.release()]);
  const written: { quality?: object } = JSON.parse(readFileSync(path, 'utf8'));
  const manifestNow = { ...written, quality: { ...written.quality, ...quality } };
  writeFileSync(path, `${JSON.stringify(manifestNow, null, 2)}\n`);
  process.stdout.write(`${JSON.stringify(quality, null, 2)}\n`);
}

async function measureSet(
  questions: readonly Question[],
  { embedder, ways, showMisses }: { embedder: Task; ways: Ways; showMisses: boolean },
): Promise<object> {
  const tallies: Record<Way, Tally> = { meaningAndWords: {}, meaningOnly: {}, wordsOnly: {} };
  const bins = Array.from({ length: 5 }, () => ({ count: 0, right: 0, score: 0 }));
  for (const asked of questions) {
    const vector = await embed(embedder, asked.question);
    const both = await ways.both(asked.question, vector);
    const found = both.map(titleAndSynonyms);
    count(tallies.meaningAndWords, asked, found);
    count(tallies.meaningOnly, asked, await ways.meaning(vector));
    count(tallies.wordsOnly, asked, (await ways.words(asked.question)).map(titleAndSynonyms));
    calibrate(bins, asked, both);
    if (showMisses && !isFound(asked, found, SHOWN)) show(asked, both);
  }
  return {
    questions: questions.length,
    ...mapValues(tallies, percentages),
    calibration: reliability(bins),
  };
}

/** Ranks by cosine alone, with neither words nor terms: the graph as it is. */
async function openMeaning(
  directory: string,
  manifest: Manifest,
): Promise<(vector: Float32Array) => Promise<string[][]>> {
  const session = await openSession({ directory, manifest }, manifest.model.path, 1);
  const index = new RetrievalIndex(join(directory, manifest.index?.entries ?? ''));
  return async (vector) => {
    const { scores } = await session.run({ embedding: new Tensor('float32', vector, [1, vector.length]) });
    if (!(scores?.data instanceof Float32Array)) throw new Error('the graph has no float32 "scores"');
    const ranked = [...scores.data.entries()].sort(([, left], [, right]) => right - left);
    return ranked.slice(0, SHOWN).map(([entry]) => [...index.record(entry).terms]);
  };
}

/** All terms of a passage: its text ends with `Also: a, b.` where the entry has synonyms. */
function titleAndSynonyms({ title, text }: Passage): string[] {
  const [, also = ''] = /\bAlso: (.*)\.$/s.exec(text) ?? [];
  return [title, ...also.split(', ')];
}

/** A comparison needs all of its terms: for top 1, the first two; else the first three. */
function isFound({ kind, expected }: Question, titles: readonly string[][], within: number): boolean {
  const first = titles.slice(0, kind === 'compared' ? Math.max(2, within) : within);
  const found = entriesByTerm(first.map((terms) => ({ terms })));
  const isThere = (term: string): boolean => found.has(term.toLowerCase());
  return kind === 'compared' ? expected.every(isThere) : expected.some(isThere);
}

function count(tally: Tally, asked: Question, titles: readonly string[][]): void {
  for (const kind of ['all', asked.kind]) {
    const row = tally[kind] ?? { questions: 0, top1: 0, top3: 0 };
    tally[kind] = row;
    row.questions += 1;
    row.top1 += Number(isFound(asked, titles, 1));
    row.top3 += Number(isFound(asked, titles, SHOWN));
  }
}

function percentages(tally: Tally): Tally {
  return mapValues(tally, ({ questions, top1, top3 }) => {
    return { questions, top1: percent(top1, questions), top3: percent(top3, questions) };
  });
}

interface Bin {
  count: number;
  right: number;
  score: number;
}

function calibrate(bins: readonly Bin[], asked: Question, [first]: readonly Passage[]): void {
  const bin = bins[Math.min(bins.length - 1, Math.floor((first?.score ?? 0) * bins.length))];
  if (first === undefined || bin === undefined || asked.kind === 'compared') return;
  bin.count += 1;
  bin.score += first.score;
  bin.right += Number(isFound(asked, [titleAndSynonyms(first)], 1));
}

/** For each fifth of the scores: how often the first passage was right there. */
function reliability(bins: readonly Bin[]): { meanScore: number; rightPercent: number; questions: number }[] {
  return bins
    .filter((bin) => bin.count > 0)
    .map((bin) => ({
      meanScore: Number((bin.score / bin.count).toFixed(2)),
      rightPercent: percent(bin.right, bin.count),
      questions: bin.count,
    }));
}

function percent(part: number, whole: number): number {
  return Number(((100 * part) / whole).toFixed(1));
}

function mapValues<K extends string, A, B>(record: Record<K, A>, change: (value: A) => B): Record<K, B> {
  const entries = Object.entries<A>(record).map(([key, value]) => [key, change(value)]);
  return Object.fromEntries(entries);
}

function show({ kind, question }: Question, passages: readonly Passage[]): void {
  const found = passages.slice(0, SHOWN).map(({ title, score }) => `${title} ${score.toFixed(2)}`);
  process.stderr.write(`${kind}: ${question} -> ${found.join(', ')}\n`);
}

await main(glossaryNamed(process.argv[2]), process.argv.includes('--misses'));
