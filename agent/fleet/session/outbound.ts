/** What is published in one connection: so many in flight, the rest in line, and all of it rejected at its end. */
import type { MqttClient } from 'mqtt';
import type { AgentError } from '../../errors.ts';
import type { PublishOptions } from '../link.ts';
import { linkLost, publishRefused, tooLarge } from './refusal.ts';

/** What an MQTT 5 broker says in CONNACK; none is no limit. */
export interface BrokerLimits {
  readonly receiveMaximum?: number;
  readonly maximumPacketSize?: number;
}

interface Flight {
  readonly topic: string;
  readonly payload: string | Uint8Array;
  readonly options: PublishOptions;
  readonly resolve: () => void;
  readonly reject: (error: AgentError) => void;
}

/** What MQTT adds to a payload beside its topic, at most: header, lengths, id, and MQTT 5 properties. */
const ENVELOPE_BYTES = 32;

export class Outbound {
  readonly #client: MqttClient;
  readonly #flying = new Set<Flight>();
  readonly #waiting: Flight[] = [];
  #maxInFlight: number;
  #maxBytes = Number.POSITIVE_INFINITY;
  /** Why nothing is sent any more. */
  #ended: AgentError | null = null;

  constructor(client: MqttClient, maxInFlight: number) {
    this.#client = client;
    this.#maxInFlight = maxInFlight;
  }

  limit({ receiveMaximum = this.#maxInFlight, maximumPacketSize = this.#maxBytes }: BrokerLimits): void {
    this.#maxInFlight = Math.min(this.#maxInFlight, receiveMaximum);
    this.#maxBytes = maximumPacketSize;
  }

  /** See `Link.publish`. */
  publish(topic: string, payload: string | Uint8Array, options: PublishOptions): Promise<void> {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    const { correlationData } = options;
    const bytes = Buffer.byteLength(payload) + Buffer.byteLength(topic) + (correlationData?.length ?? 0);
    if (bytes + ENVELOPE_BYTES > this.#maxBytes) return Promise.reject(tooLarge(topic, this.#maxBytes));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ topic, payload, options, resolve, reject });
      this.#fill();
    });
  }

  end(reason: AgentError): void {
    this.#ended = reason;
    for (const { reject } of [...this.#flying, ...this.#waiting]) reject(reason);
    this.#flying.clear();
    this.#waiting.length = 0;
  }

  #fill(): void {
    while (this.#ended === null && this.#flying.size < this.#maxInFlight) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#send(next);
    }
  }

  #send(flight: Flight): void {
    this.#flying.add(flight);
    const { topic, payload, options } = flight;
    const { qos, retain = false, correlationData } = options;
    const properties = correlationData && { correlationData: asBuffer(correlationData) };
    const message = typeof payload === 'string' ? payload : asBuffer(payload);
    this.#client.publish(topic, message, { qos, retain, ...(properties && { properties }) }, (error) => {
      this.#flying.delete(flight);
      if (error) flight.reject(whyRejected(error, topic));
      else flight.resolve();
      // Not at once: at QoS 0 this is called within the loop that sends.
      queueMicrotask(() => this.#fill());
    });
  }
}

/** The reason code that a broker gave; null for an error of Node, whose codes are words, or of mqtt.js. */
export function codeOf(error: Error): number | null {
  return 'code' in error && typeof error.code === 'number' ? error.code : null;
}

function whyRejected(error: Error, topic: string): AgentError {
  const code = codeOf(error);
  return code === null ? linkLost() : publishRefused(topic, code);
}

/** The same bytes. */
function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
