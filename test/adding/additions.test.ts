/** `expertd add` and `expertd remove` on folders of the hub, with trials in real processes, without an agent. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { additions } from '../../agent/additions.ts';
import { addedFolders } from '../../agent/catalog/added.ts';
import { readPackage, verifyPackage } from '../../agent/catalog/package.ts';
import type { AddWish } from '../../agent/cli/add.ts';
import { AgentError } from '../../agent/errors.ts';
import { lockStateDir } from '../../agent/store/lock.ts';
import { writeClassifier } from '../experts-made/classifier.ts';
import { change, classifier, embedder, newRoot, readJson } from './hub.ts';

let base: string;
let folder: string;
beforeEach(() => {
  base = newRoot();
  folder = join(base, 'small-model');
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const place = (config: object = {}) => {
  const configPath = join(base, 'edge.config.json');
  writeFileSync(configPath, JSON.stringify({ expertsDir: join(base, 'experts'), ...config }));
  return { configPath, overrides: {}, stateDir: join(base, 'state') };
};
const wish = (wanted: Partial<AddWish> = {}): AddWish => ({
  folder,
  id: null,
  version: null,
  model: null,
  summary: null,
  license: null,
  languages: [],
  examples: [],
  context: null,
  replace: false,
  dryRun: false,
  ...wanted,
});
const add = (wanted: Partial<AddWish> = {}, config: object = {}) =>
  additions.add(wish(wanted), place(config), () => {});
const added = () =>
  addedFolders(join(base, 'state/added')).map(({ id, directory }) => ({ id, ...readPackage(directory) }));
const left = () => readdirSync(join(base, 'state/added')).filter((name) => !name.startsWith('agent.lock'));

async function refused(work: Promise<unknown>, message: RegExp, hint: RegExp = /./): Promise<void> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof AgentError, String(error));
  assert.match(error.message, message);
  assert.match(error.hint ?? '', hint);
}

describe('adding', () => {
  test('a classifier: tried, measured, and whole; twice is once', async () => {
    classifier(folder);
    const { isNew, id } = await add({ examples: ['is this film good?'] });
    assert.deepEqual([isNew, id], [true, 'small-model']);
    const [found] = added();
    assert.ok(found !== undefined);
    await verifyPackage(found);
    const { golden, memory, files } = found.manifest;
    assert.deepEqual(Object.keys(golden[0]?.output as object), ['label', 'score', 'tolerance']);
    assert.ok((memory?.residentBytes ?? 0) > 0);
    assert.deepEqual(
      files.map(({ path }) => path),
      ['config.json', 'labels.txt', 'onnx/model.onnx', 'tokenizer_config.json', 'vocab.txt'],
    );
    assert.equal((await add({ examples: ['is this film good?'] })).isNew, false);
    assert.equal(added()[0]?.digest, found.digest);
    // Whoever edits the original does not change the expert.
    rmSync(folder, { recursive: true });
    await verifyPackage(found);
  });

  test('an embedder, as a dry run: everything is told, and nothing is there', async () => {
    embedder(folder);
    const { manifest } = await add({ dryRun: true });
    const { golden } = manifest as { golden: { output: { first: number[] } }[] };
    // Four numbers, of length 1.
    assert.ok(Math.abs(Math.hypot(...(golden[0]?.output.first ?? [])) - 1) < 1e-3);
    assert.deepEqual([added(), left()], [[], []]);
  });

  test('another version takes the place of the first with --replace alone', async () => {
    classifier(folder);
    await add();
    change(folder, 'config.json', { id2label: { 0: 'bad', 1: 'good' } });
    await refused(add({ version: '0.9.0' }), /the id "small-model" is taken: another expert/, /--replace/);
    await add({ version: '0.9.0', replace: true });
    await additions.tidy(place());
    assert.deepEqual(
      added().map(({ manifest }) => manifest.version),
      ['0.9.0'],
    );
    assert.equal(readdirSync(join(base, 'state/added/small-model')).length, 2);
  });

  test('a folder that is a package is taken as it is, if all of it is what it says', async () => {
    writeClassifier(folder, { id: 'letters' });
    await refused(add({ id: 'other' }), /taken as it is: --id would change it/);
    const text = readFileSync(join(folder, 'expert.json'), 'utf8');
    await add();
    const [found] = added();
    assert.ok(found !== undefined);
    assert.equal(readFileSync(join(found.directory, 'expert.json'), 'utf8'), text);
    writeFileSync(
      join(folder, 'labels.txt'),
      readFileSync(join(folder, 'labels.txt'), 'utf8').replace('alpha', 'aleph'),
    );
    await refused(add({ replace: true }), /the content of labels\.txt is not what expert\.json says/);
    await verifyPackage(found);
    // Damaged here, it is mended by adding it again.
    writeFileSync(join(folder, 'labels.txt'), readFileSync(join(found.directory, 'labels.txt')));
    writeFileSync(
      join(found.directory, 'labels.txt'),
      readFileSync(join(folder, 'labels.txt'), 'utf8').toUpperCase(),
    );
    assert.equal((await add()).isNew, true);
    await verifyPackage(found);
  });

  test('what fails its trial is not added, and leaves nothing', async () => {
    classifier(folder);
    // The graph's table has eight rows: a ninth token is beyond it.
    writeFileSync(join(folder, 'vocab.txt'), '[PAD]\n[UNK]\nx\ny\nz\nu\nv\nw\n[CLS]\n[SEP]\n');
    change(folder, 'config.json', { vocab_size: 10 });
    await refused(add(), /it was tried, and failed: .*its first run failed/s);
    assert.deepEqual([added(), left()], [[], []]);
  });

  test('an id that somebody else has is refused, with where', async () => {
    classifier(folder);
    const sources = { experts: [{ id: 'small-model', sources: [{ uri: 'file:/somewhere' }] }] };
    await refused(add({ replace: true }, sources), /edge\.config\.json names the sources/);
    cpSync(folder, join(base, 'experts/small-model'), { recursive: true });
    await refused(add(), /is taken by the expert in .*experts\/small-model/, /--replace lets it stand in/);
    assert.equal((await add({ replace: true })).isNew, true);
  });

  test('one at a time', async () => {
    classifier(folder);
    await add();
    const lock = lockStateDir(join(base, 'state/added'), undefined);
    await refused(
      additions.remove('small-model', place()),
      /another "expertd add" or "expertd remove" is at work/,
    );
    lock.release();
    assert.equal(added().length, 1);
  });
});

describe('removing', () => {
  test('takes what was added, once; says where others come from', async () => {
    classifier(folder);
    await add();
    assert.equal((await additions.remove('small-model', place())).wasThere, true);
    assert.deepEqual(added(), []);
    await additions.tidy(place());
    assert.deepEqual(left(), []);
    assert.equal((await additions.remove('small-model', place())).wasThere, false);
    cpSync(folder, join(base, 'experts/shipped'), { recursive: true });
    await refused(
      additions.remove('shipped', place()),
      /was not added by hand: it is the expert in .*experts\/shipped/,
    );
    const sources = { experts: [{ id: 'far', sources: [{ uri: 'file:/somewhere' }] }] };
    await refused(additions.remove('far', place(sources)), /edge\.config\.json names its sources/);
    assert.equal((await additions.remove('../../etc', place())).wasThere, false);
    assert.ok(existsSync(join(base, 'experts/shipped/config.json')));
  });
});

test('a kill during the trial leaves nothing that counts, and the next run nothing at all', async () => {
  classifier(folder);
  const { configPath, stateDir } = place();
  const main = join(import.meta.dirname, '../../agent/main.ts');
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      main,
      'add',
      '--config',
      configPath,
      '--state-dir',
      stateDir,
      folder,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let told = '';
  for await (const part of child.stderr.setEncoding('utf8')) {
    told += part;
    if (told.includes('trying it')) child.kill('SIGKILL');
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  assert.equal(child.signalCode, 'SIGKILL', told);
  assert.deepEqual(added(), []);
  assert.equal(left().length, 1, 'the staging folder');
  await additions.tidy({ configPath, overrides: {}, stateDir });
  assert.deepEqual(left(), []);
  assert.equal(readJson(folder, 'config.json')['model_type'], 'bert');
});

const MODELS = process.env['EXPERTD_TEST_MODELS'] ?? join(import.meta.dirname, '../../../shared/models');
const real = join(MODELS, 'smollm2-135m-instruct');
const skip = existsSync(real) ? false : `no model at ${real}; EXPERTD_TEST_MODELS names another place`;

test('a real language model is added, with what it says and takes', { skip }, async () => {
  const { residentBytes, cache } = await add({ folder: real, context: 1_024 });
  assert.ok((residentBytes ?? 0) > 50e6);
  assert.deepEqual(cache, { tokens: 1_024, bytes: 1_024 * 30 * 2 * 3 * 64 * 4 });
  const [found] = added();
  assert.ok(found !== undefined);
  await verifyPackage(found);
  const [golden] = found.manifest.golden;
  assert.match(JSON.stringify(golden?.output), /^\{"text":".*\w.*"\}$/);
});
