/**
 * The folder of experts that were added by hand (`catalog/added.ts` says how it lies). A package is made whole in a
 * folder of its own before it gets its name, and counts once `current` names it: whoever is killed in between leaves
 * what was there before, and a folder that `tidy` removes. One at a time: who uses it holds the lock on it.
 */
import { mkdirSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CURRENT, currentFolder, versionFolder } from '../catalog/added.ts';
import { syncDirectory, writeDurably } from '../catalog/fetch.ts';
import { type Package, readPackage, verifyPackage } from '../catalog/package.ts';
import type { ExpertId } from '../types.ts';

const STAGING = '.staging-';
const POINTER = '.current-';

export class Shelf {
  readonly #directory: string;

  /** Makes the folder if it is not there. */
  constructor(directory: string) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#directory = directory;
  }

  /** The package that counts, hashed; null where there is none, or where it is damaged and anything is better. */
  async current(id: ExpertId): Promise<Package | null> {
    const folder = currentFolder(this.#directory, id);
    if (folder === null) return null;
    try {
      const found = readPackage(folder);
      await verifyPackage(found);
      return found;
    } catch {
      return null;
    }
  }

  /** A new folder on the same file system, to make a package in. */
  stage(): Promise<string> {
    return mkdtemp(join(this.#directory, STAGING));
  }

  /** The package in `staging`, whose files are on the disk, is from here on the one of its expert. Resolves with its folder. */
  async put(
    staging: string,
    { id, version, digest }: { readonly id: ExpertId; readonly version: string; readonly digest: string },
  ): Promise<string> {
    const home = join(this.#directory, id);
    const name = versionFolder(version, digest);
    const final = join(home, name);
    await mkdir(home, { recursive: true, mode: 0o755 });
    // The same package again: what lies there may be damaged, which is why somebody adds it again.
    if (await exists(final)) await rename(final, join(await this.stage(), name));
    await rename(staging, final);
    await syncDirectory(home);
    await this.#point(home, name);
    await syncDirectory(this.#directory);
    return final;
  }

  /** From here on the expert is not there; its files stay until `tidy`. False where it was not there before. */
  async takeAway(id: ExpertId): Promise<boolean> {
    if (currentFolder(this.#directory, id) === null) return false;
    const home = join(this.#directory, id);
    await rm(join(home, CURRENT), { force: true });
    await syncDirectory(home);
    return true;
  }

  /** Removes what does not count: packages that were not finished, versions that were replaced, experts that were removed. */
  async tidy(): Promise<void> {
    for (const entry of await readdir(this.#directory, { withFileTypes: true })) {
      const path = join(this.#directory, entry.name);
      if (entry.name.startsWith(STAGING)) await rm(path, { recursive: true, force: true });
      else if (entry.isDirectory()) await this.#tidyHome(entry.name, path);
    }
  }

  async #tidyHome(id: string, home: string): Promise<void> {
    const current = currentFolder(this.#directory, id);
    if (current === null) return rm(home, { recursive: true, force: true });
    const kept = [CURRENT, basename(current)];
    for (const name of await readdir(home)) {
      if (!kept.includes(name)) await rm(join(home, name), { recursive: true, force: true });
    }
  }

  async #point(home: string, name: string): Promise<void> {
    const fresh = join(home, `${POINTER}${process.pid}`);
    await writeDurably(fresh, Buffer.from(`${name}\n`));
    await rename(fresh, join(home, CURRENT));
    await syncDirectory(home);
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}
