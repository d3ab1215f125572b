/** Packages, and what is done to them, in folders that go away after the test. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Manifest } from '../../agent/catalog/manifest.ts';
import { cellEnvironment } from '../../agent/cells/environment.ts';
import { prepareCommand } from '../../agent/files.ts';
import type { GraphBuilder } from '../../agent/onnx/graph.ts';
import { type OnnxModel, readModel, writeModel } from '../../agent/onnx/model.ts';
import { prepareGraph } from '../../agent/preparation/graph.ts';
import { MODEL, type Outcome } from '../../agent/preparation/job.ts';
import {
  type ExpertPackage,
  Preparation,
  type PreparationOptions,
} from '../../agent/preparation/preparation.ts';
import { writeTinyLm } from '../experts-made/tiny-lm.ts';

export const MODEL_PATH = 'onnx/model.onnx';

export function folder(t: Pick<TestContext, 'after'>): string {
  const directory = mkdtempSync(join(tmpdir(), 'expertd-preparation-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A generated language model. `edit` changes its graph; its digest in the manifest is wrong then, which nobody reads. */
export function tinyPackage(
  t: Pick<TestContext, 'after'>,
  edit?: (model: OnnxModel, directory: string) => void,
): ExpertPackage {
  const directory = join(folder(t), 'package');
  const manifest = writeTinyLm(directory, { id: 'tiny' });
  if (edit !== undefined) {
    const path = join(directory, MODEL_PATH);
    const model = readModel(readFileSync(path));
    edit(model, directory);
    writeFileSync(path, writeModel(model));
  }
  return packageOf(directory, manifest);
}

export function packageOf(directory: string, manifest: Manifest): ExpertPackage {
  const digest = createHash('sha256').update(JSON.stringify(manifest)).digest('hex');
  return { directory, manifest, digest };
}

/** A package around a graph without weights of its own. */
export function graphPackage(t: Pick<TestContext, 'after'>, builder: GraphBuilder): ExpertPackage {
  const base = tinyPackage(t);
  writeFileSync(join(base.directory, MODEL_PATH), writeModel(builder.model('test')));
  return base;
}

export type Made = Extract<Outcome, { kind: 'made' }>;

/** Does the phase `graph` in this process; the folder is where the copy is. */
export function editGraph(
  t: Pick<TestContext, 'after'>,
  { directory, manifest }: ExpertPackage,
): Made & { readonly target: string } {
  const target = join(folder(t), 'target');
  mkdirSync(target);
  const outcome = prepareGraph({ phase: 'graph', directory, manifest, target, marginBytes: 0, exact: true });
  if (outcome.kind !== 'made') throw new Error(outcome.why);
  return { ...outcome, target };
}

export function readEdited(target: string): OnnxModel {
  return readModel(readFileSync(join(target, MODEL)));
}

export interface Told {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** The real processes, unless `options` say otherwise. */
export function preparation(directory: string, options: Partial<PreparationOptions> = {}) {
  const warnings: Told[] = [];
  const real = { ...prepareCommand(), env: cellEnvironment(process.env) };
  const made = new Preparation({
    directory,
    command: real,
    runtime: '1.2.3',
    arch: 'test',
    marginBytes: 0,
    leastBytes: 0,
    log: { info: () => undefined, warn: (fields, message) => void warnings.push({ fields, message }) },
    ...options,
  });
  return { preparation: made, warnings };
}

/** Names in a folder; none where it is not there. */
export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}
