/** The expert as the scripts beside this file use it: the task that ships, over a package. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { openSession } from '../../../agent/runtime/session.ts';
import { openRewriting } from '../../../agent/runtime/tasks/rewriting.ts';
import { parseManifest } from '../manifest.ts';

export interface Restorer {
  restore(text: string): Promise<string>;
  release(): Promise<void>;
}

export async function openRestorer(folder: string): Promise<Restorer> {
  const directory = resolve(folder);
  const manifest = parseManifest(await readFile(join(directory, 'expert.json'), 'utf8'));
  const task = await openRewriting({
    manifest,
    directory,
    openSession: (path) => openSession({ directory, manifest }, path, 1),
  });
  const run = { cancelled: () => false, onDelta: () => {}, spent: () => {} };
  const none = { embedding: null, maxTokens: null, temperature: null, seed: null, stop: [], messages: [] };
  return {
    restore: async (focus) => {
      const answer = await task.run({ kind: 'chat', question: focus, focus, ...none }, run);
      if (answer.kind !== 'text') throw new Error(`accents-fr answered with ${answer.kind}`);
      return answer.text;
    },
    release: () => task.release(),
  };
}
