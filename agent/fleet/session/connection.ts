/**
 * One connection, from CONNECT to its end, on one `MqttClient` that is thrown away with it: nothing of mqtt.js's own
 * queue, store and reconnection outlives a link. (Its reconnection has no jitter, and messages published while its
 * store is replayed are lost if the link drops again.)
 */
import type { IPublishPacket, MqttClient } from 'mqtt';
import type { AgentError } from '../../errors.ts';
import type { PublishOptions, Received } from '../link.ts';
import { type ClientMaker, type ClientSettings, clientOptions } from './client.ts';
import type { GuardedStream } from './guarded-stream.ts';
import type { Arrival } from './inbound.ts';
import { refusedByNetwork } from './network-refusal.ts';
import { type BrokerLimits, codeOf, Outbound } from './outbound.ts';
import {
  closedInHandshake,
  closedUnheard,
  keepaliveLost,
  linkLost,
  refusedByBroker,
  subscriptionRefused,
} from './refusal.ts';

export interface ConnectionOptions extends ClientSettings {
  readonly Client: ClientMaker;
  readonly stream: GuardedStream;
  readonly tls: boolean;
  readonly maxInFlight: number;
}

/** How a connection ended. */
export interface Closed {
  readonly reason: AgentError;
  /** Of a CONNACK that refused. */
  readonly returnCode: number | null;
  /** The broker accepted this connection before. */
  readonly wasAccepted: boolean;
  /** It closed a connection that stood, without a CONNACK. */
  readonly closedBare: boolean;
}

export interface ConnectionEvents {
  accepted(sessionPresent: boolean): void;
  /** `taken` lets the next message in. */
  arrived(arrival: Arrival, taken: () => void): void;
  /** Once, whatever happens. */
  closed(closed: Closed): void;
}

/** One code for each topic of a SUBSCRIBE. */
interface Suback {
  readonly granted: readonly unknown[];
}

