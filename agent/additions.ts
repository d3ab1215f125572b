/** What `expertd add` and `expertd remove` do: the folder is read, tried and put where the agent finds it. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { draft } from './adding/draft.ts';
import type { Wishes } from './adding/identity.ts';
import { ModelFolder } from './adding/model-folder.ts';
import { adopt, finish, layOut } from './adding/package.ts';
import { refusal } from './adding/refusal.ts';
import { Shelf } from './adding/shelf.ts';
import { cacheOf } from './catalog/facts.ts';
import type { Manifest } from './catalog/manifest.ts';
import { MANIFEST_NAME, type Package } from './catalog/package.ts';
import type { AddedExpert, Additions, AddWish } from './cli/add.ts';
import type { ConfigChoice } from './cli/check.ts';
import type { Config } from './config.ts';
import { loadConfig } from './configuration.ts';
import { AgentError } from './errors.ts';
import { nativeFile, runKind, shippedExpertsDir } from './files.ts';
import { CONFIG_NAME, placesOf } from './start.ts';
import { type InstanceLock, lockStateDir } from './store/lock.ts';
import { type TriedExpert, tryExpert } from './trial.ts';

/** What a package is tried with at the least: the trial's process, and weights that are read once and packed once. */
const TRIAL_BYTES = 96 * 1024 ** 2;

export const additions: Additions = {
  async add(wish, choice, tell) {
    const place = readPlace(choice);
    return withShelf(place, async (shelf) => {
      const staging = await shelf.stage();
      try {
        const { found, notes, isNew } = await make({ wish, place, shelf, staging, tell });
        const { manifest, digest } = found;
        if (isNew && !wish.dryRun) await shelf.put(staging, { ...manifest, digest });
        return { ...describe(manifest), notes, isNew, stateDir: place.stateDir };
      } finally {
        await rm(staging, { recursive: true, force: true });
      }
    });
  },

  async remove(id, choice) {
    const place = readPlace(choice);
    const wasThere = await withShelf(place, (shelf) => shelf.takeAway(id));
    if (!wasThere) refuseRemoval(id, place);
    return { stateDir: place.stateDir, wasThere };
  },

  async tidy(choice) {
    await withShelf(readPlace(choice), async () => {});
  },
};

function describe(manifest: Manifest): Omit<AddedExpert, 'notes' | 'isNew' | 'stateDir'> {
  const { id, version, task, license, files, memory, routing } = manifest;
  return {
    ...{ id, version, task, license, manifest },
    diskBytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    residentBytes: memory?.residentBytes ?? null,
    cache: cacheOf(manifest, null),
    isRouted: routing.examples.length > 0 || routing.rules.length > 0,
  };
}

interface Place {
  readonly stateDir: string;
  readonly addedDir: string;
  readonly expertsDir: string;
  readonly config: Config;
  /** The file that was read; null for none. */
  readonly configPath: string | null;
}

function readPlace({ configPath, overrides, stateDir }: ConfigChoice): Place {
  const path = configPath ?? (existsSync(CONFIG_NAME) ? resolve(CONFIG_NAME) : null);
  const config = loadConfig({ path, overrides: { ...overrides } });
  const state = resolve(config.stateDir ?? stateDir);
  const expertsDir = config.expertsDir ?? shippedExpertsDir();
  return { stateDir: state, addedDir: placesOf(state).addedDir, expertsDir, config, configPath: path };
}

/** One at a time; what another left unfinished, or nobody wants any more, is removed before. */
async function withShelf<T>({ addedDir }: Place, work: (shelf: Shelf) => Promise<T>): Promise<T> {
  const shelf = new Shelf(addedDir);
  const lock = lockShelf(addedDir);
  try {
    await shelf.tidy();
    return await work(shelf);
  } finally {
    lock.release();
  }
}

function lockShelf(addedDir: string): InstanceLock {
  try {
    return lockStateDir(addedDir, runKind() === 'source' ? undefined : nativeFile('better_sqlite3'));
  } catch (cause) {
    if (!(cause instanceof AgentError) || cause.code !== 'state_dir_locked') throw cause;
    throw new AgentError('busy', `another "expertd add" or "expertd remove" is at work in ${addedDir}`, {
      hint: 'Wait until it has ended.',
      retryable: true,
      cause,
    });
  }
}

interface Making {
  readonly wish: AddWish;
  readonly place: Place;
  readonly shelf: Shelf;
  readonly staging: string;
  readonly tell: (line: string) => void;
}

interface Made {
  readonly found: Package;
  readonly notes: readonly string[];
  /** False where the very same was added before: then that is what was found. */
  readonly isNew: boolean;
}

