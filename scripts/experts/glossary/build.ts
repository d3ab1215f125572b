/**
 * Builds a glossary, `experts/NAME`, from its sources and the embedder:
 *
 *     node scripts/experts/glossary/build.ts NAME NODE_MODULES [DICTIONARIES]
 *
 * The README of the expert names the packages to install. The same inputs give the same files on the same kind of CPU
 * (the embedder's int8 kernels differ between kinds, in the third decimal). The figures in `expert.json` come from
 * `evaluate.ts`, which fills them in afterwards.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { listFiles, parseManifest } from '../manifest.ts';
import type { Glossary } from './definition.ts';
import { embedViews, openExpert } from './embedding.ts';
import type { GlossaryEntry } from './entries.ts';
import { DIMENSIONS, vectorGraph } from './graph.ts';
import { indexFile } from './index-file.ts';
import { openSources, packageFolder, readFusion } from './places.ts';
import { glossaryNamed } from './registry.ts';
import { commonStems, functionStems } from './silent.ts';
import type { WordNet } from './wordnet.ts';

const EMBEDDER = packageFolder('embedder');
const MIN_USES_OF_COMMON_WORD = 10;

async function main(glossary: Glossary, packages: string, dictionaries: string | undefined): Promise<void> {
  const sources = openSources(packages, dictionaries);
  const entries = glossary.entries(sources);
  const common = { silent: functionStems(), shares: commonShares(sources.wordnet) };
  const graph = vectorGraph(await embedAll(entries), 'model.onnx.data');
  const files: Record<string, Uint8Array | string> = {
    'index.bin': indexFile(entries, common, readFusion(glossary.id)),
    'onnx/model.onnx': graph.model,
    'onnx/model.onnx.data': graph.data,
    'vocabulary.txt': `${glossary.vocabulary(sources).join('\n')}\n`,
    ...glossary.texts(sources, entries),
  };
  for (const [path, bytes] of Object.entries(files)) write(glossary, path, bytes);
  await writeManifest(glossary, entries.length);
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

async function writeManifest(glossary: Glossary, entryCount: number): Promise<void> {
  const { id, version, summary, systemPrompt, license, source, memory, examples, golden } = glossary;
  const embedder = parseManifest(readFileSync(join(EMBEDDER, 'expert.json'), 'utf8'));
  const embedderSha256 = embedder.files.find(({ path }) => path === embedder.model.path)?.sha256;
  const { quality } = measuredBefore(id);
  const manifest = {
    schema: 1,
    ...{ id, version, task: 'retrieval', summary, license, source, runtime: 'onnx' },
    model: {
      path: 'onnx/model.onnx',
      precision: 'int8',
      inputs: { embedding: `float32[questions,${DIMENSIONS}]` },
      outputs: { scores: `float32[questions,${entryCount}]` },
    },
    index: { entries: 'index.bin', embedder: embedder.id, embedderSha256 },
    assistant: { systemPrompt },
    files: await listFiles(packageFolder(id)),
    memory,
    routing: { languages: ['en'], examples, rules: [], vocabulary: 'vocabulary.txt' },
    golden: golden.map(([input, title]) => ({ input, output: { title } })),
    isolation: 'shared',
    ...(quality === undefined ? {} : { quality }),
  };
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  parseManifest(text);
  write(glossary, 'expert.json', text);
}

/** What `evaluate.ts` wrote into the manifest that is being replaced. */
function measuredBefore(id: string): { readonly quality?: unknown } {
  try {
    return JSON.parse(readFileSync(join(packageFolder(id), 'expert.json'), 'utf8'));
  } catch {
    return {};
  }
}

function write({ id }: Glossary, path: string, bytes: Uint8Array | string): void {
  const file = join(packageFolder(id), path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, bytes);
}

const [name, packages, dictionaries] = process.argv.slice(2);
if (packages === undefined) throw new Error('usage: build.ts NAME NODE_MODULES [DICTIONARIES]');
await main(glossaryNamed(name), packages, dictionaries);
