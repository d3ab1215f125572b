/**
 * The session of one client with its broker, over all its connections: connect, say hello, stay, lose, wait, again.
 * Every failure of every kind ends in the same place, the timer of the next attempt, so nothing here needs a restart.
 *
 *   stopped -> connecting -> greeting -> up
 *                  |            |        |
 *                  +--> waiting <--------+    (a wait ends in connecting)
 */
import type { AgentError } from '../../errors.ts';
import type { Clock } from '../../ports.ts';
import type { Failure } from '../../types.ts';
import type { Broker } from '../broker.ts';
import type { Link, MessageListener, PublishOptions, Subscriptions } from '../link.ts';
import { Backoff } from './backoff.ts';
import { type ClientMaker, type Letter, loadClient } from './client.ts';
import { type Closed, Connection } from './connection.ts';
import type { Credentials } from './credentials.ts';
import type { Dial } from './dial.ts';
import { Inbound } from './inbound.ts';
import { Negotiation, type Protocol } from './negotiation.ts';
import { refusedByNetwork } from './network-refusal.ts';
import { PacketGuard, type Skipped } from './packet-guard.ts';
import { linkLost, notConnected, silent, subscriptionRefused, thrownOut, tooLargeHere } from './refusal.ts';

/** Fits a pino logger. */
export interface SessionLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** What is said at each connection, about it, with the number of the attempt that made it. */
export interface Greeting {
  /** The last will: the same `bd` as the birth that it takes back. */
  will(bd: number): Letter;
  /** Sent with QoS 1, each acknowledged before the link counts as up. */
  births(bd: number): readonly Letter[];
}

export interface SessionOptions {
  readonly broker: Broker;
  /** Read at every attempt; what it throws is the reason why that one failed. */
  readonly credentials: () => Credentials;
  readonly clientId: string;
  /** The broker keeps the session, and what comes meanwhile, while this client is away. */
  readonly persistent: boolean;
  readonly protocol: Protocol;
  readonly keepaliveSeconds: number;
  /** `bd` of the first attempt; it rises by one with each. Give one that no earlier process of this device came near. */
  readonly firstBd: number;
  readonly greeting: Greeting | null;
  readonly topics: readonly string[];
  /** Inbound packets beyond it are passed over. */
  readonly maxPacketBytes?: number;
  readonly maxInFlight?: number;
  readonly dial: Dial;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: SessionLog;
}

export interface SessionHealth {
  readonly state: Phase['kind'];
  readonly broker: string;
  /** Of the link that is up; null where none is. */
  readonly protocol: '3.1.1' | '5' | null;
  /** Why the last link, or the last attempt, ended; null once one is up. */
  readonly reason: Failure | null;
  /** Attempts since the start. */
  readonly attempts: number;
  /** Messages that were too large and passed over, since the start. */
  readonly skipped: number;
}

type Phase =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'waiting'; readonly cancel: () => void }
  | { readonly kind: 'connecting' }
  | { readonly kind: 'greeting'; readonly connection: Connection }
  | { readonly kind: 'up'; readonly connection: Connection; readonly sinceMs: number };

/** From the first packet of TCP to the broker's answer to the birth. */
const ANSWER_MS = 30_000;
/** So many links in a row that end so soon are a sign: no broker that was tried tells a client that it was taken over. */
const SHORT_LIVES = 3;
const SHORT_LIFE_MS = 600_000;
const GOODBYE_MS = 2_000;
const SESSION_EXPIRY_SECONDS = 7 * 24 * 3_600;
const MAX_PACKET_BYTES = 1_048_576;
const MAX_IN_FLIGHT = 16;
const MOST_WAITING = 64;
/** A broker that means harm makes up topics. */
const MOST_TOLD = 64;

