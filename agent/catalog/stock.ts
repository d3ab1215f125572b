/** What lies on the disk, held against what the configuration names: whole packages, broken ones, those to fetch. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { AgentError, toFailure } from '../errors.ts';
import type { ExpertId, Failure } from '../types.ts';
import { type AddedFolder, addedFolders } from './added.ts';
import { findFetched } from './fetch.ts';
import { badExpert, type Package, readPackage } from './package.ts';

/** An expert as the configuration names it. */
export type Wanted = Config['experts'][number];

export interface Stock {
  readonly found: ReadonlyMap<ExpertId, Package>;
  /** By the name of the folder, which an expert's id is. */
  readonly broken: ReadonlyMap<string, Failure>;
  readonly missing: readonly Wanted[];
}

export interface Places {
  readonly expertsDir: string;
  /** Where fetched packages are kept. */
  readonly installDir: string;
  /** Where those are kept that were added by hand; nowhere if it is not given. */
  readonly addedDir?: string;
}

/**
 * Where an id is found in several places, what says most clearly what is wanted here wins: sources that the
 * configuration gives, then what was added on this device by hand, then the folder that came with expertd. Of those in
 * `without` nothing is looked at.
 */
export async function takeStock(
  places: Places,
  experts: readonly Wanted[],
  without: readonly ExpertId[] = [],
): Promise<Stock> {
  const wanted = new Map(experts.map((one) => [one.id, one]));
  const found = new Map<ExpertId, Package>();
  const broken = new Map<string, Failure>();
  for (const { id, directory } of foldersOf(places)) {
    if (without.includes(id)) continue;
    const one = wanted.get(id);
    if (found.has(id) || broken.has(id) || (one !== undefined && one.sources.length > 0)) continue;
    try {
      found.set(id, readFolder(directory, id, one?.version));
    } catch (error) {
      broken.set(id, toFailure(error));
    }
  }
  const missing: Wanted[] = [];
  for (const one of experts) {
    if (found.has(one.id) || broken.has(one.id) || without.includes(one.id)) continue;
    const fetched = await findFetched(places.installDir, one.id, (directory) => packageFor(directory, one));
    if (fetched === null) missing.push(one);
    else found.set(one.id, fetched);
  }
  return { found, broken, missing };
}

/** Those that were added come first. */
function foldersOf({ addedDir, expertsDir }: Places): readonly AddedFolder[] {
  const shipped = foldersIn(expertsDir).map((id) => ({ id, directory: join(expertsDir, id) }));
  return addedDir === undefined ? shipped : [...addedFolders(addedDir), ...shipped];
}

function readFolder(directory: string, name: string, version: string | undefined): Package {
  const found = readPackage(directory);
  const { id, version: actual } = found.manifest;
  if (id !== name)
    throw badExpert(`the folder ${directory} holds expert "${id}"`, `Rename the folder to "${id}".`);
  if (version !== undefined && version !== actual) {
    throw badExpert(
      `the folder ${directory} holds version ${actual} of "${id}", the configuration asks for ${version}`,
      'Mend the version in the configuration, or give the expert sources that have it.',
    );
  }
  return found;
}

/** A fetched package, where it is whole and the one that the configuration asks for; else null. */
function packageFor(directory: string, { version, sources }: Wanted): Package | null {
  try {
    const found = readPackage(directory);
    const digests = sources.flatMap(({ sha256 }) => (sha256 === undefined ? [] : [sha256]));
    const fits = version === undefined || version === found.manifest.version;
    return fits && (digests.length === 0 || digests.includes(found.digest)) ? found : null;
  } catch {
    return null;
  }
}

/** Names of the folders in `expertsDir`, links to folders included: whoever puts a link there means what it leads to. */
function foldersIn(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => !name.startsWith('.'))
      .filter((name) => statSync(join(directory, name), { throwIfNoEntry: false })?.isDirectory() === true)
      .sort();
  } catch (cause) {
    throw new AgentError(
      'bad_config',
      `the experts folder ${directory} cannot be read: ${(cause as Error).message}`,
      { hint: 'Set expertsDir (or --experts-dir) to a folder that exists.', cause },
    );
  }
}
