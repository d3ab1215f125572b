/**
 * Measures the embedder as the router uses it, on CLINC150 (Larson et al. 2019, CC-BY-3.0; 150 intents):
 * `node scripts/experts/embedder/quality.ts experts/embedder TRAIN_JSON VALIDATION_JSON`, both `[[text, intent], ...]`.
 *
 * Two readings of the same vectors: the nearest of 150 centroids, and the nearest single training text.
 */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { openSession } from '../../../agent/runtime/session.ts';
import { UNPREPARED } from '../../../agent/runtime/task.ts';
import { openEmbedding } from '../../../agent/runtime/tasks/embedding.ts';
import { parseManifest } from '../manifest.ts';

interface Example {
  readonly intent: string;
  readonly vector: Float32Array;
}

async function embed(folder: string, file: string): Promise<readonly Example[]> {
  const directory = resolve(folder);
  const manifest = parseManifest(await readFile(join(directory, 'expert.json'), 'utf8'));
  const task = await openEmbedding({
    manifest,
    directory,
    ...UNPREPARED,
    openSession: (path) => openSession({ directory, manifest }, path, 1),
  });
  const rows: readonly (readonly [string, string])[] = JSON.parse(await readFile(file, 'utf8'));
  const texts = rows.map(([text]) => text);
  const run = { cancelled: () => false, onDelta: () => {}, spent: () => {} };
  const answer = await task.run({ kind: 'embeddings', texts }, run);
  await task.release();
  if (answer.kind !== 'embeddings') throw new Error(`the embedder answered with ${answer.kind}`);
  return answer.vectors.map((vector, at) => ({ vector, intent: rows[at]?.[1] ?? '' }));
}

/** The mean of each intent's vectors, at length 1. */
function centroids(examples: readonly Example[]): readonly Example[] {
  return [...Map.groupBy(examples, ({ intent }) => intent)].map(([intent, members]) => {
    const sum = new Float32Array(members[0]?.vector.length ?? 0);
    for (const { vector } of members)
      for (const [at, value] of vector.entries()) sum[at] = (sum[at] ?? 0) + value;
    const length = Math.hypot(...sum);
    return { intent, vector: sum.map((value) => value / length) };
  });
}

/** Share of `examples` whose nearest candidate, by cosine, has their intent. */
function accuracy(examples: readonly Example[], candidates: readonly Example[]): number {
  const right = examples.filter(
    ({ vector, intent }) => nearest(vector, candidates)?.intent === intent,
  ).length;
  return Number((right / examples.length).toFixed(4));
}

function nearest(vector: Float32Array, candidates: readonly Example[]): Example | null {
  let best: Example | null = null;
  let highest = Number.NEGATIVE_INFINITY;
  for (const candidate of candidates) {
    const other = candidate.vector;
    let cosine = 0;
    for (let at = 0; at < vector.length; at += 1) cosine += (vector[at] ?? 0) * (other[at] ?? 0);
    if (cosine > highest) [best, highest] = [candidate, cosine];
  }
  return best;
}

const [folder, trainFile, validationFile] = process.argv.slice(2);
if (folder === undefined || trainFile === undefined || validationFile === undefined) {
  throw new Error('usage: quality.ts EXPERT_FOLDER TRAIN_JSON VALIDATION_JSON');
}
const train = await embed(folder, trainFile);
const validation = await embed(folder, validationFile);
const figures = {
  train: train.length,
  validation: validation.length,
  nearestCentroid: accuracy(validation, centroids(train)),
  nearestText: accuracy(validation, train),
};
process.stdout.write(`${JSON.stringify(figures)}\n`);
