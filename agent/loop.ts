/**
 * The loop: one queue, and the only owner of mutable state. Each turn takes the events that have come, decides them
 * one after the other, records all of them in one transaction, and only then lets the steps be carried out.
 */
import { decide } from './decide.ts';
import type { Event } from './events.ts';
import type { Policy } from './policy.ts';
import type { Asked, Clock, Log, LogEntry } from './ports.ts';
import type { Decision, State } from './types.ts';
import { nextDueMs } from './upkeep.ts';

/** An event before the loop has stamped its time. */
export type Happening = Event extends infer E ? (E extends Event ? Omit<E, 'atMs'> : never) : never;

export interface LoopOptions {
  readonly state: State;
  readonly policy: Policy;
  readonly log: Log;
  readonly clock: Clock;
  /** Carries out the steps of a decision; `sequence` is its number in the log. */
  readonly onDecision: (event: Event, decision: Decision, sequence: number) => void;
  /**
   * Told of an exception, which is a bug: in `decide` (the event is dropped, the state stays as it was), or while a
   * decision was carried out (it stands, and the others of its turn are carried out all the same).
   */
  readonly onFault: (event: Event, error: unknown) => void;
}

/** What is due stays due when deciding it fails: it is not tried again before this, so that a bug takes no core. */
const FAULT_REST_MS = 1_000;

export class Loop {
  readonly #options: LoopOptions;
  #state: State;
  #policy: Policy;
  #queue: { event: Event; asked: Asked | null }[] = [];
  #turn: NodeJS.Immediate | null = null;
  #cancelTimer: (() => void) | null = null;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #restUntilMs = 0;
  #stopped = false;
  #waiting: (() => void)[] = [];

  constructor(options: LoopOptions) {
    this.#options = options;
    this.#state = options.state;
    this.#policy = options.policy;
  }

  get state(): State {
    return this.#state;
  }

  get policy(): Policy {
    return this.#policy;
  }

  /** Takes an event; it is decided in the next turn, after those that came before it. */
  push(happening: Happening, asked: Asked | null = null): void {
    if (this.#stopped) return;
    const event = { ...happening, atMs: this.#options.clock.nowMs() } as Event;
    this.#queue.push({ event, asked });
    this.#turn ??= setImmediate(() => this.#takeTurn());
  }

  /** Resolves once everything that was pushed so far is decided and recorded. */
  decided(): Promise<void> {
    if (this.#queue.length === 0 || this.#stopped) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Resolves after the next turn, or at `untilMs`. */
  nextDecision(untilMs: number): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#options.clock.at(untilMs, resolve);
      this.#waiting.push(() => {
        cancel();
        resolve();
      });
    });
  }

  /** From the next event on, decisions follow this policy. The `configured` event that goes with it is the caller's. */
  usePolicy(policy: Policy): void {
    this.#policy = policy;
  }

  /** No event is taken any more, and nobody waits for one; what was decided stays decided. */
  stop(): void {
    this.#stopped = true;
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#cancelTimer?.();
    this.#turn = null;
    this.#cancelTimer = null;
    this.#wake();
  }

  #takeTurn(): void {
    this.#turn = null;
    const taken = this.#queue;
    this.#queue = [];
    const entries: LogEntry[] = [];
    for (const { event, asked } of taken) {
      const entry = this.#decide(event, asked);
      if (entry !== null) entries.push(entry);
    }
    // A decision acts only once it is committed.
    const sequences = this.#options.log.append(entries);
    entries.forEach(({ event, decision }, index) => {
      this.#carryOut(event, decision, sequences[index] ?? 0);
    });
    this.#armTimer();
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #decide(event: Event, asked: Asked | null): LogEntry | null {
    const before = this.#state;
    try {
      const decision = decide(before, event, this.#policy);
      this.#state = decision.state;
      return { event, before, decision, asked };
    } catch (error) {
      this.#restUntilMs = this.#options.clock.nowMs() + FAULT_REST_MS;
      this.#options.onFault(event, error);
      return null;
    }
  }

  #carryOut(event: Event, decision: Decision, sequence: number): void {
    try {
      this.#options.onDecision(event, decision, sequence);
    } catch (error) {
      this.#options.onFault(event, error);
    }
  }

  /** One timer, at the earliest moment at which time alone makes something due. */
  #armTimer(): void {
    const dueMs = Math.max(nextDueMs(this.#state), this.#restUntilMs);
    if (dueMs === this.#timerAtMs || this.#stopped) return;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#timerAtMs = dueMs;
    if (!Number.isFinite(dueMs)) return;
    this.#cancelTimer = this.#options.clock.at(dueMs, () => {
      this.#timerAtMs = Number.POSITIVE_INFINITY;
      this.push({ type: 'tick' });
    });
  }
}
