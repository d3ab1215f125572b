/**
 * A device's place in a fleet, put together where the configuration names a broker: who it is, whom it trusts, its session,
 * the records that it owes, its twin and its orders. An agent without a fleet never reads this file.
 */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Agent } from '../agent.ts';
import { parseBytes } from '../bytes.ts';
import { systemClock } from '../clock.ts';
import type { Config } from '../config.ts';
import { parseBroker } from '../fleet/broker.ts';
import { homeTopics } from '../fleet/device/home.ts';
import { HomeAssistant } from '../fleet/device/home-assistant.ts';
import { type Hearer, Member } from '../fleet/device/member.ts';
import { Orders } from '../fleet/device/orders.ts';
import { overlaid } from '../fleet/device/overlay.ts';
import type { Device, Overlay } from '../fleet/device/ports.ts';
import { keptOverlay, Twin } from '../fleet/device/twin.ts';
import type { Birth, Death, Hello } from '../fleet/documents/shapes.ts';
import { Drain } from '../fleet/records/drain.ts';
import { readCredentials } from '../fleet/session/credentials.ts';
import { deviceId } from '../fleet/session/device-id.ts';
import { dial } from '../fleet/session/dial.ts';
import { Session } from '../fleet/session/session.ts';
import { controlOf, topicsOf } from '../fleet/topics.ts';
import type { Circumstances, Trust } from '../fleet/trust/trust.ts';
import type { LogTail } from '../log-tail.ts';
import type { Logger } from '../logging.ts';
import type { OutboxOptions } from '../store/outbox/outbox.ts';
import type { Store } from '../store/store.ts';
import { ClockLook } from './clock-look.ts';
import { fleetView } from './fleet-view.ts';
import { Trusted } from './trusted.ts';

export interface MembershipOptions {
  /** As it is written, without the fleet's word. */
  readonly config: Config;
  readonly version: string;
  readonly stateDir: string;
  readonly log: Logger;
  readonly logTail: LogTail;
  /** Ends the agent, and starts it again. */
  readonly restart: () => void;
}

type Outbox = NonNullable<ReturnType<Store['outbox']>>;

/** Of the shapes that this device speaks. */
const SCHEMA = 1;
const CAPABILITIES = ['desired', 'commands', 'records'];

export class Membership {
  readonly #options: MembershipOptions;
  readonly #id: string;
  readonly #clock = new ClockLook();
  readonly #trusted: Trusted;
  /** The newest configuration as it is written. */
  #config: Config;
  #overlay: Overlay | null;
  /** At the broker, as it was used last. */
  #password: string | null = null;

  constructor(options: MembershipOptions) {
    const { config, stateDir, log } = options;
    this.#options = options;
    this.#config = config;
    this.#id = config.fleet.device ?? deviceId({ stateDir });
    this.#trusted = new Trusted(stateDir, log);
    this.#overlay = keptOverlay(stateDir, { device: this.#id, groups: [] });
  }

  /** The configuration, as it is written, with the fleet's word over it. */
  over(config: Config): Config {
    this.#config = config;
    return this.#effective();
  }

  outbox(): OutboxOptions {
    const { outboxRows, outboxBytes } = this.#options.config.fleet;
    return {
      maxRows: outboxRows,
      maxBytes: parseBytes(outboxBytes, 'fleet.outboxBytes'),
      clockSynced: () => this.#clock.isTrusted(),
    };
  }

