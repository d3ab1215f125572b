/**
 * Fills `files` of an expert: `node scripts/experts/manifest.ts FOLDER` writes the size and sha256 of every file of
 * the package into its expert.json, and validates the whole. README.md stays out: people read it, the expert does not.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { Value } from 'typebox/value';
import { type Manifest, type ManifestFile, ManifestSchema } from '../../agent/catalog/manifest.ts';

const MANIFEST = 'expert.json';
const NOT_LISTED: readonly string[] = [MANIFEST, 'README.md'];

/** The files of a package as its manifest should list them, in the order of their paths. */
export async function listFiles(folder: string): Promise<readonly ManifestFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll(sep, '/'))
    .filter((path) => !NOT_LISTED.includes(path))
    .sort();
  return Promise.all(
    paths.map(async (path) => {
      const bytes = await readFile(join(folder, path));
      return { path, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    }),
  );
}

/** A validated manifest. Throws an Error that names every fault. */
export function parseManifest(text: string): Manifest {
  const value: unknown = JSON.parse(text);
  if (Value.Check(ManifestSchema, value)) return value;
  const faults = Value.Errors(ManifestSchema, value).map(
    ({ instancePath, message }) => `${instancePath || '/'} ${message}`,
  );
  throw new Error(`${MANIFEST}: ${faults.join('; ')}`);
}

async function fill(folder: string): Promise<void> {
  const path = join(folder, MANIFEST);
  const written: Record<string, unknown> = JSON.parse(await readFile(path, 'utf8'));
  const text = `${JSON.stringify({ ...written, files: await listFiles(folder) }, null, 2)}\n`;
  const { id, files } = parseManifest(text);
  await writeFile(path, text);
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  process.stdout.write(`${id}: ${files.length} files, ${total} bytes\n`);
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error('usage: manifest.ts FOLDER');
  await fill(folder);
}
