/** An expert as its scripts use it: the task that ships, over the package that ships. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { chatAbout } from '../../../agent/asks.ts';
import type { Manifest } from '../../../agent/catalog/manifest.ts';
import type { Label } from '../../../agent/ports.ts';
import { openSession } from '../../../agent/runtime/session.ts';
import { UNPREPARED } from '../../../agent/runtime/task.ts';
import { openClassification } from '../../../agent/runtime/tasks/classification.ts';
import { parseManifest } from '../manifest.ts';

export interface Classifier {
  readonly labels: readonly string[];
  /** The likeliest labels, best first. */
  classify(text: string): Promise<readonly Label[]>;
  release(): Promise<void>;
}

/** Opens the text-classification expert in `folder`, with other tokenizer settings than its own if they are given. */
export async function openClassifier(folder: string, tokenizer?: Manifest['tokenizer']): Promise<Classifier> {
  const directory = resolve(folder);
  const written = parseManifest(await readFile(join(directory, 'expert.json'), 'utf8'));
  const manifest = tokenizer === undefined ? written : { ...written, tokenizer };
  const task = await openClassification({
    manifest,
    directory,
    ...UNPREPARED,
    openSession: (path) => openSession({ directory, manifest }, path, 1),
  });
  const run = { cancelled: () => false, onDelta: () => {}, spent: () => {} };
  return {
    labels: (await readFile(join(directory, written.labels ?? ''), 'utf8')).trim().split('\n'),
    classify: async (focus) => {
      const answer = await task.run(chatAbout(focus), run);
      if (answer.kind !== 'labels') throw new Error(`${manifest.id} answered with ${answer.kind}`);
      return answer.labels;
    },
    release: () => task.release(),
  };
}
