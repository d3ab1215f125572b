/** Reading and writing the ONNX format. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { equals } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { AgentError } from '../../agent/errors.ts';
import { type Attribute, GraphBuilder, MICROSOFT } from '../../agent/onnx/graph.ts';
import { type OnnxModel, readModel, writeModel } from '../../agent/onnx/model.ts';
import { ModelProtoSchema } from '../../agent/onnx/onnx_pb.gen.ts';
import { embeddedTensor, externalPlace, externalTensor } from '../../agent/onnx/tensor.ts';

const MODELS = process.env['EXPERTD_TEST_MODELS'] ?? join(import.meta.dirname, '../../../shared/models');
const REAL = ['smollm2-135m-instruct', 'all-minilm-l6-v2'].map((name) =>
  join(MODELS, name, 'onnx/model_int8.onnx'),
);

const attribute: fc.Arbitrary<Attribute> = fc.oneof(
  fc.maxSafeInteger(),
  fc.string(),
  fc.array(fc.maxSafeInteger(), { maxLength: 4 }),
  fc.float({ noNaN: true }).map((float) => ({ float })),
);
const dims = fc.array(fc.oneof(fc.nat(1_000), fc.string()), { maxLength: 4 });
const node = fc.record({
  op: fc.string(),
  name: fc.string(),
  inputs: fc.array(fc.string(), { maxLength: 3 }),
  domain: fc.constantFrom('', MICROSOFT),
  attributes: fc.dictionary(fc.string(), attribute, { maxKeys: 3 }),
});
const floats = fc.float32Array({ maxLength: 20 });
const model: fc.Arbitrary<OnnxModel> = fc
  .record({
    name: fc.string(),
    inputs: fc.array(dims),
    nodes: fc.array(node, { maxLength: 5 }),
    weights: fc.array(floats),
  })
  .map(({ name, inputs, nodes, weights }) => {
    const builder = new GraphBuilder(name);
    inputs.forEach((shape, at) => void builder.input(`input${at}`, 'FLOAT', shape));
    for (const { op, name: output, inputs: names, domain, attributes } of nodes) {
      builder.node(op, output, names, { domain, attributes });
    }
    weights.forEach((data, at) => void builder.constant(embeddedTensor(`weight${at}`, [data.length], data)));
    return builder.model('test');
  });

test('a model that is written and read is the same model', () => {
  fc.assert(
    fc.property(model, (written) => {
      const read = readModel(writeModel(written));
      assert.ok(equals(ModelProtoSchema, read, written));
      assert.deepEqual(Buffer.from(writeModel(read)), Buffer.from(writeModel(written)));
    }),
  );
});

test('fields that this version does not know survive, on every level', () => {
  const unknown = { number: 12_345, text: 'from the future' };
  const later = new BinaryWriter()
    .tag(unknown.number, WireType.LengthDelimited)
    .string(unknown.text)
    .tag(unknown.number + 1, WireType.Varint)
    .uint32(7)
    .finish();
  // ModelProto {1: ir_version, 7: graph {1: node {4: op_type, and ours}, and ours}, and ours}
  const nodeBytes = new BinaryWriter().tag(4, WireType.LengthDelimited).string('Add').raw(later).finish();
  const graphBytes = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(nodeBytes).raw(later).finish();
  const bytes = new BinaryWriter()
    .tag(1, WireType.Varint)
    .int64(10)
    .tag(7, WireType.LengthDelimited)
    .bytes(graphBytes)
    .raw(later)
    .finish();
  const again = writeModel(readModel(bytes));
  assert.deepEqual(Buffer.from(again), Buffer.from(bytes));
  assert.equal(Buffer.from(again).toString('latin1').split(unknown.text).length, 4);
});

test('bytes that are no model are refused, whatever they are', () => {
  const refuses = (bytes: Uint8Array): void => {
    try {
      readModel(bytes);
    } catch (error) {
      assert.ok(error instanceof AgentError, String(error));
      assert.equal(error.code, 'bad_onnx');
      assert.ok(error.hint !== null);
      return;
    }
    assert.fail('it was read');
  };
  for (const text of [
    '',
    '<!DOCTYPE html><title>404</title>',
    'version https://git-lfs.github.com/spec/v1\n',
    '{}',
  ]) {
    refuses(Buffer.from(text));
  }
  refuses(Buffer.alloc(4_096));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 12 }), refuses));
});

test('a model that was cut off, or damaged, is read or refused, and nothing else', () => {
  fc.assert(
    fc.property(model, fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(255), (whole, where, value) => {
      const bytes = writeModel(whole);
      const at = Math.floor(where * bytes.length);
      const damaged = Uint8Array.from(bytes);
      damaged[at] = value;
      for (const bad of [bytes.slice(0, at), damaged]) {
        try {
          readModel(bad);
        } catch (error) {
          assert.ok(error instanceof AgentError && error.code === 'bad_onnx', String(error));
        }
      }
    }),
  );
});

test('where a tensor lies outside the file is written and read', () => {
  const place = { location: 'model.onnx_data', offset: 65_536, bytes: 48 };
  assert.deepEqual(externalPlace(externalTensor('w', [3, 4], 1, place)), place);
  assert.equal(externalPlace(embeddedTensor('w', [2], Float32Array.of(1, 2))), null);
  assert.throws(() => embeddedTensor('w', [3], Float32Array.of(1, 2)), {
    name: 'RangeError',
    message: /\[3\]/,
  });
});

for (const path of REAL) {
  const skip = existsSync(path) ? false : `no model at ${path}; EXPERTD_TEST_MODELS names another place`;
  test(`a real model keeps its meaning: ${path.split('/').at(-3)}`, { skip }, () => {
    const read = readModel(readFileSync(path));
    assert.ok(read.graph.node.length > 50);
    assert.ok(equals(ModelProtoSchema, readModel(writeModel(read)), read));
  });
}
