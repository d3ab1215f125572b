/**
 * The experts of this device: those that lie in `expertsDir`, those that were added by hand, and those that the
 * configuration names with sources.
 * Tells the loop what is installed, what is still being fetched, and what is broken; a broken one stops no other.
 */
import type { Config } from '../config.ts';
import { AgentError, toFailure } from '../errors.ts';
import type { Event } from '../events.ts';
import type { Catalog, Clock, Memory } from '../ports.ts';
import type { ExpertId, Failure } from '../types.ts';
import { areUntouched, type Traces } from '../untouched.ts';
import { expertOf } from './facts.ts';
import { fetchPackage } from './fetch.ts';
import { badExpert, type Package, readPackage, tracesOf, verifyPackage } from './package.ts';
import { type Places, type Stock, takeStock, type Wanted } from './stock.ts';

type Untimed<E> = E extends unknown ? Omit<E, 'atMs'> : never;
export type CatalogEvent = Untimed<Extract<Event, { type: 'installed' | 'removed' | 'pending' }>>;

export interface CatalogOptions extends Places {
  readonly memory: Memory;
  readonly clock: Clock;
  readonly emit: (event: CatalogEvent) => void;
  /** Makes what loads faster than the package itself, in that time; never rejects. Without it, experts load as they are. */
  readonly prepare?: (found: Package, limitMs: number) => Promise<void>;
}

/** One expert that is being fetched, over all its tries. */
interface Fetch {
  readonly wanted: Wanted;
  readonly embedder: ExpertId | null;
  readonly abort: AbortController;
}

/** Time between two tries of a fetch that failed: doubles from the first to the second, with jitter. */
const RETRY_MS = [5_000, 300_000] as const;
/** Progress of a fetch is told in steps of this share. */
const PROGRESS_STEP = 0.05;

export class ExpertCatalog implements Catalog {
  readonly #options: CatalogOptions;
  readonly #packages = new Map<ExpertId, Package>();
  /** By folder and digest: whose files were hashed, and what they were just before. */
  readonly #verified = new Map<string, { readonly before: Traces; readonly checking: Promise<void> }>();
  readonly #fetches = new Map<ExpertId, { abort: AbortController; ended: Promise<void> }>();
  /** Told as pending and not installed since: to be taken back when nobody wants them any more. */
  readonly #announced = new Set<ExpertId>();
  #stopped = false;

  constructor(options: CatalogOptions) {
    this.#options = options;
  }

  package(id: ExpertId): Package | null {
    return this.#packages.get(id) ?? null;
  }

