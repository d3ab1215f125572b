/** Edited graphs compute what the originals do, and less. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { GraphBuilder, MICROSOFT } from '../../agent/onnx/graph.ts';
import { embeddedTensor, externalPlace } from '../../agent/onnx/tensor.ts';
import { prepareGraph } from '../../agent/preparation/graph.ts';
import { DATA, MODEL } from '../../agent/preparation/job.ts';
import { compare } from '../../agent/runtime/canary.ts';
import { Random } from '../experts-made/random.ts';
import { editGraph, folder, graphPackage, MODEL_PATH, readEdited, tinyPackage } from './made.ts';

const random = new Random(7);

/** Runs the model and its copy on the same rows. */
async function both(t: TestContext, directory: string, target: string, feeds: Record<string, Tensor>) {
  const results = [];
  for (const path of [join(directory, MODEL_PATH), join(target, MODEL)]) {
    const session = await InferenceSession.create(path);
    t.after(() => session.release());
    results.push(await session.run(feeds));
  }
  const [plain, edited] = results;
  assert.ok(plain !== undefined && edited !== undefined);
  return { plain, edited };
}

function hidden(tokens: number, size: number): Tensor {
  return new Tensor('float32', random.float32(tokens * size, 1), [1, tokens, size]);
}

/** Fails unless the copy's logits are the last row of the original's, each within a share of the largest. */
async function assertLastRow(
  t: TestContext,
  b: GraphBuilder,
  size: number,
  tolerance: number,
): Promise<void> {
  const found = graphPackage(t, b);
  const made = editGraph(t, found);
  assert.deepEqual(made.steps[0], { name: 'last-position', done: true, why: null });
  assert.equal(made.exact, tolerance === 0);
  const { plain, edited } = await both(t, found.directory, made.target, { x: hidden(5, size) });
  const [all, last] = [plain['logits']?.data, edited['logits']?.data];
  assert.ok(all instanceof Float32Array && last instanceof Float32Array);
  assert.deepEqual(edited['logits']?.dims, [1, 1, all.length / 5]);
  const expected = all.subarray(all.length - last.length);
  const largest = Math.max(...expected.map(Math.abs));
  assert.ok(largest > 0);
  for (const [at, value] of last.entries())
    assert.ok(Math.abs(value - (expected[at] ?? Number.NaN)) <= tolerance * largest, `${at}: ${value}`);
}

function decoder(): GraphBuilder {
  const b = new GraphBuilder('test');
  b.input('x', 'FLOAT', [1, 'tokens', 64]);
  b.output('logits', 'FLOAT', [1, 'tokens', 40]);
  return b;
}

test('a whole decoder says the same to the bit or nearly, and has fewer nodes', async (t) => {
  const found = tinyPackage(t);
  const made = editGraph(t, found);
  assert.deepEqual(
    made.steps.map(({ name, done }) => [name, done]),
    [
      ['last-position', true],
      ['packing', true],
    ],
  );
  // Query, key and value are of floats here.
  assert.equal(made.exact, false);
  const figures = await compare({ ...found, target: made.target, copy: MODEL, exact: false });
  assert.equal(figures.why, null);
  assert.deepEqual([figures.compared, figures.otherChoices], [8, 0]);
  const { graph } = readEdited(made.target);
  const attention = graph.node.filter(({ opType }) => opType === 'GroupQueryAttention');
  assert.deepEqual(
    attention.map(({ input }) => input.slice(1, 3)),
    attention.map(() => ['', '']),
    'the attention takes query, key and value as one',
  );
  assert.equal(graph.node.filter(({ opType }) => opType === 'Split').length, 2, 'gate and up, in two layers');
});

