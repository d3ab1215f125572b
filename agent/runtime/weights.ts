/** The weights of one loaded expert, as the host of a cell sees them: here, or parked. */
import { AgentError } from '../errors.ts';
import type { ParkedWeights } from '../events.ts';
import { hearGolden, prove } from './parking/canary.ts';
import type { Claim } from './parking/claim.ts';
import type { Watch } from './parking/parking.ts';
import type { Residency } from './parking/read-ahead.ts';
import { notParkable, notParked } from './parking/refusal.ts';
import type { Task } from './task.ts';

/** How a cell parks; null in its place: it cannot. */
export interface Parker {
  watch(): Watch;
  /** A folder on a disk, where copies without a name are kept. */
  readonly folder: string;
}

type Recite = NonNullable<Task['recite']>;

/** How often an expert is parked and asked before it is trusted to say the same. */
const TRIALS = 2;

/** What of a claim is used here. */
export type Claimed = Pick<
  Claim,
  'isParked' | 'use' | 'copy' | 'adopt' | 'park' | 'resume' | 'residency' | 'chill' | 'warm' | 'release'
>;

export class Weights {
  readonly #claim: Claimed;
  readonly #recite: Recite;
  readonly #folder: string;
  /** Whether it was parked and said the same. What has failed once is not tried again. */
  #proof: 'none' | 'given' | AgentError = 'none';
  /** What the last park left. */
  #parked: ParkedWeights | null = null;
  #warming: Promise<void> | null = null;
  #waking: Promise<unknown> | null = null;

  constructor(claim: Claimed, recite: Recite, folder: string) {
    this.#claim = claim;
    this.#recite = recite;
    this.#folder = folder;
  }

  get isParked(): boolean {
    return this.#claim.isParked;
  }

  /** How much of them will come from the disk, while they are parked; null is "no data". */
  residency(): Residency | null {
    return this.#claim.isParked ? this.#claim.residency() : null;
  }

  /**
   * Lets them leave memory, at the first time after it was proved that the expert says the same afterwards; resolves
   * with what stayed. Nothing may use them meanwhile. Rejects with AgentError `not_parkable`: they are here then, and
   * stay; and with `weights_changed` where nothing may be asked of the expert any more.
   */
  async park(): Promise<ParkedWeights> {
    if (this.#claim.isParked && this.#parked !== null) return this.#parked;
    if (this.#proof === 'none') await this.#prove();
    if (this.#proof instanceof AgentError) throw this.#proof;
    const { bytes, keptBytes } = this.#claim.park();
    this.#parked = { bytes, keptBytes: Math.min(bytes, keptBytes) };
    return this.#parked;
  }

  /** Parked, they leave the page cache too. Throws AgentError `not_parked`. */
  chill(): void {
    if (!this.#claim.isParked) throw notParked();
    this.#claim.chill();
  }

  /**
   * Parked, they come back into the page cache, as much of them as there is time for until `isEnough`. Rejects with
   * AgentError `not_parked` or `weights_changed`.
   */
  async warm(isEnough: () => boolean): Promise<void> {
    if (!this.#claim.isParked) throw notParked();
    this.#warming = this.#claim.warm(isEnough);
    await this.#warming.finally(() => {
      this.#warming = null;
    });
  }

  /**
   * Works with the weights; brings them back before, if they were parked, and tells how long that took. Rejects with
   * `weights_changed`.
   */
  async use<T>(work: () => Promise<T>, onResumed = (_ms: number) => {}): Promise<T> {
    if (this.#claim.isParked) {
      const startMs = performance.now();
      this.#waking ??= this.#wake();
      await this.#waking;
      onResumed(performance.now() - startMs);
    }
    return await this.#claim.use(work);
  }

  async #wake(): Promise<void> {
    try {
      // What is being read already is not read a second time; if that fails, this tells why.
      await this.#warming?.catch(() => {});
      await this.#claim.resume(true);
    } finally {
      this.#waking = null;
    }
  }

  async release(): Promise<void> {
    await this.#claim.release();
  }

  /** A disk that is full now may have room the next time; all else stays as it is. */
  async #prove(): Promise<void> {
    const golden = await hearGolden(this.#claim, () => this.#recite(0));
    await this.#claim.copy(this.#folder);
    try {
      await this.#claim.use(() => this.#recite(1));
      await prove(this.#claim, golden, () => this.#recite(0), TRIALS);
      this.#proof = 'given';
    } catch (error) {
      this.#proof = error instanceof AgentError ? error : notParkable(String(error), error);
    }
  }
}

/** What is known of an expert's weights: that they can be parked, or why not. */
export type Found = Weights | AgentError;

/** Looks for the weights of what `open` opens. They are not needed for it: a reason takes their place. */
export async function findWeights(
  parker: Parker | null,
  folders: readonly string[],
  open: () => Promise<Task>,
): Promise<{ readonly task: Task; readonly weights: Found }> {
  if (parker === null)
    return { task: await open(), weights: notParkable('this system has no way to do that') };
  const watch = attempt(() => parker.watch());
  const task = await open().catch((error: unknown) => {
    if (!(watch instanceof AgentError)) watch.end();
    throw error;
  });
  if (watch instanceof AgentError) return { task, weights: watch };
  const { recite } = task;
  if (recite === undefined) {
    watch.end();
    return { task, weights: notParkable('it is not worth it') };
  }
  const claim = attempt(() => watch.claim(folders));
  const weights = claim instanceof AgentError ? claim : new Weights(claim, recite.bind(task), parker.folder);
  return { task, weights };
}

function attempt<T>(work: () => T): T | AgentError {
  try {
    return work();
  } catch (error) {
    return error instanceof AgentError ? error : notParkable(String(error), error);
  }
}