export class Session implements Link, Subscriptions {
  readonly #options: SessionOptions;
  readonly #backoff: Backoff;
  readonly #negotiation: Negotiation;
  readonly #inbound: Inbound;
  readonly #topics: Set<string>;
  readonly #onUp = new Set<(sessionPresent: boolean) => void>();
  readonly #onDown = new Set<(reason: string) => void>();
  #phase: Phase = { kind: 'stopped' };
  /** The connection that is open, whatever its phase. */
  #connection: Connection | null = null;
  #attempts = 0;
  #skipped = 0;
  /** Links in a row that were up, and soon lost. */
  #shortLives = 0;
  #cancelDeadline: () => void = () => undefined;
  #reason: AgentError | null = null;
  /** What was logged last: the same is not said twice. */
  #told = '';
  readonly #toldOfMessages = new Set<string>();

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random);
    this.#negotiation = new Negotiation(options.protocol);
    this.#topics = new Set(options.topics);
    this.#inbound = new Inbound({
      mostWaiting: MOST_WAITING,
      onFailed: (topic, failure) => this.#warnOfMessage(topic, failure, 'a message could not be dealt with'),
    });
  }

  /** Tries at once, and from then on until `stop`. */
  start(): void {
    if (this.#phase.kind === 'stopped') this.#attempt();
  }

  /** Says goodbye if the link is up: within two seconds and a half it is closed. */
  async stop(): Promise<void> {
    const phase = this.#phase;
    const connection = this.#connection;
    this.#phase = { kind: 'stopped' };
    this.#release();
    if (phase.kind === 'waiting') phase.cancel();
    if (phase.kind === 'up') {
      this.#fall('the agent is stopping');
      await this.#sayGoodbye(phase.connection);
    } else connection?.close(linkLost());
  }

  get isUp(): boolean {
    return this.#phase.kind === 'up';
  }

  /** Of the last attempt: what its birth and its will carry. */
  get bd(): number {
    return this.#options.firstBd + Math.max(0, this.#attempts - 1);
  }

  health(): SessionHealth {
    const { kind } = this.#phase;
    return {
      state: kind,
      broker: this.#options.broker.shown,
      protocol: kind !== 'up' ? null : this.#negotiation.version === 5 ? '5' : '3.1.1',
      reason: kind === 'up' ? null : (this.#reason?.toFailure() ?? null),
      attempts: this.#attempts,
      skipped: this.#skipped,
    };
  }

  publish(topic: string, payload: string | Uint8Array, options: PublishOptions): Promise<void> {
    if (this.#phase.kind !== 'up') return Promise.reject(notConnected());
    return this.#phase.connection.publish(topic, payload, options);
  }

  async subscribe(topics: readonly string[]): Promise<void> {
    for (const topic of topics) this.#topics.add(topic);
    const refused = (await this.#live()?.subscribe(topics)) ?? [];
    if (refused.length > 0) throw subscriptionRefused(refused);
  }

  async unsubscribe(topics: readonly string[]): Promise<void> {
    for (const topic of topics) this.#topics.delete(topic);
    await this.#live()?.unsubscribe(topics);
  }

  onUp(listener: (sessionPresent: boolean) => void): () => void {
    this.#onUp.add(listener);
    return () => void this.#onUp.delete(listener);
  }

  onDown(listener: (reason: string) => void): () => void {
    this.#onDown.add(listener);
    return () => void this.#onDown.delete(listener);
  }

  onMessage(listener: MessageListener): () => void {
    return this.#inbound.onMessage(listener);
  }

  /** 1. Load mqtt.js, which only devices of a fleet pay for. 2. Open. 3. Greet. 4. Up; any failure: wait, again. */
  #attempt(): void {
    this.#phase = { kind: 'connecting' };
    this.#attempts += 1;
    const attempt = this.#attempts;
    const isCurrent = () => this.#phase.kind === 'connecting' && this.#attempts === attempt;
    loadClient().then(
      (Client) => {
        if (isCurrent()) this.#connect(Client);
      },
      (error: Error) => {
        if (isCurrent()) this.#wait(refusedByNetwork(error), 0);
      },
    );
  }

  #connect(Client: ClientMaker): void {
    const { clock } = this.#options;
    try {
      const connection = this.#open(Client);
      this.#connection = connection;
      this.#cancelDeadline = clock.at(clock.nowMs() + ANSWER_MS, () => connection.close(silent(ANSWER_MS)));
    } catch (error) {
      this.#wait(refusedByNetwork(error as Error), 0);
    }
  }

  #open(Client: ClientMaker): Connection {
    const { broker, dial, clientId, keepaliveSeconds, greeting, clock } = this.#options;
    const { maxPacketBytes = MAX_PACKET_BYTES, maxInFlight = MAX_IN_FLIGHT } = this.#options;
    const credentials = this.#options.credentials();
    const guard = new PacketGuard(maxPacketBytes, (skipped) => this.#passOver(connection, skipped));
    const connection: Connection = new Connection(
      {
        Client,
        stream: dial(broker, credentials, guard),
        version: this.#negotiation.version,
        clientId,
        credentials,
        tls: broker.tls,
        keepaliveSeconds,
        sessionExpirySeconds: this.#options.persistent ? SESSION_EXPIRY_SECONDS : 0,
        will: greeting?.will(this.bd) ?? null,
        maxPacketBytes,
        maxInFlight,
        clock,
      },
      {
        accepted: (sessionPresent) => void this.#greet(connection, sessionPresent),
        arrived: (arrival, taken) => this.#inbound.push(arrival, taken),
        closed: (closed) => this.#ended(connection, closed),
      },
    );
    return connection;
  }

  /** The link counts as up when the broker has answered all that is said at every connection. */
  async #greet(connection: Connection, sessionPresent: boolean): Promise<void> {
    if (this.#connection !== connection || this.#phase.kind !== 'connecting') return;
    this.#negotiation.accepted();
    this.#phase = { kind: 'greeting', connection };
    const births = this.#options.greeting?.births(this.bd) ?? [];
    let refused: string[];
    try {
      const granted = connection.subscribe([...this.#topics]);
      const said = births.map(({ topic, payload, retain }) =>
        connection.publish(topic, payload, { qos: 1, retain }),
      );
      [refused] = await Promise.all([granted, ...said]);
    } catch (error) {
      connection.close(error as AgentError);
      return;
    }
    if (this.#connection !== connection || this.#phase.kind !== 'greeting') return;
    this.#rise(connection, refused, sessionPresent);
  }

  #rise(connection: Connection, refused: readonly string[], sessionPresent: boolean): void {
    const { clock, log, broker } = this.#options;
    this.#cancelDeadline();
    this.#phase = { kind: 'up', connection, sinceMs: clock.nowMs() };
    this.#reason = null;
    this.#told = '';
    this.#toldOfMessages.clear();
    const { protocol } = this.health();
    log.info({ broker: broker.shown, protocol, sessionPresent }, 'connected to the fleet');
    if (refused.length > 0) this.#warn(subscriptionRefused(refused));
    for (const listener of this.#onUp) listener(sessionPresent);
  }

  #ended(connection: Connection, closed: Closed): void {
    if (this.#connection !== connection) return;
    const was = this.#phase;
    this.#release();
    if (was.kind === 'stopped') return;
    if (!closed.wasAccepted && this.#negotiation.refused(closed)) {
      this.#attempt();
      return;
    }
    if (was.kind !== 'up') return this.#wait(closed.reason, 0);
    const upMs = this.#options.clock.nowMs() - was.sinceMs;
    this.#shortLives = upMs < SHORT_LIFE_MS ? this.#shortLives + 1 : 0;
    const isDuel = this.#shortLives >= SHORT_LIVES && closed.reason.code === 'link_lost';
    const reason = isDuel ? thrownOut(this.#options.clientId, this.#shortLives) : closed.reason;
    this.#wait(reason, upMs);
    this.#fall(reason.message);
  }

  /** The one place that every failure leads to. */
  #wait(reason: AgentError, upMs: number): void {
    const { clock } = this.#options;
    this.#reason = reason;
    this.#warn(reason);
    const cancel = clock.at(clock.nowMs() + this.#backoff.nextMs(upMs), () => this.#attempt());
    this.#phase = { kind: 'waiting', cancel };
  }

  /** Once for each change: a broker that is away for a week takes one line. */
  #warn({ code, message, hint }: AgentError): void {
    const words = `${code} ${message}`;
    if (words === this.#told) return;
    this.#told = words;
    this.#options.log.warn({ broker: this.#options.broker.shown, code, hint }, `fleet: ${message}`);
  }

  /** Once for each kind and connection: whoever sends what is refused may send a lot of it. */
  #warnOfMessage(topic: string, { code, hint }: AgentError, message: string): void {
    const words = `${topic} ${code}`;
    if (this.#toldOfMessages.has(words) || this.#toldOfMessages.size >= MOST_TOLD) return;
    this.#toldOfMessages.add(words);
    this.#options.log.warn({ topic, code, hint }, `fleet: ${message}`);
  }

  #fall(reason: string): void {
    for (const listener of this.#onDown) listener(reason);
  }

  #passOver(connection: Connection, { topic, bytes, messageId }: Skipped): void {
    this.#skipped += 1;
    const failure = tooLargeHere(topic, bytes);
    this.#warnOfMessage(topic, failure, failure.message);
    if (messageId !== null) connection.acknowledge(messageId);
  }

  /** Where topics can be asked for now; null is at the next connection. */
  #live(): Connection | null {
    const phase = this.#phase;
    return phase.kind === 'greeting' || phase.kind === 'up' ? phase.connection : null;
  }

  #release(): void {
    this.#cancelDeadline();
    this.#connection = null;
    this.#inbound.forget();
  }

  /** The broker publishes no will for who leaves in order: its words are said here. */
  async #sayGoodbye(connection: Connection): Promise<void> {
    const { greeting, clock } = this.#options;
    const will = greeting?.will(this.bd) ?? null;
    if (will !== null) {
      const cancel = clock.at(clock.nowMs() + GOODBYE_MS, () => connection.close(linkLost()));
      await connection.publish(will.topic, will.payload, { qos: 1, retain: true }).catch(() => undefined);
      cancel();
    }
    await connection.leave();
  }
}
