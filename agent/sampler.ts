/** Looks at the device at intervals and tells the loop what is new: what moved notably, or that nothing did for long. */
import { isNotable } from './monitor/notable.ts';
import type { Clock, Monitor } from './ports.ts';
import type { Sample } from './types.ts';

/** The log gets a sample at least this often, even if nothing moved. */
const QUIET_MS = 60_000;

export class Sampler {
  readonly #monitor: Monitor;
  readonly #clock: Clock;
  readonly #tell: (sample: Sample) => void;
  #last: { readonly sample: Sample; readonly atMs: number } | null = null;
  #timer: NodeJS.Timeout | null = null;
  #latest: Sample | null = null;

  constructor(monitor: Monitor, clock: Clock, tell: (sample: Sample) => void) {
    this.#monitor = monitor;
    this.#clock = clock;
    this.#tell = tell;
  }

  /** The last look, whether it was worth telling or not. */
  get latest(): Sample | null {
    return this.#latest;
  }

  start(periodMs: number): void {
    this.stop();
    this.look();
    this.#timer = setInterval(() => this.look(), periodMs);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  look(): void {
    const sample = this.#sample();
    const atMs = this.#clock.nowMs();
    const quiet = this.#last !== null && atMs - this.#last.atMs < QUIET_MS;
    if (quiet && !isNotable(sample, this.#last?.sample ?? null)) return;
    this.#report(sample, atMs);
  }

  /** Because of an alarm: what is seen is told, whatever it is. Does nothing before the start and after the end. */
  lookNow(): void {
    if (this.#timer !== null) this.#report(this.#sample(), this.#clock.nowMs());
  }

  #sample(): Sample {
    const sample = this.#monitor.sample();
    this.#latest = sample;
    return sample;
  }

  #report(sample: Sample, atMs: number): void {
    this.#last = { sample, atMs };
    this.#tell(sample);
  }
}
