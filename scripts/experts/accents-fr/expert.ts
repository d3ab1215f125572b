/** The expert as the scripts beside this file use it: the task that ships, over a package. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { chatAbout } from '../../../agent/asks.ts';
import { openSession } from '../../../agent/runtime/session.ts';
import { UNPREPARED } from '../../../agent/runtime/task.ts';
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
    ...UNPREPARED,
    openSession: (path) => openSession({ directory, manifest }, path, 1),
  });
  const run = { cancelled: () => false, onDelta: () => {}, spent: () => {} };
  return {
    restore: async (focus) => {
      const answer = await task.run(chatAbout(focus), run);
      if (answer.kind !== 'text') throw new Error(`accents-fr answered with ${answer.kind}`);
      return answer.text;
    },
    release: () => task.release(),
  };
}
