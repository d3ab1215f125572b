/** Inference over a running agent: real cells, real graphs, real decisions. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { RunningAgent } from '../e2e/running-agent.ts';
import { writeClassifier } from '../experts-made/classifier.ts';
import { writeTensorExpert } from '../experts-made/tensor.ts';

interface Tensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data: readonly unknown[];
}

describe('inference in a running agent', { timeout: 120_000 }, () => {
  const root = mkdtempSync(join(tmpdir(), 'expertd-oip-'));
  let agent: RunningAgent;
  before(async () => {
    for (const graph of ['sum', 'kinds', 'table'] as const)
      writeTensorExpert(join(root, graph), graph, graph);
    writeClassifier(join(root, 'letters'), { id: 'letters' });
    agent = await RunningAgent.start({ config: { expertsDir: root, embedder: null } });
  });
  after(async () => {
    await agent.stop();
    rmSync(root, { recursive: true });
  });

  const rows = (name: string, data: readonly number[]): Tensor => ({
    name,
    datatype: 'FP32',
    shape: [data.length / 3, 3],
    data,
  });
  const infer = (model: string, inputs: readonly object[], more: object = {}) =>
    agent.post(`/v2/models/${model}/infer`, { inputs, ...more });
  const error = async (response: Response) => ((await response.json()) as { error: string }).error;

  test('the first inference loads the expert; each is a decision that explain tells', async () => {
    const response = await infer('sum', [rows('a', [1, 2, 3]), rows('b', [10, 20, 30])]);
    assert.equal(response.status, 200, await response.clone().text());
    assert.equal(response.headers.get('x-expertd-residency'), 'absent');
    const { outputs } = (await response.json()) as { outputs: Tensor[] };
    assert.deepEqual(outputs, [rows('y', [21, 42, 63])]);
    const again = await infer('sum', [rows('b', [0, 0, 0, 1, 1, 1]), rows('a', [1, 2, 3, 4, 5, 6])]);
    assert.equal(again.headers.get('x-expertd-residency'), 'resident');
    assert.deepEqual(((await again.json()) as { outputs: Tensor[] }).outputs, [
      rows('y', [1, 2, 3, 6, 7, 8]),
    ]);
    const decision = again.headers.get('x-expertd-decision') ?? '';
    const told = await agent.until(
      () => agent.explain(decision),
      ({ outcome }) => outcome !== null,
    );
    assert.equal(told.decision.expert, 'sum');
    assert.equal(told.choice?.router, 'named');
    assert.equal(told.outcome?.ok, true);
    assert.equal(told.asked?.text, null);
    assert.match(told.asked?.sha256 ?? '', /^[0-9a-f]{64}$/);
  });

  test('what the graph cannot do is a 400, and the next request works', async () => {
    const bad = await infer('table', [{ name: 'index', datatype: 'INT64', shape: [1], data: [99] }]);
    assert.equal(bad.status, 400);
    assert.match(await error(bad), /graph of table refused these inputs/);
    const good = await infer('table', [{ name: 'index', datatype: 'INT64', shape: [2], data: [1, 2] }]);
    assert.deepEqual(((await good.json()) as { outputs: Tensor[] }).outputs[0]?.data, [11, 12]);
  });

  test('words and tensors do not mix: each door says which is the other', async () => {
    const words = await agent.ask('alpha?', 'sum');
    assert.equal(words.status, 400);
    assert.match(
      ((await words.json()) as { error: { message: string } }).error.message,
      /\/v2\/models\/sum\/infer/,
    );
    const tensors = await infer('letters', [rows('a', [1, 2, 3])]);
    assert.deepEqual([tensors.status, /\/v1\/chat/.test(await error(tensors))], [400, true]);
    const auto = await infer('auto', [rows('a', [1, 2, 3])]);
    assert.equal(auto.status, 400);
    assert.ok(Number(auto.headers.get('x-expertd-decision')) > 0, 'the refusal is a decision too');
    assert.match(await error(auto), /must name its expert/);
  });

  test('the router never chooses an expert that takes tensors', async () => {
    const routed = await agent.ask('sum of kinds of a table');
    assert.equal(routed.status, 200);
    assert.equal(routed.headers.get('x-expertd-expert'), null);
  });

  test('load waits until the expert is in memory, unload lets it go', async () => {
    const state = async () => {
      const index = (await (await agent.post('/v2/repository/index', {})).json()) as {
        name: string;
        state: string;
      }[];
      return index.find(({ name }) => name === 'kinds')?.state;
    };
    assert.equal((await agent.post('/v2/repository/models/kinds/load', {})).status, 200);
    assert.equal(await state(), 'READY');
    assert.equal((await agent.post('/v2/repository/models/kinds/unload', {})).status, 200);
    await agent.until(state, (now) => now === 'UNAVAILABLE');
  });

  test('whatever is sent to a real graph, the agent answers and lives', async () => {
    const cells = async () => (await agent.state()).counts?.cellExits;
    const exits = await cells();
    const values = fc.array(fc.oneof(fc.double(), fc.constant('x'), fc.constant(null)), { maxLength: 9 });
    const shape = fc.array(fc.oneof(fc.integer({ min: -1, max: 3 }), fc.maxSafeInteger()), { maxLength: 3 });
    const input = fc.record({
      name: fc.constantFrom('a', 'b', 'index', 'bool', 'string'),
      datatype: fc.constantFrom('FP32', 'INT64', 'BOOL', 'BYTES'),
      shape,
      data: values,
    });
    const index = fc
      .bigInt({ min: -(2n ** 40n), max: 2n ** 40n })
      .map((value) => [{ name: 'index', datatype: 'INT64', shape: [1], data: [Number(value)] }]);
    const call = fc.oneof(
      fc.tuple(fc.constantFrom('sum', 'kinds', 'table'), fc.array(input, { maxLength: 3 })),
      fc.tuple(fc.constant('table'), index),
    );
    await fc.assert(
      fc.asyncProperty(call, async ([model, inputs]) => {
        const response = await infer(model, inputs);
        const text = await response.text();
        assert.ok(response.status < 500, text);
      }),
      { numRuns: 150 },
    );
    assert.equal(await cells(), exits, 'no cell ended');
  });
});
