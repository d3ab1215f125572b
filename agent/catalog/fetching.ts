/** Experts that are on their way: each is tried until it is here, or nobody wants it any more. */
import { AgentError, toFailure } from '../errors.ts';
import type { Clock } from '../ports.ts';
import type { ExpertId, Failure } from '../types.ts';
import { fetchPackage } from './fetch.ts';
import type { Wanted } from './standing.ts';
import type { Telling } from './telling.ts';

export interface FetchingOptions {
  readonly installDir: string;
  readonly clock: Clock;
  readonly telling: Pick<Telling, 'pending'>;
  /**
   * Takes what is wanted where it is on the disk; false where it is not. Throws where it cannot be taken now, or where it
   * must not be fetched yet.
   */
  readonly take: (wanted: Wanted) => boolean;
}

/** One expert that is being fetched, over all its tries. */
interface Fetch {
  readonly wanted: Wanted;
  readonly abort: AbortController;
}

/** Time between two tries of a fetch that failed: doubles from the first to the second, with jitter. */
const RETRY_MS = [5_000, 300_000] as const;
/** Progress of a fetch is told in steps of this share. */
const PROGRESS_STEP = 0.05;

export class Fetching {
  readonly #options: FetchingOptions;
  readonly #lines = new Map<ExpertId, { abort: AbortController; ended: Promise<void> }>();

  constructor(options: FetchingOptions) {
    this.#options = options;
  }

  start(wanted: Wanted): void {
    const abort = new AbortController();
    this.#queue(wanted.id, abort, () => this.#fetch({ wanted, abort }));
  }

  /** Does this when no fetch of this expert is under way. `work` must not reject. */
  afterwards(expert: ExpertId, work: () => Promise<void>): void {
    this.#queue(expert, this.#lines.get(expert)?.abort ?? new AbortController(), work);
  }

  /** Ends all fetches. */
  abort(): void {
    for (const { abort } of this.#lines.values()) abort.abort();
  }

  /** Resolves when nothing that was begun writes to the disk any more. */
  async ended(): Promise<void> {
    await Promise.all([...this.#lines.values()].map(({ ended }) => ended));
  }

  /** Two that work on one expert would write the same files. */
  #queue(expert: ExpertId, abort: AbortController, work: () => Promise<void>): void {
    const before = this.#lines.get(expert)?.ended ?? Promise.resolve();
    this.#lines.set(expert, { abort, ended: before.then(work) });
  }

  /** Tries until it is here, the configuration changes, or there is nothing to try. Never rejects. */
  async #fetch(fetch: Fetch): Promise<void> {
    const { wanted, abort } = fetch;
    const { telling } = this.#options;
    const version = wanted.version ?? null;
    for (let tries = 0; !abort.signal.aborted; tries++) {
      telling.pending(wanted.id, version, { state: 'fetching', error: null });
      const failure = await this.#try(fetch);
      if (failure === null || abort.signal.aborted) return;
      telling.pending(wanted.id, version, { state: 'failed', error: failure });
      if (wanted.sources.length === 0) return;
      await this.#rest(tries, abort.signal);
    }
  }

  /** Why it failed; null where it was taken. */
  async #try({ wanted, abort: { signal } }: Fetch): Promise<Failure | null> {
    const { installDir, take } = this.#options;
    const { id, version = null } = wanted;
    try {
      if (take(wanted)) return null;
      await fetchPackage({
        id,
        version,
        sources: wanted.sources.map(({ uri, sha256 }) => ({ uri, sha256: sha256 ?? null })),
        installDir,
        onProgress: this.#progressOf(id, version, signal),
        signal,
      });
      // It may have come in the moment in which nobody wanted it any more.
      if (signal.aborted || take(wanted)) return null;
      throw new AgentError('fetch_failed', `expert "${id}" came, and is not on the disk`, {
        retryable: true,
      });
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
      this.#options.telling.pending(id, version, { state: 'fetching', error: null, done, total });
    };
  }
}
