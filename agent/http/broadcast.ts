/**
 * Tells many clients what happens, at a pace that costs the agent little however busy it is: decisions in batches of
 * bounded size, the state at most twice a second, each put into text once for all. While nobody listens, nothing is
 * subscribed to and no timer runs. No client is waited for: one that does not read is dropped.
 */
import type { DecisionTold, Service } from '../service.ts';
import { frame, HEARTBEAT } from './sse.ts';
import {
  decisionFrame,
  fingerprint,
  isWorthTelling,
  progressSince,
  stateOf,
  type ToldState,
} from './tellings.ts';

/** The other end of a stream. */
export interface Listener {
  write(text: string): void;
  /** What was written and has not left the process. */
  bufferedBytes(): number;
  /** Ends it politely: what was written still arrives. */
  end(): void;
  /** Ends it at once. */
  drop(): void;
}

/** Decisions wait this long for others to come with them: nobody reads faster, and a busy agent makes hundreds. */
const BATCH_MS = 50;
/** Of one batch; what is more is in the log, and the client is told so. */
export const MAX_BATCH = 50;
const STATE_MS = 500;
/** The state moves without a decision too, as the fsync of the log does. */
const LOOK_MS = 5_000;
const HEARTBEAT_MS = 15_000;
/** Beyond what the kernel buffers (some MB): a client that is this far behind does not read. */
export const MAX_BUFFER_BYTES = 262_144;

export class Broadcast {
  readonly #service: Service;
  readonly #listeners = new Set<Listener>();
  #leave: () => void = () => {};
  #batch: DecisionTold[] = [];
  #skipped = 0;
  #batchTimer: NodeJS.Timeout | null = null;
  /** Runs for STATE_MS after each state. */
  #stateTimer: NodeJS.Timeout | null = null;
  #stateDue = false;
  #lastState = '';
  #fetches: ReadonlyMap<string, string> = new Map();
  #intervals: readonly NodeJS.Timeout[] = [];

  constructor(service: Service) {
    this.#service = service;
  }

  get size(): number {
    return this.#listeners.size;
  }

  /** Adds a listener: it gets `opening`, the state, and from then on everything. */
  join(listener: Listener, opening: string): void {
    // What the others have still to get is in the log by now, where the opening found it: it must not come twice.
    this.#tellBatch();
    const state = stateOf(this.#service);
    if (this.#listeners.size === 0) this.#begin(state);
    this.#listeners.add(listener);
    this.#write(listener, opening + frame('state', state));
  }

  leave(listener: Listener): void {
    if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#end();
  }

  /** Ends all streams. */
  close(): void {
    for (const listener of this.#listeners) {
      this.leave(listener);
      listener.end();
    }
  }

  #begin(state: ToldState): void {
    this.#lastState = fingerprint(state);
    this.#fetches = progressSince(new Map(), state.experts).now;
    this.#leave = this.#service.subscribe((told) => this.#decided(told));
    this.#intervals = [
      setInterval(() => this.#stateSoon(0), LOOK_MS),
      setInterval(() => this.#tell(HEARTBEAT), HEARTBEAT_MS),
    ];
  }

  #end(): void {
    this.#leave();
    for (const timer of this.#intervals) clearInterval(timer);
    for (const timer of [this.#batchTimer, this.#stateTimer]) if (timer !== null) clearTimeout(timer);
    this.#batchTimer = null;
    this.#stateTimer = null;
    this.#stateDue = false;
    this.#batch = [];
    this.#skipped = 0;
    this.#lastState = '';
    this.#fetches = new Map();
  }

  #decided(told: DecisionTold): void {
    if (isWorthTelling(told)) {
      this.#batch.push(told);
      if (this.#batch.length > MAX_BATCH) {
        this.#batch.shift();
        this.#skipped++;
      }
      this.#batchTimer ??= setTimeout(() => this.#tellBatch(), BATCH_MS);
    }
    this.#stateSoon(BATCH_MS);
  }

  #stateSoon(delayMs: number): void {
    this.#stateDue = true;
    this.#stateTimer ??= setTimeout(() => this.#pace(), delayMs);
  }

  #tellBatch(): void {
    if (this.#batchTimer !== null) clearTimeout(this.#batchTimer);
    this.#batchTimer = null;
    if (this.#batch.length === 0) return;
    const skipped = this.#skipped === 0 ? '' : frame('skipped', { count: this.#skipped });
    const text = skipped + this.#batch.map(decisionFrame).join('');
    this.#batch = [];
    this.#skipped = 0;
    this.#tell(text);
  }

  #pace(): void {
    this.#stateTimer = null;
    if (!this.#stateDue) return;
    this.#stateDue = false;
    this.#stateTimer = setTimeout(() => this.#pace(), STATE_MS);
    this.#tellState();
  }

  /** Tells the state and the fetches if they are new. */
  #tellState(): void {
    const state = stateOf(this.#service);
    const { told, now } = progressSince(this.#fetches, state.experts);
    this.#fetches = now;
    for (const progress of told) this.#tell(frame('progress', progress));
    const print = fingerprint(state);
    if (print === this.#lastState) return;
    this.#lastState = print;
    this.#tell(frame('state', state));
  }

  #tell(text: string): void {
    for (const listener of this.#listeners) this.#write(listener, text);
  }

  /** What was written before counts, not this: a long text alone is no sign of a slow reader. */
  #write(listener: Listener, text: string): void {
    if (listener.bufferedBytes() <= MAX_BUFFER_BYTES) {
      listener.write(text);
      return;
    }
    this.leave(listener);
    listener.drop();
  }
}
