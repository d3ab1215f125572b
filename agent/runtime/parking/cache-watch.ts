/**
 * Tells how much of the parked experts is in the page cache: at once where a cell has changed that itself, and now and
 * then while nobody asks anything, since the kernel takes what it needs without a word.
 */
import type { ExpertId } from '../../types.ts';
import type { Residency } from './read-ahead.ts';

export interface CacheWatchOptions {
  readonly tell: (expert: ExpertId, residency: Residency) => void;
  /** Asked every time before it looks: work is not held up. */
  readonly isIdle: () => boolean;
}

/** null: it is not parked any more, or nobody can tell. */
type Look = () => Residency | null;

interface Watched {
  readonly look: Look;
  readonly toldColdBytes: number;
}

const LOOK_EVERY_MS = 5_000;
/** A change that is smaller, than both, is not told. */
const NOTABLE_SHARE = 0.05;
const NOTABLE_BYTES = 4 * 1024 ** 2;

export class CacheWatch {
  readonly #options: CacheWatchOptions;
  readonly #watched = new Map<ExpertId, Watched>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CacheWatchOptions) {
    this.#options = options;
  }

  /** Tells what is true of an expert now, and watches it while it is parked. */
  tell(expert: ExpertId, look: Look): void {
    this.#timer ??= setInterval(() => this.#lookAtAll(), LOOK_EVERY_MS).unref();
    this.#look(expert, look, null);
  }

  stop(): void {
    this.#watched.clear();
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #lookAtAll(): void {
    if (!this.#options.isIdle()) return;
    for (const [expert, { look, toldColdBytes }] of [...this.#watched])
      this.#look(expert, look, toldColdBytes);
    if (this.#watched.size === 0) this.stop();
  }

  #look(expert: ExpertId, look: Look, toldColdBytes: number | null): void {
    const residency = look();
    if (residency === null) {
      this.#watched.delete(expert);
      return;
    }
    if (toldColdBytes !== null && !isNotable(residency, toldColdBytes)) return;
    this.#watched.set(expert, { look, toldColdBytes: residency.coldBytes });
    this.#options.tell(expert, residency);
  }
}

function isNotable({ bytes, coldBytes }: Residency, toldColdBytes: number): boolean {
  return Math.abs(coldBytes - toldColdBytes) >= Math.max(NOTABLE_SHARE * bytes, NOTABLE_BYTES);
}