  /** Takes up the fleet's work. Resolves when what was left unfinished was begun; needs no broker for it. */
  async join(agent: Agent, store: Store): Promise<Member> {
    const { config, log } = this.#options;
    const { url, root } = config.fleet;
    const outbox = store.outbox();
    if (url === null || outbox === null) throw new TypeError('there is no fleet to join');
    const topics = topicsOf(root, this.#id);
    const control = controlOf(root);
    const session = this.#session(url, outbox);
    const drain = new Drain({
      outbox,
      link: session,
      clock: systemClock,
      topics: { rec: topics.rec, ack: topics.ack, collector: control.status },
      report: (failure) => log.warn({ failure }, 'records of the fleet'),
      // It knows of no device that was there before it, on a broker without retained wildcards.
      onCollector: () =>
        void session.publish(control.hello, this.#hello(session.bd, outbox), { qos: 1 }).catch(() => {}),
    });
    const { twin, orders, home } = this.#hearers(agent, session);
    const hearers = new Map<string, Hearer>([
      [topics.desired, twin],
      [topics.cmd, orders],
      [homeTopics({ root, device: this.#id }).press, home],
    ]);
    const member = new Member({ link: session, hearers, drain, session });
    agent.subscribe(() => member.changed());
    agent.showFleet(() => fleetView({ device: this.#id, session, drain, twin, orders, home }));
    await member.start();
    log.info({ device: this.#id, broker: parseBroker(url).shown, root }, 'this device is in a fleet');
    return member;
  }

  #session(url: string, outbox: Outbox): Session {
    const { config, log } = this.#options;
    const { fleet } = config;
    const topics = topicsOf(fleet.root, this.#id);
    const control = controlOf(fleet.root);
    const broker = parseBroker(url);
    const press = homeTopics({ root: fleet.root, device: this.#id }).press;
    return new Session({
      broker,
      credentials: () => {
        const credentials = readCredentials(broker, fleet);
        this.#password = credentials.password;
        return credentials;
      },
      clientId: this.#id,
      persistent: true,
      protocol: fleet.protocol as '5',
      keepaliveSeconds: fleet.keepaliveSeconds,
      // An attempt takes more than a millisecond: whoever starts again, even at once, begins above all numbers so far.
      firstBd: Date.now(),
      greeting: {
        will: (bd) => ({
          topic: topics.status,
          payload: JSON.stringify({ online: false, bd } satisfies Death),
          retain: true,
        }),
        births: (bd) => [
          { topic: topics.status, payload: JSON.stringify(this.#birth(bd, outbox)), retain: true },
          { topic: control.hello, payload: this.#hello(bd, outbox), retain: false },
        ],
      },
      topics: [
        topics.desired,
        topics.cmd,
        topics.ack,
        control.status,
        ...(fleet.homeAssistant === false ? [] : [press]),
      ],
      dial,
      clock: systemClock,
      random: () => randomInt(2 ** 32) / 2 ** 32,
      log,
    });
  }

  #hearers(agent: Agent, session: Session): { twin: Twin; orders: Orders; home: HomeAssistant } {
    const { config, version, stateDir, log } = this.#options;
    const { root, homeAssistant } = config.fleet;
    const topics = topicsOf(root, this.#id);
    const device = this.#device(agent);
    const parts = {
      device,
      stateDir,
      circumstances: () => this.#circumstances(),
      trust: { current: () => this.#trusted.current(), keep: (trust: Trust) => this.#trusted.keep(trust) },
      publish: (name: 'reported' | 'res', body: string, retain: boolean) =>
        session.publish(topics[name], body, { qos: 1, retain }),
      isUp: () => session.isUp,
      clock: systemClock,
      log,
    };
    const twin = new Twin({ ...parts, config: () => this.#config });
    const orders = new Orders({
      ...parts,
      root,
      reply: ({ topic, correlationData }, body) =>
        session.publish(topic, body, { qos: 1, ...(correlationData === null ? {} : { correlationData }) }),
      setPolicy: (policy) => twin.setPolicy(policy),
      secrets: () => this.#secrets(),
    });
    // Also where it is off: then it takes back what it announced before.
    const home = new HomeAssistant({
      settings: homeAssistant,
      root,
      id: this.#id,
      version,
      device,
      senses: () => {
        const { embedder, languageDetector } = this.#effective();
        return [embedder, languageDetector].filter((one) => one !== null);
      },
      stateDir,
      publish: (topic, body) => session.publish(topic, body, { qos: 1, retain: true }),
      clock: systemClock,
      log,
    });
    return { twin, orders, home };
  }

  #device(agent: Agent): Device {
    const { logTail, restart } = this.#options;
    return {
      overlay: (part) => this.#take(agent, part),
      command: (command, expert) => agent.command(command, expert),
      experts: () => agent.experts(),
      state: () => agent.state(),
      health: () => agent.health(),
      decisions: (query) => agent.decisions(query),
      logTail: (lines) => logTail.lines(lines),
      note: (order) => agent.note(order),
      restart,
    };
  }

  /** Where the new word cannot be used, the old one counts on. */
  async #take(agent: Agent, part: Overlay | null): Promise<void> {
    const before = this.#overlay;
    this.#overlay = part;
    try {
      await agent.reload();
    } catch (error) {
      this.#overlay = before;
      throw error;
    }
  }

  /** What counts now. */
  #effective(): Config {
    return this.#overlay === null ? this.#config : overlaid(this.#config, this.#overlay);
  }

  #circumstances(): Circumstances {
    return { device: this.#id, groups: [], nowMs: Date.now(), clockTrusted: this.#clock.isTrusted() };
  }

  /** What no answer to the fleet may hold. */
  #secrets(): readonly string[] {
    const { token } = this.#options.config.http;
    return [token, this.#password].filter((one) => typeof one === 'string');
  }

  #hello(bd: number, outbox: Outbox): string {
    return JSON.stringify({ device: this.#id, bd, epoch: outbox.epoch() } satisfies Hello);
  }

  #birth(bd: number, outbox: Outbox): Birth {
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

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return 'unknown';
  }
}
