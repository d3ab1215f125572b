import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import type { Label } from '../../agent/ports.ts';
import type { Task } from '../../agent/runtime/task.ts';
import { listFiles, parseManifest } from '../../scripts/experts/manifest.ts';
import { chat, openPackage, plainRun } from '../runtime/embedding-open.ts';

const FOLDER = 'experts/code-lang';
const manifest = parseManifest(readFileSync(`${FOLDER}/expert.json`, 'utf8'));
const lines = (path: string) => readFileSync(path, 'utf8').trimEnd().split('\n');
const written: Record<string, string> = JSON.parse(
  readFileSync('scripts/experts/code-lang/written.json', 'utf8'),
);
const shipped = await openPackage(FOLDER);
/** With the settings of the package that the model comes from: short texts do not count for more. */
const plain = await openPackage(FOLDER, { ...manifest, tokenizer: { kind: 'byte-pairs', maxPairs: 10_000 } });
after(() => Promise.all([shipped.release(), plain.release()]));

test('lists its files as they are, and stays small', async () => {
  assert.deepEqual(manifest.files, await listFiles(FOLDER));
  assert.ok(manifest.files.reduce((sum, { bytes }) => sum + bytes, 0) < 1_000_000);
});

test('54 labels, each the name of a language', () => {
  const labels = lines(`${FOLDER}/labels.txt`);
  assert.equal(new Set(labels).size, 54);
  for (const label of ['TypeScript', 'C++', 'Objective-C', 'YAML']) assert.ok(labels.includes(label), label);
  assert.deepEqual(
    lines(`${FOLDER}/languages.tsv`).map((line) => line.split('\t')[0]),
    labels,
  );
});

test('golden answers', async () => {
  assert.ok(manifest.golden.length >= 4);
  for (const { input, output } of manifest.golden) {
    const { label, score, tolerance } = output as Label & { tolerance: number };
    const best = await identify(shipped, input);
    assert.equal(best.label, label, input);
    assert.ok(Math.abs(best.score - score) <= tolerance, `${input}: ${best.score}`);
  }
});

test('says what the package says that its model comes from', async () => {
  const rows = lines('test/fixtures/code-lang-reference.jsonl');
  assert.ok(rows.length >= 40);
  for (const row of rows) {
    const [text, label, score]: [string, string, number] = JSON.parse(row);
    const best = await identify(plain, text);
    assert.equal(best.label, label, text);
    assert.ok(Math.abs(best.score - score) < 1e-3, `${text}: ${best.score} for ${score}`);
  }
});

test('knows more languages by their first 30 characters than the package, and is surer of them', async () => {
  const measure = async (task: Task) => {
    let [right, certainty] = [0, 0];
    for (const [wanted, text] of Object.entries(written)) {
      const { label, score } = await identify(task, text.slice(0, 30));
      if (label !== wanted) continue;
      right += 1;
      certainty += score;
    }
    return { right, certainty };
  };
  const [ours, theirs] = [await measure(shipped), await measure(plain)];
  assert.ok(ours.right >= 25, `${ours.right} right`);
  assert.ok(theirs.right <= 20, `${theirs.right} right without leastPairs`);
  assert.ok(ours.certainty > 5 * theirs.certainty, `${ours.certainty} to ${theirs.certainty}`);
});

test('a graph whose inputs are not those of the tokenizer is refused', async () => {
  const inputs = { ids: 'int32[features]', feature_counts: 'float32[features]' };
  const wrong = { ...manifest, model: { ...manifest.model, inputs } };
  await assert.rejects(openPackage(FOLDER, wrong), { code: 'bad_expert', message: /feature_ids/ });
});

async function identify(task: Task, text: string): Promise<Label> {
  const answer = await task.run(chat(text), plainRun());
  assert.ok(answer.kind === 'labels');
  const [best] = answer.labels;
  assert.ok(best);
  return best;
}
