/**
 * The experts that were added by hand: `added/ID/VERSION-DIGEST`, and beside the versions the file `current`, which names
 * the one that counts. Whoever adds, replaces or removes writes or removes that file last, in one step: a folder that it
 * does not name is no expert.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExpertId } from '../types.ts';

/** Names the version that counts, on a line. */
export const CURRENT = 'current';
const VERSION = /^\d+\.\d+\.\d+-[0-9a-f]{16}$/;
const ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

export interface AddedFolder {
  readonly id: ExpertId;
  /** Absolute where `addedDir` is. */
  readonly directory: string;
}

/** What was added, sorted by id; empty where nothing was. */
export function addedFolders(addedDir: string): readonly AddedFolder[] {
  const found: AddedFolder[] = [];
  for (const id of namesIn(addedDir).sort()) {
    const directory = currentFolder(addedDir, id);
    if (directory !== null) found.push({ id, directory });
  }
  return found;
}

/** The folder of the version that counts; null where the expert was not added. */
export function currentFolder(addedDir: string, id: ExpertId): string | null {
  if (!ID.test(id)) return null;
  try {
    const version = readFileSync(join(addedDir, id, CURRENT), 'utf8').trim();
    return VERSION.test(version) ? join(addedDir, id, version) : null;
  } catch {
    return null;
  }
}

export function versionFolder(version: string, digest: string): string {
  return `${version}-${digest.slice(0, 16)}`;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