  /**
   * Reads what is on the disk, tells what changed, and starts to fetch what is missing. `onRead` is called in between:
   * from there on nothing fails. Rejects with an AgentError where `expertsDir` cannot be read; then nothing changed.
   * One call at a time.
   */
  async reconcile(config: Config, onRead: () => void = () => {}): Promise<void> {
    const stock = await takeStock(this.#options, config.experts, config.without);
    if (this.#stopped) return;
    onRead();
    this.#publish(stock, config);
    // A fetch under way may follow an old configuration: it starts anew, and goes on from what is on the disk.
    this.#abortFetches();
    for (const one of stock.missing) this.#startFetch(one, config.embedder);
  }

  async verify(id: ExpertId, digest: string): Promise<void> {
    const found = this.#packages.get(id);
    if (found === undefined)
      throw new AgentError('bad_expert', `no package of expert "${id}" is on this device`);
    if (found.digest !== digest) {
      throw new AgentError('replaced', `another version of expert "${id}" has come meanwhile`, {
        retryable: true,
      });
    }
    const key = `${found.directory} ${found.digest}`;
    const known = this.#verified.get(key);
    const now = tracesOf(found);
    const isKnown = known !== undefined && areUntouched(known.before, now);
    const checking = isKnown ? known.checking : this.#check(found);
    this.#verified.set(key, { before: now, checking });
    if (isKnown) return checking;
    // A failure is not remembered: the files may be mended before the next try.
    checking.catch(() => {
      if (this.#verified.get(key)?.checking === checking) this.#verified.delete(key);
    });
    return checking;
  }

  async prepare(id: ExpertId, limitMs: number): Promise<void> {
    const found = this.#packages.get(id);
    if (found !== undefined) await this.#options.prepare?.(found, limitMs);
  }

  examples(id: ExpertId): readonly string[] {
    return this.#packages.get(id)?.manifest.routing.examples ?? [];
  }

  systemPrompt(id: ExpertId): string | null {
    return this.#packages.get(id)?.manifest.assistant?.systemPrompt ?? null;
  }

  /** By which way a package came: added by hand, fetched for the configuration, or a folder among `expertsDir`. */
  originOf({ directory }: Package): 'added' | 'fetched' | 'folder' {
    const { addedDir, installDir } = this.#options;
    if (directory.startsWith(`${installDir}/`)) return 'fetched';
    return addedDir !== undefined && directory.startsWith(`${addedDir}/`) ? 'added' : 'folder';
  }

  /** Ends all fetches; nothing is told any more. */
  stop(): void {
    this.#stopped = true;
    this.#abortFetches();
  }

  #abortFetches(): void {
    for (const { abort } of this.#fetches.values()) abort.abort();
  }

  async #check(found: Package): Promise<void> {
    try {
      await verifyPackage(found);
    } catch (error) {
      const { directory, manifest } = found;
      if (!this.#isFetched(found) || !(error instanceof AgentError)) throw error;
      throw badExpert(
        error.message,
        `Remove ${directory} and reload: it is fetched again. Then POST /expertd/v1/experts/${manifest.id}/clear.`,
      );
    }
  }

  #isFetched(found: Package): boolean {
    return this.originOf(found) === 'fetched';
  }

  #publish({ found, broken, missing }: Stock, { experts, embedder }: Config): void {
    const wanted = new Map(experts.map((one) => [one.id, one]));
    const coming = new Set(missing.filter(({ sources }) => sources.length > 0).map(({ id }) => id));
    for (const [id, one] of this.#packages) {
      // What was fetched stays until its successor is here.
      if (found.has(id) || (coming.has(id) && this.#isFetched(one))) continue;
      this.#packages.delete(id);
      this.#options.emit({ type: 'removed', expert: id });
    }
    for (const id of [...this.#announced]) {
      if (found.has(id) || broken.has(id) || wanted.has(id)) continue;
      this.#announced.delete(id);
      this.#options.emit({ type: 'removed', expert: id });
    }
    for (const [id, one] of found) this.#packages.set(id, one);
    for (const one of found.values()) this.#install(one, wanted.get(one.manifest.id), embedder);
    for (const [id, error] of broken) this.#tellPending(id, null, { state: 'failed', error });
  }

  #install(one: Package, wanted: Wanted | undefined, embedder: string | null): void {
    const { memory, emit } = this.#options;
    const embedderDigest = embedder === null ? null : (this.#packages.get(embedder)?.digest ?? null);
    const pinned = wanted?.pinned ?? false;
    const contextTokens = wanted?.contextTokens ?? null;
    const fallback = wanted?.fallback ?? null;
    const facts = { memory, embedderDigest, pinned, contextTokens, fallback };
    try {
      emit({ type: 'installed', expert: expertOf(one, facts) });
      this.#announced.delete(one.manifest.id);
    } catch (error) {
      this.#tellPending(one.manifest.id, one.manifest.version, { state: 'failed', error: toFailure(error) });
    }
  }

  #tellPending(
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

  #startFetch(wanted: Wanted, embedder: ExpertId | null): void {
    const abort = new AbortController();
    // Two fetches of one expert would write the same files.
    const before = this.#fetches.get(wanted.id)?.ended ?? Promise.resolve();
    this.#fetches.set(wanted.id, {
      abort,
      ended: before.then(() => this.#fetch({ wanted, embedder, abort })),
    });
  }

  /** Tries until it is here, the configuration changes, or there is nothing to try. Never rejects. */
  async #fetch(fetch: Fetch): Promise<void> {
    const { wanted, abort } = fetch;
    const version = wanted.version ?? null;
    for (let tries = 0; !abort.signal.aborted; tries++) {
      this.#tellPending(wanted.id, version, { state: 'fetching', error: null });
      const failure = await this.#tryFetch(fetch);
      if (failure === null || abort.signal.aborted) return;
      this.#tellPending(wanted.id, version, { state: 'failed', error: failure });
      if (wanted.sources.length === 0) return;
      await this.#rest(tries, abort.signal);
    }
  }

  /** Why it failed; null where it is installed. */
  async #tryFetch({ wanted, embedder, abort: { signal } }: Fetch): Promise<Failure | null> {
    const { id, version = null } = wanted;
    try {
      const directory = await fetchPackage({
        id,
        version,
        sources: wanted.sources.map(({ uri, sha256 }) => ({ uri, sha256: sha256 ?? null })),
        installDir: this.#options.installDir,
        onProgress: this.#progressOf(id, version, signal),
        signal,
      });
      // It may have come in the moment in which nobody wanted it any more.
      if (signal.aborted) return null;
      const found = readPackage(directory);
      this.#packages.set(id, found);
      this.#install(found, wanted, embedder);
      return null;
    } catch (error) {
      return toFailure(error);
    }
  }

  async #rest(tries: number, signal: AbortSignal): Promise<void> {
    const delayMs = Math.min(RETRY_MS[0] * 2 ** tries, RETRY_MS[1]) * (0.5 + Math.random() / 2);
    const { clock } = this.#options;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        cancel();
        signal.removeEventListener('abort', end);
        resolve();
      };
      const cancel = clock.at(clock.nowMs() + delayMs, end);
      signal.addEventListener('abort', end);
    });
  }

  #progressOf(
    id: ExpertId,
    version: string | null,
    signal: AbortSignal,
  ): (done: number, total: number) => void {
    let told = 0;
    return (done, total) => {
      if (signal.aborted || done < told + total * PROGRESS_STEP) return;
      told = done;
      this.#tellPending(id, version, { state: 'fetching', error: null, done, total });
    };
  }
}
