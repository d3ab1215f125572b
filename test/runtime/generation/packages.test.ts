/** The generated packages are what their manifests say, and are accepted where real ones are. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Manifest, ManifestSchema } from '../../../agent/catalog/manifest.ts';
import type { Answer } from '../../../agent/ports.ts';
import { openClassification } from '../../../agent/runtime/tasks/classification.ts';
import { checker } from '../../../agent/validation.ts';
import { labelOf, writeClassifier } from '../../experts-made/classifier.ts';
import { chat, contextOf, folder, tinyPackage } from './asking.ts';

const check = checker(ManifestSchema, { subject: 'expert.json' });

function classifierPackage(t: TestContext, id: string, seed: number, payloadBytes = 0) {
  const directory = join(folder(t), 'package');
  return { directory, manifest: writeClassifier(directory, { id, seed, payloadBytes }) };
}

async function classify(
  t: TestContext,
  files: ReturnType<typeof classifierPackage>,
  text: string,
): Promise<Answer> {
  const task = await openClassification(contextOf(files));
  t.after(() => task.release());
  return await task.run(chat(text), { cancelled: () => false, onDelta: () => {}, spent: () => {} });
}

test('expert.json is valid and names every file with its size and digest', (t) => {
  for (const { directory, manifest } of [tinyPackage(t), classifierPackage(t, 'letters', 1)]) {
    const written: Manifest = JSON.parse(readFileSync(join(directory, 'expert.json'), 'utf8'));
    assert.deepEqual(written, manifest);
    assert.equal(check(written).problem, null);
    assert.ok(written.files.some(({ path }) => path === written.model.path));
    for (const { path, bytes, sha256 } of written.files) {
      const content = readFileSync(join(directory, path));
      assert.equal(content.length, bytes, path);
      assert.equal(createHash('sha256').update(content).digest('hex'), sha256, path);
    }
  }
});

test('two classifiers answer alike and say who they are, whatever they weigh', async (t) => {
  const small = classifierPackage(t, 'letters', 1);
  const large = classifierPackage(t, 'others', 2, 3_000_000);
  const data = large.manifest.files.find(({ path }) => path.endsWith('_data'))?.bytes ?? 0;
  assert.ok(data > 2_900_000 && data < 3_100_000, `${data} bytes`);
  for (const files of [small, large]) {
    const { id, golden } = files.manifest;
    const answers = await Promise.all(
      ['alpha', 'gamma gamma beta', golden[0]?.input ?? ''].map((text) => classify(t, files, text)),
    );
    const best = answers.map((answer) => (answer.kind === 'labels' ? answer.labels[0] : undefined));
    assert.deepEqual(
      best.map((label) => label?.label),
      [labelOf(id, 'alpha'), labelOf(id, 'gamma'), labelOf(id, 'beta')],
    );
    const { score, tolerance } = Object(golden[0]?.output);
    assert.ok(Math.abs((best[2]?.score ?? 0) - score) <= tolerance, `${best[2]?.score}`);
  }
});
