import assert from 'node:assert/strict';
import { appendFileSync, rmSync, symlinkSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { expertOf } from '../../agent/catalog/facts.ts';
import { parseManifest, readPackage, verifyPackage } from '../../agent/catalog/package.ts';
import { AgentError } from '../../agent/errors.ts';
import { emptyMemory, manifestOf, newFolder, writeExpert } from './folder.ts';

const root = newFolder();
after(() => rmSync(root, { recursive: true, force: true }));

const refused = (pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof AgentError, String(error));
  assert.equal(error.code, 'bad_expert');
  assert.match(error.message, pattern);
  assert.ok(error.hint !== null, 'it says what to do');
  return true;
};

test('a whole package is read, and its sums hold', async () => {
  const found = readPackage(writeExpert(root, 'whole'));
  assert.equal(found.manifest.id, 'whole');
  assert.match(found.digest, /^[0-9a-f]{64}$/);
  await verifyPackage(found);
});

test('a missing and a truncated file are named when the folder is read', () => {
  const missing = writeExpert(root, 'missing');
  unlinkSync(join(missing, 'labels.txt'));
  assert.throws(() => readPackage(missing), refused(/"missing": labels\.txt is missing/));
  const short = writeExpert(root, 'short');
  truncateSync(join(short, 'onnx/model.onnx'), 3);
  assert.throws(() => readPackage(short), refused(/model\.onnx has 3 bytes, its manifest says 7/));
});

test('a flipped bit is found by the sum, before the file is used', async () => {
  const directory = writeExpert(root, 'flipped');
  const found = readPackage(directory);
  writeFileSync(join(directory, 'onnx/model.onnx'), 'weightr');
  await assert.rejects(verifyPackage(found), refused(/"flipped": the content of onnx\/model\.onnx/));
});

test('a link is not a file of the package', () => {
  const directory = writeExpert(root, 'linked');
  unlinkSync(join(directory, 'labels.txt'));
  symlinkSync('/etc/passwd', join(directory, 'labels.txt'));
  assert.throws(() => readPackage(directory), refused(/labels\.txt is missing/));
});

test('a link on the way to a file does not lead out of the package', () => {
  const directory = writeExpert(root, 'detour');
  const outside = writeExpert(root, 'outside');
  rmSync(join(directory, 'onnx'), { recursive: true });
  symlinkSync(join(outside, 'onnx'), join(directory, 'onnx'));
  assert.throws(() => readPackage(directory), refused(/onnx\/model\.onnx is missing/));
});

test('a folder that is gone since it was read is told as such', async () => {
  const directory = writeExpert(root, 'vanishing');
  const found = readPackage(directory);
  rmSync(directory, { recursive: true });
  await assert.rejects(verifyPackage(found), refused(/onnx\/model\.onnx is missing/));
});

test("the router's words are those that the manifest means", () => {
  const directory = writeExpert(root, 'worded', {
    routing: { languages: ['en'], examples: [], rules: [], vocabulary: 'labels.txt' },
  });
  const options = {
    memory: emptyMemory(),
    embedderDigest: null,
    pinned: false,
    contextTokens: null,
    fallback: null,
  };
  assert.equal(expertOf(readPackage(directory), options).routing.vocabulary.length, 2);
  writeFileSync(join(directory, 'labels.txt'), 'a\nc\n');
  assert.throws(() => expertOf(readPackage(directory), options), refused(/labels\.txt is not what/));
});

test('paths that leave the folder are refused', () => {
  for (const path of ['../x', '/etc/passwd', 'a/../../b', 'a\\b', './a', 'a/./b']) {
    const text = JSON.stringify(
      manifestOf('evil', { [path]: 'x' }, { model: { path, precision: 'x', inputs: {}, outputs: {} } }),
    );
    assert.throws(() => parseManifest(Buffer.from(text), 'expert.json'), refused(/path/), path);
  }
});

test('a file that is named and not listed, or listed twice, is refused', () => {
  const unlisted = JSON.stringify(manifestOf('a', { 'onnx/model.onnx': 'x' }, { labels: 'labels.txt' }));
  assert.throws(() => parseManifest(Buffer.from(unlisted), 'expert.json'), refused(/names "labels\.txt"/));
  const one = manifestOf('a', { 'onnx/model.onnx': 'x' });
  const twice = JSON.stringify({ ...one, files: [...one.files, ...one.files] });
  assert.throws(() => parseManifest(Buffer.from(twice), 'expert.json'), refused(/twice/));
});

test('a misspelt key is refused with the nearest one', () => {
  const text = JSON.stringify({ ...manifestOf('a', { 'onnx/model.onnx': 'x' }), sumary: 'x' });
  assert.throws(
    () => parseManifest(Buffer.from(text), 'expert.json'),
    (error) =>
      error instanceof AgentError && /"sumary"/.test(error.message) && /"summary"/.test(error.hint ?? ''),
  );
});

