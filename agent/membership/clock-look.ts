/** Whether the wall clock can be believed: asked at every record, looked at every few seconds. */
import { isClockSynchronised } from '../monitor/survey.ts';

/** A clock that is set to a time before this program was written was not set by anybody. */
const PLAUSIBLE_MS = Date.UTC(2026, 0, 1);
const LOOK_MS = 10_000;

export class ClockLook {
  #trusted = false;
  #lookedMs = Number.NEGATIVE_INFINITY;

  isTrusted(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#lookedMs > LOOK_MS) {
      this.#lookedMs = nowMs;
      this.#trusted = (isClockSynchronised() ?? true) && Date.now() > PLAUSIBLE_MS;
    }
    return this.#trusted;
  }
}
