/** The packages that were fetched: `installDir/ID/VERSION-DIGEST`, several versions of an expert beside each other. */
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Package, readPackage } from './package.ts';

/** Ends the name of a folder that is not whole yet, or not any more. */
export const PARTIAL = '.part';

/** Those of an expert that are whole, by name and size of their files; the newest first. */
export function fetchedPackages(installDir: string, id: string): readonly Package[] {
  return namesIn(join(installDir, id))
    .filter((name) => !name.endsWith(PARTIAL))
    .sort(newestFirst)
    .flatMap((name) => readIfWhole(join(installDir, id, name)))
    .filter(({ manifest }) => manifest.id === id);
}

/**
 * Removes the packages of an expert whose folders `isKept` does not want, one after the other, and what is left of
 * others; it is asked right before each. What cannot be removed stays. The caller sees to it that no fetch of this expert is under way. Never rejects.
 */
export async function removeFetched(
  installDir: string,
  id: string,
  isKept: (name: string) => boolean,
): Promise<void> {
  const home = join(installDir, id);
  for (const name of namesIn(home)) {
    if (isKept(name)) continue;
    const leaving = join(home, name.endsWith(PARTIAL) ? name : `${name}${PARTIAL}`);
    try {
      // At once no package any more: nobody finds it while its files go one by one.
      if (leaving !== join(home, name)) replace(join(home, name), leaving);
      await rm(leaving, { recursive: true, force: true });
    } catch {
      // It is tried again after the next rollout.
    }
  }
}

function replace(path: string, leaving: string): void {
  rmSync(leaving, { recursive: true, force: true });
  renameSync(path, leaving);
}

function readIfWhole(directory: string): Package[] {
  try {
    return [readPackage(directory)];
  } catch {
    return [];
  }
}

/** By number, not by letter: 1.10.0 is newer than 1.9.0. */
function newestFirst(a: string, b: string): number {
  return b.localeCompare(a, 'en', { numeric: true });
}

function namesIn(home: string): string[] {
  try {
    return readdirSync(home);
  } catch {
    return [];
  }
}
