/** An installed expert, opened in this process as a cell would, and its embeddings. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { chatAbout } from '../../../agent/asks.ts';
import { openSession } from '../../../agent/runtime/session.ts';
import { type Task, type TaskRun, UNPREPARED } from '../../../agent/runtime/task.ts';
import { findTask } from '../../../agent/runtime/tasks/index.ts';
import { parseManifest } from '../manifest.ts';

const SURE = 0.75;
const RUN: TaskRun = { cancelled: () => false, onDelta: () => {}, spent: () => {} };

/** `folder` holds an expert package. */
export async function openExpert(folder: string): Promise<Task> {
  const directory = resolve(folder);
  const manifest = parseManifest(await readFile(join(directory, 'expert.json'), 'utf8'));
  const open = await findTask(manifest.task);
  return open({
    manifest,
    directory,
    ...UNPREPARED,
    openSession: (path) => openSession({ directory, manifest }, path, 1),
  });
}

/** Unit vector of one text. */
export async function embed(embedder: Task, text: string): Promise<Float32Array> {
  const answer = await embedder.run({ kind: 'embeddings', texts: [text] }, RUN);
  const vector = answer.kind === 'embeddings' ? answer.vectors[0] : undefined;
  if (vector === undefined) throw new Error('the embedder answered without a vector');
  return vector;
}

/** Mean of the vectors of several texts, at unit length again. */
export async function embedViews(embedder: Task, views: readonly string[]): Promise<Float32Array> {
  const vectors: Float32Array[] = [];
  for (const view of views) vectors.push(await embed(embedder, view));
  const sum = Float32Array.from({ length: vectors[0]?.length ?? 0 }, (_, at) =>
    vectors.reduce((total, vector) => total + (vector[at] ?? 0), 0),
  );
  const length = Math.hypot(...sum);
  return sum.map((value) => value / length);
}

/** A question as the agent asks it; without an embedding, words alone answer. */
export async function ask(expert: Task, question: string, embedding: Float32Array | null) {
  const answer = await expert.run(chatAbout(question, { embedding }), RUN);
  if (answer.kind !== 'passages') throw new Error(`a retrieval expert answered with ${answer.kind}`);
  return answer.passages;
}

/** The surest language of a text, or null where the agent would not be sure of it (`SURE` in `agent/senses.ts`). */
export async function languageOf(detector: Task, text: string): Promise<string | null> {
  const answer = await detector.run(chatAbout(text), RUN);
  if (answer.kind !== 'labels') throw new Error(`a detector answered with ${answer.kind}`);
  const [best] = answer.labels;
  return best !== undefined && best.score >= SURE ? best.label : null;
}
