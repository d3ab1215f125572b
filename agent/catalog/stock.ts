/** What lies on the disk, held against what the configuration names: whole packages, broken ones, those to fetch. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { AgentError, toFailure } from '../errors.ts';
import type { ExpertId, Failure } from '../types.ts';
import { type AddedFolder, addedFolders, currentFolder } from './added.ts';
import { fetchedPackages } from './fetched.ts';
import { badExpert, type Package, readPackage } from './package.ts';
import type { Tenure } from './rollouts.ts';
import { type Standing, standingOf, type Wanted } from './standing.ts';

export interface Stock {
  /** What counts. */
  readonly found: ReadonlyMap<ExpertId, Package>;
  /** By the name of the folder, which an expert's id is. */
  readonly broken: ReadonlyMap<string, Failure>;
  /** Of the experts whose packages are fetched. */
  readonly standings: ReadonlyMap<ExpertId, Standing>;
  readonly missing: readonly Wanted[];
}

export interface Places {
  readonly expertsDir: string;
  /** Where fetched packages are kept. */
  readonly installDir: string;
  /** Where those are kept that were added by hand; nowhere if it is not given. */
  readonly addedDir?: string;
}

/** What is recorded of an expert; null: nothing. */
export type Recorded = (expert: ExpertId) => Tenure | null;

/**
 * Where an id is found in several places, what says most clearly what is wanted here wins: sources that the
 * configuration gives, then what was added on this device by hand, then the folder that came with expertd. What wins and
 * is not proven yet leaves what counted before in its place (standing.ts). Of those in `without` nothing is looked at.
 * Synchronous, so that nothing is decided meanwhile on what is read here.
 */
export function takeStock(
  places: Places,
  experts: readonly Wanted[],
  without: readonly ExpertId[] = [],
  recorded: Recorded = () => null,
): Stock {
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
  const standings = new Map<ExpertId, Standing>();
  for (const one of experts) {
    if (found.has(one.id) || broken.has(one.id) || without.includes(one.id)) continue;
    const standing = standingIn(places, one, recorded);
    standings.set(one.id, standing);
    if (standing.counts !== null) found.set(one.id, standing.counts);
  }
  const missing = experts.filter(({ id }) => standings.get(id)?.next.kind === 'fetch');
  return { found, broken, standings, missing };
}

/** How one expert stands whose packages are fetched. */
export function standingIn(places: Places, wanted: Wanted, recorded: Recorded): Standing {
  const fetched = fetchedPackages(places.installDir, wanted.id);
  const folder = wanted.sources.length === 0 ? null : folderPackage(places, wanted.id);
  return standingOf(wanted, { fetched, folder }, recorded(wanted.id));
}

/** What would count if the configuration had no sources; null where that is nothing whole. */
function folderPackage({ addedDir, expertsDir }: Places, id: ExpertId): Package | null {
  const added = addedDir === undefined ? null : currentFolder(addedDir, id);
  try {
    return readFolder(added ?? join(expertsDir, id), id, undefined);
  } catch {
    return null;
  }
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
