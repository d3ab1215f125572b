/**
 * The experts of this device: those that lie in `expertsDir`, and those that the configuration names with sources.
 * Tells the loop what is installed, what is still being fetched, and what is broken; a broken one stops no other.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { AgentError, toFailure } from '../errors.ts';
import type { Catalog, Clock, Memory } from '../ports.ts';
import type { Event, ExpertId, Failure } from '../types.ts';
import { expertOf } from './facts.ts';
import { fetchPackage, findFetched } from './fetch.ts';
import { badExpert, type Package, readPackage, verifyPackage } from './package.ts';

type Untimed<E> = E extends unknown ? Omit<E, 'atMs'> : never;
export type CatalogEvent = Untimed<Extract<Event, { type: 'installed' | 'removed' | 'pending' }>>;
type Wanted = Config['experts'][number];

export interface CatalogOptions {
  readonly expertsDir: string;
  /** Where fetched packages are kept. */
  readonly installDir: string;
  readonly memory: Memory;
  readonly clock: Clock;
  readonly emit: (event: CatalogEvent) => void;
}

/** Time between two tries of a fetch that failed: doubles from the first to the second, with jitter. */
const RETRY_MS = [5_000, 300_000] as const;
/** Progress of a fetch is told in steps of this share. */
const PROGRESS_STEP = 0.05;

export class ExpertCatalog implements Catalog {
  readonly #options: CatalogOptions;
  readonly #packages = new Map<ExpertId, Package>();
  readonly #verified = new Map<string, Promise<void>>();
  readonly #fetches = new Map<ExpertId, { abort: AbortController; ended: Promise<void> }>();
  /** Told as pending and not installed since: to be taken back when nobody wants them any more. */
  readonly #announced = new Set<ExpertId>();

  constructor(options: CatalogOptions) {
    this.#options = options;
  }

  package(id: ExpertId): Package | null {
    return this.#packages.get(id) ?? null;
  }