/** AWS IoT takes no more in one SUBSCRIBE. */
const TOPICS_A_PACKET = 8;
const LEAVING_MS = 500;
/** Makes mqtt.js leave out its own PUBACK (its README, `handleMessage`): it is sent when the listeners are done. */
const ACKNOWLEDGED_LATER = new Error('acknowledged later');

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #events: ConnectionEvents;
  readonly #client: MqttClient;
  readonly #outbound: Outbound;
  /** Rejects what waits for a SUBACK or UNSUBACK. */
  readonly #asking = new Set<(error: AgentError) => void>();
  #accepted = false;
  #closed = false;
  #returnCode: number | null = null;
  #reason: AgentError | null = null;

  /** Connects at once. `events` are never called before this returns. */
  constructor(options: ConnectionOptions, events: ConnectionEvents) {
    this.#options = options;
    this.#events = events;
    const client = new options.Client(() => options.stream, clientOptions(options));
    this.#client = client;
    this.#outbound = new Outbound(client, options.maxInFlight);
    client.handleMessage = (packet, taken) => this.#receive(packet, taken);
    client.on('connect', (connack) => this.#accept(connack.sessionPresent, connack.properties));
    client.on('disconnect', ({ reasonCode }) => {
      if (reasonCode) this.close(refusedByBroker(reasonCode, options.version, options.clientId));
    });
    client.on('error', (error) => this.#fail(error));
    client.on('close', () => this.#end());
  }

  /** See `Link.publish`. */
  publish(topic: string, payload: string | Uint8Array, options: PublishOptions): Promise<void> {
    return this.#outbound.publish(topic, payload, options);
  }

  /** Resolves with the topics that the broker refuses. */
  async subscribe(topics: readonly string[]): Promise<string[]> {
    const groups = [];
    for (let at = 0; at < topics.length; at += TOPICS_A_PACKET)
      groups.push(this.#subscribe(topics.slice(at, at + TOPICS_A_PACKET)));
    return (await Promise.all(groups)).flat();
  }

  unsubscribe(topics: readonly string[]): Promise<void> {
    return this.#ask((resolve, reject) => {
      this.#client.unsubscribe([...topics], (error) => {
        if (error) reject(subscriptionRefused(topics));
        else resolve();
      });
    });
  }

  /** Tells the broker that the will is not wanted, and closes: in half a second, whatever it does. */
  leave(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    const { clock, stream } = this.#options;
    return new Promise((resolve) => {
      const cancel = clock.at(clock.nowMs() + LEAVING_MS, () => this.close(linkLost()));
      stream.once('close', () => {
        cancel();
        resolve();
      });
      // DISCONNECT, the same in both versions where it means that all is well (MQTT 3.1.1, 3.14).
      stream.end(Buffer.of(0xe0, 0));
    });
  }

  /** Ends it now; what is in flight is rejected. */
  close(reason: AgentError): void {
    this.#reason ??= reason;
    this.#options.stream.destroy();
  }

  #accept(sessionPresent: boolean, limits: BrokerLimits = {}): void {
    this.#accepted = true;
    this.#outbound.limit(limits);
    this.#events.accepted(sessionPresent);
  }

  #receive(packet: IPublishPacket, taken: (error?: Error) => void): void {
    const { topic, payload, qos, messageId } = packet;
    const isAnswered = qos === 1 && messageId !== undefined;
    const arrival: Arrival = {
      topic,
      payload: typeof payload === 'string' ? Buffer.from(payload) : payload,
      received: receivedOf(packet),
      acknowledge: () => {
        if (isAnswered) this.acknowledge(messageId);
      },
    };
    this.#events.arrived(arrival, () => (isAnswered ? taken(ACKNOWLEDGED_LATER) : taken()));
  }

  /** PUBACK, the same in both versions where it means success (MQTT 3.1.1, 3.4; MQTT 5, 3.4.2.1). */
  acknowledge(messageId: number): void {
    const { stream } = this.#options;
    if (stream.writable) stream.write(Buffer.of(0x40, 2, messageId >> 8, messageId & 0xff));
  }

  #subscribe(topics: readonly string[]): Promise<string[]> {
    return this.#ask((resolve) => {
      this.#client.subscribe([...topics], { qos: 1 }, (error, _granted, suback) => {
        resolve(error && suback === undefined ? [...topics] : refusedTopics(topics, suback));
      });
    });
  }

  #ask<T>(begin: (resolve: (value: T) => void, reject: (error: AgentError) => void) => void): Promise<T> {
    if (this.#closed) return Promise.reject(linkLost());
    return new Promise<T>((resolve, reject) => {
      this.#asking.add(reject);
      begin(
        (value) => {
          this.#asking.delete(reject);
          resolve(value);
        },
        (error) => {
          this.#asking.delete(reject);
          reject(error);
        },
      );
    });
  }

  /** mqtt.js reports some errors and leaves the stream open; no connection is worth keeping after one. */
  #fail(error: Error): void {
    const { version, clientId } = this.#options;
    const code = codeOf(error);
    if (code !== null) {
      if (!this.#accepted) this.#returnCode = code;
      this.close(refusedByBroker(code, version, clientId));
      return;
    }
    const isSilence = error.message === 'Keepalive timeout';
    this.close(isSilence ? keepaliveLost() : refusedByNetwork(error));
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    const { reached } = this.#options.stream;
    const isUnexplained = this.#reason === null || this.#reason.code === 'link_lost';
    const isUnheard = isUnexplained && !this.#accepted;
    const reason = isUnheard ? this.#unheard(reached) : (this.#reason ?? linkLost());
    const lost = linkLost();
    this.#outbound.end(lost);
    for (const reject of this.#asking) reject(lost);
    this.#asking.clear();
    this.#events.closed({
      reason,
      returnCode: this.#returnCode,
      wasAccepted: this.#accepted,
      closedBare: isUnheard && reached,
    });
  }

  #unheard(reached: boolean): AgentError {
    if (reached) return closedUnheard(this.#options.tls);
    return this.#options.tls ? closedInHandshake() : (this.#reason ?? linkLost());
  }
}

function receivedOf({ retain, dup, qos, properties }: IPublishPacket): Received {
  return {
    retain,
    dup,
    qos,
    responseTopic: properties?.responseTopic ?? null,
    correlationData: properties?.correlationData ?? null,
  };
}

/** 0x80 and above are refusals (MQTT 3.1.1, 3.9.3). */
function refusedTopics(topics: readonly string[], suback: Suback | undefined): string[] {
  return topics.filter((_topic, index) => Number(suback?.granted[index] ?? 0) >= 0x80);
}