/** The package, whole and tried, in the staging folder. */
async function make(making: Making): Promise<Made> {
  const { wish, place, shelf, staging, tell } = making;
  const folder = new ModelFolder(wish.folder);
  if (folder.has(MANIFEST_NAME)) return makeOfPackage(folder, making);
  const drafted = draft(folder, wish);
  const { manifest, notes } = drafted;
  refuseForeign(manifest.id, wish, place);
  tell(`${manifest.id}: ${manifest.task}, from ${manifest.model.path}`);
  const files = await layOut(folder, drafted, staging);
  const untried: Manifest = { ...manifest, files: [...files], golden: [] };
  const before = await shelf.current(manifest.id);
  if (before !== null && isSame(before.manifest, untried)) return { found: before, notes, isNew: false };
  refuseAdded(manifest.id, wish, before);
  const { golden, memory } = await tryOut(untried, staging, tell);
  const tried = {
    ...untried,
    golden: golden === null ? [] : [golden],
    ...(memory === null ? {} : { memory }),
  };
  return { found: await finish(tried, staging), notes, isNew: true };
}

async function makeOfPackage(folder: ModelFolder, making: Making): Promise<Made> {
  const { wish, place, shelf, staging, tell } = making;
  refuseWishes(wish);
  const found = await adopt(folder, staging);
  const { id } = found.manifest;
  refuseForeign(id, wish, place);
  const before = await shelf.current(id);
  if (before?.digest === found.digest) return { found: before, notes: [], isNew: false };
  refuseAdded(id, wish, before);
  await tryOut(found.manifest, staging, tell);
  return { found, notes: [], isNew: true };
}

/** What a trial tells differs a little from one to the next. */
function isSame(before: Manifest, untried: Manifest): boolean {
  const plain = ({ golden, memory, ...rest }: Manifest): unknown => rest;
  return isDeepStrictEqual(plain(before), plain(untried));
}

async function tryOut(manifest: Manifest, staging: string, tell: Making['tell']): Promise<TriedExpert> {
  const neededBytes = TRIAL_BYTES + manifest.files.reduce((sum, { bytes }) => sum + bytes, 0);
  const availableBytes = process.availableMemory();
  if (availableBytes < neededBytes)
    throw new AgentError(
      'no_memory',
      `to try the expert takes about ${neededBytes} bytes of memory, and ${availableBytes} are available`,
      {
        hint: 'Stop the agent for that time, or unload what is in memory: expertd experts unload ID',
        retryable: true,
      },
    );
  tell('trying it in a process of its own');
  try {
    return await tryExpert(staging, manifest);
  } catch (cause) {
    if (!(cause instanceof AgentError)) throw cause;
    throw refusal(`it was tried, and failed: ${cause.message}`, cause.hint ?? 'Export it again.', cause);
  }
}

/** Flags that describe an expert have nothing to say about one that describes itself. */
function refuseWishes({ id, version, model, summary, license, languages, examples, context }: Wishes): void {
  const flags = { id, version, model, summary, license, context };
  const given = [
    ...Object.entries(flags).flatMap(([name, value]) => (value === null ? [] : [`--${name}`])),
    ...(languages.length > 0 ? ['--language'] : []),
    ...(examples.length > 0 ? ['--example'] : []),
  ];
  if (given.length === 0) return;
  throw refusal(
    `the folder holds an ${MANIFEST_NAME}, which is taken as it is: ${given.join(', ')} would change it`,
    `Edit ${MANIFEST_NAME}, or leave the flags out.`,
  );
}

/** An id that somebody else has given: what the configuration names comes first, what came with expertd gives way. */
function refuseForeign(id: string, { replace, dryRun }: AddWish, place: Place): void {
  const configured = configuredIn(id, place);
  if (configured !== null)
    throw refusal(
      `the id "${id}" is taken: ${configured} names the sources of an expert of that id`,
      'Give this one another id (--id ID), or take the other out of the configuration.',
    );
  const folder = join(place.expertsDir, id);
  if (replace || dryRun || !existsSync(folder)) return;
  throw refusal(
    `the id "${id}" is taken by the expert in ${folder}`,
    'Give this one another id (--id ID); --replace lets it stand in for the other until it is removed.',
  );
}

function refuseAdded(id: string, { replace, dryRun }: AddWish, before: Package | null): void {
  if (before === null || replace || dryRun) return;
  throw refusal(
    `the id "${id}" is taken: another expert of that id was added before`,
    'Put this one in its place with --replace, or give it another id: --id ID',
  );
}

/** What was never there, or is there for another reason, is not removed: says where it comes from. */
function refuseRemoval(id: string, place: Place): void {
  const configured = configuredIn(id, place);
  if (configured !== null)
    throw refusal(
      `"${id}" was not added by hand: ${configured} names its sources`,
      'Take it out there, and reload.',
    );
  const folder = join(place.expertsDir, id);
  if (existsSync(folder))
    throw refusal(
      `"${id}" was not added by hand: it is the expert in ${folder}`,
      `It stays as long as its folder does; "expertd experts unload ${id}" takes it out of memory.`,
    );
}

function configuredIn(id: string, { config, configPath }: Place): string | null {
  const wanted = config.experts.find((one) => one.id === id);
  return wanted === undefined || wanted.sources.length === 0 ? null : (configPath ?? 'the configuration');
}
