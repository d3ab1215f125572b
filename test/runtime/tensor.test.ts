import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import type { Manifest } from '../../agent/catalog/manifest.ts';
import { AgentError } from '../../agent/errors.ts';
import type { Elements, ElementType, NamedTensor } from '../../agent/ports.ts';
import type { Task } from '../../agent/runtime/task.ts';
import { KINDS, type TensorGraph, writeTensorExpert } from '../experts-made/tensor.ts';
import { chat, openPackage, plainRun } from './embedding-open.ts';

const root = mkdtempSync(join(tmpdir(), 'expertd-tensor-'));
after(() => rmSync(root, { recursive: true }));

async function opened(graph: TensorGraph, change: (manifest: Manifest) => Manifest = (same) => same) {
  const directory = mkdtempSync(join(root, `${graph}-`));
  const task = await openPackage(directory, change(writeTensorExpert(directory, graph, graph)));
  return Object.assign(task, { [Symbol.asyncDispose]: () => task.release() });
}

async function ask(task: Task, inputs: readonly NamedTensor[], outputs: readonly string[] | null = null) {
  const answer = await task.run({ kind: 'tensors', inputs, outputs }, plainRun());
  assert.ok(answer.kind === 'tensors');
  return answer.outputs;
}

function tensor(name: string, type: ElementType, shape: readonly number[], data: Elements): NamedTensor {
  return { name, type, shape, data };
}

const floats = (name: string, rows: number, values: readonly number[]) =>
  tensor(name, 'float32', [rows, 3], Float32Array.from(values));

test('y = a + 2 b, for any number of rows, none too', async () => {
  await using task = await opened('sum');
  const [y] = await ask(task, [floats('b', 2, [1, 2, 3, 4, 5, 6]), floats('a', 2, [0, 0, 0, 10, 10, 10])]);
  assert.deepEqual(y, floats('y', 2, [2, 4, 6, 18, 20, 22]));
  assert.deepEqual(await ask(task, [floats('a', 0, []), floats('b', 0, [])], ['y']), [floats('y', 0, [])]);
});

test('NaN and infinities pass through: what numbers mean is the business of the graph', async () => {
  await using task = await opened('sum');
  const [y] = await ask(task, [
    floats('a', 1, [Number.NaN, 1, 2]),
    floats('b', 1, [0, Number.POSITIVE_INFINITY, 0]),
  ]);
  assert.deepEqual(y, floats('y', 1, [Number.NaN, Number.POSITIVE_INFINITY, 2]));
});

test('every element type comes back bit by bit', async () => {
  await using task = await opened('kinds');
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 5 }).chain(ofEveryKind), async (inputs) => {
      const outputs = await ask(task, inputs);
      assert.deepEqual(
        outputs,
        inputs.map((input) => ({ ...input, name: `same_${input.name}` })),
      );
    }),
    { numRuns: 30 },
  );
});

test('outputs come in the order in which they are asked for', async () => {
  await using task = await opened('kinds');
  const [inputs] = fc.sample(ofEveryKind(2), 1);
  assert.ok(inputs !== undefined);
  const outputs = await ask(task, inputs, ['same_string', 'same_bool']);
  assert.deepEqual(
    outputs.map(({ name }) => name),
    ['same_string', 'same_bool'],
  );
});

