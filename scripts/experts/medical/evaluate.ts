/**
 * Measures `experts/medical` on questions that nothing was fitted on, by meaning and words, by meaning alone, and by
 * words alone; writes the figures into `quality` of its expert.json. `questions.json` showed faults that were mended
 * (missing entries, everyday words); `questions-unseen.json` was written after that, and its misses are not looked at:
 * `--misses` lists those of the first set only.
 *
 *     node scripts/experts/medical/evaluate.ts [--misses]
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tensor } from 'onnxruntime-node';
import type { Passage } from '../../../agent/ports.ts';
import { openSession } from '../../../agent/runtime/session.ts';
import type { Task } from '../../../agent/runtime/task.ts';
import { RetrievalIndex } from '../../../agent/runtime/tasks/retrieval-index.ts';
import { parseManifest } from '../manifest.ts';
import { ask, embed, openExpert } from './embedding.ts';
import { entriesByTerm, type Question } from './fitting-samples.ts';

const HERE = import.meta.dirname;
const FOLDER = join(HERE, '../../../experts/medical');
const MANIFEST = join(FOLDER, 'expert.json');
const SHOWN = 3;

type Way = 'meaningAndWords' | 'meaningOnly' | 'wordsOnly';
type Tally = Record<string, { questions: number; top1: number; top3: number }>;

interface Ways {
  both(question: string, vector: Float32Array): Promise<readonly Passage[]>;
  meaning(vector: Float32Array): Promise<readonly string[][]>;
  words(question: string): Promise<readonly Passage[]>;
}

async function main(showMisses: boolean): Promise<void> {
  const manifest = parseManifest(readFileSync(MANIFEST, 'utf8'));
  if (manifest.index === undefined) throw new Error(`${MANIFEST} has no index`);
  const embedder = await openExpert(join(FOLDER, '..', manifest.index.embedder));
  const medical = await openExpert(FOLDER);
  const ways: Ways = {
    both: (question, vector) => ask(medical, question, vector),
    meaning: await openMeaning(join(FOLDER, manifest.index.entries)),
    words: (question) => ask(medical, question, null),
  };
  const measure = (file: string, show: boolean) => measureSet(file, embedder, ways, show);
  const quality = {
    ...(await measure('questions.json', showMisses)),
    unseen: await measure('questions-unseen.json', false),
  };
  await Promise.all([embedder.release(), medical.release()]);
  const written: { quality?: object } = JSON.parse(readFileSync(MANIFEST, 'utf8'));
  const manifestNow = { ...written, quality: { ...written.quality, ...quality } };
  writeFileSync(MANIFEST, `${JSON.stringify(manifestNow, null, 2)}\n`);
  process.stdout.write(`${JSON.stringify(quality, null, 2)}\n`);
}

async function measureSet(file: string, embedder: Task, ways: Ways, showMisses: boolean): Promise<object> {
  const questions: Question[] = JSON.parse(readFileSync(join(HERE, file), 'utf8'));
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
async function openMeaning(entries: string): Promise<(vector: Float32Array) => Promise<string[][]>> {
  const manifest = parseManifest(readFileSync(MANIFEST, 'utf8'));
  const session = await openSession({ directory: FOLDER, manifest }, manifest.model.path, 1);
  const index = new RetrievalIndex(entries);
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

await main(process.argv.includes('--misses'));
