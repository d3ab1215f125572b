/** Graphs that the runtime loads and runs. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { ExternalDataWriter, LARGEST_PAGE_BYTES } from '../../agent/onnx/external-data.ts';
import { GraphBuilder, MICROSOFT } from '../../agent/onnx/graph.ts';
import { writeModel } from '../../agent/onnx/model.ts';
import { embeddedTensor, externalPlace } from '../../agent/onnx/tensor.ts';

function folder(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'expertd-onnx-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

test('a graph is built, written, loaded and run, with attributes of every kind', async (t) => {
  const b = new GraphBuilder('test');
  b.input('x', 'FLOAT', ['rows', 2]);
  const w = b.constant(embeddedTensor('w', [2, 3], Float32Array.of(1, 2, 3, 4, 5, 6)));
  b.node('MatMul', 'product', ['x', w]);
  // A whole number that must be a FLOAT, one that must be an INT, a list and a text.
  b.node('Elu', 'elu', ['product'], { attributes: { alpha: { float: 2 } } });
  b.node('QuickGelu', 'gelu', ['elu'], { domain: MICROSOFT, attributes: { alpha: 0.5 } });
  b.node('Transpose', 'turned', ['gelu'], { attributes: { perm: [1, 0] } });
  b.node('Softmax', 'y', ['turned'], { attributes: { axis: 0 } });
  b.output('y', 'FLOAT', [3, 'rows']);
  const session = await InferenceSession.create(writeModel(b.model('test')));
  t.after(() => session.release());
  assert.deepEqual(session.inputMetadata[0], {
    name: 'x',
    isTensor: true,
    type: 'float32',
    shape: ['rows', 2],
  });
  const { y } = await session.run({ x: new Tensor('float32', Float32Array.of(1, 1, -1, 0), [2, 2]) });
  assert.deepEqual(y?.dims, [3, 2]);
  const gelu = (value: number) => value / (1 + Math.exp(-value / 2));
  const softmax = (values: number[]) => {
    const powers = values.map(Math.exp);
    return powers.map((power) => power / powers.reduce((sum, one) => sum + one, 0));
  };
  const first = softmax([5, 7, 9].map(gelu));
  const second = softmax([-1, -2, -3].map((value) => gelu(2 * (Math.exp(value) - 1))));
  const expected = first.flatMap((value, row) => [value, second[row] ?? 0]);
  for (const [at, value] of expected.entries()) assert.ok(Math.abs(value - Number(y?.data[at])) < 1e-6);
});

test('weights beside the model lie on pages, and the runtime finds them', async (t) => {
  const directory = folder(t);
  const path = join(directory, 'model.onnx_data');
  const writer = new ExternalDataWriter(path);
  const large = Float32Array.from({ length: 100 * 100 }, (_, at) => at % 7);
  const small = Float32Array.from({ length: 100 }, (_, at) => at);
  const tensors = [
    writer.add('small', [100], small),
    writer.add('w', [100, 100], large),
    writer.add('bytes', [3], Int8Array.of(-1, 0, 1)),
    writer.add('again', [100, 100], large),
  ];
  const { bytes, sha256 } = writer.finish();
  const file = readFileSync(path);
  assert.deepEqual([file.length, createHash('sha256').update(file).digest('hex')], [bytes, sha256]);
  const offsets = tensors.map((tensor) => externalPlace(tensor)?.offset ?? -1);
  assert.deepEqual(
    offsets.map((offset) => offset % LARGEST_PAGE_BYTES),
    [0, 0, 40_000, 0],
  );
  assert.throws(() => new ExternalDataWriter(path), { code: 'EEXIST' });

  const b = new GraphBuilder('test');
  b.input('x', 'FLOAT', [1, 100]);
  for (const tensor of tensors) b.constant(tensor);
  b.node('MatMul', 'first', ['x', 'w']);
  b.node('MatMul', 'second', ['first', 'again']);
  b.node('Mul', 'y', ['second', 'small']);
  b.output('y', 'FLOAT', [1, 100]);
  b.node('Cast', 'z', ['bytes'], { attributes: { to: 1 } });
  b.output('z', 'FLOAT', [3]);
  writeFileSync(join(directory, 'model.onnx'), writeModel(b.model('test')));
  const session = await InferenceSession.create(join(directory, 'model.onnx'));
  t.after(() => session.release());
  const x = new Float32Array(100).fill(1);
  const { y, z } = await session.run({ x: new Tensor('float32', x, [1, 100]) });
  const times = (vector: Float32Array) =>
    vector.map((_, column) =>
      vector.reduce((sum, value, row) => sum + value * (large[100 * row + column] ?? 0), 0),
    );
  const expected = times(times(x)).map((value, at) => value * at);
  assert.deepEqual(y?.data, expected);
  assert.deepEqual(z?.data, Float32Array.of(-1, 0, 1));
});
