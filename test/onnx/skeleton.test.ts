/** A graph read without its weights is the graph, and its weights are where it says. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { equals } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { AgentError } from '../../agent/errors.ts';
import { dropUnread, Edges, intAttribute } from '../../agent/onnx/edges.ts';
import { GraphBuilder, makeNode } from '../../agent/onnx/graph.ts';
import { readModel, writeModel } from '../../agent/onnx/model.ts';
import { AttributeProto_AttributeType, ModelProtoSchema } from '../../agent/onnx/onnx_pb.gen.ts';
import { readSkeleton } from '../../agent/onnx/skeleton.ts';
import { embeddedTensor, externalPlace } from '../../agent/onnx/tensor.ts';

const directory = mkdtempSync(join(tmpdir(), 'expertd-skeleton-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const path = join(directory, 'model.onnx');

test('weights that the file holds are found at the places that the skeleton names', () => {
  const sizes = fc.array(fc.nat(2_000), { maxLength: 6 });
  fc.assert(
    fc.property(sizes, (counts) => {
      const b = new GraphBuilder('test');
      b.input('x', 'FLOAT', [1]);
      const weights = counts.map((count, at) => new Float32Array(count).fill(at + 1));
      weights.forEach((data, at) => void b.constant(embeddedTensor(`w${at}`, [data.length], data)));
      b.node('Identity', 'y', ['x']);
      const bytes = writeModel(b.model('test'));
      writeFileSync(path, bytes);
      const { graph } = readSkeleton(path);
      assert.equal(graph.initializer.length, weights.length);
      for (const [at, tensor] of graph.initializer.entries()) {
        const data = Buffer.from(weights[at]?.buffer ?? new ArrayBuffer(0));
        const place = externalPlace(tensor);
        assert.equal(place !== null, data.length >= 1_024);
        if (place === null) assert.deepEqual(Buffer.from(tensor.rawData), data);
        else {
          assert.equal(place.location, 'model.onnx');
          assert.deepEqual(Buffer.from(bytes.subarray(place.offset, place.offset + place.bytes)), data);
        }
      }
      assert.deepEqual(
        graph.node.map(({ opType }) => opType),
        ['Identity'],
      );
    }),
    { numRuns: 30 },
  );
});

test('a file that is damaged anywhere, or nothing like a model, is read or refused', () => {
  const b = new GraphBuilder('test');
  b.constant(embeddedTensor('w', [1_000], new Float32Array(1_000).fill(1)));
  b.node('Identity', 'y', ['w'], { attributes: { axis: -1 } });
  const whole = writeModel(b.model('test'));
  const damaged = fc
    .tuple(fc.nat(whole.length), fc.nat(255), fc.boolean())
    .map(([at, value, cut]) => (cut ? whole.slice(0, at) : Uint8Array.from(whole).fill(value, at, at + 1)));
  fc.assert(
    fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 40 })), (bytes) => {
      writeFileSync(path, bytes);
      try {
        readSkeleton(path);
      } catch (error) {
        assert.ok(error instanceof AgentError && error.code === 'bad_onnx', String(error));
      }
    }),
  );
  writeFileSync(path, whole);
  assert.equal(readSkeleton(path).graph.initializer.length, 1);
});

test('a field that says it is longer than the file costs no memory', () => {
  const lie = new BinaryWriter().tag(7, WireType.LengthDelimited).uint32(2 ** 31 - 1);
  writeFileSync(path, lie.finish());
  assert.throws(() => readSkeleton(path), { code: 'bad_onnx' });
});

const MODELS = process.env['EXPERTD_TEST_MODELS'] ?? join(import.meta.dirname, '../../../shared/models');
const real = join(MODELS, 'smollm2-135m-instruct/onnx/model_int8.onnx');
const skip = existsSync(real) ? false : `no model at ${real}; EXPERTD_TEST_MODELS names another place`;
test('a real graph whose weights are beside it is read as it is', { skip }, () => {
  // One table of 1 KB or more is in the file itself.
  const [skeleton, whole] = [readSkeleton(real), readModel(readFileSync(real))];
  assert.equal(skeleton.graph.node.length, whole.graph.node.length);
  skeleton.graph.initializer = whole.graph.initializer;
  assert.ok(equals(ModelProtoSchema, skeleton, whole));
});

test('edges: who makes and reads what, and what an inner graph sees', () => {
  const b = new GraphBuilder('test');
  b.input('x', 'FLOAT', [1]);
  b.constant(embeddedTensor('w', [1], Float32Array.of(1)));
  b.constant(embeddedTensor('unread', [1], Float32Array.of(1)));
  b.node('Add', 'sum', ['x', 'w']);
  b.node('Mul', 'square', ['sum', 'sum']);
  b.node('Softmax', 'y', ['square'], { attributes: { axis: 1 } });
  b.output('y', 'FLOAT', [1]);
  const { graph } = b.model('test');
  const edges = new Edges(graph);
  assert.equal(edges.maker('sum')?.opType, 'Add');
  assert.equal(edges.maker('x'), undefined);
  assert.equal(edges.constant('w')?.name, 'w');
  assert.equal(edges.readers('sum').length, 2);
  assert.equal(edges.onlyReader('sum'), undefined);
  assert.equal(edges.onlyReader('square')?.opType, 'Softmax');
  assert.equal(edges.onlyReader('y'), undefined);
  assert.equal(edges.freshName('sum'), 'sum.2');
  assert.equal(edges.freshName('sum'), 'sum.3');
  const [, , softmax] = graph.node;
  assert.ok(softmax !== undefined);
  assert.deepEqual([intAttribute(softmax, 'axis', 9), intAttribute(softmax, 'other', 9)], [1, 9]);

  const inner = new GraphBuilder('inner');
  inner.node('Identity', 'seen', ['square']);
  const branch = makeNode('If', 'z', ['sum'], { attributes: { then_branch: 0 } });
  const [attribute] = branch.attribute;
  assert.ok(attribute !== undefined);
  Object.assign(attribute, { type: AttributeProto_AttributeType.GRAPH, g: inner.model('test').graph });
  graph.node.push(branch);
  assert.equal(new Edges(graph).onlyReader('square'), undefined, 'the inner graph reads it too');
  dropUnread(graph);
  assert.deepEqual(
    graph.initializer.map(({ name }) => name),
    ['w'],
  );
});
