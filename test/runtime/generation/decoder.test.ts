/** Language models over both ways to the runtime: one contract, and the same numbers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openModel } from '../../../agent/runtime/generation/decoder.ts';
import { PortableModel } from '../../../agent/runtime/generation/portable.ts';
import { openNativeApi } from '../../../agent/runtime/native/api.ts';
import { NativeModel } from '../../../agent/runtime/native/model.ts';
import { openGraph, packageFile } from '../../../agent/runtime/session.ts';
import { UNPREPARED } from '../../../agent/runtime/task.ts';
import { modelContract } from '../../contract/model.ts';
import { contextOf, folder, type Package, tinyPackage } from './asking.ts';
import { countingPackage } from './counting-package.ts';

const api = await openNativeApi();
const skip = api === null && 'the C API of ONNX Runtime cannot be reached here';

modelContract('native', openNative, skip);
modelContract('portable', openPortable, false);

async function openNative({ manifest, directory }: Package): Promise<NativeModel> {
  assert.ok(api !== null);
  return await NativeModel.open(api, manifest, packageFile(directory, manifest, manifest.model.path), 1);
}

async function openPortable({ manifest, directory }: Package): Promise<PortableModel> {
  const file = packageFile(directory, manifest, manifest.model.path);
  return await PortableModel.open(manifest, await openGraph(manifest, file, 1));
}

test('both compute the same, bit by bit', { skip }, async (t) => {
  const files = tinyPackage(t);
  const models = [await openNative(files), await openPortable(files)];
  t.after(() => Promise.all(models.map((model) => model.release())));
  const [one, other] = models.map((model) => model.begin());
  assert.ok(one !== undefined && other !== undefined);
  // Over the end of the first room.
  for (let step = 0; step < 12; step += 1) {
    const ids = Array.from({ length: step % 3 === 0 ? 180 : 1 }, (_, at) => 7 + ((31 * at + step) % 200));
    assert.deepEqual(await one.predict(ids), await other.predict(ids));
  }
});

test('the native way is taken where there is one', { skip }, async (t) => {
  const model = await openModel({ ...contextOf(tinyPackage(t)), ...UNPREPARED });
  t.after(() => model.release());
  assert.ok(model instanceof NativeModel);
});

test('without it there is another', async (t) => {
  const model = await openModel({ ...contextOf(tinyPackage(t)), ...UNPREPARED }, async () => null);
  t.after(() => model.release());
  assert.ok(model instanceof PortableModel);
});

test('a prepared graph is opened in place of the package’s own', async (t) => {
  const files = countingPackage(folder(t));
  const { directory } = countingPackage(folder(t));
  const prepared = { directory, model: 'model.onnx', tokenizer: null, decoder: null };
  const elsewhere = { ...files, directory: folder(t) };
  const model = await openModel({ ...contextOf(elsewhere), ...UNPREPARED, prepared });
  t.after(() => model.release());
  assert.equal((await model.begin().predict([1])).indexOf(1), 2);
});

test('a file that the package does not list is not opened', async (t) => {
  const { directory, manifest } = countingPackage(folder(t));
  const files = { directory, manifest: { ...manifest, files: [] } };
  await assert.rejects(openModel({ ...contextOf(files), ...UNPREPARED }), { code: 'bad_expert' });
});