  /** Reads `expertsDir` and what was fetched before, starts what is missing. Called at the start and on a reload. */
  async reconcile(config: Config): Promise<void> {
    const wanted = new Map(config.experts.map((one) => [one.id, one]));
    const found = new Map<ExpertId, Package>();
    const broken = new Map<ExpertId, Failure>();
    for (const directory of foldersOf(this.#options.expertsDir)) {
      const name = directory.slice(this.#options.expertsDir.length + 1);
      const sourced = (wanted.get(name)?.sources.length ?? 0) > 0;
      if (!sourced) this.#readInto(directory, name, found, broken);
    }
    const missing: Wanted[] = [];
    for (const one of config.experts) {
      if (found.has(one.id) || broken.has(one.id)) continue;
      const directory = await findFetched(this.#options.installDir, one.id, (path) => answers(path, one));
      if (directory === null) missing.push(one);
      else this.#readInto(directory, one.id, found, broken);
    }
    this.#publish(found, broken, wanted, config.embedder);
    // A fetch under way may follow an old configuration: it starts anew, and goes on from what is on the disk.
    this.stop();
    for (const one of missing) this.#startFetch(one, config.embedder);
  }

  async verify(id: ExpertId): Promise<void> {
    const found = this.#packages.get(id);
    if (found === undefined)
      throw new AgentError('bad_expert', `no package of expert "${id}" is on this device`);
    const key = `${found.directory} ${found.digest}`;
    const known = this.#verified.get(key);
    if (known !== undefined) return known;
    const checking = verifyPackage(found);
    this.#verified.set(key, checking);
    // A failure is not remembered: the files may be mended before the next try.
    checking.catch(() => this.#verified.delete(key));
    return checking;
  }

  examples(id: ExpertId): readonly string[] {
    return this.#packages.get(id)?.manifest.routing.examples ?? [];
  }

  stop(): void {
    for (const { abort } of this.#fetches.values()) abort.abort();
  }

  #readInto(
    directory: string,
    id: ExpertId,
    found: Map<ExpertId, Package>,
    broken: Map<ExpertId, Failure>,
  ): void {
    try {
      const one = readPackage(directory);
      if (found.has(one.manifest.id))
        throw badExpert(
          `two folders hold expert "${one.manifest.id}"`,
          `Remove one of them: ${directory} is the second.`,
        );
      found.set(one.manifest.id, one);
    } catch (error) {
      broken.set(id, toFailure(error));
    }
  }

  #publish(
    found: ReadonlyMap<ExpertId, Package>,
    broken: ReadonlyMap<ExpertId, Failure>,
    wanted: ReadonlyMap<ExpertId, Wanted>,
    embedder: string | null,
  ): void {
    for (const id of this.#packages.keys()) {
      if (found.has(id)) continue;
      this.#packages.delete(id);
      this.#options.emit({ type: 'removed', expert: id });
    }
    for (const id of [...this.#announced]) {
      if (broken.has(id) || wanted.has(id)) continue;
      this.#announced.delete(id);
      this.#options.emit({ type: 'removed', expert: id });
    }
    for (const [id, one] of found) this.#packages.set(id, one);
    for (const one of found.values()) this.#install(one, wanted.get(one.manifest.id), embedder);
    for (const [id, failure] of broken) this.#pending(id, null, { state: 'failed', error: failure });
  }

  #install(one: Package, wanted: Wanted | undefined, embedder: string | null): void {
    const { memory, emit } = this.#options;
    const embedderDigest = embedder === null ? null : (this.#packages.get(embedder)?.digest ?? null);
    const pinned = wanted?.pinned ?? false;
    try {
      emit({ type: 'installed', expert: expertOf(one, { memory, embedderDigest, pinned }) });
      this.#announced.delete(one.manifest.id);
    } catch (error) {
      this.#pending(one.manifest.id, one.manifest.version, { state: 'failed', error: toFailure(error) });
    }
  }

  #pending(
    expert: ExpertId,
    version: string | null,
    {
      state,
      error,
      done = 0,
      total = null,
    }: { state: 'fetching' | 'failed'; error: Failure | null; done?: number; total?: number | null },
  ): void {
    this.#announced.add(expert);
    this.#options.emit({
      type: 'pending',
      expert,
      pending: { version, state, doneBytes: done, totalBytes: total, error },
    });
  }

  #startFetch(wanted: Wanted, embedder: string | null): void {
    const abort = new AbortController();
    // Two fetches of one expert would write the same files.
    const before = this.#fetches.get(wanted.id)?.ended ?? Promise.resolve();
    this.#fetches.set(wanted.id, {
      abort,
      ended: before.then(() => this.#fetch(wanted, embedder, abort, 0)),
    });
  }

  async #fetch(
    wanted: Wanted,
    embedder: string | null,
    abort: AbortController,
    tries: number,
  ): Promise<void> {
    if (abort.signal.aborted) return;
    const version = wanted.version ?? null;
    this.#pending(wanted.id, version, { state: 'fetching', error: null });
    try {
      const directory = await fetchPackage({
        id: wanted.id,
        version,
        sources: wanted.sources.map(({ uri, sha256 }) => ({ uri, sha256: sha256 ?? null })),
        installDir: this.#options.installDir,
        onProgress: this.#progressOf(wanted.id, version),
        signal: abort.signal,
      });
      const found = readPackage(directory);
      this.#packages.set(wanted.id, found);
      this.#install(found, wanted, embedder);
    } catch (error) {
      if (abort.signal.aborted) return;
      const failure = toFailure(error);
      this.#pending(wanted.id, version, { state: 'failed', error: failure });
      if (wanted.sources.length > 0) await this.#retry(wanted, embedder, abort, tries);
    }
  }

  async #retry(
    wanted: Wanted,
    embedder: string | null,
    abort: AbortController,
    tries: number,
  ): Promise<void> {
    const delayMs = Math.min(RETRY_MS[0] * 2 ** tries, RETRY_MS[1]) * (0.5 + Math.random() / 2);
    const { clock } = this.#options;
    await new Promise<void>((resolve) => {
      const cancel = clock.at(clock.nowMs() + delayMs, resolve);
      abort.signal.addEventListener('abort', () => {
        cancel();
        resolve();
      });
    });
    if (!abort.signal.aborted) await this.#fetch(wanted, embedder, abort, tries + 1);
  }

  #progressOf(id: ExpertId, version: string | null): (done: number, total: number) => void {
    let told = 0;
    return (done, total) => {
      if (done < told + total * PROGRESS_STEP) return;
      told = done;
      this.#pending(id, version, { state: 'fetching', error: null, done, total });
    };
  }
}

/** True where a fetched package is the one that the configuration asks for. */
function answers(directory: string, { version, sources }: Wanted): boolean {
  try {
    const { manifest, digest } = readPackage(directory);
    const digests = sources.flatMap(({ sha256 }) => (sha256 === undefined ? [] : [sha256]));
    return (
      (version === undefined || version === manifest.version) &&
      (digests.length === 0 || digests.includes(digest))
    );
  } catch {
    return false;
  }
}

function foldersOf(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map((entry) => join(directory, entry.name))
      .sort();
  } catch (cause) {
    throw new AgentError(
      'bad_config',
      `the experts folder ${directory} cannot be read: ${(cause as Error).message}`,
      {
        hint: 'Set expertsDir (or --experts-dir) to a folder that exists.',
        cause,
      },
    );
  }
}
