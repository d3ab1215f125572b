/**
 * Hands messages to the listeners one after another, in the order they came, and lets each be acknowledged when they
 * are done with it. mqtt.js would do so too, but holds back everything else meanwhile, a PUBACK that a listener waits
 * for among it; so messages queue here, and only a full queue stops the stream.
 */
import { AgentError, toFailure } from '../../errors.ts';
import type { MessageListener, Received } from '../link.ts';

export interface Arrival {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly received: Received;
  /** Tells the broker that it is done; it does nothing once its connection is gone. */
  acknowledge(): void;
}

export interface InboundOptions {
  /** Messages that wait at most, beside the one that is worked on. */
  readonly mostWaiting: number;
  /** A listener failed; its words are a listener's own, never a payload. */
  readonly onFailed: (topic: string, failure: AgentError) => void;
}

interface Waiting {
  readonly arrival: Arrival;
  /** Lets the stream go on. */
  readonly taken: () => void;
}

export class Inbound {
  readonly #options: InboundOptions;
  readonly #listeners = new Set<MessageListener>();
  readonly #waiting: Waiting[] = [];
  #working = false;

  constructor(options: InboundOptions) {
    this.#options = options;
  }

  onMessage(listener: MessageListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Calls `taken` at once while there is room, else when there is. */
  push(arrival: Arrival, taken: () => void): void {
    const hasRoom = this.#waiting.length < this.#options.mostWaiting;
    this.#waiting.push({ arrival, taken: hasRoom ? () => undefined : taken });
    if (hasRoom) taken();
    if (!this.#working) void this.#work();
  }

  /** The connection is gone: what nobody has begun with comes again from the broker. */
  forget(): void {
    this.#waiting.length = 0;
  }

  async #work(): Promise<void> {
    this.#working = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      next.taken();
      if (await this.#deliver(next.arrival)) next.arrival.acknowledge();
    }
    this.#working = false;
  }

  /** Whether the message is done with: false asks for it again. */
  async #deliver({ topic, payload, received }: Arrival): Promise<boolean> {
    let done = true;
    const calls = [...this.#listeners].map(async (listener) => listener(topic, payload, received));
    for (const result of await Promise.allSettled(calls)) {
      if (result.status === 'fulfilled') continue;
      const failure = asAgentError(result.reason);
      if (failure.retryable) done = false;
      this.#options.onFailed(topic, failure);
    }
    return done;
  }
}

function asAgentError(reason: unknown): AgentError {
  return reason instanceof AgentError ? reason : AgentError.fromFailure(toFailure(reason));
}
