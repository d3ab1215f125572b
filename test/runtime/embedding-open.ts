/** Opens packages in this process, as a cell does in its own. Imports the runtime only after telemetry is off. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chatAbout } from '../../agent/asks.ts';
import type { Manifest } from '../../agent/catalog/manifest.ts';
import type { Ask } from '../../agent/ports.ts';
import { type Task, type TaskRun, UNPREPARED } from '../../agent/runtime/task.ts';

process.env['ORT_DISABLE_TELEMETRY'] = '1';

export const EMBEDDER = 'experts/embedder';
export const LANG_ID = 'experts/lang-id';

export async function manifestOf(directory: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(directory, 'expert.json'), 'utf8'));
}

/** Opens a package with the session alone, so that it is the task that checks the graph. */
export async function openPackage(directory: string, manifest?: Manifest): Promise<Task> {
  const { InferenceSession } = await import('onnxruntime-node');
  const { findTask } = await import('../../agent/runtime/tasks/index.ts');
  const used = manifest ?? (await manifestOf(directory));
  const open = await findTask(used.task);
  return open({
    manifest: used,
    directory,
    ...UNPREPARED,
    openSession: (path) => InferenceSession.create(join(directory, path), { intraOpNumThreads: 1 }),
  });
}

/** A run that is never cancelled; what it spent is in `stages`. */
export function plainRun(): TaskRun & { readonly stages: Map<string, number> } {
  const stages = new Map<string, number>();
  return {
    stages,
    cancelled: () => false,
    onDelta: () => {},
    spent: (stage, ms) => stages.set(stage, (stages.get(stage) ?? 0) + ms),
  };
}

/** A question whose `focus` is not the whole message. */
export function chat(focus: string, question = focus): Ask {
  return chatAbout(focus, { messages: [{ role: 'user', content: `${question} ${focus}` }], question });
}

export async function embed(task: Task, ...texts: string[]): Promise<readonly Float32Array[]> {
  const answer = await task.run({ kind: 'embeddings', texts }, plainRun());
  if (answer.kind !== 'embeddings') throw new Error(`answered with ${answer.kind}`);
  return answer.vectors;
}

export function cosine(left: ArrayLike<number>, right: ArrayLike<number>): number {
  let [dot, a, b] = [0, 0, 0];
  for (let at = 0; at < left.length; at += 1) {
    const [x, y] = [left[at] ?? 0, right[at] ?? 0];
    dot += x * y;
    a += x * x;
    b += y * y;
  }
  return dot / Math.sqrt(a * b);
}
