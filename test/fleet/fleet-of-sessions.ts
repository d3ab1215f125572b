/** Many devices in one process, for tests and benches of what they do to a broker together. */
import { once } from 'node:events';
import { parseBroker } from '../../agent/fleet/broker.ts';
import { readCredentials } from '../../agent/fleet/session/credentials.ts';
import { type Dial, dial } from '../../agent/fleet/session/dial.ts';
import { Session } from '../../agent/fleet/session/session.ts';
import { FastClock } from './fast-clock.ts';
import { peakPerSecond, seeded } from './seeded.ts';

export interface FleetOptions {
  readonly url: string;
  readonly size: number;
  /** Seconds of its clock in one second of ours. */
  readonly speed: number;
  readonly seed: number;
}

export interface Returned {
  /** The most attempts to connect in one second of the fleet's clock. */
  readonly peak: number;
  readonly attempts: number;
  /** From the loss until everybody was up again, on the fleet's clock. */
  readonly tookMs: number;
}

const SILENT = { info: () => undefined, warn: () => undefined };

export class Fleet {
  readonly #sessions: Session[];
  readonly #clock: FastClock;
  readonly #changed = new EventTarget();
  /** Since everybody was up, on the fleet's clock. */
  readonly #attemptsMs: number[] = [];
  #startMs = 0;

  constructor({ url, size, speed, seed }: FleetOptions) {
    this.#clock = new FastClock(speed);
    const broker = parseBroker(url);
    const credentials = readCredentials(broker, { tls: { alpn: [] } });
    const random = seeded(seed);
    // For when it was due, by the clock of its own session: alarms of others ring in between.
    const noted =
      (own: FastClock): Dial =>
      (...to) => {
        this.#attemptsMs.push(own.dueMs);
        return dial(...to);
      };
    this.#sessions = Array.from({ length: size }, (_, index) => {
      const clock = this.#clock.another();
      const session = new Session({
        broker,
        credentials: () => credentials,
        clientId: `edge-${index}`,
        persistent: true,
        protocol: 'auto',
        keepaliveSeconds: 3_600,
        firstBd: 1,
        greeting: {
          will: (bd) => ({ topic: `s/v1/edge-${index}/status`, payload: `{"bd":${bd}}`, retain: true }),
          births: (bd) => [{ topic: `s/v1/edge-${index}/status`, payload: `{"bd":${bd}}`, retain: true }],
        },
        topics: ['cmd', 'desired', 'ack'].map((name) => `s/v1/edge-${index}/${name}`),
        dial: noted(clock),
        clock,
        random,
        log: SILENT,
      });
      session.onUp(() => void this.#changed.dispatchEvent(new Event('change')));
      session.onDown(() => void this.#changed.dispatchEvent(new Event('change')));
      return session;
    });
  }

  /** Ten at a time: how they come the first time is not what is looked at. */
  async start(): Promise<void> {
    for (let from = 0; from < this.#sessions.length; from += 10) {
      const some = this.#sessions.slice(from, from + 10);
      for (const session of some) session.start();
      await this.#all(some, true);
    }
    this.#attemptsMs.length = 0;
  }

  /** Resolves when everybody is down. */
  async lost(): Promise<void> {
    this.#startMs = this.#clock.nowMs();
    await this.#all(this.#sessions, false);
  }

  /** Resolves when everybody is up again. */
  async returned(): Promise<Returned> {
    await this.#all(this.#sessions, true);
    const tookMs = this.#clock.nowMs() - this.#startMs;
    return { peak: peakPerSecond(this.#attemptsMs), attempts: this.#attemptsMs.length, tookMs };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.stop()));
  }

  async #all(sessions: readonly Session[], up: boolean): Promise<void> {
    while (!sessions.every(({ isUp }) => isUp === up)) await once(this.#changed, 'change');
  }
}
