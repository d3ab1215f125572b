/** Several generations over one model: one step at a time, in turns. */

interface Member {
  readonly isLeaving: () => boolean;
  /** Time of its steps; what it was let in with included. */
  usedMs: number;
  /** Starts its step; null while it asks for none. */
  start: (() => void) | null;
  /** Not chosen before another one has done a step and does not yield after it. */
  yields: boolean;
}

/**
 * The next step belongs to whoever has used the least time, so that a long prompt does not keep an answer waiting for
 * more than one of its pieces, and both get half of the time. A newcomer counts as having used what the least of those
 * present has: it neither waits for its turn nor catches up on what it never asked for. Between two steps the event
 * loop turns, so that a message that cancels a run arrives before the next step; who is leaving is let go first.
 */
export class Turns {
  readonly #nowMs: () => number;
  readonly #present = new Set<Member>();
  #isBusy = false;
  #isCalled = false;
  /** Whose step was the last one, until the next is chosen. */
  #last: Member | null = null;

  constructor(nowMs = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** `isLeaving` is looked at before each choice. */
  join(isLeaving: () => boolean): Turn {
    const used = [...this.#present].map(({ usedMs }) => usedMs);
    const usedMs = used.length === 0 ? 0 : Math.min(...used);
    const member: Member = { isLeaving, usedMs, start: null, yields: false };
    this.#present.add(member);
    return {
      step: (work) => this.#step(member, work),
      yieldOnce: () => {
        member.yields = this.#present.size > 1;
      },
      leave: () => {
        this.#present.delete(member);
        this.#wakeAll();
      },
    };
  }

  async #step<T>(member: Member, work: () => Promise<T>): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<void>();
    member.start = resolve;
    this.#callNext();
    await promise;
    const startMs = this.#nowMs();
    try {
      return await work();
    } finally {
      member.usedMs += this.#nowMs() - startMs;
      this.#isBusy = false;
      this.#last = member;
      this.#callNext();
    }
  }

  #wakeAll(): void {
    for (const member of this.#present) member.yields = false;
    this.#callNext();
  }

  #callNext(): void {
    if (this.#isBusy || this.#isCalled) return;
    this.#isCalled = true;
    setImmediate(() => {
      this.#isCalled = false;
      this.#startNext();
    });
  }

  #startNext(): void {
    if (this.#isBusy) return;
    // A step after which one yields has changed nothing that others could have waited for.
    if (this.#last?.yields === false) for (const member of this.#present) member.yields = false;
    this.#last = null;
    let next: Member | null = null;
    for (const member of this.#present) {
      if (member.start === null) continue;
      if (member.isLeaving()) {
        next = member;
        break;
      }
      if (!member.yields && (next === null || member.usedMs < next.usedMs)) next = member;
    }
    if (next?.start == null) return;
    this.#isBusy = true;
    const { start } = next;
    next.start = null;
    start();
  }
}

export interface Turn {
  /** Does one step of work once nobody else does. One call at a time. */
  step<T>(work: () => Promise<T>): Promise<T>;
  /** The next step comes after one of somebody else, if there is anybody. */
  yieldOnce(): void;
  leave(): void;
}
