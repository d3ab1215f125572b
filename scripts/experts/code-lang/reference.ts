/**
 * Compares code-lang with the package it was made from, and writes a sample of the package's answers to
 * test/fixtures/code-lang-reference.jsonl:
 * `node scripts/experts/code-lang/reference.ts EXPERT PACKAGE LINGUIST_SAMPLES PYGMENTS_EXAMPLEFILES ROUGE_DEMOS`
 *
 * Texts: pieces of source code of five lengths, and random bytes and characters. They are compared without
 * `leastPairs`, which the package does not have; it refuses texts below 20 characters unless it is told not to, and
 * is told so here. Exits with 1 if one label differs, or one probability by more than 0.001.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { openClassifier } from './classifier.ts';
import { cut, hash, readSources } from './snippets.ts';

const FIXTURE = 'test/fixtures/code-lang-reference.jsonl';
const LENGTHS: readonly number[] = [20, 100, 300, 1500, Number.POSITIVE_INFINITY];
const MAX_TEXTS = 1_500;
const RANDOM_TEXTS = 200;
const TOLERANCE = 1e-3;
const ODD_TEXTS: readonly string[] = [
  ' ',
  'a',
  'ab',
  '\r\n\r\n',
  'a\rb',
  'é',
  'x\u0000y',
  '\ud800a',
  '\ufeffab',
  'if (a)\r\n\treturn "日本語 ☃ 𝄞";\r\n',
];
/** Texts that were written for the fixture, so that none of the collections' is copied. */
const WRITTEN = 'scripts/experts/code-lang/written.json';

type Answers = ReadonlyMap<string, number>;
interface Package {
  readonly ModelOperations: new (options: {
    minContentSize: number;
  }) => {
    runModel(text: string): Promise<readonly { languageId: string; confidence: number }[]>;
  };
}

/** Marsaglia's xorshift, so that the texts are the same every time. */
function randomTexts(seed: number, count: number): readonly string[] {
  let state = seed;
  const below = (limit: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
  const character = () => String.fromCodePoint(below(4) > 0 ? below(0x80) : below(0xd800));
  return Array.from({ length: count }, () => Array.from({ length: 1 + below(400) }, character).join(''));
}

/** The package as a function of a text, its short names of languages replaced by the expert's labels. */
async function openReference(
  packageFolder: string,
  expertFolder: string,
): Promise<(text: string) => Promise<Answers>> {
  const load: (path: string) => Package = createRequire(import.meta.url);
  const { ModelOperations } = load(resolve(join(packageFolder, 'dist/lib/index.js')));
  const model = new ModelOperations({ minContentSize: 1 });
  const rows = (await readFile(join(expertFolder, 'languages.tsv'), 'utf8')).trim().split('\n');
  const labels = new Map(
    rows.map((row) => row.split('\t') as [string, string]).map(([label, id]) => [id, label]),
  );
  return async (text) => {
    const found = await model.runModel(text);
    return new Map(
      found.map(({ languageId, confidence }) => [labels.get(languageId) ?? languageId, confidence]),
    );
  };
}

const [folder, packageFolder, linguist, pygments, rouge] = process.argv.slice(2);
if (!folder || !packageFolder || !linguist || !pygments || !rouge) {
  throw new Error('usage: reference.ts EXPERT PACKAGE LINGUIST_SAMPLES PYGMENTS_EXAMPLEFILES ROUGE_DEMOS');
}
const reference = await openReference(packageFolder, folder);
const expert = await openClassifier(folder, { kind: 'byte-pairs', maxPairs: 10_000 });
const written: Record<string, string> = JSON.parse(await readFile(WRITTEN, 'utf8'));
const sources = await readSources({ linguist, pygments, rouge });
const pieces = LENGTHS.flatMap((chars) => sources.flatMap((file) => cut(file, chars)))
  .toSorted((left, right) => hash(left) - hash(right))
  .slice(0, MAX_TEXTS);
const kept = [...ODD_TEXTS, ...Object.values(written)];
const texts = [...kept, ...pieces, ...randomTexts(20_210_601, RANDOM_TEXTS)];
const sample: unknown[] = [];
let differentLabels = 0;
let widest = 0;
for (const [at, text] of texts.entries()) {
  const expected = await reference(text);
  const found = await expert.classify(text);
  const [[top, score] = ['', 0]] = expected;
  if (found[0]?.label !== top) differentLabels += 1;
  for (const label of found)
    widest = Math.max(widest, Math.abs(label.score - (expected.get(label.label) ?? 0)));
  if (at < kept.length) sample.push([text, top, Number(score.toFixed(5))]);
}
await expert.release();
await writeFile(FIXTURE, sample.map((row) => `${JSON.stringify(row)}\n`).join(''));
process.stdout.write(
  `${JSON.stringify({ texts: texts.length, differentLabels, widest, sample: sample.length })}\n`,
);
process.exitCode = differentLabels > 0 || widest > TOLERANCE ? 1 : 0;
