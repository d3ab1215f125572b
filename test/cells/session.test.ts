/** Sessions over the files of a package. ONNX Runtime is loaded in this process, as it is in a cell. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Manifest } from '../../agent/catalog/manifest.ts';
import { AgentError } from '../../agent/errors.ts';
import { writeTinyLm } from '../experts-made/tiny-lm.ts';

// Read by the library when it is loaded; in a cell it comes with the environment.
process.env['ORT_DISABLE_TELEMETRY'] = '1';
const { openSession, packageFile, startRuntime } = await import('../../agent/runtime/session.ts');

const root = mkdtempSync(join(tmpdir(), 'expertd-session-'));
const directory = join(root, 'package');
let manifest: Manifest;
before(() => {
  manifest = writeTinyLm(directory, { id: 'tiny' });
});
after(() => rmSync(root, { recursive: true }));

function listing(path: string): Manifest {
  return { ...manifest, files: [...manifest.files, { path, bytes: 1, sha256: '0'.repeat(64) }] };
}

async function refusal(promise: Promise<unknown>): Promise<AgentError> {
  const error = await promise.then(String, (thrown: unknown) => thrown);
  assert.ok(error instanceof AgentError, String(error));
  assert.equal(error.code, 'bad_expert');
  assert.ok(!error.message.includes(root), error.message);
  return error;
}

test('the runtime starts once', async () => {
  assert.equal(await startRuntime(), await startRuntime());
});

test('a file of the package is opened', async () => {
  const session = await openSession({ directory, manifest }, manifest.model.path, 1);
  assert.ok(session.inputNames.includes('input_ids'));
  await session.release();
});

test('a file that is not listed is never opened', async () => {
  writeFileSync(join(directory, 'extra.onnx'), 'x');
  const error = await refusal(openSession({ directory, manifest }, 'extra.onnx', 1));
  assert.match(error.message, /extra\.onnx is not one of the files/);
});

test('a path or a link that leads out of the package is refused', () => {
  writeFileSync(join(root, 'outside.onnx'), 'x');
  symlinkSync('../outside.onnx', join(directory, 'link.onnx'));
  const refused = (path: string) => () => packageFile(directory, listing(path), path);
  assert.throws(refused('../outside.onnx'), { code: 'bad_expert', message: /leads out of the package$/ });
  assert.throws(refused(join(root, 'outside.onnx')), { code: 'bad_expert' });
  assert.throws(refused('link.onnx'), { code: 'bad_expert', message: /by a link$/ });
  assert.throws(refused('.'), { code: 'bad_expert' });
  assert.throws(refused('missing.onnx'), { code: 'bad_expert', message: /cannot be read: ENOENT/ });
});

test('a file that the runtime refuses is named, with the reason', async () => {
  writeFileSync(join(directory, 'junk.onnx'), 'hello');
  const error = await refusal(openSession({ directory, manifest: listing('junk.onnx') }, 'junk.onnx', 1));
  assert.match(
    error.message,
    /"tiny" cannot be loaded: junk\.onnx cannot be loaded: Protobuf parsing failed/,
  );
});

test('weights that are cut short or missing are an error', async () => {
  const data = manifest.files.find(({ path }) => path.endsWith('_data'))?.path ?? '';
  truncateSync(join(directory, data), 100);
  await refusal(openSession({ directory, manifest }, manifest.model.path, 1));
  rmSync(join(directory, data));
  const error = await refusal(openSession({ directory, manifest }, manifest.model.path, 1));
  assert.match(error.message, /model\.onnx_data/);
});
