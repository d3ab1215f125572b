/** Publishes what is so, when it is another thing than what was published: soon, at most once a second, while it can. */
import type { Clock } from '../../ports.ts';
import type { Condition, Reported } from '../documents/shapes.ts';
import type { Told } from './reported.ts';

export interface ReporterOptions {
  readonly look: () => Told;
  readonly publish: (body: string) => Promise<void>;
  readonly isUp: () => boolean;
  readonly clock: Clock;
  /** Unix time, as far as the device knows it. */
  readonly wallMs: () => number;
  readonly onFailure: (error: unknown) => void;
}

const LEAST_PAUSE_MS = 1_000;
/** After a failure that was not the link's. */
const RETRY_MS = 30_000;
/** The disk of a device that works is never still. */
const DISK_STEP_BYTES = 64 * 1024 ** 2;

export class Reporter {
  readonly #options: ReporterOptions;
  readonly #since = new Map<string, Condition>();
  /** What the broker has; null: nothing, or nobody knows. */
  #published: Told | null = null;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #cancel: (() => void) | null = null;
  #isBusy = false;
  #isAskedAgain = false;
  #stopped = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** Cheap: called at every decision. */
  changed(): void {
    if (this.#isBusy) this.#isAskedAgain = true;
    else this.#lookIn(0);
  }

  /** A broker may have been replaced by one that remembers nothing. */
  onUp(): void {
    this.#published = null;
    // What waits may wait for long, since the link before it failed.
    this.#cancel?.();
    this.#cancel = null;
    this.changed();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  #lookIn(delayMs: number): void {
    const { clock, isUp } = this.#options;
    if (this.#cancel !== null || this.#stopped || !isUp()) return;
    const atMs = Math.max(clock.nowMs() + delayMs, this.#lookedMs + LEAST_PAUSE_MS);
    this.#cancel = clock.at(atMs, () => {
      this.#cancel = null;
      void this.#look();
    });
  }

  async #look(): Promise<void> {
    this.#lookedMs = this.#options.clock.nowMs();
    this.#isBusy = true;
    let delayMs: number | null = null;
    try {
      await this.#publishIfNew();
    } catch (error) {
      // What it has now is not known.
      this.#published = null;
      this.#options.onFailure(error);
      delayMs = RETRY_MS;
    }
    this.#isBusy = false;
    if (this.#isAskedAgain) delayMs = delayMs ?? 0;
    this.#isAskedAgain = false;
    if (delayMs !== null) this.#lookIn(delayMs);
  }

  async #publishIfNew(): Promise<void> {
    const told = this.#options.look();
    const conditions = this.#withSince(told.conditions);
    if (this.#published !== null && isSame(this.#published, told)) return;
    await this.#options.publish(JSON.stringify({ ...told, conditions } satisfies Reported));
    this.#published = told;
  }

  /** A condition begins when it is another than before, as Kubernetes has it: its message may change meanwhile. */
  #withSince(conditions: Told['conditions']): Condition[] {
    const all = conditions.map((one): Condition => {
      const before = this.#since.get(one.type);
      const isOld = before?.status === one.status && before.reason === one.reason;
      return { ...one, sinceMs: isOld ? before.sinceMs : Math.max(0, Math.floor(this.#options.wallMs())) };
    });
    this.#since.clear();
    for (const one of all) this.#since.set(one.type, one);
    return all;
  }
}

function isSame(before: Told, now: Told): boolean {
  const moved = Math.abs((before.disk.freeBytes ?? 0) - (now.disk.freeBytes ?? 0));
  const rest = (told: Told): string => JSON.stringify({ ...told, disk: told.disk.totalBytes });
  return moved < DISK_STEP_BYTES && rest(before) === rest(now);
}