test('what stays is not copied, and every large tensor lies on a page', (t) => {
  const found = tinyPackage(t);
  const { target, files } = editGraph(t, found);
  const link = files.find(({ linkOf }) => linkOf !== null);
  assert.equal(link?.linkOf, 'onnx/model.onnx_data');
  const [one, other] = [join(target, link?.path ?? ''), join(found.directory, 'onnx/model.onnx_data')].map(
    (path) => statSync(path).ino,
  );
  assert.equal(one, other);
  const written = readEdited(target).graph.initializer.flatMap((tensor) => {
    const place = externalPlace(tensor);
    return place?.location === DATA ? [place] : [];
  });
  assert.ok(written.length >= 4);
  for (const { offset, bytes } of written) if (bytes >= 16_384) assert.equal(offset % 65_536, 0);
});

const SHARED_MEMORY = '/dev/shm';

test('on another file system, weights that stay are copied, and no others', async (t) => {
  const found = tinyPackage(t);
  if (!existsSync(SHARED_MEMORY) || statSync(SHARED_MEMORY).dev === statSync(found.directory).dev)
    return t.skip(`${SHARED_MEMORY} is not another file system than ${found.directory}`);
  const target = mkdtempSync(join(SHARED_MEMORY, 'expertd-preparation-'));
  t.after(() => rmSync(target, { recursive: true, force: true }));
  const job = { phase: 'graph', marginBytes: 0, exact: true, ...found, target } as const;
  const outcome = prepareGraph(job);
  assert.ok(outcome.kind === 'made');
  assert.deepEqual(
    outcome.files.map(({ path, linkOf }) => [path, linkOf]),
    [
      [MODEL, null],
      [DATA, null],
    ],
  );
  const names = readEdited(target).graph.initializer.map(({ name }) => name);
  assert.ok(names.includes('layer.0.output.weight') && !names.includes('layer.0.query.weight'));
  assert.equal((await compare({ ...found, target, copy: MODEL, exact: false })).why, null);
});

test('weights that lie in the model file are taken out of it', async (t) => {
  const b = decoder();
  b.constant(embeddedTensor('w', [64, 6_000], random.float32(64 * 6_000, 1)));
  b.constant(embeddedTensor('v', [6_000, 40], random.float32(6_000 * 40, 1)));
  b.node('MatMul', 'wide', ['x', 'w']);
  b.node('MatMul', 'logits', ['wide', 'v']);
  const found = graphPackage(t, b);
  const made = editGraph(t, found);
  assert.ok(made.steps.some(({ name, done }) => name === 'own-weights' && done));
  assert.ok(statSync(join(made.target, MODEL)).size < 4_096);
  assert.ok(statSync(join(made.target, DATA)).size >= 4 * (64 + 40) * 6_000);
  const { plain, edited } = await both(t, found.directory, made.target, { x: hidden(1, 64) });
  assert.deepEqual(edited['logits']?.data, plain['logits']?.data);
});

test('the last position: a plain product, before which or after which other nodes stand', async (t) => {
  const b = decoder();
  b.constant(embeddedTensor('w', [40, 64], random.float32(40 * 64, 1)));
  b.constant(embeddedTensor('bias', [40], random.float32(40, 1)));
  b.constant(embeddedTensor('cap', [], Float32Array.of(3)));
  b.node('Transpose', 'turned', ['w'], { attributes: { perm: [1, 0] } });
  b.node('MatMul', 'product', ['x', 'turned']);
  b.node('Add', 'shifted', ['bias', 'product']);
  b.node('Div', 'small', ['shifted', 'cap']);
  b.node('Tanh', 'bent', ['small']);
  b.node('Mul', 'logits', ['bent', 'cap']);
  await assertLastRow(t, b, 64, 1e-5);
});

test('the last position: a product that quantises by itself keeps the scale of all positions', async (t) => {
  const b = decoder();
  b.constant(embeddedTensor('w', [64, 40], random.int8(64 * 40)));
  b.constant(embeddedTensor('s', [40], random.float32(40, 1)));
  b.constant(embeddedTensor('z', [40], random.int8(40)));
  b.constant(embeddedTensor('bias', [40], random.float32(40, 1)));
  b.node('DynamicQuantizeMatMul', 'logits', ['x', 'w', 's', 'z', 'bias'], { domain: MICROSOFT });
  await assertLastRow(t, b, 64, 0);
});

