/**
 * The embedder without expertd around it: a child process that opens the package as a cell does and times
 * `tokenize` and `session.run` for each text that it is sent. The baseline of the spine bench.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Manifest } from '../../agent/catalog/manifest.ts';
import { openSession } from '../../agent/runtime/session.ts';
import { UNPREPARED } from '../../agent/runtime/task.ts';
import { openEmbedding } from '../../agent/runtime/tasks/embedding.ts';

export interface RawTimes {
  readonly tokenizeMs: number;
  readonly runMs: number;
}

const directory = process.argv[2];
if (directory === undefined) throw new Error('raw-embedding.ts needs the folder of the package');
const manifest = JSON.parse(readFileSync(join(directory, 'expert.json'), 'utf8')) as Manifest;
const task = await openEmbedding({
  directory,
  manifest,
  // One thread, as the fast lane has.
  ...UNPREPARED,
  openSession: (path) => openSession({ directory, manifest }, path, 1),
});

process.on('message', async (text: string) => {
  const spent = { tokenize: 0, run: 0, prefill: 0, decode: 0 };
  await task.run(
    { kind: 'embeddings', texts: [text] },
    {
      cancelled: () => false,
      onDelta: () => {},
      spent: (stage, ms) => {
        spent[stage] += ms;
      },
    },
  );
  process.send?.({ tokenizeMs: spent.tokenize, runMs: spent.run } satisfies RawTimes);
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
