/**
 * A device in its fleet. What comes over the link goes to its twin (the desired document) or its orders (commands); the
 * drain delivers records beside them. Nothing here knows how the link is made, or what an agent is.
 */
import type { Link, Received } from '../link.ts';

/** One who hears of a topic, and is told when there is a link, and when the agent may have changed. */
export interface Hearer {
  /** Takes up what an earlier process left unfinished. */
  start(): Promise<void>;
  stop(): void;
  receive(payload: Uint8Array, received: Received): Promise<void>;
  onUp(): void;
  changed(): void;
}

export interface MemberOptions {
  readonly link: Link;
  /** By topic. */
  readonly hearers: ReadonlyMap<string, Hearer>;
  readonly drain: { start(): void; stop(): void };
  readonly session: { start(): void; stop(): Promise<void> };
}

export class Member {
  readonly #options: MemberOptions;
  #ends: readonly (() => void)[] = [];

  constructor(options: MemberOptions) {
    this.#options = options;
  }

  /** Resolves when what was left unfinished is taken up; the link comes when it comes. */
  async start(): Promise<void> {
    const { link, hearers, drain, session } = this.#options;
    for (const hearer of hearers.values()) await hearer.start();
    this.#ends = [
      link.onMessage((topic, payload, received) =>
        isTakenBack(payload) ? undefined : hearers.get(topic)?.receive(payload, received),
      ),
      link.onUp(() => this.#each((hearer) => hearer.onUp())),
    ];
    drain.start();
    session.start();
  }

  /** The agent decided something: what is reported may be another. */
  changed(): void {
    this.#each((hearer) => hearer.changed());
  }

  /** What is begun first ends last. */
  async stop(): Promise<void> {
    for (const end of this.#ends) end();
    this.#each((hearer) => hearer.stop());
    this.#options.drain.stop();
    await this.#options.session.stop();
  }

  #each(work: (hearer: Hearer) => void): void {
    for (const hearer of this.#options.hearers.values()) work(hearer);
  }
}

/** Who takes away what a broker keeps sends nothing in its place (MQTT 3.1.1, 3.3.1.3); that is no order. */
function isTakenBack(payload: Uint8Array): boolean {
  return payload.byteLength === 0;
}
