/** A retrieval package of six entries, made in a folder of its own, and asks for it. */
import './retrieval-telemetry.ts';

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chatAbout } from '../../agent/asks.ts';
import type { Manifest } from '../../agent/catalog/manifest.ts';
import type { Ask, Passage } from '../../agent/ports.ts';
import { openSession } from '../../agent/runtime/session.ts';
import { type Task, type TaskRun, UNPREPARED } from '../../agent/runtime/task.ts';
import { openRetrieval } from '../../agent/runtime/tasks/retrieval.ts';
import type { Fusion } from '../../agent/runtime/tasks/retrieval-index.ts';
import type { GlossaryEntry } from '../../scripts/experts/glossary/entries.ts';
import { DIMENSIONS, vectorGraph } from '../../scripts/experts/glossary/graph.ts';
import { indexFile } from '../../scripts/experts/glossary/index-file.ts';

export const RUN: TaskRun = { cancelled: () => false, onDelta: () => {}, spent: () => {} };

const FUSION: Fusion = {
  ...{ bias: -6, meaning: 6, words: 2, term: 9, touched: -0.3, prior: 1 },
  ...{ biasAlone: -2.5, wordsAlone: 5, termAlone: 5 },
};

function entry(terms: string[], gloss: string): GlossaryEntry {
  const source = `test, ${terms[0]}`;
  return { terms, gloss, source, senses: terms.map(() => 1), prior: 0.5, views: [] };
}

export const ENTRIES: readonly GlossaryEntry[] = [
  entry(['tachycardia'], 'abnormally rapid heartbeat'),
  entry(['bradycardia'], 'abnormally slow heartbeat'),
  entry(['heart', 'pump'], 'the muscular organ that moves blood'),
  entry(['heart attack', 'infarction'], 'death of muscle of the heart'),
  entry(['X-ray', 'röntgen ray'], 'radiation used for pictures of bones'),
  entry(["Crohn's disease"], 'inflammation of the intestine'),
];

const SILENT = new Set([
  'what',
  'is',
  'a',
  'the',
  'of',
  'and',
  'between',
  'does',
  'mean',
  'that',
  'for',
  'difference',
]);

/** The index of `entries`, as the build writes it. */
export function indexBytes(entries: readonly GlossaryEntry[] = ENTRIES): Buffer {
  return indexFile(entries, { silent: SILENT, shares: new Map([['music', 0.01]]) }, FUSION);
}

/** Entry `at` lies on axis `at`, so a question's vector says which entry it means. */
export function axis(at: number, size = DIMENSIONS): Float32Array {
  const vector = new Float32Array(size);
  vector[at] = 1;
  return vector;
}

export interface Package {
  readonly directory: string;
  readonly manifest: Manifest;
  remove(): void;
}

export function makePackage(
  change: { index?: Buffer; vectors?: number; manifest?: Partial<Manifest> } = {},
): Package {
  const directory = mkdtempSync(join(tmpdir(), 'expertd-retrieval-'));
  const count = change.vectors ?? ENTRIES.length;
  const vectors = Array.from({ length: count }, (_, at) => axis(at));
  const { model, data } = vectorGraph(vectors, 'model.onnx.data');
  const files = { 'index.bin': change.index ?? indexBytes(), 'model.onnx': model, 'model.onnx.data': data };
  for (const [path, bytes] of Object.entries(files)) writeFileSync(join(directory, path), bytes);
  const manifest: Manifest = {
    ...{
      schema: 1,
      id: 'glossary',
      version: '1.0.0',
      task: 'retrieval',
      summary: 'six entries',
      license: 'none',
    },
    ...{ source: 'this test', runtime: 'onnx' },
    model: {
      path: 'model.onnx',
      precision: 'int8',
      inputs: { embedding: `float32[questions,${DIMENSIONS}]` },
      outputs: { scores: `float32[questions,${count}]` },
    },
    index: { entries: 'index.bin', embedder: 'embedder', embedderSha256: '0'.repeat(64) },
    files: Object.entries(files).map(([path, { length }]) => ({
      path,
      bytes: length,
      sha256: '0'.repeat(64),
    })),
    routing: { languages: ['en'], examples: [], rules: [] },
    golden: [{ input: 'tachycardia', output: { title: 'tachycardia' } }],
    ...change.manifest,
  };
  return { directory, manifest, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

export function openPackage({ directory, manifest }: Package): Promise<Task> {
  return openRetrieval({
    manifest,
    directory,
    ...UNPREPARED,
    openSession: (path) => openSession({ directory, manifest }, path, 1),
  });
}

/** `quoted` stands for a quotation in the message, which `question` is then without. */
export function chat(question: string, embedding: Float32Array | null, quoted: string | null = null): Ask {
  const content = quoted === null ? question : `${question} "${quoted}"`;
  const messages = [{ role: 'user' as const, content }];
  return chatAbout(question, { messages, focus: quoted ?? question, embedding });
}

export async function passagesOf(task: Task, ask: Ask): Promise<readonly Passage[]> {
  const answer = await task.run(ask, RUN);
  if (answer.kind !== 'passages') throw new Error(`answered with ${answer.kind}`);
  return answer.passages;
}
