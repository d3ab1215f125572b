/**
 * Compares the package's graph with torch: `reference.ts FOLDER REFERENCE.json` (written by export.py). Exits with 1 if
 * a logit differs by more than a thousandth.
 */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Tensor } from 'onnxruntime-node';
import { openSession } from '../../../agent/runtime/session.ts';
import { parseManifest } from '../manifest.ts';

const TOLERANCE = 1e-3;

interface Expected {
  readonly characters: readonly number[];
  readonly logits: readonly (readonly number[])[];
}

async function largestDifference(folder: string, expected: readonly Expected[]): Promise<number> {
  const directory = resolve(folder);
  const manifest = parseManifest(await readFile(join(directory, 'expert.json'), 'utf8'));
  const session = await openSession({ directory, manifest }, manifest.model.path, 1);
  let largest = 0;
  for (const { characters, logits } of expected) {
    const input = new Tensor('int32', Int32Array.from(characters), [1, characters.length]);
    const found = (await session.run({ characters: input }))['logits']?.data;
    if (!(found instanceof Float32Array)) throw new Error('the graph gives no float32 logits');
    const due = logits.flat();
    if (found.length !== due.length) throw new Error(`${found.length} logits where ${due.length} are due`);
    for (const [at, logit] of due.entries()) {
      largest = Math.max(largest, Math.abs(logit - (found[at] ?? Number.NaN)));
    }
  }
  await session.release();
  return largest;
}

const [folder, reference] = process.argv.slice(2);
if (folder === undefined || reference === undefined)
  throw new Error('usage: reference.ts FOLDER REFERENCE.json');
const difference = await largestDifference(folder, JSON.parse(await readFile(reference, 'utf8')));
process.stdout.write(`largest difference of a logit: ${difference.toPrecision(2)}\n`);
if (!(difference <= TOLERANCE)) process.exitCode = 1;
