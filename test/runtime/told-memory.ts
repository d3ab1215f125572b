/** Weights that do what they are told and note it, in the place of a claim. */
import assert from 'node:assert/strict';
import { notParkable } from '../../agent/runtime/parking/refusal.ts';
import type { Claimed } from '../../agent/runtime/weights.ts';

const BYTES = 100;

export class ToldMemory implements Claimed {
  readonly told: string[] = [];
  isParked = false;
  full = false;
  /** What it says after it was parked. */
  says = 1;
  coldBytes = 0;
  /** Held back until the test lets it go. */
  reading: Promise<void> = Promise.resolve();

  async use<T>(work: () => Promise<T>): Promise<T> {
    assert.ok(!this.isParked, 'it is used while it is away');
    return await work();
  }

  async copy(): Promise<void> {
    this.told.push('copy');
    if (this.full) throw notParkable('the disk is full');
  }

  adopt() {
    this.told.push('adopt');
    return { bytes: 1, changedBytes: 0 };
  }

  park() {
    this.told.push('park');
    this.isParked = true;
    return { bytes: BYTES, leftBytes: 1, keptBytes: 0, writtenChunks: 0, lostChunks: 0 };
  }

  residency() {
    return { bytes: BYTES, coldBytes: this.coldBytes };
  }

  chill(): void {
    this.told.push('chill');
    this.coldBytes = BYTES;
  }

  /** Asked after the reading whether it was enough; what was read then is as good as all of it. */
  async warm(isEnough: () => boolean): Promise<void> {
    this.told.push('warm');
    await this.reading;
    if (!isEnough()) this.coldBytes = 0;
  }

  async resume() {
    this.told.push('resume');
    await Promise.resolve();
    this.coldBytes = 0;
    this.isParked = false;
    return { readBytes: 0, readMs: 0 };
  }

  async release(): Promise<void> {
    this.told.push('release');
  }
}
