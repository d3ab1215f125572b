/** Every shipped expert, and every kind of generated one, gives its golden answers in a real cell, and no others. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Manifest } from '../../agent/catalog/manifest.ts';
import type { ExpertPackage } from '../../agent/cells/cell.ts';
import { cellCommand, shippedExpertsDir } from '../../agent/files.ts';
import type { Golden } from '../../agent/golden.ts';
import { type Run, selfTest } from '../../agent/selftest.ts';
import { packageOf, StartedCells } from '../cells/started.ts';
import { writeClassifier } from '../experts-made/classifier.ts';
import { type TensorGraph, writeTensorExpert } from '../experts-made/tensor.ts';
import { writeTinyLm } from '../experts-made/tiny-lm.ts';
import { writeRewriter } from '../runtime/rewriting-package.ts';

const EMBEDDER = 'embedder';
const CELL = 'fast-1';
const GRAPHS: readonly TensorGraph[] = ['sum', 'kinds', 'table'];
const root = mkdtempSync(join(tmpdir(), 'expertd-golden-'));
const experts = new Map<string, ExpertPackage>();
for (const entry of readdirSync(shippedExpertsDir(), { withFileTypes: true })) {
  if (!entry.isDirectory()) continue;
  const directory = join(shippedExpertsDir(), entry.name);
  const manifest = JSON.parse(readFileSync(join(directory, 'expert.json'), 'utf8')) as Manifest;
  experts.set(manifest.id, packageOf(directory, manifest));
}
const shipped = [...experts.keys()];
assert.ok(shipped.length >= 8 && shipped.includes(EMBEDDER), shipped.join());
make('letters', (directory) => writeClassifier(directory, { id: 'letters' }));
make('parrot', (directory) => writeTinyLm(directory, { id: 'parrot' }));
make('rewriter', (directory) => writeRewriter(directory));
for (const graph of GRAPHS) make(graph, (directory) => writeTensorExpert(directory, graph, graph));

const started = new StartedCells(experts, { command: cellCommand() });
before(() => started.cells.load(CELL, 'fast', EMBEDDER));
after(async () => {
  await started.cells.shutdown(2_000);
  rmSync(root, { recursive: true });
});

for (const [id, { manifest }] of experts) {
  test(`${id} gives its golden answers, and no others`, async () => {
    if (id !== EMBEDDER) await started.cells.load(CELL, 'fast', id);
    const { golden } = manifest;
    assert.deepEqual(await tested(id, golden), { error: null, given: golden.length, unjudged: [] });
    if (manifest.task === 'retrieval')
      assert.deepEqual(await tested(id, golden, embed), { error: null, given: golden.length, unjudged: [] });
    for (const one of golden) {
      const { error } = await tested(id, [{ ...one, output: otherThan(manifest.task, one.output) }]);
      assert.equal(error?.code, 'golden_differs', JSON.stringify(one));
    }
  });
}

function make(id: string, write: (directory: string) => Manifest): void {
  const directory = join(root, id);
  experts.set(id, packageOf(directory, write(directory)));
}

function tested(id: string, goldens: readonly Golden[], withEmbedding?: typeof embed) {
  const manifest = experts.get(id)?.manifest;
  assert.ok(manifest !== undefined);
  return selfTest(runner(id), {
    task: manifest.task,
    goldens,
    embed: withEmbedding ?? (() => Promise.resolve(null)),
  });
}

function runner(expert: string): Run {
  return (ask) => started.cells.run({ cell: CELL, lease: 1, expert, ask }, () => {});
}

async function embed(text: string): Promise<Float32Array> {
  const { answer } = await runner(EMBEDDER)({ kind: 'embeddings', texts: [text] });
  const vector = answer.kind === 'embeddings' ? answer.vectors[0] : undefined;
  assert.ok(vector !== undefined);
  return vector;
}

/** An output of the same form that the expert does not give. */
function otherThan(task: Manifest['task'], output: unknown): unknown {
  const known = Object(output) as Record<string, unknown>;
  switch (task) {
    case 'feature-extraction': {
      const first = known['first'] as readonly number[];
      return { ...known, first: [...first.slice(0, -1), (first.at(-1) ?? 0) + 0.1] };
    }
    case 'text-classification':
      return { ...known, score: Number(known['score']) - 0.1 };
    case 'retrieval':
      return { title: `${known['title']}s` };
    case 'text-generation':
      return { text: `So ${known['text']}` };
    case 'token-classification':
      return `${output}.`;
    case 'tensor': {
      const [first, ...rest] = known['outputs'] as readonly { data: readonly unknown[] }[];
      return { outputs: [{ ...first, data: first?.data.toReversed() }, ...rest] };
    }
  }
}
