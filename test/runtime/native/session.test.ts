/** Sessions and sequences of the C API: what they tell, and where their bytes are. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { readRssBytes } from '../../../agent/linux/process.ts';
import { NativeApi, openNativeApi } from '../../../agent/runtime/native/api.ts';
import { NativeModel } from '../../../agent/runtime/native/model.ts';
import { NativeSession } from '../../../agent/runtime/native/session.ts';
import { folder, tinyPackage } from '../generation/asking.ts';
import { countingPackage } from '../generation/counting-package.ts';

const api = await openNativeApi();
const skip = api === null && 'the C API of ONNX Runtime cannot be reached here';

test('a session tells what its graph takes and gives', { skip }, (t) => {
  assert.ok(api !== null);
  const { directory, manifest } = tinyPackage(t);
  const session = NativeSession.open(api, join(directory, manifest.model.path), 1);
  t.after(() => session.release());
  const { inputMetadata, outputMetadata } = session;
  assert.deepEqual(inputMetadata[0], {
    name: 'input_ids',
    isTensor: true,
    type: 'int64',
    shape: ['batch_size', 'sequence_length'],
  });
  const past = inputMetadata.find(({ name }) => name === 'past_key_values.1.value');
  assert.ok(past?.isTensor);
  assert.deepEqual([past.type, past.shape[1], past.shape[3]], ['float32', 2, 64]);
  assert.deepEqual([inputMetadata.length, outputMetadata.length], [2 + 2 * 2, 1 + 2 * 2]);
});

test('what was seen of a decoder opens it without a run, and it says the same', { skip }, async (t) => {
  assert.ok(api !== null);
  for (const { directory, manifest } of [tinyPackage(t), countingPackage(folder(t))]) {
    const file = join(directory, manifest.model.path);
    let runs = 0;
    const call = {
      ...api.call,
      RunWithBinding: (...values: Parameters<typeof api.call.RunWithBinding>) => {
        runs += 1;
        return api.call.RunWithBinding(...values);
      },
    };
    const counting: NativeApi = Object.assign(Object.create(NativeApi.prototype), api, { call });
    const tried = await NativeModel.open(counting, manifest, file, 1);
    assert.ok(runs > 0);
    runs = 0;
    const known = await NativeModel.open(counting, manifest, file, 1, tried.decoder);
    assert.equal(runs, 0);
    assert.deepEqual(known.decoder, tried.decoder);
    assert.equal(known.vocabulary, tried.vocabulary);
    const [one, other] = [tried.begin(), known.begin()];
    for (const ids of [[3, 1, 4, 1], [5], [2, 6]])
      assert.deepEqual(await other.predict(ids), await one.predict(ids));
    await tried.release();
    await known.release();
  }
});

test('what fails says why, and twice released is once', { skip }, (t) => {
  assert.ok(api !== null);
  const { directory, manifest } = tinyPackage(t);
  assert.throws(() => NativeSession.open(api, join(directory, 'none.onnx'), 1), /none\.onnx/);
  const session = NativeSession.open(api, join(directory, manifest.model.path), 1);
  const binding = session.newBinding();
  assert.throws(() => binding.run(false), /output should be requested/);
  binding.madeOutput('nothing of the kind');
  assert.throws(() => binding.run(false), /nothing of the kind/);
  for (const thing of [binding, binding, session, session]) thing.release();
});

test('keys and values take what they hold, and come back at once', { skip }, async (t) => {
  assert.ok(api !== null);
  const { directory, manifest } = tinyPackage(t);
  const model = await NativeModel.open(api, manifest, join(directory, manifest.model.path), 1);
  t.after(() => model.release());
  const trunk = model.begin();
  for (let at = 0; at < 8; at += 1) await trunk.append(Array.from({ length: 125 }, (_, id) => 7 + id));
  const before = readRssBytes('self') ?? 0;
  const grown = () => (readRssBytes('self') ?? 0) - before;
  const forks = Array.from({ length: 10 }, () => trunk.fork(1_000));
  const held = forks.reduce((bytes, fork) => bytes + fork.bytes, 0);
  assert.ok(held >= 10_000 * model.bytesPerToken);
  assert.ok(Math.abs(grown() - held) < 0.2 * held, `${grown()} bytes for ${held}`);
  for (const fork of forks) fork.truncate(100);
  assert.ok(grown() < 0.3 * held, `${grown()} bytes after nine tenths were forgotten`);
  for (const fork of forks) fork.release();
  assert.ok(grown() < 0.1 * held, `${grown()} bytes after all were released`);
});
