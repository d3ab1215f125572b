/** A real export (SmolLM2-135M-Instruct, int8): what is prepared of it says the same to the bit. */
import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Manifest } from '../../agent/catalog/manifest.ts';
import { MODEL } from '../../agent/preparation/job.ts';
import { compare } from '../../agent/runtime/canary.ts';
import { editGraph, packageOf, readEdited } from './made.ts';

const MODELS = process.env['EXPERTD_TEST_MODELS'] ?? join(import.meta.dirname, '../../../shared/models');
const directory = join(MODELS, 'smollm2-135m-instruct');
const skip = existsSync(directory)
  ? false
  : `no model at ${directory}; EXPERTD_TEST_MODELS names another place`;
const LAYERS = 30;

function manifest(): Manifest {
  const model = 'onnx/model_int8.onnx';
  const cache = (prefix: string): [string, string][] =>
    Array.from({ length: LAYERS }, (_, layer) => ['key', 'value'].map((kind) => `${prefix}.${layer}.${kind}`))
      .flat()
      .map((name) => [name, 'float32[batch,3,tokens,64]']);
  return {
    schema: 1,
    id: 'smollm2',
    version: '1.0.0',
    task: 'text-generation',
    summary: 'A small chat model.',
    license: 'Apache-2.0',
    source: 'HuggingFaceTB/SmolLM2-135M-Instruct',
    runtime: 'onnx',
    model: {
      path: model,
      precision: 'int8',
      inputs: {
        input_ids: 'int64[batch,sequence]',
        attention_mask: 'int64[batch,total]',
        ...Object.fromEntries(cache('past_key_values')),
      },
      outputs: { logits: 'float32[batch,sequence,49152]', ...Object.fromEntries(cache('present')) },
    },
    // Nobody hashes it here.
    files: [model, `${model}_data`].map((path) => ({
      path,
      bytes: statSync(join(directory, path)).size,
      sha256: '0'.repeat(64),
    })),
    routing: { languages: ['en'], examples: [], rules: [] },
    golden: [{ input: 'What is the capital of France?', output: 'Paris' }],
  };
}

test('both edits are made, a third of the nodes is gone, and no logit moves', { skip }, async (t) => {
  const found = packageOf(directory, manifest());
  const made = editGraph(t, found);
  assert.deepEqual(
    made.steps.map(({ name, done }) => [name, done]),
    [
      ['last-position', true],
      ['packing', true],
    ],
  );
  assert.equal(made.exact, true);
  const count = (opType: string): number =>
    readEdited(made.target).graph.node.filter((node) => node.opType === opType).length;
  // Packed: query, key and value; gate and up. As they were: what follows the attention, and down.
  assert.deepEqual([count('DynamicQuantizeMatMul'), count('Split')], [4 * LAYERS, LAYERS]);
  const { why, ...figures } = await compare({ ...found, target: made.target, copy: MODEL, exact: true });
  assert.equal(why, null);
  assert.deepEqual(figures, {
    compared: 8,
    otherChoices: 0,
    prefillDifference: 0,
    stepDifference: 0,
    tolerance: 0,
  });
});
