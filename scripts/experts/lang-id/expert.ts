/** The expert as the scripts beside this file use it: the task that ships, over the package that ships. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { chatAbout } from '../../../agent/asks.ts';
import type { Label } from '../../../agent/ports.ts';
import { openSession } from '../../../agent/runtime/session.ts';
import { UNPREPARED } from '../../../agent/runtime/task.ts';
import { openClassification } from '../../../agent/runtime/tasks/classification.ts';
import { parseManifest } from '../manifest.ts';

export interface LangId {
  readonly labels: readonly string[];
  /** The likeliest labels, best first. */
  identify(text: string): Promise<readonly Label[]>;
  release(): Promise<void>;
}

export async function openLangId(folder: string): Promise<LangId> {
  const directory = resolve(folder);
  const manifest = parseManifest(await readFile(join(directory, 'expert.json'), 'utf8'));
  const task = await openClassification({
    manifest,
    directory,
    ...UNPREPARED,
    openSession: (path) => openSession({ directory, manifest }, path, 1),
  });
  const run = { cancelled: () => false, onDelta: () => {}, spent: () => {} };
  return {
    labels: (await readFile(join(directory, 'labels.txt'), 'utf8')).trim().split('\n'),
    identify: async (focus) => {
      const answer = await task.run(chatAbout(focus), run);
      if (answer.kind !== 'labels') throw new Error(`lang-id answered with ${answer.kind}`);
      return answer.labels;
    },
    release: () => task.release(),
  };
}
