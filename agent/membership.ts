/**
 * A device's place in a fleet, put together where the configuration names a broker: who it is, its session, and the records
 * that it owes. An agent without a fleet never reads this file.
 */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseBytes } from './bytes.ts';
import { systemClock } from './clock.ts';
import type { Config } from './config.ts';
import { parseBroker } from './fleet/broker.ts';
import { Member } from './fleet/device/member.ts';
import type { Birth, Death, Hello } from './fleet/documents/shapes.ts';
import { Drain } from './fleet/records/drain.ts';
import { readCredentials } from './fleet/session/credentials.ts';
import { deviceId } from './fleet/session/device-id.ts';
import { dial } from './fleet/session/dial.ts';
import { Session } from './fleet/session/session.ts';
import { controlOf, topicsOf } from './fleet/topics.ts';
import type { Logger } from './logging.ts';
import { isClockSynchronised } from './monitor/survey.ts';
import type { OutboxOptions } from './store/outbox/outbox.ts';
import type { Store } from './store/store.ts';

export interface MembershipOptions {
  readonly config: Config;
  readonly version: string;
  readonly stateDir: string;
  readonly log: Logger;
}

/** Of the shapes that this device speaks. */
const SCHEMA = 1;
const CAPABILITIES = ['records'];
/** A clock that is set to a time before this program was written was not set by anybody. */
const PLAUSIBLE_MS = Date.UTC(2026, 0, 1);
const CLOCK_LOOK_MS = 10_000;
/** Attempts that one process may make before the number of one that started a millisecond later: more than ever. */
const BDS_A_SECOND = 1_000;

export class Membership {
  readonly #options: MembershipOptions;
  readonly #device: string;
  readonly #clock = new ClockLook();

  constructor(options: MembershipOptions) {
    const { config, stateDir } = options;
    this.#options = options;
    this.#device = config.fleet.device ?? deviceId({ stateDir });
  }

  outbox(): OutboxOptions {
    const { outboxRows, outboxBytes } = this.#options.config.fleet;
    return {
      maxRows: outboxRows,
      maxBytes: parseBytes(outboxBytes, 'fleet.outboxBytes'),
      clockSynced: () => this.#clock.isTrusted(),
    };
  }

  /** Takes up the fleet's work; needs no broker for it. */
  async join(store: Store): Promise<Member> {
    const { config, log } = this.#options;
    const { fleet } = config;
    const topics = topicsOf(fleet.root, this.#device);
    const control = controlOf(fleet.root);
    const outbox = store.outbox();
    if (fleet.url === null || outbox === null) throw new TypeError('there is no fleet to join');
    const broker = parseBroker(fleet.url);
    const hello = (bd: number): string =>
      JSON.stringify({ device: this.#device, bd, epoch: outbox.epoch() } satisfies Hello);
    const session = new Session({
      broker,
      credentials: () => readCredentials(broker, fleet),
      clientId: this.#device,
      persistent: true,
      protocol: fleet.protocol as '5',
      keepaliveSeconds: fleet.keepaliveSeconds,
      firstBd: Math.floor(Date.now() / 1_000) * BDS_A_SECOND,
      greeting: {
        will: (bd) => ({
          topic: topics.status,
          payload: JSON.stringify({ online: false, bd } satisfies Death),
          retain: true,
        }),
        births: (bd) => [
          { topic: topics.status, payload: JSON.stringify(this.#birth(bd, outbox)), retain: true },
          { topic: control.hello, payload: hello(bd), retain: false },
        ],
      },
      topics: [topics.ack, control.status],
      dial,
      clock: systemClock,
      random: () => randomInt(2 ** 32) / 2 ** 32,
      log,
    });
    const drain = new Drain({
      outbox,
      link: session,
      clock: systemClock,
      topics: { rec: topics.rec, ack: topics.ack, collector: control.status },
      report: (failure) => log.warn({ failure }, 'records of the fleet'),
      // It knows of no device that was there before it, on a broker without retained wildcards.
      onCollector: () => void session.publish(control.hello, hello(session.bd), { qos: 1 }).catch(() => {}),
    });
    const member = new Member({ link: session, hearers: new Map(), drain, session });
    await member.start();
    log.info({ device: this.#device, broker: broker.shown, root: fleet.root }, 'this device is in a fleet');
    return member;
  }

  #birth(bd: number, outbox: { epoch(): number | null; head(): number }): Birth {
    return {
      online: true,
      bd,
      boot: bootId(),
      epoch: outbox.epoch(),
      head: outbox.head(),
      agent: this.#options.version,
      schema: SCHEMA,
      caps: CAPABILITIES,
    };
  }
}

/** Asked at every record, and looked at every few seconds. */
class ClockLook {
  #trusted = false;
  #lookedMs = Number.NEGATIVE_INFINITY;

  isTrusted(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#lookedMs > CLOCK_LOOK_MS) {
      this.#lookedMs = nowMs;
      this.#trusted = (isClockSynchronised() ?? true) && Date.now() > PLAUSIBLE_MS;
    }
    return this.#trusted;
  }
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return 'unknown';
  }
}
