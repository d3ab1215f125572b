/**
 * Measures an expert in a process of its own, as a cell would host it:
 * `node scripts/experts/measure.ts FOLDER [TEXT]` prints what its load added to the process (bytes of PSS), its time,
 * and the time of a run.
 */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { chatAbout } from '../../agent/asks.ts';
import { openLibc } from '../../agent/linux/libc.ts';
import type { Ask } from '../../agent/ports.ts';
import { CellMemory } from '../../agent/runtime/memory.ts';
import { openSession, startRuntime } from '../../agent/runtime/session.ts';
import { type Task, type TaskRun, UNPREPARED } from '../../agent/runtime/task.ts';
import { findTask } from '../../agent/runtime/tasks/index.ts';
import { parseManifest } from './manifest.ts';

const RUNS = 500;

async function measure(folder: string, text: string): Promise<Record<string, unknown>> {
  const directory = resolve(folder);
  const manifest = parseManifest(await readFile(join(directory, 'expert.json'), 'utf8'));
  await startRuntime();
  const open = await findTask(manifest.task);
  const memory = new CellMemory(await openLibc());
  const loaded: Task[] = [];
  const report = await memory.measure(async () => {
    loaded.push(
      await open({
        manifest,
        directory,
        ...UNPREPARED,
        openSession: (path) => openSession({ directory, manifest }, path, 1),
      }),
    );
  });
  const [task] = loaded;
  if (task === undefined) throw new Error(`${manifest.id} was not loaded`);
  const times = await runTimes(task, askOf(manifest.task, text));
  memory.settle();
  const usedBytes = memory.pssBytes();
  await task.release();
  const { beforeBytes, afterBytes, peakBytes, loadMs } = report;
  return {
    expert: manifest.id,
    loadMs: round(loadMs),
    loadedBytes: afterBytes === null || beforeBytes === null ? null : afterBytes - beforeBytes,
    loadPeakBytes: peakBytes,
    afterRunsBytes: usedBytes === null || beforeBytes === null ? null : usedBytes - beforeBytes,
    firstMs: round(times[0] ?? 0),
    p50Ms: percentile(times, 0.5),
    p99Ms: percentile(times, 0.99),
  };
}

async function runTimes(task: Task, ask: Ask): Promise<readonly number[]> {
  const run: TaskRun = { cancelled: () => false, onDelta: () => {}, spent: () => {} };
  const times: number[] = [];
  for (let turn = 0; turn < RUNS; turn += 1) {
    const startMs = performance.now();
    await task.run(ask, run);
    times.push(performance.now() - startMs);
  }
  return times;
}

function askOf(task: string, text: string): Ask {
  if (task === 'feature-extraction') return { kind: 'embeddings', texts: [text] };
  return chatAbout(text);
}

function percentile(times: readonly number[], share: number): number {
  const sorted = times.toSorted((left, right) => left - right);
  return round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0);
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}

const [folder, text = 'A short sentence of about nine words, as people type.'] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: measure.ts FOLDER [TEXT]');
process.stdout.write(`${JSON.stringify(await measure(folder, text))}\n`);