test('what does not fit the declaration is refused by name', async () => {
  await using task = await opened('sum');
  const [a, b] = [floats('a', 1, [1, 2, 3]), floats('b', 1, [1, 2, 3])];
  const cases: readonly [RegExp, readonly NamedTensor[], (readonly string[])?][] = [
    [/input "b" is missing; the expert takes float32\[rows,3\]/, [a]],
    [/input "c" is not one that the expert has \(a, b\)/, [a, b, floats('c', 1, [1, 2, 3])]],
    [/input "a" is given twice/, [a, b, a]],
    [/input "a" is float32\[3\]; the expert takes float32\[rows,3\]/, [{ ...a, shape: [3] }, b]],
    [/input "a" is float32\[3,1\]; the expert takes/, [{ ...a, shape: [3, 1] }, b]],
    [
      /input "b" is int32\[1,3\]; the expert takes/,
      [a, tensor('b', 'int32', [1, 3], Int32Array.of(1, 2, 3))],
    ],
    [/input "b" has 2 elements, which do not fill its shape/, [a, { ...b, data: Float32Array.of(1, 2) }]],
    [/output "z" is not one that the expert has \(y\)/, [a, b], ['z']],
    [/output "y" is asked for twice/, [a, b], ['y', 'y']],
    [/output "toString" is not one/, [a, b], ['toString']],
    [
      /refused these inputs: .*2 by 3/,
      [floats('a', 2, [1, 2, 3, 4, 5, 6]), floats('b', 3, new Array(9).fill(1))],
    ],
  ];
  for (const [message, inputs, outputs] of cases) {
    await assert.rejects(ask(task, inputs, outputs ?? null), refusedWith('bad_input', message));
  }
  assert.equal((await ask(task, [a, b])).length, 1, 'it works afterwards');
});

test('a value that the graph cannot use is the fault of who sent it', async () => {
  await using task = await opened('table');
  const index = (...values: bigint[]) => [
    tensor('index', 'int64', [values.length], BigInt64Array.from(values)),
  ];
  assert.deepEqual(await ask(task, index(3n, 0n)), [
    tensor('found', 'float32', [2], Float32Array.of(13, 10)),
  ]);
  await assert.rejects(ask(task, index(4n)), refusedWith('bad_input', /refused these inputs: .*out of/));
});

test('a question in words is another task', async () => {
  await using task = await opened('sum');
  await assert.rejects(task.run(chat('one and two'), plainRun()), refusedWith('wrong_task', /does tensor/));
});

test('a cancelled run does not begin', async () => {
  await using task = await opened('sum');
  const run = { ...plainRun(), cancelled: () => true };
  const inputs = [floats('a', 0, []), floats('b', 0, [])];
  await assert.rejects(
    task.run({ kind: 'tensors', inputs, outputs: null }, run),
    refusedWith('cancelled', /./),
  );
});

test('a package that declares what its graph is not, or what cannot be sent, is a bad expert', async () => {
  const declaring = (model: Partial<Manifest['model']>) =>
    opened('sum', (manifest) => ({ ...manifest, model: { ...manifest.model, ...model } }));
  await assert.rejects(
    declaring({ outputs: { y: 'float32[rows,4]' } }),
    refusedWith('bad_expert', /output "y"/),
  );
  await assert.rejects(
    declaring({ outputs: { z: 'float32[rows,3]' } }),
    refusedWith('bad_expert', /no output "z"/),
  );
  await assert.rejects(
    declaring({ inputs: { a: 'float32[rows,3]' } }),
    refusedWith('bad_expert', /also needs input "b"/),
  );
  await assert.rejects(declaring({ outputs: { y: 'bfloat16[n]' } }), refusedWith('bad_expert', /bfloat16/));
  await assert.rejects(
    declaring({ outputs: { y: 'a number' } }),
    refusedWith('bad_expert', /not as type\[sizes\]/),
  );
});

/** Inputs of `kinds` with `count` elements each; any bits, but no NaN, whose bits a comparison cannot see. */
function ofEveryKind(count: number): fc.Arbitrary<readonly NamedTensor[]> {
  const length = { minLength: count, maxLength: count };
  const data: Record<ElementType, fc.Arbitrary<Elements>> = {
    bool: fc.uint8Array({ ...length, max: 1 }),
    uint8: fc.uint8Array(length),
    uint16: fc.uint16Array(length),
    uint32: fc.uint32Array(length),
    uint64: fc.bigUint64Array(length),
    int8: fc.int8Array(length),
    int16: fc.int16Array(length),
    int32: fc.int32Array(length),
    int64: fc.bigInt64Array(length),
    float16: fc.uint16Array(length),
    float32: fc.float32Array(length),
    float64: fc.float64Array(length),
    string: fc.array(
      fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\0', '')),
      length,
    ),
  };
  return fc.tuple(...KINDS.map((type) => data[type].map((values) => tensor(type, type, [count], values))));
}

function refusedWith(code: string, message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof AgentError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };
}
