/** Folders of experts made for tests: small files, real sizes and sums. Nothing in them can be run. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Manifest } from '../../agent/catalog/manifest.ts';
import type { Memory } from '../../agent/ports.ts';

export function newFolder(): string {
  return mkdtempSync(join(tmpdir(), 'expertd-catalog-'));
}

export function manifestOf(
  id: string,
  files: Readonly<Record<string, string>>,
  change: Partial<Manifest> = {},
): Manifest {
  return {
    schema: 1,
    id,
    version: '1.0.0',
    task: 'text-classification',
    summary: 'made for a test',
    license: 'Apache-2.0',
    source: 'generated',
    runtime: 'onnx',
    model: { path: 'onnx/model.onnx', precision: 'fp32', inputs: {}, outputs: {} },
    files: Object.entries(files).map(([path, text]) => ({
      path,
      bytes: Buffer.byteLength(text),
      sha256: createHash('sha256').update(text).digest('hex'),
    })),
    routing: { languages: ['*'], examples: [], rules: [] },
    golden: [{ input: 'x', output: 'y' }],
    ...change,
  };
}

/** Writes an expert's folder into `parent`; returns its path. */
export function writeExpert(
  parent: string,
  id: string,
  change: Partial<Manifest> = {},
  model = 'weights',
): string {
  const files = { 'onnx/model.onnx': model, 'labels.txt': 'a\nb\n' };
  const directory = join(parent, id);
  mkdirSync(join(directory, 'onnx'), { recursive: true });
  for (const [path, text] of Object.entries(files)) writeFileSync(join(directory, path), text);
  writeFileSync(join(directory, 'expert.json'), JSON.stringify(manifestOf(id, files, change)));
  return directory;
}

export function emptyMemory(): Memory {
  return {
    profile: () => null,
    keepProfile: () => {},
    prototypes: () => null,
    keepPrototypes: () => {},
    recentExperts: () => [],
  };
}
