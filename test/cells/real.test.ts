/** Cells as the agent starts them: the real entry, the real tasks, real models. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Manifest } from '../../agent/catalog/manifest.ts';
import type { ExpertPackage } from '../../agent/cells/cell.ts';
import { cellCommand, shippedExpertsDir } from '../../agent/files.ts';
import type { Piece } from '../../agent/generation.ts';
import { readPssBytes } from '../../agent/linux/process.ts';
import { laneSettings } from '../../agent/runtime/main.ts';
import { signatureOf, writeTinyLm } from '../experts-made/tiny-lm.ts';
import { packageOf, runScripted, StartedCells, say, textOf } from './started.ts';

const root = mkdtempSync(join(tmpdir(), 'expertd-real-'));
after(() => rmSync(root, { recursive: true }));
const limit = { timeout: 60_000 };
const shipped = ['embedder', 'lang-id'];
const missing = shipped.filter((id) => !existsSync(join(shippedExpertsDir(), id, 'expert.json')));

function shippedExpert(id: string): [string, ExpertPackage] {
  const directory = join(shippedExpertsDir(), id);
  const manifest = JSON.parse(readFileSync(join(directory, 'expert.json'), 'utf8')) as Manifest;
  return [id, packageOf(directory, manifest)];
}

test('two shipped experts answer from one cell, and the agent never maps the runtime', {
  ...limit,
  skip: missing.length > 0 && `not built: ${missing.join(', ')}`,
}, async (t) => {
  const experts = new Map(shipped.map(shippedExpert));
  await using started = new StartedCells(experts, { command: cellCommand() });
  for (const id of shipped) {
    const { beforeBytes, afterBytes, loadMs } = await started.cells.load('fast-1', 'fast', id);
    t.diagnostic(`${id}: ${beforeBytes} -> ${afterBytes} bytes in ${loadMs.toFixed(0)} ms`);
  }
  const call = { cell: 'fast-1', lease: 1, expert: 'embedder' } as const;
  const ask = { kind: 'embeddings', texts: ['what is tachycardia?', 'a fast heart'] } as const;
  const embedded = await started.cells.run({ ...call, ask }, () => {});
  assert.ok(embedded.answer.kind === 'embeddings');
  for (const vector of embedded.answer.vectors) {
    assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-4);
  }
  const asked = { ...call, expert: 'lang-id', ask: say('¿dónde está la biblioteca municipal?') };
  const labelled = await started.cells.run(asked, () => {});
  assert.equal(labelled.answer.kind === 'labels' && labelled.answer.labels[0]?.label, 'es');
  assert.ok(!mapsRuntime('self') && mapsRuntime(started.pid('fast-1')), 'only the cell maps ONNX Runtime');
  assert.ok((readPssBytes(started.pid('fast-1')) ?? 0) < 200_000_000);
});

test('a language model streams its answer, and is cancelled in the middle of it', limit, async () => {
  const directory = join(root, 'good');
  const manifest = writeTinyLm(directory, { id: 'good' });
  const experts = new Map([['good', packageOf(directory, manifest)]]);
  await using started = new StartedCells(experts, { command: cellCommand() });
  await started.cells.load('heavy-1', 'heavy', 'good');
  const words = 'seven small boats went out to sea';
  const pieces: string[] = [];
  const onDelta = ({ text }: Piece) => void pieces.push(text);
  const whole = await textOf(runScripted(started, words, { cell: 'heavy-1', onDelta }));
  assert.equal(whole, signatureOf('good') + words);
  assert.equal(pieces.join(''), whole);
  const cancel = () => started.cells.cancel('heavy-1', 1);
  const { answer } = await runScripted(started, words, { cell: 'heavy-1', onDelta: cancel });
  assert.ok(answer.kind === 'text' && answer.finish === 'cancelled' && answer.text.length < whole.length);
});

test('threads never exceed the cores, and the fast lane takes one', () => {
  assert.equal(laneSettings('fast', 8).threads, 1);
  assert.deepEqual(
    [1, 2, 4, 12].map((cores) => laneSettings('heavy', cores).threads),
    [1, 2, 4, 4],
  );
});

function mapsRuntime(process: number | 'self'): boolean {
  return readFileSync(`/proc/${process}/maps`, 'utf8').includes('libonnxruntime');
}