test('no bytes make the parser throw anything but a clear refusal', () => {
  const valid = JSON.stringify(manifestOf('a', { 'onnx/model.onnx': 'x' }));
  const mutated = fc
    .tuple(fc.nat(valid.length - 1), fc.string({ maxLength: 4 }))
    .map(([at, text]) => valid.slice(0, at) + text + valid.slice(at + 1));
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string(), mutated), (text) => {
      try {
        parseManifest(Buffer.from(text), 'expert.json');
      } catch (error) {
        assert.ok(error instanceof AgentError && error.code === 'bad_expert' && error.hint !== null);
      }
    }),
    { numRuns: 300 },
  );
});

test('before the first load the bound is conservative, and a profile of this device replaces it', () => {
  const found = readPackage(writeExpert(root, 'bounded'));
  const options = { embedderDigest: null, pinned: false, contextTokens: null, fallback: null };
  const blind = expertOf(found, { ...options, memory: emptyMemory() });
  assert.ok(blind.memory.residentBytes > 24e6 && !blind.memory.measured);
  const told = expertOf(
    { ...found, manifest: { ...found.manifest, memory: { residentBytes: 10e6, loadBytes: 12e6 } } },
    { ...options, memory: emptyMemory() },
  );
  assert.ok(told.memory.residentBytes > 10e6 && told.memory.loadBytes > 12e6 && !told.memory.measured);
  const profile = { residentBytes: 5e6, loadBytes: 6e6, loadMs: 9, measured: true };
  const known = expertOf(found, { ...options, memory: { ...emptyMemory(), profile: () => profile } });
  assert.deepEqual(known.memory, profile);
});

test('examples that no embedder has seen are unknown, not empty', () => {
  const directory = writeExpert(root, 'taught', {
    routing: { languages: ['en'], examples: ['what is it?'], rules: [] },
  });
  const options = { embedderDigest: 'e', pinned: false, contextTokens: null, fallback: null };
  assert.equal(
    expertOf(readPackage(directory), { ...options, memory: emptyMemory() }).routing.prototypes,
    null,
  );
  const prototypes = [new Int8Array(4)];
  const memory = { ...emptyMemory(), prototypes: () => prototypes };
  assert.equal(expertOf(readPackage(directory), { ...options, memory }).routing.prototypes, prototypes);
});

test('a manifest that is too large is not read', () => {
  const directory = writeExpert(root, 'large');
  appendFileSync(join(directory, 'expert.json'), ' '.repeat(5 * 1024 * 1024));
  assert.throws(() => readPackage(directory), refused(/bytes, more than/));
});

test('an assistant is a retrieval expert, and another speaks for it', () => {
  const files = { 'onnx/model.onnx': 'x' };
  const parse = (change: Parameters<typeof manifestOf>[2]) =>
    parseManifest(Buffer.from(JSON.stringify(manifestOf('doctor', files, change))), 'expert.json');
  const assistant = { systemPrompt: 'You explain.' };
  assert.equal(parse({ task: 'retrieval', assistant }).assistant?.systemPrompt, 'You explain.');
  assert.throws(() => parse({ assistant }), refused(/"assistant" belongs to an expert whose task/));
  const itself = { ...assistant, base: 'doctor' };
  assert.throws(() => parse({ task: 'retrieval', assistant: itself }), refused(/is the expert itself/));
  const empty = { systemPrompt: '' };
  assert.throws(() => parse({ task: 'retrieval', assistant: empty }), refused(/systemPrompt/));
});

test('a language model has room for one context, as large as the configuration says or the model can', () => {
  const files = { 'onnx/model.onnx': 'x', 'tokenizer.json': '{}', 'tokenizer_config.json': '{}' };
  const facts = (contextTokens: number | null, maxTokens: number, cacheBytesPerToken?: number) => {
    const [path, config] = ['tokenizer.json', 'tokenizer_config.json'];
    const model = { path: 'onnx/model.onnx', precision: 'fp32', inputs: {}, outputs: {} };
    const manifest = manifestOf('lm', files, {
      task: 'text-generation',
      tokenizer: { kind: 'huggingface', path, config, maxTokens },
      model: cacheBytesPerToken === undefined ? model : { ...model, cacheBytesPerToken },
    });
    const found = { manifest, digest: 'd', directory: root };
    return expertOf(found, {
      memory: emptyMemory(),
      embedderDigest: null,
      pinned: false,
      contextTokens,
      fallback: null,
    });
  };
  assert.equal(facts(null, 8_192, 100).cacheBytes, 204_800);
  assert.equal(facts(4_096, 8_192, 100).cacheBytes, 409_600);
  assert.equal(facts(4_096, 512, 100).cacheBytes, 51_200);
  assert.ok(facts(null, 8_192).cacheBytes > 0, 'a manifest that does not say is no reason for none');
  const other = manifestOf('other', files);
  const options = {
    memory: emptyMemory(),
    embedderDigest: null,
    pinned: false,
    contextTokens: 4_096,
    fallback: null,
  };
  assert.equal(expertOf({ manifest: other, digest: 'd', directory: root }, options).cacheBytes, 0);
});
