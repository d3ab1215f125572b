/**
 * The epochs of this device's records, where there is a fleet. The log notes each start as well, but it can be lost,
 * and a device without a clock would then give an epoch a second time: what it decides from then on would have the keys
 * of other records, and a collector drops what it knows by its key. So they are kept beside the log too, in a small
 * file that is replaced as a whole; one that is missing or damaged leaves what the log knows, and the clock.
 */
import { join } from 'node:path';
import { toFailure } from '../errors.ts';
import { readKept, writeKept } from '../kept-file.ts';
import type { Failure } from '../types.ts';

const FILE = 'fleet-epochs.json';
/** Holes of older ones are of no interest to anybody. */
const mostKept = 256;
/** Ten digits: seconds until the year 2286, and whatever is above was not written by this. */
const highest = 9_999_999_999;

/** Epochs rise with the wall clock, so that one that was lost with its file or a power cut is not given again. */
export function epochAfter(last: number, nowMs: number): number {
  return Math.max(last + 1, Math.floor(nowMs / 1_000));
}

export class Epochs {
  readonly #path: string;
  readonly #report: (failure: Failure) => void;
  #own: readonly number[] = [];
  #isKept = false;
  #isReported = false;

  constructor(directory: string, report: (failure: Failure) => void) {
    this.#path = join(directory, FILE);
    this.#report = report;
  }

  /** Gives this process its epoch; `logged` are those of the log, by rising number. */
  begin(logged: readonly number[], nowMs: number): number {
    const kept = this.#read();
    const known = [...kept, ...logged.filter((epoch) => epoch > (kept.at(-1) ?? 0))];
    const epoch = epochAfter(known.at(-1) ?? 0, nowMs);
    this.#own = [...known, epoch];
    this.keep();
    return epoch;
  }

  /**
   * Gives the current epoch up for one above `above`: it is somebody else's, now and after the next start. null: the
   * disk does not take that, and nothing has changed.
   */
  renew(above: number, nowMs: number): number | null {
    const [before, wasKept] = [this.#own, this.#isKept];
    const epoch = epochAfter(Math.max(above, before.at(-1) ?? 0), nowMs);
    this.#own = [...before.slice(0, -1), epoch];
    this.#isKept = false;
    if (this.keep()) return epoch;
    [this.#own, this.#isKept] = [before, wasKept];
    return null;
  }

  /** Whether this device gave it, and so knows what became of its numbers. */
  isOwn(epoch: number): boolean {
    return this.#own.includes(epoch);
  }

  /** Brings the epoch to the disk, unless it is there. False: it would be given again if the log were lost now. */
  keep(): boolean {
    if (this.#isKept) return true;
    try {
      writeKept(this.#path, `${JSON.stringify(this.#own.slice(-mostKept))}\n`);
      this.#isKept = true;
    } catch (error) {
      this.#tell(error);
    }
    return this.#isKept;
  }

  get isKept(): boolean {
    return this.#isKept;
  }

  #read(): readonly number[] {
    try {
      const epochs: unknown = JSON.parse(readKept(this.#path) ?? '[]');
      return isRising(epochs) ? epochs : [];
    } catch {
      return [];
    }
  }

  #tell(error: unknown): void {
    if (this.#isReported) return;
    this.#isReported = true;
    const { message } = toFailure(error);
    this.#report({
      code: 'epoch_not_kept',
      message: `The epoch of the fleet's records cannot be written to ${this.#path}: ${message}. They wait for that.`,
      hint: 'Look at the disk of the state directory and its rights; it is tried again by itself.',
      retryable: true,
    });
  }
}

function isRising(value: unknown): value is readonly number[] {
  if (!Array.isArray(value)) return false;
  return value.every(
    (epoch, index) =>
      Number.isInteger(epoch) && epoch <= highest && epoch > (index === 0 ? 0 : value[index - 1]),
  );
}