test('the last position: whole numbers as ONNX has them', async (t) => {
  const b = decoder();
  b.constant(embeddedTensor('w', [64, 40], random.int8(64 * 40)));
  b.constant(embeddedTensor('s', [40], random.float32(40, 1)));
  b.node('DynamicQuantizeLinear', 'bytes', ['x'], { outputs: ['bytes', 'scale', 'zero'] });
  b.node('MatMulInteger', 'whole', ['bytes', 'w', 'zero']);
  b.node('Cast', 'floats', ['whole'], { attributes: { to: 1 } });
  b.node('Mul', 'scales', ['scale', 's']);
  b.node('Mul', 'logits', ['floats', 'scales']);
  await assertLastRow(t, b, 64, 0);
});

test('the last position: 4-bit blocks', async (t) => {
  const b = decoder();
  b.constant(embeddedTensor('w', [40, 2, 16], new Uint8Array(random.int8(40 * 32))));
  b.constant(embeddedTensor('s', [80], random.float32(80, 1)));
  const attributes = { K: 64, N: 40, bits: 4, block_size: 32, accuracy_level: 4 };
  b.node('MatMulNBits', 'logits', ['x', 'w', 's'], { domain: MICROSOFT, attributes });
  await assertLastRow(t, b, 64, 1e-5);
});

/** Two products of one input, each with its own width, whose outputs are the outputs of the graph. */
function pair(make: (b: GraphBuilder, name: string, width: number) => void): GraphBuilder {
  const b = new GraphBuilder('test');
  b.input('x', 'FLOAT', [1, 'tokens', 64]);
  for (const [name, width] of [
    ['a', 48],
    ['b', 16],
  ] as const) {
    make(b, name, width);
    b.output(name, 'FLOAT', [1, 'tokens', width]);
  }
  return b;
}

const KINDS: Readonly<Record<string, Parameters<typeof pair>[0]>> = {
  floats: (b, name, width) => {
    b.constant(embeddedTensor(`${name}.w`, [64, width], random.float32(64 * width, 1)));
    b.node('MatMul', name, ['x', `${name}.w`]);
  },
  'bytes with zero points and a bias': (b, name, width) => {
    b.constant(embeddedTensor(`${name}.w`, [64, width], random.int8(64 * width)));
    b.constant(embeddedTensor(`${name}.s`, [width], random.float32(width, 1)));
    b.constant(embeddedTensor(`${name}.z`, [width], random.int8(width)));
    b.constant(embeddedTensor(`${name}.b`, [width], random.float32(width, 1)));
    const inputs = ['x', ...['w', 's', 'z', 'b'].map((part) => `${name}.${part}`)];
    b.node('DynamicQuantizeMatMul', name, inputs, { domain: MICROSOFT });
  },
  'bytes with one scale for all columns': (b, name, width) => {
    b.constant(embeddedTensor(`${name}.w`, [64, width], random.int8(64 * width)));
    b.constant(embeddedTensor(`${name}.s`, [1], Float32Array.of(width)));
    b.node('DynamicQuantizeMatMul', name, ['x', `${name}.w`, `${name}.s`], { domain: MICROSOFT });
  },
  '4-bit blocks with zero points': (b, name, width) => {
    b.constant(embeddedTensor(`${name}.w`, [width, 2, 16], new Uint8Array(random.int8(width * 32))));
    b.constant(embeddedTensor(`${name}.s`, [width * 2], random.float32(width * 2, 1)));
    b.constant(embeddedTensor(`${name}.z`, [width], new Uint8Array(random.int8(width))));
    const attributes = { K: 64, N: width, bits: 4, block_size: 32 };
    const inputs = ['x', `${name}.w`, `${name}.s`, `${name}.z`];
    b.node('MatMulNBits', name, inputs, { domain: MICROSOFT, attributes });
  },
};

