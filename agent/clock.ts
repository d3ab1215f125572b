/** The clock of the agent: Unix time at the start of the process plus monotonic time, so it never goes back. */
import type { Clock } from './ports.ts';

/** setTimeout takes at most this; a later call is made in stages. */
const MAX_TIMEOUT_MS = 2_147_483_647;

export const systemClock: Clock = {
  nowMs: () => performance.timeOrigin + performance.now(),

  at(atMs, callback) {
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const leftMs = Math.max(0, Math.ceil(atMs - systemClock.nowMs()));
      timer = setTimeout(ring, Math.min(leftMs, MAX_TIMEOUT_MS));
    };
    // Timers count whole milliseconds of a clock that is read once a turn: one may go off a little early.
    const ring = (): void => (systemClock.nowMs() < atMs ? arm() : callback());
    arm();
    return () => clearTimeout(timer);
  },
};
