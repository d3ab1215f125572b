/** Graphs that lie: they are left as they are, with a reason, or their copy fails its canary; nothing else happens. */
import assert from 'node:assert/strict';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { AgentError } from '../../agent/errors.ts';
import { makeNode } from '../../agent/onnx/graph.ts';
import type { OnnxModel } from '../../agent/onnx/model.ts';
import type { NodeProto, TensorProto } from '../../agent/onnx/onnx_pb.gen.ts';
import { MODEL } from '../../agent/preparation/job.ts';
import { compare } from '../../agent/runtime/canary.ts';
import { editGraph, MODEL_PATH, tinyPackage } from './made.ts';

type Edit = (model: OnnxModel, directory: string) => void;

function tensor({ graph }: OnnxModel, name: string): TensorProto {
  const found = graph.initializer.find((one) => one.name === name);
  assert.ok(found !== undefined, name);
  return found;
}

function maker({ graph }: OnnxModel, output: string): NodeProto {
  const found = graph.node.find((node) => node.output.includes(output));
  assert.ok(found !== undefined, output);
  return found;
}

function setExternal(one: TensorProto, key: string, value: string): void {
  for (const entry of one.externalData) if (entry.key === key) entry.value = value;
}

/** Why nothing was done: by an error of the package, or by steps that say so. */
function reasonsOf(t: TestContext, edit: Edit): string {
  const found = tinyPackage(t, edit);
  try {
    return editGraph(t, found)
      .steps.map(({ name, why }) => `${name}: ${why ?? 'done'}`)
      .join('; ');
  } catch (error) {
    assert.ok(error instanceof AgentError && error.code === 'bad_onnx', String(error));
    assert.equal(error.retryable, false);
    return error.message;
  }
}

const QUERY = 'layer.0.query.weight';

const LIES: Readonly<Record<string, readonly [Edit, RegExp]>> = {
  'a way back from the logits without an end': [
    ({ graph }) => {
      graph.node = graph.node.filter(({ output }) => !output.includes('logits'));
      graph.node.push(makeNode('Tanh', 'logits', ['round']), makeNode('Tanh', 'round', ['logits']));
    },
    /last-position: other nodes read the logits/,
  ],
  'a circle before the logits': [
    ({ graph }) => {
      graph.node = graph.node.filter(({ output }) => !output.includes('logits'));
      graph.node.push(makeNode('Tanh', 'logits', ['one.way']));
      graph.node.push(makeNode('Tanh', 'one.way', ['and.back']), makeNode('Tanh', 'and.back', ['one.way']));
    },
    /last-position: (other nodes read|before the logits)/,
  ],
  'a value that two nodes make': [
    ({ graph }) => void graph.node.push(...graph.node.slice(3, 4)),
    /made twice/,
  ],
  'a constant that is there twice': [
    ({ graph }) => void graph.initializer.push(...graph.initializer.slice(0, 1)),
    /two constants/,
  ],
  'no logits': [
    ({ graph }) => {
      graph.output = graph.output.filter(({ name }) => name !== 'logits');
    },
    /no single output "logits"/,
  ],
  'an offset beyond the file': [
    (model) => setExternal(tensor(model, QUERY), 'offset', String(2 ** 40)),
    /"layer.0.query.weight" lies beyond the end/,
  ],
  'an offset below zero': [
    (model) => setExternal(tensor(model, QUERY), 'offset', '-4096'),
    /place of "layer.0.query.weight" is none/,
  ],
  'an offset that is no number': [
    (model) => setExternal(tensor(model, QUERY), 'offset', 'x'),
    /place of .* is none/,
  ],
  'a length that is not that of the shape': [
    (model) => setExternal(tensor(model, QUERY), 'length', '8'),
    /has 8 bytes, and its shape \d+/,
  ],
  'a shape that is not that of the bytes': [
    (model) => {
      tensor(model, QUERY).dims = [96n, 2n ** 40n];
    },
    /and its shape \d+/,
  ],
  'a shape below zero': [
    (model) => {
      tensor(model, QUERY).dims = [-96n, -256n];
    },
    /the shape of .* is none/,
  ],
  'weights outside of the package': [
    (model) => setExternal(tensor(model, QUERY), 'location', '../../secret'),
    /which expert.json does not list/,
  ],
  'weights at an absolute path': [
    (model) => setExternal(tensor(model, QUERY), 'location', '/etc/passwd'),
    /which expert.json does not list/,
  ],
  'a file of weights that was cut off': [
    (_, directory) => truncateSync(join(directory, 'onnx/model.onnx_data'), 1_000),
    /lies beyond the end/,
  ],
  'an opset that knows none of it': [
    (model) => {
      for (const one of model.opsetImport) if (one.domain === '') one.version = 11n;
    },
    /opset 11, older than 13/,
  ],
};

for (const [name, [edit, reason]] of Object.entries(LIES)) {
  test(`a graph with ${name}`, (t) => assert.match(reasonsOf(t, edit), reason));
}

test('a missing constant, and weights of another width: the copy is found out where the original is', async (t) => {
  const edits: readonly Edit[] = [
    ({ graph }) => {
      graph.initializer = graph.initializer.filter(({ name }) => name !== QUERY);
    },
    (model) => {
      maker(model, 'layer.0.key').input[1] = 'layer.1.output.weight';
    },
  ];
  for (const edit of edits) {
    const found = tinyPackage(t, edit);
    const { target } = editGraph(t, found);
    await assert.rejects(compare({ ...found, target, copy: MODEL, exact: false }), { code: 'bad_expert' });
  }
});

test('weights that two nodes share are packed for each, and kept for a third', async (t) => {
  const found = tinyPackage(t, (model) => {
    maker(model, 'layer.1.key').input[1] = 'layer.0.key.weight';
    // Something else reads it too, without any effect on what comes out.
    model.graph.node.push(makeNode('Tanh', 'unread', ['layer.0.key.weight']));
  });
  const { target, steps } = editGraph(t, found);
  assert.ok(steps.every(({ done }) => done));
  const figures = await compare({ ...found, target, copy: MODEL, exact: false });
  assert.equal(figures.why, null);
});

test('query, key and value that something else reads too keep their names', async (t) => {
  const found = tinyPackage(t, (model) => {
    model.graph.node.push(makeNode('Tanh', 'unread', ['layer.0.key']));
  });
  const { target } = editGraph(t, found);
  const figures = await compare({ ...found, target, copy: MODEL, exact: false });
  assert.equal(figures.why, null);
});

test('a file that is damaged anywhere is edited or refused', (t) => {
  const found = tinyPackage(t);
  const path = join(found.directory, MODEL_PATH);
  const whole = readFileSync(path);
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.boolean(), (at, value, cut) => {
      const damaged = Buffer.from(cut ? whole.subarray(0, at) : whole);
      if (!cut) damaged[at] = value;
      writeFileSync(path, damaged);
      try {
        assert.equal(editGraph(t, found).kind, 'made');
      } catch (error) {
        assert.ok(error instanceof AgentError && error.code === 'bad_onnx', String(error));
      }
    }),
    { numRuns: 60 },
  );
});
