import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import type { Label } from '../../agent/ports.ts';
import { listFiles, parseManifest } from '../../scripts/experts/manifest.ts';
import { chat, openPackage, plainRun } from '../runtime/embedding-open.ts';

const FOLDER = 'experts/spam';
const manifest = parseManifest(readFileSync(`${FOLDER}/expert.json`, 'utf8'));
const messages: Record<string, readonly string[]> = JSON.parse(
  readFileSync('scripts/experts/spam/messages.json', 'utf8'),
);
const task = await openPackage(FOLDER);
after(() => task.release());

test('lists its files as they are, and stays small', async () => {
  assert.deepEqual(manifest.files, await listFiles(FOLDER));
  assert.ok(manifest.files.reduce((sum, { bytes }) => sum + bytes, 0) < 200_000);
});

test('golden answers', async () => {
  assert.ok(manifest.golden.length >= 6);
  for (const { input, output } of manifest.golden) {
    const { label, score, tolerance } = output as Label & { tolerance: number };
    const best = await judge(input);
    assert.equal(best.label, label, input);
    assert.ok(Math.abs(best.score - score) <= tolerance, `${input}: ${best.score}`);
  }
});

test('tells the messages apart that were written for it', async () => {
  const shares = await Promise.all(
    Object.entries(messages).map(async ([wanted, texts]) => {
      const answers = await Promise.all(texts.map(judge));
      return [wanted, answers.filter(({ label }) => label === wanted).length / texts.length] as const;
    }),
  );
  const found = Object.fromEntries(shares);
  assert.ok((found['spam'] ?? 0) >= 0.8, `spam ${found['spam']}`);
  assert.ok((found['not spam'] ?? 0) >= 0.9, `not spam ${found['not spam']}`);
});

test('is sure of no harmless message that it is spam', async () => {
  for (const text of messages['not spam'] ?? []) {
    const best = await judge(text);
    assert.ok(best.label === 'not spam' || best.score < 0.9, `${text}: ${best.score}`);
  }
});

async function judge(text: string): Promise<Label> {
  const answer = await task.run(chat(text), plainRun());
  assert.ok(answer.kind === 'labels');
  assert.equal(answer.labels.length, 2);
  const [best] = answer.labels;
  assert.ok(best);
  return best;
}
