/** What the catalog passes on of a package: to whoever prepares it, and to the model that speaks for an assistant. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ExpertCatalog } from '../../agent/catalog/catalog.ts';
import { emptyMemory, writeExpert } from './folder.ts';
import { config, hastyClock, root } from './set-up.ts';

test('packages are prepared by their id, and an assistant has its prompt', async () => {
  const expertsDir = join(root, 'prepare');
  mkdirSync(expertsDir);
  writeExpert(expertsDir, 'plain');
  const index = { entries: 'labels.txt', embedder: 'embedder', embedderSha256: '0'.repeat(64) };
  const assistant = { systemPrompt: 'You know the law.' };
  writeExpert(expertsDir, 'legal', { task: 'retrieval', index, assistant });
  const prepared: string[] = [];
  const catalog = new ExpertCatalog({
    expertsDir,
    installDir: join(root, 'nowhere'),
    recordPath: join(root, 'nowhere.json'),
    memory: emptyMemory(),
    clock: hastyClock,
    emit: () => undefined,
    prepare: async ({ directory }, limitMs) => void prepared.push(`${directory} ${limitMs}`),
  });
  await catalog.reconcile(config());
  await catalog.prepare('plain', 7);
  await catalog.prepare('nobody', 7);
  assert.deepEqual(prepared, [`${join(expertsDir, 'plain')} 7`]);
  assert.equal(catalog.systemPrompt('legal'), 'You know the law.');
  assert.equal(catalog.systemPrompt('plain'), null);
  assert.equal(catalog.systemPrompt('nobody'), null);
  await catalog.stop();
});
