/** Sessions with real brokers, on the real clock, that come back in a moment. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../agent/clock.ts';
import { parseBroker } from '../../../agent/fleet/broker.ts';
import type { PublishOptions } from '../../../agent/fleet/link.ts';
import { type CredentialFiles, readCredentials } from '../../../agent/fleet/session/credentials.ts';
import { dial } from '../../../agent/fleet/session/dial.ts';
import { Session, type SessionOptions } from '../../../agent/fleet/session/session.ts';
import { LogKept } from './set-up.ts';

export interface Heard {
  readonly topic: string;
  readonly text: string;
  readonly retain: boolean;
  readonly dup: boolean;
}

/** 30 ms of the first window, 60 of the second. */
const SOON = 0.001;
/** The window of 5 minutes; every other alarm is further away. */
const LONGEST_WAIT_MS = 300_000 * SOON;

/** A session and what became of it: up, down and messages, in the order they came. */
export class Live {
  readonly #changed = new EventTarget();
  readonly session: Session;
  readonly log = new LogKept(() => this.#note([], null));
  /** How long it waited for each of its next attempts, in ms. */
  readonly waits: number[] = [];
  readonly ups: boolean[] = [];
  readonly downs: string[] = [];
  readonly heard: Heard[] = [];

  constructor(
    url: string,
    clientId: string,
    topics: readonly string[],
    options: Partial<SessionOptions> & { readonly files?: CredentialFiles } = {},
  ) {
    const broker = parseBroker(url);
    const files = options.files ?? { tls: { alpn: [] } };
    this.session = new Session({
      broker,
      credentials: () => readCredentials(broker, files),
      clientId,
      persistent: true,
      protocol: 'auto',
      keepaliveSeconds: 60,
      firstBd: 1,
      greeting: null,
      topics,
      dial,
      clock: {
        nowMs: systemClock.nowMs,
        at: (atMs, callback) => {
          const waitMs = Math.round(atMs - systemClock.nowMs());
          if (waitMs <= LONGEST_WAIT_MS) this.#note(this.waits, waitMs);
          return systemClock.at(atMs, callback);
        },
      },
      random: () => SOON,
      log: this.log,
      ...options,
    });
    this.session.onUp((present) => this.#note(this.ups, present));
    this.session.onDown((reason) => this.#note(this.downs, reason));
    this.session.onMessage(async (topic, payload, { retain, dup }) => {
      const text = payload.length > 200 ? `${payload.length} bytes` : Buffer.from(payload).toString();
      this.#note(this.heard, { topic, text, retain, dup });
    });
  }

  async start(): Promise<this> {
    this.session.start();
    await this.until(() => this.session.isUp, 'up');
    return this;
  }

  publish(topic: string, payload: string | Uint8Array, options: Partial<PublishOptions> = {}): Promise<void> {
    return this.session.publish(topic, payload, { qos: 1, ...options });
  }

  /** Resolves when it is so; tells what was missing when it does not come. */
  async until(isSo: () => boolean, what: string, patienceMs = 15_000): Promise<void> {
    const signal = AbortSignal.timeout(patienceMs);
    while (!isSo()) {
      try {
        await once(this.#changed, 'change', { signal });
      } catch {
        const { heard, ups, downs, log } = this;
        throw new Error(`not ${what}: ${JSON.stringify({ heard, ups, downs, warnings: log.warnings })}`);
      }
    }
  }

  texts(topic: string): string[] {
    return this.heard.filter((one) => one.topic === topic).map(({ text }) => text);
  }

  #note<T>(list: T[], value: T): void {
    list.push(value);
    this.#changed.dispatchEvent(new Event('change'));
  }
}

/** A folder that is gone after. */
export function scratch(): { readonly folder: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'expertd-fleet-'));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