for (const [name, make] of Object.entries(KINDS)) {
  test(`packing: ${name}`, async (t) => {
    const found = graphPackage(t, pair(make));
    const made = editGraph(t, found);
    assert.equal(made.steps.find((step) => step.name === 'packing')?.done, true);
    assert.deepEqual(
      readEdited(made.target).graph.node.map(({ opType }) => opType === 'Split'),
      [false, true],
    );
    for (const tokens of [1, 7]) {
      const { plain, edited } = await both(t, found.directory, made.target, { x: hidden(tokens, 64) });
      for (const output of ['a', 'b']) {
        const [expected, actual] = [plain[output], edited[output]];
        assert.deepEqual(actual?.dims, expected?.dims);
        assert.ok(expected?.data instanceof Float32Array && actual?.data instanceof Float32Array);
        if (made.exact) assert.deepEqual(actual.data, expected.data);
        const largest = Math.max(...expected.data.map(Math.abs));
        assert.ok(largest > 0);
        for (const [at, value] of actual.data.entries())
          assert.ok(Math.abs(value - (expected.data[at] ?? Number.NaN)) <= 1e-5 * largest);
      }
    }
  });
}

test('a graph without either pattern is left as it is', (t) => {
  const b = decoder();
  b.input('w', 'FLOAT', [64, 40]);
  b.node('MatMul', 'logits', ['x', 'w']);
  const { files, steps, target } = editGraph(t, graphPackage(t, b));
  assert.deepEqual([files, existsSync(join(target, MODEL))], [[], false]);
  assert.ok(steps.every(({ done, why }) => !done && why !== null));
});

test('positions that depend on each other are not taken apart', (t) => {
  const kinds: Readonly<Record<string, (b: GraphBuilder) => void>> = {
    'a sum over positions comes after the product': (b) => {
      b.node('MatMul', 'product', ['x', 'w']);
      b.node('Softmax', 'logits', ['product'], { attributes: { axis: 1 } });
    },
    'something is added that differs between positions': (b) => {
      b.node('MatMul', 'product', ['x', 'w']);
      b.node('Add', 'logits', ['product', 'product']);
    },
    'another output needs all of the product': (b) => {
      b.node('MatMul', 'product', ['x', 'w']);
      b.node('Tanh', 'logits', ['product']);
      b.output('product', 'FLOAT', [1, 'tokens', 40]);
    },
    'a zero point for each position': (b) => {
      b.input('bytes', 'UINT8', [1, 'tokens', 64]);
      b.input('zeros', 'UINT8', ['tokens']);
      b.constant(embeddedTensor('v', [64, 40], random.int8(64 * 40)));
      b.node('MatMulInteger', 'whole', ['bytes', 'v', 'zeros']);
      b.node('Cast', 'logits', ['whole'], { attributes: { to: 1 } });
    },
  };
  for (const [name, make] of Object.entries(kinds)) {
    const b = decoder();
    b.constant(embeddedTensor('w', [64, 40], random.float32(64 * 40, 1)));
    make(b);
    const [last] = editGraph(t, graphPackage(t, b)).steps;
    assert.equal(last?.done, false, name);
  }
});

test('a copy that says something else is found out', async (t) => {
  const found = tinyPackage(t);
  const { target } = editGraph(t, found);
  const directory = join(folder(t), 'other');
  // Another seed: the same graph with other weights.
  const { writeTinyLm } = await import('../experts-made/tiny-lm.ts');
  const manifest = writeTinyLm(directory, { id: 'tiny', seed: 2 });
  const figures = await compare({ directory, manifest, target, copy: MODEL, exact: false });
  assert.match(figures.why ?? '', /logits differ/);
  // And one that cannot be loaded, or is none.
  for (const copy of [DATA, 'nothing.onnx']) {
    const broken = await compare({ ...found, target, copy, exact: false });
    assert.match(broken.why ?? '', /cannot be/);
  }
  assert.ok(readFileSync(join(target, MODEL)).length > 0);
});
