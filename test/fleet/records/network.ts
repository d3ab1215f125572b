/**
 * A broker and the ways to it, as bad as they come: what was acknowledged is dropped, repeated, late and out of order.
 * All chance comes from one seed, and time is the test's.
 */
import { AgentError } from '../../../agent/errors.ts';
import type { Link, MessageListener, PublishOptions, Subscriptions } from '../../../agent/fleet/link.ts';
import type { Clock } from '../../../agent/ports.ts';

export interface Weather {
  /** Chance that a message is acknowledged and never delivered. */
  readonly lost: number;
  readonly twice: number;
  /** Longest way of a message; the shortest is none, so they overtake each other. */
  readonly delayMs: number;
}

export const fair: Weather = { lost: 0, twice: 0, delayMs: 5 };

interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
}

export class Network {
  weather: Weather = fair;
  readonly clock: Clock;
  readonly random: () => number;
  readonly #ends = new Set<End>();
  readonly #retained = new Map<string, Uint8Array>();
  delivered = 0;

  constructor(clock: Clock, random: () => number) {
    this.clock = clock;
    this.random = random;
  }

  end(topics: readonly string[]): End {
    const end = new End(this, topics);
    this.#ends.add(end);
    return end;
  }

  retained(topics: readonly string[]): readonly Message[] {
    return [...this.#retained]
      .filter(([topic]) => topics.some((filter) => fits(filter, topic)))
      .map(([topic, payload]) => ({ topic, payload }));
  }

  carry(message: Message, retain: boolean): void {
    if (retain) this.#retained.set(message.topic, message.payload);
    for (const end of this.#ends) if (end.wants(message.topic)) this.#send(end, message);
  }

  #send(end: End, message: Message): void {
    const { lost, twice, delayMs } = this.weather;
    if (this.random() < lost) return;
    for (let copies = this.random() < twice ? 2 : 1; copies > 0; copies -= 1) {
      const connection = end.connection;
      this.clock.at(this.clock.nowMs() + this.random() * delayMs, () => {
        if (end.connection === connection && end.isUp) end.receive(message);
        this.delivered += 1;
      });
    }
  }
}

export class End implements Link, Subscriptions {
  readonly #network: Network;
  readonly #topics: Set<string>;
  readonly #listeners = new Set<MessageListener>();
  readonly #ups = new Set<(sessionPresent: boolean) => void>();
  readonly #downs = new Set<(reason: string) => void>();
  isUp = false;
  /** Counts connections: what was on its way to an older one does not arrive. */
  connection = 0;

  constructor(network: Network, topics: readonly string[]) {
    this.#network = network;
    this.#topics = new Set(topics);
  }

  wants(topic: string): boolean {
    return this.isUp && [...this.#topics].some((filter) => fits(filter, topic));
  }

  receive({ topic, payload }: Message, retain = false): void {
    const received = {
      retain,
      dup: false,
      qos: 1 as const,
      responseTopic: null,
      correlationData: null,
    };
    for (const listener of this.#listeners) void listener(topic, payload, received);
  }

  up(): void {
    if (this.isUp) return;
    this.isUp = true;
    this.connection += 1;
    for (const listener of this.#ups) listener(false);
    for (const message of this.#network.retained([...this.#topics])) this.receive(message, true);
  }

  down(): void {
    if (!this.isUp) return;
    this.isUp = false;
    for (const listener of this.#downs) listener('the test says so');
  }

  publish(topic: string, payload: string | Uint8Array, { retain = false }: PublishOptions): Promise<void> {
    if (!this.isUp) return Promise.reject(new AgentError('not_connected', 'no link'));
    this.#network.carry({ topic, payload: Buffer.from(payload) }, retain);
    return Promise.resolve();
  }

  subscribe(topics: readonly string[]): Promise<void> {
    for (const topic of topics) this.#topics.add(topic);
    for (const message of this.#network.retained(topics)) this.receive(message, true);
    return Promise.resolve();
  }

  unsubscribe(topics: readonly string[]): Promise<void> {
    for (const topic of topics) this.#topics.delete(topic);
    return Promise.resolve();
  }

  onMessage(listener: MessageListener): () => void {
    return add(this.#listeners, listener);
  }

  onUp(listener: (sessionPresent: boolean) => void): () => void {
    return add(this.#ups, listener);
  }

  onDown(listener: (reason: string) => void): () => void {
    return add(this.#downs, listener);
  }
}

function add<T>(set: Set<T>, value: T): () => void {
  set.add(value);
  return () => void set.delete(value);
}

function fits(filter: string, topic: string): boolean {
  const [wanted, found] = [filter.split('/'), topic.split('/')];
  return (
    wanted.length === found.length && wanted.every((level, index) => level === '+' || level === found[index])
  );
}

/** mulberry32. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 4_294_967_296;
  };
}
