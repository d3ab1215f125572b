/** Makes a package in a folder: the files of a draft, or a package that is one already. */
import { chmod, mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { checkRoom, syncDirectory, writeDurably } from '../catalog/fetch.ts';
import type { Manifest, ManifestFile } from '../catalog/manifest.ts';
import {
  badExpert,
  MANIFEST_NAME,
  type Package,
  parseManifest,
  readPackage,
  sha256,
} from '../catalog/package.ts';
import { copyHashed } from './copy.ts';
import type { Draft } from './draft.ts';
import type { ModelFolder } from './model-folder.ts';
import { refusal } from './refusal.ts';

/** What only a trial can tell. */
export type Tried = Pick<Manifest, 'golden' | 'memory'>;

/** Copies and writes the files of a draft into `staging`; resolves with how the manifest lists them. */
export async function layOut(
  folder: ModelFolder,
  { manifest, copied, written }: Draft,
  staging: string,
): Promise<readonly ManifestFile[]> {
  const sources = copied.map((path) => ({ path, found: needed(folder, path) }));
  const totalBytes = sources.reduce((sum, { found }) => sum + found.bytes, 0);
  await checkRoom(staging, totalBytes, manifest.id);
  const files: ManifestFile[] = [];
  for (const { path, found } of sources)
    files.push({ path, ...(await copyHashed(found.file, join(staging, path))) });
  for (const [path, text] of Object.entries(written)) {
    const bytes = Buffer.from(text);
    await mkdir(dirname(join(staging, path)), { recursive: true });
    await writeDurably(join(staging, path), bytes);
    files.push({ path, bytes: bytes.length, sha256: sha256(bytes) });
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Checks the manifest as any other is checked, and writes it, last of all; resolves with the package. */
export async function finish(manifest: Manifest, staging: string): Promise<Package> {
  const bytes = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
  parseManifest(bytes, MANIFEST_NAME);
  await writeManifest(bytes, staging);
  return { manifest, digest: sha256(bytes), directory: staging };
}

/** The package that the folder is already, copied as it is; each file is what its manifest says. */
export async function adopt(folder: ModelFolder, staging: string): Promise<Package> {
  const { manifest, digest } = readPackage(folder.root);
  await checkRoom(
    staging,
    manifest.files.reduce((sum, { bytes }) => sum + bytes, 0),
    manifest.id,
  );
  for (const file of manifest.files) {
    const copy = await copyHashed(needed(folder, file.path).file, join(staging, file.path));
    if (copy.sha256 === file.sha256) continue;
    throw badExpert(
      `the content of ${file.path} is not what ${MANIFEST_NAME} says (sha256 ${copy.sha256.slice(0, 12)}..., expected ${file.sha256.slice(0, 12)}...)`,
      'Fetch the folder again.',
    );
  }
  const text = folder.text(MANIFEST_NAME) ?? '';
  if (sha256(text) !== digest) throw refusal(`${MANIFEST_NAME} changed while it was read`, 'Try again.');
  await writeManifest(Buffer.from(text), staging);
  return { manifest, digest, directory: staging };
}

/** The folder is for the agent to read, which may run as another user; its files are synced, and so are its folders. */
async function writeManifest(bytes: Buffer, staging: string): Promise<void> {
  await writeDurably(join(staging, MANIFEST_NAME), bytes);
  const entries = await readdir(staging, { recursive: true, withFileTypes: true });
  const folders = entries
    .filter((entry) => entry.isDirectory())
    .map(({ parentPath, name }) => join(parentPath, name));
  for (const path of [...folders, staging]) {
    await chmod(path, 0o755);
    await syncDirectory(path);
  }
}

function needed(folder: ModelFolder, path: string): { readonly file: string; readonly bytes: number } {
  const found = folder.find(path);
  if (found === null) throw refusal(`${path} is missing`, 'Fetch the folder again.');
  return found;
}
